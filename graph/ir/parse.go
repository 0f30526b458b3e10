package ir

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Limits of what Parse reads, for files of others.
const (
	maxParsedBytes = 64 << 20
	maxParsedOps   = 1 << 16
)

// Parse reads what [Program.String] lists, and verifies it. Comments, empty lines
// and space are free. The nodes of an expression graph that operations stand for
// are not read. The error names the line.
func Parse(text string) (*Program, error) {
	if len(text) > maxParsedBytes {
		return nil, fmt.Errorf("a listing of %d bytes, want at most %d", len(text), maxParsedBytes)
	}
	r := &parser{p: &Program{Input: -1, Target: -1, Output: -1, Loss: -1, Forward: -1}, id: map[string]ID{}, grad: map[int]string{}}
	for i, line := range strings.Split(text, "\n") {
		if err := r.line(line); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	for k, name := range r.grad {
		id, ok := r.id[name]
		if !ok {
			return nil, fmt.Errorf("no value is called %q, which is to be a gradient", name)
		}
		r.p.Params[k].Grad = id
	}
	if r.p.Forward < 0 {
		r.p.Forward = len(r.p.Ops)
	}
	if err := r.p.Verify(); err != nil {
		return nil, err
	}
	return r.p, nil
}

type parser struct {
	p    *Program
	id   map[string]ID
	grad map[int]string // of the parameter with that index
}

// word matches a quoted name with its shape, or anything without space.
var word = regexp.MustCompile(`"(?:[^"\\]|\\.)*"[^\s;]*|;.*|[^\s";]+`)

func (r *parser) line(text string) error {
	words := word.FindAllString(text, -1)
	if n := len(words); n > 0 && strings.HasPrefix(words[n-1], ";") {
		words = words[:n-1]
	}
	if len(words) > 0 {
		if _, err := strconv.Atoi(words[0]); err == nil {
			words = words[1:]
		}
	}
	if len(words) == 0 {
		return nil
	}
	fail := func() error { return fmt.Errorf("cannot read %.60q", text) }
	var err error
	switch {
	case len(words) > 2 && words[1] == "=":
		return r.operation(words[0], words[2:])
	case words[0] == "program" && len(words) == 2:
		r.p.Name, err = strconv.Unquote(words[1])
	case words[0] == "input" && len(words) == 2:
		r.p.Input, err = r.declare(words[1])
	case words[0] == "target" && len(words) == 2:
		r.p.Target, err = r.declare(words[1])
	case words[0] == "param" && len(words) >= 4 && words[2] == "grad":
		var q Param
		if q.Value, err = r.declare(words[1]); err != nil {
			return err
		}
		if q.Bias = len(words) == 5 && strings.HasPrefix(words[4], "bias"); !q.Bias && len(words) > 4 {
			return fail()
		}
		if q.Bias && words[4] != "bias" {
			if q.Start, err = parseFloat(strings.TrimPrefix(words[4], "bias=")); err != nil {
				return err
			}
		}
		if r.grad[len(r.p.Params)], err = unquoted(words[3]); err != nil {
			return err
		}
		r.p.Params = append(r.p.Params, q)
	case words[0] == "forward" && len(words) == 1 && len(r.p.Ops) == 0:
	case words[0] == "gradients" && len(words) == 1:
		r.p.Forward = len(r.p.Ops)
	case words[0] == "output" && len(words) == 2:
		r.p.Output, err = r.find(words[1])
	case words[0] == "loss" && len(words) == 2:
		r.p.Loss, err = r.find(words[1])
	default:
		return fail()
	}
	return err
}

func unquoted(name string) (string, error) {
	if strings.HasPrefix(name, `"`) {
		return strconv.Unquote(name)
	}
	return name, nil
}

func (r *parser) find(name string) (ID, error) {
	name, err := unquoted(name)
	if err != nil {
		return 0, err
	}
	id, ok := r.id[name]
	if !ok {
		return 0, fmt.Errorf("no value before this line is called %.60q", name)
	}
	return id, nil
}

var declaration = regexp.MustCompile(`^("(?:[^"\\]|\\.)*"|[^\[(]+)([\[(][^\])]*[\])])?$`)

// declare adds a value: its name and shape.
func (r *parser) declare(text string) (ID, error) {
	m := declaration.FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("%.60q is no name with a shape", text)
	}
	name, err := unquoted(m[1])
	if err != nil {
		return 0, err
	}
	if _, taken := r.id[name]; taken {
		return 0, fmt.Errorf("two values are called %.60q", name)
	}
	shape, err := parseShape(m[2])
	if err != nil {
		return 0, err
	}
	id := ID(len(r.p.Values))
	r.p.Values = append(r.p.Values, Value{Name: name, Shape: shape})
	r.id[name] = id
	return id, nil
}

func parseShape(text string) (Shape, error) {
	if text == "" {
		return one, nil
	}
	var extents []Extent
	if inner := text[1 : len(text)-1]; inner != "" {
		var err error
		if extents, err = listOf(inner, parseExtent); err != nil {
			return Shape{}, err
		}
	}
	if len(extents) > MaxRank {
		return Shape{}, fmt.Errorf("shape %s has more than %d axes", text, MaxRank)
	}
	if text[0] == '(' {
		return Tensor(extents...), nil
	}
	if len(extents) == 1 {
		extents = []Extent{Fixed(1), extents[0]}
	}
	s := Tensor(extents...)
	if len(extents) != 2 || !s.Matrix() {
		return Shape{}, fmt.Errorf("shape %s is none of a matrix", text)
	}
	return s, nil
}

var extentForm = regexp.MustCompile(`^(?:(\d*)B)?([+-]?\d+)?$`)

func parseExtent(text string) (Extent, error) {
	m := extentForm.FindStringSubmatch(text)
	if m == nil || text == "" {
		return Extent{}, fmt.Errorf("%.60q is no extent", text)
	}
	var e Extent
	if strings.Contains(text, "B") {
		e.PerBatch = 1
		if m[1] != "" {
			n, err := strconv.ParseInt(m[1], 10, 32)
			if err != nil {
				return e, err
			}
			e.PerBatch = int32(n)
		}
	}
	if m[2] != "" {
		n, err := strconv.ParseInt(m[2], 10, 32)
		if err != nil {
			return e, err
		}
		e.Fixed = int32(n)
	}
	return e, nil
}

func parseNumber(text string) (n Number, err error) {
	for part := range strings.SplitSeq(text, "|") {
		field := &n.Fixed
		if t, ok := strings.CutSuffix(part, "/B"); ok {
			part, field = t, &n.OverBatch
		} else if t, ok := strings.CutSuffix(part, "B"); ok {
			part, field = t, &n.PerBatch
		}
		if *field, err = parseFloat(part); err != nil {
			return n, err
		}
	}
	return n, nil
}

func parseFloat(text string) (float64, error) { return strconv.ParseFloat(text, 64) }

func listOf[T any](text string, parse func(string) (T, error)) ([]T, error) {
	var all []T
	for part := range strings.SplitSeq(text, ",") {
		x, err := parse(part)
		if err != nil {
			return nil, err
		}
		all = append(all, x)
	}
	return all, nil
}

func (r *parser) operation(result string, words []string) error {
	if len(r.p.Ops) >= maxParsedOps {
		return fmt.Errorf("more than %d operations", maxParsedOps)
	}
	op := Op{}
	for c := Dense; c < codes; c++ {
		if specs[c].name == words[0] {
			op.Code = c
		}
	}
	if op.Code == 0 {
		return fmt.Errorf("no operation is called %.60q", words[0])
	}
	s := &specs[op.Code]
	words = words[1:]
	if s.act || s.fn {
		if len(words) == 0 {
			return fmt.Errorf("%s of which function?", s.name)
		}
		if s.fn {
			op.Fn = Fn(words[0])
		} else if act, err := ParseActivation(words[0]); err == nil {
			op.Act = act
		} else {
			return err
		}
		words = words[1:]
	}
	if s.scale {
		op.Scale = 1
	}
	for _, w := range words {
		field, value, is := strings.Cut(w, "=")
		if !is || strings.HasPrefix(w, `"`) {
			a, err := r.find(w)
			if err != nil {
				return err
			}
			op.Args = append(op.Args, a)
			continue
		}
		var err error
		switch {
		case field == "scale" && s.scale:
			op.Scale, err = parseFloat(value)
		case field == "transposed" && s.trans && value == "a":
			op.TransA = true
		case field == "transposed" && s.trans && value == "b":
			op.TransB = true
		case field == "axes" && s.axes:
			if value != "" {
				op.Axes, err = listOf(value, strconv.Atoi)
			}
		case field == "ints" && s.ints:
			op.Ints, err = listOf(value, parseExtent)
		case field == "value" && s.value:
			op.Value, err = parseNumber(value)
		case field == "data" && s.value:
			op.Data, err = listOf(value, parseFloat)
		case field == "draw" && s.draw:
			var draw []float64
			if draw, err = listOf(value, parseFloat); len(draw) == 2 {
				op.Draw = [2]float64(draw)
			}
		default:
			err = fmt.Errorf("%s has no %.60q", s.name, w)
		}
		if err != nil {
			return err
		}
	}
	out, err := r.declare(result)
	if err != nil {
		return err
	}
	op.Out = out
	r.p.Ops = append(r.p.Ops, op)
	return nil
}
