package main

import (
	"bytes"
	"errors"
	"fmt"
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

// longestLife is how long a process trains at first before it is killed, at most.
const longestLife = 60 * time.Millisecond

// lives draws how long processes live. It learns how fast this machine is, now: what
// is to be killed in the middle of its work lives longer if it was killed before, and
// shorter if it came to its end.
type lives struct {
	random  *rand.Rand
	longest time.Duration
}

func (l *lives) next() time.Duration { return time.Duration(l.random.Int64N(int64(l.longest))) }

func (l *lives) learn(ended, midway bool) {
	switch {
	case ended:
		l.longest = max(time.Millisecond, l.longest*4/5)
	case !midway:
		l.longest = l.longest * 5 / 4
	}
}

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
	lives := lives{rand.New(rand.NewPCG(5, 6)), longestLife}
	killed, midway := 0, 0
	for i := 0; killed < want || midway < want/2; i++ {
		recipe := i % len(recipes)
		line := tiny(append([]string{"--epochs", "400", "--snapshots", "log,250", "--checkpoint-every", "0"}, recipes[recipe]...)...)
		reference := "whole" + strconv.Itoa(recipe)
		if i < len(recipes) {
			must(t, append(line, "--history", reference, "-o", reference+".safetensors")...)
		}
		run := "run" + strconv.Itoa(i)
		line = append(line, "--history", run, "-o", run+".safetensors", "--resume")
		for ended := false; !ended; {
			if killed >= want && midway >= want/2 {
				trainFor(t, time.Hour, line) // to the end
				break
			}
			if ended = trainFor(t, lives.next(), line); !ended {
				killed++
			}
			info, err := os.Stat(filepath.Join(run, "history.jsonl"))
			began := err == nil && info.Size() > 0
			if began && !ended {
				midway++
			}
			lives.learn(ended, began)
		}
		sameBytes(t, run+".safetensors", reference+".safetensors")
		sameTree(t, run, reference)
		if t.Failed() {
			t.Fatalf("after %d kills", killed)
		}
	}
	t.Logf("%d kills, %d of them in the middle of training", killed, midway)
}

// A run that is killed at any moment, and of whose files then any bit is flipped,
// ends with the bytes of one that never was, or is refused.
func TestFlip(t *testing.T) {
	want := kills(t, 10)
	inData(t)
	line := tiny("--epochs", "150", "--snapshots", "log,250", "--checkpoint-every", "0", "--optimizer", "adam", "--lr", "0.001",
		"--validation", "0.2", "--patience", "400", "--shift", "1")
	must(t, append(line, "--history", "whole", "-o", "whole.safetensors")...)
	random := rand.New(rand.NewPCG(9, 10))
	lives := lives{random, longestLife}
	run := append(line, "--history", "run", "-o", "run.safetensors", "--resume")
	refused, equal := 0, 0
	for killed := 0; killed < want; {
		ended := trainFor(t, lives.next(), run)
		lives.learn(ended, true)
		if ended {
			os.RemoveAll("run")
			continue
		}
		// What the damaged run comes to, in a copy, so that the other goes on.
		file, bit, flipped := flipOne(t, random, "run", "damaged")
		if !flipped {
			continue
		}
		killed++
		os.Remove("damaged.safetensors")
		_, refusal := runFor(t, time.Hour, append(line, "--history", "damaged", "-o", "damaged.safetensors", "--resume"))
		switch {
		case refusal == "":
			equal++
			sameBytes(t, "damaged.safetensors", "whole.safetensors")
			sameTree(t, "damaged", "whole")
		case !strings.Contains(refusal, "exit status 1: ") || !strings.Contains(refusal, filepath.Base(file)):
			t.Errorf("the refusal does not name the file: %s", refusal)
		default:
			refused++
		}
		if t.Failed() {
			t.Fatalf("after %d kills: bit %d of %s was flipped: %s", killed, bit, file, refusal)
		}
	}
	t.Logf("%d kills with a bit flipped: %d ended in equal bytes, %d were refused", want, equal, refused)
	if refused == 0 {
		t.Error("none was refused")
	}
}

// flipOne copies what a killed process left in a directory and flips a bit of one of
// the copied files. There is none yet if the process was killed before it wrote.
func flipOne(t *testing.T, random *rand.Rand, from, dir string) (file string, bit int, flipped bool) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir, os.DirFS(from)); errors.Is(err, fs.ErrNotExist) {
		return "", 0, false
	} else if err != nil {
		t.Fatal(err)
	}
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != "lock" {
			if info, err := d.Info(); err == nil && info.Size() > 0 {
				files = append(files, path)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		return "", 0, false
	}
	// The files that a run goes on from are as likely as all snapshots together.
	var chosen []string
	for _, path := range files {
		if base := filepath.Base(path); !strings.HasPrefix(base, "step-") {
			chosen = append(chosen, path)
		}
	}
	if len(chosen) == 0 || random.IntN(4) == 0 {
		chosen = files
	}
	file = chosen[random.IntN(len(chosen))]
	data := read(t, file)
	bit = random.IntN(8 * len(data))
	data[bit/8] ^= 1 << (bit % 8)
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return file, bit, true
}

// trainFor runs this binary as the command, kills it after its life, counted
// from the moment at which it starts to train, and says whether it had ended
// before.
func trainFor(t *testing.T, life time.Duration, args []string) (ended bool) {
	t.Helper()
	ended, refusal := runFor(t, life, args)
	if refusal != "" {
		t.Fatalf("vanilla %q: %s", args, refusal)
	}
	return ended
}

// runFor is trainFor of a command that may end with an error. refusal is what it
// said then.
func runFor(t *testing.T, life time.Duration, args []string) (ended bool, refusal string) {
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
			ended = c.ProcessState.Exited()
		}
	}
	if ended && err != nil {
		return true, fmt.Sprintf("%v: %s", err, stderr.text)
	}
	return ended, ""
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

var secondsField = regexp.MustCompile(`"seconds":[^,]*,|,"crc32c":"[0-9a-f]{8}"`)

// sameBytes compares files, but for times in records and the checksums that cover them.
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
