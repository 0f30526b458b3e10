package sweep

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"vanilla/internal/store"
	"vanilla/train"
)

// Stage is what a variant is trained for.
type Stage string

const (
	// Search variants are what the space holds: all points with all seeds.
	Search Stage = "search"
	// Final variants are the finalists again, from the beginning, with seeds that
	// the search has not seen. They alone meet the test images.
	Final Stage = "final"
)

// Identity says which variant of a plan a record is about.
type Identity struct {
	// ID is a hash of all that a variant is a function of: its recipe, seeds and
	// data. Point is one of the same without the seeds.
	ID    string `json:"id"`
	Point string `json:"point"`
	Stage Stage  `json:"stage"`
	// Index is the point's number in the plan, Bracket that of the group in which
	// it was selected. Finalists keep both.
	Index   int `json:"index"`
	Bracket int `json:"bracket"`
	// Seed determines the initial weights, OrderSeed the order of examples.
	Seed       uint64 `json:"seed"`
	OrderSeed  uint64 `json:"order_seed"`
	Parameters int    `json:"parameters"`
	// Recipe is the whole recipe; its fields stand beside the others in JSON. Its
	// Epochs are those of the last rung.
	train.Recipe
}

// Record is what is known of a variant at one rung: a line of records.jsonl.
// Records of equal sweeps in one arithmetic are equal but for Seconds and Time, and
// the order of lines.
type Record struct {
	Identity
	// Rung counts from 0. Epoch and Step count what is completed, which is that
	// rung's epochs unless the variant diverged.
	Rung  int `json:"rung"`
	Epoch int `json:"epoch"`
	Step  int `json:"step"`
	// Losses are those of the epochs since the rung before, each the mean over the
	// epoch's images, measured in the batches that trained them. TrainLoss is the
	// last of them.
	Losses    []train.Loss `json:"losses"`
	TrainLoss train.Loss   `json:"train_loss"`
	// What was scored at this rung: on the held-out images, and after the last
	// rung of a final variant on the test images. Nil if diverged.
	ValidationLoss     *train.Loss `json:"validation_loss"`
	ValidationAccuracy *float64    `json:"validation_accuracy"`
	TestLoss           *train.Loss `json:"test_loss,omitempty"`
	TestAccuracy       *float64    `json:"test_accuracy,omitempty"`
	// Diverged variants were stopped: this is their last record.
	Diverged bool `json:"diverged"`
	// Stuck says how the network has not learned, up to this rung: by its scores on the
	// held-out images and, after the last rung of a final variant, by its dead units.
	Stuck []train.Stuck `json:"stuck,omitempty"`
	// Arithmetic is that in which the variant was trained to this rung, where it is not [Header]'s: the sweep was gone on
	// with in another, or the CPU trains what GPUs cannot.
	Arithmetic string `json:"arithmetic,omitempty"`
	// Seconds is the time for which the sweep had trained, in all processes
	// together that worked on this directory one after the other; Time is the
	// clock's.
	Seconds float64   `json:"seconds"`
	Time    time.Time `json:"time"`
}

// ReadRecords reads records, one JSON object on each line. size is the length of
// what it read: a last line without its end is left out, because it is being
// written or its writer was killed. It fails if a line is no record, and names
// it.
func ReadRecords(r io.Reader) (records []Record, size int64, err error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, 0, err
	}
	data = store.Complete(data)
	lines := slices.Collect(bytes.Lines(data))
	records = make([]Record, len(lines))
	// 100,000 lines take seconds, so all cores decode.
	failures := make([]error, len(lines))
	var workers sync.WaitGroup
	var next atomic.Int64
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			const chunk = 256
			for from := int(next.Add(chunk)) - chunk; from < len(lines); from = int(next.Add(chunk)) - chunk {
				for i := from; i < min(from+chunk, len(lines)); i++ {
					if failures[i] = store.DecodeLine(lines[i], &records[i]); failures[i] == nil {
						if err := records[i].check(); err != nil {
							failures[i] = fmt.Errorf("%w: %w", store.ErrDamaged, err)
						}
					}
				}
			}
		})
	}
	workers.Wait()
	for i, err := range failures {
		if err != nil {
			return nil, 0, fmt.Errorf("line %d: expected a record of a variant, one JSON object: %w", i+1, err)
		}
	}
	return records, int64(len(data)), nil
}

// check says what a record lacks that every one has.
func (r *Record) check() error {
	fraction := func(a *float64) bool { return a != nil && *a >= 0 && *a <= 1 }
	switch {
	case r.ID == "":
		return errors.New("found none with an id")
	case r.Diverged:
		return nil
	case !fraction(r.ValidationAccuracy) || r.ValidationLoss == nil:
		return errors.New("found a validation_accuracy that is no fraction, or no validation_loss, of a variant that did not diverge")
	case r.TestAccuracy != nil && !fraction(r.TestAccuracy):
		return fmt.Errorf("found a test_accuracy of %v: want a fraction", *r.TestAccuracy)
	}
	return nil
}

// encode is records as lines.
func encode(records []Record) ([]byte, error) {
	var lines []byte
	for i := range records {
		var err error
		if lines, err = store.AppendLine(lines, &records[i]); err != nil {
			return nil, err
		}
	}
	return lines, nil
}
