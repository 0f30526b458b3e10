package dataset

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

var roles = map[byte]role{1: labelRole, 3: imageRole}

// idx writes what readArray reads, given the shape that the header claims.
func idx(data []byte, shape ...uint32) []byte {
	file := []byte{0, 0, unsignedByte, byte(len(shape))}
	for _, length := range shape {
		file = binary.BigEndian.AppendUint32(file, length)
	}
	return append(file, data...)
}

func gzipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var file bytes.Buffer
	w := gzip.NewWriter(&file)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// small is a data set of 3 training and 2 test images of 2x4 pixels in 7 classes, the largest label being in the test set.
func small() [len(fileNames)][]byte {
	pixels := make([]byte, 3*2*4)
	for i := range pixels {
		pixels[i] = byte(10 * i)
	}
	return [...][]byte{
		trainImages: idx(pixels, 3, 2, 4),
		trainLabels: idx([]byte{4, 0, 5}, 3),
		testImages:  idx(pixels[8:], 2, 2, 4),
		testLabels:  idx([]byte{6, 1}, 2),
	}
}

func mapFS(files [len(fileNames)][]byte) fstest.MapFS {
	m := fstest.MapFS{}
	for i, data := range files {
		m[fileNames[i]] = &fstest.MapFile{Data: data}
	}
	return m
}

func TestImageIsAView(t *testing.T) {
	d, err := ReadIDX(t.Context(), mapFS(small()), "dir", "small", Options{})
	if err != nil {
		t.Fatal(err)
	}
	image := d.Train.Image(1)
	if want := []byte{80, 90, 100, 110, 120, 130, 140, 150}; !bytes.Equal(image, want) {
		t.Errorf("image 1 is %v, want %v", image, want)
	}
	image[0] = 1
	if d.Train.Pixels[8] != 1 {
		t.Error("Image copied the pixels")
	}
	_ = append(image, 99)
	if d.Train.Pixels[16] == 99 {
		t.Error("appending to image 1 wrote into image 2")
	}
}

func TestOpen(t *testing.T) {
	files := small()
	rename := map[string]func(string) string{
		"dash": func(name string) string { return name },
		"dot":  func(name string) string { return strings.Replace(name, "-idx", ".idx", 1) },
	}
	store := map[string]func(name string, data []byte) (string, []byte){
		"plain":           func(name string, data []byte) (string, []byte) { return name, data },
		"gz":              func(name string, data []byte) (string, []byte) { return name + ".gz", gzipped(t, data) },
		"gz without .gz":  func(name string, data []byte) (string, []byte) { return name, gzipped(t, data) },
		".gz without gz":  func(name string, data []byte) (string, []byte) { return name + ".gz", data },
		"gz of two parts": func(name string, data []byte) (string, []byte) { return name + ".gz", twoMembers(t, data) },
	}
	for naming, rename := range rename {
		for storing, store := range store {
			t.Run(naming+" "+storing, func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "fashion")
				if err := os.Mkdir(dir, 0o755); err != nil {
					t.Fatal(err)
				}
				for i, data := range files {
					name, data := store(rename(fileNames[i]), data)
					if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
						t.Fatal(err)
					}
				}
				d, err := Open(t.Context(), dir, Options{})
				if err != nil {
					t.Fatal(err)
				}
				if d.Name != "fashion" {
					t.Errorf("named %q, want fashion", d.Name)
				}
				for _, set := range []struct {
					*Images
					pixels, labels []byte
				}{
					{d.Train, files[trainImages][16:], []byte{4, 0, 5}},
					{d.Test, files[testImages][16:], []byte{6, 1}},
				} {
					if !bytes.Equal(set.Pixels, set.pixels) || !bytes.Equal(set.Labels, set.labels) {
						t.Errorf("pixels %v labels %v, want %v %v", set.Pixels, set.Labels, set.pixels, set.labels)
					}
					if set.Rows != 2 || set.Cols != 4 || set.Classes != 7 {
						t.Errorf("%dx%d, %d classes, want 2x4, 7", set.Rows, set.Cols, set.Classes)
					}
				}
			})
		}
	}
}

func twoMembers(t *testing.T, data []byte) []byte {
	return slices.Concat(gzipped(t, data[:5]), gzipped(t, data[5:]))
}

func Test256Classes(t *testing.T) {
	files := small()
	files[trainLabels] = idx([]byte{0, 255, 1}, 3)
	d, err := ReadIDX(t.Context(), mapFS(files), "dir", "small", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if d.Train.Classes != 256 || d.Test.Classes != 256 {
		t.Errorf("%d and %d classes, want 256", d.Train.Classes, d.Test.Classes)
	}
}

func TestOpenNamesMissingFiles(t *testing.T) {
	empty, partial := t.TempDir(), t.TempDir()
	for _, i := range []int{trainImages, testImages, testLabels} {
		if err := os.WriteFile(filepath.Join(partial, fileNames[i]), small()[i], 0o644); err != nil {
			t.Fatal(err)
		}
	}
	all := strings.Join(fileNames[:], ", ")
	for _, test := range []struct{ name, dir, want string }{
		{"no directory", filepath.Join(empty, "absent"), "no such file or directory"},
		{"an empty directory", empty, "expected " + expectedForms + ", found none:"},
		{"one file missing", partial, "expected the four files " + all + ", plain or .gz, found no " + fileNames[trainLabels] + ":"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Open(t.Context(), test.dir, Options{})
			if !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("error %v, want one that is fs.ErrNotExist", err)
			}
			want := test.dir + ": " + test.want
			if !strings.HasPrefix(err.Error(), want) {
				t.Errorf("error %q, want %q...", err, want)
			}
		})
	}
}

func TestOpenWantsFiles(t *testing.T) {
	dir := t.TempDir()
	for i, name := range fileNames {
		if err := os.WriteFile(filepath.Join(dir, name), small()[i], 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(dir, fileNames[trainImages])); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, fileNames[trainImages]), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), dir, Options{}); err == nil || !strings.Contains(err.Error(), "expected a regular file, found mode d") {
		t.Errorf("error %v for a directory in place of a file", err)
	}
	if _, err := Open(t.Context(), filepath.Join(dir, "absent\x00"), Options{}); err == nil {
		t.Error("no error for a path that cannot be")
	}
}

// TestHostile damages one file of a good data set at a time. Every damage to the content is also tried under compression,
// where it must be found at the same place.
func TestHostile(t *testing.T) {
	good := small()
	for _, test := range []struct {
		name            string
		file            int
		data            []byte
		offset          int64
		expected, found string
	}{
		{"empty file", trainImages, nil,
			0, "the magic number", "end of the file"},
		{"magic cut", trainLabels, good[trainLabels][:3],
			3, "the magic number", "end of the file"},
		{"wrong magic", testLabels, []byte("PK\x03\x04 and so on"),
			0, "00 00 08 01", "50 4b 03 04"},
		{"an unknown type", trainImages, append([]byte{0, 0, 0x0a, 3}, good[trainImages][4:]...),
			2, "08 (unsigned byte)", "0a"},
		{"floats without enough bytes", trainImages, append([]byte{0, 0, 0x0d, 3}, good[trainImages][4:]...),
			40, "96 bytes of data", "the end of the file"},
		{"labels in place of images", testImages, good[testLabels],
			3, "rank 3", "1"},
		{"images in place of labels", testLabels, good[testImages],
			3, "rank 1", "3"},
		{"header cut", trainImages, good[trainImages][:14],
			14, "the length of dimension 3 of 3", "end of the file"},
		{"no data", trainImages, good[trainImages][:16],
			16, "24 bytes of data after the header", "the end of the file"},
		{"data cut", trainImages, good[trainImages][:39],
			39, "24 bytes of data after the header", "the end of the file"},
		{"labels cut", testLabels, good[testLabels][:9],
			9, "2 bytes of data after the header", "the end of the file"},
		{"trailing byte", trainImages, append(bytes.Clone(good[trainImages]), 0),
			40, "the end of the file after the data that the header promised", "more bytes"},
		{"trailing label", trainLabels, append(bytes.Clone(good[trainLabels]), 0),
			11, "the end of the file after the data that the header promised", "more bytes"},
		{"promises 2^40 pixels", trainImages, idx(make([]byte, 24), 1<<20, 1<<10, 1<<10),
			12, fmt.Sprintf("at most %d bytes", uint64(maxSizeBytes)), "dimension 3 of 3 to be 1024, after 1073741824 bytes"},
		{"promises 2^93 pixels", trainImages, idx(make([]byte, 24), 1<<30, 1<<31, 1<<32-1),
			8, "at most", "after 1073741824 bytes"},
		{"promises 2^62 pixels", trainImages, idx(make([]byte, 24), 1<<15, 1<<15, 1<<32-1),
			12, "at most", "after 1073741824 bytes"},
		{"empty training set", trainImages, idx(nil, 0, 2, 4),
			4, "dimension 1 of 3 to be at least 1", "0"},
		{"no training labels", trainLabels, idx(nil, 0),
			4, "dimension 1 of 1 to be at least 1", "0"},
		{"no rows", testImages, idx(nil, 2, 0, 4),
			8, "dimension 2 of 3 to be at least 1", "0"},
		{"no columns", testImages, idx(nil, 2, 2, 0),
			12, "dimension 3 of 3 to be at least 1", "0"},
		{"fewer labels than images", trainLabels, idx([]byte{1, 2}, 2),
			4, "3 labels, one for each image of dir/train-images-idx3-ubyte", "2"},
		{"more labels than images", testLabels, idx([]byte{1, 2, 3}, 3),
			4, "2 labels, one for each image of dir/t10k-images-idx3-ubyte", "3"},
		{"test images of another size", testImages, idx(good[testImages][16:], 2, 4, 2),
			8, "images of 2x4 pixels, as in dir/train-images-idx3-ubyte", "4x2"},
		{"larger than promised", testImages, append(bytes.Clone(good[testImages]), make([]byte, 32<<20)...),
			32, "the end of the file after the data that the header promised", "more bytes"},
	} {
		for _, stored := range []struct {
			form, suffix string
			data         []byte
		}{
			{"plain", "", test.data},
			{"gzip", " (decompressed)", gzipped(t, test.data)},
		} {
			t.Run(test.name+"/"+stored.form, func(t *testing.T) {
				files := good
				files[test.file] = stored.data
				wantFormatError(t, files, &FormatError{
					File:     "dir/" + fileNames[test.file] + stored.suffix,
					Offset:   test.offset,
					Expected: test.expected,
					Found:    test.found,
				})
			})
		}
	}
}

// What does not fit together is refused from the headers: images are neither read nor given memory.
func TestHeadersFirst(t *testing.T) {
	files := small()
	files[trainImages] = gzipped(t, idx(make([]byte, 64<<20), 8<<20, 2, 4))
	wantFormatError(t, files, &FormatError{
		File:     "dir/" + fileNames[trainLabels],
		Offset:   4,
		Expected: "8388608 labels, one for each image of " + filepath.FromSlash("dir/train-images-idx3-ubyte (decompressed)"),
		Found:    "3",
	})
}

// A promise alone gets no memory, where everything else agrees.
func TestPromises(t *testing.T) {
	for promise, file := range map[string][]byte{
		"2013265920": idx(make([]byte, 24), 15<<7, 1<<10, 1<<10),
		"2147483646": idx(make([]byte, 24), 1<<31-2),
	} {
		for _, stored := range [][]byte{file, gzipped(t, file)} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			a, err := readArray(bytes.NewReader(stored), int64(len(stored)), "file", roles[file[3]])
			runtime.ReadMemStats(&after)
			var format *FormatError
			if !errors.As(err, &format) || a != nil || format.Offset != int64(len(file)) ||
				format.Expected != promise+" bytes of data after the header" || format.Found != "the end of the file" {
				t.Errorf("%s bytes promised: %v", promise, err)
			}
			if allocated := after.TotalAlloc - before.TotalAlloc; allocated > allocationLimitBytes {
				t.Errorf("%s bytes promised: allocated %d, limit %d", promise, allocated, allocationLimitBytes)
			}
		}
	}
}

func TestLFSPointer(t *testing.T) {
	files := small()
	files[testLabels] = []byte("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab\nsize 47040016\n")
	wantFormatError(t, files, &FormatError{File: "dir/" + fileNames[testLabels], Expected: "an IDX file", Found: `a Git LFS pointer, for which "git lfs pull"`})
}

func TestCorruptGzip(t *testing.T) {
	good := small()
	raw := good[testImages]
	stored := gzipped(t, raw)
	reserved := bytes.Clone(stored)
	reserved[10] = 0x07 // the first block is of the type that no block may have (RFC 1951, 3.2.3)
	changed := func(at int) []byte {
		data := bytes.Clone(stored)
		data[at] ^= 0xff
		return data
	}
	for _, test := range []struct {
		name            string
		data            []byte
		offset          int
		expected, found string
		cause           error
	}{
		{"header cut", stored[:5], 0, "a gzip header", "end of the file", io.ErrUnexpectedEOF},
		{"unknown method", changed(2), 0, "a gzip header", "gzip: invalid header", gzip.ErrHeader},
		{"body cut", stored[:11], 0, "the magic number", "end of the file", io.ErrUnexpectedEOF},
		{"body damaged", reserved, 0, "the magic number", "flate: corrupt input", flate.CorruptInputError(1)},
		{"checksum cut", stored[:len(stored)-3], len(raw), "the checksum at the end of gzip data", "the end of the file", io.ErrUnexpectedEOF},
		{"wrong checksum", changed(len(stored) - 8), len(raw), "the end of the file", "gzip: invalid checksum", gzip.ErrChecksum},
		{"wrong size", changed(len(stored) - 1), len(raw), "the end of the file", "gzip: invalid checksum", gzip.ErrChecksum},
		{"rubbish after it", append(bytes.Clone(stored), "rubbish"...), len(raw), "the end of the file after the data", "bytes that are no gzip data", errRubbish},
		{"much rubbish after it", append(bytes.Clone(stored), "rubbish, and more of it"...), len(raw), "the end of the file after the data", "bytes that are no gzip data", errRubbish},
		{"a second member cut", append(bytes.Clone(stored), stored[:5]...), len(raw), "the checksum at the end of gzip data", "the end of the file", io.ErrUnexpectedEOF},
	} {
		t.Run(test.name, func(t *testing.T) {
			files := good
			files[testImages] = test.data
			wantFormatError(t, files, &FormatError{
				File:     "dir/t10k-images-idx3-ubyte (decompressed)",
				Offset:   int64(test.offset),
				Expected: test.expected,
				Found:    test.found,
				Err:      test.cause,
			})
		})
	}
}

// allocationLimitBytes is what reading a damaged small data set may allocate, ever: for each of four files a buffer of
// firstRead in front of it, another firstRead for its data, and under 64 KiB for the decompressor's window and tables;
// and as much again for the rest.
const allocationLimitBytes = 2 * 4 * (2*firstRead + 64<<10)

// wantFormatError reads files and compares the error, in which Expected and Found need only be contained. It holds memory
// to allocationLimitBytes.
func wantFormatError(t *testing.T, files [len(fileNames)][]byte, want *FormatError) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	d, err := ReadIDX(t.Context(), mapFS(files), "dir", "small", Options{})
	runtime.ReadMemStats(&after)
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > allocationLimitBytes {
		t.Errorf("allocated %d bytes, limit %d", allocated, allocationLimitBytes)
	}
	if d != nil {
		t.Error("a data set came with the error")
	}
	var got *FormatError
	if !errors.As(err, &got) {
		t.Fatalf("error %v, want a *FormatError", err)
	}
	if got.File != filepath.FromSlash(want.File) || got.Offset != want.Offset ||
		!strings.Contains(got.Expected, want.Expected) || !strings.Contains(got.Found, want.Found) {
		t.Errorf("error %q,\n    want %q", got, want)
	}
	if want.Err != nil && !errors.Is(err, want.Err) {
		t.Errorf("error %q does not wrap %q", err, want.Err)
	}
	if text := got.Error(); got.Expected == "" || got.Found == "" || !strings.HasPrefix(text, fmt.Sprintf("%s: byte %d: ", got.File, got.Offset)) {
		t.Errorf("error %q does not say where, what was expected and what was found", text)
	}
}

// TestGrowth reads more than the first allocation holds, through several doublings.
func TestGrowth(t *testing.T) {
	labels := make([]byte, 5*firstRead+123)
	for i := range labels {
		labels[i] = byte(i / 256) // compresses far better than expectedRatio
	}
	a, err := readArray(bytes.NewReader(gzipped(t, idx(labels, uint32(len(labels))))), 1, "labels", labelRole)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.data, labels) || cap(a.data) != len(labels) {
		t.Errorf("%d labels, room for %d, want exactly the %d that were written", len(a.data), cap(a.data), len(labels))
	}
}

// FuzzRead reads anything as labels and as images. What is accepted must be what was stored; what is refused must be
// refused at a place within the file; and compression must make no difference.
func FuzzRead(f *testing.F) {
	f.Fuzz(func(t *testing.T, stored []byte) {
		compressed := gzipped(t, stored)
		for _, rank := range []role{labelRole, imageRole} {
			a, err := readArray(bytes.NewReader(stored), int64(len(stored)), "file", rank)
			if bytes.HasPrefix(stored, []byte(gzipMagic)) {
				checkArray(t, a, err, rank)
				continue
			}
			if offset := checkArray(t, a, err, rank); offset > int64(len(stored)) {
				t.Errorf("refused at byte %d of %d", offset, len(stored))
			}
			b, compressedErr := readArray(bytes.NewReader(compressed), int64(len(compressed)), "file", rank)
			checkArray(t, b, compressedErr, rank)
			if (err == nil) != (compressedErr == nil) {
				t.Fatalf("plain: %v; compressed: %v", err, compressedErr)
			}
			if err != nil {
				if plain, unpacked := checkArray(t, a, err, rank), checkArray(t, b, compressedErr, rank); plain != unpacked {
					t.Errorf("refused at byte %d, compressed at %d", plain, unpacked)
				}
				continue
			}
			for _, a := range []*array{a, b} {
				var shape []uint32
				for _, length := range a.shape {
					shape = append(shape, uint32(length))
				}
				written := idx(a.data, shape...)
				written[2] = a.kind
				if !bytes.Equal(written, stored) {
					t.Errorf("read shape %v and data %v from %v", a.shape, a.data, stored)
				}
			}
		}
	})
}

// checkArray demands either a whole array or a *FormatError, whose offset it returns.
func checkArray(t *testing.T, a *array, err error, of role) int64 {
	t.Helper()
	if err != nil {
		var format *FormatError
		if !errors.As(err, &format) || format.Offset < 0 || a != nil {
			t.Fatalf("array %v with error %v, want none with a *FormatError", a, err)
		}
		return format.Offset
	}
	count := elements[a.kind].bytes
	for _, length := range a.shape {
		count *= length
	}
	if n := len(a.shape); n != of.rank && n != of.alternative || count < 1 || len(a.data) != count {
		t.Fatalf("shape %v with %d bytes, want %s", a.shape, len(a.data), of.ranks)
	}
	return 0
}

// readArray reads an IDX file whose dimensions are those of a role, none of them zero, plain or compressed with gzip, to
// the end of r.
func readArray(r io.Reader, sizeBytes int64, file string, of role) (*array, error) {
	in, err := openArray(r, sizeBytes, file, of)
	if err != nil {
		return nil, err
	}
	return in.array()
}
