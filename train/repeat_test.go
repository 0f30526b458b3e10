package train

import (
	"strings"
	"testing"

	"vanilla/model"
)

// A network whose graph is one's own has a file without a recipe.
func TestSpecOfNoRecipe(t *testing.T) {
	if _, err := SpecOf(&model.Model{Recipe: []byte("{}")}); err == nil || !strings.Contains(err.Error(), "does not say how it was trained") {
		t.Errorf("found %v", err)
	}
}
