package store

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// temporary is what a file is called while it is written.
func temporary(key string) string { return ".vanilla-" + key + ".tmp" }

// Unfinished says which file it is that a directory's owner was writing by this name.
func Unfinished(name string) (file string, ok bool) {
	file, ok = strings.CutPrefix(name, ".vanilla-")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(file, ".tmp")
}

// Replace writes a file beside path and renames it to path once it is complete and on the disk, so that readers see what
// path held before or all of what write wrote, whatever goes wrong. The mode is 0644 less the umask. It is the same on
// every system: os.Rename replaces files on Windows too. It refuses what [Writable] refuses.
func Replace(path string, write func(io.Writer) error) error {
	if err := replaceable(path); err != nil {
		return err
	}
	key := fmt.Sprintf("%016x", rand.Uint64())
	return replace(path, key, func(f *os.File) error { return write(f) })
}

// Writable fails where [Replace] would before it writes: if path is no name of a regular file, if its directory cannot
// be written to, and if it is a file that a run or a sweep keeps in its directory. It leaves nothing behind.
func Writable(path string) error {
	if err := replaceable(path); err != nil {
		return err
	}
	dir := dirOf(path)
	probe := dir + string(filepath.Separator) + temporary(fmt.Sprintf("%016x", rand.Uint64()))
	f, err := os.OpenFile(probe, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("%s: cannot write to the directory %s: %w", path, dir, Cause(err))
	}
	return errors.Join(f.Close(), os.Remove(probe))
}

// replaceable fails if path is no name of a file, or of one that must not be replaced.
func replaceable(path string) error {
	if path == "" {
		return errors.New(`expected the name of a file to write, found ""`)
	}
	// A rename would put the file in the place of a device, /dev/null for example.
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return fmt.Errorf("%s: expected the name of a file to write, found a directory", path)
	} else if err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s: expected the name of a file to write, found a device or pipe (%v)", path, info.Mode())
	}
	if owner := ownerOf(path); owner != "" {
		return fmt.Errorf("%s: this file belongs to %s: want another name", path, owner)
	}
	return nil
}

// replace is Replace with the temporary file's key.
func replace(path, key string, write func(*os.File) error) error {
	dir := dirOf(path)
	temp := dir + string(filepath.Separator) + temporary(key)
	// os.CreateTemp would make the mode 0600, and a chmod after it would pass the umask by.
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("%s: cannot write to the directory %s: %w", path, dir, Cause(err))
	}
	err = write(f)
	if err == nil {
		// Without this, the rename can reach the disk before the values do.
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("%s: not written: %w", path, Cause(err)), os.Remove(temp))
	}
	if err := syncDir(dir); err != nil {
		return fmt.Errorf("%s: cannot bring the directory %s to the disk: %w", path, dir, Cause(err))
	}
	return nil
}

// dirOf is the directory of a file as the path says it. filepath.Dir would take a name and the .. after it away, which may
// lead elsewhere where the name is a link, and hide that it is not there.
func dirOf(path string) string {
	dir, _ := filepath.Split(path)
	if dir == "" {
		return "."
	}
	if trimmed := strings.TrimRight(dir, string(filepath.Separator)); trimmed != filepath.VolumeName(dir) {
		return trimmed
	}
	return dir
}

// syncDir brings a directory's names to the disk: without it, a file that was renamed may be lost with the power, and
// what was written after it not.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" { // which has no such call, and its file system keeps the order
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
