package sweep

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"vanilla/model"
)

// Merge joins the directories of shards in the directory out, which must be
// empty or not there, and returns what it then holds: the whole search, as one
// machine would have left it, with the finals to go. [Run] with Resume trains
// them.
//
// It fails, and writes nothing, if the directories are not all parts of one
// sweep, each once and each to its end, and says which are missing or differ.
func Merge(out string, dirs ...string) (*Directory, error) {
	parts, err := openParts(dirs)
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
		records = append(records, part.Records...)
		for _, e := range part.Environments {
			line, err := json.Marshal(e)
			if err != nil {
				return nil, err
			}
			environments = append(append(environments, line...), '\n')
		}
	}
	sortRecords(records)
	lines, err := encode(records)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return nil, err
	}
	// The header comes last: without it, the directory holds no sweep.
	for _, file := range []struct {
		name string
		text []byte
	}{{recordsFile, lines}, {environmentFile, environments}} {
		if err := model.Replace(filepath.Join(out, file.name), func(w io.Writer) error {
			_, err := w.Write(file.text)
			return err
		}); err != nil {
			return nil, err
		}
	}
	if err := writeJSON(filepath.Join(out, specFile), header); err != nil {
		return nil, err
	}
	return Open(out)
}

// openParts opens the directories of all shards of one sweep, in their order.
func openParts(dirs []string) ([]*Directory, error) {
	var parts []*Directory
	for _, dir := range dirs {
		d, err := Open(dir)
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
		}
		if c := d.Counts(); c.Done+c.Diverged < c.Planned {
			return nil, fmt.Errorf("%s: expected all %d variants of shard %s, found %d: want it trained to the end first (--resume)",
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
