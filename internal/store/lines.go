package store

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Files of lines hold one JSON object on each. The checksum is the last key of the object, so that whoever reads JSON
// reads the rest too. A line is complete with its end: what follows the last one is being written, or its writer was
// killed.

// lineEnd is how a line ends that has a checksum, before its digits and after them.
const (
	lineEnd  = `,"` + checksumKey + `":"`
	lineLast = `"}`
)

// AppendLine appends v, an object with at least one key, and its checksum as a line.
func AppendLine(lines []byte, v any) ([]byte, error) {
	object, err := json.Marshal(v)
	if err != nil {
		return lines, err
	}
	from := len(lines)
	lines = append(lines, object[:len(object)-1]...)
	lines = append(lines, lineEnd...)
	at := len(lines) - from
	lines = append(append(lines, zeroDigits...), lineLast...)
	copy(lines[from+at:], sumOf(lines[from:], at))
	return append(lines, '\n'), nil
}

// DecodeLine decodes a line. One without a checksum, which an earlier version wrote, may have no key that v does not
// know, so that a damaged checksum is not taken for none. It fails with [ErrDamaged] if the line is not what was
// written.
func DecodeLine(line []byte, v any) error {
	line = bytes.TrimSuffix(line, []byte("\n"))
	at := len(line) - len(lineLast) - checksumDigits
	if at >= len(lineEnd) && bytes.HasSuffix(line[:at], []byte(lineEnd)) && bytes.HasSuffix(line, []byte(lineLast)) {
		if err := verify(line, at); err != nil {
			return err
		}
		return json.Unmarshal(line, v)
	}
	return decodeStrictly(line, v)
}

// An object in a file of its own is indented, and has its checksum in the same place.
const (
	objectEnd  = ",\n  \"" + checksumKey + `": "`
	objectLast = "\"\n}\n"
)

// EncodeObject returns v, an object with at least one key, and its checksum as a file.
func EncodeObject(v any) ([]byte, error) {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return nil, err
	}
	text = append(bytes.TrimSuffix(text, []byte("\n}")), objectEnd...)
	at := len(text)
	text = append(append(text, zeroDigits...), objectLast...)
	copy(text[at:], sumOf(text, at))
	return text, nil
}

// DecodeObject decodes a file of one object, whose keys v must all know. It fails with [ErrDamaged] if the file is not
// what was written; those of earlier versions have no checksum.
func DecodeObject(text []byte, v any) error {
	at := len(text) - len(objectLast) - checksumDigits
	if at >= len(objectEnd) && bytes.HasSuffix(text[:at], []byte(objectEnd)) && bytes.HasSuffix(text, []byte(objectLast)) {
		if err := verify(text, at); err != nil {
			return err
		}
		text = append(bytes.Clone(text[:at-len(objectEnd)]), '}')
	}
	return decodeStrictly(bytes.TrimSpace(text), v)
}

// decodeStrictly decodes one object whose keys v all knows.
func decodeStrictly(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if d.InputOffset() != int64(len(text)) {
		return fmt.Errorf("%w: found more than one object", ErrDamaged)
	}
	return nil
}

// Complete is data up to the end of its last line.
func Complete(data []byte) []byte { return data[:bytes.LastIndexByte(data, '\n')+1] }
