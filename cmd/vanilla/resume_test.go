package main

import (
	"bytes"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// kills is how many times a test kills processes: VANILLA_KILLS, or so many. Short tests have none.
func kills(t *testing.T, otherwise int) int {
	t.Helper()
	text := os.Getenv("VANILLA_KILLS")
	if text == "" {
		if testing.Short() {
			t.Skip("runs some dozens of processes")
		}
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("VANILLA_KILLS=%s: want a whole number from 1", text)
	}
	return n
}

// longestLife is how long a process trains before it is killed, at most. A tenth
// or so of what training takes, so that most are killed in the middle.
const longestLife = 60 * time.Millisecond

// A run that is killed at any moment and resumed, again and again, ends with the
// bytes of one that never was: the model, the history but for the seconds, and
// the snapshots.
func TestKill(t *testing.T) {
	want := kills(t, 20)
	inData(t)
	recipes := [][]string{
		{"--optimizer", "adam", "--lr", "0.001", "--schedule", "constant", "--validation", "0.2", "--patience", "400", "--shift", "1"},
		{"--optimizer", "nesterov", "--schedule", "step", "--lr", "0.01", "--warmup", "2.5"},
	}
	random := rand.New(rand.NewPCG(5, 6))
	killed, midway := 0, 0
	for i := 0; killed < want; i++ {
		if i > len(recipes)+want {
			t.Fatalf("after %d runs, only %d were killed", i, killed)
		}
		recipe := i % len(recipes)
		line := tiny(append([]string{"--epochs", "400", "--snapshots", "log,250", "--checkpoint-every", "0"}, recipes[recipe]...)...)
		reference := "whole" + strconv.Itoa(recipe)
		if i < len(recipes) {
			must(t, append(line, "--history", reference, "-o", reference+".safetensors")...)
		}
		run := "run" + strconv.Itoa(i)
		line = append(line, "--history", run, "-o", run+".safetensors", "--resume")
		for ended := false; !ended; {
			life := time.Duration(random.Int64N(int64(longestLife)))
			if killed == want {
				life = time.Hour
			}
			if ended = trainFor(t, life, line); !ended {
				killed++
				if info, err := os.Stat(filepath.Join(run, "history.jsonl")); err == nil && info.Size() > 0 {
					midway++
				}
			}
		}
		sameBytes(t, run+".safetensors", reference+".safetensors")
		sameTree(t, run, reference)
		if t.Failed() {
			t.Fatalf("after %d kills", killed)
		}
	}
	t.Logf("%d kills, %d of them in the middle of training", killed, midway)
	if midway < want/2 {
		t.Errorf("of %d kills, only %d were in the middle of training", killed, midway)
	}
}

// trainFor runs this binary as the command, kills it after its life, counted
// from the moment at which it starts to train, and says whether it had ended
// before.
func trainFor(t *testing.T, life time.Duration, args []string) (ended bool) {
	t.Helper()
	c := exec.Command(os.Args[0], args...)
	c.Env = append(os.Environ(), "VANILLA_TEST_MAIN=1")
	stderr := &firstWrite{seen: make(chan struct{})}
	c.Stderr = stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	end := make(chan error, 1)
	go func() { end <- c.Wait() }()
	var err error
	select {
	case err = <-end:
		ended = true
	case <-stderr.seen:
		select {
		case err = <-end:
			ended = true
		case <-time.After(life):
			if err := c.Process.Kill(); err != nil && !strings.Contains(err.Error(), os.ErrProcessDone.Error()) {
				t.Fatal(err)
			}
			err = <-end
			ended = c.ProcessState.Success()
		}
	}
	if ended && err != nil {
		t.Fatalf("vanilla %q: %v: %s", args, err, stderr.text)
	}
	return ended
}

// firstWrite is a buffer that says when something is written for the first time.
// Nobody may read it before all is written.
type firstWrite struct {
	text []byte
	seen chan struct{}
}

func (f *firstWrite) Write(b []byte) (int, error) {
	if f.text == nil {
		close(f.seen)
	}
	f.text = append(f.text, b...)
	return len(b), nil
}

var secondsField = regexp.MustCompile(`"seconds":[^,]*,`)

// sameBytes compares files, but for times in records.
func sameBytes(t *testing.T, found, want string) {
	t.Helper()
	a, b := secondsField.ReplaceAll(read(t, found), nil), secondsField.ReplaceAll(read(t, want), nil)
	if !bytes.Equal(a, b) {
		t.Errorf("%s is not %s", found, want)
	}
}

// sameTree compares directories, but for checkpoints, which hold times, and locks, which name the process.
func sameTree(t *testing.T, found, want string) {
	t.Helper()
	files := func(dir string) (names []string) {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				names = append(names, strings.TrimPrefix(path, dir))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	a, b := files(found), files(want)
	if strings.Join(a, "\n") != strings.Join(b, "\n") {
		t.Errorf("%s holds %q, %s holds %q", found, a, want, b)
		return
	}
	for _, name := range b {
		if base := filepath.Base(name); base != "checkpoint.safetensors" && base != "lock" {
			sameBytes(t, found+name, want+name)
		}
	}
}
