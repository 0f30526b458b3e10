package browser

import (
	"bytes"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"vanilla/model/zoo"
	"vanilla/viz/page"
)

// exported writes the page as a file.
func exported(t *testing.T, networks ...page.Network) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "demo.html")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := page.Write(f, networks, page.NewSample(images(t).Test, 100, []int{8, 33, 247})); err != nil {
		t.Fatal(err)
	}
	return path
}

// The page as a file, with no network at all: it draws, asks, challenges, and asks nobody for anything.
func TestExported(t *testing.T) {
	t.Parallel()
	tab := Open(t)
	tab.Do(chromedp.EmulateViewport(1440, 900))
	call(tab, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{MatchedNetworkConditions: []*network.Conditions{{Offline: true}}})
	address := "file://" + exported(t, builtIn(t, zoo.Lesson))
	tab.visit(address)
	tab.draw(three)
	if got := tab.answers(); !slices.Equal(got, []string{"3"}) {
		t.Errorf("a 3 is read as %q", got)
	}
	tab.clickUnit(0, 1, 3)
	if got := Ask[string](tab, `document.querySelector("#unit h3").textContent`); got != "Unit 3 of layer 2 in lesson" {
		t.Errorf("found %q", got)
	}
	tab.Do(chromedp.Click("#test-image"), chromedp.Click("#tab-challenge"), chromedp.Click("#challenge-demo"))
	tab.Until(`/^Here it flips/.test(document.getElementById("challenge-say").textContent)`)
	if Ask[bool](tab, `document.getElementById("tab-train") !== null`) {
		t.Error("the file offers training, which needs a server")
	}
	for _, r := range tab.Requests() {
		if !strings.HasPrefix(r, "file:") && !strings.HasPrefix(r, "data:") && r != "about:blank" {
			t.Errorf("the page asks for %s", r)
		}
	}
}

// The address holds all of a drawing, to the bit, what is asked, and the settings of training; an address that cannot be
// read is said to be none.
func TestLink(t *testing.T) {
	t.Parallel()
	tab := Open(t)
	tab.Ignore(ownReadback)
	tab.Do(chromedp.EmulateViewport(1440, 900))
	address := served(t, builtIn(t, zoo.Default))
	tab.visit(address)
	seen := `(async () => {
		const {Drawing} = await import("/assets/drawing.js"), {unpack, decode} = await import("/assets/share.js");
		const d = new Drawing();
		unpack(decode(new URLSearchParams(location.hash.slice(1)).get("drawing")), d);
		const own = document.getElementById("pad").getContext("2d").getImageData(0, 0, 280, 280).data;
		let different = 0;
		for (let i = 0; i < d.ink.length; i++) different += (own[4 * i] < 255) !== (d.ink[i] > 0);
		return [different, d.ink.reduce((a, b) => a + b, 0), d.strokes.length];
	})()`
	tab.Do(chromedp.Click("#mistake"))
	tab.draw(three)
	tab.Do(chromedp.Click(`[data-tool=move]`))
	tab.draw([]point{{140, 140}, {163.3, 131.7}})
	tab.Do(chromedp.Click(`[data-tool=erase]`))
	tab.draw([]point{{100, 100}, {120, 120}})
	tab.Do(chromedp.Click("#like-mnist"))
	tab.clickUnit(0, 2, 7)
	tab.Do(chromedp.Click("#tab-train"))
	tab.set(0, "Epochs", "17")
	tab.Until(`/drawing=.*sight=raw.*ask=0\.2\.7.*train=.*17/.test(decodeURIComponent(location.hash))`)
	before, link, answers := Await[[]float64](tab, seen), Ask[string](tab, `location.href`), tab.answers()
	if before[0] != 0 || before[1] == 0 || before[2] != 2 {
		t.Errorf("the link's drawing differs in %v of the pixels; %v strokes", before[0], before[2])
	}
	tab.visit(link)
	if after := Await[[]float64](tab, seen); after[0] != 0 || after[1] != before[1] || !slices.Equal(tab.answers(), answers) {
		t.Errorf("brought back, the drawing is %v and read as %q; it was %v and %q", after, tab.answers(), before, answers)
	}
	if got := Ask[string](tab, `document.querySelector("#unit h3").textContent + document.getElementById("like-mnist").checked`); got != "Unit 7 of layer 3 in defaultfalse" {
		t.Errorf("brought back, the page shows %q", got)
	}
	if got := Ask[string](tab, `[...document.querySelectorAll("#panel-train fieldset:first-of-type .fields label")].find(l => l.firstChild.textContent === "Epochs").lastChild.value`); got != "17" {
		t.Errorf("brought back, %s epochs are trained", got)
	}
	for _, hash := range []string{"#drawing=AAAA", "#drawing=!!", "#train={", "#drawing=AQABAQ&ask=9.9.9", "#ask=0.2.999"} {
		tab.visit(address + hash)
		tab.draw(three)
		if got := tab.answers(); got[0] != "3" {
			t.Errorf("%s: a 3 is read as %q", hash, got)
		}
	}
}

// The picture is saved as PNG and as SVG.
func TestPictures(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tab := Open(t)
	tab.Do(chromedp.EmulateViewport(1440, 900))
	tab.visit("file://" + exported(t, builtIn(t, zoo.Default), random("784-300-40-10", "relu", "cross-entropy")))
	call(tab, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{Behavior: "allow", DownloadPath: dir, BrowserContextID: chromedp.FromContext(tab.ctx).BrowserContextID})
	tab.draw(three)
	saved := func(id, name string) (data []byte) {
		tab.Do(chromedp.Click(id))
		tab.until(name+" is saved", func() bool { // it has its name once it is whole
			data, _ = os.ReadFile(filepath.Join(dir, name))
			return len(data) > 0
		})
		return data
	}
	picture, err := png.Decode(bytes.NewReader(saved("#save-png", "network.png")))
	if err != nil {
		t.Fatal(err)
	}
	if b := picture.Bounds(); b.Dx() < 1000 || b.Dy() < 1200 {
		t.Errorf("the PNG has %v", b)
	}
	svg := saved("#save-svg", "network.svg")
	path := filepath.Join(dir, "network.svg")
	if n := bytes.Count(svg, []byte("<text")); n < 30 || !bytes.Contains(svg, []byte("default: 3 (9")) || !bytes.Contains(svg, []byte("784-300-40-10 relu")) {
		t.Errorf("the SVG has %d texts, %.200s", n, svg)
	}
	tab.Load("file://" + path)
	if got := Ask[string](tab, `document.documentElement.tagName + document.querySelectorAll("image").length + document.querySelectorAll("parsererror").length`); got != "svg20" {
		t.Errorf("as a page the SVG is %s", got)
	}
}
