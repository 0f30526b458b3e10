package model

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/nlpodyssey/safetensors"
)

// maxFileBytes is the largest file that is read or written: 4 GiB, a billion parameters.
const maxFileBytes int64 = 4 << 30

// maxHeaderBytes is the longest header that is read or written. A tensor takes about a hundred bytes of it. It is what
// bounds the memory that parsing a hostile header can take.
const maxHeaderBytes = 1 << 20

// maxRank is the most dimensions of a tensor that is read or written.
const maxRank = 8

// prefixBytes is the length of the header's length, a little-endian uint64 at the start of the file.
const prefixBytes = 8

// Encode returns the model as the bytes of a safetensors file, the same for equal models. Parameters of a chain are
// named after their layer, whatever they are called in m. It fails if a field has a value that the file could not give
// back, if the parameters do not fit the architecture, and beyond 4 GiB.
func (m *Model) Encode() ([]byte, error) {
	data, err := m.encode()
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	return data, nil
}

func (m *Model) encode() ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	recipe, err := compact(m.Recipe)
	if err != nil {
		return nil, err
	}
	metadata := map[string]string{
		"format":        "pt",
		"vanilla":       m.Version,
		"arch":          m.Arch,
		"activation":    m.Activation,
		"loss":          m.Loss,
		"seed":          strconv.FormatUint(m.Seed, 10),
		"test_accuracy": strconv.FormatFloat(m.TestAccuracy, 'g', -1, 64),
		"recipe":        string(recipe),
	}
	if m.ImageRows != 0 {
		metadata["image"] = fmt.Sprintf("%dx%d", m.ImageRows, m.ImageCols)
	}

	names := m.Names()
	if m.Arch == "" {
		order, err := json.Marshal(names)
		if err != nil {
			return nil, err
		}
		metadata["order"] = string(order)
	}

	var valueBytes int64
	tensors := make(map[string]view, len(m.Params))
	for i := range m.Params {
		tensors[names[i]] = view{&m.Params[i]}
		valueBytes += 4 * int64(len(m.Params[i].Data))
	}
	if limit := maxFileBytes - prefixBytes - maxHeaderBytes; valueBytes > limit {
		return nil, fmt.Errorf("expected at most %d bytes of parameters, found %d", limit, valueBytes)
	}
	// Serialize sorts tensors by name and its JSON sorts keys, so the maps' order does not show. It pads the header with
	// spaces, so that the values start at a multiple of 8 bytes.
	data, err := safetensors.Serialize(tensors, metadata)
	if err != nil {
		return nil, err
	}
	if n := binary.LittleEndian.Uint64(data); n > maxHeaderBytes {
		return nil, fmt.Errorf("expected a header (metadata and tensors' names) of at most %d bytes, found %d", maxHeaderBytes, n)
	}
	return data, nil
}

// view shows a tensor to the safetensors package, which asks for the bytes of one tensor after the other. (The package's
// own TensorView takes no scalars.)
type view struct{ *Tensor }

func (v view) DType() safetensors.DType { return safetensors.F32 }

// Shape is never nil, which JSON would write as null.
func (v view) Shape() []uint64 {
	shape := make([]uint64, len(v.Tensor.Shape))
	for i, d := range v.Tensor.Shape {
		shape[i] = uint64(d)
	}
	return shape
}

func (v view) Data() []byte {
	b := make([]byte, 0, v.DataLen())
	for _, x := range v.Tensor.Data {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}

func (v view) DataLen() uint64 { return 4 * uint64(len(v.Tensor.Data)) }
