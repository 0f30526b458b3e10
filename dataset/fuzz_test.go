package dataset

import (
	"archive/zip"
	"os"
	"path/filepath"
	"testing"
)

// fuzzed reads a file of any bytes: what is accepted is a data set, and nothing panics.
func fuzzed(t *testing.T, name string, data []byte) {
	if len(data) > 1<<16 {
		return
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := Open(t.Context(), path, Options{Test: 0.5, Label: "first"})
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
}

func FuzzCSV(f *testing.F) {
	for _, text := range []string{
		"1,0,10,200,0\n0,0,20,210,0\n1,0,30,220,0\n0,0,40,230,0\n", "label,a,b,c,d\ncat,1,2,3,4\ncat,1,2,3,4\ndog,1,2,3,4\ndog,1,2,3,4\n",
		"1.0,0.5,1e-3,.25,NaN\n", "\xef\xbb\xbf1,2\n1,3\n", "\"a\nb\",1\n\"a\nb\",2\n", "1000000000,1\n1000000000,2\n-5,3\n-5,4\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) { fuzzed(t, "a.csv", data) })
}

func FuzzNPZ(f *testing.F) {
	for _, method := range []uint16{zip.Store, zip.Deflate} {
		f.Add(npzOf(f, method, map[string][]byte{"x_train": npy(f, "|u1", make([]byte, 16), 4, 2, 2), "y_train": npy(f, "<i8", []int64{0, 0, 1, 1}, 4)}))
		f.Add(npzOf(f, method, map[string][]byte{"images": npy(f, "<f4", make([]float32, 48), 4, 2, 2, 3), "labels": npy(f, "<f4", make([]float32, 4), 4, 1)}))
	}
	f.Fuzz(func(t *testing.T, data []byte) { fuzzed(t, "a.npz", data) })
}
