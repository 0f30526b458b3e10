package dataset

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// held is a form of data that a directory holds: one of its files shows it.
type held struct{ form, file string }

func (h held) String() string { return h.form + " (" + printed(h.file) + ")" }

// pictureForm is the form whose files lie in folders.
const pictureForm = "pictures"

// idxForm is the form that Write writes.
const idxForm = "IDX"

// csvForm is that of .csv files.
const csvForm = "CSV"

// formsIn are the forms of data in a directory that holds files of these names: the one that is read first.
func formsIn(dir string, names []string) (forms []held) {
	add := func(form string, is func(string) bool) {
		if i := slices.IndexFunc(names, is); i >= 0 {
			forms = append(forms, held{form, names[i]})
		}
	}
	add(idxForm, isIDX)
	add("npz", isNPZ)
	add(csvForm, isCSV)
	for _, name := range names {
		if picture := pictureIn(filepath.Join(dir, name)); picture != "" {
			return append(forms, held{pictureForm, filepath.Join(name, picture)})
		}
		if part(name) < 0 {
			continue
		}
		classes, _ := fileNamesOf(filepath.Join(dir, name))
		for _, class := range classes {
			if picture := pictureIn(filepath.Join(dir, name, class)); picture != "" {
				return append(forms, held{pictureForm, filepath.Join(name, class, picture)})
			}
		}
	}
	if i := slices.IndexFunc(names, isPicture); i >= 0 { // it is the folder of a class
		forms = append(forms, held{pictureForm, names[i]})
	}
	return forms
}

// pictureIn is a picture in a folder, or "".
func pictureIn(dir string) string {
	if !isFolder(dir) {
		return ""
	}
	names, _ := fileNamesOf(dir)
	if i := slices.IndexFunc(names, isPicture); i >= 0 {
		return names[i]
	}
	return ""
}

// part is the set whose folder is called name, -1 if neither is.
func part(name string) int {
	return slices.IndexFunc(splitNames[:], func(names []string) bool { return slices.Contains(names, strings.ToLower(name)) })
}

func isIDX(name string) bool { return len(idxSets([]string{name})) > 0 }

func isPicture(name string) bool {
	return slices.Contains(pictureNames, strings.ToLower(filepath.Ext(name)))
}

// Takes says whether the data set in a directory would be another one with a file there, or with another one in its place:
// name is the file's path within the directory. What data are not read from a directory is no matter.
func Takes(dir, name string) bool {
	names, err := fileNamesOf(dir)
	if err != nil {
		return false
	}
	forms := formsIn(dir, names)
	if forms == nil {
		return false
	}
	folder, _, within := strings.Cut(filepath.ToSlash(filepath.Clean(name)), "/")
	switch {
	case !within && forms[0].form == pictureForm && isPicture(name):
		return true
	case !within:
		return isIDX(name) || isNPZ(name) || isCSV(name) || name == namesFile || name == beforeFile || strings.HasSuffix(name, "mapping.txt")
	case forms[0].form != pictureForm:
		return false
	}
	// Folders beside those of training and of test images are no classes.
	split := slices.ContainsFunc(names, func(n string) bool { return part(n) == training && isFolder(filepath.Join(dir, n)) })
	return !split || part(folder) >= 0
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
