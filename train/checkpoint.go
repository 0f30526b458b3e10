package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/nlpodyssey/safetensors"

	"vanilla/internal/store"
	"vanilla/kernels"
)

// A checkpoint is a safetensors file. Its metadata holds a saved in JSON, its
// tensors are named
//
//	0.W1        the parameter W1 of network 0
//	0.W1.slot1  array 1 that the optimizer keeps for it
//	0.W1.best   its value after the best epoch, if the recipe has patience
//
// and have one dimension: what has meaning is only their order.

// saved is what a checkpoint knows besides arrays.
type saved struct {
	Run          identity
	HistoryBytes int64   // of history.jsonl
	HistorySum   *uint32 `json:",omitempty"` // the CRC-32C of these bytes; earlier versions wrote none
	Seconds      float64
	Pending      []Record
	Variants     []savedVariant `json:"Members"`
	// Mixed are the arithmetics in which the run was gone on with, other than
	// its own, in the order in which they came.
	Mixed []string `json:",omitempty"`
	// Settings are Options.Settings of the process that began the run.
	Settings map[string]string `json:",omitempty"`

	file safetensors.SafeTensors
}

type savedVariant struct {
	progress
	LossSum Loss // of the current epoch's batches, see kernels.State
}

// metadataKey is where the metadata hold a saved.
const metadataKey = "vanilla_checkpoint"

// identity is what a run is a function of.
type identity struct {
	Version, Executor string
	Arithmetic        string // see kernels.Executor; earlier versions did not say
	Data              Fingerprint
	Snapshots         Snapshots
	Specs             []Spec
	Programs          []string // their names
}

func (l *loop) identity(exec kernels.Executor) identity {
	run := identity{Version: l.options.Version, Executor: exec.Name(), Arithmetic: exec.Arithmetic(), Data: FingerprintOf(l.data), Snapshots: l.options.Snapshots}
	for i := range l.variants {
		spec := l.variants[i].spec
		spec.Network = nil
		run.Specs = append(run.Specs, spec)
		run.Programs = append(run.Programs, l.variants[i].Variant.Program().Name)
	}
	return run
}

// differences says in what a run differs from the one that was, as it is to be
// shown in a line, or "" if in nothing.
func (run identity) differences(was identity) string {
	var found []string
	add := func(name string, was, is any) {
		if !reflect.DeepEqual(was, is) {
			found = append(found, fmt.Sprintf("%s was %v, is %v", name, was, is))
		}
	}
	add("the version", was.Version, run.Version)
	add(quoted("snapshots"), was.Snapshots.String(), run.Snapshots.String())
	if d := run.Data.Differences(was.Data); d != "" {
		found = append(found, d)
	}
	add("the number of networks", len(was.Specs), len(run.Specs))
	for i := range min(len(was.Specs), len(run.Specs)) {
		of := ""
		if len(run.Specs) > 1 {
			of = fmt.Sprintf(" of network %d", i)
		}
		a, b := was.Specs[i], run.Specs[i]
		add(quoted("seed")+of, a.Seed, b.Seed)
		add(quoted("order_seed")+of, a.OrderSeed, b.OrderSeed)
		add(quoted("from")+of, a.From.String(), b.From.String())
		fields, others := fieldsOf(&a.Recipe), fieldsOf(&b.Recipe)
		for _, name := range fieldNames() {
			add(quoted(name)+of, fields[name].Interface(), others[name].Interface())
		}
		if a.Recipe == b.Recipe {
			add("the program"+of, was.Programs[i], run.Programs[i])
		}
	}
	return strings.Join(found, "; ")
}

// DifferentArithmetic says that what was begun on one executor would go on in
// the arithmetic of another, or "" if the bits would be the same. Earlier
// versions did not write down what they computed in: was is "" then.
func DifferentArithmetic(wasExecutor, was, executor, is string) string {
	switch {
	case wasExecutor != executor:
		return fmt.Sprintf(`"executor" was %s, is %s`, wasExecutor, executor)
	case was == is:
		return ""
	case was == "":
		return fmt.Sprintf("the arithmetic was not written down by the vanilla that began it, is %q", is)
	}
	return fmt.Sprintf("the arithmetic was %q, is %q", was, is)
}

// quoted is how texts name a field.
func quoted(field string) string { return `"` + field + `"` }

// Differences says in what the data differ from those that were, or "" if in nothing.
func (f Fingerprint) Differences(was Fingerprint) string {
	switch {
	case was == f:
		return ""
	case was.size() == f.size():
		return `"data" has other images, labels or names, or was prepared otherwise`
	}
	return fmt.Sprintf(`"data" was %s, is %s`, was.size(), f.size())
}

func (f Fingerprint) size() string {
	return fmt.Sprintf("%d + %d images of %dx%d in %d classes", f.Train, f.Test, f.Rows, f.Columns, f.Classes)
}

// checkpoint writes where all networks stand, if there is a history, and it is
// time or it must be.
func (l *loop) checkpoint(must bool) error {
	h := l.history
	if h == nil || !must && !h.due(l.options.CheckpointEvery) {
		return nil
	}
	start := time.Now()
	if err := h.flush(); err != nil {
		return err
	}
	s := saved{Run: h.run, HistoryBytes: h.written, HistorySum: &h.sum, Seconds: l.seconds, Pending: l.pending, Mixed: l.mixed, Settings: l.options.Settings}
	arrays := map[string]store.Tensor{}
	for i := range l.variants {
		v := &l.variants[i]
		state, err := l.population.State(i)
		if err != nil {
			return err
		}
		s.Variants = append(s.Variants, savedVariant{v.progress, Loss(state.LossSum)})
		for j, name := range v.arrayNames(i) {
			arrays[name] = store.Vector(state.Params[j])
			for k, slot := range kernels.ParamSlots(state.Slots, j, len(state.Params)) {
				arrays[slotName(name, k)] = store.Vector(slot)
			}
			if v.best != nil {
				arrays[bestName(name)] = store.Vector(v.best[j])
			}
		}
	}
	metadata, err := json.Marshal(s)
	if err != nil {
		return err
	}
	err = h.dir.ReplaceTensors(checkpointFile, arrays, map[string]string{metadataKey: string(metadata)})
	h.last = time.Now()
	h.cost = h.last.Sub(start)
	return err
}

// arrayNames are what a checkpoint calls the parameters of network i.
func (v *variant) arrayNames(i int) []string {
	p := v.Variant.Program()
	names := make([]string, len(p.Params))
	for j, q := range p.Params {
		names[j] = fmt.Sprintf("%d.%s", i, p.Value(q.Value).Name)
	}
	return names
}

func slotName(array string, k int) string { return fmt.Sprintf("%s.slot%d", array, k) }
func bestName(array string) string        { return array + ".best" }

func checkpointPath(dir string) string { return filepath.Join(dir, checkpointFile) }

// readCheckpoint reads what checkpoint wrote.
func readCheckpoint(path string) (s saved, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return s, err
	}
	var metadata map[string]string
	s.file, metadata, err = store.ParseTensors(data, len(data))
	if err == nil {
		err = json.Unmarshal([]byte(metadata[metadataKey]), &s)
	}
	if err == nil && (len(s.Variants) != len(s.Run.Specs) || len(s.Run.Programs) != len(s.Run.Specs)) {
		err = errors.New("the networks' number is not the same everywhere")
	}
	if err != nil {
		return s, fmt.Errorf("%s: not a checkpoint that vanilla wrote: %.200v", path, err)
	}
	return s, nil
}

// floats is a tensor's values.
func (s *saved) floats(name string) ([]float32, error) {
	view, ok := s.file.Tensor(name)
	if !ok || view.DType() != safetensors.F32 {
		return nil, fmt.Errorf("no float32 tensor %s", name)
	}
	return store.Values(view), nil
}

// restore makes the loop go on from a checkpoint of the same run.
func (l *loop) restore(s saved) error {
	h := l.history
	if err := h.cutTo(s.HistoryBytes, s.HistorySum); err != nil {
		return err
	}
	h.last = time.Now()
	l.seconds, l.pending, l.mixed = s.Seconds, s.Pending, s.Mixed
	if s.Settings != nil {
		l.options.Settings = s.Settings
	}
	if arithmetic := l.arithmetic; arithmetic != h.run.Arithmetic && !slices.Contains(l.mixed, arithmetic) {
		l.mixed = append(l.mixed, arithmetic)
	}
	for i := range l.variants {
		v := &l.variants[i]
		if err := v.restore(i, &s, l.population); err != nil {
			return fmt.Errorf("%s: %w", h.dir.Path(checkpointFile), err)
		}
		if err := l.checkSnapshots(v, i); err != nil {
			return err
		}
	}
	return nil
}

func (v *variant) restore(i int, s *saved, population kernels.Population) error {
	kept := s.Variants[i]
	v.progress = kept.progress
	state := kernels.State{Step: v.Step, LossSum: float64(kept.LossSum), Diverged: v.Diverged}
	names := v.arrayNames(i)
	var err error
	read := func(to *[][]float32, name string) {
		values, e := s.floats(name)
		err = errors.Join(err, e)
		*to = append(*to, values)
	}
	for _, name := range names {
		read(&state.Params, name)
		if v.Best != nil {
			read(&v.best, bestName(name))
		}
	}
	for k := range v.Variant.Optimizer.Slots() {
		for _, name := range names {
			read(&state.Slots, slotName(name, k))
		}
	}
	if err != nil {
		return err
	}
	return population.Restore(i, state)
}
