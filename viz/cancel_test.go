package viz

import (
	"bytes"
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

// cancelAt ends a context when it draws the given frame.
type cancelAt struct {
	frame  int
	cancel context.CancelFunc
	drawn  []int
}

func (f *cancelAt) page() page {
	return page{title: "frames", width: 40, height: 20, frames: 9, body: func(_ *canvas, frame int) {
		if f.drawn = append(f.drawn, frame); frame == f.frame {
			f.cancel()
		}
	}}
}

// A moving figure draws no frame after its context is done, and writes nothing.
func TestAnimationEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := &cancelAt{frame: 3, cancel: cancel}
	var b bytes.Buffer
	if err := Write(ctx, &b, f, GIF, Light); !errors.Is(err, context.Canceled) || b.Len() > 0 {
		t.Errorf("error %v, %d bytes", err, b.Len())
	}
	if len(f.drawn) != 4 {
		t.Errorf("drew frames %v, want those up to 3", f.drawn)
	}
}
