package dataset

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// fuzzed reads a file of any bytes: what is accepted is a data set, which is the same when it is written and read again,
// and nothing panics.
func fuzzed(t *testing.T, name string, data []byte) {
	if len(data) > 1<<16 {
		return
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	label := "first"
	if bytes.Contains(data, []byte("label:")) { // columns of probabilities
		label = ""
	}
	d, err := Open(t.Context(), path, Options{Test: 0.5, Label: label})
	if (d == nil) != (err != nil) {
		t.Fatalf("data set %v with error %v", d, err)
	}
	if err != nil {
		return
	}
	for _, s := range []*Images{d.Train, d.Test} {
		if s.Len() == 0 || len(s.Pixels) != s.Len()*s.Features() || s.Classes > mostClasses || s.Names != nil && len(s.Names) != s.Classes {
			t.Fatalf("%d images of %d pixels, %d pixels in all, %d classes, %d names", s.Len(), s.Features(), len(s.Pixels), s.Classes, len(s.Names))
		}
		for _, label := range s.Labels {
			if int(label) >= s.Classes {
				t.Fatalf("label %d of %d classes", label, s.Classes)
			}
		}
	}
	if _, err := d.Summarize(t.Context()); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out")
	if err := d.Write(out); err != nil {
		t.Fatal(err)
	}
	again := open(t, out, Options{})
	for i, s := range []*Images{d.Train, d.Test} {
		r := []*Images{again.Train, again.Test}[i]
		if !bytes.Equal(r.Pixels, s.Pixels) || !bytes.Equal(r.Labels, s.Labels) || !slices.Equal(r.Targets, s.Targets) || !slices.Equal(r.Names, s.Names) || r.Rows != s.Rows || r.Classes != s.Classes {
			t.Fatalf("written %+v, read %+v", s, r)
		}
	}
}

func FuzzCSV(f *testing.F) {
	for _, text := range []string{
		"1,0,10,200,0\n0,0,20,210,0\n1,0,30,220,0\n0,0,40,230,0\n", "label,a,b,c,d\ncat,1,2,3,4\ncat,1,2,3,4\ndog,1,2,3,4\ndog,1,2,3,4\n",
		"1.0,0.5,1e-3,.25,NaN\n", "\xef\xbb\xbf1,2\n1,3\n", "\"a\nb\",1\n\"a\nb\",2\n", "1000000000,1\n1000000000,2\n-5,3\n-5,4\n",
		"label:b,label:a,p\n0.25,0.75,9\n0,1,7\n1,0,200\n.5,.5,40\n", "p,label:1,label:2\n9,1,0\n8,1,0\n7,0,1\n6,NaN,1\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) { fuzzed(t, "a.csv", data) })
}

func FuzzNPZ(f *testing.F) {
	for _, method := range []uint16{zip.Store, zip.Deflate} {
		f.Add(npzOf(f, method, map[string][]byte{"x_train": npy(f, "|u1", make([]byte, 16), 4, 2, 2), "y_train": npy(f, "<i8", []int64{0, 0, 1, 1}, 4)}))
		f.Add(npzOf(f, method, map[string][]byte{"x_train": npy(f, "|u1", make([]byte, 16), 4, 2, 2), "y_train": npy(f, "<f4", []float32{0, 1, 1, 0, 0.5, 0.5, 1, 0}, 4, 2)}))
		f.Add(npzOf(f, method, map[string][]byte{"images": npy(f, "<f4", make([]float32, 48), 4, 2, 2, 3), "labels": npy(f, "<f4", make([]float32, 4), 4, 1)}))
	}
	f.Fuzz(func(t *testing.T, data []byte) { fuzzed(t, "a.npz", data) })
}
