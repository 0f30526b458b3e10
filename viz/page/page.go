// Package page is the page on which one draws a digit and watches every unit of a network: as one file that needs no
// server ([Write]), or served together with what trains networks ([New]).
//
// The page itself is in assets, as plain modules of JavaScript. It runs the networks; this package gives it what it
// starts with, one JSON document: networks with their weights, test images, and package viz's colours.
package page

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"

	"vanilla/dataset"
	"vanilla/graph"
	"vanilla/model"
	"vanilla/viz"
)

// Network is a trained network as the page shows it.
type Network struct {
	Name  string // what it is called there
	Model *model.Model
}

// Sample is test images that the page can load.
type Sample struct {
	*dataset.Images
	Numbers []int // which ones of their set they are
}

// NewSample picks n images of a set, or all if there are fewer: the first ones, but for a fifth, which are the first ones
// of those that are wrong, by their numbers. It has fewer of these if fewer are wrong.
func NewSample(set *dataset.Images, n int, wrong []int) *Sample {
	n = min(n, set.Len())
	mistakes := wrong[:min(len(wrong), n/5)]
	var numbers []int
	for i := 0; len(numbers) < n-len(mistakes); i++ {
		if !slices.Contains(mistakes, i) {
			numbers = append(numbers, i)
		}
	}
	numbers = append(numbers, mistakes...)
	slices.Sort(numbers)
	s := &Sample{Images: &dataset.Images{Rows: set.Rows, Cols: set.Cols, Classes: set.Classes}, Numbers: numbers}
	for _, i := range numbers {
		s.Pixels = append(s.Pixels, set.Image(i)...)
		s.Labels = append(s.Labels, set.Labels[i])
	}
	return s
}

// Write writes the page as one file that holds networks and images, which may be nil, and needs nothing else. It fails if
// a network is not a chain of layers that sees images, and if a weight is not finite.
func Write(w io.Writer, networks []Network, images *Sample) error {
	start, err := newStart(networks, images)
	if err != nil {
		return err
	}
	// It escapes what would end the element that it is put in.
	document, err := json.Marshal(start)
	if err != nil {
		return err
	}
	script, err := bundle(exportedEntry)
	if err != nil {
		return err
	}
	style := paletteCSS() + asset(styleFile)
	policy := fmt.Sprintf("default-src 'none'; script-src '%s'; style-src '%s'; img-src data: blob:; base-uri 'none'; form-action 'none'", hashOf(script), hashOf(style))
	head := fmt.Sprintf("<meta http-equiv=\"Content-Security-Policy\" content=\"%s\">\n<style>%s</style>", policy, style)
	foot := fmt.Sprintf("<script type=\"application/json\" id=\"start\">%s</script>\n<script type=\"module\">%s</script>", document, script)
	title := "vanilla"
	if len(networks) > 0 {
		title = "vanilla: " + networks[0].Name
	}
	return writeIndex(w, index{Title: title, Head: template.HTML(head), Foot: template.HTML(foot)})
}

// index is what index.html is filled with.
type index struct {
	Title      string
	Head, Foot template.HTML
	Served     bool
}

func writeIndex(w io.Writer, i index) error {
	t, err := template.New("index").Parse(asset(indexFile))
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, i); err != nil {
		return err
	}
	_, err = w.Write(b.Bytes())
	return err
}

// start is what the page begins with; app.js reads it.
type start struct {
	Palettes map[string]palette `json:"palettes"`
	Networks []network          `json:"networks"`
	Images   *images            `json:"images"`
	Training *controls          `json:"training,omitempty"` // where networks can be trained
	Sweep    string             `json:"sweep,omitempty"`    // what the sweep that is followed is called
}

type palette struct {
	Background string   `json:"background"`
	Ink        string   `json:"ink"`
	Muted      string   `json:"muted"`
	Grid       string   `json:"grid"`
	Good       string   `json:"good"`
	Bad        string   `json:"bad"`
	Positive   string   `json:"positive"`
	Negative   string   `json:"negative"`
	Series     []string `json:"series"`
	Diverging  []byte   `json:"diverging"`
	Digit      []byte   `json:"digit"`
}

// chain is an architecture: widths, and the activation of each hidden layer.
type chain struct {
	Title       string   `json:"title"` // for people
	Arch        string   `json:"arch"`
	Widths      []int    `json:"widths"`
	Activations []string `json:"activations"`
}

func chainOf(title, arch, activation string) (chain, error) {
	widths, own, err := model.ParseArch(arch)
	if err != nil {
		return chain{}, err
	}
	c := chain{Title: title, Arch: arch, Widths: widths, Activations: []string{}}
	for k := 1; k < len(widths)-1; k++ {
		name := activation
		if own != nil && own[k] != "" {
			name = own[k]
		}
		c.Activations = append(c.Activations, name)
	}
	return c, nil
}

// network is a network as network.js takes it.
type network struct {
	Name string `json:"name"`
	chain
	Softmax  bool     `json:"softmax"`
	Rows     int      `json:"rows"`
	Cols     int      `json:"cols"`
	Classes  []string `json:"classes"`
	Accuracy float64  `json:"accuracy"`
	Box      float64  `json:"box,omitempty"`   // the share of images' sides that shapes take, if not MNIST's
	Light    bool     `json:"light,omitempty"` // images are dark on light
	Params   []byte   `json:"params"`          // float32, little-endian: each layer's weights [out, in] and biases
}

type images struct {
	Rows    int    `json:"rows"`
	Cols    int    `json:"cols"`
	Pixels  []byte `json:"pixels"`
	Labels  []byte `json:"labels"`
	Numbers []int  `json:"numbers"`
}

func newStart(networks []Network, sample *Sample) (*start, error) {
	s := &start{Palettes: map[string]palette{}, Networks: []network{}}
	for name, theme := range themes {
		s.Palettes[name] = palette(theme.Palette())
	}
	for _, n := range networks {
		shown, err := n.document()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", n.Name, err)
		}
		s.Networks = append(s.Networks, shown)
	}
	if sample != nil {
		s.Images = &images{sample.Rows, sample.Cols, sample.Pixels, sample.Labels, sample.Numbers}
	}
	return s, nil
}

// themes are the page's, by the names that it has for them.
var themes = map[string]viz.Theme{"light": viz.Light, "dark": viz.Dark}

func (n Network) document() (network, error) {
	m := n.Model
	layers, err := m.Layers()
	if errors.Is(err, model.ErrNoChain) {
		return network{}, fmt.Errorf("%w, which is what the page runs: eval, predict, viz and the export to ONNX run any network", err)
	}
	if err != nil {
		return network{}, err
	}
	rows, cols, err := m.ImageSize()
	if err != nil {
		return network{}, err
	}
	c, err := chainOf(m.Title(), m.Arch, m.Activation)
	if err != nil {
		return network{}, err
	}
	d := network{Name: n.Name, chain: c, Softmax: graph.Loss(m.Loss) == graph.CrossEntropy, Rows: rows, Cols: cols, Accuracy: m.TestAccuracy}
	for c := range layers[len(layers)-1].Out {
		d.Classes = append(d.Classes, m.ClassName(c))
	}
	was, err := dataset.ParsePreparation(m.Data)
	if err != nil {
		return network{}, err
	}
	d.Box, d.Light = float64(was.Box), was.Light
	var params [][]float32
	for i, p := range m.Params {
		for _, v := range p.Data {
			if x := float64(v); math.IsNaN(x) || math.IsInf(x, 0) {
				return network{}, fmt.Errorf("parameter %s: expected finite values, found %v", m.Names()[i], v)
			}
		}
		params = append(params, p.Data)
	}
	d.Params = floats(params)
	return d, nil
}

// floats are parameters as the page takes them.
func floats(params [][]float32) []byte {
	var b []byte
	for _, p := range params {
		b = slices.Grow(b, 4*len(p))
		for _, v := range p {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
	}
	return b
}

// paletteCSS is viz's colours as CSS variables: by the system's theme, or the one that was chosen on the page.
func paletteCSS() string {
	var b bytes.Buffer
	rule := func(selector string, theme viz.Theme) {
		p := theme.Palette()
		fmt.Fprintf(&b, "%s { --background: %s; --ink: %s; --muted: %s; --grid: %s; --good: %s; --bad: %s; --positive: %s; --negative: %s;", selector,
			p.Background, p.Ink, p.Muted, p.Grid, p.Good, p.Bad, p.Positive, p.Negative)
		for i, c := range p.Series {
			fmt.Fprintf(&b, " --series%d: %s;", i, c)
		}
		b.WriteString(" }\n")
	}
	rule(":root", viz.Light)
	b.WriteString("@media (prefers-color-scheme: dark) {\n")
	rule(":root:not([data-theme=light])", viz.Dark)
	b.WriteString("}\n")
	rule(":root[data-theme=dark]", viz.Dark)
	b.WriteString(":root[data-theme=light] { color-scheme: light; }\n:root[data-theme=dark] { color-scheme: dark; }\n")
	return b.String()
}
