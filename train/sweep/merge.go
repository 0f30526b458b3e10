package sweep

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"vanilla/internal/claim"
	"vanilla/internal/store"
)

// Merge joins the directories of shards in the directory out, which must be
// empty or not there, and returns what it then holds: the whole search, as one
// machine would have left it, with the finals to go. [Run] with Resume trains
// them.
//
// It fails, and writes nothing, if the directories are not all parts of one
// sweep, each once and each to its end, and says which are missing or differ. If
// they were trained in different arithmetic, it fails unless that is allowed.
func Merge(ctx context.Context, out string, allowMixed bool, dirs ...string) (*Directory, error) {
	parts, err := openParts(ctx, dirs, allowMixed)
	if err != nil {
		return nil, err
	}
	if entries, err := os.ReadDir(out); err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("%s: expected an empty directory to join shards in, found %s", out, entries[0].Name())
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	header := parts[0].Header
	header.Shard = Shard{}
	var records []Record
	var environments []byte
	for _, part := range parts {
		for _, r := range part.Records {
			if r.Arithmetic = part.ArithmeticOf(&r); r.Arithmetic == header.Arithmetic {
				r.Arithmetic = ""
			}
			records = append(records, r)
		}
		for _, e := range part.Environments {
			if environments, err = store.AppendLine(environments, e); err != nil {
				return nil, err
			}
		}
	}
	sortRecords(records)
	lines, err := encode(records)
	if err != nil {
		return nil, err
	}
	own, err := claim.Directory("out", out, store.Sweep)
	if err != nil {
		return nil, err
	}
	defer own.Close()
	// The header comes last: without it, the directory holds no sweep.
	for _, file := range []struct {
		name string
		text []byte
	}{{recordsFile, lines}, {environmentFile, environments}} {
		if err := replace(own, file.name, file.text); err != nil {
			return nil, err
		}
	}
	if err := writeHeader(own, header); err != nil {
		return nil, err
	}
	return Open(ctx, out)
}

// openParts opens the directories of all shards of one sweep, in their order.
func openParts(ctx context.Context, dirs []string, allowMixed bool) ([]*Directory, error) {
	var parts []*Directory
	for _, dir := range dirs {
		d, err := Open(ctx, dir)
		if err != nil {
			return nil, err
		}
		if d.Shard.whole() {
			return nil, fmt.Errorf("%s: expected a shard, found a whole sweep", dir)
		}
		for _, other := range parts {
			if d.Shard == other.Shard {
				return nil, fmt.Errorf("%s and %s: expected each shard once, found %s twice", other.Path, dir, d.Shard)
			}
			header := d.Header
			header.Shard.Part = other.Shard.Part
			if differences := header.Differences(&other.Header); differences != "" {
				return nil, fmt.Errorf("%s: expected a shard of the sweep of %s, found another: %s", dir, other.Path, differences)
			}
			if different := header.DifferentArithmetic(&other.Header); different != "" && !allowMixed {
				return nil, fmt.Errorf("%s: found other arithmetic than in %s: %s: want shards of one, or \"allow_mixed\" to join them nevertheless", dir, other.Path, different)
			}
		}
		if c := d.Counts(); c.Done+c.Diverged < c.Planned {
			return nil, fmt.Errorf("%s: expected all %d variants of shard %s, found %d: want it trained to the end first (\"resume\")",
				dir, c.Planned, d.Shard, c.Done+c.Diverged)
		}
		parts = append(parts, d)
	}
	if len(parts) == 0 {
		return nil, errors.New("expected the directories of shards, found none")
	}
	slices.SortFunc(parts, func(a, b *Directory) int { return a.Shard.Part - b.Shard.Part })
	var missing []string
	for part := 1; part <= parts[0].Shard.Of; part++ {
		if !slices.ContainsFunc(parts, func(d *Directory) bool { return d.Shard.Part == part }) {
			missing = append(missing, Shard{part, parts[0].Shard.Of}.String())
		}
	}
	if missing != nil {
		return nil, fmt.Errorf("expected all %d shards, missing: %s", parts[0].Shard.Of, strings.Join(missing, ", "))
	}
	return parts, nil
}
