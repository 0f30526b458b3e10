package train

import (
	"context"
	"errors"
	"time"

	"vanilla/kernels"
	"vanilla/model"
)

// View is a run that stands still between two steps, for who watches it. It must
// not be kept. Networks are counted from 0, as specs are.
type View struct {
	ctx  context.Context
	loop *loop
}

// Pace says when a run is to be looked at again: after Steps of every network or,
// if that is 0, after Time. With both 0 that is at its end.
type Pace struct {
	Steps int
	Time  time.Duration
}

// Done is closed when the run is to stop: who waits while a run stands still waits
// for that too.
func (v View) Done() <-chan struct{} { return v.ctx.Done() }

// Step is how many steps network i has trained, of how many, and how many an
// epoch has.
func (v View) Step(i int) (step, total, perEpoch int) {
	one := &v.loop.variants[i]
	return one.Step, one.total, one.perEpoch
}

// Diverged says whether network i was stopped because its loss was not finite.
func (v View) Diverged(i int) bool { return v.loop.variants[i].Diverged }

// Params are network i's weights [out, in] and biases [out] at the moment. They are
// the caller's.
func (v View) Params(i int) ([][]float32, error) {
	state, err := v.loop.population.State(i)
	return state.Params, err
}

// Test scores network i on the test images, which takes the time of a part of an
// epoch.
func (v View) Test(i int) (kernels.Score, error) {
	return v.loop.population.Evaluate(context.WithoutCancel(v.ctx), i, kernels.Test)
}

// Model is network i with parameters that Params returned and its accuracy on the
// test images.
func (v View) Model(i int, params [][]float32, accuracy float64) (*model.Model, error) {
	one := &v.loop.variants[i]
	return v.loop.model(one, params, one.Step, accuracy)
}

// errLook ends a leg of training after which the run is looked at.
var errLook = errors.New("the run is looked at")

// leg is the part of a round until the run is looked at: it shortens what is to be
// done, or limits its time.
func (l *loop) leg(ctx context.Context, until []int) (context.Context, context.CancelFunc) {
	if l.options.Watch == nil {
		return ctx, func() {}
	}
	pace := l.options.Watch(View{ctx, l})
	if pace.Steps > 0 {
		for i := range until {
			until[i] = min(until[i], l.variants[i].Step+pace.Steps)
		}
	} else if pace.Time > 0 {
		return context.WithTimeoutCause(ctx, pace.Time, errLook)
	}
	return ctx, func() {}
}
