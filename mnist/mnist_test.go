package mnist

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"vanilla/dataset"
)

// fileNames are the official files, and rawSums the SHA-256 sums of the official files decompressed.
var fileNames = [4]string{"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"}

var rawSums = [4]string{
	0: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
	1: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
	2: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
	3: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}

// idx writes an IDX file of bytes.
func idx(data []byte, shape ...uint32) []byte {
	file := []byte{0, 0, 8, byte(len(shape))}
	for _, length := range shape {
		file = binary.BigEndian.AppendUint32(file, length)
	}
	return append(file, data...)
}

// TestEmbedded writes the data set back as the four files, whose sums show that file and reader are right to the last bit.
func TestEmbedded(t *testing.T) {
	d, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("data/README.md")
	if err != nil {
		t.Fatal(err)
	}
	written := [4][]byte{
		0: idx(d.Train.Pixels, 60000, 28, 28),
		1: idx(d.Train.Labels, 60000),
		2: idx(d.Test.Pixels, 10000, 28, 28),
		3: idx(d.Test.Labels, 10000),
	}
	for i, name := range fileNames {
		sum := sha256.Sum256(written[i])
		if got := hex.EncodeToString(sum[:]); got != rawSums[i] {
			t.Errorf("%s: SHA-256 %s, want %s", name, got, rawSums[i])
		}
		if line := rawSums[i] + "  " + name; !strings.Contains(string(readme), line) {
			t.Errorf("data/README.md: no line %q", line)
		}
	}
	if d.Train.Prepared != (dataset.Preparation{}) || d.Notes != nil || d.Train.Names != nil {
		t.Errorf("prepared as %+v, with notes %q and names %q, want none", d.Train.Prepared, d.Notes, d.Train.Names)
	}
	if d.Name != "mnist" || d.Train.Classes != 10 || d.Test.Classes != 10 {
		t.Errorf("%s with %d and %d classes, want mnist with 10", d.Name, d.Train.Classes, d.Test.Classes)
	}
	for _, set := range []struct {
		*dataset.Images
		n int
	}{{d.Train, 60000}, {d.Test, 10000}} {
		if set.Len() != set.n || set.Rows != 28 || set.Cols != 28 || set.Features() != 784 {
			t.Errorf("%d images of %dx%d = %d, want %d of 28x28 = 784", set.Len(), set.Rows, set.Cols, set.Features(), set.n)
		}
	}
}

func BenchmarkEmbedded(b *testing.B) {
	for b.Loop() {
		d, err := Embedded()
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(d.Train.Pixels) + len(d.Test.Pixels)))
	}
}
