package bench

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"vanilla/kernels"
)

// Build is a binary of this command, of this version or another, that trains when
// it is asked to: see [Serve].
type Build struct {
	Name   string // in words
	Binary string
	// Args are those with which it serves a case: Args, then the case's name.
	Args []string
	// Executor is which of its executors that is.
	Executor string
}

// hello is what a build says when it is ready.
type hello struct {
	Ready    bool    `json:"ready"`
	Device   string  `json:"device"`
	Version  string  `json:"version"`
	Revision string  `json:"revision"`
	MemoryMB float64 `json:"memory_mb"`
	MemoryOf string  `json:"memory_of"`
	// Clock is ProcessorTime if answers have that: for one core's work on processors
	// that keep an account of it. Builds of before have none.
	Clock string `json:"clock,omitempty"`
}

// advanced is the answer to "advance STEPS".
type advanced struct {
	Seconds   float64 `json:"seconds"`
	Processor float64 `json:"processor_seconds,omitempty"`
	Wrong     float64 `json:"wrong"`
}

// parameters is the answer to "weights NETWORK": float32 in little-endian order.
type parameters struct {
	Params [][]byte `json:"params"`
}

// built is a running build.
type built struct {
	conversation
	Build
	c        Case
	hello    hello
	clock    string // which of the answers' times counts, ProcessorTime or ""
	mistaken float64
}

// start runs the binary and waits until it is ready. It fails if the binary is
// not one that serves, or does not know the case.
func (b Build) start(ctx context.Context, c Case) (*built, error) {
	r := &built{Build: b, c: c}
	cmd := exec.CommandContext(ctx, b.Binary, append(b.Args[:len(b.Args):len(b.Args)], c.Name)...)
	if err := r.begin(cmd, c.Cores); err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name, err)
	}
	if err := r.read(&r.hello); err != nil || !r.hello.Ready {
		r.end()
		words := r.errs.String()
		if words == "" {
			words = "it does not answer as vanilla bench --serve does"
		}
		return nil, fmt.Errorf("%s: want a build of vanilla that knows the case %q: %s", b.Name, c.Name, words)
	}
	return r, nil
}

func (b *built) name() string                        { return b.Build.Name }
func (b *built) device() (string, map[string]string) { return b.hello.Device, nil }
func (b *built) onProcessor() bool                   { return !OnGPUs(b.Executor) }
func (b *built) networks() int                       { return len(b.c.Variants) }
func (b *built) alike() bool                         { return !strings.HasPrefix(b.Executor, "cuda-") }
func (b *built) memory() (float64, string)           { return b.hello.MemoryMB, b.hello.MemoryOf }
func (b *built) wrong() float64                      { return b.mistaken }

func (b *built) close() error {
	if err := b.end(); err != nil {
		return fmt.Errorf("%s: %w: %s", b.Name, err, b.errs)
	}
	return nil
}

func (b *built) advance(_ context.Context, steps int) (time.Duration, error) {
	var a advanced
	err := b.do(fmt.Sprintf("advance %d", steps), &a)
	b.mistaken = a.Wrong
	seconds := a.Seconds
	if b.clock == ProcessorTime {
		seconds = a.Processor
	}
	return time.Duration(seconds * float64(time.Second)), err
}

func (b *built) weights(i int) ([][]float32, error) {
	var p parameters
	if err := b.do(fmt.Sprintf("weights %d", i), &p); err != nil {
		return nil, err
	}
	params := b.c.Variants[i].InitialState().Params // for its shapes
	if len(p.Params) != len(params) {
		return nil, fmt.Errorf("%d parameters, want %d", len(p.Params), len(params))
	}
	for k, bytes := range p.Params {
		if len(bytes) != 4*len(params[k]) {
			return nil, fmt.Errorf("parameter %d has %d bytes, want %d", k, len(bytes), 4*len(params[k]))
		}
		for j := range params[k] {
			params[k][j] = math.Float32frombits(binary.LittleEndian.Uint32(bytes[4*j:]))
		}
	}
	return params, nil
}

// accountsFor is whether the system's account of a process shows work of this length: some
// count ticks of ten milliseconds.
func accountsFor(work time.Duration) bool {
	before, known := processorTime()
	for start := time.Now(); time.Since(start) < work; {
	}
	after, _ := processorTime()
	return known && after > before
}

// Serve prepares a case and then does what it is asked to, a line of in each,
// until there are no more: "advance STEPS" trains and answers with the time it
// took, "weights NETWORK" answers with parameters. It is the other end of a
// [Build].
func Serve(ctx context.Context, c Case, e kernels.Executor, version string, in io.Reader, out io.Writer) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(c.Cores))
	t, err := newTrained(ctx, c, e)
	if err != nil {
		return err
	}
	defer t.close()
	answer := json.NewEncoder(out)
	h := hello{Ready: true, Device: e.Device(), Version: version, Revision: Revision()}
	h.MemoryMB, h.MemoryOf = t.memory()
	if c.Cores == 1 && t.onProcessor() && accountsFor(2*time.Millisecond) {
		h.Clock = ProcessorTime
	}
	if err := answer.Encode(h); err != nil {
		return err
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		what, number, _ := strings.Cut(lines.Text(), " ")
		n, err := strconv.Atoi(number)
		switch {
		case err != nil || n < 0:
			return fmt.Errorf("%q: want advance STEPS or weights NETWORK", lines.Text())
		case what == "advance":
			runtime.GC()
			before, _ := processorTime()
			took, err := t.advance(ctx, n)
			if err != nil {
				return err
			}
			after, _ := processorTime()
			if err := answer.Encode(advanced{took.Seconds(), (after - before).Seconds(), t.wrong()}); err != nil {
				return err
			}
		case what == "weights" && n < t.networks():
			weights, err := t.weights(n)
			if err != nil {
				return err
			}
			var p parameters
			for _, w := range weights {
				bytes, _ := binary.Append(nil, binary.LittleEndian, w)
				p.Params = append(p.Params, bytes)
			}
			if err := answer.Encode(p); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%q: want advance STEPS or weights NETWORK", lines.Text())
		}
	}
	return lines.Err()
}
