package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"vanilla/graph"
	"vanilla/infer"
	"vanilla/kernels"
	"vanilla/model"
	"vanilla/model/zoo"
	"vanilla/train"
)

// source is how a command's MODEL is opened: a network of the zoo, a file that
// vanilla wrote, or a PyTorch state_dict together with what it does not say.
type source struct{ activation, loss string }

func (s *source) flags(c *cobra.Command) {
	c.Flags().StringVar(&s.activation, "activation", "", "hidden layers' activation, by `name`, where MODEL is a PyTorch state_dict: "+list(graph.ActivationNames()))
	c.Flags().StringVar(&s.loss, "loss", "", "loss, by `name`, where MODEL is a PyTorch state_dict: "+list(graph.LossNames()))
}

// open opens the network that the user calls name: a chain of layers, or one whose file holds its program. It fails if a
// parameter is not finite: the network diverged, or its file is damaged, and what it says of images means nothing.
func (s *source) open(name string) (*model.Model, error) {
	m, err := s.read(name)
	if err != nil {
		return nil, err
	}
	return m, allFinite(name, m)
}

// read is open of any numbers.
func (s *source) read(name string) (*model.Model, error) {
	if err := oneMeaning(name, zoo.Names(), "network"); err != nil {
		return nil, err
	}
	for _, f := range []struct {
		field, value string
		names        []string
	}{{"activation", s.activation, graph.ActivationNames()}, {"loss", s.loss, graph.LossNames()}} {
		if f.value == "" {
			continue
		}
		if err := kernels.CheckName(f.field, f.value, f.names); err != nil {
			return nil, err
		}
	}
	m, err := zoo.Open(name)
	if errors.Is(err, model.ErrPlain) {
		if s.activation == "" || s.loss == "" {
			return nil, fmt.Errorf("%w: if it is a PyTorch state_dict, say what it does not hold with --activation and --loss", err)
		}
		return model.ReadPlain(name, s.activation, s.loss)
	}
	if err != nil {
		return nil, err
	}
	if m.Arch == "" && m.Program == "" {
		return nil, fmt.Errorf("%s: the network is not a chain of layers, and the file holds no program: only what built its graph can run it", name)
	}
	for _, f := range []struct{ field, value, own string }{{"activation", s.activation, m.Activation}, {"loss", s.loss, m.Loss}} {
		if f.value != "" && f.value != f.own {
			return nil, &train.SettingError{Field: f.field, Value: f.value, Problem: fmt.Sprintf("%s says that it is %s: want no flag", name, f.own)}
		}
	}
	return m, nil
}

// modelArgument is the Args of commands that have one argument, MODEL.
func modelArgument(c *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return fmt.Errorf("want a model file, as in %s model.safetensors", c.CommandPath())
	case len(args) > 1:
		return fmt.Errorf("unexpected argument %q: want one model file", args[1])
	}
	return nil
}

// allFinite fails if a parameter of the network called name is not finite.
func allFinite(name string, m *model.Model) error {
	for i, p := range m.Params {
		for _, v := range p.Data {
			if x := float64(v); math.IsNaN(x) || math.IsInf(x, 0) {
				return fmt.Errorf("%s: parameter %s: expected finite values, found %v", name, m.Names()[i], v)
			}
		}
	}
	return nil
}

// finiteOutputs fails if the network called name has an output that is not finite on the images. Parameters that are
// finite can still overflow.
func finiteOutputs(ctx context.Context, name string, network *infer.Network, pixels []byte) error {
	if len(pixels) == 0 {
		return nil
	}
	if _, err := network.Probabilities(ctx, pixels); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// oneMeaning fails if name is that of something built in and of a file here, so that nobody gets the other one unseen.
func oneMeaning(name string, builtIn []string, what string) error {
	if !slices.Contains(builtIn, name) {
		return nil
	}
	if info, err := os.Stat(name); err != nil || info.IsDir() {
		return nil
	}
	return fmt.Errorf("%s: this is a %s that is built in, and a file here: want .%c%s for the file, or the file under another name", name, what, filepath.Separator, name)
}

// await is what do returns, or the cause of ctx as soon as that is done: for what opens and reads files, which may be
// pipes without a writer. What do does then is no longer wanted.
func await[T any](ctx context.Context, do func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := do()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}
