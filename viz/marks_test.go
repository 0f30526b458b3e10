package viz

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// Axes of counts are marked at round numbers.
func TestWholeTicks(t *testing.T) {
	for _, test := range []struct {
		low, high float64
		want      string
	}{{1, 15, "2 4 6 8 10 12 14"}, {1, 20, "5 10 15 20"}, {1, 40, "10 20 30 40"}, {1, 3, "1 2 3"}, {0, 1000, "0 200 400 600 800 1,000"}} {
		var labels []string
		for _, tick := range (wholeTicks{}).Ticks(test.low, test.high) {
			labels = append(labels, tick.Label)
		}
		if got := strings.Join(labels, " "); got != test.want {
			t.Errorf("%v to %v: ticks %s, want %s", test.low, test.high, got, test.want)
		}
	}
}

// Negative numbers have a minus sign, as in the rest of a figure.
func TestMinusTicks(t *testing.T) {
	p := (&canvas{colors: Light.colors()}).newPlot("", "", "")
	var labels []string
	for _, tick := range p.X.Tick.Marker.Ticks(-60, 60) {
		if tick.Label != "" {
			labels = append(labels, tick.Label)
		}
	}
	if got := strings.Join(labels, " "); got != "−50 0 50" {
		t.Errorf("found %s", got)
	}
}

// A range that is wider than its cell stands on two lines, and is not cut.
func TestTwoLines(t *testing.T) {
	s := style{size: 8}
	if got := twoLines("0.0207–0.0401", s, 40); !slices.Equal(got, []string{"0.0207–", "0.0401"}) {
		t.Errorf("found %q", got)
	}
	if got := twoLines("8–11", s, 40); !slices.Equal(got, []string{"8–11"}) {
		t.Errorf("found %q", got)
	}
}

// Each frame of a dream has the logit of its own image, from the start's to the end's.
func TestDreamFrames(t *testing.T) {
	n := bars(true)
	d := made[*Dream](t)(NewDream(t.Context(), n, images(20), 1))
	for _, o := range d.Outputs {
		if len(o.frames) != dreamFrames || o.frames[0].logit != o.Logits[0] || o.frames[dreamFrames-1].logit != o.Logits[len(o.Logits)-1] {
			t.Fatalf("class %d: %d frames", o.Class, len(o.frames))
		}
		for _, f := range o.frames {
			_, a, err := n.Activate(t.Context(), f.image)
			if err != nil {
				t.Fatal(err)
			}
			// Probabilities near 0 and 1 have few digits of float32 in their logits.
			p := float64(a[len(a)-1][o.Class])
			if got := 1 / (1 + math.Exp(-f.logit)); math.Abs(got-p) > 1e-5 {
				t.Errorf("class %d: a frame shows %v, the network says %v", o.Class, got, p)
			}
		}
	}
}

// Units are lit as digits are drawn: the more active, the more like ink, on either background.
func TestLamp(t *testing.T) {
	for _, theme := range []Theme{Light, Dark} {
		c := theme.colors()
		if c.lamp(1) != c.digit(1) || c.lamp(0) != c.digit(0) {
			t.Errorf("theme %v: a unit is drawn in another ink than the digit", theme)
		}
	}
}

// What is no probability is not printed as one.
func TestShare(t *testing.T) {
	if got := share(0.25, true); got != "25.0 %" {
		t.Errorf("a probability is %q", got)
	}
	if got := share(0.25, false); got != "0.250" {
		t.Errorf("an output is %q", got)
	}
	if title := made[*Noise](t)(NewNoise(t.Context(), bars(false), images(20), 1)).page().subtitle; strings.Contains(title, "%") || strings.Contains(title, "probability") {
		t.Errorf("of sigmoid outputs: %s", title)
	}
}

// The names of values are measured: long ones are written whole, short ones leave their place to the cells and bars.
func TestLeftMargins(t *testing.T) {
	short, long := heat(true), heat(true)
	for i := range long.RowOf {
		long.RowOf[i] = "784-128-128-10 leaky-relu"
	}
	if a, b := short.left(), long.left(); a > 50 || b < heatAxis+heatTick.width(long.RowOf[0])+5 {
		t.Errorf("the cells begin at %v for %q and at %v for %q", a, short.RowOf[0], b, long.RowOf[0])
	}
	one := func(value string) *Marginals {
		return &Marginals{Dimensions: []Dimension{{Name: "d", Levels: []Level{{Value: value, N: 3, Last: 3}}}}}
	}
	const name = "0.000102–0.000236 and more"
	a, _ := one("8").sides()
	if b, _ := one(name).sides(); a > 20 || b < marginalName.width(name)+8 {
		t.Errorf("the bars begin at %v and %v", a, b)
	}
}

// A sigmoid output is a number from 0 to 1 and no share of a whole.
func TestMistakesWithoutSoftmax(t *testing.T) {
	w := Mistake{Confidence: 0.9789}
	if got := (&Mistakes{Softmax: true}).confidence(w); got != "97 %" {
		t.Errorf("softmax: %q", got)
	}
	m := &Mistakes{}
	if got := m.confidence(w); got != "0.97" {
		t.Errorf("sigmoid: %q", got)
	}
	d := &Dream{}
	if got := d.rough(0.9789) + ", " + d.certainty(0.97899); got != "0.97, output 0.9789" {
		t.Errorf("a dream of sigmoid outputs: %q", got)
	}
}
