package bench

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"vanilla/kernels/cpu"
)

// shellPeer is a peer in the shell's language, in the place of Python's.
func shellPeer(t *testing.T, script string) Peer {
	t.Helper()
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Skip("no /bin/sh to play a peer")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "peer.sh"), []byte(script), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "peers.json"), []byte(`[{"name":"shell","file":"peer.sh","case":"loop","population":1,"devices":["cpu"]}]`), 0o644); err != nil {
		t.Fatal(err)
	}
	peers, err := LoadPeers(dir, "/bin/sh", "cpu")
	if err != nil || len(peers) != 1 {
		t.Fatal(peers, err)
	}
	return peers[0]
}

func TestPeers(t *testing.T) {
	const answer = `echo "$@" >args
for last; do true; done; wc -c <"$last" >size
echo '{"ready": true, "device": "a shell", "versions": {"sh": "1"}}'
while read what file; do
	echo "$what" >>asked
	case $what in
	epoch) echo '{"seconds": 1, "loss": 1}';;
	weights) WRITE; echo '{"weights": "'$file'"}';;
	esac
done
`
	c := testCase(t, 1)
	c.Steps = c.Variants[0].StepsPerEpoch(c.Data.Train.Len())
	// The peer "learns" what an executor has learned.
	learned := filepath.Join(t.TempDir(), "learned")
	one, err := newTrained(context.Background(), c, cpu.New())
	if err != nil {
		t.Fatal(err)
	}
	defer one.close()
	if _, err := one.advance(context.Background(), 3*c.Steps); err != nil {
		t.Fatal(err)
	}
	params, err := one.weights(0)
	if err != nil {
		t.Fatal(err)
	}
	var bytes []byte
	for _, p := range params {
		if bytes, err = binary.Append(bytes, binary.LittleEndian, p); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(learned, bytes, 0o644); err != nil {
		t.Fatal(err)
	}

	p := shellPeer(t, strings.Replace("echo $XLA_PYTHON_CLIENT_PREALLOCATE >memory\n"+answer, "WRITE", "cp "+learned+" $file", 1))
	c.Peers = []Peer{p}
	results, err := run(c, 3, cpu.New())
	if err != nil {
		t.Fatal(err)
	}
	r := results[2]
	if r.Executor != "shell" || r.Networks != 1 || len(r.Samples) != 3 || r.Device != "a shell" || r.Versions["sh"] != "1" {
		t.Errorf("%+v", r)
	}
	if r.Verified != 1 || r.Loss != results[1].Loss {
		t.Errorf("its loss is %g, want %g", r.Loss, results[1].Loss)
	}
	args, _ := os.ReadFile(filepath.Join(p.Dir, "args"))
	got, weights, _ := strings.Cut(strings.TrimSpace(string(args)), " --initial ")
	if want := "--case loop --batch 10 --threads 1 --examples 67 --device cpu"; got != want {
		t.Errorf("called with %s, want %s", got, want)
	}
	if size, err := os.ReadFile(filepath.Join(p.Dir, "size")); err != nil || strings.TrimSpace(string(size)) != "1372" { // 64·5+5+5·3+3 float32
		t.Errorf("%s bytes of initial weights, %v", size, err)
	}
	if _, err := os.Stat(weights); !os.IsNotExist(err) {
		t.Errorf("%s is left behind: %v", weights, err)
	}
	if memory, _ := os.ReadFile(filepath.Join(p.Dir, "memory")); string(memory) != "false\n" {
		t.Errorf("JAX takes memory before it needs it: %q", memory)
	}
	asked, _ := os.ReadFile(filepath.Join(p.Dir, "asked"))
	if got := string(asked); got != "epoch\nepoch\nepoch\nweights\n" {
		t.Errorf("asked for %q", got)
	}

	// A peer that is missing or fails, at the start, within a round or in the end, is a
	// row that says why: the others have their times.
	scripts := map[string]string{
		// The initial weights are still in the file.
		"small, broken: after the 21 timed steps the loss of its networks is": strings.Replace(answer, "WRITE", "true", 1),
		"its weights: network 0 of 1: unexpected EOF":                         strings.Replace(answer, "WRITE", "echo 1234 >$file", 1),
		"its weights: more than the 1 networks' numbers":                      strings.Replace(answer, "WRITE", "echo 1234 >>$file", 1),
		"not ready: EOF: no such framework":                                   "echo no such framework >&2; exit 1",
		"not ready: <nil>":                                                    "echo '{}'",
		"EOF: out of memory":                                                  `echo '{"ready": true}'; read line; echo out of memory >&2`,
		"no such file or directory":                                           "",
	}
	wants := slices.Sorted(maps.Keys(scripts))
	c.Peers = nil
	for _, want := range wants {
		broken := shellPeer(t, scripts[want])
		broken.Name = "broken"
		if scripts[want] == "" {
			broken.Python = filepath.Join(broken.Dir, "python")
		}
		c.Peers = append(c.Peers, broken)
	}
	c.Peers = append(c.Peers, p)
	if results, err = run(c, 3, cpu.New()); err != nil || len(results) != 3+len(wants) {
		t.Fatalf("%d results, %v", len(results), err)
	}
	for i, r := range results {
		if k := i - 2; k >= 0 && k < len(wants) {
			if r.Executor != "broken" || !strings.Contains(r.Failed, wants[k]) || r.N != 0 || r.Samples != nil || r.Median != 0 || r.Revision == "" {
				t.Errorf("%+v, want %q", r, wants[k])
			}
		} else if r.Failed != "" || r.N != 3 || len(r.Samples) != 3 || r.Verified != 1 {
			t.Errorf("%+v", r)
		}
	}
	shown(t, results)
	// One that is not waited for any longer: the budget is used up.
	c.Peers = []Peer{shellPeer(t, "read line")}
	b := Bench{Rounds: 1, Progress: func(string, int) {}, Budget: &Budget{Elapsed: func() time.Duration { return 1 }}}
	if results, err := b.Run(context.Background(), c, nil); err != nil || !strings.Contains(results[1].Failed, "no answer in 0s") || results[0].N != 1 {
		t.Errorf("%+v, %v", results, err)
	}
	// Who interrupts everything gets no rows.
	interrupted, cancel := context.WithCancel(context.Background())
	b = Bench{Rounds: 1, Progress: func(string, int) { cancel() }}
	if results, err := b.Run(interrupted, c, nil); err == nil {
		t.Errorf("%+v in spite of an interrupt", results)
	}
	if _, err := LoadPeers(t.TempDir(), "python", "cpu"); err == nil {
		t.Error("an empty directory has peers")
	}
	if peers, err := LoadPeers(p.Dir, "python", "cuda"); err != nil || len(peers) > 0 {
		t.Errorf("found %v for a device that the peer has not, %v", peers, err)
	}
}

// shown: what has failed is a row of every page and no time of any.
func shown(t *testing.T, results []Result) {
	t.Helper()
	var text, lines strings.Builder
	if err := WriteTable(&text, results); err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		line, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(append(line, '\n'))
	}
	read, err := ReadResults(strings.NewReader(lines.String()), "peers")
	if err != nil || !reflect.DeepEqual(read, results) {
		t.Fatalf("%+v came back, %v", read, err)
	}
	if _, err := Picture(results, Paper, "svg"); err != nil {
		t.Error(err)
	}
	if changes := Compare(results, results, Spread{}); len(changes) != 3 {
		t.Errorf("%d changes of three", len(changes))
	}
	page := resultsTable(File{Results: results})
	for _, s := range []string{text.String(), page} {
		if !strings.Contains(s, "broken failed: ") || strings.Contains(s, "NaN") || strings.Contains(s, "Inf") {
			t.Error(s)
		}
	}
	if s := peersTable(results); !strings.Contains(s, "| broken | – |") || strings.Index(s, "broken") < strings.Index(s, "shell") {
		t.Error(s)
	}
}

// A round of several epochs is as many for a peer, whose weights are asked for again
// after each.
func TestPeerEpochs(t *testing.T) {
	c := testCase(t, 1)
	p := &process{peer: shellPeer(t, `echo '{"ready": true}'
while read what file; do
	echo "$what" >>asked
	case $what in
	epoch) echo '{"seconds": 1, "loss": 1}';;
	weights) echo '{"weights": "'$file'"}';;
	esac
done
`), c: c, patience: time.Minute}
	if err := p.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	perEpoch := c.Variants[0].StepsPerEpoch(c.Data.Train.Len())
	for _, epochs := range []int{0, 1, 3} {
		if _, err := p.advance(t.Context(), epochs*perEpoch); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := p.weights(0); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := p.close(); err != nil {
		t.Fatal(err)
	}
	asked, err := os.ReadFile(filepath.Join(p.peer.Dir, "asked"))
	if want := "weights\nepoch\nweights\nepoch\nepoch\nepoch\nweights\n"; err != nil || string(asked) != want {
		t.Errorf("asked for %q, %v, want %q", asked, err, want)
	}
}
