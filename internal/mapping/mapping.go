// Package mapping reads files of keys and values: one mapping in YAML, of which
// JSON is a part, of no more than recipes and spaces take.
package mapping

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"vanilla/kernels"
)

// Read reads no more of a file than [Parse] needs in order to refuse it.
func Read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxYAMLBytes+1))
}

// Entry is a key of a mapping with its value.
type Entry struct {
	Name  string // without quotes
	Line  int
	value ast.Node
}

// Place is a line of a file, as the value of a *kernels.SettingError: what its problem quotes are the file's own words.
type Place string

// At is the place of a line.
func At(name string, line int) Place { return Place(fmt.Sprintf("%s:%d", name, line)) }

// Parse reads one mapping in YAML, which JSON is a part of, and returns
// its entries in their order; none if there is nothing but comments. It fails
// with a *kernels.SettingError that names the file and the line, with example
// as a line that would be right.
func Parse(data []byte, field, name, example string) ([]Entry, error) {
	fail := func(line int, problem string) ([]Entry, error) {
		return nil, &kernels.SettingError{Field: field, Value: At(name, line), Problem: problem}
	}
	if start := data[:min(len(data), maxYAMLBytes)]; bytes.IndexByte(start, 0) >= 0 {
		return fail(1, fmt.Sprintf("found a file that is no text: want lines like %q", example))
	}
	if len(data) > maxYAMLBytes {
		return fail(1, fmt.Sprintf("want a file of at most %d bytes, found more", maxYAMLBytes))
	}
	tokens := lexer.Tokenize(string(bytes.TrimPrefix(data, []byte(byteOrderMark))))
	if line, deep := nesting(tokens); deep {
		return fail(line, fmt.Sprintf("found lists or mappings inside each other, more than %d deep: want lines like %q", maxNesting, example))
	}
	file, err := parser.Parse(tokens, 0)
	if err != nil {
		var at yaml.Error
		if errors.As(err, &at) && at.GetToken() != nil {
			message := at.GetMessage()
			if m := defined.FindStringSubmatch(message); m != nil {
				message = fmt.Sprintf("found %s again, which line %s has: want it once", cmp.Or(strings.TrimPrefix(m[1], "?"), "a key"), m[2])
			}
			return fail(at.GetToken().Position.Line, message)
		}
		return fail(1, fmt.Sprintf("not YAML: %.200v", err))
	}
	docs := file.Docs
	for len(docs) > 0 && isDirective(docs[0]) { // %YAML 1.2
		docs = docs[1:]
	}
	if len(docs) > 1 {
		return fail(lineOf(docs[1]), "found a second document: want one")
	}
	if len(docs) == 0 || docs[0].Body == nil {
		return nil, nil
	}
	switch body := docs[0].Body.(type) {
	case *ast.MappingNode:
		entries := make([]Entry, len(body.Values))
		for i, v := range body.Values {
			entries[i] = Entry{keyOf(v.Key), v.Key.GetToken().Position.Line, v.Value}
		}
		return entries, nil
	case *ast.CommentGroupNode:
		return nil, nil
	default:
		return fail(body.GetToken().Position.Line, fmt.Sprintf("want lines like %q", example))
	}
}

// defined is what the parser says of a key that is there twice; of `? lr` it says "?".
var defined = regexp.MustCompile(`^mapping key "(.*)" already defined at \[(\d+):\d+\]$`)

// byteOrderMark is what some editors begin files with.
const byteOrderMark = "\ufeff"

func isDirective(d *ast.DocumentNode) bool {
	_, ok := d.Body.(*ast.DirectiveNode)
	return ok
}

// keyOf is a key as it is meant: "epochs" in quotes, after a question mark or not.
func keyOf(n ast.Node) string {
	if k, ok := n.(*ast.MappingKeyNode); ok && k.Value != nil {
		n = k.Value
	}
	return scalar(n)
}

// maxNesting is how deep lists and mappings may be inside each other. The parser
// takes memory with the square of the depth.
const maxNesting = 8

// nesting finds the line at which lists and mappings are nested too deep: by
// brackets, or by the dashes of lists one after or below the other.
func nesting(tokens token.Tokens) (line int, deep bool) {
	brackets, dashes, column := 0, 0, 0
	for _, t := range tokens {
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			brackets++
		case token.SequenceEndType, token.MappingEndType:
			brackets--
		}
		switch {
		case t.Type != token.SequenceEntryType:
			dashes = 0
		case dashes > 0 && t.Position.Column > column:
			dashes, column = dashes+1, t.Position.Column
		default:
			dashes, column = 1, t.Position.Column
		}
		if brackets > maxNesting || dashes > maxNesting {
			return t.Position.Line, true
		}
	}
	return 0, false
}

// maxYAMLBytes is far more than a recipe or a sweep's spec takes, and little
// enough for the parser, which is slow on what is no YAML at all.
const maxYAMLBytes = 1 << 16

// Text is the value as it is written, on one line and without quotes.
func (e Entry) Text() string { return scalar(e.value) }

// Word is a value that is a word, or false.
func (e Entry) Word() (string, bool) {
	s, ok := e.value.(*ast.StringNode)
	if !ok {
		return "", false
	}
	return s.Value, true
}

// Number is a value that is a number, or false.
func (e Entry) Number() (float64, bool) { return number(e.value) }

// Values are the scalars of a value: itself, or those of a list, as they are
// written. It is false for anything else.
func (e Entry) Values() ([]string, bool) { return values(e.value) }

func values(n ast.Node) (all []string, ok bool) {
	switch n := n.(type) {
	case *ast.SequenceNode:
		for _, v := range n.Values {
			part, ok := values(v)
			if _, list := v.(*ast.SequenceNode); list || !ok {
				return nil, false
			}
			all = append(all, part...)
		}
		return all, len(all) > 0
	case *ast.StringNode:
		return []string{n.Value}, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return []string{n.GetToken().Value}, true
	}
	return nil, false
}

func scalar(n ast.Node) string {
	if s, ok := n.(*ast.StringNode); ok {
		return s.Value
	}
	return strings.Join(strings.Fields(n.String()), " ")
}

// number is the value of a plain scalar. Not all numbers are numbers to YAML:
// to some of its versions 1e-4 is a word, to others 010 is eight.
func number(n ast.Node) (float64, bool) {
	switch n := n.(type) {
	case *ast.IntegerNode, *ast.FloatNode:
	case *ast.StringNode:
		if n.Token.Type != token.StringType { // quoted
			return 0, false
		}
	default:
		return 0, false
	}
	v, err := strconv.ParseFloat(n.GetToken().Value, 64)
	return v, err == nil
}

// lineOf is the line at which a document of a YAML file has its first word, or at
// which an empty one begins.
func lineOf(d *ast.DocumentNode) int {
	if d.Body != nil {
		return d.Body.GetToken().Position.Line
	}
	if d.Start != nil {
		return d.Start.Position.Line
	}
	return 1
}
