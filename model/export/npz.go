package export

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"vanilla/model"
)

// NPZ writes the parameters as numpy.savez does: an uncompressed zip archive of one float32 array for each, under the
// name that the model file has for it (0.weight, 0.bias, …). Any model can be written, chain or not; what is not a
// parameter is left out.
func NPZ(m *model.Model) ([]byte, error) {
	// Encoding checks the model too.
	if _, err := m.Encode(); err != nil {
		return nil, err
	}
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	for i, name := range m.Names() {
		f, err := w.CreateHeader(&zip.FileHeader{Name: name + ".npy", Method: zip.Store})
		if err != nil {
			return nil, err
		}
		if _, err := f.Write(npy(m.Params[i])); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return archive.Bytes(), nil
}

// npyAlign is what a header's length is a multiple of, so that the values can be mapped into memory.
const npyAlign = 64

// npy is a tensor in version 1.0 of NumPy's own format: a magic number, the length of the header, the header, which is a
// Python dictionary padded with spaces up to a newline, and the values. See
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
func npy(t model.Tensor) []byte {
	var shape strings.Builder
	for _, d := range t.Shape {
		fmt.Fprintf(&shape, "%d,", d) // Python takes (3,2,) for (3, 2), and demands (3,)
	}
	header := fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }", shape.String())
	const magic = "\x93NUMPY\x01\x00"
	before := len(magic) + 2 + len(header) + 1
	header += strings.Repeat(" ", (npyAlign-before%npyAlign)%npyAlign) + "\n"

	data := binary.LittleEndian.AppendUint16([]byte(magic), uint16(len(header)))
	data = append(data, header...)
	return appendFloats(data, t.Data)
}
