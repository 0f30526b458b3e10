package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"vanilla/internal/words"
	"vanilla/train/sweep"
)

// leaderboard shows how far a sweep is: a few lines that are drawn anew on a
// terminal, a line now and then elsewhere, of JSON if the command prints JSON.
type leaderboard struct {
	w        io.Writer
	spec     *sweep.Spec
	json     bool
	terminal bool
	head     []string // lines that come first, once training has begun
	lines    int      // on the terminal
	shown    time.Time
	last     *sweep.Progress
}

// linesEvery is the time between two lines where there is no terminal.
const linesEvery = 10 * time.Second

func newLeaderboard(w io.Writer, spec *sweep.Spec, json bool) *leaderboard {
	l := &leaderboard{w: w, spec: spec, json: json}
	if f := terminal(w); f != nil {
		l.w, l.terminal = f, true
	}
	return l
}

func (l *leaderboard) show(p sweep.Progress) {
	l.last = &p
	for _, line := range l.head {
		fmt.Fprintln(l.w, line)
	}
	l.head = nil
	if l.terminal {
		l.draw(p)
	} else if time.Since(l.shown) >= linesEvery {
		l.shown, l.last = time.Now(), nil
		l.line(p)
	}
}

// progressLine is a line of JSON. Numbers that are not known yet are null.
type progressLine struct {
	Planned          int      `json:"planned"`
	Done             int      `json:"done"`
	Diverged         int      `json:"diverged"`
	NetworkEpochs    int      `json:"network_epochs"`
	PerSecond        *float64 `json:"network_epochs_per_second"`
	Seconds          float64  `json:"seconds"`
	SecondsLeft      *float64 `json:"seconds_left"`
	BestArch         string   `json:"best_arch,omitempty"`
	BestEpoch        int      `json:"best_epoch,omitempty"`
	BestValidation   *float64 `json:"best_validation_accuracy,omitempty"`
	BestTestAccuracy *float64 `json:"best_test_accuracy,omitempty"`
}

func (l *leaderboard) line(p sweep.Progress) {
	if !l.json {
		line := l.far(p)
		if len(p.Best) > 0 {
			line += "; best " + l.row(&p.Best[0])
		}
		fmt.Fprintln(l.w, line)
		return
	}
	line := progressLine{Planned: p.Planned, Done: p.Done, Diverged: p.Diverged, NetworkEpochs: p.NetworkEpochs,
		PerSecond: finite(float64(p.NetworkEpochs) / p.Seconds), Seconds: p.Seconds, SecondsLeft: finite(p.Left)}
	if len(p.Best) > 0 {
		r := p.Best[0]
		line.BestArch, line.BestEpoch, line.BestValidation, line.BestTestAccuracy = r.Arch, r.Epoch, r.ValidationAccuracy, r.TestAccuracy
	}
	text, err := json.Marshal(line)
	if err == nil {
		fmt.Fprintf(l.w, "%s\n", text)
	}
}

// far says how far the sweep is.
func (l *leaderboard) far(p sweep.Progress) string {
	left := "?"
	if !math.IsNaN(p.Left) {
		left = time.Duration(p.Left * float64(time.Second)).Round(time.Second).String()
	}
	return fmt.Sprintf("%s of %s variants, %s diverged  %.1f network-epochs/s  %s, %s left", words.Thousands(p.Done+p.Diverged), words.Thousands(p.Planned),
		words.Thousands(p.Diverged), float64(p.NetworkEpochs)/p.Seconds, time.Duration(p.Seconds*float64(time.Second)).Round(time.Second), left)
}

// row is a network with all that tells it from the others.
func (l *leaderboard) row(r *sweep.Record) string {
	text := fmt.Sprintf("%s after %s  %s", percent(*r.ValidationAccuracy), words.Plural(r.Epoch, "epoch"), l.spec.Name(&r.Recipe))
	if r.Stage == sweep.Final || l.spec.Seeds > 1 {
		text += fmt.Sprintf(", seed %d", r.Seed)
	}
	return text
}

func (l *leaderboard) draw(p sweep.Progress) {
	var b strings.Builder
	l.erase(&b)
	fmt.Fprintln(&b, l.far(p))
	for i := range p.Best {
		fmt.Fprintf(&b, "  %s\n", l.row(&p.Best[i]))
	}
	l.lines = 1 + len(p.Best)
	io.WriteString(l.w, b.String())
}

// erase goes back to the first line that was drawn and clears what follows.
func (l *leaderboard) erase(w io.Writer) {
	if l.lines > 0 {
		fmt.Fprintf(w, "\x1b[%dA\x1b[J", l.lines)
		l.lines = 0
	}
}

// finish clears the board away, or writes the last line.
func (l *leaderboard) finish() {
	if l.terminal {
		l.erase(l.w)
	} else if l.last != nil {
		l.line(*l.last)
	}
}
