package dataset

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/klauspost/compress/gzip"
)

// The IDX format, as its authors describe it: two zero bytes, the element type, the number of dimensions, the dimensions
// as 32-bit big-endian numbers, and then the elements, the last dimension moving fastest.
const (
	magicSize     = 4
	dimensionSize = 4
	unsignedByte  = 0x08
	float32s      = 0x0d
	float64s      = 0x0e
)

// elements are the types of an IDX file's elements, by the byte that stands for them.
var elements = map[byte]element{
	unsignedByte: {1, func(b []byte) float64 { return float64(b[0]) }},
	0x09:         {1, func(b []byte) float64 { return float64(int8(b[0])) }},
	0x0b:         {2, func(b []byte) float64 { return float64(int16(binary.BigEndian.Uint16(b))) }},
	0x0c:         {4, func(b []byte) float64 { return float64(int32(binary.BigEndian.Uint32(b))) }},
	float32s:     {4, func(b []byte) float64 { return float64(math.Float32frombits(binary.BigEndian.Uint32(b))) }},
	float64s:     {8, func(b []byte) float64 { return math.Float64frombits(binary.BigEndian.Uint64(b)) }},
}

// element is a type of numbers: how many bytes one has, and what they mean.
type element struct {
	bytes int
	value func([]byte) float64
}

// role is what an IDX file is of: images have three dimensions, or a fourth of three colours; labels have one, or a second
// of which the first column is the label, as in QMNIST; of floats, the second is the classes' probabilities.
type role struct {
	rank, alternative int
	ranks             string
}

var (
	imageRole = role{3, 4, "rank 3, or rank 4 for images in colour"}
	labelRole = role{1, 2, "rank 1, or rank 2 where the first column is the label, or floats are the classes' probabilities"}
)

// gzipMagic starts every gzip file (RFC 1952, 2.3.1). No IDX file starts so, hence the content tells them apart, not the name.
const gzipMagic = "\x1f\x8b"

const (
	// maxSizeBytes is the most that one file may hold. A data set lives in memory; MNIST8M, among the largest sets stored
	// as IDX, has 6.3 GB. Gzip can honestly hold a thousand times its own size, so something has to say when to stop.
	maxSizeBytes = min(16<<30, math.MaxInt)

	// Whatever a header promises, the first allocation is at most firstRead, the size of a plain file, or expectedRatio times
	// that of a compressed one (MNIST compresses by 4.9). What needs more gets it by doubling, as the bytes arrive.
	firstRead     = 64 << 10
	expectedRatio = 8
)

// FormatError says where a file is not the IDX file that was expected.
type FormatError struct {
	File            string
	Offset          int64 // in bytes; in the decompressed stream if File says so
	Expected, Found string
	Err             error // what the file system or the decompressor said, or nil
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("%s: byte %d: expected %s, found %s", e.File, e.Offset, e.Expected, e.Found)
}

func (e *FormatError) Unwrap() error { return e.Err }

// array is the content of one IDX file.
type array struct {
	file  string
	kind  byte // of its elements
	shape []int
	data  []byte // shape[0]*shape[1]*... elements, row-major, as they are stored
}

// values are the elements as numbers.
func (a *array) values() *values {
	if a.kind == unsignedByte {
		return &values{bytes: a.data}
	}
	e := elements[a.kind]
	v := &values{floats: make([]float32, len(a.data)/e.bytes)}
	for i := range v.floats {
		v.floats[i] = float32(e.value(a.data[i*e.bytes:]))
	}
	return v
}

// dimensionOffset is where a file says how long dimension i is.
func dimensionOffset(i int) int64 { return int64(magicSize + dimensionSize*i) }

// openArray reads the header of an IDX file whose dimensions are those of a role, none of them zero, plain or compressed with
// gzip, and no more. The file has sizeBytes as it is stored, which matters for speed alone: a right guess saves growing.
func openArray(r io.Reader, sizeBytes int64, file string, of role) (*reader, error) {
	buffered := bufio.NewReaderSize(r, firstRead)
	in := &reader{stream: buffered, file: file, ahead: sizeBytes}
	start, _ := buffered.Peek(len(lfsMagic)) // a failure comes back at the next read, which reports it
	switch {
	case begins(start, lfsMagic):
		return nil, &FormatError{File: file, Expected: "an IDX file", Found: lfsPointer}
	case begins(start, gzipMagic):
		in.file += " (decompressed)"
		decompressor, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, in.failure("a gzip header", err)
		}
		decompressor.Multistream(false)
		in.stream, in.ahead = &members{decompressor, buffered}, expectedRatio*min(sizeBytes, maxSizeBytes)
	}
	var err error
	in.shape, in.count, err = in.header(of)
	return in, err
}

// members decompresses gzip files of one member after another, as RFC 1952 allows, and says when what follows one is no
// other: package gzip takes short rubbish for a member that is cut.
type members struct {
	*gzip.Reader
	stored *bufio.Reader
}

var errRubbish = errors.New("bytes that are no gzip data")

func (m *members) Read(p []byte) (int, error) {
	for {
		n, err := m.Reader.Read(p)
		if n > 0 && errors.Is(err, io.EOF) {
			return n, nil // which comes back at the next read
		}
		if !errors.Is(err, io.EOF) {
			return n, err
		}
		start, err := m.stored.Peek(len(gzipMagic))
		switch {
		case len(start) == 0:
			return 0, err
		case !begins(start, gzipMagic):
			return 0, errRubbish
		}
		if err := m.Reader.Reset(m.stored); err != nil {
			return 0, fmt.Errorf("the header of a further gzip member: %w", err)
		}
		m.Reader.Multistream(false)
	}
}

// reader reads a stream and knows where it is.
type reader struct {
	stream io.Reader
	file   string
	offset int64

	ahead int64 // bytes that may be allocated before they were seen
	kind  byte  // of elements
	shape []int // as the header says
	count int   // of the elements' bytes
}

// array reads what follows the header, to the end of the stream.
func (in *reader) array() (*array, error) {
	data, err := in.data(in.count, max(firstRead, in.ahead))
	if err != nil {
		return nil, err
	}
	if err := in.end(); err != nil {
		return nil, err
	}
	return &array{file: in.file, kind: in.kind, shape: in.shape, data: data}, nil
}

// header reads the shape, and the number of bytes that it stands for.
func (in *reader) header(of role) (shape []int, count int, err error) {
	var magic [magicSize]byte
	if err := in.fill(magic[:], "the magic number of an IDX file"); err != nil {
		return nil, 0, err
	}
	e, known := elements[magic[2]]
	rank := int(magic[3])
	switch {
	case magic[0] != 0 || magic[1] != 0:
		return nil, 0, &FormatError{
			File:     in.file,
			Offset:   0,
			Expected: fmt.Sprintf("the magic number 00 00 %02x %02x", unsignedByte, of.rank),
			Found:    fmt.Sprintf("% x", magic),
		}
	case !known:
		return nil, 0, &FormatError{
			File:     in.file,
			Offset:   2,
			Expected: fmt.Sprintf("element type %02x (unsigned byte), or 09, 0b, 0c, 0d or 0e", unsignedByte),
			Found:    fmt.Sprintf("%02x", magic[2]),
		}
	case rank != of.rank && rank != of.alternative:
		return nil, 0, &FormatError{
			File:     in.file,
			Offset:   3,
			Expected: of.ranks,
			Found:    fmt.Sprint(rank),
		}
	}
	in.kind = magic[2]

	total := uint64(e.bytes)
	for i := range rank {
		offset := in.offset
		var field [dimensionSize]byte
		if err := in.fill(field[:], fmt.Sprintf("the length of dimension %d of %d", i+1, rank)); err != nil {
			return nil, 0, err
		}
		length := binary.BigEndian.Uint32(field[:])
		if length == 0 {
			return nil, 0, &FormatError{
				File:     in.file,
				Offset:   offset,
				Expected: fmt.Sprintf("dimension %d of %d to be at least 1", i+1, rank),
				Found:    "0",
			}
		}
		if uint64(length) > maxSizeBytes/total {
			return nil, 0, &FormatError{
				File:     in.file,
				Offset:   offset,
				Expected: fmt.Sprintf("at most %d bytes", uint64(maxSizeBytes)),
				Found:    fmt.Sprintf("dimension %d of %d to be %d, after %d bytes", i+1, rank, length, total),
			}
		}
		total *= uint64(length)
		shape = append(shape, int(length))
	}
	return shape, int(total), nil
}

// What files hold that keep what their headers promise.
const (
	expectedData = "%d bytes of data after the header"
	promisedEnd  = "the end of the file after the data that the header promised"
)

// data reads count elements. The buffer starts at ahead bytes at most and doubles when it is full, so that a header alone
// gets no memory.
func (in *reader) data(count int, ahead int64) ([]byte, error) {
	data := make([]byte, min(int64(count), ahead))
	for filled := 0; ; {
		if err := in.fill(data[filled:], fmt.Sprintf(expectedData, count)); err != nil {
			return nil, err
		}
		filled = len(data)
		if filled == count {
			return data, nil
		}
		grown := make([]byte, filled+min(filled, count-filled))
		copy(grown, data)
		data = grown
	}
}

// end demands that the stream ends here. For gzip this is what verifies the checksum, and what stops at a stream larger
// than its header says, however large.
func (in *reader) end() error {
	var extra [1]byte
	_, err := io.ReadFull(in.stream, extra[:])
	if err == io.EOF {
		return nil
	}
	switch {
	case err == nil:
		return &FormatError{File: in.file, Offset: in.offset, Expected: promisedEnd, Found: "more bytes"}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return in.failure("the checksum at the end of gzip data", err)
	}
	return in.failure(promisedEnd, err)
}

// fill reads len(p) bytes, which are what.
func (in *reader) fill(p []byte, what string) error {
	n, err := io.ReadFull(in.stream, p)
	in.offset += int64(n)
	if err != nil {
		return in.failure(what, err)
	}
	return nil
}

// failure is the error for a stream that ended, or failed, where what was expected.
func (in *reader) failure(what string, err error) error {
	found := err.Error()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		found, err = "the end of the file", io.ErrUnexpectedEOF
	}
	return &FormatError{File: in.file, Offset: in.offset, Expected: what, Found: found, Err: err}
}
