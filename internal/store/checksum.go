package store

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
)

// A checksum is CRC-32C in eight hexadecimal digits, the value of a key of the JSON object that it protects. It is the
// sum of all that is written, with zeros in the place of its own digits. CRC-32C finds every flipped bit and every
// damage of up to 32 bits in a row; others it misses once in four billion times.
const checksumKey = "crc32c"

const checksumDigits = 8

var (
	zeroDigits  = []byte("00000000")
	castagnoli  = crc32.MakeTable(crc32.Castagnoli)
	checksumTag = []byte(`"` + checksumKey + `":"`)
)

// ErrDamaged is wrapped by the errors about bytes that are not those that were written.
var ErrDamaged = errors.New("damaged")

// findChecksum is where the digits begin, or -1. In JSON a quote inside a string is escaped, so that the tag cannot be a
// part of one.
func findChecksum(text []byte) int {
	at := bytes.Index(text, checksumTag)
	if at < 0 || at+len(checksumTag)+checksumDigits > len(text) {
		return -1
	}
	return at + len(checksumTag)
}

// sumOf is the checksum of text whose digits begin at the given byte.
func sumOf(text []byte, at int) string {
	sum := crc32.Update(0, castagnoli, text[:at])
	sum = crc32.Update(sum, castagnoli, zeroDigits)
	sum = crc32.Update(sum, castagnoli, text[at+checksumDigits:])
	return formatSum(sum)
}

func formatSum(sum uint32) string { return fmt.Sprintf("%08x", sum) }

// verify compares the checksum whose digits begin at the given byte with the text's.
func verify(text []byte, at int) error {
	if said, found := string(text[at:at+checksumDigits]), sumOf(text, at); said != found {
		return fmt.Errorf("%w: its checksum says %q, its bytes have %s", ErrDamaged, said, found)
	}
	return nil
}
