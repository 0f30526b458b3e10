package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vanilla/dataset"
	"vanilla/kernels"
	"vanilla/model"
	"vanilla/train"
	"vanilla/viz"
)

// augmentFlags are a recipe's flags that change images, and the seed.
func augmentFlags(v *vizFlags, c *cobra.Command) {
	c.Flags().Uint64Var(&v.seed, "order-seed", 1, "seed `number` of the order of the images and of what happens to them")
	v.changes = imageFlags(new(train.Recipe))
	v.changes.VisitAll(func(f *pflag.Flag) {
		if f.Name != "noise-share" {
			c.Flags().AddFlag(f)
		}
	})
	v.data.howTo(c.Flags())
}

// augmentable are the data whose training images are drawn: of a model, as its were. Test images are not wanted.
func (v *vizFlags) augmentable(m *model.Model) (*dataset.Dataset, error) {
	if v.loaded != nil { // for all figures of the model
		return v.loaded, nil
	}
	if m != nil && v.data.name == "mnist" {
		if err := mnistsClasses(m.Classes); err != nil {
			return nil, err
		}
	}
	o, err := v.data.optionsLike(m)
	if err != nil {
		return nil, err
	}
	data, err := v.data.open(v.ctx, o)
	if errors.Is(err, dataset.ErrNoTest) {
		o.Untested = true
		data, err = v.data.open(v.ctx, o)
	}
	return data, err
}

// augment draws what the recipe that a name stands for makes of the first training
// images.
func (v *vizFlags) augment(names []string) (viz.Figure, error) {
	spec, m, err := baseOf(v.ctx, names[0])
	if err != nil {
		return nil, err
	}
	base, r := spec.Recipe, spec.Recipe
	given := map[string]bool{}
	imageFlags(&r).VisitAll(func(f *pflag.Flag) {
		if v.changes == nil { // all figures of a model are drawn
			return
		}
		if set := v.changes.Lookup(f.Name); set.Changed {
			err = errors.Join(err, f.Value.Set(set.Value.String()))
			given[fieldOf(f)] = true
		}
	})
	if err != nil {
		return nil, err
	}
	r.Follow(base, func(field string) bool { return given[field] })
	data, err := v.augmentable(m)
	if err != nil {
		return nil, err
	}
	if err := r.Check(); err != nil {
		return nil, err
	}
	a := &viz.Augmented{Recipe: names[0], Rows: data.Train.Rows, Cols: data.Train.Cols, Seed: v.seed}
	for _, c := range []struct {
		text  string
		value float64
	}{
		{"moved by up to %g px", float64(r.Shift)}, {"turned by up to %g°", r.Rotate}, {"stretched by up to %g", r.Scale}, {"slanted by up to %g", r.Shear},
		{"strokes by up to %g px", r.Stroke}, {fmt.Sprintf("bent by %%g px averaged with σ = %g px", r.ElasticSigma), r.Elastic},
	} {
		if c.value != 0 {
			a.Changes = append(a.Changes, fmt.Sprintf(c.text, c.value))
		}
	}
	if a.Changes == nil {
		return nil, usagef("the recipe %s changes no images: want one that does, or flags, as in --rotate 15", names[0])
	}
	r.NoiseShare = 0 // which changes no image, but takes its place
	variant := train.Spec{Recipe: r, OrderSeed: v.seed}.Variant(nil)
	rows := make([]int32, min(viz.AugmentedRows, data.Train.Len()))
	for i := range rows {
		rows[i] = int32(i)
		a.Labels = append(a.Labels, int(data.Train.Labels[i]))
		a.Original = append(a.Original, data.Train.Image(i))
	}
	a.Changed = make([][][]byte, len(rows))
	for epoch := range viz.AugmentedEpochs {
		e, err := kernels.Augmented(train.Data(data), variant, epoch, 0, rows)
		if err != nil {
			return nil, err
		}
		for i := range rows {
			a.Changed[i] = append(a.Changed[i], e.Row(i))
		}
	}
	return a, nil
}
