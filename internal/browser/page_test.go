package browser

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"vanilla/dataset"
	"vanilla/kernels/cpu"
	"vanilla/mnist"
	"vanilla/model"
	"vanilla/model/zoo"
	"vanilla/viz/page"
)

func TestMain(m *testing.M) { Main(m) }

// digits is MNIST, decompressed once.
var digits = sync.OnceValues(mnist.Embedded)

// images are MNIST's.
func images(t *testing.T) *dataset.Dataset {
	t.Helper()
	data, err := digits()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// builtIn opens a network that is.
func builtIn(t *testing.T, name string) page.Network {
	t.Helper()
	m, err := zoo.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	return page.Network{Name: name, Model: m}
}

// random is an untrained network.
func random(arch, activation, loss string) page.Network {
	m := &model.Model{Arch: arch, Activation: activation, Loss: loss, ImageRows: 28, ImageCols: 28, Recipe: json.RawMessage("{}")}
	widths, err := model.Widths(arch)
	if err != nil {
		panic(err) // the test is wrong
	}
	source := rand.New(rand.NewPCG(1, 2))
	for k := 1; k < len(widths); k++ {
		in, out := widths[k-1], widths[k]
		weight, bias := make([]float32, in*out), make([]float32, out)
		for i := range weight {
			weight[i] = float32(1.5 * source.NormFloat64() / math.Sqrt(float64(in)))
		}
		for i := range bias {
			bias[i] = float32(0.2 * source.NormFloat64())
		}
		m.Params = append(m.Params, model.Tensor{Name: fmt.Sprint(k, "w"), Shape: []int{out, in}, Data: weight}, model.Tensor{Name: fmt.Sprint(k, "b"), Shape: []int{out}, Data: bias})
	}
	return page.Network{Name: arch + " " + activation, Model: m}
}

// served serves the page with networks until the test ends.
func served(t *testing.T, networks ...page.Network) (address string) {
	t.Helper()
	return servedAs(t, page.Options{Networks: networks})
}

// servedAs serves the page with MNIST.
func servedAs(t *testing.T, c page.Options) (address string) {
	t.Helper()
	data := images(t)
	executor := cpu.New()
	c.Images, c.Trainer = page.NewSample(data.Test, 1000, nil), page.Trainer{Executor: executor, Data: data, Version: "test"}
	ctx, cancel := context.WithCancel(context.Background()) // the test's is done before its pages are closed
	t.Cleanup(cancel)
	s, err := page.New(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := executor.Close(); err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String() + "/"
}

// visit opens the page and waits until it is ready. The tab is closed before the server is, which was there first: no page
// misses it.
func (tab *Tab) visit(address string) {
	tab.t.Helper()
	tab.t.Cleanup(tab.end)
	tab.Load("about:blank") // another page, where only the fragment differs
	tab.Load(address)
	tab.Until(`document.body.dataset.ready === "true"`)
}

// point is a place on the pad, from 0 to 280.
type point struct{ x, y float64 }

// arc is a part of a circle, between angles in degrees.
func arc(x, y, r, from, to float64) (points []point) {
	const n = 12 // a browser takes a frame for each
	for i := range n + 1 {
		angle := (from + (to-from)*float64(i)/n) * math.Pi / 180
		points = append(points, point{x + r*math.Cos(angle), y + r*math.Sin(angle)})
	}
	return points
}

// three is a 3 in one stroke, and eight what makes an 8 of it.
var (
	three = append(arc(136, 92, 42, -160, 80), arc(136, 186, 50, -80, 160)...)
	eight = [][]point{arc(136, 92, 42, 200, 90), arc(136, 186, 50, 160, 275)}
)

// ownReadback is what the browser says of tests that look at pixels again and again.
const ownReadback = "willReadFrequently"

// padBox is where the pad is: left, top and width.
func (tab *Tab) padBox() (left, top, scale float64) {
	tab.t.Helper()
	box := Ask[[]float64](tab, `(() => { const b = document.getElementById("pad").getBoundingClientRect(); return [b.left, b.top, b.width / 280] })()`)
	return box[0], box[1], box[2]
}

// draw draws strokes with the mouse.
func (tab *Tab) draw(strokes ...[]point) {
	tab.t.Helper()
	left, top, scale := tab.padBox()
	for _, s := range strokes {
		at := func(kind input.DispatchMouseEventType, p point) {
			tab.Do(chromedp.MouseEvent(kind, left+scale*p.x, top+scale*p.y, chromedp.ButtonLeft, func(e *input.DispatchMouseEventParams) {
				if kind != input.DispatchMouseEventTypeMouseReleased {
					e.Buttons = 1
				}
			}))
		}
		at(chromedp.MousePressed, s[0])
		for _, p := range s[1:] {
			at(chromedp.MouseMoved, p)
		}
		at(chromedp.MouseReleased, s[len(s)-1])
	}
}

// touch draws a stroke with a finger.
func (tab *Tab) touch(stroke []point) {
	tab.t.Helper()
	left, top, scale := tab.padBox()
	send := func(kind input.DispatchTouchEventType, points ...*input.TouchPoint) {
		call(tab, input.DispatchTouchEvent, input.DispatchTouchEventParams{Type: kind, TouchPoints: points})
	}
	for i, p := range stroke {
		kind := input.DispatchTouchEventTypeTouchMove
		if i == 0 {
			kind = input.DispatchTouchEventTypeTouchStart
		}
		send(kind, &input.TouchPoint{X: left + scale*p.x, Y: top + scale*p.y})
	}
	send(input.DispatchTouchEventTypeTouchEnd)
}

// answers are what the networks say, one after the other.
func (tab *Tab) answers() []string {
	tab.t.Helper()
	return Ask[[]string](tab, `[...document.querySelectorAll("#answers b")].map(b => b.textContent)`)
}

// clickUnit clicks a unit of a network's picture: network, layer and unit count from 0, and layer 0 is the pixels.
func (tab *Tab) clickUnit(network, layer, unit int) {
	tab.t.Helper()
	at := Ask[[]float64](tab, fmt.Sprintf(`(() => {
		const s = document.querySelectorAll(".stage")[%d], slider = s.querySelectorAll(".layer")[%d], n = Number(slider.getAttribute("aria-valuemax")) + 1;
		s.scrollIntoView({block: "center"});
		const b = slider.getBoundingClientRect(), unit = %d;
		return [b.left + b.width / 2, b.top + 4 + (b.height - 8) * (unit + 0.5) / n, n];
	})()`, network, layer, unit))
	tab.Do(chromedp.MouseEvent(chromedp.MouseMoved, at[0], at[1]), chromedp.MouseClickXY(at[0], at[1]))
}

// bytesOf decodes base64 that a page made.
func bytesOf(t *testing.T, text string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
