// Package model is a trained network as a file: its parameters, and all that is needed to use them again.
//
// The format is safetensors (https://github.com/huggingface/safetensors): eight bytes with the header's length, a JSON
// header, then the float32 values, little-endian. The tensors of a chain of dense layers carry the names that PyTorch's
// torch.nn.Sequential(Linear, activation, Linear, …) gives them (0.weight, 0.bias, 2.weight, …), so that its
// load_state_dict takes the file as it is. What safetensors has no field for stands in the header's __metadata__:
//
//	format         always "pt": the values are laid out as PyTorch's, which other programs ask for
//	vanilla        the version that wrote the file
//	arch           "784-16-16-10", or "" for a network that is not a chain of dense layers; a hidden layer's own
//	               activation stands after its width, as in "784-32relu-16tanh-10"
//	activation     that of the hidden layers that have none of their own
//	loss           the loss it was trained with
//	image          rows x columns of an input, "28x28"; absent if the inputs are not images
//	classes        what the outputs are called, a JSON array; absent if by their numbers
//	data           what was done to the images before training, one JSON object; absent if nothing
//	seed           decimal
//	test_accuracy  a fraction
//	recipe         the complete recipe, one JSON object
//	order          the tensors' names in the program's order, a JSON array; only where arch is ""
//	program        the lowered program as a listing; where arch is "", if it was kept
//	crc32c         the CRC-32C of the file with zeros in the place of these eight hexadecimal digits; files of versions
//	               before this key are read without
//
// Equal models make equal files, byte for byte: there are no times or paths inside, and keys are sorted.
package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"vanilla/graph/ir"
	"vanilla/internal/store"
	"vanilla/internal/words"
)

// Tensor is one named float32 array, row-major: len(Data) is the product of Shape, whose dimensions are at least 1.
// An empty Shape is a scalar; there are at most 8 dimensions.
type Tensor struct {
	Name  string
	Shape []int
	Data  []float32
}

// Model is a trained network with what is needed to use it again.
type Model struct {
	Arch       string // "784-16-16-10" or "784-32relu-16tanh-10"; "" for a network that is not a chain of dense layers
	Activation string // of hidden layers without one of their own, "sigmoid" for example; any name is kept
	Loss       string // "cross-entropy" or "quadratic"; any name is kept

	ImageRows, ImageCols int // 28, 28 for MNIST; 0, 0 if the inputs are not images

	// Classes are what the outputs are called, one name for each; nil if by their numbers.
	Classes []string
	// Data is what was done to the images before the network was trained on them, one JSON object that is kept verbatim
	// but for the space between its tokens; nil if nothing was. Package dataset reads it as a Preparation.
	Data json.RawMessage

	Seed         uint64
	TestAccuracy float64         // fraction 0..1
	Recipe       json.RawMessage // the complete recipe: one JSON object, kept verbatim but for the space between its tokens
	Version      string          // of the vanilla that wrote it

	// Params are the parameters in the program's order: weight [out, in] and bias [out] of each layer. Values need not
	// be finite: a network that diverged is kept too, bit for bit.
	Params []Tensor

	// Program is the listing of the program that a graph was lowered to, where Arch is "": with it, the network runs
	// without the graph. It may be empty.
	Program string
}

// metadataTensor is the one name that no tensor can have: the header keeps the metadata under it.
const metadataTensor = "__metadata__"

// check says what keeps m from being a model, but for the recipe, which is [compact]'s to check. What passes can be
// encoded, and comes back the same.
func (m *Model) check() error {
	for _, field := range []struct{ name, value string }{
		{"program", m.Program}, {"arch", m.Arch}, {"activation", m.Activation}, {"loss", m.Loss}, {"version", m.Version}, {"recipe", string(m.Recipe)},
		{"data", string(m.Data)},
	} {
		// JSON would put U+FFFD in the place of other bytes, and the model would come back changed.
		if !utf8.ValidString(field.value) {
			return fmt.Errorf("%s: expected UTF-8, found %.60q", field.name, field.value)
		}
	}
	if err := m.checkClasses(); err != nil {
		return err
	}
	if !(m.TestAccuracy >= 0 && m.TestAccuracy <= 1) { // NaN fails too
		return fmt.Errorf("test accuracy: expected a fraction from 0 to 1, found %v", m.TestAccuracy)
	}
	if m.Arch == "" {
		if err := m.checkGraph(); err != nil {
			return err
		}
	} else if err := m.checkChain(); err != nil {
		return err
	}
	for _, p := range m.Params {
		if err := p.check(); err != nil {
			return err
		}
	}
	return nil
}

// checkClasses compares the names of the outputs with the outputs, and demands that they tell them apart and can be
// printed.
func (m *Model) checkClasses() error {
	if m.Classes == nil {
		return nil
	}
	if _, outputs, err := m.Extent(); err != nil {
		return err
	} else if outputs != len(m.Classes) {
		return fmt.Errorf("classes: expected a name for each of the %d outputs, found %d", outputs, len(m.Classes))
	}
	first := make(map[string]int, len(m.Classes))
	for c, name := range m.Classes {
		if name == "" || !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return fmt.Errorf("classes: expected names that can be printed, found %.60q", name)
		}
		if other, twice := first[name]; twice {
			return fmt.Errorf("classes: expected names that differ, found %.60q for %d and %d", name, other, c)
		}
		first[name] = c
	}
	return nil
}

// ClassName is what an output is called: its number if it has no name.
func (m *Model) ClassName(class int) string {
	if class >= 0 && class < len(m.Classes) {
		return m.Classes[class]
	}
	return strconv.Itoa(class)
}

// checkChain compares images and parameters with what the architecture says.
func (m *Model) checkChain() error {
	widths, err := Widths(m.Arch)
	if err != nil {
		return err
	}
	if err := m.checkImage(); err != nil {
		return err
	}
	if m.ImageRows != 0 && int64(m.ImageRows)*int64(m.ImageCols) != int64(widths[0]) {
		return fmt.Errorf("image: arch %.60s has %d inputs, an image of %dx%d has %d pixels",
			m.Arch, widths[0], m.ImageRows, m.ImageCols, int64(m.ImageRows)*int64(m.ImageCols))
	}
	if want := chainLen(widths); len(m.Params) != want {
		return fmt.Errorf("arch %.60s: expected %d parameters (weight and bias of %d layers), found %d",
			m.Arch, want, want/2, len(m.Params))
	}
	for i, p := range m.Params {
		name, shape := chainParam(widths, i)
		if !slices.Equal(p.Shape, shape) {
			return fmt.Errorf("arch %.60s: expected parameter %d (%s) of shape %v, found %q of shape %.60s",
				m.Arch, i, name, shape, p.Name, fmt.Sprint(p.Shape))
		}
	}
	return nil
}

// checkGraph looks at what the architecture would have said: the inputs' size and the parameters' names.
func (m *Model) checkGraph() error {
	if err := m.checkImage(); err != nil {
		return err
	}
	if len(m.Params) == 0 {
		return fmt.Errorf("expected parameters, found none")
	}
	if m.Program != "" {
		if _, err := m.ParseProgram(); err != nil {
			return err
		}
	}
	seen := make(map[string]int, len(m.Params))
	for i, p := range m.Params {
		switch first, twice := seen[p.Name]; {
		case p.Name == "":
			return fmt.Errorf("parameter %d: expected a name (there is no arch to derive one from), found none", i)
		case p.Name == metadataTensor:
			return fmt.Errorf("parameter %d: the name %q is safetensors' own", i, p.Name)
		case !utf8.ValidString(p.Name):
			return fmt.Errorf("parameter %d: expected a name in UTF-8, found %.60q", i, p.Name)
		case twice:
			return fmt.Errorf("parameters %d and %d: expected unique names, found %.60q twice", first, i, p.Name)
		}
		seen[p.Name] = i
	}
	return nil
}

// ParseProgram reads the listing and compares its parameters with the model's. It fails if there is none.
func (m *Model) ParseProgram() (*ir.Program, error) {
	if m.Program == "" {
		return nil, errors.New("the network is not a chain of layers, and the file holds no program: only what built its graph can run it")
	}
	p, err := ir.Parse(m.Program)
	if err != nil {
		return nil, fmt.Errorf("program: %w", err)
	}
	if len(p.Params) != len(m.Params) {
		return nil, fmt.Errorf("program: expected %d parameters, as the file has, found %d", len(m.Params), len(p.Params))
	}
	for i, q := range p.Params {
		v := p.Value(q.Value)
		if v.Name != m.Params[i].Name || v.Shape.Len(0) != len(m.Params[i].Data) {
			return nil, fmt.Errorf("program: parameter %d is %.60q of %d numbers, in the file it is %.60q of %d",
				i, v.Name, v.Shape.Len(0), m.Params[i].Name, len(m.Params[i].Data))
		}
	}
	if m.ImageRows != 0 && m.ImageRows*m.ImageCols != p.Features() {
		return nil, fmt.Errorf("image: the program has %d inputs, an image of %dx%d has %d pixels", p.Features(), m.ImageRows, m.ImageCols, m.ImageRows*m.ImageCols)
	}
	return p, nil
}

// Title names the network for people: the architecture with its activation, or the program's name.
func (m *Model) Title() string {
	if m.Arch != "" {
		return Describe(m.Arch, m.Activation)
	}
	if p, err := m.ParseProgram(); err == nil {
		return words.OneLine(p.Name)
	}
	return "a graph"
}

// Batch is the batch size that the recipe says, 0 if there is none.
func (m *Model) Batch() int {
	var r struct {
		Batch int `json:"batch"`
	}
	if json.Unmarshal(m.Recipe, &r) != nil {
		return 0
	}
	return max(0, r.Batch)
}

// Extent is how many inputs and outputs the network has. It fails if the model says neither an architecture nor a
// program.
func (m *Model) Extent() (inputs, outputs int, err error) {
	if m.Arch != "" {
		widths, err := Widths(m.Arch)
		if err != nil {
			return 0, 0, err
		}
		return widths[0], widths[len(widths)-1], nil
	}
	p, err := m.ParseProgram()
	if err != nil {
		return 0, 0, err
	}
	return p.Features(), p.Classes(), nil
}

func (m *Model) checkImage() error {
	if m.ImageRows == 0 && m.ImageCols == 0 {
		return nil
	}
	if min(m.ImageRows, m.ImageCols) < 1 || max(m.ImageRows, m.ImageCols) > MaxWidth {
		return fmt.Errorf("image: expected rows and columns from 1 to %d (or 0 and 0 for inputs that are no images), found %d and %d",
			MaxWidth, m.ImageRows, m.ImageCols)
	}
	return nil
}

// check compares the length of the data with the product of the shape, which cannot overflow on the way.
func (t *Tensor) check() error {
	if len(t.Shape) > store.MaxRank {
		return fmt.Errorf("parameter %.60q: expected at most %d dimensions, found %d", t.Name, store.MaxRank, len(t.Shape))
	}
	n := 1
	for _, d := range t.Shape {
		if d < 1 || d > len(t.Data)/n {
			n = 0
			break
		}
		n *= d
	}
	if n == 0 || n != len(t.Data) {
		return fmt.Errorf("parameter %.60q: expected as many values as its shape says, each dimension at least 1; found %d values, shape %.60s",
			t.Name, len(t.Data), fmt.Sprint(t.Shape))
	}
	return nil
}

// compact returns a field that is one JSON object without the space between its tokens.
func compact(field string, object json.RawMessage) (json.RawMessage, error) {
	var b bytes.Buffer
	if err := json.Compact(&b, object); err != nil {
		return nil, fmt.Errorf("%s: expected one JSON object, found %.60q: %w", field, object, err)
	}
	if b.Bytes()[0] != '{' {
		return nil, fmt.Errorf("%s: expected one JSON object, found %.60q", field, object)
	}
	return b.Bytes(), nil
}
