package memory

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"
)

func TestAvailable(t *testing.T) {
	const meminfo = "MemTotal: 2000000 kB\nMemFree: 1 kB\nMemAvailable: 1000000 kB\n"
	for name, test := range map[string]struct {
		files map[string]string
		want  uint64
	}{
		"no group": {map[string]string{"proc/self/cgroup": "0::/\n"}, 1000000 << 10},
		"version 2": {map[string]string{
			"proc/self/cgroup":                     "0::/pod/job\n",
			"sys/fs/cgroup/pod/job/memory.max":     "max\n",
			"sys/fs/cgroup/pod/job/memory.current": "5000\n",
			"sys/fs/cgroup/pod/memory.max":         "100000\n",
			"sys/fs/cgroup/pod/memory.current":     "60000\n",
			"sys/fs/cgroup/pod/memory.stat":        "anon 20000\ninactive_file 30000\n",
		}, 70000},
		"version 1": {map[string]string{
			"proc/self/cgroup": "5:cpu,cpuacct:/a\n4:hugetlb,memory:/a\n0::/\n",
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes": "50000\n",
			"sys/fs/cgroup/memory/a/memory.usage_in_bytes": "20000\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":   "9223372036854771712\n",
			"sys/fs/cgroup/memory/memory.usage_in_bytes":   "1\n",
		}, 30000},
		"a container that sees the host's path": {map[string]string{
			"proc/self/cgroup":             "0::/kubepods/pod17\n",
			"sys/fs/cgroup/memory.max":     "80000\n",
			"sys/fs/cgroup/memory.current": "10000\n",
		}, 70000},
		"more than the limit": {map[string]string{
			"proc/self/cgroup":             "0::/\n",
			"sys/fs/cgroup/memory.max":     "80000\n",
			"sys/fs/cgroup/memory.current": "90000\n",
		}, 0},
	} {
		root := fstest.MapFS{"proc/meminfo": {Data: []byte(meminfo)}}
		for file, text := range test.files {
			root[file] = &fstest.MapFile{Data: []byte(text)}
		}
		if got, ok := available(root); got != test.want || !ok {
			t.Errorf("%s: %d bytes, %t; want %d", name, got, ok, test.want)
		}
	}
	if _, ok := available(fstest.MapFS{}); ok {
		t.Error("a system that says nothing has memory")
	}
}

func TestCheck(t *testing.T) {
	if err := Check("little", 1); err != nil {
		t.Error(err)
	}
	err := Check("a cathedral", 1<<60)
	var short *Error
	if !errors.As(err, &short) || !strings.HasPrefix(err.Error(), "a cathedral needs about 1152921504.6 GB of memory, ") || !strings.HasSuffix(err.Error(), "B are available") {
		t.Errorf("error %v", err)
	}
}
