package samples_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"io"
	"os"
	"testing"

	"vanilla/graph/samples"
)

var update = flag.Bool("update", false, "rewrite testdata/traces.json.gz")

// batch is that of the committed gradients.
const batch = samples.Batch

const tracesFile = "testdata/traces.json.gz"

// The committed traces, whose gradients PyTorch has computed, are those of the
// samples as they are now.
func TestTraces(t *testing.T) {
	var traces []samples.Trace
	names := map[string]bool{}
	for _, s := range samples.All() {
		if names[s.Name] {
			t.Errorf("two samples are called %q", s.Name)
		}
		names[s.Name] = true
		if s.Refused != "" {
			continue
		}
		trace, err := s.Trace(batch)
		if err != nil {
			t.Errorf("%s: %v", s.Name, err)
			continue
		}
		traces = append(traces, trace)
	}
	now, err := json.Marshal(traces)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		var b bytes.Buffer
		w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
		w.Write(now)
		w.Close()
		if err := os.WriteFile(tracesFile, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if committed := unzip(t, tracesFile); !bytes.Equal(committed, now) {
		t.Errorf("%s is not what the samples write now: make samples", tracesFile)
	}
	if n := len(samples.All()); n < 150 {
		t.Errorf("%d samples, want 150 or more", n)
	}
}

func unzip(t *testing.T, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return all
}
