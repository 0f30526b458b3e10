package viz

import (
	"context"
	"errors"
	"runtime"
	"testing"
)

// A figure runs no more images after its context is done: one for each core is asked for and refused, at most.
func TestFiguresEndWithTheirContext(t *testing.T) {
	set := images(20)
	for name, make := range map[string]func(ctx context.Context, n Network) error{
		"mistakes": func(ctx context.Context, n Network) error { return second(NewMistakes(ctx, []Network{n}, set)) },
		"noise":    func(ctx context.Context, n Network) error { return second(NewNoise(ctx, n, set, 1)) },
		"robustness": func(ctx context.Context, n Network) error {
			return second(NewRobustness(ctx, n, set, picture(t, 1)))
		},
		"activations": func(ctx context.Context, n Network) error {
			if _, err := NewActivations(ctx, n, picture(t, 1), side, side, MostActive); err != nil {
				return err
			}
			return second(NewActivations(ctx, n, picture(t, 1), side, side, MostActive))
		},
		"morph": func(ctx context.Context, n Network) error {
			return second(NewMorph(ctx, n, picture(t, 0), picture(t, 3), side, side))
		},
		"dream": func(ctx context.Context, n Network) error { return second(NewDream(ctx, n, set, 1)) },
		"training": func(ctx context.Context, n Network) error {
			return second(NewTraining(ctx, []Course{{Steps: []int{1}, Networks: []Network{n}}}, set))
		},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		n := bars(true)
		n.signal = cancel
		n.before.Store(1)
		if err := make(ctx, n); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: error %v", name, err)
		}
		if after := n.after.Load(); after > int64(runtime.GOMAXPROCS(0)) {
			t.Errorf("%s: asked for %d images after the signal", name, after)
		}
	}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	for name, err := range map[string]error{
		"weights": second(NewWeights(done, bars(true), side, side, SharedScale)),
		"blobs":   second(NewBlobs(done, []Network{bars(true)}, []Start{nil}, set.Pixels, side, side)),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
