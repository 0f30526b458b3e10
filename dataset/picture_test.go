package dataset

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
)

// corners is a picture of 3x2 pixels, all different.
func corners() *image.NRGBA {
	p := image.NewNRGBA(image.Rect(0, 0, 3, 2))
	for i := range 6 {
		p.SetNRGBA(i%3, i/3, color.NRGBA{byte(40 * i), 0, byte(255 - 40*i), 255})
	}
	return p
}

// encoded is a picture in each format that can be written here, and an animation's first frame.
func encoded(t testing.TB, picture image.Image) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for name, encode := range map[string]func(*bytes.Buffer) error{
		"png":  func(b *bytes.Buffer) error { return png.Encode(b, picture) },
		"jpeg": func(b *bytes.Buffer) error { return jpeg.Encode(b, picture, &jpeg.Options{Quality: 100}) },
		"gif":  func(b *bytes.Buffer) error { return gif.Encode(b, picture, nil) },
		"bmp":  func(b *bytes.Buffer) error { return bmp.Encode(b, picture) },
		"tiff": func(b *bytes.Buffer) error { return tiff.Encode(b, picture, nil) },
	} {
		var b bytes.Buffer
		if err := encode(&b); err != nil {
			t.Fatal(err)
		}
		files[name] = b.Bytes()
	}
	return files
}

// webpDot is a WebP file of one black pixel: RIFF, a VP8L chunk of one transform-free image with five codes of one symbol.
var webpDot = []byte("RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00\x2f\x00\x00\x00\x10\x07\x10\x11\x11\x88\x88\xfe\x07\x00")

func TestFormats(t *testing.T) {
	files := encoded(t, corners())
	tiff := files["tiff"]
	delete(files, "tiff")
	files["webp"] = webpDot
	for name, data := range files {
		want := image.Rect(0, 0, 3, 2)
		if name == "webp" {
			want = image.Rect(0, 0, 1, 1)
		}
		if p, err := DecodePicture(data); err != nil || p.Bounds() != want {
			t.Errorf("%s: %v, %v", name, p, err)
		}
		if _, err := DecodePicture(data[:len(data)/2]); err == nil || !strings.Contains(err.Error(), "is damaged: ") {
			t.Errorf("half of a %s: error %v", name, err)
		}
	}
	// A plotting library registers TIFF's decoder with package image.
	for name, test := range map[string]struct {
		data []byte
		want string
	}{
		"tiff": {tiff, "want a PNG, JPEG, GIF, WebP or BMP image, found a TIFF image"},
		"heic": {[]byte("\x00\x00\x00\x24ftypheic\x00\x00\x00\x00"), "found an HEIC image"},
		"lfs":  {[]byte("version https://git-lfs.github.com/spec/v1\n"), "found a Git LFS pointer"},
		"text": {[]byte("This is no image."), "found something else"},
		"none": {nil, "found an empty file"},
	} {
		if _, err := DecodePicture(test.data); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %s", name, err, test.want)
		}
	}
}

// exifOf says how a picture was held, as cameras do, after another entry.
func exifOf(order binary.AppendByteOrder, orientation uint16) []byte {
	head := map[bool]string{true: "II*\x00", false: "MM\x00*"}[order.String() == binary.LittleEndian.String()]
	b := order.AppendUint32([]byte(head), 8)
	b = order.AppendUint16(b, 2)
	for tag, value := range map[uint16]uint16{0x0100: 3, orientationTag: orientation} {
		b = order.AppendUint16(order.AppendUint16(b, tag), 3)
		b = order.AppendUint16(order.AppendUint32(b, 1), value)
		b = order.AppendUint16(b, 0)
	}
	return b
}

// pngWith is a PNG with one more chunk before the pixels.
func pngWith(t testing.TB, picture image.Image, kind string, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, picture); err != nil {
		t.Fatal(err)
	}
	const header = 8 + 25 // magic and IHDR
	body := append([]byte(kind), content...)
	chunk := binary.BigEndian.AppendUint32(nil, uint32(len(content)))
	chunk = binary.BigEndian.AppendUint32(append(chunk, body...), crc32.ChecksumIEEE(body))
	return append(append(bytes.Clone(b.Bytes()[:header]), chunk...), b.Bytes()[header:]...)
}

// Every orientation of a picture that was stored so that it is upright again gives the upright picture.
func TestOrientation(t *testing.T) {
	want := corners()
	for o := 1; o <= 8; o++ {
		// The sensor's picture is the upright one under the inverse of what upright does; two quarter turns are inverse to
		// each other, the others to themselves.
		inverse := map[int]int{6: 8, 8: 6}[o]
		if inverse == 0 {
			inverse = o
		}
		sensor := upright(want, inverse)
		for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
			got, err := DecodePicture(pngWith(t, sensor, "eXIf", exifOf(order, uint16(o))))
			if err != nil {
				t.Fatal(err)
			}
			for i := range 6 {
				if x, y := i%3, i/3; got.Bounds() != want.Rect || color.NRGBAModel.Convert(got.At(x, y)) != want.At(x, y) {
					t.Errorf("orientation %d: pixel (%d, %d) of %v is %v, want %v", o, x, y, got.Bounds(), got.At(x, y), want.At(x, y))
				}
			}
		}
	}
	// In the place where EXIF 2.3 shows "row 0 is the visual right-hand side, column 0 the visual top": 6 is a camera that
	// was turned left, and the first pixel belongs at the top right.
	if turned := upright(want, 6); turned.At(1, 0) != want.At(0, 0) || turned.Bounds() != image.Rect(0, 0, 2, 3) {
		t.Errorf("orientation 6 puts the first pixel elsewhere than at the top right")
	}
}

func TestOrientationInFiles(t *testing.T) {
	exif := exifOf(binary.BigEndian, 6)
	app1 := append([]byte(exifMagic), exif...)
	jpegFile := encoded(t, corners())["jpeg"]
	segment := binary.BigEndian.AppendUint16([]byte{0xff, 0xe0, 0, 2, 0xff, 0xe1}, uint16(2+len(app1)))
	jpegFile = append(append(append(bytes.Clone(jpegFile[:2]), segment...), app1...), jpegFile[2:]...)
	chunk := append(binary.LittleEndian.AppendUint32([]byte("EXIF"), uint32(len(exif))), exif...)
	webpFile := append(bytes.Clone(webpDot), chunk...)
	binary.LittleEndian.PutUint32(webpFile[4:], uint32(len(webpFile)-8))
	if got := orientation(jpegEXIF(jpegFile)); got != 6 {
		t.Errorf("orientation %d of a JPEG, want 6", got)
	}
	if got := orientation(webpEXIF(webpFile)); got != 6 {
		t.Errorf("orientation %d of a WebP, want 6", got)
	}
	if p, err := DecodePicture(jpegFile); err != nil || p.Bounds() != image.Rect(0, 0, 2, 3) {
		t.Errorf("a JPEG of a turned camera: %v, %v", p, err)
	}
}

// What is no picture is not read, and no chunk is kept that says nothing of the pixels.
func TestReadPictureMemory(t *testing.T) {
	dir := t.TempDir()
	sparse := filepath.Join(dir, "sparse")
	long := filepath.Join(dir, "long.png")
	var b bytes.Buffer
	if err := png.Encode(&b, corners()); err != nil {
		t.Fatal(err)
	}
	for path, start := range map[string][]byte{sparse: nil, long: b.Bytes()} {
		if err := os.WriteFile(path, start, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, 3<<30); err != nil {
			t.Skip(err) // a file system without room for it
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := ReadPicture(t.Context(), path)
		runtime.ReadMemStats(&after)
		want := map[string]string{sparse: "found something else", long: "want an image of at most 134217728 bytes, found 3221225472"}[path]
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %s", path, err, want)
		}
		if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 1<<20 {
			t.Errorf("%s: allocated %d bytes", path, allocated)
		}
	}
	text := make([]byte, 64<<20)
	palette := image.NewPaletted(image.Rect(0, 0, 2, 2), color.Palette{color.Black, color.White})
	file := pngWith(t, palette, "tEXt", text)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := DecodePicture(file)
	runtime.ReadMemStats(&after)
	if allocated := after.TotalAlloc - before.TotalAlloc; err != nil || allocated > 1<<20 {
		t.Errorf("a PNG with a long text: allocated %d bytes, %v", allocated, err)
	}
}

// FuzzDecodePicture takes anything for a picture.
func FuzzDecodePicture(f *testing.F) {
	for _, data := range encoded(f, corners()) {
		f.Add(data)
	}
	f.Add(webpDot)
	f.Add(pngWith(f, corners(), "eXIf", exifOf(binary.LittleEndian, 6)))
	f.Add([]byte("\xff\xd8\xff\xe1\x00\x10Exif\x00\x00II*\x00\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		// Large pictures are slow, and no different.
		if g, err := formatOf(data); err == nil {
			if c, err := g.config(bytes.NewReader(data)); err == nil && c.Width*c.Height > 1<<16 {
				return
			}
		}
		p, err := DecodePicture(data)
		if (p == nil) != (err != nil) {
			t.Errorf("picture %v with error %v", p, err)
		}
	})
}

func TestReadPictureEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	path := pipe(t)
	go cancel()
	if _, err := ReadPicture(ctx, path); err == nil || !strings.Contains(err.Error(), "context canceled") {
		t.Errorf("error %v", err)
	}
}
