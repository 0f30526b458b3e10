package browser

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/png"
	"math"
	"testing"

	"vanilla/graph"
	"vanilla/infer"
	"vanilla/kernels"
	"vanilla/kernels/cpu"
	"vanilla/mnist"
	"vanilla/model/zoo"
	"vanilla/viz/page"
)

// tolerance is what the page's probabilities, in float64, and those of an executor, in float32, may differ by.
const tolerance = 1e-5

// What the page computes is what vanilla eval and predict do: on 1,000 test images, class by class.
func TestForward(t *testing.T) {
	t.Parallel()
	networks := []page.Network{builtIn(t, zoo.Default), builtIn(t, zoo.Lesson), random("784-64-32-10", "relu", "cross-entropy"), random("784-10", "sigmoid", "cross-entropy"),
		random("784-300-100-50-10", "gelu-tanh", "cross-entropy")}
	tab := Open(t)
	tab.visit(served(t, networks...))
	images := page.NewSample(images(t).Test, 1000, nil)
	executor := cpu.New()
	defer executor.Close()
	for i, n := range networks {
		text := Await[string](tab, fmt.Sprintf(`(async () => {
			const {Network, decodeFloats, decodeBytes} = await import("/assets/network.js");
			const start = await (await fetch("/api/start")).json(), facts = start.networks[%d], pixels = decodeBytes(start.images.pixels);
			const network = new Network({...facts, params: decodeFloats(facts.params)}), all = new Float64Array(10000);
			for (let i = 0; i < 1000; i++) {
				network.run(pixels.subarray(784 * i, 784 * (i + 1)));
				all.set(network.probabilities, 10 * i);
			}
			let raw = "";
			for (const b of new Uint8Array(all.buffer)) raw += String.fromCharCode(b);
			return btoa(raw);
		})()`, i))
		raw := bytesOf(t, text)
		opened, err := infer.Open(executor, n.Model, nil)
		if err != nil {
			t.Fatal(err)
		}
		want, err := opened.Probabilities(t.Context(), images.Pixels)
		if err != nil {
			t.Fatal(err)
		}
		worst := 0.
		got := make([]float64, 10)
		for image := range images.Len() {
			row := want[10*image : 10*image+10]
			for c := range got {
				got[c] = math.Float64frombits(binary.LittleEndian.Uint64(raw[80*image+8*c:]))
				worst = max(worst, math.Abs(got[c]-float64(row[c])))
			}
			if a, b := kernels.Argmax(got), kernels.Argmax(row); a != b {
				t.Errorf("%s: image %d is %d on the page, %d by vanilla eval", n.Name, image, a, b)
			}
		}
		t.Logf("%s: probabilities differ by at most %.2g", n.Name, worst)
		if worst > tolerance {
			t.Errorf("%s: probabilities differ by %.2g, more than %g", n.Name, worst, tolerance)
		}
		if err := opened.Close(); err != nil {
			t.Error(err)
		}
	}
}

// The page knows all activations, and each is the one of package ir.
func TestActivations(t *testing.T) {
	t.Parallel()
	tab := Open(t)
	tab.visit(served(t, builtIn(t, zoo.Default)))
	for _, a := range graph.Activations() {
		// Adding 0 makes 0 of -0, which JSON has no number for.
		got := Await[[]float64](tab, fmt.Sprintf(`import("/assets/network.js").then(m => Array.from({length: 110}, (_, i) => m.ACTIVATIONS[%q].f(-20 + 0.37 * i) + 0))`, a.String()))
		for i, v := range got {
			if want := a.Value(-20 + 0.37*float64(i)); math.Abs(v-want) > 1e-12*math.Max(1, math.Abs(want)) {
				t.Errorf("%s of %v is %v on the page, want %v", a, -20+0.37*float64(i), v, want)
			}
		}
	}
}

// A drawing becomes, on the page, the same bytes that vanilla predict makes of it as a picture: strokes of all widths, moved,
// scaled and turned, erased, over test images and over each other, on the edge, and next to nothing.
func TestPreparation(t *testing.T) {
	t.Parallel()
	tab := Open(t)
	tab.visit(served(t, builtIn(t, zoo.Default)))
	type drawing struct{ Ink, Pixels string }
	drawings := Await[[]drawing](tab, `(async () => {
		const {Drawing, SIDE} = await import("/assets/drawing.js"), {decodeBytes} = await import("/assets/network.js");
		const start = await (await fetch("/api/start")).json(), images = decodeBytes(start.images.pixels);
		let seed = 1;
		const random = n => { seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0; return n * seed / 2 ** 32; };
		const encode = bytes => { let raw = ""; for (const b of bytes) raw += String.fromCharCode(b); return btoa(raw); };
		const sizes = [[28, 28], [28, 28], [20, 28], [8, 8], [64, 48]], found = [];
		for (let i = 0; i < 120; i++) {
			const d = new Drawing();
			if (i % 6 === 5) d.load({rows: 28, cols: 28, pixels: images.slice(784 * i, 784 * (i + 1)), name: "", label: null});
			if (i % 20 === 19) d.load({rows: 28, cols: 28, pixels: Uint8Array.from({length: 784}, () => random(256)), name: "", label: null});
			for (let s = 0; s < 1 + i % 4; s++) {
				let x = random(320) - 20, y = random(320) - 20;
				d.begin(x, y, i === 7 ? 1 : i === 8 ? 150 : 3 + random(25), s === 3);
				for (let p = random(40); p > 0; p--) d.extend(x += random(40) - 20, y += random(40) - 20);
			}
			if (i % 3 === 2) d.turn({dx: random(100) - 50, dy: random(100) - 50, scale: 0.4 + random(1.6), angle: random(7)});
			const [rows, cols] = sizes[i % sizes.length];
			found.push({Ink: encode(d.ink), Pixels: encode(d.pixels({rows, cols}, true))});
		}
		return found;
	})()`)
	sizes := [][2]int{{28, 28}, {28, 28}, {20, 28}, {8, 8}, {64, 48}}
	blank := 0
	for i, d := range drawings {
		grey := &image.Gray{Pix: bytesOf(t, d.Ink), Stride: 280, Rect: image.Rect(0, 0, 280, 280)}
		var file bytes.Buffer
		if err := png.Encode(&file, grey); err != nil {
			t.Fatal(err)
		}
		picture, err := png.Decode(&file)
		if err != nil {
			t.Fatal(err)
		}
		size := sizes[i%len(sizes)]
		want, err := mnist.FromImage(picture, size[0], size[1])
		if err != nil {
			blank++
			want = make([]byte, size[0]*size[1])
		}
		if got := bytesOf(t, d.Pixels); !bytes.Equal(got, want) {
			different := 0
			for p := range want {
				if got[p] != want[p] {
					different++
				}
			}
			t.Errorf("drawing %d: %d of %d pixels differ", i, different, len(want))
		}
	}
	if len(drawings)-blank < 100 {
		t.Errorf("only %d of %d drawings show something", len(drawings)-blank, len(drawings))
	}
}
