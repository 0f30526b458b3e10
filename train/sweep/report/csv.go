package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"
)

// WriteCSV writes all records, a line for each variant and rung, with the columns of [Row]. Lists are joined by spaces;
// what there is not is empty.
func (r *Report) WriteCSV(w io.Writer) error {
	file := csv.NewWriter(w)
	if err := file.Write(columns); err != nil {
		return err
	}
	line := make([]string, len(columns))
	for i := range r.Variants {
		v := &r.Variants[i]
		for k := range v.Records {
			values := reflect.ValueOf(r.row(v, &v.Records[k]))
			for n := range line {
				line[n] = cell(values.Field(n))
			}
			if err := file.Write(line); err != nil {
				return err
			}
		}
	}
	file.Flush()
	return file.Error()
}

// cell is a value as text.
func cell(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return ""
		}
		return cell(v.Elem())
	case reflect.Slice:
		var parts []string
		for i := range v.Len() {
			parts = append(parts, cell(v.Index(i)))
		}
		return strings.Join(parts, " ")
	}
	if t, ok := v.Interface().(time.Time); ok {
		return t.Format(time.RFC3339)
	}
	return fmt.Sprint(v.Interface())
}
