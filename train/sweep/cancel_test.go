package sweep

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
)

// signalled is a context that is done after some looks at it, and counts the looks from then on: the units of work that
// were begun after the signal.
type signalled struct {
	context.Context
	cancel       context.CancelFunc
	before, then atomic.Int64
}

func newSignalled(t *testing.T, looks int64) *signalled {
	s := new(signalled)
	s.Context, s.cancel = context.WithCancel(t.Context())
	s.before.Store(looks)
	return s
}

func (s *signalled) Err() error {
	if s.Context.Err() != nil {
		s.then.Add(1)
	} else if s.before.Add(-1) < 0 {
		s.cancel()
	}
	return s.Context.Err()
}

// A plan of millions of points ends at the first point after the signal, whether it is drawn or counted through.
func TestNewPlanEndsWithItsContext(t *testing.T) {
	for name, change := range map[string]func(*Spec){
		"drawn": func(s *Spec) {
			s.Points, s.Space = 3_000_000, map[string]string{"lr": "0.01..1", "weight_decay": "1e-6..1e-4"}
		},
		"grid": func(s *Spec) {
			s.Points, s.Space = 0, map[string]string{"lr": "0.01..1:log:1000", "weight_decay": "1e-6..1e-4:log:1000"}
		},
	} {
		ctx := newSignalled(t, 1000)
		p, err := NewPlan(ctx, small(change), digits)
		if p != nil || !errors.Is(err, context.Canceled) {
			t.Errorf("%s: error %v", name, err)
		}
		if n := ctx.then.Load(); n > 1 {
			t.Errorf("%s: looked at %d more points after the signal", name, n)
		}
	}
}
