package main

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"

	"vanilla/train"
)

// progress shows how far training is: a bar on a terminal, lines elsewhere.
type progress struct {
	w      io.Writer
	bar    *progressbar.ProgressBar // nil if w is no terminal
	epochs int
	every  int // epochs from line to line
	start  time.Time
	shown  int // the epochs of the last line
}

// progressLines is about how many lines there are, however many epochs.
const progressLines = 20

func newProgress(w io.Writer, epochs int) *progress {
	p := &progress{w: w, epochs: epochs, every: (epochs + progressLines - 1) / progressLines, start: time.Now()}
	if f := terminal(w); f != nil {
		p.bar = newBar(f, epochs)
	}
	return p
}

// newBar draws an empty bar. Here and later an error is a bar less, no more.
func newBar(w io.Writer, epochs int) *progressbar.ProgressBar {
	bar := progressbar.NewOptions(epochs,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription("training"),
		progressbar.OptionSetWidth(30),
		progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionClearOnFinish(),
	)
	bar.RenderBlank()
	return bar
}

// report is called after each epoch. In a resumed run the first one is a later
// one.
func (p *progress) report(r train.Record) {
	news := fmt.Sprintf("loss %.4f", r.TrainLoss)
	if r.Validation != nil {
		news += "  validation " + percent(r.Validation.Accuracy)
	}
	if p.bar != nil {
		p.bar.Describe(news)
		p.bar.Set(r.Epoch)
		return
	}
	if p.shown == 0 || r.Epoch == p.epochs || r.Epoch%p.every == 0 {
		p.shown = r.Epoch
		fmt.Fprintf(p.w, "epoch %*d/%d  %s  %.1f s\n",
			len(fmt.Sprint(p.epochs)), r.Epoch, p.epochs, news, time.Since(p.start).Seconds())
	}
}

// finish clears the bar away: what follows says it all. Without progress, p is
// nil.
func (p *progress) finish() {
	if p != nil && p.bar != nil {
		p.bar.Exit()
		p.bar.Clear()
	}
}
