package train

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path"
	"time"

	"vanilla/internal/claim"
	"vanilla/internal/store"
	"vanilla/kernels"
	"vanilla/model"
)

// What a history's directory holds.
const (
	recordsFile    = "history.jsonl"
	checkpointFile = "checkpoint.safetensors"
	snapshotsDir   = "snapshots"
)

// history is the directory of a run. A checkpoint says how many bytes of the
// records belong to it, and records are on the disk before the checkpoint that
// counts them is. So what a killed run leaves is its last checkpoint, and perhaps
// records and snapshots beyond it: the former are cut off, the latter will be
// written again.
type history struct {
	name    string // of the directory
	dir     *store.Dir
	run     identity
	records *os.File
	written int64  // bytes of records
	sum     uint32 // their CRC-32C
	buffer  []byte // records to be written
	// The last checkpoint: when it was complete, and how long it took.
	last time.Time
	cost time.Duration
}

// openHistory begins the loop's history, or makes the loop go on from it.
func (l *loop) openHistory(exec kernels.Executor) error {
	h := &history{name: l.options.History, run: l.identity(exec)}
	var err error
	if h.dir, err = claim.Directory("history", h.name, store.History); err != nil {
		return err
	}
	l.history = h
	saved, err := readCheckpoint(h.dir.Path(checkpointFile))
	begun := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if info, err := os.Stat(h.dir.Path(recordsFile)); err == nil && !begun && info.Size() > 0 {
		return wrong("history", h.name, fmt.Sprintf("found %s, but no %s to continue from: want another directory", recordsFile, checkpointFile))
	}
	if begun && !l.options.Resume {
		return wrong("history", h.name, "holds a run: want \"resume\" to go on with it, or another directory")
	}
	if begun {
		if differences := h.run.differences(saved.Run); differences != "" {
			return wrong("resume", h.name, "holds another run: "+differences)
		}
		different := DifferentArithmetic(saved.Run.Executor, saved.Run.Arithmetic, h.run.Executor, h.run.Arithmetic)
		if different != "" && !l.options.AllowMixed {
			return wrong("resume", h.name, "holds a run that would end in other bytes here: "+different+": \"allow_mixed\" goes on with it nevertheless")
		}
		// The run stays what it was begun as.
		h.run.Executor, h.run.Arithmetic = saved.Run.Executor, saved.Run.Arithmetic
	}
	if err := h.dir.RemoveUnfinished(checkpointFile); err != nil {
		return err
	}
	if h.records, err = h.dir.OpenLines(recordsFile); err != nil {
		return err
	}
	if begun {
		err = l.restore(saved)
	} else {
		err = l.checkpoint(true)
	}
	if err != nil {
		return err
	}
	// A checkpoint is younger than the snapshots up to its step, but for the first.
	var beginning []int
	for i := range l.variants {
		if l.variants[i].Step == 0 {
			beginning = append(beginning, i)
		}
	}
	return l.snapshot(context.Background(), beginning)
}

// add appends a record. It reaches the disk before the next checkpoint does.
func (h *history) add(r Record) error {
	var err error
	h.buffer, err = store.AppendLine(h.buffer, r)
	return err
}

// flush brings the records to the disk.
func (h *history) flush() error {
	if len(h.buffer) == 0 {
		return nil
	}
	n, err := h.records.WriteAt(h.buffer, h.written)
	h.written += int64(n)
	h.sum = crc32.Update(h.sum, castagnoli, h.buffer[:n])
	if err != nil {
		return err
	}
	h.buffer = h.buffer[:0]
	return h.records.Sync()
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// cutTo drops the records after the first so many bytes, which must be those
// that the checkpoint knows.
func (h *history) cutTo(size int64, sum *uint32) error {
	file := h.dir.Path(recordsFile)
	info, err := h.records.Stat()
	if err != nil {
		return err
	}
	if info.Size() < size {
		return fmt.Errorf("%s: expected the %d bytes that the checkpoint knows of, found %d", file, size, info.Size())
	}
	known := io.NewSectionReader(h.records, 0, size)
	records := bufio.NewReader(io.TeeReader(known, summer{&h.sum}))
	if _, err := ReadRecords(records); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if sum != nil && *sum != h.sum {
		return fmt.Errorf("%s: %w: the checkpoint has another checksum of its first %d bytes", file, store.ErrDamaged, size)
	}
	h.written = size
	return h.records.Truncate(size)
}

// summer adds to the checksum what is written to it.
type summer struct{ sum *uint32 }

func (s summer) Write(b []byte) (int, error) {
	*s.sum = crc32.Update(*s.sum, castagnoli, b)
	return len(b), nil
}

// write writes a snapshot, a file below the directory.
func (h *history) write(name string, m *model.Model) error {
	data, err := m.Encode()
	if err != nil {
		return err
	}
	if err := h.dir.Make(path.Dir(name)); err != nil {
		return err
	}
	return h.dir.Replace(name, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

func (h *history) close() error {
	var err error
	if h.records != nil {
		err = h.records.Close()
	}
	return errors.Join(err, h.dir.Close())
}

// checkpointShare is how many times as long as a checkpoint takes the time to
// the next one is, at least.
const checkpointShare = 20

// due says whether it is time for a checkpoint.
func (h *history) due(every time.Duration) bool {
	return every == 0 || time.Since(h.last) >= max(every, checkpointShare*h.cost)
}
