package browser

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"vanilla/model/zoo"
)

// What is drawn is read, by all networks, as it is drawn; undo, clear and the eraser take it back.
func TestDraw(t *testing.T) {
	t.Parallel()
	tab := Open(t)
	tab.Ignore(ownReadback)
	tab.Do(chromedp.EmulateViewport(1440, 900))
	tab.visit(served(t, builtIn(t, zoo.Default), builtIn(t, zoo.Lesson)))
	if got := tab.answers(); !slices.Equal(got, []string{"–", "–"}) {
		t.Errorf("before anything is drawn the answers are %q", got)
	}
	tab.draw(three)
	if got := tab.answers(); !slices.Equal(got, []string{"3", "3"}) {
		t.Errorf("a 3 is read as %q", got)
	}
	if said := Ask[string](tab, `document.getElementById("spoken").textContent`); !strings.HasPrefix(said, "default says 3 (9") {
		t.Errorf("screen readers hear %q", said)
	}
	tab.draw(eight...)
	if got := tab.answers(); !slices.Equal(got, []string{"8", "8"}) {
		t.Errorf("an 8 is read as %q", got)
	}
	tab.Do(chromedp.Click("#undo"), chromedp.Click("#undo"))
	if got := tab.answers(); !slices.Equal(got, []string{"3", "3"}) {
		t.Errorf("without the last strokes it is read as %q", got)
	}
	ink := `window.inkOf = () => { const d = document.getElementById("pad").getContext("2d").getImageData(0, 0, 280, 280).data; let n = 0; for (let i = 0; i < d.length; i += 4) n += d[i] < 128; return n; }`
	Ask[bool](tab, `(() => { `+ink+`; return true })()`)
	before := Ask[int](tab, `inkOf()`)
	tab.Do(chromedp.Click(`[data-tool=erase]`))
	tab.draw([]point{{60, 60}, {200, 60}})
	if after := Ask[int](tab, `inkOf()`); after >= before || after < before/2 {
		t.Errorf("the eraser left %d of %d pixels of ink", after, before)
	}
	tab.Do(chromedp.Click("#clear"))
	if n, got := Ask[int](tab, `inkOf()`), tab.answers(); n != 0 || got[0] != "–" {
		t.Errorf("after clearing there are %d pixels of ink and the answers %q", n, got)
	}
	tab.Do(chromedp.Click("#undo"), chromedp.Click(`[data-tool=draw]`), chromedp.Click("#undo"))
	if n, got := Ask[int](tab, `inkOf()`), tab.answers(); n != before || got[0] != "3" {
		t.Errorf("after taking clearing and erasing back there are %d pixels of ink, want %d, and the answers %q", n, before, got)
	}
}

// A finger draws, and the page stays where it is.
func TestTouch(t *testing.T) {
	t.Parallel()
	tab := Open(t)
	tab.Do(chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile, chromedp.EmulateTouch))
	tab.visit(served(t, builtIn(t, zoo.Default)))
	tab.touch(three)
	tab.Until(`document.querySelector("#answers b").textContent === "3"`)
	if at := Ask[float64](tab, `scrollY`); at != 0 {
		t.Errorf("drawing scrolled the page by %v", at)
	}
}

// Moved, scaled and turned, a drawing is read differently where it is left as it is, and not where it is made like MNIST;
// the page says so.
func TestMove(t *testing.T) {
	t.Parallel()
	tab := Open(t)
	tab.Ignore(ownReadback)
	tab.Do(chromedp.EmulateViewport(1440, 900))
	tab.visit(served(t, builtIn(t, zoo.Default)))
	tab.draw(three)
	seen := `JSON.stringify([...document.querySelector("#networks canvas").getContext("2d").getImageData(0, 0, 120, 320).data].map(v => v >> 2))`
	before := Ask[string](tab, seen)
	tab.Do(chromedp.Click(`[data-tool=move]`))
	tab.draw([]point{{140, 140}, {150, 140}, {170, 120}})
	if text := Ask[string](tab, `document.getElementById("moved").textContent`); text != "moved by 3, -2 pixels, × 1.00, turned by 0°" {
		t.Errorf("the page says %q", text)
	}
	if after := Ask[string](tab, seen); after != before {
		t.Error("made like MNIST, a drawing that was moved is seen elsewhere")
	}
	tab.Do(chromedp.Click("#like-mnist"))
	if after := Ask[string](tab, seen); after == before {
		t.Error("left as it is, a drawing that was moved is seen where it was")
	}
	if text := Ask[string](tab, `document.getElementById("sight").textContent`); !regexp.MustCompile(`^Left as it is, default says \d \(.*%\); made like MNIST, it would say 3 \(9.*%\)\.$`).MatchString(text) {
		t.Errorf("the page says %q", text)
	}
	set := func(id string, v float64) {
		Ask[bool](tab, fmt.Sprintf(`(() => { const e = document.getElementById(%q); e.value = %v; e.dispatchEvent(new Event("input", {bubbles: true})); return true })()`, id, v))
	}
	set("scale", -1)
	set("angle", 90)
	if text := Ask[string](tab, `document.getElementById("moved").textContent`); text != "moved by 3, -2 pixels, × 0.50, turned by 90°" {
		t.Errorf("the page says %q", text)
	}
	if got := tab.answers(); got[0] == "3" {
		t.Errorf("small and on its back, a 3 is read as %q", got)
	}
	tab.Do(chromedp.Click("#upright"), chromedp.Click("#like-mnist"))
	if after := Ask[string](tab, seen); after != before {
		t.Error("put back, the drawing is another")
	}
}

// Test images are shown to the network as they are, to the bit; mistakes are mistakes; noise is noise.
func TestLoad(t *testing.T) {
	t.Parallel()
	tab := Open(t)
	tab.visit(served(t, builtIn(t, zoo.Default)))
	data := images(t)
	for range 8 {
		tab.Do(chromedp.Click("#mistake"))
		text := Ask[string](tab, `document.getElementById("loaded").textContent`)
		found := regexp.MustCompile(`^test image (\d+), labelled (\d)$`).FindStringSubmatch(text)
		if found == nil {
			t.Fatalf("the page says %q", text)
		}
		i, _ := strconv.Atoi(found[1])
		if label := fmt.Sprint(data.Test.Labels[i]); label != found[2] || tab.answers()[0] == label {
			t.Errorf("%s, which is a %s, is read as %s", text, label, tab.answers()[0])
		}
	}
	tab.Do(chromedp.Click("#test-image"))
	if text := Ask[string](tab, `document.getElementById("sight").textContent`); !strings.HasPrefix(text, "This picture is shown to networks as it is") {
		t.Errorf("the page says %q", text)
	}
	tab.Do(chromedp.Click("#noise"))
	if text := Ask[string](tab, `document.getElementById("loaded").textContent`); text != "noise: every pixel drawn at random" || tab.answers()[0] == "–" {
		t.Errorf("the page says %q and %q", text, tab.answers())
	}
}

// A unit that is clicked is taken apart, in numbers that add up to what the network computes; what is under the pointer is
// said.
func TestAsk(t *testing.T) {
	t.Parallel()
	tab := Open(t)
	tab.Do(chromedp.EmulateViewport(1440, 1000))
	tab.visit(served(t, builtIn(t, zoo.Default), builtIn(t, zoo.Lesson)))
	tab.draw(three)
	sums := `Object.fromEntries([...document.querySelectorAll("#unit dt")].map(dt => [dt.textContent.split(":")[0], dt.nextSibling.textContent]))`
	number := func(text string) float64 {
		v, err := strconv.ParseFloat(strings.NewReplacer("−", "-", " %", "").Replace(text), 64)
		if err != nil {
			t.Errorf("%q is no number", text)
		}
		return v
	}
	for _, c := range []struct {
		network, layer, unit int
		heading, activation  string
	}{
		{0, 1, 5, "Unit 5 of layer 2 in default", "sigmoid"},
		{0, 2, 11, "Unit 11 of layer 3 in default", "sigmoid"},
		{1, 3, 3, "Class 3 in lesson", "sigmoid"},
		{0, 3, 8, "Class 8 in default", "softmax"},
	} {
		tab.clickUnit(c.network, c.layer, c.unit)
		if got := Ask[string](tab, `document.querySelector("#unit h3").textContent`); got != c.heading {
			t.Errorf("found %q, want %q", got, c.heading)
			continue
		}
		got := Ask[map[string]string](tab, sums)
		up, down := got["blue terms"]+got["blue ink"], got["red terms"]+got["red ink"]
		if z := number(up) + number(down) + number(got["bias"]); z-number(got["sum z"]) > 0.021 || number(got["sum z"])-z > 0.021 {
			t.Errorf("%s: %v do not add up", c.heading, got)
		}
		if got[c.activation] == "" {
			t.Errorf("%s: found %v, want what %s makes of it", c.heading, got, c.activation)
		}
		if percent := strings.HasSuffix(got[c.activation], " %"); percent != (c.activation == "softmax") {
			t.Errorf("%s: %s makes %s of it, want per cent of probabilities alone", c.heading, c.activation, got[c.activation])
		}
		said := Ask[string](tab, fmt.Sprintf(`document.querySelectorAll(".stage")[%d].querySelector(".tip").textContent`, c.network))
		if !strings.Contains(said, "sum "+got["sum z"]) {
			t.Errorf("%s: under the pointer the page says %q", c.heading, said)
		}
	}
	tab.clickUnit(0, 1, 5)
	before := Ask[map[string]string](tab, sums)
	tab.draw(eight...)
	if after := Ask[map[string]string](tab, sums); after["sum z"] == before["sum z"] {
		t.Error("the unit does not follow the drawing")
	}
	tab.clickUnit(0, 0, 400)
	if got := Ask[string](tab, `document.querySelector("#unit h3").textContent`); !strings.HasPrefix(got, "Pixel in row 14, column 14") {
		t.Errorf("found %q", got)
	}
}

// All that matters can be done without a pointer: a 1 is drawn, a unit asked, the panels changed.
func TestKeyboard(t *testing.T) {
	t.Parallel()
	tab := Open(t)
	tab.Do(chromedp.EmulateViewport(1440, 900))
	tab.visit(served(t, builtIn(t, zoo.Default)))
	focus := func() string {
		return Ask[string](tab, `document.activeElement.id || document.activeElement.getAttribute("aria-label") || document.activeElement.textContent`)
	}
	press := func(keys string, times int) {
		for range times {
			tab.Do(chromedp.KeyEvent(keys))
		}
	}
	tabTo := func(want string) {
		t.Helper()
		for range 60 {
			if focus() == want {
				return
			}
			press(kb.Tab, 1)
		}
		t.Fatalf("Tab does not lead to %q", want)
	}
	tabTo("pad")
	press(" ", 1)
	press(kb.ArrowDown, 24)
	press(" ", 1)
	if got := tab.answers(); got[0] != "1" {
		t.Errorf("a line from above is read as %q", got)
	}
	tabTo("units of layer 2")
	press(kb.ArrowDown, 3)
	if text := Ask[string](tab, `document.activeElement.getAttribute("aria-valuetext")`); !strings.HasPrefix(text, "unit 3 of layer 2: sum ") {
		t.Errorf("screen readers hear %q", text)
	}
	press(kb.Enter, 1)
	if got := Ask[string](tab, `document.querySelector("#unit h3").textContent`); got != "Unit 3 of layer 2 in default" {
		t.Errorf("found %q", got)
	}
	tabTo("tab-ask")
	press(kb.ArrowRight, 1)
	if focus() != "tab-challenge" || Ask[bool](tab, `document.getElementById("panel-challenge").hidden`) {
		t.Errorf("the arrow leads to %q", focus())
	}
	tabTo("challenge-demo")
}

// The challenge: an 8 is made of a 3, stroke by stroke; the page finds the one that flips the answer, and the units that
// changed, and replays it.
func TestChallenge(t *testing.T) {
	t.Parallel()
	tab := Open(t)
	tab.Ignore(ownReadback)
	tab.Do(chromedp.EmulateViewport(1440, 1000))
	tab.visit(served(t, builtIn(t, zoo.Default)))
	tab.Do(chromedp.Click("#tab-challenge"), chromedp.Click("#challenge-start"))
	tab.draw(three)
	tab.Until(`!document.getElementById("challenge-ready").hidden`)
	tab.Do(chromedp.Click("#challenge-ready"))
	tab.draw(eight...)
	text := Ask[string](tab, `document.getElementById("challenge-say").textContent`)
	if found := regexp.MustCompile(`^Here it flips: from 3 to \d\..*the probability of 3 went from 9\d\.\d % to [0-4]?\d\.\d %`).MatchString(text); !found {
		t.Errorf("the page says %q", text)
	}
	marked := `(() => { const d = document.getElementById("pad-marks").getContext("2d").getImageData(0, 0, 280, 280).data; let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n; })()`
	if n := Ask[int](tab, marked); n < 50 || n > 3000 {
		t.Errorf("%d pixels are marked", n)
	}
	units := Ask[[]string](tab, `[...document.querySelectorAll("#challenge-units li")].map(li => li.textContent)`)
	form := regexp.MustCompile(`^unit (\d+)\d\.\d\d → \d\.\d\d ([+−]\d\.\d\d)$`)
	last := 2.
	for _, u := range units {
		found := form.FindStringSubmatch(u)
		if found == nil {
			t.Fatalf("a unit is described as %q", u)
		}
		change, _ := strconv.ParseFloat(strings.Trim(found[2], "+−"), 64)
		if change > last {
			t.Errorf("the units %q are not those that changed most, first", units)
		}
		last = change
	}
	if len(units) != 6 {
		t.Errorf("%d units", len(units))
	}
	scrub := func(at string) string {
		Ask[bool](tab, fmt.Sprintf(`(() => { const s = document.getElementById("scrub"); s.value = %s; s.dispatchEvent(new Event("input", {bubbles: true})); return true })()`, at))
		return tab.answers()[0]
	}
	if got := scrub("0"); got != "3" {
		t.Errorf("at the beginning it is read as %s", got)
	}
	tab.Do(chromedp.Click("#scrub-flip"))
	if got := tab.answers()[0]; got == "3" {
		t.Errorf("where it flips it is read as %s", got)
	}
	if got := scrub("Number(document.getElementById('scrub').value) - 1"); got != "3" {
		t.Errorf("just before it flips it is read as %s", got)
	}
	if got := scrub("document.getElementById('scrub').max"); got != "8" {
		t.Errorf("at the end it is read as %s", got)
	}
	tab.Do(chromedp.Click("#challenge-demo"))
	tab.Until(`/^Here it flips/.test(document.getElementById("challenge-say").textContent) && document.querySelector("#answers b").textContent === "8"`)
}

// A challenge ends with the network that it is of, and goes on when another comes or goes.
func TestChallengeAmongNetworks(t *testing.T) {
	t.Parallel()
	tab := Open(t)
	tab.Do(chromedp.EmulateViewport(1440, 1000))
	tab.Prefer(map[string]string{"prefers-reduced-motion": "reduce"})
	tab.visit(served(t, builtIn(t, zoo.Default), builtIn(t, zoo.Lesson), random("784-10", "sigmoid", "cross-entropy")))
	remove := func(network int) string {
		return Ask[string](tab, fmt.Sprintf(`(document.querySelectorAll(".network .close")[%d].click(), document.getElementById("challenge-say").textContent)`, network))
	}
	tab.Do(chromedp.Click("#tab-challenge"))
	Ask[bool](tab, `(() => {
		const list = document.getElementById("challenge-network");
		list.selectedIndex = 1;
		list.dispatchEvent(new Event("change"));
		document.getElementById("challenge-demo").click();
		return true;
	})()`)
	for _, network := range []int{2, 0} {
		if said := remove(network); !strings.HasPrefix(said, "Here it flips") {
			t.Errorf("without another network the page says %q", said)
		}
	}
	if said := remove(0); !strings.Contains(said, "then extend it stroke by stroke") {
		t.Errorf("without its network the page says %q", said)
	}
}
