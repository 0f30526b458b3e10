package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vanilla/dataset"
	"vanilla/internal/store"
	"vanilla/internal/words"
	"vanilla/mnist"
	"vanilla/model"
	"vanilla/train"
)

// dataSource is what --data names, and how it is read.
type dataSource struct {
	name         string
	size, values string // --size, --range
	transpose    bool
	invert       bool
	test         float64
	labelColumn  string
	flags        *pflag.FlagSet // of the command, once it runs; what is not given there is as the model says
	stderr       io.Writer
	byOrder      bool // the classes of the data that were loaded were taken for a model's by their order
}

// of takes the flags of the command that runs, which may differ from what a model says, and where it says what is odd.
func (d *dataSource) of(c *cobra.Command) { d.flags, d.stderr = c.Flags(), c.ErrOrStderr() }

// dataUsage says what --data takes.
const dataUsage = "mnist, which is built in, or a `directory` with IDX files, .csv or .npz files or a folder of pictures for each class, or one .csv or .npz file; see vanilla data"

// addTo adds --data and the flags that say how it is read.
func (d *dataSource) addTo(f *pflag.FlagSet, name, usage string) {
	f.StringVar(&d.name, "data", name, usage)
	d.howTo(f)
}

// howTo adds the flags that say how data are read.
func (d *dataSource) howTo(f *pflag.FlagSet) {
	f.StringVar(&d.size, "size", "", "scale images to `rows`xcolumns, or to a square of so many pixels (default: they are of one size)")
	f.Float64Var(&d.test, "test", 0, "part of the images of each class to test on, a `share`, where the data have no test images")
	f.BoolVar(&d.transpose, "transpose", false, "swap rows and columns, as EMNIST's files need")
	f.BoolVar(&d.invert, "invert", false, "turn dark on light into light on dark")
	f.StringVar(&d.values, "range", "", "what is black and what is white, two `values`, as in 0,16 or -1,1 (default: 0,255, and 0 to the largest value if that is below 32)")
	f.StringVar(&d.labelColumn, "label-column", "", "where the labels are in .csv files, a `column`: first or last (default: whichever it seems to be)")
}

// dataFlagNames are the flags that say how data are read.
var dataFlagNames = []string{"size", "test", "transpose", "invert", "range", "label-column"}

// given says whether a flag was given.
func (d *dataSource) given(flag string) bool {
	if d.flags == nil {
		return false
	}
	f := d.flags.Lookup(flag)
	return f != nil && f.Changed
}

// options are the flags as package dataset takes them. What they do not say is as in the data that a model was trained
// on, if there is one.
func (d *dataSource) options(m *model.Model) (o dataset.Options, err error) {
	if m != nil {
		was, err := dataset.ParsePreparation(m.Data)
		if err != nil {
			return o, err
		}
		o = was.Options()
		_, o.Known, err = m.Extent()
		if err != nil {
			return o, err
		}
		o.KnownNames = m.Classes
		o.Asked = dataset.Asked{Range: d.given("range"), Invert: d.given("invert"), Transpose: d.given("transpose")}
		if d.given("size") || d.given("invert") || d.given("transpose") {
			o.Before = nil // the flags say how pictures are read
		}
		if was.OfPictures() && o.Before == nil && o.Size == (dataset.Size{}) {
			o.Size = dataset.Size{Rows: m.ImageRows, Cols: m.ImageCols}
		}
	}
	if d.size != "" {
		if o.Size, err = dataset.ParseSize(d.size); err != nil {
			return o, err
		}
	}
	if d.values != "" {
		if o.Range, err = dataset.ParseRange(d.values); err != nil {
			return o, err
		}
	}
	if m == nil || d.given("test") {
		o.Test, o.TestIfNone = d.test, false
		if d.given("test") && d.test == 0 {
			return o, &train.SettingError{Field: "test", Value: d.test, Problem: "want a share above 0, below 1"}
		}
	}
	if m == nil || d.given("transpose") {
		o.Transpose = d.transpose
	}
	if m == nil || d.given("invert") {
		o.Invert = d.invert
	}
	o.Label = d.labelColumn
	return o, nil
}

// embedded is MNIST, which commands only read: decompressed once, however many run in this process, as in tests.
var embedded = sync.OnceValues(mnist.Embedded)

// ahead begins to read MNIST, if that will be read as it is, while something else is done: opening a GPU takes as long.
func (d *dataSource) ahead() {
	if d.name == "mnist" && d.settings() == nil {
		go embedded()
	}
}

// digits are the names of MNIST's classes.
var digits = strings.Split("0123456789", "")

// load opens the data set, as a model's was if m is not nil.
func (d *dataSource) load(ctx context.Context, m *model.Model) (*dataset.Dataset, error) {
	o, err := d.options(m)
	if err != nil {
		return nil, err
	}
	return d.open(ctx, o)
}

// untested loads a data set that has no test images, which then are none.
func (d *dataSource) untested(ctx context.Context) (*dataset.Dataset, error) {
	o, err := d.options(nil)
	if err != nil {
		return nil, err
	}
	o.Untested = true
	return d.open(ctx, o)
}

// loadLike opens the data set as that of a model was of which only the recipe is taken, if m is one: classes need not be
// that model's. A note says how the data are read, if no flag does.
func (d *dataSource) loadLike(ctx context.Context, m *model.Model, name string) (*dataset.Dataset, error) {
	o, err := d.optionsLike(m)
	if err != nil {
		return nil, err
	}
	data, err := d.open(ctx, o)
	if err != nil || o.Network == nil {
		return data, err
	}
	if how := preparedAs(data.Train.Prepared); how != "" && d.settings() == nil {
		data.Notes = append(data.Notes, fmt.Sprintf("read as the images of %s were: %s", name, how))
	}
	return data, nil
}

// optionsLike are loadLike's. MNIST is read as usual for a model of other classes.
func (d *dataSource) optionsLike(m *model.Model) (dataset.Options, error) {
	if m == nil || d.name == "mnist" && mnistsClasses(m.Classes) != nil {
		return d.options(nil)
	}
	o, err := d.options(m)
	o.Known, o.KnownNames = 0, nil
	return o, err
}

// keep makes what was done to data the flags that say how they are read, so that these alone read them again. It fails if
// no flags say that, because pictures are prepared twice.
func (d *dataSource) keep(ctx context.Context, data *dataset.Dataset) error {
	p := data.Train.Prepared
	for _, s := range []struct {
		flag, value string
		done        bool
	}{
		{"size", p.Size.String(), p.Size != (dataset.Size{})}, {"range", p.Range.String(), p.Range != (dataset.Range{})},
		{"invert", "true", p.Invert}, {"transpose", "true", p.Transpose}, {"test", fmt.Sprint(float64(p.Test)), p.Test > 0},
	} {
		if s.done && !d.given(s.flag) {
			if err := d.flags.Set(s.flag, s.value); err != nil {
				return err
			}
		}
	}
	if p.Before == nil {
		return nil
	}
	again, err := d.load(ctx, nil)
	if err == nil && train.FingerprintOf(again) != train.FingerprintOf(data) {
		err = &train.SettingError{Field: "data", Value: d.name, Problem: "these pictures are prepared twice, as the model's were, which flags cannot say: want them written by vanilla data -o first"}
	}
	return err
}

// open opens the data set with options.
func (d *dataSource) open(ctx context.Context, o dataset.Options) (*dataset.Dataset, error) {
	if d.name == "mnist" {
		if err := mnistsClasses(o.KnownNames); err != nil {
			return nil, err
		}
		if o.Label != "" {
			return nil, &train.SettingError{Field: "label_column", Value: o.Label, Problem: "mnist is IDX: only .csv files have label columns"}
		}
		if o.Test > 0 && !o.TestIfNone {
			return nil, &train.SettingError{Field: "test", Value: o.Test, Problem: "mnist has test images of its own: want none"}
		}
		asIs := o.Size == (dataset.Size{}) && o.Range == (dataset.Range{}) && !o.Transpose && !o.Invert && (o.Network == nil || o.Network.Before == nil)
		if asIs && o.KnownNames == nil {
			return embedded()
		}
		o.Test = 0
		return mnist.Read(ctx, o)
	}
	if d.name == "" {
		return nil, usagef(`--data "": want mnist, a directory, or a .csv or .npz file`)
	}
	return await(ctx, func() (*dataset.Dataset, error) {
		set, err := dataset.Open(ctx, d.name, o)
		var setting *train.SettingError
		switch {
		case err == nil:
			d.sayByOrder(set)
			return set, nil
		case errors.As(err, &setting):
			return nil, err
		case errors.Is(err, os.ErrNotExist):
			if _, statErr := os.Stat(d.name); statErr != nil {
				return nil, fmt.Errorf("--data %s: want mnist, a directory, or a .csv or .npz file: %w", d.name, store.Cause(statErr))
			}
		}
		if strings.HasPrefix(err.Error(), d.name+":") {
			err = fmt.Errorf("--data %w", err)
		}
		return set, err
	})
}

// mnistsClasses reports classes of a network that are called so and are none of MNIST's.
func mnistsClasses(names []string) error {
	for c, name := range names {
		if !slices.Contains(digits, name) {
			return &train.SettingError{Field: "data", Value: "mnist", Problem: fmt.Sprintf("the network was trained on other images: its class %d is %s: want the data that it is for", c, name)}
		}
	}
	return nil
}

// sayByOrder says, whatever else a command says of its data, that classes were taken for a network's by their order alone,
// and that something is done to arrays which may have been done before.
func (d *dataSource) sayByOrder(set *dataset.Dataset) {
	set.Notes = slices.DeleteFunc(set.Notes, func(note string) bool {
		byOrder := strings.HasPrefix(note, dataset.ByOrder)
		d.byOrder = d.byOrder || byOrder
		said := byOrder || strings.HasPrefix(note, dataset.LastStep)
		if said && d.stderr != nil {
			fmt.Fprintf(d.stderr, "data: %s\n", words.OneLine(note))
		}
		return said
	})
}

// noteData writes what may not be as it should with the data.
func noteData(stderr io.Writer, c *pflag.FlagSet, set *dataset.Dataset) {
	for _, note := range set.Notes {
		fmt.Fprintf(stderr, "data: %s\n", words.OneLine(fieldsToFlags(c, nil, note)))
	}
}

// settings are the flags that say how data are read, as they were given; nil if none was.
func (d *dataSource) settings() map[string]string {
	var settings map[string]string
	for _, name := range dataFlagNames {
		if d.given(name) {
			if settings == nil {
				settings = map[string]string{}
			}
			settings[name] = d.flags.Lookup(name).Value.String()
		}
	}
	return settings
}

// settingArguments are flags with their values.
func settingArguments(settings map[string]string) (args []string) {
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "--"+name+"="+settings[name])
	}
	return args
}

// unknownClasses says that data have classes that a network does not know.
func unknownClasses(set *dataset.Images, known int) string {
	names := []string{}
	for c := known; c < set.Classes; c++ {
		names = append(names, strconv.Quote(set.ClassName(c)))
	}
	if len(names) > 5 {
		names = append(names[:5], "…")
	}
	return strings.Join(names, ", ")
}
