package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"vanilla/dataset"
	"vanilla/infer"
	"vanilla/internal/store"
	"vanilla/internal/words"
	"vanilla/kernels"
	"vanilla/mnist"
	"vanilla/model"
	"vanilla/train"
	"vanilla/viz"
)

// predictFlags are the flags of the command predict.
type predictFlags struct {
	executorFlags
	source
	data      dataSource
	show      string
	raw, json bool
}

func predictCommand() *cobra.Command {
	var p predictFlags
	c := &cobra.Command{
		Use:   "predict MODEL IMAGE…",
		Short: "Say which digit, or other class, each image shows",
		Long: `Predict says which class a network takes each image for, and how probable it finds
every class.

Images are ` + dataset.Formats() + ` files of any size, with one dark or light
digit on a plain background; a frame around it is removed, and so is the table that a
sheet of paper lies on. Photos are turned upright as their EXIF data say. Each image is
made to look like MNIST's: light on black, cropped to the digit, scaled to fit a box of
20 x 20 pixels, and placed in 28 x 28 pixels by its centre of mass (in proportion for
other sizes). On MNIST's own test images that changes accuracy by less than 0.1
percentage points. --raw takes images as they are, --show draws what the network sees.
What looks like a frame, like several digits or like no digit gets a warning, and so
does 1 % of MNIST's test images at most.

A network that was trained on other data knows what was done to them. If they were
files of pictures, the same is done to an image: it is made grey, scaled, inverted,
transposed; also if vanilla data -o wrote them as IDX. If they were arrays (IDX, .csv,
.npz) of shapes on an even background, an image is cut to its shape, which is made as
large as theirs, and light or dark as theirs. It is taken to be upright: arrays that lie
on their side, as EMNIST's, are turned upright by --transpose in training, and a picture
needs no turn. --raw takes an image as it is in those arrays, and does to it what was
done to them.

Probabilities are the softmax of the network's outputs. A network trained with the
quadratic loss, such as lesson, has no softmax: its outputs are shown as they are, each
from 0 to 1, and do not sum to 1.

MODEL is default or lesson, which are built in, or a safetensors file: one that vanilla
wrote, or a state_dict of dense layers with --activation and --loss.`,
		Example: `  vanilla predict default digit.png
  vanilla predict model.safetensors digit.png digit.jpg --json
  vanilla predict default digit.png --show seen.png
  vanilla predict lesson --data mnist --json`,
		Args: p.arguments,
		RunE: func(c *cobra.Command, args []string) error {
			p.data.of(c)
			if p.data.name == "" {
				if err := refuse(c.Flags(), "it says how --data are read; with a picture is done what the model says: want --data, or no flag", among(dataFlagNames...)); err != nil {
					return err
				}
			}
			return p.run(c, args[0], args[1:])
		},
	}
	c.Flags().SortFlags = false
	c.Flags().BoolVar(&p.raw, "raw", false, "take images as they are in the data: of their size, grey values from 0 (black) as pixels")
	c.Flags().StringVar(&p.show, "show", "", "where to draw the images as the network saw them, a `file` whose name ends in .png or .svg")
	p.data.addTo(c.Flags(), "", "instead of images, the test images of: "+dataUsage)
	p.executorFlags.flags(c)
	p.source.flags(c)
	c.Flags().BoolVar(&p.json, "json", false, "print one JSON object for each image, on a line of its own")
	return c
}

// arguments checks how many images there are.
func (p *predictFlags) arguments(c *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return fmt.Errorf("want a model and images, as in %s default digit.png", c.CommandPath())
	case len(args) == 1 && p.data.name == "":
		return fmt.Errorf("want images after the model, as in %s %s digit.png, or --data", c.CommandPath(), args[0])
	case len(args) > 1 && p.data.name != "":
		return fmt.Errorf("--data %s: found the image %q too: want one or the other", p.data.name, args[1])
	case p.show != "" && p.data.name != "":
		return fmt.Errorf("--show: images of --data are not drawn: want one or the other")
	case p.show != "" && drawingOf(p.show) == "":
		return &train.SettingError{Field: "show", Value: p.show, Problem: "want the name of a file that ends in .png or .svg"}
	case p.raw && p.data.name != "":
		return fmt.Errorf("--raw: images of --data are always taken as they are: want one or the other")
	}
	return nil
}

func (p *predictFlags) run(c *cobra.Command, name string, files []string) (err error) {
	if p.show != "" {
		if err := keepApart(append([]string{name}, files...), output{"--show", p.show}); err != nil {
			return err
		}
		if err := writable("--show", p.show); err != nil {
			return err
		}
	}
	exec, err := p.executorFlags.open()
	if err != nil {
		return err
	}
	defer closing(exec, &err)
	v := &predictor{json: p.json, name: name, show: p.show}
	if v.model, err = p.source.open(name); err != nil {
		return err
	}
	if v.network, err = infer.Open(exec, v.model, nil); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	defer closing(v.network, &err)
	v.names = v.model.Classes
	out := bufio.NewWriter(c.OutOrStdout())
	if p.data.name != "" {
		err = v.predictSet(c.Context(), out, &p.data)
	} else {
		err = v.predictFiles(c.Context(), out, c.ErrOrStderr(), files, p.raw)
	}
	if flushErr := out.Flush(); err == nil { // err may be the same one
		err = flushErr
	}
	return err
}

// predictor is a network that says what images show.
type predictor struct {
	network *infer.Network
	model   *model.Model
	name    string // of the model
	json    bool
	show    string
	names   []string // of the classes, nil if they are called by their numbers
}

// prediction is what --json prints for an image: a file, or one of a data set.
type prediction struct {
	File          *string   `json:"file,omitempty"`
	Image         *int      `json:"image,omitempty"`
	Label         *byte     `json:"label,omitempty"`
	Class         int       `json:"class"`
	Name          string    `json:"name,omitempty"` // of the class, if it has one
	Probabilities []float32 `json:"probabilities"`
	// Doubts are why the image may not be one digit.
	Doubts []string `json:"doubts,omitempty"`
}

// knownShapes are MNIST's, to compare shapes with, or nil if the network takes
// other images.
func (v *predictor) knownShapes(rows, cols int) (*mnist.Likeness, error) {
	data, err := embedded()
	if err != nil {
		return nil, err
	}
	if set := data.Train; rows != set.Rows || cols != set.Cols || v.network.Classes() != set.Classes {
		return nil, nil
	}
	return mnist.NewLikeness(data.Train), nil
}

// draw draws what the network saw.
func (v *predictor) draw(ctx context.Context, shown *viz.Pictures) error {
	return store.Replace(v.show, func(w io.Writer) error { return viz.Write(ctx, w, shown, drawingOf(v.show), viz.Light) })
}

// drawingOf is the format that the name of a file for a drawing ends in, or "".
func drawingOf(path string) viz.Format {
	f := viz.Format(strings.TrimPrefix(strings.ToLower(filepath.Ext(path)), "."))
	if f != viz.PNG && f != viz.SVG {
		return ""
	}
	return f
}

// predictFiles predicts one image after the other. Those that cannot be read do
// not keep it from the rest.
func (v *predictor) predictFiles(ctx context.Context, out *bufio.Writer, stderr io.Writer, files []string, raw bool) error {
	rows, cols, err := v.model.ImageSize()
	if err != nil {
		return fmt.Errorf("%s: %w", v.name, err)
	}
	var known *mnist.Likeness
	if !raw && v.model.Classes == nil && v.model.Data == nil {
		if known, err = v.knownShapes(rows, cols); err != nil {
			return err
		}
	}
	if batch := v.network.Batch(); batch > 0 {
		return fmt.Errorf("%s: what the network makes of an image depends on the rest of its batch of %d, so no image has an answer by itself: --data predicts the test images of a set in batches", v.name, batch)
	}
	shown := viz.Pictures{Model: v.name, Rows: rows, Cols: cols, Softmax: v.network.Softmax(), Classes: v.names}
	failures := 0
	for i, file := range files {
		if ctx.Err() != nil {
			return fmt.Errorf("interrupted after %d of %d images", i, len(files))
		}
		picture, err := dataset.ReadPicture(ctx, file)
		if ctx.Err() != nil {
			return fmt.Errorf("interrupted after %d of %d images", i, len(files))
		}
		var pixels []byte
		var doubts []string
		if err == nil {
			pixels, doubts, err = asTrained(v.model, picture, rows, cols, raw)
			if err != nil {
				err = fmt.Errorf("%s: %w", file, err)
			}
		}
		if err != nil {
			if len(files) == 1 {
				return err
			}
			failures++
			fmt.Fprintln(stderr, words.OneLine(err.Error()))
			continue
		}
		probabilities, err := v.probabilities(ctx, pixels)
		if err != nil {
			return err
		}
		if known != nil && len(doubts) == 0 {
			if doubt := known.Doubt(pixels); doubt != "" {
				doubts = append(doubts, doubt)
			}
		}
		for _, d := range doubts {
			fmt.Fprintf(stderr, "%s: %s\n", words.OneLine(file), d)
		}
		r := v.prediction(probabilities)
		r.File, r.Doubts = &file, doubts
		if v.json {
			err = writeJSON(out, r)
		} else {
			err = printPrediction(out, r, v.names, v.network.Softmax(), i > failures)
		}
		if err != nil {
			return err
		}
		shown.Seen = append(shown.Seen, viz.Seen{Name: filepath.Base(file), Class: r.Class, Probability: float64(probabilities[r.Class]), Pixels: pixels})
	}
	if v.show != "" && len(shown.Seen) > 0 {
		if err := v.draw(ctx, &shown); err != nil {
			return err
		}
	}
	if failures > 0 {
		return fmt.Errorf("%d of %d images could not be used", failures, len(files))
	}
	return nil
}

// predictSet predicts the test images of a data set, in one line each.
func (v *predictor) predictSet(ctx context.Context, out *bufio.Writer, source *dataSource) error {
	data, err := source.load(ctx, v.model)
	if err != nil {
		return err
	}
	if err := fits(data, source.name, v.model, v.name); err != nil {
		return err
	}
	all, err := v.probabilities(ctx, data.Test.Pixels)
	if err != nil {
		return err
	}
	classes := len(all) / data.Test.Len()
	v.names = classNames(v.model, data.Test)
	for i, label := range data.Test.Labels {
		row := all[i*classes : (i+1)*classes]
		r := v.prediction(row)
		r.Image, r.Label = &i, &label
		if v.json {
			err = writeJSON(out, r)
		} else {
			_, err = fmt.Fprintf(out, "image %-5d label %s  predicted %s  %8s\n", i, v.padded(int(label)), v.padded(r.Class), certainty(row[r.Class], v.network.Softmax()))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (v *predictor) probabilities(ctx context.Context, pixels []byte) ([]float32, error) {
	p, err := v.network.Probabilities(ctx, pixels)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", v.name, err)
	}
	return p, nil
}

// certainty is what the network says of its class: a probability, or a sigmoid's
// output, which is a share of nothing.
func certainty(output float32, softmax bool) string {
	if softmax {
		return percent(float64(output))
	}
	return fmt.Sprintf("output %.4f", output)
}

// prediction is what the network says of one image.
func (v *predictor) prediction(probabilities []float32) prediction {
	r := prediction{Class: kernels.Argmax(probabilities), Probabilities: probabilities}
	if v.names != nil {
		r.Name = v.names[r.Class]
	}
	return r
}

// padded is what a class is called, as wide as all are in a table.
func (v *predictor) padded(class int) string {
	width := 0
	for c := range v.names {
		width = max(width, len([]rune(columnName(v.names, c))))
	}
	name := columnName(v.names, class)
	return name + strings.Repeat(" ", max(0, width-len([]rune(name))))
}

// printPrediction is a prediction for people, after an empty line if it is not
// the first.
func printPrediction(w io.Writer, r prediction, names []string, softmax, next bool) error {
	var b bytes.Buffer
	if next {
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "%s: %s (%s)\n", words.OneLine(*r.File), dataset.ClassName(names, r.Class), certainty(r.Probabilities[r.Class], softmax))
	rows := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(rows, "class\t")
	for class := range r.Probabilities {
		fmt.Fprintf(rows, "%s\t", columnName(names, class))
	}
	unit, factor := "%", float32(100)
	if !softmax {
		unit, factor = "output", 1
	}
	fmt.Fprintf(rows, "\n%s\t", unit)
	for _, p := range r.Probabilities {
		fmt.Fprintf(rows, "%.2f\t", factor*p)
	}
	fmt.Fprintln(rows)
	rows.Flush()
	_, err := w.Write(b.Bytes())
	return err
}
