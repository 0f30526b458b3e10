// Package export writes models in formats that other programs read: ONNX, NumPy's npz, and JSON.
//
// Equal models give equal bytes in every format: there are no times or paths inside.
package export

import (
	"path/filepath"
	"strings"

	"vanilla/model"
)

// Format is a way to write models.
type Format struct {
	Extension string // of file names: ".onnx"
	// Encode returns the model as the bytes of a file. It fails if the model does not fit its architecture, and where the
	// format cannot hold it.
	Encode func(*model.Model) ([]byte, error)
}

// Formats lists all formats.
func Formats() []Format {
	return []Format{{".onnx", ONNX}, {".npz", NPZ}, {".json", JSON}}
}

// FormatOf finds the format of a file by its name's extension, in small letters or capitals.
func FormatOf(path string) (Format, bool) {
	for _, f := range Formats() {
		if strings.EqualFold(filepath.Ext(path), f.Extension) {
			return f, true
		}
	}
	return Format{}, false
}
