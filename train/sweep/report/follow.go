package report

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strconv"

	"vanilla/train/sweep"
)

// Following reads the directory of a sweep that may be running, again and again: its report, made anew when there are new
// records. It is of one goroutine.
type Following struct {
	dir     string
	command func(Rerun) string
	stamp   string // of what was read last

	// Report and Page are what was read last, the page as WriteHTML writes it.
	Report *Report
	Page   []byte
	// Version counts what was read.
	Version int
}

// Follow begins to follow a sweep, whose reports have the command, if it is not nil. Nothing is read yet.
func Follow(dir string, command func(Rerun) string) *Following {
	return &Following{dir: dir, command: command}
}

// Read reads the sweep if its files have changed. It fails, and keeps what was read before, if there is no sweep.
func (f *Following) Read(ctx context.Context) error {
	stamp, err := stampOf(f.dir)
	if err != nil || stamp == f.stamp && f.Version > 0 {
		return err
	}
	d, err := sweep.Open(ctx, f.dir)
	if err != nil {
		return err
	}
	r := New(d)
	r.Command = f.command
	var b bytes.Buffer
	rows, columns, _ := r.HeatDefault()
	if err := r.WriteHTML(&b, rows, columns); err != nil {
		return err
	}
	f.stamp, f.Report, f.Page = stamp, r, b.Bytes()
	f.Version++
	return nil
}

// stampOf is what changes when a file of a directory does.
func stampOf(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		if _, expected := sweep.ReadHeader(dir); expected != nil { // which says what it expected
			return "", expected
		}
		return "", err
	}
	var b bytes.Buffer
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, os.ErrNotExist) {
			continue // a temporary file that is gone
		} else if err != nil {
			return "", err
		}
		if info.Mode().IsRegular() {
			b.WriteString(e.Name() + strconv.FormatInt(info.Size(), 10) + info.ModTime().String())
		}
	}
	return b.String(), nil
}

// Ended is whether nothing more is to be trained.
func (r *Report) Ended() bool { return r.Done+r.Diverged >= r.Planned }
