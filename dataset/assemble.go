package dataset

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"vanilla/internal/memory"
	"vanilla/internal/words"
	"vanilla/kernels"
)

// check reports options that cannot be.
func (o Options) check() error {
	switch {
	case o.Size != (Size{}) && (min(o.Size.Rows, o.Size.Cols) < 1 || max(o.Size.Rows, o.Size.Cols) > mostSide):
		_, err := ParseSize(o.Size.String())
		return err
	case !(o.Test >= 0 && o.Test < 1):
		return &kernels.SettingError{Field: "test", Value: o.Test, Problem: "want a share above 0, below 1"}
	case !slices.Contains([]string{"", "first", "last"}, o.Label):
		return &kernels.SettingError{Field: "label_column", Value: o.Label, Problem: "want first or last"}
	}
	return nil
}

// fewLevels is below which the largest value of all images is taken for white.
const fewLevels = 32

// dataset makes a data set of what was found.
func (f *found) dataset(ctx context.Context, o Options) (*Dataset, error) {
	fail := func(err error) (*Dataset, error) { return nil, fmt.Errorf("%s: %w", f.path, err) }
	if !f.pictures { // which were read as the options say
		var err error
		if o, err = o.after(f.before); err != nil {
			return nil, err
		}
	}
	d := &Dataset{Name: f.name, Form: f.form, Notes: f.notes}
	if !f.pictures && f.before == nil {
		if note := o.lastStep(); note != "" {
			d.Notes = append(d.Notes, note)
		}
	}
	prepared := Preparation{Grey: f.grey, Invert: o.Invert, Transpose: o.Transpose, Size: o.Size, Pictures: f.pictures}
	values, err := f.valueRange(o, &d.Notes)
	if err != nil {
		return fail(err)
	}
	if values != bytesRange {
		prepared.Range = values
	}
	if o.Label != "" && f.form != csvForm {
		return nil, &kernels.SettingError{Field: "label_column", Value: o.Label, Problem: fmt.Sprintf("%s is %s: only .csv files have label columns", f.path, f.form)}
	}
	if o.Test > 0 && f.sets[test].len() > 0 && !o.TestIfNone {
		return nil, &kernels.SettingError{Field: "test", Value: o.Test, Problem: fmt.Sprintf("%s has test images of its own, %s: want none", f.path, words.Thousands(f.sets[test].len()))}
	}
	if f.columns && !o.Transpose {
		d.Notes = append(d.Notes, `EMNIST stores images column by column: "transpose" turns them upright`)
	}
	class, names, notes, err := f.labels.classes(o)
	if err != nil {
		return fail(err)
	}
	d.Notes = append(d.Notes, notes...)
	var sets [2]*Images
	for i := range f.sets {
		s := &f.sets[i]
		if s.len() == 0 {
			continue
		}
		if sets[i], err = s.images(ctx, values, prepared, f.pictures); err != nil {
			return fail(err)
		}
		sets[i].Labels = make([]byte, s.len())
		for k, label := range s.labels {
			sets[i].Labels[k] = class[label]
		}
		sets[i].Classes = len(names)
		if s.columns != nil {
			s.soften(sets[i], class)
		}
		if !plain(names) {
			sets[i].Names = names
		}
		*s = set{} // which is large
	}
	if sets[test] == nil {
		if o.Test == 0 && !o.Untested {
			return fail(ErrNoTest)
		}
		if o.Test == 0 {
			s := *sets[training]
			s.Pixels, s.Labels = nil, nil
			sets[test] = &s
		} else if sets[training], sets[test], err = split(sets[training], o.Test); err != nil {
			return nil, err
		}
		prepared.Test = Share(o.Test)
	}
	d.Train, d.Test = sets[training], sets[test]
	if a, b := d.Train, d.Test; a.Rows != b.Rows || a.Cols != b.Cols {
		return fail(fmt.Errorf(`expected test images of %dx%d pixels, as the training images, found %dx%d: "size" makes them equal`, a.Rows, a.Cols, b.Rows, b.Cols))
	}
	prepared.look(d.Train)
	prepared.Before = f.before
	d.Train.Prepared, d.Test.Prepared = prepared, prepared
	d.Notes = append(d.Notes, d.notes(o.Known)...)
	return d, nil
}

// ErrNoTest is a set without test images.
var ErrNoTest = errors.New(`expected training and test images, found no test images: "test" 0.1 would take a tenth of the others`)

// valueRange is what means black and white.
func (f *found) valueRange(o Options, notes *[]string) (Range, error) {
	if o.Range == (Range{}) && f.sets[training].pixels.manyLevels() && (f.sets[test].len() == 0 || f.sets[test].pixels.floats == nil) {
		return bytesRange, nil
	}
	least, largest := math.Inf(1), math.Inf(-1)
	for i := range f.sets {
		s := &f.sets[i]
		if s.len() == 0 {
			continue
		}
		a, b, strange := s.pixels.extent()
		if strange >= 0 {
			size := s.rows * s.cols
			return Range{}, fmt.Errorf("expected pixels that are finite, found %v in image %d of the %s images, pixel %d, counted from 1",
				s.pixels.floats[strange], strange/size+1, [...]string{"training", "test"}[i], strange%size+1)
		}
		least, largest = min(least, float64(a)), max(largest, float64(b))
	}
	r := o.Range
	switch {
	case r != (Range{}) && (least < r.Black || largest > r.White):
		return r, &kernels.SettingError{Field: "range", Value: r.String(), Problem: fmt.Sprintf("the images have values from %g to %g", least, largest)}
	case r != (Range{}):
		return r, nil
	case least < 0 || largest > 255:
		return r, fmt.Errorf(`expected pixels from 0 to 255, found values from %g to %g: "range" says which of them mean black and white`, least, largest)
	case f.pictures || f.before != nil || largest >= fewLevels || largest == 0:
		return bytesRange, nil
	case largest <= 1:
		r = Range{0, 1}
	default:
		r = Range{0, largest}
	}
	what := fmt.Sprintf("from 0 to %g", largest)
	if least, _, _ := f.sets[training].pixels.extent(); f.sets[training].pixels.floats == nil && least == 0 && largest == 1 {
		what = "0 and 1"
	}
	*notes = append(*notes, fmt.Sprintf(`pixels are %s: %g is taken for white, which "range" changes`, what, r.White))
	return r, nil
}

// images are a set's images, prepared, without labels.
func (s *set) images(ctx context.Context, values Range, p Preparation, prepared bool) (*Images, error) {
	size := Size{s.rows, s.cols}
	if prepared {
		return &Images{Pixels: s.pixels.bytes, Rows: size.Rows, Cols: size.Cols}, nil
	}
	if p.Transpose {
		size = Size{s.cols, s.rows}
	}
	if p.Size != (Size{}) {
		size = p.Size
	}
	n, stored := s.len(), s.rows*s.cols
	if values == bytesRange && s.pixels.floats == nil && !p.Invert && !p.Transpose && size == (Size{s.rows, s.cols}) {
		return &Images{Pixels: s.pixels.bytes, Rows: size.Rows, Cols: size.Cols}, nil
	}
	if err := memory.Check(fmt.Sprintf("%s images of %v pixels", words.Thousands(n), size), uint64(n)*uint64(size.Rows*size.Cols)); err != nil {
		return nil, err
	}
	made := &Images{Pixels: make([]byte, n*size.Rows*size.Cols), Rows: size.Rows, Cols: size.Cols}
	preparer := newPreparer(p, size)
	err := inParts(n, func(from, to int) error {
		grey := make([]byte, stored)
		for i := from; i < to; i++ {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			s.grey(grey, i, values)
			preparer.image(made.Image(i), grey, s.rows, s.cols)
		}
		return nil
	})
	return made, err
}

// grey makes bytes of an image's values.
func (s *set) grey(to []byte, i int, values Range) {
	from := i * len(to)
	if s.pixels.floats == nil && values == bytesRange {
		copy(to, s.pixels.bytes[from:])
		return
	}
	for k := range to {
		var v float64
		if s.pixels.floats != nil {
			v = float64(s.pixels.floats[from+k])
		} else {
			v = float64(s.pixels.bytes[from+k])
		}
		to[k] = values.level(v)
	}
}

// inParts does something for parts of 0 to n-1 on all cores.
func inParts(n int, do func(from, to int) error) error {
	workers := min(n, runtime.GOMAXPROCS(0))
	var all errgroup.Group
	for w := range workers {
		all.Go(func() error { return do(n*w/workers, n*(w+1)/workers) })
	}
	return all.Wait()
}

// split takes a share of the images of each class, at least one where there are two, for testing. Which ones depends on
// their numbers within their class alone, and both parts keep the order.
func split(s *Images, share float64) (train, tested *Images, err error) {
	of := make([][]int, s.Classes)
	for i, label := range s.Labels {
		of[label] = append(of[label], i)
	}
	taken := make([]bool, s.Len())
	count := 0
	for class, images := range of {
		n := int(math.Round(share * float64(len(images))))
		if n = min(max(1, n), len(images)-1); n < 1 {
			continue
		}
		order := make([]int, len(images))
		for k := range order {
			order[k] = k
		}
		slices.SortFunc(order, func(a, b int) int { return cmp.Compare(drawn(class, a), drawn(class, b)) })
		for _, k := range order[:n] {
			taken[images[k]] = true
		}
		count += n
	}
	if count == 0 {
		return nil, nil, &kernels.SettingError{Field: "test", Value: share, Problem: "no class has two images, of which one could be taken"}
	}
	parts := [2]*Images{}
	for p := range parts {
		parts[p] = &Images{Rows: s.Rows, Cols: s.Cols, Classes: s.Classes, Names: s.Names}
	}
	for i, label := range s.Labels {
		p := parts[training]
		if taken[i] {
			p = parts[test]
		}
		p.Pixels, p.Labels = append(p.Pixels, s.Image(i)...), append(p.Labels, label)
		if s.Targets != nil {
			p.Targets = append(p.Targets, s.Targets[i*s.Classes:(i+1)*s.Classes]...)
		}
	}
	return parts[training], parts[test], nil
}

// drawn is a number by which a class's images are drawn: SplitMix64 (Steele, Lea and Flood, 2014), which has no two equal ones.
func drawn(class, image int) uint64 {
	z := (uint64(class)<<32 + uint64(image) + 1) * 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
