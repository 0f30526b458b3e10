package dataset

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"vanilla/internal/memory"
	"vanilla/internal/store"
	"vanilla/internal/words"
)

func isNPZ(name string) bool { return strings.HasSuffix(strings.ToLower(name), ".npz") }

const (
	// mostDirectory is how long the directory of a .npz file may be, which is read whole: some thousands of arrays.
	mostDirectory = 1 << 20
	// mostRatio is how many bytes one of deflated data can stand for, at most (zlib's technical details: 1032).
	mostRatio = 1032
	// mostHeader is how long the header of an array may be.
	mostHeader = 64 << 10
)

// arrayNames are what arrays are called, by set, images first: in Keras's files, in MedMNIST's, and in others.
var arrayNames = [2][2][]string{
	training: {
		{"x_train", "train_images", "train_x", "trainx", "images", "x", "data"},
		{"y_train", "train_labels", "train_y", "trainy", "labels", "y", "target"},
	},
	test: {
		{"x_test", "test_images", "test_x", "testx"},
		{"y_test", "test_labels", "test_y", "testy"},
	},
}

// readNPZ reads images and labels from NumPy's arrays: all from one file, or from two to four whose names say what they
// are, as Kuzushiji's kmnist-train-imgs.npz.
func readNPZ(ctx context.Context, path string, files []string) (*found, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	f := &found{name: strings.TrimSuffix(filepath.Base(absolute), ".npz"), path: path, form: "npz", labels: newLabels()}
	var arrays [2][2]*numpy
	names := []string{}
	for _, file := range files {
		z, err := openNPZ(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		defer z.Close()
		for _, name := range slices.Sorted(maps.Keys(z.arrays)) {
			member := z.arrays[name]
			names = append(names, name)
			part, of, ok := roleOf(name, filepath.Base(file), len(z.arrays), len(files))
			if !ok {
				continue
			}
			if arrays[part][of] != nil {
				return nil, fmt.Errorf("%s: expected one array of %s, found %s and %s", file, [2][2]string{{"training images", "training labels"}, {"test images", "test labels"}}[part][of], arrays[part][of].name, name)
			}
			if arrays[part][of], err = openNumpy(ctx, member, z.sizeBytes, file, name); err != nil {
				return nil, err
			}
			defer arrays[part][of].Close()
		}
	}
	slices.Sort(names)
	for part := range arrays {
		images, labels := arrays[part][0], arrays[part][1]
		if images == nil && labels == nil && part == test {
			continue
		}
		if images == nil || labels == nil {
			return nil, fmt.Errorf("%s: expected arrays of images and of labels, as x_train, y_train, x_test and y_test or train_images, train_labels, …, found %s", path, mentioned(names))
		}
		if f.sets[part], err = readArrays(images, labels, f); err != nil {
			return nil, err
		}
	}
	if a, b := &f.sets[training], &f.sets[test]; b.len() > 0 && (a.rows != b.rows || a.cols != b.cols) {
		return nil, fmt.Errorf("%s: expected test images of %dx%d pixels, as the training images, found %dx%d", path, a.rows, a.cols, b.rows, b.cols)
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		if f.labels.names, err = classNames(os.DirFS(path), path, ""); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// roleOf says what an array holds, by its name or, of files with one array, by the file's.
func roleOf(name, file string, arrays, files int) (part, of int, ok bool) {
	for part := range arrayNames {
		for of, known := range arrayNames[part] {
			if slices.Contains(known, strings.ToLower(name)) {
				if file := strings.ToLower(file); part == training && files > 1 && (strings.Contains(file, "test") || strings.Contains(file, "t10k")) {
					return test, of, true
				}
				return part, of, true
			}
		}
	}
	if arrays != 1 || files == 1 {
		return 0, 0, false
	}
	file = strings.ToLower(file)
	if strings.Contains(file, "test") || strings.Contains(file, "t10k") {
		part = test
	} else if !strings.Contains(file, "train") {
		return 0, 0, false
	}
	if strings.Contains(file, "label") || strings.HasPrefix(file, "y") {
		of = 1
	} else if !strings.Contains(file, "im") && !strings.HasPrefix(file, "x") {
		return 0, 0, false
	}
	return part, of, true
}

// npz is an open file.
type npz struct {
	io.Closer
	arrays    map[string]*zip.File
	sizeBytes int64 // of the file
}

func openNPZ(path string) (*npz, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, store.Cause(err)
	}
	z, err := directoryOf(f)
	if err != nil {
		f.Close()
		return nil, err
	}
	arrays := map[string]*zip.File{}
	for _, member := range z.File {
		if name, ok := strings.CutSuffix(member.Name, ".npy"); ok {
			if err := checkName(name); err != nil {
				f.Close()
				return nil, fmt.Errorf("expected the name of an array, found %.60q", name)
			}
			arrays[name] = member
		}
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	return &npz{f, arrays, info.Size()}, nil
}

// directoryOf reads a zip file's directory if it is not too long.
func directoryOf(f *os.File) (*zip.Reader, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	// The end of a zip file (APPNOTE.TXT, 4.3.16) says how long its directory is, and a comment may follow.
	const record, comment = 22, 1<<16 - 1
	end := make([]byte, min(info.Size(), record+comment))
	if _, err := f.ReadAt(end, info.Size()-int64(len(end))); err != nil && !errors.Is(err, io.EOF) {
		return nil, store.Cause(err)
	}
	at := bytes.LastIndex(end, []byte("PK\x05\x06"))
	if begins(end, lfsMagic) {
		return nil, fmt.Errorf("expected a .npz file, found %s", lfsPointer)
	}
	if at < 0 || len(end)-at < record {
		return nil, errors.New("expected a .npz file, found no directory of a zip file")
	}
	if size := binary.LittleEndian.Uint32(end[at+12:]); size > mostDirectory {
		return nil, fmt.Errorf("expected a .npz file whose directory has at most %d bytes, found %d", mostDirectory, size)
	}
	z, err := zip.NewReader(f, info.Size())
	if err != nil {
		return nil, fmt.Errorf("expected a .npz file: %w", err)
	}
	return z, nil
}

// numpy is an array whose header has been read.
type numpy struct {
	name  string // with the file's
	in    *reader
	shape []int
	dtype dtype
	io.Closer
}

// dtype is a type of NumPy's numbers.
type dtype struct {
	element
	byteSized bool // values from 0 to 255
}

// dtypes are those that images and labels have. Letters before them say in which order bytes are.
var dtypes = map[string]func(binary.ByteOrder) dtype{
	"b1": func(binary.ByteOrder) dtype { return dtype{elements[unsignedByte], true} },
	"u1": func(binary.ByteOrder) dtype { return dtype{elements[unsignedByte], true} },
	"i1": func(binary.ByteOrder) dtype { return dtype{elements[0x09], false} },
	"i2": func(o binary.ByteOrder) dtype {
		return dtype{element{2, func(b []byte) float64 { return float64(int16(o.Uint16(b))) }}, false}
	},
	"u2": func(o binary.ByteOrder) dtype {
		return dtype{element{2, func(b []byte) float64 { return float64(o.Uint16(b)) }}, false}
	},
	"i4": func(o binary.ByteOrder) dtype {
		return dtype{element{4, func(b []byte) float64 { return float64(int32(o.Uint32(b))) }}, false}
	},
	"u4": func(o binary.ByteOrder) dtype {
		return dtype{element{4, func(b []byte) float64 { return float64(o.Uint32(b)) }}, false}
	},
	"i8": func(o binary.ByteOrder) dtype {
		return dtype{element{8, func(b []byte) float64 { return float64(int64(o.Uint64(b))) }}, false}
	},
	"u8": func(o binary.ByteOrder) dtype {
		return dtype{element{8, func(b []byte) float64 { return float64(o.Uint64(b)) }}, false}
	},
	"f4": func(o binary.ByteOrder) dtype {
		return dtype{element{4, func(b []byte) float64 { return float64(math.Float32frombits(o.Uint32(b))) }}, false}
	},
	"f8": func(o binary.ByteOrder) dtype {
		return dtype{element{8, func(b []byte) float64 { return math.Float64frombits(o.Uint64(b)) }}, false}
	},
}

var (
	npyDtype   = regexp.MustCompile(`'descr': *'([<>|=])([a-zA-Z]\d+)'`)
	npyFortran = regexp.MustCompile(`'fortran_order': *True`)
	npyShape   = regexp.MustCompile(`'shape': *\(([\d, ]*)\)`)
)

// openNumpy reads the header of an array (numpy.lib.format): a magic number, a version, a length, and a Python dictionary
// of that length. Package npyio takes a header's word for its length, and panics at some headers.
func openNumpy(ctx context.Context, member *zip.File, sizeBytes int64, file, name string) (*numpy, error) {
	shown := file + ": " + name
	stream, err := member.Open()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", shown, err)
	}
	fail := func(format string, args ...any) (*numpy, error) {
		stream.Close()
		return nil, fmt.Errorf("%s: %w", shown, fmt.Errorf(format, args...))
	}
	a := &numpy{name: shown, in: &reader{stream: &cancelled{ctx, stream}, file: shown, ahead: firstRead}, Closer: stream}
	var start [8]byte
	if err := a.in.fill(start[:], "the header of an array"); err != nil {
		return fail("%w", err)
	}
	if string(start[:6]) != "\x93NUMPY" {
		return fail("expected an array of NumPy, found % x", start[:6])
	}
	length := make([]byte, 2)
	if start[6] > 1 {
		length = make([]byte, 4)
	}
	if err := a.in.fill(length, "the length of the header"); err != nil {
		return fail("%w", err)
	}
	n := uint32(binary.LittleEndian.Uint16(length))
	if len(length) == 4 {
		n = binary.LittleEndian.Uint32(length)
	}
	if n > mostHeader {
		return fail("expected a header of at most %d bytes, found one of %d", mostHeader, n)
	}
	header := make([]byte, n)
	if err := a.in.fill(header, "the header of an array"); err != nil {
		return fail("%w", err)
	}
	kind, shape := npyDtype.FindSubmatch(header), npyShape.FindSubmatch(header)
	if kind != nil && strings.ContainsRune("US", rune(kind[2][0])) {
		return fail("expected an array of numbers, found texts: numpy.unique(…, return_inverse=True) makes numbers of them")
	}
	if shape == nil || kind == nil || dtypes[string(kind[2])] == nil {
		return fail("expected an array of numbers, found %.80q", strings.TrimSpace(string(header)))
	}
	if npyFortran.Match(header) {
		return fail("expected rows that lie one after the other, found columns: numpy.ascontiguousarray makes them so")
	}
	var order binary.ByteOrder = binary.LittleEndian
	if kind[1][0] == '>' {
		order = binary.BigEndian
	}
	a.dtype = dtypes[string(kind[2])](order)
	total := uint64(a.dtype.bytes)
	for _, field := range strings.Split(string(shape[1]), ",") {
		if field = strings.TrimSpace(field); field == "" {
			continue
		}
		d, err := strconv.ParseUint(field, 10, 32)
		if err != nil || d == 0 || d > maxSizeBytes/total {
			return fail("expected dimensions of at least 1 and of %d bytes at most, found (%s)", uint64(maxSizeBytes), shape[1])
		}
		total *= d
		a.shape = append(a.shape, int(d))
	}
	a.in.count = int(total)
	// The directory says how much there is, so that a header which promises more is found out before any of it is read. It
	// may say anything too, but a member is no larger than the file, or than that can be when it is decompressed.
	if left := member.UncompressedSize64 - uint64(a.in.offset); left < total {
		return fail("%w", &FormatError{File: a.in.file, Offset: a.in.offset + int64(left), Expected: fmt.Sprintf(expectedData, total), Found: "the end of the file", Err: io.ErrUnexpectedEOF})
	} else if left > total {
		return fail("%w", &FormatError{File: a.in.file, Offset: a.in.offset + int64(total), Expected: promisedEnd, Found: "more bytes"})
	}
	a.in.ahead = int64(min(member.CompressedSize64, uint64(sizeBytes)))
	if most := mostRatio * uint64(a.in.ahead); member.Method == zip.Deflate && total > most {
		return fail("expected at most %d bytes in %d compressed ones, found a header that promises %d", most, a.in.ahead, total)
	}
	if member.Method != zip.Store {
		a.in.ahead *= expectedRatio
	}
	return a, nil
}

// read reads the numbers, to the end: which is when the checksum is compared.
func (a *numpy) read() ([]byte, error) {
	data, err := a.in.data(a.in.count, max(firstRead, a.in.ahead))
	if err == nil {
		err = a.in.end()
	}
	return data, err
}

// readArrays reads images [N, rows, columns], or in colour [N, rows, columns, 3], or flat [N, pixels], and labels [N] or
// [N, 1], or a row of probabilities for each image [N, classes].
func readArrays(images, labels *numpy, f *found) (s set, err error) {
	shape := slices.Clone(images.shape)
	colours := 1
	switch n := len(shape); {
	case n == 4 && (shape[3] == 1 || shape[3] == 3):
		colours, shape = shape[3], shape[:3]
	case n == 2:
		side := int(math.Sqrt(float64(shape[1])))
		if side*side != shape[1] {
			return s, fmt.Errorf("%s: expected rows of square images, found %d pixels", images.name, shape[1])
		}
		shape = []int{shape[0], side, side}
	case n != 3:
		return s, fmt.Errorf("%s: expected images [N, rows, columns], [N, rows, columns, 3] or [N, pixels], found %v", images.name, images.shape)
	}
	if n := len(labels.shape); n == 0 || n > 2 || labels.shape[0] != shape[0] {
		return s, fmt.Errorf("%s: expected %d labels, one for each image of %s, or as many rows of probabilities, found %v", labels.name, shape[0], images.name, labels.shape)
	}
	if max(shape[1], shape[2]) > mostSide {
		return s, fmt.Errorf("%s: expected images of at most %d pixels on a side, found %dx%d", images.name, mostSide, shape[1], shape[2])
	}
	need := uint64(images.in.count + labels.in.count)
	if !images.dtype.byteSized {
		need += uint64(images.in.count/images.dtype.bytes) * 4
	}
	if err := memory.Check(fmt.Sprintf("%s: %s", images.name, words.Plural(shape[0], "image")), need); err != nil {
		return s, err
	}
	data, err := images.read()
	if err != nil {
		return s, err
	}
	s = set{rows: shape[1], cols: shape[2], pixels: &values{bytes: data}}
	if e := images.dtype; !e.byteSized {
		s.pixels = &values{floats: make([]float32, len(data)/e.bytes)}
		for i := range s.pixels.floats {
			s.pixels.floats[i] = float32(e.value(data[i*e.bytes:]))
		}
	}
	if colours == 3 {
		f.grey = true
		s.pixels.toGrey()
	}
	data, err = labels.read()
	if err != nil {
		return s, err
	}
	if len(labels.shape) == 2 && labels.shape[1] > 1 {
		e := labels.dtype
		return s, s.matrix(labels.name, shape[0], labels.shape[1], f.labels, func(k int) float64 { return e.value(data[k*e.bytes:]) })
	}
	s.labels = make([]int32, shape[0])
	for i := range s.labels {
		v := labels.dtype.value(data[i*labels.dtype.bytes:])
		if v != math.Trunc(v) || math.Abs(v) > 1e9 {
			return s, fmt.Errorf("%s: expected labels that are whole numbers, found %v for image %d, counted from 1", labels.name, v, i+1)
		}
		if s.labels[i], err = f.labels.number(int(v)); err != nil {
			return s, fmt.Errorf("%s: %w", labels.name, err)
		}
	}
	return s, nil
}
