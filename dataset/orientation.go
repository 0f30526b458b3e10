package dataset

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/draw"
)

// Cameras store pictures as the sensor saw them and say in EXIF how they were held: tag 0x0112 of the first directory, a
// number from 1 to 8 (CIPA DC-008, 4.6.5.1).
const (
	orientationTag = 0x0112
	exifMagic      = "Exif\x00\x00" // before EXIF data in JPEG, and sometimes in WebP
)

// orientation is the number that EXIF data, a small TIFF file, hold; 1, as it is, if they hold none.
func orientation(exif []byte) int {
	exif = bytes.TrimPrefix(exif, []byte(exifMagic))
	if len(exif) < 8 {
		return 1
	}
	var order binary.ByteOrder
	switch string(exif[:4]) {
	case "II*\x00":
		order = binary.LittleEndian
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return 1
	}
	at := uint64(order.Uint32(exif[4:]))
	if at+2 > uint64(len(exif)) {
		return 1
	}
	const entryBytes = 12 // tag, type, count, value
	entries := exif[at+2:]
	for range order.Uint16(exif[at:]) {
		if len(entries) < entryBytes {
			return 1
		}
		if order.Uint16(entries) == orientationTag {
			if v := int(order.Uint16(entries[8:])); v >= 1 && v <= 8 {
				return v
			}
			return 1
		}
		entries = entries[entryBytes:]
	}
	return 1
}

// jpegEXIF is the first APP1 segment with EXIF data.
func jpegEXIF(data []byte) []byte {
	data = data[2:] // start of image
	for len(data) >= 4 && data[0] == 0xff {
		marker, size := data[1], int(binary.BigEndian.Uint16(data[2:]))
		if marker == 0xff { // a fill byte
			data = data[1:]
			continue
		}
		if marker == 0xda || size < 2 || 2+size > len(data) { // the picture itself, or damage
			return nil
		}
		if segment := data[4 : 2+size]; marker == 0xe1 && bytes.HasPrefix(segment, []byte(exifMagic)) {
			return segment
		}
		data = data[2+size:]
	}
	return nil
}

// pngEXIF is the content of the chunk eXIf.
func pngEXIF(data []byte) []byte {
	const overhead = 12 // length, type, CRC
	for data = data[8:]; len(data) >= overhead; {
		size := uint64(binary.BigEndian.Uint32(data))
		if overhead+size > uint64(len(data)) {
			return nil
		}
		if string(data[4:8]) == "eXIf" {
			return data[8 : 8+size]
		}
		data = data[overhead+size:]
	}
	return nil
}

// webpEXIF is the content of the chunk EXIF.
func webpEXIF(data []byte) []byte {
	const overhead = 8 // type, length
	for data = data[12:]; len(data) >= overhead; {
		size := uint64(binary.LittleEndian.Uint32(data[4:]))
		if overhead+size > uint64(len(data)) {
			return nil
		}
		if string(data[:4]) == "EXIF" {
			return data[8 : 8+size]
		}
		data = data[min(overhead+size+size%2, uint64(len(data))):]
	}
	return nil
}

// upright turns and mirrors a picture whose rows and columns were stored as an orientation says.
func upright(picture image.Image, orientation int) image.Image {
	if orientation == 1 {
		return picture
	}
	b := picture.Bounds()
	w, h := b.Dx(), b.Dy()
	stored := image.NewNRGBA(image.Rect(0, 0, w, h))
	draw.Draw(stored, stored.Rect, picture, b.Min, draw.Src)
	width, height := w, h
	if orientation >= 5 {
		width, height = h, w
	}
	turned := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			var fx, fy int // where the pixel was stored
			switch orientation {
			case 2:
				fx, fy = w-1-x, y
			case 3:
				fx, fy = w-1-x, h-1-y
			case 4:
				fx, fy = x, h-1-y
			case 5:
				fx, fy = y, x
			case 6:
				fx, fy = y, h-1-x
			case 7:
				fx, fy = w-1-y, h-1-x
			case 8:
				fx, fy = w-1-y, x
			}
			copy(turned.Pix[turned.PixOffset(x, y):][:4], stored.Pix[stored.PixOffset(fx, fy):][:4])
		}
	}
	return turned
}
