package dataset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/image/bmp"
	"golang.org/x/image/webp"
)

// format is a kind of picture that is read. Decoders that other packages register with package image are not used.
type format struct {
	name   string
	magics []string // what files begin with; ? is any byte
	config func(io.Reader) (image.Config, error)
	decode func(io.Reader) (image.Image, error)
	// exif finds the EXIF data in a file; nil if the format has none.
	exif func([]byte) []byte
}

var formats = []format{
	{"PNG", []string{"\x89PNG\r\n\x1a\n"}, png.DecodeConfig, png.Decode, pngEXIF},
	{"JPEG", []string{"\xff\xd8\xff"}, jpeg.DecodeConfig, jpeg.Decode, jpegEXIF},
	{"GIF", []string{"GIF87a", "GIF89a"}, gif.DecodeConfig, gif.Decode, nil},
	{"WebP", []string{"RIFF????WEBP"}, webp.DecodeConfig, webp.Decode, webpEXIF},
	{"BMP", []string{"BM"}, bmp.DecodeConfig, bmp.Decode, nil},
}

// Formats names the formats of pictures that are read, as in "PNG, JPEG, GIF, WebP or BMP".
func Formats() string {
	var names []string
	for _, f := range formats {
		names = append(names, f.name)
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// What is known of other files, which people take for pictures.
var others = []struct{ magic, name string }{
	{"II*\x00", "a TIFF image"},
	{"MM\x00*", "a TIFF image"},
	{"%PDF", "a PDF document"},
	{"????ftyphei", "an HEIC image"},
	{"????ftypmif", "an HEIC image"},
	{"????ftypavif", "an AVIF image"},
	{lfsMagic, lfsPointer},
}

// A Git LFS pointer is a few lines of text in the place of a file.
const (
	lfsMagic   = "version https://git-lfs"
	lfsPointer = `a Git LFS pointer, for which "git lfs pull" fetches the file`
)

const (
	// maxPictureBytes is the largest file of a picture that is read, 128 MiB.
	maxPictureBytes = 128 << 20
	// Decoders take up to 12 bytes of memory for each pixel, and scaling takes some hundreds for each line.
	maxPicturePixels = 32 << 20
	maxPictureSide   = 16384
)

// ReadPicture reads a picture from a file or pipe, see [DecodePicture]. It returns when ctx is done, even while a pipe
// has no writer. Errors begin with the file's name.
func ReadPicture(ctx context.Context, path string) (image.Image, error) {
	type result struct {
		picture image.Image
		err     error
	}
	read := make(chan result, 1)
	go func() {
		picture, err := readPicture(path)
		read <- result{picture, err}
	}()
	select {
	case r := <-read:
		if r.err != nil {
			return nil, fmt.Errorf("%s: %w", path, r.err)
		}
		return r.picture, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func readPicture(path string) (image.Image, error) {
	unreadable := func(err error) (image.Image, error) {
		var at *fs.PathError
		if errors.As(err, &at) {
			err = at.Err
		}
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return unreadable(err)
	case info.IsDir():
		return nil, errors.New("want an image, found a directory")
	}
	f, err := os.Open(path)
	if err != nil {
		return unreadable(err)
	}
	defer f.Close()
	// What is no picture is not read further than its beginning.
	start := make([]byte, 64)
	n, err := io.ReadFull(f, start)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return unreadable(err)
	}
	if _, err := formatOf(start[:n]); err != nil {
		return nil, err
	}
	if info.Mode().IsRegular() && info.Size() > maxPictureBytes {
		return nil, tooLarge(fmt.Sprintf("%d", info.Size()))
	}
	data := bytes.NewBuffer(start[:n])
	if _, err := io.Copy(data, io.LimitReader(f, maxPictureBytes+1-int64(n))); err != nil {
		return unreadable(err)
	}
	return DecodePicture(data.Bytes())
}

func tooLarge(found string) error {
	return fmt.Errorf("want an image of at most %d bytes, found %s", maxPictureBytes, found)
}

// DecodePicture decodes the bytes of a PNG, JPEG, GIF, WebP or BMP file, and turns the picture upright if EXIF data say
// how the camera was held. It fails if they are none of these, damaged, longer than 128 MiB, or if the header promises
// more than 32 Mi pixels or a side longer than 16,384; so memory stays below 700 MB whatever the bytes are.
func DecodePicture(data []byte) (image.Image, error) {
	f, err := formatOf(data)
	if err != nil {
		return nil, err
	}
	if len(data) > maxPictureBytes {
		return nil, tooLarge("more")
	}
	config, err := f.config(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("the %s image is damaged: %w", f.name, err)
	}
	if w, h := config.Width, config.Height; max(w, h) > maxPictureSide || w*h > maxPicturePixels {
		return nil, fmt.Errorf("want an image of at most %d pixels, and %d on a side; found %d x %d", maxPicturePixels, maxPictureSide, w, h)
	}
	picture, err := f.decode(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("the %s image is damaged: %w", f.name, err)
	}
	if f.exif != nil {
		picture = upright(picture, orientation(f.exif(data)))
	}
	return picture, nil
}

// formatOf tells formats apart by what files begin with. The error says what was found in place of one.
func formatOf(start []byte) (format, error) {
	for _, f := range formats {
		for _, magic := range f.magics {
			if begins(start, magic) {
				return f, nil
			}
		}
	}
	found := "something else"
	if len(start) == 0 {
		found = "an empty file"
	}
	for _, o := range others {
		if begins(start, o.magic) {
			found = o.name
		}
	}
	return format{}, fmt.Errorf("want a %s image, found %s", Formats(), found)
}

// begins says whether data begin with a magic, in which ? is any byte.
func begins(data []byte, magic string) bool {
	if len(data) < len(magic) {
		return false
	}
	for i := range len(magic) {
		if magic[i] != '?' && data[i] != magic[i] {
			return false
		}
	}
	return true
}
