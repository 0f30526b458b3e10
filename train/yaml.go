package train

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"

	"vanilla/internal/mapping"
	"vanilla/internal/words"
)

// YAML is the recipe as [ParseRecipe] reads it.
func (r Recipe) YAML() ([]byte, error) { return yaml.Marshal(r) }

// ReadRecipe reads a recipe from a file, as [ParseRecipe] does.
func ReadRecipe(path string) (Recipe, error) {
	data, err := mapping.Read(path)
	if err != nil {
		return Recipe{}, err
	}
	return ParseRecipe(data, path)
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
// [Recipe.Follow]. A field that no recipe has, a value of the wrong kind, and
// anything but a mapping fail with a *SettingError that names the file and the
// line. Whether the values can be is for [Recipe.Check] to say, once all are
// known.
func ParseRecipe(data []byte, name string) (Recipe, error) {
	fail := func(line int, problem string) (Recipe, error) {
		return Recipe{}, wrong("recipe", mapping.At(name, line), problem)
	}
	entries, err := mapping.Parse(data, "recipe", name, "epochs: 20")
	if err != nil {
		return Recipe{}, err
	}
	base := Default()
	for _, e := range entries {
		if e.Name == "base" {
			if base, err = NamedRecipe(e.Text()); err != nil {
				return fail(e.Line, fmt.Sprintf("found base %.60q: want %s", e.Text(), words.Or(Recipes())))
			}
		}
	}
	r := base
	values := fieldsOf(&r)
	given := map[string]bool{}
	for _, e := range entries {
		field, line := e.Name, e.Line
		if field == "base" {
			continue
		}
		value, ok := values[field]
		if !ok {
			return fail(line, words.Unknown("recipe field", field, append([]string{"base"}, fieldNames()...)))
		}
		if err := decode(e, value); err != nil {
			return fail(line, fmt.Sprintf("found %s %.60q: %v", field, e.Text(), err))
		}
		given[field] = true
	}
	r.Follow(base, func(field string) bool { return given[field] })
	return r, nil
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
func decode(e mapping.Entry, field reflect.Value) error {
	switch field.Kind() {
	case reflect.String:
		if word, ok := e.Word(); ok {
			field.SetString(word)
			return nil
		}
		return errors.New("want a word")
	case reflect.Int:
		if v, ok := e.Number(); ok {
			return setInt(field, v)
		}
		return errors.New("want a whole number")
	}
	if v, ok := e.Number(); ok {
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
