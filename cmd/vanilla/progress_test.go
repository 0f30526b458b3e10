package main

import (
	"bytes"
	"strings"
	"testing"

	"vanilla/train"
)

func TestProgressLines(t *testing.T) {
	inData(t)
	for epochs, most := range map[string]int{"1": 1, "6": 6, "20": 20, "21": 13, "500": 23} {
		_, stderr, code := vanilla(t, tiny("--epochs", epochs)...)
		if n := strings.Count(stderr, "epoch "); code != done || n < 1 || n > most || !strings.Contains(stderr, epochs+"/"+epochs) {
			t.Errorf("%s epochs: exit code %d, %d lines, want at most %d: %s", epochs, code, n, most, stderr)
		}
	}
}

// On a terminal the bar moves, and is gone in the end.
func TestProgressBar(t *testing.T) {
	var b bytes.Buffer
	p := newProgress(&b, 4)
	p.bar = newBar(&b, 4)
	for epoch := 1; epoch <= 3; epoch++ { // an interruption takes the last one
		p.report(train.Record{Epoch: epoch, TrainLoss: 0.125})
	}
	p.finish()
	if drawn := b.String(); !strings.Contains(drawn, "loss 0.1250") || !strings.Contains(drawn, "(3/4)") || strings.Contains(drawn, "\n") {
		t.Errorf("drew %q", drawn)
	}
	last := strings.Split(strings.TrimRight(b.String(), "\r"), "\r")
	if line := last[len(last)-1]; strings.TrimSpace(line) != "" {
		t.Errorf("left %q behind", line)
	}
}
