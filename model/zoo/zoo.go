// Package zoo holds trained networks that are part of the program, and opens them and model files alike by name.
//
// README.md beside the files says how each was trained.
package zoo

import (
	_ "embed" // for the files

	"vanilla/model"
)

// The names of the networks.
const (
	Default = "default" // trained with the default recipe
	Lesson  = "lesson"  // trained as the lesson shows it
)

// Strings cannot be changed, so whoever opens a network has one of his own.
var (
	//go:embed default.safetensors
	defaultFile string
	//go:embed lesson.safetensors
	lessonFile string
)

// Names lists the networks.
func Names() []string { return []string{Default, Lesson} }

// Open returns the network of that name, or else reads the file of that name as [model.Read] does. A file that is called
// like a network is found as ./default.
func Open(name string) (*model.Model, error) {
	switch name {
	case Default:
		return model.Decode([]byte(defaultFile), name)
	case Lesson:
		return model.Decode([]byte(lessonFile), name)
	}
	return model.Read(name)
}
