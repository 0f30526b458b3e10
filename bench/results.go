package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// FileName is what the results of a suite, measured here and today, are called.
func FileName(suite string) string {
	return fmt.Sprintf("%s-%s-%s.jsonl", suite, ThisMachine().Slug(), time.Now().UTC().Format(time.DateOnly))
}

// HasRevision is whether a file of results is there and of a commit.
func HasRevision(file, revision string) bool {
	text, err := os.ReadFile(file)
	return err == nil && bytes.Contains(text, fmt.Appendf(nil, `"revision":%q`, revision))
}

// File is what a file of results holds of one suite. Most hold one suite.
type File struct {
	Name        string // without the folder
	Suite, Date string
	Machine     string
	GPU         string        // if one was measured
	Results     []Result      // of suites that time cases
	Completions []Completions // of to-accuracy
	Accuracies  []Accuracy    // of accuracy
	Ceilings    []Ceiling     // of ceilings
}

// portableSuite is the suite step with the binary of the tag purego.
const portableSuite = "step-portable"

var dateInName = regexp.MustCompile(`\d{4}-\d\d-\d\d`)

// ReadFiles reads all files of results in a folder: the newest first, and suite
// by suite.
func ReadFiles(dir string) ([]File, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil {
		return nil, err
	}
	var files []File
	for _, path := range names {
		found, err := readFile(path)
		if err != nil {
			return nil, err
		}
		files = append(files, found...)
	}
	slices.SortStableFunc(files, func(a, b File) int { return strings.Compare(b.Date, a.Date) })
	return files, nil
}

// readFile reads a file, suite by suite.
func readFile(path string) ([]File, error) {
	name := filepath.Base(path)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	f := File{Name: name, Date: dateInName.FindString(name)}
	switch {
	case f.Date == "":
		return nil, fmt.Errorf("%s: want a name like step-MACHINE-2006-01-02.jsonl", path)
	case strings.HasPrefix(name, AccuracySuite+"-"):
		f.Suite = AccuracySuite
		if f.Accuracies, err = readLines[Accuracy](text); err == nil {
			f.Machine = regexp.MustCompile(`, \d+ cores?$`).ReplaceAllString(short(f.Accuracies[0].Device), "")
		}
	case strings.HasPrefix(name, CompletionsSuite+"-"):
		f.Suite = CompletionsSuite
		if f.Completions, err = readLines[Completions](text); err == nil {
			f.Machine = f.Completions[0].Machine.String()
		}
	case strings.HasPrefix(name, CeilingsSuite+"-"):
		f.Suite = CeilingsSuite
		if f.Ceilings, err = readLines[Ceiling](text); err == nil {
			f.Machine = f.Ceilings[0].Machine.String()
		}
	default:
		all, err := ReadResults(bytes.NewReader(text), path)
		if err != nil {
			return nil, err
		}
		var files []File
		for _, r := range all {
			suite := r.Suite
			if strings.HasPrefix(name, portableSuite+"-") {
				suite = portableSuite
			}
			k := slices.IndexFunc(files, func(f File) bool { return f.Suite == suite })
			if k < 0 {
				k = len(files)
				files = append(files, File{Name: name, Suite: suite, Date: r.Date, Machine: r.Machine.String()})
			}
			if OnGPUs(r.Executor) && files[k].GPU == "" {
				files[k].GPU = gpuName(r.Device)
				files[k].Machine = files[k].GPU + " and " + r.Machine.String()
			}
			files[k].Results = append(files[k].Results, r)
		}
		return files, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s, %w", path, err)
	}
	return []File{f}, nil
}

// gpuName is the first part of a GPU executor's Device: "NVIDIA H200".
func gpuName(device string) string {
	name, _, _ := strings.Cut(device, ",")
	return name
}

// readLines reads one JSON value a line, at least one.
func readLines[T any](text []byte) ([]T, error) {
	var all []T
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<24)
	for n := 1; lines.Scan(); n++ {
		var v T
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		all = append(all, v)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("line 1: no results")
	}
	return all, lines.Err()
}
