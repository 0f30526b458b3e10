package sweep

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"vanilla/internal/store"
	"vanilla/model"
)

// withRepair says what to do about what is damaged.
func withRepair(err error) error {
	if errors.Is(err, store.ErrDamaged) {
		return fmt.Errorf("%w: \"resume\" with \"repair\" trains again what was lost", err)
	}
	return err
}

// Repairs are what [Options.Repair] did.
type Repairs struct {
	// Lines are those of records.jsonl, from 1, that were no records of the sweep.
	// Environments are those of environment.jsonl.
	Lines, Environments []int
	// Again are variants that have records, but lost one or their model: they are
	// trained again from there, finals from the beginning. Variants of which no
	// record is left are not among them: they are as if they had not begun.
	Again []Identity
	// Dropped is the file that has the lines that were dropped, or "".
	Dropped string
}

// droppedFile has the lines that the last repair dropped.
const droppedFile = "dropped.jsonl"

// repair drops the lines that are damaged and what cannot be without them, and
// the finals whose models are lost. States that are damaged are left out by the
// journal.
func repair(ctx context.Context, own *store.Dir, plan *Plan) (r Repairs, err error) {
	text, err := os.ReadFile(own.Path(recordsFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return r, err
	}
	lines := slices.Collect(bytes.Lines(store.Complete(text)))
	read, whole := make([]Record, len(lines)), make([]bool, len(lines))
	var records []Record
	for i, line := range lines {
		if whole[i] = store.DecodeLine(line, &read[i]) == nil && read[i].check() == nil; whole[i] {
			records = append(records, read[i])
		}
	}
	if err := plan.grow(ctx, records); err != nil {
		return r, err
	}
	records = records[:0]
	var dropped []byte
	for i, line := range lines {
		if !whole[i] || !plan.has(&read[i]) {
			r.Lines = append(r.Lines, i+1)
			dropped = append(dropped, line...)
			continue
		}
		records = append(records, read[i])
	}
	sortRecords(records)
	var kept []Record
	for len(records) > 0 {
		n := 1
		for n < len(records) && records[n].key() == records[0].key() {
			n++
		}
		of := records[:n]
		records = records[n:]
		whole := n
		if last := &of[n-1]; last.TestAccuracy != nil && !modelIsWhole(own.Path(modelName(last.ID))) {
			whole = 0
		}
		for rung := range whole {
			if of[rung].Rung != rung {
				whole = rung
				break
			}
		}
		kept = append(kept, of[:whole]...)
		if whole == n {
			continue
		}
		r.Again = append(r.Again, of[0].Identity)
		lines, err := encode(of[whole:])
		if err != nil {
			return r, err
		}
		dropped = append(dropped, lines...)
	}
	if len(dropped) > 0 {
		lines, err := encode(kept)
		if err == nil {
			r.Dropped = own.Path(droppedFile)
			err = replace(own, droppedFile, dropped)
		}
		if err == nil {
			err = replace(own, recordsFile, lines)
		}
		if err != nil {
			return r, err
		}
	}
	return r, r.environments(own)
}

// environments drops damaged lines of environment.jsonl.
func (r *Repairs) environments(own *store.Dir) error {
	text, err := os.ReadFile(own.Path(environmentFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var kept []byte
	n := 0
	for line := range bytes.Lines(store.Complete(text)) {
		n++
		if store.DecodeLine(line, new(Environment)) != nil {
			r.Environments = append(r.Environments, n)
			continue
		}
		kept = append(kept, line...)
	}
	if r.Environments == nil {
		return nil
	}
	return replace(own, environmentFile, kept)
}

// checkModels fails if a final's model is not there or damaged.
func (d *Directory) checkModels() error {
	for i := range d.Records {
		if r := &d.Records[i]; r.TestAccuracy != nil {
			if _, err := model.Read(d.ModelFile(r.ID)); err != nil {
				return fmt.Errorf("%w: want the file back, or \"repair\" to train it again", err)
			}
		}
	}
	return nil
}

func modelIsWhole(path string) bool {
	_, err := model.Read(path)
	return err == nil
}
