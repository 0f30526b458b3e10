package page

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"vanilla/dataset"
	"vanilla/mnist"
	"vanilla/model"
	"vanilla/model/zoo"
)

func open(t testing.TB, name string) Network {
	t.Helper()
	m, err := zoo.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	return Network{Name: name, Model: m}
}

// testImages are MNIST's.
func testImages(t testing.TB) *dataset.Images {
	t.Helper()
	data, err := mnist.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	return data.Test
}

var document = regexp.MustCompile(`(?s)<script type="application/json" id="start">(.*?)</script>`)

// The page as a file holds the network to the bit, and the images; it names nothing that is elsewhere, and stays small
// enough to send by mail.
func TestWrite(t *testing.T) {
	lesson := open(t, zoo.Lesson)
	images := testImages(t)
	var b bytes.Buffer
	if err := Write(&b, []Network{lesson}, NewSample(images, 100, []int{33, 247, 5000})); err != nil {
		t.Fatal(err)
	}
	if b.Len() >= 400_000 {
		t.Errorf("the page has %d bytes", b.Len())
	}
	text := b.String()
	if found := regexp.MustCompile(`\b(src|href)="[^#d$]|\burl\(|@import|\bfetch\(|https?://[^w]`).FindString(text); found != "" {
		t.Errorf("the page loads something: %s", found)
	}
	found := document.FindAllStringSubmatch(text, -1)
	if len(found) != 1 {
		t.Fatalf("%d documents", len(found))
	}
	var s start
	if err := json.Unmarshal([]byte(found[0][1]), &s); err != nil {
		t.Fatal(err)
	}
	n := s.Networks[0]
	var params []float32
	for _, p := range lesson.Model.Params {
		params = append(params, p.Data...)
	}
	if got := floats([][]float32{params}); !bytes.Equal(n.Params, got) || len(n.Params) != 4*13002 {
		t.Errorf("%d bytes of parameters, which are not the model's", len(n.Params))
	}
	if n.Name != "lesson" || n.Arch != "784-16-16-10" || n.Title != "784-16-16-10 sigmoid" || n.Softmax || n.Rows != 28 || n.Cols != 28 || len(n.Classes) != 10 || n.Accuracy != lesson.Model.TestAccuracy {
		t.Errorf("found %+v", n)
	}
	if s.Images == nil || len(s.Images.Labels) != 100 || !bytes.Equal(s.Images.Pixels[99*784:], images.Image(5000)) || s.Images.Labels[99] != images.Labels[5000] {
		t.Error("the images are not the test set's")
	}
	if len(s.Palettes) != 2 {
		t.Errorf("%d palettes", len(s.Palettes))
	}
}

// What a network is called is text, wherever it comes from.
func TestWriteEscapes(t *testing.T) {
	evil := open(t, zoo.Default)
	evil.Name = `</script><script>alert(1)</script>"><img src=x>`
	var b bytes.Buffer
	if err := Write(&b, []Network{evil}, nil); err != nil {
		t.Fatal(err)
	}
	if text := b.String(); strings.Contains(text, "<script>alert") || strings.Contains(text, "<img") {
		t.Error("a name became part of the page")
	}
}

func TestWriteRefuses(t *testing.T) {
	wild := open(t, zoo.Default)
	wild.Model.Params[2].Data[5] = float32(math.NaN())
	graph := Network{"graph", &model.Model{Recipe: json.RawMessage("{}"), Params: []model.Tensor{{Name: "w", Shape: []int{1}, Data: []float32{1}}}}}
	line := Network{"line", &model.Model{Arch: "3-2", Activation: "relu", Loss: "quadratic", Recipe: json.RawMessage("{}"),
		Params: []model.Tensor{{Shape: []int{2, 3}, Data: make([]float32, 6)}, {Shape: []int{2}, Data: make([]float32, 2)}}}}
	for want, n := range map[string]Network{
		"default: parameter 2.weight: expected finite values, found NaN": wild,
		"graph: the network is not a chain of layers":                    graph,
		"line: its inputs are not images: 3 pixels do not make a square": line,
	} {
		var b bytes.Buffer
		if err := Write(&b, []Network{n}, nil); err == nil || !strings.Contains(err.Error(), want) || b.Len() > 0 {
			t.Errorf("found %v and %d bytes, want %s", err, b.Len(), want)
		}
	}
}

func TestSample(t *testing.T) {
	set := testImages(t)
	for _, c := range []struct {
		n     int
		wrong []int
		want  []int
	}{
		{5, []int{1, 40, 50}, []int{0, 1, 2, 3, 4}}, // a fifth of 5 is 1
		{10, []int{40, 50, 60}, []int{0, 1, 2, 3, 4, 5, 6, 7, 40, 50}},
		{10, []int{3}, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{3, nil, []int{0, 1, 2}},
	} {
		s := NewSample(set, c.n, c.wrong)
		if !slices.Equal(s.Numbers, c.want) || s.Len() != len(c.want) || !bytes.Equal(s.Image(2), set.Image(c.want[2])) || s.Labels[2] != set.Labels[c.want[2]] {
			t.Errorf("%d with %v: %v", c.n, c.wrong, s.Numbers)
		}
	}
	if s := NewSample(set, 20_000, nil); s.Len() != set.Len() {
		t.Errorf("%d images of %d", s.Len(), set.Len())
	}
}

// All modules are in a bundle once, none of their imports and exports are left, and both hashes are those of the texts.
func TestBundle(t *testing.T) {
	for _, entry := range []string{exportedEntry, servedEntry} {
		text, err := bundle(entry)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(text, "\nclass Drawing ") != 1 || strings.Index(text, "\nclass Drawing ") > strings.Index(text, "\nclass App ") {
			t.Errorf("%s: drawing.js is not there once, before app.js", entry)
		}
		if otherForms.MatchString(text) {
			t.Errorf("%s: found %s", entry, otherForms.FindString(text))
		}
		names := map[string]bool{}
		for _, d := range regexp.MustCompile(`(?m)^(?:async )?(?:const|let|class|function) (\w+)`).FindAllStringSubmatch(text, -1) {
			if names[d[1]] {
				t.Errorf("%s: %s is declared twice on the top level", entry, d[1])
			}
			names[d[1]] = true
		}
	}
	if got := hashOf("alert(1)"); got != "sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI=" {
		t.Errorf("found %s", got)
	}
	if _, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(hashOf(""), "sha256-")); err != nil {
		t.Error(err)
	}
}
