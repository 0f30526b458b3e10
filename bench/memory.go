package bench

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// memory is the peak of what some work adds to the process. On Linux it is
// resident memory, whose peak the system keeps and forgets when it is asked to
// (proc_pid_clear_refs(5), value 5); elsewhere it is the live heap's growth,
// which is not a peak.
type memory struct {
	mb float64
	of string
}

// What the numbers are of.
const (
	residentPeak = "peak growth of resident memory while preparing and in a first step"
	heapGrowth   = "growth of the live heap while preparing and in a first step"
	processPeak  = "peak resident memory of the whole process"
)

// during does the work and keeps what it added at most.
func (m *memory) during(work func() error) error {
	debug.FreeOSMemory() // or the work would be given pages that are resident already
	heap := liveHeap()
	resident := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) == nil
	before, ok := status("self", "VmRSS")
	err := work()
	if after, found := status("self", "VmHWM"); resident && ok && found {
		m.mb, m.of = (after-before)/1e6, residentPeak
	} else {
		m.mb, m.of = (liveHeap()-heap)/1e6, heapGrowth
	}
	return err
}

func (m *memory) peakMB() (float64, string) { return max(0, m.mb), m.of }

// status is a field in bytes of a process's status, where the system has such.
func status(process, field string) (bytes float64, ok bool) {
	text, err := os.ReadFile("/proc/" + process + "/status")
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		if rest, found := strings.CutPrefix(line, field+":"); found {
			kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kib * 1024, err == nil
		}
	}
	return 0, false
}
