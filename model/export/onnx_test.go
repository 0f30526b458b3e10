package export

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// fields is a parsed protocol buffer: what each field holds, in order. Numbers and fixed32 are uint64, all else bytes.
type fields map[protowire.Number][]any

func parse(t *testing.T, data []byte) fields {
	t.Helper()
	f := fields{}
	for len(data) > 0 {
		field, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		data = data[n:]
		var value any
		switch kind {
		case protowire.VarintType:
			value, n = protowire.ConsumeVarint(data)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(data)
			value = uint64(v)
		case protowire.BytesType:
			value, n = protowire.ConsumeBytes(data)
		default:
			t.Fatalf("field %d has the wire type %d", field, kind)
		}
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		data = data[n:]
		f[field] = append(f[field], value)
	}
	return f
}

func (f fields) int(field protowire.Number) int {
	if len(f[field]) == 0 {
		return 0
	}
	return int(f[field][0].(uint64))
}

func (f fields) text(field protowire.Number) string {
	if len(f[field]) == 0 {
		return ""
	}
	return string(f[field][0].([]byte))
}

func (f fields) texts(field protowire.Number) (all []string) {
	for _, v := range f[field] {
		all = append(all, string(v.([]byte)))
	}
	return all
}

// messages parses each of a field's values.
func (f fields) messages(t *testing.T, field protowire.Number) (all []fields) {
	for _, v := range f[field] {
		all = append(all, parse(t, v.([]byte)))
	}
	return all
}

type constant struct {
	shape  []int
	values []float32
	whole  []int64 // of whole numbers
}

type node struct {
	op             string
	inputs, output []string
	attributes     map[string][]float64
}

// onnxFile is what parseONNX finds in a file.
type onnxFile struct {
	signature  string
	properties map[string]string
	constants  map[string]constant
	nodes      []node
}

func parseONNX(t *testing.T, data []byte) *onnxFile {
	t.Helper()
	file := parse(t, data)
	graph := file.messages(t, 7)[0]
	valueInfo := func(f fields) string {
		tensor := f.messages(t, 2)[0].messages(t, 1)[0]
		if elem := tensor.int(1); elem != 1 {
			t.Errorf("%s has elements of type %d, want 1, float", f.text(1), elem)
		}
		var extents []string
		for _, d := range tensor.messages(t, 2)[0].messages(t, 1) {
			if name := d.text(2); name != "" {
				extents = append(extents, name)
			} else {
				extents = append(extents, fmt.Sprint(d.int(1)))
			}
		}
		return f.text(1) + " float[" + strings.Join(extents, ",") + "]"
	}
	opset := file.messages(t, 8)[0]
	if domain := opset.text(1); domain != "" {
		t.Errorf("operators of the domain %q", domain)
	}
	o := &onnxFile{
		signature: fmt.Sprintf("ir %d, opset %d, %s %s, %s -> %s, graph %s", file.int(1), opset.int(2), file.text(2), file.text(3),
			valueInfo(graph.messages(t, 11)[0]), valueInfo(graph.messages(t, 12)[0]), graph.text(2)),
		properties: map[string]string{},
		constants:  map[string]constant{},
	}
	for _, p := range file.messages(t, 14) {
		o.properties[p.text(1)] = p.text(2)
	}
	for _, f := range graph.messages(t, 5) {
		c := constant{shape: []int{}}
		for _, d := range f[1] {
			c.shape = append(c.shape, int(d.(uint64)))
		}
		raw := []byte(f.text(9))
		switch kind := f.int(2); kind {
		case 1:
			for ; len(raw) > 0; raw = raw[4:] {
				c.values = append(c.values, math.Float32frombits(binary.LittleEndian.Uint32(raw)))
			}
		case 7:
			for ; len(raw) > 0; raw = raw[8:] {
				c.whole = append(c.whole, int64(binary.LittleEndian.Uint64(raw)))
			}
		default:
			t.Errorf("%s has elements of type %d, want 1, float, or 7, int64", f.text(8), kind)
		}
		if _, twice := o.constants[f.text(8)]; twice {
			t.Errorf("two constants are called %s", f.text(8))
		}
		o.constants[f.text(8)] = c
	}
	for _, f := range graph.messages(t, 1) {
		n := node{op: f.text(4), inputs: f.texts(1), output: f.texts(2), attributes: map[string][]float64{}}
		for _, a := range f.messages(t, 5) {
			switch kind := a.int(20); kind {
			case 1:
				n.attributes[a.text(1)] = []float64{float64(math.Float32frombits(uint32(a.int(2))))}
			case 2:
				n.attributes[a.text(1)] = []float64{float64(a.int(3))}
			case 7:
				for _, v := range a[8] {
					n.attributes[a.text(1)] = append(n.attributes[a.text(1)], float64(v.(uint64)))
				}
			default:
				t.Errorf("attribute %s has the type %d", a.text(1), kind)
			}
		}
		o.nodes = append(o.nodes, n)
	}
	return o
}
