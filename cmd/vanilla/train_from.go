package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"vanilla/dataset"
	"vanilla/internal/store"
	"vanilla/internal/words"
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
		spec, m, err := baseOf(ctx, t.base)
		if t.like = m; m != nil {
			t.goOn(flags, train.PrecisionOf(m))
		}
		return spec, err
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
	spec, err := train.SpecOf(m)
	if err != nil && m.Arch != "" { // of a state_dict, which has no recipe
		spec.Recipe = train.Default()
		spec.Recipe.Arch, spec.Recipe.Activation, spec.Recipe.Loss = m.Arch, m.Activation, m.Loss
	}
	t.knownRecipe = spec.Recipe
	switch {
	case flags.Changed("recipe"):
		return baseSpec(ctx, t.base)
	case spec.Recipe.Arch == "":
		return spec, fmt.Errorf("--from %s: want the model of a network that vanilla train made, whose recipe says what to train, or --recipe beside it, of a network with the same weights: %w", t.from, err)
	}
	spec.Seed, spec.OrderSeed, spec.From = 1, 1, nil
	return spec, nil
}

// noteFrom says in what the network to train differs from the one that --from names, whose weights fit it all the same:
// they were trained for other functions.
func (t *trainFlags) noteFrom(stderr io.Writer) {
	was, is := t.knownRecipe, t.Recipe
	if t.known == nil || was.Arch == "" {
		return
	}
	var found []string
	for _, s := range []struct{ name, was, is string }{
		{"activation", hiddenActivations(was), hiddenActivations(is)},
		{"loss", was.Loss, is.Loss},
		{"block", cmp.Or(was.Block, "none"), cmp.Or(is.Block, "none")},
		{"norm", cmp.Or(was.Norm, "none"), cmp.Or(is.Norm, "none")},
	} {
		if s.was != s.is {
			found = append(found, fmt.Sprintf("%s %s in place of %s", s.name, s.is, s.was))
		}
	}
	if found != nil {
		fmt.Fprintf(stderr, "from: not as %s was trained: %s\n", words.OneLine(t.from), list(found))
	}
	if widths, err := model.Widths(is.Arch); err == nil && t.given["init"] && widths[len(widths)-1] <= t.From.Outputs {
		fmt.Fprintf(stderr, "from: --init does nothing: all weights are those of %s\n", words.OneLine(t.from))
	}
}

// hiddenActivations are those of a recipe's hidden layers: one name if they have the same.
func hiddenActivations(r train.Recipe) string {
	widths, own, err := model.ParseArch(r.Arch)
	if err != nil {
		return r.Activation
	}
	var names []string
	for l := 1; l < len(widths)-1; l++ {
		name := r.Activation
		if own != nil {
			name = cmp.Or(own[l], name)
		}
		names = append(names, name)
	}
	if same := slices.Compact(slices.Clone(names)); len(same) == 1 {
		names = same
	}
	return strings.Join(names, "-")
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

// read loads the data. Classes that the network of --from knows keep their outputs. What no flag says of how they are
// read is as it was with that network, or with the one that --recipe names.
func (t *trainFlags) read(ctx context.Context) (*dataset.Dataset, error) {
	if t.known == nil {
		return t.data.loadLike(ctx, t.like, t.base)
	}
	o, err := t.data.options(t.known)
	if err != nil {
		return nil, err
	}
	o.Grow = true
	return t.data.open(ctx, o)
}
