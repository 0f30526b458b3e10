package bench

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
	// Devices are those that it can run on.
	Devices []string `json:"devices"`

	// Python is the interpreter, Dir the folder of the script, Device "cpu" or
	// "cuda".
	Python, Dir, Device string `json:"-"`
}

// PeerDevices are where peers can run.
func PeerDevices() []string { return []string{"cpu", "cuda"} }

// LoadPeers reads those of dir/peers.json that run on a device. The scripts
// will run with the given Python.
func LoadPeers(dir, python, device string) ([]Peer, error) {
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
	peers = slices.DeleteFunc(peers, func(p Peer) bool { return !slices.Contains(p.Devices, device) })
	for i := range peers {
		peers[i].Python, peers[i].Dir, peers[i].Device = python, dir, device
	}
	return peers, nil
}

// settle is a pause before each round beside peers: OpenMP's threads go on
// spinning for 200 ms after their work, at the cost of whoever runs next.
const settle = 300 * time.Millisecond

// process is a running peer. It is asked "epoch" or "weights FILE".
type process struct {
	conversation
	peer   Peer
	c      Case
	file   string        // its weights are exchanged in
	params [][][]float32 // of its networks in the end, once they were asked for
	hello  struct {
		Ready    bool              `json:"ready"`
		Device   string            `json:"device"`
		Versions map[string]string `json:"versions"`
	}
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
	args = append(args, "--device", p.Device, "--initial", weights)
	run := &process{peer: p, c: c, file: weights}
	cmd := exec.CommandContext(ctx, p.Python, args...)
	cmd.Dir = p.Dir
	if err := run.begin(cmd); err != nil {
		os.Remove(weights)
		return nil, fmt.Errorf("%s: %w", p.Name, err)
	}
	timer := time.AfterFunc(startTimeout, func() { cmd.Process.Kill() })
	defer timer.Stop()
	if err := run.read(&run.hello); err != nil || !run.hello.Ready {
		run.close()
		return nil, fmt.Errorf("%s: not ready: %v: %s", p.Name, err, run.errs)
	}
	return run, nil
}

func (p *process) name() string                        { return p.peer.Name }
func (p *process) device() (string, map[string]string) { return p.hello.Device, p.hello.Versions }
func (p *process) onProcessor() bool                   { return p.peer.Device == "cpu" }
func (p *process) networks() int                       { return max(1, p.peer.Population) }
func (p *process) sameOrder() bool                     { return false }
func (p *process) wrong() float64                      { return 0 }

func (p *process) memory() (float64, string) {
	peak, ok := status(strconv.Itoa(p.cmd.Process.Pid), "VmHWM")
	if !ok {
		return 0, ""
	}
	return peak / 1e6, processPeak
}

func (p *process) close() error {
	defer os.Remove(p.file)
	return p.end()
}

// advance trains an epoch, whatever the number of steps.
func (p *process) advance(context.Context, int) (time.Duration, error) {
	var report struct{ Seconds, Loss float64 }
	start := time.Now()
	err := p.do("epoch", &report)
	return time.Since(start), err
}

// weights asks for those of all networks, once.
func (p *process) weights(i int) ([][]float32, error) {
	if p.params == nil {
		var written struct{ Weights string }
		if err := p.do("weights "+p.file, &written); err != nil {
			return nil, err
		}
		f, err := os.Open(p.file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		if p.params, err = readWeights(f, p.c.Variants[:p.networks()]); err != nil {
			return nil, fmt.Errorf("%s: its weights: %w", p.peer.Name, err)
		}
	}
	return p.params[i], nil
}

// readWeights reads what writeWeights writes, to the end.
func readWeights(from io.Reader, variants []kernels.Variant) ([][][]float32, error) {
	r := bufio.NewReader(from)
	all := make([][][]float32, len(variants))
	for i, v := range variants {
		all[i] = v.InitialState().Params // for its shapes
		for _, p := range all[i] {
			if err := binary.Read(r, binary.LittleEndian, p); err != nil {
				return nil, fmt.Errorf("network %d of %d: %w", i, len(variants), err)
			}
		}
	}
	if _, err := r.ReadByte(); err != io.EOF {
		return nil, fmt.Errorf("more than the %d networks' numbers", len(variants))
	}
	return all, nil
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
