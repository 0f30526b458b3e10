package main

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// inPictures is in a directory with pictures of 8x8 pixels in folders, and p.safetensors, which was trained on them.
func inPictures(t *testing.T, classes ...string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for c, class := range classes {
		if err := os.MkdirAll(filepath.Join("pics", class), 0o755); err != nil {
			t.Fatal(err)
		}
		for i := range 10 {
			picture := image.NewGray(image.Rect(0, 0, 8, 8))
			for y := 1; y < 7; y++ {
				picture.SetGray((2*c+y*i)%7, y, color.Gray{Y: byte(255 - i)})
			}
			var b bytes.Buffer
			if err := png.Encode(&b, picture); err != nil {
				t.Fatal(err)
			}
			put(t, filepath.Join("pics", class, fmt.Sprintf("%d.png", i)), b.String())
		}
	}
	must(t, "train", "--data", "pics", "--test", "0.2", "--arch", fmt.Sprintf("64-4-%d", len(classes)), "--batch", "4", "--epochs", "1", "-o", "p.safetensors")
}

func put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// csvOf are lines of 8x8 pixels, four for each label.
func csvOf(labels ...string) string {
	var b strings.Builder
	b.WriteString("label" + strings.Repeat(",x", 64) + "\n")
	for i := range 4 {
		for _, label := range labels {
			b.WriteString(label + strings.Repeat(fmt.Sprintf(",%d,%d", 200*(i%2), 50*i), 32) + "\n")
		}
	}
	return b.String()
}

// No output becomes a part of the data.
func TestOutputsBesideData(t *testing.T) {
	inPictures(t, "cat", "dog")
	must(t, "data", "pics", "--test", "0.2", "-o", "idx")
	put(t, "ok.csv", csvOf("cat", "dog"))
	before := tree(t, ".")
	for _, line := range []string{
		"data pics --sheet pics/cat/0.png",
		"data pics --sheet pics/cat/new.png",
		"data pics --sheet pics/sheet.png",
		"data pics --test 0.2 -o pics",
		"data pics --test 0.2 -o pics/cat",
		"data pics --test 0.2 -o pics/new",
		"data ok.csv --test 0.2 -o pics",
		"data ok.csv --test 0.2 -o pics/cat",
		"viz mistakes p.safetensors --data pics -o pics/cat/1.png",
		"viz all p.safetensors --data pics -o pics/dog",
		"train --data pics --test 0.2 -o pics/cat/m.safetensors",
		"train --data pics --test 0.2 --history pics/run -o m.safetensors",
		"train --data ok.csv --test 0.2 -o ok.csv",
		"sweep --data pics --test 0.2 --out pics/sweep",
		"export p.safetensors --data pics -o pics/cat/page.html",
	} {
		if _, stderr, code := vanilla(t, strings.Fields(line)...); code == done || !strings.Contains(stderr, "want another") {
			t.Errorf("%s: exit code %d, %s", line, code, stderr)
		}
	}
	if after := tree(t, "."); after != before {
		t.Errorf("files were\n%s\nand are\n%s", before, after)
	}
	must(t, "viz", "mistakes", "p.safetensors", "--data", "pics", "-o", "mistakes.png")
}

// tree are the files below a directory with their contents' sums.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			fmt.Fprintf(&b, "%s %x\n", path, sumOfBytes(read(t, path)))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func sumOfBytes(data []byte) (sum uint64) {
	for _, b := range data {
		sum = sum*31 + uint64(b)
	}
	return sum
}

// A model remembers what its data were: all commands want them as they were, or say how they are taken.
func TestDataOfAModel(t *testing.T) {
	inPictures(t, "cat", "dog")
	put(t, "numbers.csv", csvOf("0", "1"))
	must(t, "viz", "augment", "p.safetensors", "--data", "pics", "--shift", "2", "-o", "a.png")
	must(t, "viz", "augment", "default", "--data", "pics", "--shift", "2", "-o", "b.png")
	if stderr := fails(t, "viz", "augment", "p.safetensors", "--shift", "2", "-o", "c.png"); !strings.Contains(stderr, "its class 0 is cat") {
		t.Errorf("found %s", stderr)
	}
	const places = "classes have other names than the network's, and are taken for its by their order: 0 for cat and 1 for dog"
	for _, line := range []string{
		"eval p.safetensors --data numbers.csv", "predict p.safetensors --data numbers.csv",
		"viz quality p.safetensors --data numbers.csv -o q.png", "train --from p.safetensors --data numbers.csv --epochs 1 -o q.safetensors",
	} {
		if _, stderr, code := vanilla(t, strings.Fields(line)...); code != done || strings.Count(stderr, places) != 1 {
			t.Errorf("%s: exit code %d, %s", line, code, stderr)
		}
	}
	if _, stderr, _ := vanilla(t, "eval", "p.safetensors", "--data", "pics"); stderr != "" {
		t.Errorf("found %s", stderr)
	}
	put(t, "ones.csv", csvOf("1", "2", "3"))
	put(t, "zeros.csv", csvOf("0", "1", "2", "4"))
	must(t, "train", "--data", "ones.csv", "--test", "0.3", "--arch", "64-4-3", "--batch", "4", "--epochs", "1", "-o", "ones.safetensors")
	if stderr := fails(t, "eval", "ones.safetensors", "--data", "zeros.csv"); !strings.Contains(stderr, `knows 3 classes, and none called "0", "4"`) {
		t.Errorf("found %s", stderr)
	}
	if stdout := must(t, "export", "p.safetensors", "-o", "demo.html"); !strings.Contains(stdout, "without images: mnist: ") {
		t.Errorf("found %s", stdout)
	}
	if stdout := must(t, "export", "p.safetensors", "--data", "pics", "-o", "demo.html"); strings.Contains(stdout, "without") {
		t.Errorf("found %s", stdout)
	}
	if err := os.CopyFS(filepath.Join("mixed", "ape"), os.DirFS("pics/cat")); err != nil {
		t.Fatal(err)
	}
	if stderr := fails(t, "serve", "p.safetensors", "--data", "mixed", "--addr", "127.0.0.1:0"); !strings.Contains(stderr, `none called "ape"`) {
		t.Errorf("found %s", stderr)
	}
	if stderr := fails(t, "train", "--data", "mixed", "--test", "0.2", "-o", "m.safetensors"); !strings.Contains(stderr, "every label of the data is ape") {
		t.Errorf("found %s", stderr)
	}
	put(t, "either.csv", strings.ReplaceAll(csvOf("0", "1"), "label", "x"))
	if stderr := fails(t, "data", "either.csv"); strings.Contains(stderr, `--label-column ""`) || !strings.Contains(stderr, "--label-column says which, first or last") {
		t.Errorf("found %s", stderr)
	}
}

func fails(t *testing.T, args ...string) string {
	t.Helper()
	_, stderr, code := vanilla(t, args...)
	if code == done {
		t.Errorf("%q was done", args)
	}
	return stderr
}

// A command that is shown can be typed, whatever files are called.
func TestQuoted(t *testing.T) {
	for word, want := range map[string]string{
		"a.csv": "a.csv", "": "''", "a b": "'a b'", "it's": `'it'\''s'`, "red\x1b[31m\nx.csv": `$'red\033[31m\012x.csv'`, "\xff'\\\t": `$'\377\'\\\011'`, "größe": "größe", "#a": "'#a'",
	} {
		if found := quoted(word); found != want {
			t.Errorf("%q: %s, want %s", word, found, want)
		}
	}
}

// A line break in a file's name does not break the line.
func TestNamesOnOneLine(t *testing.T) {
	t.Chdir(t.TempDir())
	put(t, "red\x1b[31m\nx.csv", csvOf("0", "1"))
	stdout := must(t, "data", "red\x1b[31m\nx.csv", "--test", "0.5", "--sheet", "a\nb.png")
	if line, _, _ := strings.Cut(stdout, "\n"); !strings.HasPrefix(line, `red\u001b[31m\u000ax: CSV`) || !strings.Contains(stdout, `a\u000ab.png`) {
		t.Errorf("found %s", stdout)
	}
}
