package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

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
	dir     string
	run     identity
	lock    io.Closer // against other processes
	records *os.File
	written int64  // bytes of records
	buffer  []byte // records to be written
	// The last checkpoint: when it was complete, and how long it took.
	last time.Time
	cost time.Duration
}

// openHistory begins the loop's history, or makes the loop go on from it.
func (l *loop) openHistory(exec kernels.Executor) error {
	h := &history{dir: l.options.History, run: l.identity(exec)}
	var err error
	if h.lock, err = Claim("--history", h.dir); err != nil {
		return err
	}
	l.history = h
	saved, err := readCheckpoint(h.path(checkpointFile))
	begun := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if info, err := os.Stat(h.path(recordsFile)); err == nil && !begun && info.Size() > 0 {
		return &SettingError{"--history", h.dir, fmt.Sprintf("found %s, but no %s to go on from: want another directory", recordsFile, checkpointFile)}
	}
	if begun && !l.options.Resume {
		return &SettingError{"--history", h.dir, "holds a run: want --resume to go on with it, or another directory"}
	}
	if begun {
		if differences := h.run.differences(saved.Run); differences != "" {
			return &SettingError{"--resume", h.dir, "holds another run: " + differences}
		}
	}
	if err := h.sweep(); err != nil {
		return err
	}
	if h.records, err = os.OpenFile(h.path(recordsFile), os.O_RDWR|os.O_CREATE, 0o644); err != nil {
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
	for i := range l.members {
		if l.members[i].Step == 0 {
			beginning = append(beginning, i)
		}
	}
	return l.snapshot(context.Background(), beginning)
}

func (h *history) path(name string) string { return filepath.Join(h.dir, name) }

// sweep removes the unfinished files that a killed run leaves.
func (h *history) sweep() error {
	return filepath.WalkDir(h.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasPrefix(d.Name(), ".vanilla-") && strings.HasSuffix(d.Name(), ".tmp") {
			err = os.Remove(path)
		}
		return err
	})
}

// add appends a record. It reaches the disk before the next checkpoint does.
func (h *history) add(r Record) error {
	line, err := json.Marshal(r)
	h.buffer = append(append(h.buffer, line...), '\n')
	return err
}

// flush brings the records to the disk.
func (h *history) flush() error {
	if len(h.buffer) == 0 {
		return nil
	}
	n, err := h.records.WriteAt(h.buffer, h.written)
	h.written += int64(n)
	if err != nil {
		return err
	}
	h.buffer = h.buffer[:0]
	return h.records.Sync()
}

// cutTo drops the records after the first so many bytes.
func (h *history) cutTo(size int64) error {
	info, err := h.records.Stat()
	if err != nil {
		return err
	}
	if info.Size() < size {
		return fmt.Errorf("%s: expected the %d bytes that the checkpoint knows of, found %d", h.path(recordsFile), size, info.Size())
	}
	h.written = size
	return h.records.Truncate(size)
}

// write writes a snapshot.
func (h *history) write(path string, m *model.Model) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return m.Write(path)
}

func (h *history) close() error {
	var err error
	if h.records != nil {
		err = h.records.Close()
	}
	return errors.Join(err, h.lock.Close())
}

// checkpointShare is how many times as long as a checkpoint takes the time to
// the next one is, at least.
const checkpointShare = 20

// due says whether it is time for a checkpoint.
func (h *history) due(every time.Duration) bool {
	return every == 0 || time.Since(h.last) >= max(every, checkpointShare*h.cost)
}

// cause drops the path that the os package puts into an error: the message
// around it names it.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
