package train

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"

	"vanilla/graph"
	"vanilla/internal/words"
	"vanilla/kernels"
	"vanilla/model"
)

// Fields lists the names of recipes' fields, which [Recipe.Get] and [Recipe.Set]
// take: those in JSON, in their order.
func Fields() []string { return fieldNames() }

// fieldIndex is where recipes' fields are, by their names in JSON. Plans look up
// several for each of 100,000 points.
var fieldIndex = func() map[string]int {
	index := map[string]int{}
	for i, name := range fieldNames() {
		index[name] = i
	}
	return index
}()

// Set sets the field of that name in JSON to a value as it is written. It fails
// if no recipe has the field, and if the value is not of the field's kind.
func (r *Recipe) Set(name, text string) error {
	index, ok := fieldIndex[name]
	if !ok {
		return errors.New(words.Unknown("recipe field", name, fieldNames()))
	}
	field := reflect.ValueOf(r).Elem().Field(index)
	switch field.Kind() {
	case reflect.String:
		field.SetString(text)
	case reflect.Int:
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("found %s %.60q: want a whole number", name, text)
		}
		if err := setInt(field, v); err != nil {
			return fmt.Errorf("found %s %.60q: %w", name, text, err)
		}
	default:
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("found %s %.60q: want a number", name, text)
		}
		field.SetFloat(v)
	}
	return nil
}

// Has is whether the field of that name in JSON sets anything in this recipe: a
// momentum does nothing for adam, and neither an activation nor dropout is in a
// network without hidden layers. What sets nothing is absent, which is not the same as zero.
func (r *Recipe) Has(field string) bool {
	switch field {
	case "momentum":
		return kernels.Optimizer{Name: r.Optimizer}.Rule().HasVelocity()
	case "step_epochs", "gamma":
		return kernels.Schedule{Name: r.Schedule}.Kind().Stepped
	case "elastic_sigma":
		return r.Elastic > 0
	case "activation", "block", "norm", "dropout":
		widths, err := model.Widths(r.Arch)
		return err != nil || len(widths) > 2
	case "label_smoothing":
		return r.Loss == string(graph.CrossEntropy)
	}
	_, ok := fieldIndex[field]
	return ok
}

// Names are those that the field of that name in JSON can have, nil if its values
// are no names of a list.
func Names(field string) []string {
	switch field {
	case "activation":
		return graph.ActivationNames()
	case "loss":
		return graph.LossNames()
	case "optimizer":
		return kernels.OptimizerNames()
	case "schedule":
		return kernels.ScheduleNames()
	case "init":
		return kernels.InitNames()
	case "block":
		return Blocks()
	case "norm":
		return Norms()
	}
	return nil
}

// Get is the value of the field of that name in JSON, or nil if there is none.
func (r *Recipe) Get(name string) any {
	if index, ok := fieldIndex[name]; ok {
		return reflect.ValueOf(r).Elem().Field(index).Interface()
	}
	return nil
}
