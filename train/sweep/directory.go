package sweep

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"vanilla/internal/store"
	"vanilla/kernels"
	"vanilla/train"
)

// What a sweep's directory holds.
const (
	// specFile is a header: what the sweep is a function of.
	specFile = "spec.json"
	// environmentFile has a line for each process that worked on the sweep.
	environmentFile = "environment.jsonl"
	// recordsFile has a line for each variant and rung.
	recordsFile    = "records.jsonl"
	compressedFile = recordsFile + ".gz"
	// modelsDir has a model file for each final variant, called by its ID.
	modelsDir = "models"
	// statesDir has what variants in training go on from. It is empty at the end.
	statesDir = "states"
	// Besides, there is what train.Claim locks.
)

// Header is what a directory's sweep is a function of: spec.json.
type Header struct {
	Version  string `json:"version"`
	Executor string `json:"executor"`
	// Arithmetic is what the bits of the records depend on besides, see
	// kernels.Executor; earlier versions did not say.
	Arithmetic string `json:"arithmetic,omitempty"`
	DataName   string `json:"data_name"` // "mnist", or that of a directory without those above it
	// DataPath is where the data were, as the command was told; "" for what is built in.
	DataPath string `json:"data_path,omitempty"`
	// DataSettings are how they were read, as the command was told.
	DataSettings map[string]string `json:"data_settings,omitempty"`
	Data         train.Fingerprint `json:"data"`
	Shard        Shard             `json:"shard"`
	Spec         Spec              `json:"spec"`
}

// Differences says in what h differs from the header that was, as it is to be
// shown in a line, or "" if in nothing.
func (h *Header) Differences(was *Header) string {
	found := h.Spec.Differences(&was.Spec)
	say := func(difference string) {
		if found != "" && difference != "" {
			found += "; "
		}
		found += difference
	}
	add := func(name string, was, is any) {
		if was != is {
			say(fmt.Sprintf("%s was %v, is %v", name, was, is))
		}
	}
	add("the version", was.Version, h.Version)
	add(`"shard"`, was.Shard.String(), h.Shard.String())
	say(h.Data.Differences(was.Data))
	return found
}

// DifferentArithmetic says that the results of h have other bits than those of
// the header that was, or "".
func (h *Header) DifferentArithmetic(was *Header) string {
	return train.DifferentArithmetic(was.Executor, was.Arithmetic, h.Executor, h.Arithmetic)
}

// Environment is what one process ran on: a line of environment.jsonl.
type Environment struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // of the source
	Go       string `json:"go"`
	System   string `json:"system"` // linux/amd64
	Host     string `json:"host"`
	Cores    int    `json:"cores"`
	Executor string `json:"executor"`
	Device   string `json:"device"`
	// Arithmetic is the executor's.
	Arithmetic string    `json:"arithmetic,omitempty"`
	Started    time.Time `json:"started"`
}

// Directory is a sweep as its directory holds it.
type Directory struct {
	Path string
	Header
	Environments []Environment
	Plan         *Plan
	// Records are in the order of the plan: stage, point, seed, rung.
	Records []Record

	board *board
	size  int64 // of the complete lines of records.jsonl
}

// Open reads a sweep's directory, whether the sweep has ended, was stopped, or is
// running. It fails if there is none, if its files do not fit each other or are
// damaged, and as [NewPlan] does when ctx is done.
func Open(ctx context.Context, path string) (*Directory, error) {
	return openPlanned(ctx, path, nil)
}

// openPlanned is Open of a directory whose plan is known, if it is not nil.
func openPlanned(ctx context.Context, path string, plan *Plan) (*Directory, error) {
	d, err := readDirectory(ctx, path, plan)
	return d, withRepair(err)
}

func readDirectory(ctx context.Context, path string, plan *Plan) (*Directory, error) {
	d := &Directory{Path: path, Plan: plan}
	var err error
	if d.Header, err = ReadHeader(path); err != nil {
		return nil, err
	}
	if plan == nil {
		d.Plan, err = NewPlan(ctx, d.Spec, d.Data)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		} else if err != nil {
			// The setting is the file's, and no flag of who reads it.
			return nil, fmt.Errorf("%s: %v", filepath.Join(path, specFile), err)
		}
	}
	if err := d.Shard.check(d.Plan); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(path, specFile), err)
	}
	f, err := openRecords(path)
	if err == nil {
		d.Records, d.size, err = ReadRecords(f)
		f.Close()
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", filepath.Join(path, recordsFile), err)
	}
	if d.board, err = newBoard(ctx, d.Plan, d.Shard, d.Records); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(path, recordsFile), err)
	}
	sortRecords(d.Records)
	d.Environments, _, err = readEnvironments(path)
	return d, err
}

// ReadHeader reads what a directory's sweep is a function of. It fails with an
// error that wraps [fs.ErrNotExist] if it holds none.
func ReadHeader(path string) (h Header, err error) {
	text, err := os.ReadFile(filepath.Join(path, specFile))
	if err != nil {
		found := ""
		if info, statErr := os.Stat(path); statErr == nil && info.IsDir() {
			found = ", which has a " + specFile
		}
		return h, fmt.Errorf("%s: expected the directory of a sweep%s: %w", path, found, store.Cause(err))
	}
	if err := store.DecodeObject(text, &h); err != nil {
		return h, fmt.Errorf("%s: expected what vanilla sweep wrote: %w", filepath.Join(path, specFile), err)
	}
	return h, nil
}

// readEnvironments reads environment.jsonl. size is the length of its complete
// lines.
func readEnvironments(path string) (environments []Environment, size int64, err error) {
	text, err := os.ReadFile(filepath.Join(path, environmentFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, 0, err
	}
	text = store.Complete(text)
	n := 0
	for line := range bytes.Lines(text) {
		n++
		var e Environment
		if err := store.DecodeLine(line, &e); err != nil {
			return nil, 0, fmt.Errorf("%s: line %d: %w", filepath.Join(path, environmentFile), n, err)
		}
		environments = append(environments, e)
	}
	return environments, int64(len(text)), nil
}

// Precision is that in which the sweep's networks were trained; if there are several, all of them: "bf16+fp32".
func (d *Directory) Precision() string {
	var found []string
	add := func(arithmetic string) {
		if p := kernels.Precision(arithmetic); !slices.Contains(found, p) {
			found = append(found, p)
		}
	}
	for _, a := range d.Arithmetics() {
		add(a)
	}
	for i := range d.Records {
		add(d.ArithmeticOf(&d.Records[i]))
	}
	return strings.Join(found, "+")
}

// ArithmeticOf is that in which a variant was trained to the rung of a record.
func (d *Directory) ArithmeticOf(r *Record) string { return cmp.Or(r.Arithmetic, d.Arithmetic) }

// Arithmetics are those in which the sweep was trained, in the order in which
// they came: of more than one, results are neither's. It is "" for one that an
// earlier version did not write down.
func (d *Directory) Arithmetics() []string {
	found := []string{d.Arithmetic}
	for _, e := range d.Environments {
		if !slices.Contains(found, e.Arithmetic) {
			found = append(found, e.Arithmetic)
		}
	}
	return found
}

// Devices are those on which the sweep was trained, each once, in the order in
// which they came.
func (d *Directory) Devices() []string {
	var found []string
	for _, e := range d.Environments {
		if !slices.Contains(found, e.Device) {
			found = append(found, e.Device)
		}
	}
	return found
}

// openRecords opens a directory's records, or if there are none, what gzip made of
// them: a sweep that has ended may be kept so.
func openRecords(dir string) (io.ReadCloser, error) {
	f, err := os.Open(filepath.Join(dir, recordsFile))
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	f, err = os.Open(filepath.Join(dir, compressedFile))
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return compressed{z, f}, nil
}

// compressed reads a gzip file.
type compressed struct {
	io.Reader
	io.Closer
}

// sortRecords brings records into the order of the plan.
func sortRecords(records []Record) {
	slices.SortFunc(records, func(a, b Record) int {
		return cmp.Or(-cmp.Compare(a.Stage, b.Stage), // search before final
			cmp.Compare(a.Index, b.Index), cmp.Compare(a.Seed, b.Seed), cmp.Compare(a.Rung, b.Rung))
	})
}

// Variant is what is known of a variant.
type Variant struct {
	Identity
	Status Status
	// Records are those of its rungs, from 0, one at least.
	Records []Record
}

// Last is the record of the last rung that the variant reached.
func (v *Variant) Last() *Record { return &v.Records[len(v.Records)-1] }

// Variants lists the variants that have a record, in the order of the plan.
func (d *Directory) Variants() []Variant {
	var variants []Variant
	for i := 0; i < len(d.Records); {
		at := d.Records[i].key()
		own := d.board.records[at]
		variants = append(variants, Variant{Identity: d.Records[i].Identity, Status: d.board.status(at), Records: own})
		i += len(own)
	}
	return variants
}

// Counts are of variants.
type Counts struct {
	// Planned are those of the search and the finals; of a shard, its part of the
	// search.
	Planned int `json:"planned"`
	// Done need no more training: they were trained to the end, or stopped because
	// others were better. Diverged ones are not among them.
	Done     int `json:"done"`
	Diverged int `json:"diverged"`
}

// Counts says how far the sweep has come. It has ended when Done and Diverged
// are what was Planned.
func (d *Directory) Counts() Counts { return d.board.counts() }

func (b *board) counts() Counts {
	search, finals := b.plan.Planned(b.shard)
	if points, known := b.finalists(); known && b.shard.whole() {
		finals = len(points) * b.plan.Spec.FinalSeeds // fewer if many diverged
	}
	c := Counts{Planned: search + finals}
	for at, records := range b.records {
		switch last := &records[len(records)-1]; {
		case last.Diverged:
			c.Diverged++
		case b.status(at) != Unfinished:
			c.Done++
		}
	}
	return c
}

// Finalist is a point that was trained again at the end, with what came of it:
// means and standard deviations (of a sample) over its final variants, of which
// there are N with a result. Without any, the means are zero.
type Finalist struct {
	Point                        Point
	N, Diverged                  int
	ValidationMean, ValidationSD float64
	TestMean, TestSD             float64
}

// Finalists lists them by their mean accuracy on the held-out images, best
// first: the first one is the sweep's answer. Those with a seed that diverged
// come last. It is empty while the search goes on.
func (d *Directory) Finalists() []Finalist { return d.board.finals() }

// ModelFile is the file of a final variant's trained network.
func (d *Directory) ModelFile(id string) string { return filepath.Join(d.Path, modelName(id)) }

func modelName(id string) string { return modelsDir + "/" + id + ".safetensors" }

// replace writes a file of the directory that readers see whole or not at all.
func replace(dir *store.Dir, name string, text []byte) error {
	return dir.Replace(name, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

// writeHeader writes spec.json.
func writeHeader(dir *store.Dir, h Header) error {
	text, err := store.EncodeObject(h)
	if err != nil {
		return err
	}
	return replace(dir, specFile, text)
}
