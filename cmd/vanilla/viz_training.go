package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"vanilla/internal/store"
	"vanilla/train"
	"vanilla/viz"
)

// course reads what vanilla train --history has kept in a directory: a course
// for each of its networks.
func (v *vizFlags) course(dir string) ([]viz.Course, error) {
	f, err := os.Open(filepath.Join(dir, "history.jsonl"))
	if err != nil {
		problem := store.Cause(err)
		if errors.Is(err, fs.ErrNotExist) {
			problem = errors.New("found no history.jsonl")
		}
		return nil, fmt.Errorf("%s: want a directory that vanilla train --history has written: %w", dir, problem)
	}
	defer f.Close()
	records, err := train.ReadRecords(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	of := map[int]*viz.Course{}
	var order []int
	for _, r := range records {
		c := of[r.Variant]
		if c == nil {
			c = &viz.Course{Name: dir}
			of[r.Variant] = c
			order = append(order, r.Variant)
		}
		e := viz.Epoch{Epoch: r.Epoch, Step: r.Step, TrainLoss: finite(float64(r.TrainLoss))}
		if r.Validation != nil {
			e.ValidationAccuracy = finite(r.Validation.Accuracy)
		}
		c.Epochs = append(c.Epochs, e)
	}
	slices.Sort(order)
	if len(order) == 0 { // no epoch has ended yet
		order, of[0] = []int{0}, &viz.Course{Name: dir}
	}
	var courses []viz.Course
	for _, variant := range order {
		c := of[variant]
		folder := filepath.Join(dir, "snapshots")
		if one := filepath.Join(folder, fmt.Sprintf("network-%05d", variant)); isDirectory(one) || len(order) > 1 {
			c.Name, folder = fmt.Sprintf("%s, network %d", dir, variant), one
		}
		if err := v.snapshots(c, folder); err != nil {
			return nil, err
		}
		courses = append(courses, *c)
	}
	return courses, nil
}

func isDirectory(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// snapshots reads the networks that a run has kept on its way.
func (v *vizFlags) snapshots(c *viz.Course, folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", folder, store.Cause(err))
	}
	for _, e := range entries { // sorted, and the numbers have leading zeros
		digits, ok := strings.CutPrefix(strings.TrimSuffix(e.Name(), ".safetensors"), "step-")
		step, err := strconv.Atoi(digits)
		if !ok || err != nil {
			continue
		}
		n, err := v.open(filepath.Join(folder, e.Name()))
		if err != nil {
			return err
		}
		c.Steps = append(c.Steps, step)
		c.Networks = append(c.Networks, n)
	}
	return nil
}
