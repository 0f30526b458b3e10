package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"vanilla/model"
	"vanilla/model/export"
	"vanilla/train"
)

// exportFlags are the flags of the command export.
type exportFlags struct {
	source
	out string
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

PyTorch needs no export: safetensors.torch.load_file gives the state_dict of a
torch.nn.Sequential of Linear layers with activations between them.

MODEL is default or lesson, which are built in, or a safetensors file: one that vanilla
wrote, or a state_dict of dense layers with --activation and --loss.`,
		Example: `  vanilla export default -o default.onnx
  vanilla export model.safetensors -o model.npz
  vanilla export state_dict.safetensors --activation relu --loss cross-entropy -o mlp.json`,
		Args: modelArgument,
		RunE: func(c *cobra.Command, args []string) error { return e.run(args[0], c.OutOrStdout()) },
	}
	c.Flags().SortFlags = false
	c.Flags().StringVarP(&e.out, "out", "o", "", "`file` to write, whose name ends in "+list(extensions()))
	e.source.flags(c)
	return c
}

func (e *exportFlags) run(name string, stdout io.Writer) error {
	format, ok := export.FormatOf(e.out)
	if !ok {
		return &train.SettingError{Flag: "--out", Value: e.out, Problem: "want the name of a file that ends in one of " + list(extensions())}
	}
	m, err := e.source.open(name)
	if err != nil {
		return err
	}
	data, err := format.Encode(m)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	err = model.Replace(e.out, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%s: %s %s, saved in %s\n", name, m.Arch, m.Activation, e.out)
	return err
}

func extensions() (all []string) {
	for _, f := range export.Formats() {
		all = append(all, f.Extension)
	}
	return all
}
