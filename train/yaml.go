package train

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"reflect"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// YAML is the recipe as [ParseRecipe] reads it.
func (r Recipe) YAML() ([]byte, error) { return yaml.Marshal(r) }

// ReadRecipe reads a recipe from a file, as [ParseRecipe] does.
func ReadRecipe(path string) (Recipe, error) {
	data, err := ReadYAML(path)
	if err != nil {
		return Recipe{}, err
	}
	return ParseRecipe(data, path)
}

// ReadYAML reads no more of a file than [ParseMapping] needs in order to refuse it.
func ReadYAML(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxYAMLBytes+1))
}

// ParseRecipe reads a recipe from YAML or JSON, a mapping with the keys that
// recipes have in JSON:
//
//	base: lesson        # what is not named here is as in default (the default) or lesson
//	optimizer: adam
//	epochs: 20
//	weight_decay: 1e-4
//
// What depends on the optimizer and the schedule follows them, see
// [Recipe.Follow]. A word that no recipe has, a value of the wrong kind, and
// anything but a mapping fail with a *SettingError that names the file and the
// line. Whether the values can be is for [Recipe.Check] to say, once all are
// known.
func ParseRecipe(data []byte, name string) (Recipe, error) {
	fail := func(line int, problem string) (Recipe, error) {
		return Recipe{}, &SettingError{"--recipe", fmt.Sprintf("%s:%d", name, line), problem}
	}
	words, err := ParseMapping(data, "--recipe", name, "epochs: 20")
	if err != nil {
		return Recipe{}, err
	}
	base := Default()
	for _, w := range words {
		if w.Name == "base" {
			if base, err = NamedRecipe(scalar(w.Value)); err != nil {
				return fail(w.Line, fmt.Sprintf("found base %.60q: want %s", scalar(w.Value), or(Recipes())))
			}
		}
	}
	r := base
	fields := fieldsOf(&r)
	given := map[string]bool{}
	for _, w := range words {
		word, line := w.Name, w.Line
		if word == "base" {
			continue
		}
		field, ok := fields[word]
		if !ok {
			return fail(line, UnknownWord("recipe key", word, append([]string{"base"}, fieldNames()...)))
		}
		if err := decode(w.Value, field); err != nil {
			return fail(line, fmt.Sprintf("found %s %.60q: %v", word, scalar(w.Value), err))
		}
		given[word] = true
	}
	r.Follow(base, func(field string) bool { return given[field] })
	return r, nil
}

// Entry is a key of a mapping with its value.
type Entry struct {
	Name  string // without quotes
	Line  int
	Value ast.Node
}

// ParseMapping reads one mapping in YAML, which JSON is a part of, and returns
// its entries in their order; none if there is nothing but comments. It fails
// with a *SettingError of the flag that names the file and the line, with example
// as a line that would be right.
func ParseMapping(data []byte, flag, name, example string) ([]Entry, error) {
	fail := func(line int, problem string) ([]Entry, error) {
		return nil, &SettingError{flag, fmt.Sprintf("%s:%d", name, line), problem}
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
			return fail(at.GetToken().Position.Line, at.GetMessage())
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
// brackets, or by the dashes of lists one behind or below the other.
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

// scalar is a value as it is written, on one line.
func scalar(n ast.Node) string {
	if s, ok := n.(*ast.StringNode); ok {
		return s.Value
	}
	return strings.Join(strings.Fields(n.String()), " ")
}

// fieldsOf are the recipe's fields by their names in JSON.
func fieldsOf(r *Recipe) map[string]reflect.Value {
	fields := map[string]reflect.Value{}
	value := reflect.ValueOf(r).Elem()
	for i, name := range fieldNames() {
		fields[name] = value.Field(i)
	}
	return fields
}

// fieldNames are the names of recipes' fields in JSON, in their order.
func fieldNames() []string {
	t := reflect.TypeFor[Recipe]()
	names := make([]string, t.NumField())
	for i := range names {
		names[i], _, _ = strings.Cut(t.Field(i).Tag.Get("json"), ",")
	}
	return names
}

// decode sets a field to a number or word of its own kind.
func decode(n ast.Node, field reflect.Value) error {
	switch field.Kind() {
	case reflect.String:
		if word, ok := n.(*ast.StringNode); ok {
			field.SetString(word.Value)
			return nil
		}
		return errors.New("want a word")
	case reflect.Int:
		if v, ok := number(n); ok {
			return setInt(field, v)
		}
		return errors.New("want a whole number")
	}
	if v, ok := number(n); ok {
		field.SetFloat(v)
		return nil
	}
	return errors.New("want a number")
}

// setInt sets a field to a whole number, if it is one and the field can hold it,
// which has 32 bits on some systems.
func setInt(field reflect.Value, v float64) error {
	if v != math.Trunc(v) {
		return errors.New("want a whole number")
	}
	if largest := math.Min(maxExact, math.MaxInt); math.Abs(v) > largest {
		return fmt.Errorf("want a whole number of at most %.0f", largest)
	}
	field.SetInt(int64(v))
	return nil
}

// maxExact is how far float64 tells all whole numbers apart.
const maxExact = 1 << 53

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

// distance counts the letters that must be changed, inserted or removed to make
// a from b (Levenshtein's).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			changed := diagonal
			if a[i] != b[j] {
				changed++
			}
			diagonal = row[j+1]
			row[j+1] = min(changed, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
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
