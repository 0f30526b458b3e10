package store

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"math"
	"strings"

	"github.com/nlpodyssey/safetensors"
)

// Tensor is an array of float32, row-major: len(Data) is the product of Shape. An empty Shape is a scalar.
type Tensor struct {
	Shape []int
	Data  []float32
}

// Vector is a tensor of one dimension.
func Vector(data []float32) Tensor { return Tensor{[]int{len(data)}, data} }

// EncodeTensors returns a safetensors file with a checksum among its metadata, the same for equal tensors and metadata.
func EncodeTensors(tensors map[string]Tensor, metadata map[string]string) ([]byte, error) {
	var b bytes.Buffer
	at, sum, err := writeTensors(&b, tensors, metadata)
	if err != nil {
		return nil, err
	}
	copy(b.Bytes()[at:], sum)
	return b.Bytes(), nil
}

// writeTensors writes what EncodeTensors returns, but with zeros for the checksum, and says where in the file its
// digits begin and what they are.
func writeTensors(w io.Writer, tensors map[string]Tensor, metadata map[string]string) (at int64, sum string, err error) {
	sealed := maps.Clone(metadata)
	if sealed == nil {
		sealed = map[string]string{}
	}
	sealed[checksumKey] = string(zeroDigits)
	views := make(map[string]view, len(tensors))
	for name, t := range tensors {
		views[name] = view{t}
	}
	s := &summer{w: w, at: -1}
	// It sorts tensors by name and its JSON sorts keys, so the maps' order does not show. It pads the header with spaces,
	// so that the values start at a multiple of 8 bytes.
	if err := safetensors.SerializeToWriter(views, sealed, s); err != nil {
		return 0, "", err
	}
	if s.at < 0 {
		return 0, "", errors.New("the header has no place for a checksum")
	}
	return s.at, formatSum(s.sum), nil
}

// summer adds up what is written through it, and finds the checksum's place in the header.
type summer struct {
	w    io.Writer
	sum  uint32
	head []byte // up to the header's end
	at   int64
}

func (s *summer) Write(b []byte) (int, error) {
	s.sum = crc32.Update(s.sum, castagnoli, b)
	if s.at < 0 {
		s.head = append(s.head, b...)
		if at := findChecksum(s.head); at >= 0 {
			s.at, s.head = int64(at), nil
		}
	}
	return s.w.Write(b)
}

// view shows a tensor to the safetensors package, which asks for the bytes of one tensor after the other. (The package's
// own TensorView takes no scalars.)
type view struct{ Tensor }

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

// Values are a float32 tensor's.
func Values(t safetensors.TensorView) []float32 {
	values := make([]float32, t.DataLen()/4)
	data := t.Data()
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return values
}

const (
	// lengthBytes is the length of the header's length, a little-endian uint64 at the start of the file.
	lengthBytes = 8
	// MaxRank is the most dimensions of a tensor that is read.
	MaxRank = 8
)

// ParseTensors reads a safetensors file, which may be any bytes, and compares its checksum if it has one. The result
// shares memory with data; the checksum is not among its metadata. A header of more than maxHeaderBytes is refused: it
// is what bounds the memory that parsing a hostile one can take.
//
// It looks at the file's frame, in the order of its bytes, and then lets the safetensors package take it apart. That
// package checks the same things and more (offsets without gaps or overlaps, shapes whose product does not overflow),
// but says less when they fail, and reads headers of up to 100 MB, whatever they nest, at a hundred times their size in
// memory.
func ParseTensors(data []byte, maxHeaderBytes int) (file safetensors.SafeTensors, metadata map[string]string, err error) {
	fail := func(format string, args ...any) (safetensors.SafeTensors, map[string]string, error) {
		return safetensors.SafeTensors{}, nil, fmt.Errorf(format, args...)
	}
	if err := CheckStart(data, uint64(len(data)), maxHeaderBytes); err != nil {
		return fail("%w", err)
	}
	headerBytes, rest := binary.LittleEndian.Uint64(data), data[lengthBytes:]
	header, values := rest[:headerBytes], rest[headerBytes:]
	if err := checkNesting(header); err != nil {
		return fail("not a safetensors file: %w", err)
	}
	var parsed safetensors.Metadata
	if err := json.Unmarshal(header, &parsed); err != nil {
		return fail("not a safetensors file that vanilla can read: %.200v", err)
	}
	var valueBytes uint64
	for _, info := range parsed.Tensors() {
		valueBytes = max(valueBytes, info.DataOffsets[1])
	}
	if found := uint64(len(values)); valueBytes > found {
		return fail("truncated: expected %d bytes of values after the header, found %d", valueBytes, found)
	} else if valueBytes < found {
		return fail("%w: expected %d bytes of values after the header, found %d", ErrDamaged, valueBytes, found)
	}
	if file, err = safetensors.Deserialize(data); err != nil {
		return fail("%w: the header's tensors do not fit the file: %.200v", ErrDamaged, err)
	}
	metadata = maps.Clone(parsed.Metadata())
	if err := checkTensors(data[:lengthBytes+headerBytes], data, metadata); err != nil {
		return fail("%w", err)
	}
	delete(metadata, checksumKey)
	return file, metadata, nil
}

// CheckStart looks at the first bytes of a file of a size, a few of its header among them: what no safetensors file
// begins with need not be read.
func CheckStart(start []byte, size uint64, maxHeaderBytes int) error {
	if len(start) < lengthBytes {
		return fmt.Errorf("not a safetensors file: expected a header's length in the first %d bytes, found %d bytes in all", lengthBytes, len(start))
	}
	headerBytes, header := binary.LittleEndian.Uint64(start), start[lengthBytes:]
	if headerBytes > uint64(maxHeaderBytes) {
		return fmt.Errorf("not a safetensors file: expected a header of at most %d bytes, found a length of %d", maxHeaderBytes, headerBytes)
	}
	if headerBytes > size-lengthBytes {
		return fmt.Errorf("not a safetensors file, or truncated: expected a header of %d bytes, found %d", headerBytes, size-lengthBytes)
	}
	if headerBytes == 0 || header[0] != '{' {
		return fmt.Errorf("not a safetensors file: expected a header that is a JSON object, found %.20q", header[:min(headerBytes, uint64(len(header)))])
	}
	return nil
}

// checkTensors compares the checksum of a file, if there is one.
func checkTensors(head, data []byte, metadata map[string]string) error {
	if said, ok := metadata[checksumKey]; ok {
		at := findChecksum(head)
		if at < 0 || len(said) != checksumDigits {
			return fmt.Errorf("%w: expected a checksum of %d digits in the header, found %.20q", ErrDamaged, checksumDigits, said)
		}
		return verify(data, at)
	}
	// One half of the key survives a flipped bit in it.
	for key := range metadata {
		if half := len(checksumKey) / 2; strings.HasPrefix(key, checksumKey[:half]) || strings.HasSuffix(key, checksumKey[half:]) {
			return fmt.Errorf("%w: expected the key %s in the metadata, found %.20q", ErrDamaged, checksumKey, key)
		}
	}
	return nil
}

// checkNesting fails where a header's JSON nests otherwise than safetensors', which is an object of objects whose arrays
// (shape and data_offsets) hold up to MaxRank numbers. It keeps hostile arrays from the JSON package, which makes 60
// bytes of every two; whether the JSON is well-formed is for that package to say.
func checkNesting(header []byte) error {
	objects, elements, inArray, inString := 0, 0, false, false
	for i := 0; i < len(header); i++ {
		switch c := header[i]; {
		case inString:
			if c == '\\' {
				i++
			}
			inString = c != '"'
		case c == '"':
			inString = true
		case inArray && (c == '[' || c == '{'), !inArray && c == '{' && objects == 2:
			return fmt.Errorf("expected a header of tensors and metadata, found deeper JSON at its byte %d", i)
		case c == '{':
			objects++
		case c == '}':
			objects--
		case c == '[':
			inArray, elements = true, 1
		case c == ']':
			inArray = false
		case inArray && c == ',':
			if elements++; elements > MaxRank {
				return fmt.Errorf("expected shapes of at most %d dimensions, found a longer array at byte %d of the header", MaxRank, i)
			}
		}
	}
	return nil
}
