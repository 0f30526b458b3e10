package store

import (
	"os"
	"path/filepath"
)

// Kind is what a directory is for.
type Kind struct {
	name string
	// marks are sets of files: where all of one are, there is such a directory.
	marks [][]string
	// files are patterns of the names of what it keeps, with slashes.
	files []string
}

func (k *Kind) String() string { return k.name }

// The kinds of directories.
var (
	History = &Kind{
		name:  "the history of a run",
		marks: [][]string{{"history.jsonl"}},
		files: []string{lockFile, "history.jsonl", "checkpoint.safetensors", "snapshots/step-*.safetensors", "snapshots/network-*/step-*.safetensors"},
	}
	Sweep = &Kind{
		name:  "a sweep",
		marks: [][]string{{"spec.json", "environment.jsonl"}, {"spec.json", "records.jsonl"}, {"spec.json", "records.jsonl.gz"}},
		files: []string{lockFile, "spec.json", "environment.jsonl", "records.jsonl", "records.jsonl.gz", "models/*.safetensors", "states/*.safetensors"},
	}
)

// Holds says which kind of directory it is, or nil.
func Holds(dir string) *Kind {
	for _, k := range []*Kind{History, Sweep} {
		for _, mark := range k.marks {
			all := true
			for _, name := range mark {
				info, err := os.Stat(filepath.Join(dir, name))
				all = all && err == nil && info.Mode().IsRegular()
			}
			if all {
				return k
			}
		}
	}
	return nil
}

// deepest is how many directories a run's file is below the run's directory, at most.
const deepest = 2

// ownerOf says what a file belongs to, "the history of a run in DIR", or "". Links to directories are followed; one to
// the file itself is what a rename would replace.
func ownerOf(path string) string {
	dir, err := filepath.EvalSymlinks(dirOf(path))
	if err != nil {
		return ""
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return ""
	}
	name := filepath.Base(path)
	for range deepest + 1 {
		if kind := Holds(dir); kind != nil {
			for _, pattern := range kind.files {
				if match, _ := filepath.Match(filepath.FromSlash(pattern), name); match {
					return kind.name + " in " + dir
				}
			}
		}
		dir, name = filepath.Dir(dir), filepath.Join(filepath.Base(dir), name)
	}
	return ""
}
