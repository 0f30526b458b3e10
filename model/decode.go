package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/nlpodyssey/safetensors"

	"vanilla/internal/store"
)

// Decode reads a model from the bytes of a safetensors file; errors begin with the file's name. The model shares no
// memory with data. Any bytes may be given: what is damaged, was not written by vanilla, or does not fit the
// architecture it names fails with an error that says so. Values that are not finite are read as they are. The error
// for a safetensors file without vanilla's metadata wraps [ErrPlain].
//
// It allocates the values once, and up to 64 bytes for each of the header's, which are a million at most.
func Decode(data []byte, name string) (*Model, error) {
	m, err := decode(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return m, nil
}

func decode(data []byte) (*Model, error) {
	file, metadata, err := parse(data)
	if err != nil {
		return nil, err
	}
	m, err := fromMetadata(metadata)
	if err != nil {
		return nil, err
	}
	if m.Arch == "" {
		m.Params, err = readGraph(file, metadata)
	} else {
		m.Params, err = readChain(file, m.Arch)
	}
	if err != nil {
		return nil, err
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	return m, nil
}

// startBytes is how much of a file checkStart looks at.
const startBytes = 64

// checkStart looks at the first bytes of a file of a size: what no safetensors file begins with need not be read.
func checkStart(start []byte, size uint64) error {
	if found := foreign(start); found != "" {
		return fmt.Errorf("not a safetensors file: found %s", found)
	}
	return store.CheckStart(start, size, maxHeaderBytes)
}

// parse takes a file apart, see [store.ParseTensors].
func parse(data []byte) (file safetensors.SafeTensors, metadata map[string]string, err error) {
	if err := checkStart(data[:min(len(data), startBytes)], uint64(len(data))); err != nil {
		return safetensors.SafeTensors{}, nil, err
	}
	return store.ParseTensors(data, maxHeaderBytes)
}

// fromMetadata returns the model but for its parameters.
func fromMetadata(metadata map[string]string) (*Model, error) {
	var missing nameList
	for _, key := range []string{"vanilla", "arch", "activation", "loss", "seed", "test_accuracy", "recipe"} {
		if _, ok := metadata[key]; !ok {
			missing.add(key)
		}
	}
	if _, ok := metadata["vanilla_checkpoint"]; ok {
		return nil, errors.New("this is the checkpoint of a training run, from which its run continues: its networks are in the directory snapshots beside it")
	}
	if missing.count > 0 {
		return nil, fmt.Errorf("this safetensors file %w: its metadata has no %v", ErrPlain, missing)
	}
	m := &Model{
		Arch:       metadata["arch"],
		Activation: metadata["activation"],
		Loss:       metadata["loss"],
		Version:    metadata["vanilla"],
	}
	if m.Arch == "" {
		m.Program = metadata["program"]
	}
	var err error
	if m.Seed, err = strconv.ParseUint(metadata["seed"], 10, 64); err != nil {
		return nil, fmt.Errorf("seed: expected a whole number below 2^64, found %.60q", metadata["seed"])
	}
	if m.TestAccuracy, err = strconv.ParseFloat(metadata["test_accuracy"], 64); err != nil {
		return nil, fmt.Errorf("test accuracy: expected a fraction from 0 to 1, found %.60q", metadata["test_accuracy"])
	}
	if m.Recipe, err = compact("recipe", json.RawMessage(metadata["recipe"])); err != nil {
		return nil, err
	}
	if classes, ok := metadata["classes"]; ok {
		if err := json.Unmarshal([]byte(classes), &m.Classes); err != nil || m.Classes == nil {
			return nil, fmt.Errorf("classes: expected a JSON array of names, found %.60q", classes)
		}
	}
	if data, ok := metadata["data"]; ok {
		if m.Data, err = compact("data", json.RawMessage(data)); err != nil {
			return nil, err
		}
	}
	if image, ok := metadata["image"]; ok {
		rows, cols, _ := strings.Cut(image, "x")
		var rowsOK, colsOK bool
		m.ImageRows, rowsOK = parseWidth(rows)
		m.ImageCols, colsOK = parseWidth(cols)
		if !rowsOK || !colsOK {
			return nil, fmt.Errorf("image: expected rows and columns from 1 to %d, as in 28x28, found %.60q", MaxWidth, image)
		}
	}
	return m, nil
}

// readChain returns the parameters that the architecture asks for, in the order of its layers.
func readChain(file safetensors.SafeTensors, arch string) ([]Tensor, error) {
	widths, err := Widths(arch)
	if err != nil {
		return nil, err
	}
	if err := compareNames(fmt.Sprintf("arch %.60s", arch), chainLen(widths), chainName, file); err != nil {
		return nil, err
	}
	params := make([]Tensor, chainLen(widths))
	for i := range params {
		name, want := chainParam(widths, i)
		if params[i], err = readTensor(file, name); err != nil {
			return nil, err
		}
		if found := params[i].Shape; !slices.Equal(found, want) {
			return nil, fmt.Errorf("tensor %s: expected shape %v for arch %.60s, found %.60s", name, want, arch, fmt.Sprint(found))
		}
	}
	return params, nil
}

// readGraph returns the parameters in the order that the metadata keeps.
func readGraph(file safetensors.SafeTensors, metadata map[string]string) ([]Tensor, error) {
	var order []string
	if err := json.Unmarshal([]byte(metadata["order"]), &order); err != nil {
		return nil, fmt.Errorf("order: expected a JSON array of the tensors' names (arch is empty), found %.60q", metadata["order"])
	}
	nth := func(i int) string { return order[i] }
	if err := compareNames("the metadata's order", len(order), nth, file); err != nil {
		return nil, err
	}
	if len(order) != file.Len() {
		return nil, fmt.Errorf("order: expected each of the %d tensors once, found %d names", file.Len(), len(order))
	}
	params := make([]Tensor, len(order))
	for i, name := range order {
		var err error
		if params[i], err = readTensor(file, name); err != nil {
			return nil, err
		}
	}
	return params, nil
}

// compareNames says which of n tensors that who names are missing from the file, and which of the file's it does not name.
func compareNames(who string, n int, name func(i int) string, file safetensors.SafeTensors) error {
	left := make(map[string]bool, file.Len())
	for _, found := range file.Names() {
		left[found] = true
	}
	var missing, surplus nameList
	for i := range n {
		expected := name(i)
		if _, ok := file.Tensor(expected); !ok {
			missing.add(expected)
		}
		delete(left, expected)
	}
	for _, found := range slices.Sorted(maps.Keys(left)) {
		surplus.add(found)
	}
	switch {
	case missing.count > 0 && surplus.count > 0:
		return fmt.Errorf("the tensors do not fit %s: missing %v; not expected %v", who, missing, surplus)
	case missing.count > 0:
		return fmt.Errorf("the tensors do not fit %s: missing %v", who, missing)
	case surplus.count > 0:
		return fmt.Errorf("the tensors do not fit %s: not expected %v", who, surplus)
	}
	return nil
}

// readTensor copies a tensor that is in the file.
func readTensor(file safetensors.SafeTensors, name string) (Tensor, error) {
	view, _ := file.Tensor(name)
	if view.DType() != safetensors.F32 {
		return Tensor{}, fmt.Errorf("tensor %.60q: expected dtype %v, found %v", name, safetensors.F32, view.DType())
	}
	shape, err := shapeOf(view, name)
	if err != nil {
		return Tensor{}, err
	}
	t := Tensor{Name: name, Shape: shape, Data: store.Values(view)}
	return t, nil
}

// shapeOf is a tensor's shape, which has no zeros.
func shapeOf(view safetensors.TensorView, name string) ([]int, error) {
	shape := make([]int, len(view.Shape()))
	for i, d := range view.Shape() {
		// Without a zero, no dimension exceeds the number of values, so it fits an int.
		if d == 0 {
			return nil, fmt.Errorf("tensor %.60q: expected dimensions of at least 1, found shape %.60s", name, fmt.Sprint(view.Shape()))
		}
		shape[i] = int(d)
	}
	return shape, nil
}

// nameList is a list of names for an error message: the first few, and how many there are. The architecture of a hostile file can
// miss a million.
type nameList struct {
	first []string
	count int
}

const namesShown = 6

func (n *nameList) add(name string) {
	if n.count++; n.count <= namesShown {
		n.first = append(n.first, fmt.Sprintf("%.60q", name))
	}
}

func (n nameList) String() string {
	s := strings.Join(n.first, ", ")
	if more := n.count - len(n.first); more > 0 {
		s += fmt.Sprintf(" and %d more", more)
	}
	return s
}
