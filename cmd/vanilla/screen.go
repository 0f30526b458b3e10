package main

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// screen writes text that people and terminals read. Names and versions come out of files that anybody may have written:
// control characters, with which a terminal can be told to do things, are shown as \u001b, which JSON reads as what was
// there. It keeps the first error of writing.
type screen struct {
	w    io.Writer
	held bool // the byte 0xc2, which begins the control characters beyond ASCII
	err  error
}

func (s *screen) Write(p []byte) (int, error) {
	shown := make([]byte, 0, len(p))
	for _, b := range p {
		switch {
		case s.held && b >= 0x80 && b < 0xa0: // U+0080 to U+009f
			shown = fmt.Appendf(shown, `\u%04x`, b)
			s.held = false
			continue
		case s.held:
			shown = append(shown, 0xc2)
		}
		s.held = b == 0xc2
		switch {
		case s.held: // what it begins is not known yet
		case b < ' ' && b != '\n' && b != '\t', b == 0x7f:
			shown = fmt.Appendf(shown, `\u%04x`, b)
		default:
			shown = append(shown, b)
		}
	}
	if _, err := s.w.Write(shown); err != nil {
		if s.err == nil {
			s.err = err
		}
		return 0, err
	}
	return len(p), nil
}

// terminal is the terminal behind w, for what moves the cursor itself, or nil.
func terminal(w io.Writer) *os.File {
	if s, ok := w.(*screen); ok {
		w = s.w
	}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}
