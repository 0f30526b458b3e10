package dataset

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// mostSteps is how often images may be prepared and written.
const mostSteps = 32

// ParsePreparation reads what Preparation is in JSON: one object, of which every key is known. Nothing is the zero value.
func ParsePreparation(text []byte) (p Preparation, err error) {
	if len(text) == 0 {
		return p, nil
	}
	fail := func(format string, args ...any) (Preparation, error) {
		return Preparation{}, fmt.Errorf("what was done to the data: expected "+format, args...)
	}
	if text = bytes.TrimSpace(text); len(text) == 0 || text[0] != '{' {
		return fail("one JSON object, found %.60q", text)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err = d.Decode(&p)
	var kind *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &kind):
		return fail("another value of the key %s, found a JSON %s", kind.Field, kind.Value)
	case errors.As(err, &syntax), errors.Is(err, io.ErrUnexpectedEOF):
		return fail("one JSON object, found %.60q: %w", text, err)
	case err != nil && strings.HasPrefix(err.Error(), "json: unknown field "):
		return fail("what this version of vanilla can do, found %s", strings.TrimPrefix(err.Error(), "json: unknown field "))
	case err != nil:
		return Preparation{}, fmt.Errorf("what was done to the data: %w", err)
	case d.InputOffset() != int64(len(text)):
		return fail("one JSON object, found %.60q after it", bytes.TrimSpace(text[d.InputOffset():]))
	}
	for q := &p; q != nil; q = q.Before {
		if !(q.Box >= 0 && q.Box <= 1 && q.Test >= 0 && q.Test < 1) {
			return fail("shares from 0 to 1, found %v and %v", q.Box, q.Test)
		}
		if q.Before != nil {
			if err := q.Before.checkStep(); err != nil {
				return Preparation{}, err
			}
		}
	}
	return p, nil
}

// checkStep reports what Write does not write of one step.
func (p *Preparation) checkStep() error {
	switch {
	case *p == Preparation{Before: p.Before}:
		return errors.New("what was done to the data: expected at least one thing that was done, found none")
	case p.Pictures && p.Size == Size{}:
		return errors.New("what was done to the data: expected the size that pictures were scaled to, found none")
	}
	return nil
}

// checkWritten reports what Write does not write beside images of a size.
func (p *Preparation) checkWritten(size Size) error {
	if err := p.checkStep(); err != nil {
		return err
	}
	steps := 0
	for q := p; q != nil; q = q.Before {
		steps++
	}
	if steps > mostSteps {
		return fmt.Errorf("what was done to the data: expected at most %d steps, one before the other, found %d", mostSteps, steps)
	}
	if said := p.result(); said != (Size{}) && said != size {
		return fmt.Errorf("what was done to the data: expected the size of the images, %v, found that they were scaled to %v", size, said)
	}
	return nil
}
