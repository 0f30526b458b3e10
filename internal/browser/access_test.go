package browser

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"testing"

	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"vanilla/model/zoo"
)

// audit lists what keeps people from the page: controls without names, texts without contrast, what is wider than the window.
//
//go:embed testdata/audit.js
var audit string

// panels are the states of the page that are looked at: what brings it there, when it is there.
var panels = []struct{ name, act, ready string }{
	{"empty", ``, `true`},
	{"asked", `document.querySelectorAll(".layer")[1].dispatchEvent(new KeyboardEvent("keydown", {key: "Enter"}))`, `!document.getElementById("unit").hidden`},
	{"asked deeper", `document.querySelectorAll(".layer")[2].dispatchEvent(new KeyboardEvent("keydown", {key: "Enter"}))`, `document.querySelector("#unit .terms") !== null`},
	{"challenged", `document.getElementById("tab-challenge").click(); document.getElementById("challenge-demo").click()`, `/^Here it flips/.test(document.getElementById("challenge-say").textContent)`},
	{"trained", `document.getElementById("tab-train").click(); document.getElementById("train-epoch").click()`, `document.querySelectorAll("#panel-train .files a").length === 10`},
	{"another recipe", `document.querySelectorAll("#panel-train details").forEach(d => { d.open = true })`, `true`},
}

// On phones, tablets and desktops, light and dark, in every state: all controls have names, all texts can be read, and
// nothing is wider than the window.
func TestAccess(t *testing.T) {
	t.Parallel()
	tab := Open(t)
	address := served(t, builtIn(t, zoo.Default), random("784-512-512-10", "relu", "cross-entropy"))
	for i, size := range []struct {
		width, height int64
		mobile        bool
	}{{360, 740, true}, {768, 1024, true}, {1280, 800, false}, {1920, 1080, false}} {
		options := []chromedp.EmulateViewportOption{}
		if size.mobile {
			options = append(options, chromedp.EmulateMobile, chromedp.EmulateTouch)
		}
		tab.Do(chromedp.EmulateViewport(size.width, size.height, options...))
		for _, scheme := range []string{"light", "dark"} {
			// Without motion the challenge's demonstration is drawn at once.
			tab.Prefer(map[string]string{"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"})
			tab.visit(address)
			for _, p := range panels {
				if p.name == "trained" && (i > 0 || scheme == "dark") {
					break // one training is enough: its panel is looked at in both themes below
				}
				Ask[bool](tab, `(() => { `+p.act+`; return true })()`)
				tab.Until(p.ready)
				for _, problem := range Ask[[]string](tab, audit) {
					t.Errorf("%d x %d, %s, %s: %s", size.width, size.height, scheme, p.name, problem)
				}
			}
		}
	}
	// The panel of training, at a desktop's size and in the dark, and without preferences by the page's own switch.
	Ask[bool](tab, `(() => { document.getElementById("tab-train").click(); return true })()`)
	for range 2 {
		for _, problem := range Ask[[]string](tab, audit) {
			t.Errorf("trained: %s", problem)
		}
		tab.Do(chromedp.Click("#theme"))
	}
}

// Keys and pointers are answered before the browser has told a network how much room it has, as on a busy machine.
func TestBeforeLayout(t *testing.T) {
	t.Parallel()
	tab := Open(t)
	call(tab, cdppage.AddScriptToEvaluateOnNewDocument, cdppage.AddScriptToEvaluateOnNewDocumentParams{
		Source: `ResizeObserver = class { observe() {} disconnect() {} }`,
	})
	tab.visit(served(t, random("784-16-16-10", "sigmoid", "cross-entropy")))
	tab.draw(three)
	for _, key := range []string{"End", "ArrowLeft", "Enter"} {
		Ask[bool](tab, fmt.Sprintf(`document.querySelectorAll(".layer").forEach(l => l.dispatchEvent(new KeyboardEvent("keydown", {key: %q}))) ?? true`, key))
	}
	Ask[bool](tab, `["pointermove", "click", "pointerleave"].forEach(type => document.querySelector(".stage").dispatchEvent(new PointerEvent(type))) ?? true`)
	if got := Ask[[]string](tab, `[...document.querySelectorAll(".layer")].map(l => l.getAttribute("aria-valuenow"))`); !slices.Equal(got, []string{"782", "14", "14", "0"}) {
		t.Errorf("the keys lead to the units %q", got)
	}
}

// The audit finds what is planted.
func TestAudit(t *testing.T) {
	t.Parallel()
	tab := Open(t)
	for what, markup := range map[string]string{
		"has no name":                 `<button></button>`,
		"input has no name":           `<input type=range>`,
		"has a contrast of 1.":        `<p style="color: #ddd; background: white">pale</p>`,
		"is wider than the window":    `<p style="width: 3000px">wide</p>`,
		"the id twice is there twice": `<i id=twice></i><i id=twice></i>`,
		"points to nothing":           `<button aria-controls=nowhere>x</button>`,
		"img has no name":             `<canvas role=img></canvas>`,
	} {
		tab.Load("about:blank")
		found := Ask[[]string](tab, fmt.Sprintf(`(document.documentElement.lang = "en", document.title = "t", document.body.innerHTML = %q, 0)`, markup)+"\n;"+audit)
		if !strings.Contains(strings.Join(found, "\n"), what) {
			t.Errorf("%s: found %q, want one that says %q", markup, found, what)
		}
	}
	tab.Load("about:blank")
	if found := Ask[[]string](tab, `(document.documentElement.lang = "en", document.title = "t", document.body.innerHTML = "<p>fine</p><label>x <input></label>", 0);`+audit); len(found) > 0 {
		t.Errorf("on a page that is fine the audit finds %q", found)
	}
}
