package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"vanilla/kernels"
)

// Peer is another way to do the same work: a script in bench/peers that trains
// an epoch whenever it is asked to.
type Peer struct {
	Name string `json:"name"`
	File string `json:"file"`
	Case string `json:"case"`
	// Population is the number of networks it trains at once.
	Population int `json:"population"`
	// Batches is "own" if every network of a population has its own sample
	// order, "shared" if all see the same batches.
	Batches string `json:"batches,omitempty"`

	// Python is the interpreter, Dir the folder of the script.
	Python, Dir string `json:"-"`
}

// peerTolerance is the largest relative difference allowed between a peer's
// mean loss over the first epoch and ours. Peers start from our weights but draw
// their own sample orders, which moves the mean by up to half a per cent.
const peerTolerance = 0.02

// LoadPeers reads dir/peers.json. The scripts will run with the given Python.
func LoadPeers(dir, python string) ([]Peer, error) {
	text, err := os.ReadFile(filepath.Join(dir, "peers.json"))
	if err != nil {
		return nil, err
	}
	var peers []Peer
	if err := json.Unmarshal(text, &peers); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, "peers.json"), err)
	}
	if strings.ContainsRune(python, filepath.Separator) { // the scripts run in dir
		if python, err = filepath.Abs(python); err != nil {
			return nil, err
		}
	}
	for i := range peers {
		peers[i].Python, peers[i].Dir = python, dir
	}
	return peers, nil
}

// settle is a pause before each round beside peers: OpenMP's threads go on
// spinning for 200 ms after their work, at the cost of whoever runs next.
const settle = 300 * time.Millisecond

// process is a running peer. It is asked with a line "epoch" and answers with a
// line of JSON.
type process struct {
	peer   Peer
	cmd    *exec.Cmd
	ask    io.WriteCloser
	answer *bufio.Reader
	errs   *tail
	start  string // the file of initial weights
}

// startTimeout allows for imports and compilation.
const startTimeout = 5 * time.Minute

// start runs the peer's script and waits until it is ready.
func (p Peer) start(ctx context.Context, c Case) (*process, error) {
	args := []string{p.File, "--case", p.Case, "--batch", strconv.Itoa(c.Variants[0].Batch), "--threads", strconv.Itoa(c.Cores)}
	if p.Population > 1 {
		args = append(args, "--population", strconv.Itoa(len(c.Variants)))
	}
	if n := c.Data.Train.Len(); n != 60000 {
		args = append(args, "--examples", strconv.Itoa(n))
	}
	weights, err := writeWeights(c.Variants)
	if err != nil {
		return nil, err
	}
	args = append(args, "--initial", weights)
	run := &process{peer: p, cmd: exec.CommandContext(ctx, p.Python, args...), errs: &tail{}, start: weights}
	run.cmd.Dir = p.Dir
	run.cmd.Stderr = run.errs
	if run.ask, err = run.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := run.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	run.answer = bufio.NewReader(out)
	if err := run.cmd.Start(); err != nil {
		os.Remove(weights)
		return nil, fmt.Errorf("%s: %w", p.Name, err)
	}
	timer := time.AfterFunc(startTimeout, func() { run.cmd.Process.Kill() })
	defer timer.Stop()
	var hello struct {
		Ready bool `json:"ready"`
	}
	if err := run.read(&hello); err != nil || !hello.Ready {
		run.close()
		return nil, fmt.Errorf("%s: not ready: %v: %s", p.Name, err, run.errs)
	}
	return run, nil
}

func (p *process) read(v any) error {
	line, err := p.answer.ReadBytes('\n')
	if err != nil {
		return err
	}
	return json.Unmarshal(line, v)
}

func (p *process) name() string       { return p.peer.Name }
func (p *process) networks() int      { return max(1, p.peer.Population) }
func (p *process) tolerance() float64 { return peerTolerance }

// memoryMB is the process's peak resident memory, where the system tells.
func (p *process) memoryMB() float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kib * 1024 / 1e6
		}
	}
	return 0
}

func (p *process) close() error {
	defer os.Remove(p.start)
	p.ask.Close()
	return p.cmd.Wait()
}

// writeWeights writes the variants' initial parameters to a new file, as
// float32 in little-endian order, network by network.
func writeWeights(variants []kernels.Variant) (file string, err error) {
	f, err := os.CreateTemp("", "vanilla-weights")
	if err != nil {
		return "", err
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	for _, v := range variants {
		for _, p := range v.InitialState().Params {
			if err := binary.Write(w, binary.LittleEndian, p); err != nil {
				return "", err
			}
		}
	}
	return f.Name(), w.Flush()
}

func (p *process) round(context.Context) (float64, error) {
	if _, err := io.WriteString(p.ask, "epoch\n"); err != nil {
		return 0, fmt.Errorf("%w: %s", err, p.errs)
	}
	var report struct {
		Seconds, Loss float64
	}
	if err := p.read(&report); err != nil {
		return 0, fmt.Errorf("%w: %s", err, p.errs)
	}
	return report.Loss, nil
}

// tail keeps the end of what is written to it.
type tail struct{ b bytes.Buffer }

func (t *tail) Write(p []byte) (int, error) {
	t.b.Write(p)
	if extra := t.b.Len() - 2000; extra > 0 {
		t.b.Next(extra)
	}
	return len(p), nil
}

func (t *tail) String() string { return strings.TrimSpace(t.b.String()) }
