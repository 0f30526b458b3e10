package memory

import (
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
)

// Available is how many bytes the process may still take: what the machine has without swapping, or less where a control
// group limits it. ok is false if the system does not say.
func Available() (bytes uint64, ok bool) { return available(os.DirFS("/")) }

func available(root fs.FS) (bytes uint64, ok bool) {
	kib, ok := field(root, "proc/meminfo", "MemAvailable:")
	if !ok {
		return 0, false
	}
	bytes = kib << 10
	for line := range lines(root, "proc/self/cgroup") {
		// hierarchy:controllers:path (cgroups(7)); version 2 has no controllers
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(parts) != 3 {
			continue
		}
		version := group{"sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"}
		switch {
		case contains(parts[1], "memory"):
			version = group{"sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"}
		case parts[1] != "":
			continue
		}
		bytes = min(bytes, version.left(root, parts[2], bytes))
	}
	return bytes, true
}

// group is where one version of control groups says what.
type group struct{ mount, limit, usage, cache string }

// left is the least that a group of the path, or one above it, leaves, at most bytes. In a container the path may be the
// host's: the groups that can be seen are then those above it.
func (g group) left(root fs.FS, name string, bytes uint64) uint64 {
	for name = path.Clean("/" + name); ; name = path.Dir(name) {
		dir := path.Join(g.mount, name)
		limit, limited := number(root, path.Join(dir, g.limit))
		usage, used := number(root, path.Join(dir, g.usage))
		if limited && used {
			cache, _ := field(root, path.Join(dir, "memory.stat"), g.cache) // which the system drops when it must
			bytes = min(bytes, limit-min(limit, usage-min(usage, cache)))
		}
		if name == "/" {
			return bytes
		}
	}
}

func contains(list, name string) bool {
	for item := range strings.SplitSeq(list, ",") {
		if item == name {
			return true
		}
	}
	return false
}

func lines(root fs.FS, name string) func(yield func(string) bool) {
	text, _ := fs.ReadFile(root, name) // a file that cannot be read has no lines
	return strings.Lines(string(text))
}

// field is the number after a word at the beginning of a line.
func field(root fs.FS, name, word string) (n uint64, ok bool) {
	for line := range lines(root, name) {
		if parts := strings.Fields(line); len(parts) > 1 && parts[0] == word {
			n, err := strconv.ParseUint(parts[1], 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}

// number is a file that holds one; "max" is none.
func number(root fs.FS, name string) (n uint64, ok bool) {
	for line := range lines(root, name) {
		n, err := strconv.ParseUint(strings.TrimSpace(line), 10, 64)
		return n, err == nil
	}
	return 0, false
}
