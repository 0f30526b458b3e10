//go:build gpu && !cpu && linux && amd64 && cgo

package cuda

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"

	"vanilla/internal/conformance"
	"vanilla/internal/cuda/driver"
	"vanilla/kernels"
)

// evaluated is what a call of Evaluate returned.
type evaluated struct {
	score kernels.Score
	err   error
}

// atOnce calls Evaluate for each variant and two splits, each call with a context of its
// own, and lets a worker free when all of them wait and before has been called.
func atOnce(t *testing.T, p *population, before func(cancel []context.CancelCauseFunc)) []evaluated {
	t.Helper()
	var workers []*worker
	for range p.workers {
		workers = append(workers, <-p.free)
	}
	results := make([]evaluated, 2*len(p.nets))
	cancel := make([]context.CancelCauseFunc, len(results))
	var calls sync.WaitGroup
	for k := range results {
		var ctx context.Context
		ctx, cancel[k] = context.WithCancelCause(t.Context())
		defer cancel[k](nil)
		calls.Go(func() {
			results[k].score, results[k].err = p.Evaluate(ctx, k/2, []kernels.Split{kernels.Validation, kernels.Test}[k%2])
		})
	}
	waitFor(p, len(results))
	if before != nil {
		before(cancel)
	}
	for _, w := range workers {
		p.free <- w
	}
	calls.Wait()
	return results
}

// waitFor returns when so many requests wait.
func waitFor(p *population, n int) {
	for waiting := -1; waiting != n; runtime.Gosched() {
		p.requests.mutex.Lock()
		waiting = len(p.requests.waiting)
		p.requests.mutex.Unlock()
	}
}

// one evaluates one after the other.
func one(t *testing.T, p *population) []evaluated {
	t.Helper()
	var all []evaluated
	for i := range p.nets {
		for _, split := range []kernels.Split{kernels.Validation, kernels.Test} {
			score, err := p.Evaluate(t.Context(), i, split)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, evaluated{score, nil})
		}
	}
	return all
}

func launchesOf(p *population) (n int) {
	for _, w := range p.workers {
		n += w.counts.evaluations
	}
	return n
}

// Three hundred calls at a time, of networks of all kinds, some of whose states are on
// the device, are a few launches, and each has the score that it has alone.
func TestEvaluationsShareLaunches(t *testing.T) {
	const n = 150
	variants := mix(t, n)
	data := conformance.Data(variants[0].Program(), 51)
	for len(data.Test.Labels) < 150 { // several chunks, the last one ragged
		data.Test.Pixels = append(data.Test.Pixels, data.Train.Pixels...)
		data.Test.Labels = append(data.Test.Labels, data.Train.Labels...)
	}
	p := prepare(t, newExecutor(t), data, variants...).(*population)
	until := targets(n)
	for i := range until {
		if i%3 == 0 {
			until[i] = 0
		}
	}
	if err := p.Advance(t.Context(), until, nil); err != nil {
		t.Fatal(err)
	}
	q := prepare(t, newExecutor(t), data, variants...).(*population) // where no state is on the device
	for i, state := range states(t, p, n) {
		if err := q.Restore(i, state); err != nil {
			t.Fatal(err)
		}
	}
	want := one(t, q)
	if alone := launchesOf(q); alone < 2*n {
		t.Errorf("%d evaluations one after the other were %d launches", 2*n, alone)
	}
	got := atOnce(t, p, nil)
	if together := launchesOf(p); together > 20 {
		t.Errorf("%d evaluations at once were %d launches", 2*n, together)
	}
	for k := range want {
		if !reflect.DeepEqual(got[k], want[k]) {
			t.Errorf("variant %d: loss %v, %d correct, %v; alone %v, %d", k/2, got[k].score.Loss, got[k].score.Correct, got[k].err, want[k].score.Loss, want[k].score.Correct)
		}
	}
	if len(p.requests.waiting) > 0 {
		t.Errorf("%d requests are left", len(p.requests.waiting))
	}
}

// A launch has no more chunks than its blocks have work for: a long split takes several,
// in which others have their part.
func TestEvaluationsInTurns(t *testing.T) {
	variants := mix(t, 4)
	data := conformance.Data(variants[0].Program(), 52)
	p := prepare(t, newExecutor(t), data, variants...).(*population)
	want := one(t, p)
	w := <-p.free
	defer func() { p.free <- w }()
	w.together = 3
	var all []*request
	for i := range p.nets {
		for _, split := range []kernels.Split{kernels.Validation, kernels.Test} {
			all = append(all, newRequest(t.Context(), &p.nets[i], split, data.Split(split)))
		}
	}
	before := w.counts.evaluations
	for left := all; len(left) > 0; {
		left = w.evaluate(left)
	}
	if launches := w.counts.evaluations - before; launches != 3 {
		t.Errorf("8 requests, three at a time, were %d launches", launches)
	}
	for k, r := range all {
		if score, err := r.result(); err != nil || !reflect.DeepEqual(score, want[k].score) {
			t.Errorf("request %d: loss %v, %v; want %v", k, score.Loss, err, want[k].score.Loss)
		}
	}
}

// A call that is cancelled while it waits returns the cause before any worker is free;
// one that a worker has returns it behind the launch. Those beside it have their scores.
func TestEvaluationCancelled(t *testing.T) {
	const n = 9
	variants := mix(t, n)
	data := conformance.Data(variants[0].Program(), 53)
	p := prepare(t, newExecutor(t), data, variants...).(*population)
	want := one(t, p)
	enough := errors.New("that is enough")
	cancelled := func(k int) bool { return k%5 == 2 }
	got := atOnce(t, p, func(cancel []context.CancelCauseFunc) {
		left := 0
		for k := range cancel {
			if cancelled(k) {
				cancel[k](enough)
			} else {
				left++
			}
		}
		waitFor(p, left) // no worker is free
	})
	for k := range got {
		switch {
		case cancelled(k) && !errors.Is(got[k].err, enough):
			t.Errorf("call %d: %v, want the cause", k, got[k].err)
		case !cancelled(k) && !reflect.DeepEqual(got[k], want[k]):
			t.Errorf("call %d: %v, loss %v, want %v", k, got[k].err, got[k].score.Loss, want[k].score.Loss)
		}
	}

	ctx, cancel := context.WithCancelCause(t.Context())
	r := newRequest(ctx, &p.nets[0], kernels.Test, data.Test)
	beside := newRequest(t.Context(), &p.nets[1], kernels.Test, data.Test)
	p.requests.add(r)
	p.requests.add(beside)
	taken := p.requests.take(1)
	cancel(enough)
	if p.requests.remove(r) {
		t.Error("a request that was taken waits")
	}
	w := <-p.free
	p.requests.put(w.evaluate(taken))
	p.free <- w
	<-r.done
	<-beside.done
	if _, err := r.result(); !errors.Is(err, enough) {
		t.Errorf("a request that a worker had: %v, want the cause", err)
	}
	if score, err := beside.result(); err != nil || !reflect.DeepEqual(score, want[3].score) {
		t.Errorf("the one beside it: %v, loss %v, want %v", err, score.Loss, want[3].score.Loss)
	}
}

// What fails a launch fails those who are in it, each by its name. Where the device has
// no memory for all of them, it has some at a time.
func TestEvaluationsFail(t *testing.T) {
	onlyStandIn(t)
	const n = 6
	variants := mix(t, n)
	data := conformance.Data(variants[0].Program(), 54)
	want := one(t, prepare(t, newExecutor(t), data, variants...).(*population))
	const prepared = 4 // allocations at least of Prepare: pixels and labels
	fewer := 0
	for _, c := range []struct {
		fail  string
		error error
	}{{"launch:1:719", driver.ErrDeviceLost}, {"alloc:%d:2", nil}} {
		for nth := range 9 {
			fail := c.fail
			if strings.Contains(fail, "%") {
				fail = fmt.Sprintf(fail, prepared+nth)
			}
			t.Setenv("VANILLA_STANDIN_FAIL", fail)
			p, err := newExecutor(t).Prepare(data, variants)
			if errors.Is(err, driver.ErrOutOfMemory) {
				continue // one of Prepare's
			}
			if err != nil {
				t.Fatal(err)
			}
			got := atOnce(t, p.(*population), nil)
			t.Setenv("VANILLA_STANDIN_FAIL", "")
			if p.(*population).workers[0].together > 0 {
				fewer++
			}
			for k := range got {
				switch {
				case c.error == nil && !reflect.DeepEqual(got[k], want[k]):
					t.Errorf("%s, call %d: %v, loss %v, want %v", fail, k, got[k].err, got[k].score.Loss, want[k].score.Loss)
				case c.error != nil && (!errors.Is(got[k].err, c.error) || !strings.Contains(got[k].err.Error(), fmt.Sprintf("variant %d: device 0", k/2))):
					t.Errorf("%s, call %d: %v", fail, k, got[k].err)
				}
			}
			if err := p.Close(); err != nil && c.error == nil {
				t.Error(err)
			}
			if c.error != nil {
				break
			}
		}
	}
	if fewer == 0 {
		t.Error("no launch was too large")
	}
}

// A population finds on the device what the one before left there: data, unless it is
// other data, wherever that lies; memory; and the pace of training.
func TestPopulationsFollow(t *testing.T) {
	const n = 8
	variants, until := mix(t, n), targets(n)
	data := conformance.Data(variants[0].Program(), 55)
	bytes := 0
	for _, s := range []kernels.Split{kernels.Train, kernels.Validation, kernels.Test} {
		bytes += len(data.Split(s).Pixels) + len(data.Split(s).Labels)
	}
	e := newExecutor(t)
	g := e.(*executor).gpus[0]
	run := func(what string, copied int) []kernels.State {
		t.Helper()
		p, err := e.Prepare(data, variants)
		if err != nil {
			t.Fatal(err)
		}
		w := p.(*population).workers[0]
		if got := w.counts.bytesData; got != copied {
			t.Errorf("%s: %d bytes of data were copied, want %d", what, got, copied)
		}
		if err := p.Advance(t.Context(), until, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Evaluate(t.Context(), 1, kernels.Test); err != nil {
			t.Fatal(err)
		}
		all := states(t, p, n)
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		return all
	}
	first := run("the first population", bytes)
	w := g.spare.worker
	if w == nil || *w.pace(class{}) == 0 || len(w.plans) > 0 {
		t.Fatalf("the worker that is left is %+v", w)
	}
	sameStates(t, "the second population", run("the second one", 0), first)
	data.Train.Pixels = append([]byte{}, data.Train.Pixels...)
	sameStates(t, "a copy of the data", run("a copy of the data", 0), first)
	data.Train.Pixels[0]++ // in place
	fresh := train(t, newExecutor(t), data, variants, until)
	sameStates(t, "other data in the same place", run("other data in the same place", len(data.Train.Pixels)), fresh)

	p := prepare(t, e, data, variants...)
	if g.spare.worker != nil {
		t.Error("a worker is spare beside the population that has it")
	}
	q := prepare(t, e, data, variants...).(*population)
	if got := q.workers[0].counts.bytesData; got != bytes {
		t.Errorf("beside another population %d bytes were copied, want %d", got, bytes)
	}
	if err := errors.Join(p.Close(), q.Close()); err != nil || g.spare.worker != w {
		t.Errorf("of two populations the first one's worker is left: %v", err)
	}
}

// What a spare worker has is there for others who need it.
func TestSpareMemory(t *testing.T) {
	onlyStandIn(t)
	t.Setenv("VANILLA_STANDIN_MEMORY", fmt.Sprint(8<<20))
	e := newExecutor(t)
	variants, until := mix(t, 4), targets(4)
	data := conformance.Data(variants[0].Program(), 56)
	p, err := e.Prepare(data, variants)
	if err == nil {
		err = p.Advance(t.Context(), until, nil)
	}
	if err == nil {
		err = p.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	g := e.(*executor).gpus[0]
	if g.spare.worker == nil {
		t.Fatal("no worker is left")
	}
	other := &worker{gpu: g}
	var all buffer
	if err := other.fit(&all, 8<<20); err != nil || g.spare.worker != nil {
		t.Errorf("all memory of the device: %v", err)
	}
	if err := other.empty(&all); err != nil {
		t.Error(err)
	}
}
