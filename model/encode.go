package model

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"

	"vanilla/internal/store"
)

// maxFileBytes is the largest file that is read or written: 4 GiB, a billion parameters.
const maxFileBytes int64 = 4 << 30

// maxHeaderBytes is the longest header that is read or written. A tensor takes about a hundred bytes of it. It is what
// bounds the memory that parsing a hostile header can take.
const maxHeaderBytes = 1 << 20

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
	recipe, err := compact("recipe", m.Recipe)
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
	if m.Classes != nil {
		classes, err := json.Marshal(m.Classes)
		if err != nil {
			return nil, err
		}
		metadata["classes"] = string(classes)
	}
	if m.Data != nil {
		data, err := compact("data", m.Data)
		if err != nil {
			return nil, err
		}
		metadata["data"] = string(data)
	}

	names := m.Names()
	if m.Arch == "" {
		order, err := json.Marshal(names)
		if err != nil {
			return nil, err
		}
		metadata["order"] = string(order)
		if m.Program != "" {
			metadata["program"] = m.Program
		}
	}

	var valueBytes int64
	tensors := make(map[string]store.Tensor, len(m.Params))
	for i := range m.Params {
		tensors[names[i]] = store.Tensor{Shape: m.Params[i].Shape, Data: m.Params[i].Data}
		valueBytes += 4 * int64(len(m.Params[i].Data))
	}
	if limit := maxFileBytes - prefixBytes - maxHeaderBytes; valueBytes > limit {
		return nil, fmt.Errorf("expected at most %d bytes of parameters, found %d", limit, valueBytes)
	}
	data, err := store.EncodeTensors(tensors, metadata)
	if err != nil {
		return nil, err
	}
	if n := binary.LittleEndian.Uint64(data); n > maxHeaderBytes {
		return nil, fmt.Errorf("expected a header (metadata and tensors' names) of at most %d bytes, found %d", maxHeaderBytes, n)
	}
	return data, nil
}
