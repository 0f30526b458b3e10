package device

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"vanilla/graph/ir"
	"vanilla/kernels"
)

// auto is what the device auto means where there are GPUs: they train what they
// can, and the CPU the rest. Which of them trains a network depends on its program
// and batch size alone.
type auto struct {
	kernels.Executor // the GPUs'
	cpu              kernels.Executor
	refuses          func(p *ir.Program, batch int) error
	told             sync.Once
	tell             func(line string)
}

// Tell calls line when networks first come to be trained on the CPU because the
// GPUs that auto chose cannot run their programs.
func Tell(exec kernels.Executor, line func(string)) {
	if a, ok := exec.(*auto); ok {
		a.tell = line
	}
}

// For is the executor for these variants, all that it will train: exec itself, or
// where exec is auto's the GPUs' or the CPU's alone if all run there. Where all could
// run on the GPUs, the CPU trains what it is expected to train about as fast. What a run
// records of its executor is then true. exec must stay open. variants is called only
// where there is a choice; its error is For's.
func For(exec kernels.Executor, variants func() ([]kernels.Variant, error)) (kernels.Executor, error) {
	a, ok := exec.(*auto)
	if !ok {
		return exec, nil
	}
	all, err := variants()
	if err != nil {
		return nil, err
	}
	gpu, cpu, why := a.split(all)
	switch {
	case len(cpu) == 0:
		c, known, err := a.cost(all)
		if err == nil && known && c.cheaper() {
			a.say(len(all), len(all), errors.New(c.String()))
			return a.cpu, nil
		}
		return a.Executor, err
	case len(gpu) > 0:
		return exec, nil
	}
	a.say(len(cpu), len(all), why)
	return a.cpu, nil
}

// split divides variants by what trains them, and says why the first of those that
// the CPU trains does.
func (a *auto) split(variants []kernels.Variant) (gpu, cpu []int, why error) {
	for i, v := range variants {
		err := a.refuses(v.Program(), v.Batch)
		if err == nil {
			gpu = append(gpu, i)
		} else if cpu = append(cpu, i); why == nil {
			why = err
		}
	}
	return gpu, cpu, why
}

func (a *auto) say(some, of int, why error) {
	a.told.Do(func() {
		if a.tell == nil {
			return
		}
		which := "the network"
		if of > 1 {
			which = fmt.Sprintf("%d of the first %d networks", some, of)
		}
		a.tell(fmt.Sprintf("the CPU trains %s: %v", which, why))
	})
}

func (a *auto) Device() string {
	return a.Executor.Device() + "; what it cannot run: " + a.cpu.Device()
}

func (a *auto) Prepare(data kernels.Data, variants []kernels.Variant) (kernels.Population, error) {
	if err := kernels.Check(&data, variants); err != nil {
		return nil, err
	}
	gpu, cpu, why := a.split(variants)
	if len(cpu) == 0 {
		return a.Executor.Prepare(data, variants)
	}
	a.say(len(cpu), len(variants), why)
	m := &mixed{at: make([]location, len(variants)), cores: make(chan struct{}, runtime.GOMAXPROCS(0))}
	for _, part := range []struct {
		exec kernels.Executor
		all  []int
	}{{a.cpu, cpu}, {a.Executor, gpu}} {
		if len(part.all) == 0 {
			continue
		}
		chosen := make([]kernels.Variant, len(part.all))
		for k, i := range part.all {
			chosen[k] = variants[i]
			m.at[i] = location{len(m.parts), k}
		}
		p, err := part.exec.Prepare(data, chosen)
		if err != nil {
			return nil, errors.Join(err, m.Close())
		}
		m.parts, m.variants, m.arithmetics = append(m.parts, p), append(m.variants, part.all), append(m.arithmetics, part.exec.Arithmetic())
	}
	return m, nil
}

func (a *auto) Infer(source kernels.Source, params [][]float32, batch int) (kernels.Inference, error) {
	if source != nil && a.refuses(source.Lowered(), batch) != nil {
		return a.cpu.Infer(source, params, batch)
	}
	return a.Executor.Infer(source, params, batch)
}

func (a *auto) Explain(source kernels.Source, o kernels.Optimizer) ([]string, error) {
	if err := a.refuses(source.Lowered(), 0); err != nil {
		lines, explainErr := a.cpu.Explain(source, o)
		return append([]string{fmt.Sprintf("the CPU trains it: %v", err)}, lines...), explainErr
	}
	return a.Executor.Explain(source, o)
}

func (a *auto) Close() error { return errors.Join(a.Executor.Close(), a.cpu.Close()) }

// mixed is a population that two executors train at the same time, or the CPU alone in
// the GPUs' place.
type mixed struct {
	parts       []kernels.Population
	variants    [][]int    // of each part
	arithmetics []string   // of each part
	at          []location // of each variant
	// cores bounds the evaluations on the CPU at a time, each of which takes memory:
	// callers may be as many as are worth it on the GPUs.
	cores chan struct{}
}

// onCPU is the index of the part that the CPU trains. There may be no other.
const onCPU = 0

// ArithmeticOf is what kernels.ArithmeticOf asks for.
func (m *mixed) ArithmeticOf(i int) string { return m.arithmetics[m.at[i].part] }

// location is the population that a variant is in, and its index there.
type location struct{ part, variant int }

func (m *mixed) find(i int) (kernels.Population, int, error) {
	if i < 0 || i >= len(m.at) {
		return nil, 0, fmt.Errorf("variant %d of %d", i, len(m.at))
	}
	return m.parts[m.at[i].part], m.at[i].variant, nil
}

// Advance ends all parts when one fails.
func (m *mixed) Advance(ctx context.Context, until []int, report func(kernels.Report)) error {
	if len(until) != len(m.at) {
		return fmt.Errorf("%d targets for %d variants", len(until), len(m.at))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var reporting sync.Mutex
	var working sync.WaitGroup
	for k, p := range m.parts {
		targets := make([]int, len(m.variants[k]))
		for j, i := range m.variants[k] {
			targets[j] = until[i]
		}
		working.Go(func() {
			err := p.Advance(ctx, targets, func(r kernels.Report) {
				if report == nil {
					return
				}
				r.Variant = m.variants[k][r.Variant]
				reporting.Lock()
				defer reporting.Unlock()
				report(r)
			})
			if err != nil {
				cancel(err)
			}
		})
	}
	working.Wait()
	return context.Cause(ctx)
}

func (m *mixed) Evaluate(ctx context.Context, i int, split kernels.Split) (kernels.Score, error) {
	p, k, err := m.find(i)
	if err != nil {
		return kernels.Score{}, err
	}
	if m.at[i].part == onCPU {
		m.cores <- struct{}{}
		defer func() { <-m.cores }()
	}
	return p.Evaluate(ctx, k, split)
}

func (m *mixed) State(i int) (kernels.State, error) {
	p, k, err := m.find(i)
	if err != nil {
		return kernels.State{}, err
	}
	return p.State(k)
}

func (m *mixed) Restore(i int, s kernels.State) error {
	p, k, err := m.find(i)
	if err != nil {
		return err
	}
	return p.Restore(k, s)
}

func (m *mixed) Close() error {
	var errs []error
	for _, p := range slices.Backward(m.parts) {
		errs = append(errs, p.Close())
	}
	m.parts = nil
	return errors.Join(errs...)
}
