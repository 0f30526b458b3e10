package bench

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

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

	p := shellPeer(t, strings.Replace(answer, "WRITE", "cp "+learned+" $file", 1))
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
	asked, _ := os.ReadFile(filepath.Join(p.Dir, "asked"))
	if got := string(asked); got != "epoch\nepoch\nepoch\nweights\n" {
		t.Errorf("asked for %q", got)
	}

	for want, script := range map[string]string{
		// The initial weights are still in the file.
		"small, shell: after the 21 timed steps the loss of its networks is": strings.Replace(answer, "WRITE", "true", 1),
		"shell: its weights: network 0 of 1: unexpected EOF":                 strings.Replace(answer, "WRITE", "echo 1234 >$file", 1),
		"shell: its weights: more than the 1 networks' numbers":              strings.Replace(answer, "WRITE", "echo 1234 >>$file", 1),
		"no such framework": "echo no such framework >&2; exit 1",
		"shell: not ready":  "echo '{}'",
		"shell: EOF":        `echo '{"ready": true}'; read line`,
	} {
		c.Peers = []Peer{shellPeer(t, script)}
		if _, err := run(c, 3, cpu.New()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := LoadPeers(t.TempDir(), "python", "cpu"); err == nil {
		t.Error("an empty directory has peers")
	}
	if peers, err := LoadPeers(p.Dir, "python", "cuda"); err != nil || len(peers) > 0 {
		t.Errorf("found %v for a device that the peer has not, %v", peers, err)
	}
}
