package main

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/spf13/cobra"

	"vanilla/graph"
	"vanilla/model"
	"vanilla/model/zoo"
	"vanilla/train"
)

// source is how a command's MODEL is opened: a network of the zoo, a file that
// vanilla wrote, or a PyTorch state_dict together with what it does not say.
type source struct{ activation, loss string }

func (s *source) flags(c *cobra.Command) {
	c.Flags().StringVar(&s.activation, "activation", "", "`name` of the hidden layers' activation where MODEL is a PyTorch state_dict: "+list(activationNames()))
	c.Flags().StringVar(&s.loss, "loss", "", "`name` of the loss where MODEL is a PyTorch state_dict: "+list(lossNames()))
}

// open opens the network, a chain of layers, that the user calls name.
func (s *source) open(name string) (*model.Model, error) {
	for _, f := range []struct {
		flag, value string
		names       []string
	}{{"--activation", s.activation, activationNames()}, {"--loss", s.loss, lossNames()}} {
		if f.value != "" && !slices.Contains(f.names, f.value) {
			return nil, &train.SettingError{Flag: f.flag, Value: f.value, Problem: "want one of " + list(f.names)}
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
	if m.Arch == "" {
		return nil, fmt.Errorf("%s: the network is not a chain of layers: only the program that built its graph can run it", name)
	}
	for _, f := range []struct{ flag, value, own string }{{"--activation", s.activation, m.Activation}, {"--loss", s.loss, m.Loss}} {
		if f.value != "" && f.value != f.own {
			return nil, &train.SettingError{Flag: f.flag, Value: f.value, Problem: fmt.Sprintf("%s says that it is %s: want no flag", name, f.own)}
		}
	}
	return m, nil
}

func lossNames() []string { return []string{string(graph.CrossEntropy), string(graph.Quadratic)} }

// modelArgument is the Args of commands that have one argument, MODEL.
func modelArgument(c *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return fmt.Errorf("want a model file, as in %s model.safetensors", c.CommandPath())
	case len(args) > 1:
		return fmt.Errorf("found the argument %q: want one model file", args[1])
	}
	return nil
}

// allFinite fails if a parameter of the network called name is not finite: it diverged, or its file is damaged, and
// what it says of images means nothing.
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
