package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"vanilla/infer"
	"vanilla/internal/store"
	"vanilla/internal/words"
	"vanilla/kernels/device"
	"vanilla/model"
	"vanilla/model/export"
	"vanilla/train"
)

// exportFlags are the flags of the command export.
type exportFlags struct {
	source
	data dataSource
	out  string
	// imageless is why a page holds no images, "" if it does.
	imageless string
}

func exportCommand() *cobra.Command {
	var e exportFlags
	c := &cobra.Command{
		Use:   "export MODEL -o FILE",
		Short: "Write a network for other programs",
		Long: `Export writes a network in the format that the file's name ends in:

  .onnx  ONNX, operator set 13: pixels [N, inputs] from 0 to 1 give probabilities
         [N, classes], which are the softmax of the last layer, or its sigmoids for
         a network trained with the quadratic loss (these do not sum to 1)
  .npz   NumPy: arrays 0.weight [out, in], 0.bias [out], 2.weight, … as float32
  .json  JSON: arch, activation, loss, and layers with weight [out][in] and bias [out]
  .html  the page of vanilla serve, without training, as one file that needs no server:
         with 100 test images of --data, some of which the network gets wrong

Networks that are no chains of layers, with blocks, norms or from graphs of your own, are
written to .onnx operation by operation, as they are evaluated: without dropout. Their
parameters are written to .npz; .json and .html hold chains alone.

PyTorch needs no export: safetensors.torch.load_file gives the state_dict of a
torch.nn.Sequential of Linear layers with activations between them.

MODEL is default or lesson, which are built in, or a safetensors file: one that vanilla
wrote, or a state_dict of dense layers with --activation and --loss.`,
		Example: `  vanilla export default -o default.onnx
  vanilla export model.safetensors -o model.npz
  vanilla export lesson -o demo.html
  vanilla export state_dict.safetensors --activation relu --loss cross-entropy -o mlp.json`,
		Args: modelArgument,
		RunE: func(c *cobra.Command, args []string) error {
			return e.run(c.Context(), args[0], c.Flags().Changed("data"), c.OutOrStdout())
		},
	}
	c.Flags().SortFlags = false
	c.Flags().StringVarP(&e.out, "out", "o", "", "where to write, a `file` whose name ends in "+list(extensions()))
	c.Flags().StringVar(&e.data.name, "data", "mnist", "for .html, whose test images: "+dataUsage+"; read as the model says")
	e.source.flags(c)
	return c
}

// pageExtension is that of files that are pages.
const pageExtension = ".html"

func (e *exportFlags) run(ctx context.Context, name string, dataGiven bool, stdout io.Writer) error {
	format, ok := export.FormatOf(e.out)
	asPage := strings.EqualFold(filepath.Ext(e.out), pageExtension)
	if !ok && !asPage {
		return &train.SettingError{Field: "out", Value: e.out, Problem: "want the name of a file that ends in one of " + list(extensions())}
	}
	if dataGiven && !asPage {
		return &train.SettingError{Field: "data", Value: e.data.name, Problem: "only pages hold images: want --out with the name of a file that ends in " + pageExtension}
	}
	if err := keepApart([]string{name, e.data.name}, output{"--out", e.out}); err != nil {
		return err
	}
	m, err := e.source.open(name)
	if err != nil {
		return err
	}
	if err := overflows(ctx, name, m); err != nil {
		return err
	}
	var b bytes.Buffer
	if asPage {
		err = e.page(ctx, &b, name, m, dataGiven)
	} else {
		var data []byte
		data, err = format.Encode(m)
		b.Write(data)
		if err != nil {
			err = fmt.Errorf("%s: %w", name, err)
		}
	}
	if err != nil {
		return err
	}
	err = store.Replace(e.out, func(w io.Writer) error {
		_, err := w.Write(b.Bytes())
		return err
	})
	if err != nil {
		return err
	}
	without := ""
	if e.imageless != "" {
		without = ", without images: " + e.imageless
	}
	_, err = fmt.Fprintf(stdout, "%s: %s, saved in %s%s\n", words.OneLine(name), m.Title(), words.OneLine(e.out), without)
	return err
}

// probes is how many images overflows looks at.
const probes = 64

// overflows fails if the network has outputs that are not finite, on images from black to white and on noise: whoever
// reads the file would find out later.
func overflows(ctx context.Context, name string, m *model.Model) (err error) {
	p := executorFlags{device: "cpu", executor: device.Fast}
	exec, err := p.open()
	if err != nil {
		return err
	}
	defer closing(exec, &err)
	network, err := infer.Open(exec, m, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	defer closing(network, &err)
	random := rand.New(rand.NewPCG(1, 2))
	pixels := make([]byte, probes*network.Inputs())
	for i := range pixels {
		if image := i / network.Inputs(); image < probes/2 {
			pixels[i] = byte(255 * image / (probes/2 - 1))
		} else {
			pixels[i] = byte(random.IntN(256))
		}
	}
	return finiteOutputs(ctx, name, network, pixels)
}

// page writes the network as a page. MNIST's images are left out where the network does not take them.
func (e *exportFlags) page(ctx context.Context, w io.Writer, name string, m *model.Model, dataGiven bool) (err error) {
	var v vizFlags
	if err := v.prepare(ctx); err != nil {
		return err
	}
	defer closing(&v, &err)
	n, err := v.see(name, m)
	if err != nil {
		return err
	}
	data, err := e.data.load(ctx, m)
	if err == nil {
		err = fits(data, e.data.name, m, name)
	}
	if err != nil {
		if dataGiven {
			return err
		}
		data, e.imageless = nil, misfit(err)
	}
	return writePage(ctx, w, n, data)
}

func extensions() (all []string) {
	for _, f := range export.Formats() {
		all = append(all, f.Extension)
	}
	return append(all, pageExtension)
}
