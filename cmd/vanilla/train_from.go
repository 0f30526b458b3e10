package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/pflag"

	"vanilla/dataset"
	"vanilla/internal/store"
	"vanilla/model"
	"vanilla/model/zoo"
	"vanilla/train"
)

// baseSpec is what the recipe begins with: what --recipe names or, without it, that
// of the network that --from names, with seeds of its own.
func (t *trainFlags) baseSpec(ctx context.Context, flags *pflag.FlagSet) (train.Spec, error) {
	if t.from == "" {
		if flags.Changed("from") {
			return train.Spec{}, &train.SettingError{Field: "from", Value: "", Problem: "want a model"}
		}
		return baseSpec(ctx, t.base)
	}
	m, err := await(ctx, func() (*model.Model, error) {
		var of source
		m, err := of.open(t.from)
		if errors.Is(err, model.ErrPlain) && flags.Changed("activation") && flags.Changed("loss") { // a state_dict
			of = source{flags.Lookup("activation").Value.String(), flags.Lookup("loss").Value.String()}
			m, err = of.open(t.from)
		}
		return m, err
	})
	if err != nil {
		return train.Spec{}, fmt.Errorf("--from %w", err)
	}
	sum, err := sumOf(t.from, m)
	if err != nil {
		return train.Spec{}, fmt.Errorf("--from %w", err)
	}
	t.known = m
	if t.From, err = train.NewStart(m, t.from, sum); err != nil {
		return train.Spec{}, fmt.Errorf("--from %s: %w", t.from, err)
	}
	if flags.Changed("recipe") {
		return baseSpec(ctx, t.base)
	}
	spec, err := train.SpecOf(m)
	if err != nil { // of a state_dict, which has no recipe
		spec.Recipe = train.Default()
		if m.Arch == "" {
			return spec, fmt.Errorf("--from %s: want the model of a network that vanilla train made, whose recipe says what to train, or --recipe beside it, of a network with the same weights: %w", t.from, err)
		}
		spec.Recipe.Arch, spec.Recipe.Activation, spec.Recipe.Loss = m.Arch, m.Activation, m.Loss
	}
	spec.Seed, spec.OrderSeed, spec.From = 1, 1, nil
	return spec, nil
}

// sumOf is the SHA-256 of a model's file; of a network that is built in, of what its
// file would be.
func sumOf(name string, m *model.Model) (string, error) {
	data, err := os.ReadFile(name)
	if slices.Contains(zoo.Names(), name) {
		data, err = m.Encode()
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, store.Cause(err))
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

// read loads the data. Classes that the network of --from knows keep their outputs.
func (t *trainFlags) read(ctx context.Context) (*dataset.Dataset, error) {
	if t.known == nil {
		return t.data.load(ctx, nil)
	}
	o, err := t.data.options(t.known)
	if err != nil {
		return nil, err
	}
	o.Grow = true
	return t.data.open(ctx, o)
}
