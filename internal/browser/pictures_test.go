package browser

import (
	"bytes"
	"flag"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"

	"vanilla/model/zoo"
	"vanilla/viz/page"
)

var update = flag.Bool("update", false, "take the pictures of the page anew")

// TestScreenshots brings the page to the states that the README shows, on a desktop and a phone, in light and dark; with
// -update it takes their pictures.
func TestScreenshots(t *testing.T) {
	t.Parallel()
	dir := "../../viz/page/pictures"
	tab := Open(t)
	address := servedAs(t, page.Options{Networks: []page.Network{builtIn(t, zoo.Default), builtIn(t, zoo.Lesson)}, Sweep: "../../studies/default"})
	for _, s := range []struct {
		name, scheme  string
		width, height int64
		bring         func()
	}{
		{"draw", "light", 1280, 900, func() {
			Ask[bool](tab, `(() => { document.getElementById("tab-ask").click(); return true })()`)
			tab.draw(three)
			tab.clickUnit(0, 1, 13)
		}},
		{"draw-dark", "dark", 1280, 900, func() {
			tab.Do(chromedp.Click("#tab-challenge"), chromedp.Click("#challenge-demo"))
			tab.Until(`/^Here it flips/.test(document.getElementById("challenge-say").textContent) && document.querySelector("#answers b").textContent === "8"`)
			tab.Do(chromedp.Click("#scrub-flip"))
		}},
		{"train", "light", 1280, 1000, func() {
			Ask[bool](tab, `(() => { for (const c of [...document.querySelectorAll(".network .close")]) c.click(); return true })()`)
			tab.draw(three)
			tab.Do(chromedp.Click("#tab-train"))
			for i := range 2 {
				tab.set(i, "Epochs", "40")
			}
			tab.Do(chromedp.Click("#train-go"))
			tab.Until(`/^Trained: 40 of 40 epochs/.test(document.querySelector("#panel-train .sentence").textContent) && document.querySelectorAll("#panel-train .files a").length === 10`)
		}},
		{"sweep", "light", 1280, 1200, func() {
			tab.Until(`(document.querySelector("#panel-sweep iframe")?.contentDocument?.querySelectorAll("circle").length ?? 0) > 100`)
		}},
		{"phone", "dark", 390, 1000, func() { tab.touch(three) }},
	} {
		options := []chromedp.EmulateViewportOption{}
		if s.width < 500 {
			options = append(options, chromedp.EmulateMobile, chromedp.EmulateTouch, chromedp.EmulateScale(1.5))
		}
		tab.Do(chromedp.EmulateViewport(s.width, s.height, options...))
		tab.Prefer(map[string]string{"prefers-color-scheme": s.scheme, "prefers-reduced-motion": "reduce"})
		tab.visit(address)
		s.bring()
		Ask[bool](tab, `(() => { scrollTo(0, 0); document.activeElement.blur(); return true })()`)
		// Two frames later all of it is on the screen.
		Await[bool](tab, `new Promise(r => requestAnimationFrame(() => requestAnimationFrame(() => r(true))))`)
		if !*update {
			continue
		}
		picture, err := within(tab, chromedp.CaptureScreenshot())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		decoded, err := png.Decode(bytes.NewReader(picture))
		if err != nil {
			t.Fatal(err)
		}
		var small bytes.Buffer
		if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&small, decoded); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, s.name+".png"), small.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
