package dataset

import (
	"slices"
	"strings"

	"vanilla/kernels"
)

// Asked says which options are done to images whatever their files say of what was done to them before.
type Asked struct{ Range, Invert, Transpose bool }

// step is what one Preparation did to images that may be done twice by mistake. Scaling may not: twice is as good as once.
type step struct {
	values            Range
	invert, transpose bool
}

// steps are what was done, in order. What did nothing is left out.
func (p *Preparation) steps() (all []step) {
	for ; p != nil; p = p.Before {
		if s := (step{p.Range, p.Invert, p.Transpose}); s != (step{}) {
			all = append(all, s)
		}
	}
	slices.Reverse(all)
	return all
}

// turned says whether steps leave images inverted and transposed: twice is not at all.
func turned(steps []step) (inverted, transposed bool) {
	for _, s := range steps {
		inverted, transposed = inverted != s.invert, transposed != s.transpose
	}
	return inverted, transposed
}

// ranges are those of steps.
func ranges(steps []step) (all []Range) {
	for _, s := range steps {
		if s.values != (Range{}) {
			all = append(all, s.values)
		}
	}
	return all
}

// LastStep is how the note begins which says that arrays were taken for what a network's pictures were before the last step.
const LastStep = "these arrays do not say what was done to them"

// lastStep is that note, "" where there is nothing to say: o are the options for arrays of which nothing is known.
func (o Options) lastStep() string {
	if o.Network == nil || !o.Network.OfPictures() {
		return ""
	}
	var done []string
	if o.Invert && !o.Asked.Invert {
		done = append(done, "inverted")
	}
	if o.Transpose && !o.Asked.Transpose {
		done = append(done, "transposed")
	}
	if done == nil {
		return ""
	}
	text := strings.Join(done, " and ")
	return LastStep + ": they are " + text + ", as the network's pictures were last, and would be wrong if that was done already"
}

// after are the options for arrays to which this was done before they were written, nil if nothing is known of it: of what
// was done to the images of Network, what is left to do. What goes beyond that is not undone.
func (o Options) after(before *Preparation) (Options, error) {
	if o.Network == nil || before == nil && o.Network.OfPictures() { // arrays may be what the pictures became
		return o, nil
	}
	all, done := o.Network.steps(), before.steps()
	var invert, transpose bool
	var left []Range
	if n := len(done); n <= len(all) && slices.Equal(all[:n], done) {
		invert, transpose = turned(all[n:])
		left = ranges(all[n:])
	} else {
		invert, transpose = turned(all)
		inverted, transposed := turned(done)
		invert, transpose = invert && !inverted, transpose && !transposed
		if left = ranges(all); ranges(done) != nil {
			left = nil
		}
	}
	if !o.Asked.Invert {
		o.Invert = invert
	}
	if !o.Asked.Transpose {
		o.Transpose = transpose
	}
	if o.Size == (Size{}) {
		o.Size = o.Network.result()
	}
	switch {
	case o.Asked.Range:
	case len(left) > 1:
		return o, &kernels.SettingError{Field: "range", Value: "", Problem: "the images that the network was trained on had two ranges, one after the other: want the range of these"}
	case len(left) == 1:
		o.Range = left[0]
	default:
		o.Range = Range{}
	}
	return o, nil
}
