package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vanilla/dataset"
	"vanilla/infer"
	"vanilla/internal/store"
	"vanilla/internal/words"
	"vanilla/kernels"
	"vanilla/kernels/device"
	"vanilla/model"
	"vanilla/train"
	"vanilla/viz"
)

// vizFlags are the flags of the command viz. Each figure has some of them.
type vizFlags struct {
	source
	chosen
	data                  dataSource
	out, image, scale     string
	seed                  uint64
	index, unit, from, to int
	dark, json            bool
	changes               *pflag.FlagSet // of a recipe

	ctx    context.Context
	exec   kernels.Executor
	opened []io.Closer // networks
	loaded *dataset.Dataset
}

// figure is one figure of the command.
type figure struct {
	name, arguments, short, long string
	examples                     []string
	flags                        func(v *vizFlags, c *cobra.Command) // besides those that all have
	// several says that the figure compares models, moves that it can be a GIF.
	several, moves bool
	// make computes the figure's numbers. Of all figures of one model, none gets
	// flags besides those that all have.
	make func(v *vizFlags, names []string) (viz.Figure, error)
}

const models = `
MODEL is default or lesson, which are built in, or a safetensors file: one that vanilla
wrote, or a state_dict of dense layers with --activation and --loss.`

// directories is what a figure takes that shows the course of training.
const directories = "DIR…"

func figures() []figure {
	seed := func(v *vizFlags, c *cobra.Command) {
		c.Flags().Uint64Var(&v.seed, "seed", 1, "seed `number` of the noise")
	}
	picture := func(v *vizFlags, c *cobra.Command) {
		c.Flags().StringVar(&v.image, "image", "", "picture of a digit, from a `file`: "+dataset.Formats()+", see vanilla predict")
		c.Flags().IntVar(&v.index, "index", 0, "test image, by its `number`, from 0")
	}
	return []figure{
		{
			name: "weights", short: "The units' weights as images",
			long: `Weights draws each unit of the layer that sees the pixels as an image of its weights,
and each deeper layer as a matrix and as what its units add up to on the pixels.`,
			examples: []string{"weights lesson --scale unit --dark -o weights.svg", "weights default --unit 3 -o unit.png"},
			flags: func(v *vizFlags, c *cobra.Command) {
				c.Flags().StringVar(&v.scale, "scale", string(viz.SharedScale), "what shares a scale of colours, by `name`: shared (all units) or unit (each has its own)")
				v.unitFlag(c, "one unit to draw large, by its `number`, from 0 (default: all of them)")
			},
			make: (*vizFlags).weights,
		}, {
			name: "blobs", short: "Are they edges? How noise-like, smooth and edge-like weights are", several: true,
			long: `Blobs measures what the weight images look like: noise, blobs or edges, beside the
networks that training started from, of one or several models.`,
			examples: []string{"blobs lesson default -o blobs.png"},
			make:     (*vizFlags).blobs,
		}, {
			name: "mistakes", short: "The misclassified test images", several: true,
			long: `Mistakes draws the test images that a network misclassifies, the most confident
mistakes first, and the confusion matrix; of several networks, the images that all get
wrong.`,
			examples: []string{"mistakes default lesson -o both.png", "mistakes default --label 4 --guess 9 -o 4-as-9.png", "mistakes default --json"},
			flags:    func(v *vizFlags, c *cobra.Command) { v.chosen.flags(c, "only images") },
			make:     (*vizFlags).mistakes,
		}, {
			name: "quality", short: "How sure networks are, what they get right of each class, and dead units", several: true,
			long: `Quality draws how often a network is right where it is so sure (its calibration), the
recall and precision of each class, and the hidden units that do nothing. Networks need
not be chains of layers: every model that vanilla eval takes will do.`,
			examples: []string{"quality default lesson -o quality.png", "quality model.safetensors --dark -o quality.svg"},
			make:     (*vizFlags).quality,
		}, {
			name: "noise", short: "What a network makes of images that show nothing",
			long: `Noise classifies random images (uniform noise, shuffled digits, Gaussian noise, blank
greys) beside real digits, and shows how sure the network is and of what.`,
			examples: []string{"noise default -o noise.png", "noise lesson --seed 2 --json"},
			flags:    seed,
			make:     (*vizFlags).noise,
		}, {
			name: "robustness", short: "Accuracy on moved, scaled, turned, thicker digits",
			long: `Robustness measures accuracy on test images that are moved, scaled, turned and drawn
with another pen, and follows one digit to where it is first misclassified.`,
			examples: []string{"robustness default -o robustness.png", "robustness default --index 3 -o robustness.svg"},
			flags:    picture,
			make:     (*vizFlags).robustness,
		}, {
			name: "activations", short: "One image on its way through a network",
			long: `Activations draws the network as units that are lit as much as an image activates
them, with the strongest connections, and takes one unit of the first hidden layer apart.`,
			examples: []string{"activations default --index 7 --unit 2 -o activations.svg", "activations lesson --image digit.png -o mine.png"},
			flags: func(v *vizFlags, c *cobra.Command) {
				picture(v, c)
				v.unitFlag(c, "unit to take apart, by its `number`, from 0 (default: the most active one)")
			},
			make: (*vizFlags).activations,
		}, {
			name: "morph", short: "One digit slowly becoming another", moves: true,
			long: `Morph mixes two test images in all proportions and shows the probabilities on the way,
where the guess flips, and which hidden units change most. They are the first of their
labels that the network gets right.`,
			examples: []string{"morph default -o morph.png", "morph default --from 4 --to 9 -o morph.gif"},
			flags: func(v *vizFlags, c *cobra.Command) {
				c.Flags().IntVar(&v.from, "from", defaultFrom, "digit to begin with, by its `label`")
				c.Flags().IntVar(&v.to, "to", defaultTo, "digit to end with, by its `label`")
			},
			make: (*vizFlags).morph,
		}, {
			name: "dream", short: "The image that makes each output most certain", moves: true,
			long: `Dream climbs from near-black noise, along the gradient in the pixels, to the image that
makes each output most certain, and shows it beside the mean of the class.`,
			examples: []string{"dream default -o dream.png", "dream lesson --dark -o dream.gif"},
			flags:    seed,
			make:     (*vizFlags).dream,
		}, {
			name: "training", arguments: directories, short: "How networks learned", several: true, moves: true,
			long: `Training draws the loss and the accuracy over the course of training runs, and the
weight images on their way. DIR is what vanilla train --history DIR kept.`,
			examples: []string{"training run -o training.png", "training run -o training.gif"},
			make:     (*vizFlags).training,
		}, {
			name: "augment", arguments: "RECIPE", short: "What a recipe does to images",
			long: `Augment draws training images as a recipe changes them from epoch to epoch: moved,
turned, stretched, slanted, with other strokes, bent. RECIPE is what vanilla train
--recipe takes: default, lesson, a YAML file or a model; flags change it.`,
			examples: []string{"augment default --rotate 15 --scale 0.15 --elastic 34 -o augment.png", "augment recipe.yaml --order-seed 2 -o augment.svg"},
			flags:    augmentFlags,
			make:     (*vizFlags).augment,
		},
	}
}

// The digits of morph, where no others are asked for.
const (
	defaultFrom = 3
	defaultTo   = 8
)

func vizCommand() *cobra.Command {
	var names []string
	c := &cobra.Command{
		Use:   "viz FIGURE MODEL… -o FILE",
		Short: "Draw what a network has learned",
		Long: `Viz draws a figure to a PNG or SVG file, or to a GIF if it moves (morph, dream,
training), or prints its numbers with --json. Viz all draws every figure of a model.`,
		Example: `  vanilla viz weights default -o weights.png
  vanilla viz all default -o figures`,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("want a figure: %s or all", list(names))
			}
			return usagef("found the figure %q: want %s or all", args[0], list(names))
		},
		// Flags are the figures': what is wrong is the figure, or that there is none.
		FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true},
	}
	for _, f := range figures() {
		names = append(names, f.name)
		c.AddCommand(f.command())
	}
	c.AddCommand(vizAllCommand())
	return c
}

func (f figure) command() *cobra.Command {
	var v vizFlags
	arguments := f.arguments
	if arguments == "" {
		arguments = "MODEL"
		if f.several {
			arguments += "…"
		}
	}
	long := f.long
	if f.arguments == "" {
		long += "\n" + models
	}
	c := &cobra.Command{
		Use:     f.name + " " + arguments,
		Short:   f.short,
		Long:    long,
		Example: "  vanilla viz " + strings.Join(f.examples, "\n  vanilla viz "),
		Args: func(c *cobra.Command, args []string) error {
			if !f.several && f.arguments == "" {
				return modelArgument(c, args)
			}
			if len(args) == 0 || !f.several && len(args) > 1 {
				return fmt.Errorf("want %s", arguments)
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			v.data.of(c)
			if v.out == "" && v.json {
				if err := refuse(c.Flags(), "with --json alone nothing is drawn: want --out too", among("dark")); err != nil {
					return err
				}
			}
			return v.run(c.Context(), f, args, c.OutOrStdout())
		},
	}
	c.Flags().SortFlags = false
	c.Flags().StringVarP(&v.out, "out", "o", "", "where to draw, a `file` whose name ends in "+f.endings())
	if f.flags != nil {
		f.flags(&v, c)
	}
	v.common(c)
	c.Flags().BoolVar(&v.json, "json", false, "print the figure's numbers as one JSON object")
	if f.arguments == "" {
		v.source.flags(c)
	}
	return c
}

// endings are how the names of files end that the figure can be drawn to.
func (f *figure) endings() string {
	if f.moves {
		return ".png, .svg or .gif"
	}
	return ".png or .svg"
}

// common are flags that all figures have.
func (v *vizFlags) common(c *cobra.Command) {
	c.Flags().StringVar(&v.data.name, "data", "mnist", dataUsage+"; read as the model says")
	c.Flags().BoolVar(&v.dark, "dark", false, "draw on near-black, for slides")
}

// unitFlag is --unit, which says in words what it is by default.
func (v *vizFlags) unitFlag(c *cobra.Command, usage string) {
	c.Flags().IntVar(&v.unit, "unit", viz.MostActive, usage)
	c.Flags().Lookup("unit").DefValue = "0" // which help leaves out
}

// prepare opens what figures need, for as long as ctx is not done.
func (v *vizFlags) prepare(ctx context.Context) (err error) {
	v.ctx = ctx
	p := executorFlags{device: "auto", executor: device.Fast}
	v.exec, err = p.open()
	return err
}

// Close closes what figures used.
func (v *vizFlags) Close() (err error) {
	for _, c := range slices.Backward(v.opened) {
		closing(c, &err)
	}
	closing(v.exec, &err)
	v.opened, v.exec = nil, nil
	return err
}

func (v *vizFlags) run(ctx context.Context, f figure, args []string, stdout io.Writer) (err error) {
	format, err := v.format(f)
	if err != nil {
		return err
	}
	if v.out != "" {
		if err := writable("--out", v.out); err != nil {
			return err
		}
		inputs := []string{v.image, v.data.name}
		if f.arguments != directories { // in those of training runs a figure overwrites nothing
			inputs = append(inputs, args...)
		}
		if err := keepApart(inputs, output{"--out", v.out}); err != nil {
			return err
		}
	}
	if err := v.prepare(ctx); err != nil {
		return err
	}
	defer closing(v, &err)
	drawn, err := f.make(v, args)
	if err != nil {
		return err
	}
	if v.out != "" {
		if format == viz.GIF && !viz.Moves(drawn) {
			return &train.SettingError{Field: "out", Value: v.out, Problem: "this figure does not move: want a file that ends in .png or .svg"}
		}
		if err := v.save(v.out, drawn, format); err != nil {
			return err
		}
	}
	if v.json {
		return writeJSON(stdout, drawn)
	}
	_, err = fmt.Fprintf(stdout, "%s of %s, saved in %s\n", f.name, words.OneLine(list(args)), words.OneLine(v.out))
	return err
}

// format is what the output's name says.
func (v *vizFlags) format(f figure) (viz.Format, error) {
	if v.out == "" && v.json {
		return "", nil
	}
	format := viz.Format(strings.TrimPrefix(strings.ToLower(filepath.Ext(v.out)), "."))
	if !slices.Contains([]viz.Format{viz.PNG, viz.SVG, viz.GIF}, format) {
		return "", &train.SettingError{Field: "out", Value: v.out, Problem: "want the name of a file that ends in " + f.endings() + ", or --json"}
	}
	if format == viz.GIF && !f.moves {
		return "", &train.SettingError{Field: "out", Value: v.out, Problem: "this figure does not move: want a file that ends in " + f.endings()}
	}
	return format, nil
}

func (v *vizFlags) theme() viz.Theme {
	if v.dark {
		return viz.Dark
	}
	return viz.Light
}

func (v *vizFlags) save(path string, f viz.Figure, format viz.Format) error {
	return store.Replace(path, func(w io.Writer) error { return viz.Write(v.ctx, w, f, format, v.theme()) })
}

// dataset is what --data names, loaded once, as the data of a model were.
func (v *vizFlags) dataset(m *model.Model) (*dataset.Dataset, error) {
	if v.loaded == nil {
		data, err := v.data.load(v.ctx, m)
		if err != nil {
			return nil, err
		}
		v.loaded = data
	}
	return v.loaded, nil
}

// open opens a network for figures without data.
func (v *vizFlags) open(name string) (*seen, error) {
	m, err := v.source.open(name)
	if err != nil {
		return nil, err
	}
	return v.see(name, m)
}

// openWithData opens networks and the data they take.
func (v *vizFlags) openWithData(names ...string) ([]*seen, *dataset.Dataset, error) {
	var all []*seen
	for _, name := range names {
		n, err := v.open(name)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, n)
	}
	data, err := v.dataset(all[0].model)
	if err != nil {
		return nil, nil, err
	}
	for _, n := range all {
		if err := fits(data, v.data.name, n.model, n.Name()); err != nil {
			return nil, nil, err
		}
	}
	return all, data, nil
}

func (v *vizFlags) one(names []string) (*seen, *dataset.Dataset, error) {
	all, data, err := v.openWithData(names[0])
	if err != nil {
		return nil, nil, err
	}
	return all[0], data, nil
}

// picture is what --image or --index names, as the network sees it.
func (v *vizFlags) picture(m *model.Model, set *dataset.Images) (viz.Picture, error) {
	if v.image == "" {
		p, err := viz.TestPicture(set, v.index)
		if err != nil {
			return p, &train.SettingError{Field: "index", Value: v.index, Problem: fmt.Sprintf("want 0 to %d", set.Len()-1)}
		}
		return p, nil
	}
	if v.data.given("index") {
		return viz.Picture{}, &train.SettingError{Field: "index", Value: v.index, Problem: fmt.Sprintf("found --image %s too: want one or the other", v.image)}
	}
	decoded, err := dataset.ReadPicture(v.ctx, v.image)
	if err != nil {
		return viz.Picture{}, err
	}
	pixels, _, err := asTrained(m, decoded, set.Rows, set.Cols, false)
	if err != nil {
		return viz.Picture{}, fmt.Errorf("%s: %w", v.image, err)
	}
	return viz.Picture{Name: v.image, Label: -1, Pixels: pixels}, nil
}

// checkUnit reports a --unit that the layer which sees the pixels does not have.
func (v *vizFlags) checkUnit(n *seen) error {
	k := slices.Index(n.Sources(), model.ReadsInputs)
	if k < 0 {
		return nil // which the figure says
	}
	if units := n.Layers()[k].Out; v.unit < viz.MostActive || v.unit >= units {
		return &train.SettingError{Field: "unit", Value: v.unit, Problem: fmt.Sprintf("%s (%s) has %d units in layer %d: want 0 to %d",
			n.Name(), n.Arch(), units, k+2, units-1)}
	}
	return nil
}

func (v *vizFlags) weights(names []string) (viz.Figure, error) {
	scale := viz.Scale(v.scale)
	if scale != viz.SharedScale && scale != viz.UnitScale {
		return nil, &train.SettingError{Field: "scale", Value: v.scale, Problem: "want shared or unit"}
	}
	n, err := v.open(names[0])
	if err != nil {
		return nil, err
	}
	rows, cols, err := n.model.ImageSize()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", n.Name(), err)
	}
	if err := v.checkUnit(n); err != nil {
		return nil, err
	}
	if v.unit >= 0 && v.data.given("scale") {
		return nil, &train.SettingError{Field: "scale", Value: v.scale, Problem: "--unit draws one unit, which shares no scale: want one or the other"}
	}
	if v.unit >= 0 {
		return viz.NewUnitWeights(v.ctx, n, rows, cols, v.unit)
	}
	return viz.NewWeights(v.ctx, n, rows, cols, scale)
}

func (v *vizFlags) blobs(names []string) (viz.Figure, error) {
	seen, data, err := v.openWithData(names...)
	if err != nil {
		return nil, err
	}
	var networks []viz.Network
	var starts []viz.Start
	for _, n := range seen {
		networks = append(networks, n)
		start, err := n.start(v)
		if err != nil {
			return nil, err
		}
		starts = append(starts, start)
	}
	return viz.NewBlobs(v.ctx, networks, starts, data.Train.Pixels, data.Train.Rows, data.Train.Cols)
}

func (v *vizFlags) mistakes(names []string) (viz.Figure, error) {
	seen, data, err := v.openWithData(names...)
	if err != nil {
		return nil, err
	}
	var networks []viz.Network
	for _, n := range seen {
		networks = append(networks, n)
	}
	layers := seen[0].Layers()
	label, guess, err := v.chosen.classes(layers[len(layers)-1].Out, classNames(seen[0].model, data.Test))
	if err != nil {
		return nil, err
	}
	m, err := viz.NewMistakes(v.ctx, networks, data.Test)
	if err == nil {
		m.Only(label, guess)
	}
	return m, err
}

func (v *vizFlags) quality(names []string) (viz.Figure, error) {
	q := &viz.Quality{}
	for _, name := range names {
		m, err := v.source.open(name)
		if err != nil {
			return nil, err
		}
		data, err := v.dataset(m)
		if err != nil {
			return nil, err
		}
		if err := fits(data, v.data.name, m, name); err != nil {
			return nil, err
		}
		network, err := infer.Open(v.exec, m, nil)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		v.opened = append(v.opened, network)
		measured, err := network.Quality(v.ctx, data.Test)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if q.Classes == nil {
			q.Classes = classNames(m, data.Test)
		}
		q.Networks = append(q.Networks, viz.Measured{Model: name, Quality: measured})
	}
	return q, nil
}

func (v *vizFlags) noise(names []string) (viz.Figure, error) {
	n, data, err := v.one(names)
	if err != nil {
		return nil, err
	}
	return viz.NewNoise(v.ctx, n, data.Test, v.seed)
}

func (v *vizFlags) robustness(names []string) (viz.Figure, error) {
	n, data, err := v.one(names)
	if err != nil {
		return nil, err
	}
	example, err := v.picture(n.model, data.Test)
	if err != nil {
		return nil, err
	}
	return viz.NewRobustness(v.ctx, n, data.Test, example)
}

func (v *vizFlags) activations(names []string) (viz.Figure, error) {
	n, data, err := v.one(names)
	if err != nil {
		return nil, err
	}
	if err := v.checkUnit(n); err != nil {
		return nil, err
	}
	picture, err := v.picture(n.model, data.Test)
	if err != nil {
		return nil, err
	}
	return viz.NewActivations(v.ctx, n, picture, data.Test.Rows, data.Test.Cols, v.unit)
}

func (v *vizFlags) morph(names []string) (viz.Figure, error) {
	n, data, err := v.one(names)
	if err != nil {
		return nil, err
	}
	p, err := n.Probabilities(v.ctx, data.Test.Pixels)
	if err != nil {
		return nil, err
	}
	if v.from == v.to {
		return nil, &train.SettingError{Field: "to", Value: v.to, Problem: "--from is the same digit: want another one"}
	}
	var ends []viz.Picture
	for _, end := range []struct {
		field string
		label int
	}{{"from", v.from}, {"to", v.to}} {
		picture, ok := firstRight(data.Test, p, end.label)
		if !ok {
			return nil, &train.SettingError{Field: end.field, Value: end.label, Problem: fmt.Sprintf(
				"%s gets no test image of that label right: want another one, of 0 to %d", n.Name(), data.Test.Classes-1)}
		}
		ends = append(ends, picture)
	}
	return viz.NewMorph(v.ctx, n, ends[0], ends[1], data.Test.Rows, data.Test.Cols)
}

// firstRight is the first image with a label that the probabilities [n, classes]
// give it.
func firstRight(set *dataset.Images, p []float32, label int) (viz.Picture, bool) {
	classes := len(p) / set.Len()
	for i, l := range set.Labels {
		if int(l) == label && kernels.Argmax(p[i*classes:(i+1)*classes]) == label {
			picture, err := viz.TestPicture(set, i)
			return picture, err == nil
		}
	}
	return viz.Picture{}, false
}

func (v *vizFlags) dream(names []string) (viz.Figure, error) {
	n, data, err := v.one(names)
	if err != nil {
		return nil, err
	}
	return viz.NewDream(v.ctx, n, data.Train, v.seed)
}

func (v *vizFlags) training(dirs []string) (viz.Figure, error) {
	var courses []viz.Course
	for _, dir := range dirs {
		c, err := v.course(dir)
		if err != nil {
			return nil, err
		}
		courses = append(courses, c...)
	}
	var networks []*seen
	for _, c := range courses {
		for _, n := range c.Networks {
			networks = append(networks, n.(*seen))
		}
	}
	var first *model.Model
	if len(networks) > 0 {
		first = networks[0].model
	}
	data, err := v.dataset(first)
	if err != nil {
		return nil, err
	}
	for _, n := range networks {
		if err := fits(data, v.data.name, n.model, n.Name()); err != nil {
			return nil, err
		}
	}
	return viz.NewTraining(v.ctx, courses, data.Test)
}
