package zoo

import (
	"errors"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"vanilla/infer"
	"vanilla/kernels"
	"vanilla/kernels/ref"
	"vanilla/mnist"
)

// rounding is how far two executors' probabilities may be from each other for these networks, which PyTorch and ONNX
// Runtime are held to as well (make check-peers).
const rounding = 1e-5

// Each network classifies the test images as well as its file says, on another executor than the one that trained it, but
// for images that rounding can put into either of two classes.
func TestAccuracy(t *testing.T) {
	if testing.Short() {
		t.Skip("evaluates on MNIST")
	}
	data, err := mnist.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range Names() {
		m, err := Open(name)
		if err != nil {
			t.Fatal(err)
		}
		network, err := infer.Open(ref.New(), m, nil)
		if err != nil {
			t.Fatal(err)
		}
		probabilities, err := network.Probabilities(t.Context(), data.Test.Pixels)
		if err := errors.Join(err, network.Close()); err != nil {
			t.Fatal(err)
		}
		right, undecided := 0, 0
		for i, label := range data.Test.Labels {
			row := probabilities[i*10 : (i+1)*10]
			if kernels.Argmax(row) == int(label) {
				right++
			}
			row = slices.Sorted(slices.Values(row))
			if row[9]-row[8] <= 2*rounding {
				undecided++
			}
		}
		claimed := int(math.Round(m.TestAccuracy * 10000))
		if difference := max(right-claimed, claimed-right); difference > undecided {
			t.Errorf("%s: %d of 10000 are right, the file says %d, and %d are undecided", name, right, claimed, undecided)
		}
		if m.Arch != "784-16-16-10" || m.ImageRows != 28 || m.ImageCols != 28 || m.Version == "" {
			t.Errorf("%s is a %s for %dx%d, version %q", name, m.Arch, m.ImageRows, m.ImageCols, m.Version)
		}
	}
}

func TestOpen(t *testing.T) {
	t.Chdir(t.TempDir())
	m, err := Open(Lesson)
	if err != nil {
		t.Fatal(err)
	}
	m.Params[0].Data[0]++
	if again, err := Open(Lesson); err != nil || again.Params[0].Data[0] == m.Params[0].Data[0] {
		t.Errorf("a change to one is seen in the other: %v", err)
	}
	// A file, even one that is called like a network.
	if err := m.Write(Default); err != nil {
		t.Fatal(err)
	}
	if read, err := Open("./" + Default); err != nil || read.Loss != "quadratic" {
		t.Errorf("found %+v, %v", read, err)
	}
	if m, err := Open(Default); err != nil || m.Loss != "cross-entropy" {
		t.Errorf("%s: %+v, %v", Default, m, err)
	}
	if _, err := Open("nowhere"); err == nil || !strings.HasPrefix(err.Error(), "nowhere: cannot be read") {
		t.Errorf("found %v", err)
	}
}

// The README tells the accuracies that the files hold, and the commands of make models.
func TestREADME(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range Names() {
		m, err := Open(name)
		if err != nil {
			t.Fatal(err)
		}
		row := regexp.MustCompile("(?m)^\\| `" + name + ".safetensors` \\| `vanilla (.*)` \\| (.*) % \\|$").FindSubmatch(readme)
		if row == nil {
			t.Fatalf("README.md has no row for %s", name)
		}
		if found, want := string(row[2]), fmt.Sprintf("%.2f", 100*m.TestAccuracy); found != want {
			t.Errorf("README.md: %s has an accuracy of %s %%, want %s", name, found, want)
		}
		if command := fmt.Sprintf("vanilla %s -o model/zoo/%s.safetensors\n", row[1], name); !strings.Contains(string(makefile), command) {
			t.Errorf("the Makefile does not say %q", command)
		}
	}
}
