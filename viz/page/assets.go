package page

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
)

//go:embed assets
var assets embed.FS

// The files that are named here; the modules name each other.
const (
	indexFile     = "index.html"
	styleFile     = "style.css"
	exportedEntry = "main.js"  // of the page as a file
	servedEntry   = "serve.js" // of the page that is served
)

// asset is the text of a file that is part of the program.
func asset(name string) string {
	text, err := assets.ReadFile("assets/" + name)
	if err != nil {
		panic("page: " + err.Error()) // the executable is damaged
	}
	return string(text)
}

// The only forms of import and export that the modules have.
var (
	importLine = regexp.MustCompile(`(?m)^import \{[^}]*\} from "\./([a-z0-9]+\.js)";\n`)
	exportWord = regexp.MustCompile(`(?m)^export (const|class|function|async function) `)
	otherForms = regexp.MustCompile(`(?m)^(import|export)\b.*`)
)

// bundle joins a module and all that it imports to one, each once and after those that it imports. Their names on the
// top level must differ, which is what JavaScript itself holds them to.
func bundle(entry string) (string, error) {
	var b strings.Builder
	seen := map[string]bool{}
	var add func(name string) error
	add = func(name string) error {
		if seen[name] {
			return nil
		}
		seen[name] = true
		text := asset(name)
		for _, found := range importLine.FindAllStringSubmatch(text, -1) {
			if err := add(found[1]); err != nil {
				return err
			}
		}
		text = exportWord.ReplaceAllString(importLine.ReplaceAllString(text, ""), "$1 ")
		if other := otherForms.FindString(text); other != "" {
			return fmt.Errorf("%s: expected import {…} from \"./….js\" or export const, class or function, found %q", name, other)
		}
		fmt.Fprintf(&b, "// %s\n%s", name, text)
		return nil
	}
	err := add(entry)
	return "\n" + b.String(), err
}

// hashOf is how a content security policy names a text that may run.
func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}
