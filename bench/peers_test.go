package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vanilla/kernels"
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
	if err := os.WriteFile(filepath.Join(dir, "peers.json"), []byte(`[{"name":"shell","file":"peer.sh","case":"loop","population":1}]`), 0o644); err != nil {
		t.Fatal(err)
	}
	peers, err := LoadPeers(dir, "/bin/sh")
	if err != nil || len(peers) != 1 {
		t.Fatal(peers, err)
	}
	return peers[0]
}

func TestPeers(t *testing.T) {
	const answer = `echo "$@" >args
for last; do true; done; wc -c <"$last" >size
echo '{"ready": true, "versions": {}}'
while read line; do echo "$line" >>asked; echo '{"seconds": 1, "loss": LOSS}'; done
`
	c := testCase(t, 1)
	plain, err := Run(context.Background(), c, []kernels.Executor{cpu.New()}, 1, quiet)
	if err != nil {
		t.Fatal(err)
	}
	loss := fmt.Sprint(plain[0].Loss * 1.01)

	p := shellPeer(t, strings.Replace(answer, "LOSS", loss, 1))
	c.Peers = []Peer{p}
	results, err := Run(context.Background(), c, []kernels.Executor{cpu.New()}, 3, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if r := results[2]; r.Executor != "shell" || r.Networks != 1 || len(r.Samples) != 3 {
		t.Errorf("%+v", r)
	}
	args, _ := os.ReadFile(filepath.Join(p.Dir, "args"))
	got, weights, _ := strings.Cut(strings.TrimSpace(string(args)), " --initial ")
	if want := "--case loop --batch 10 --threads 1 --examples 67"; got != want {
		t.Errorf("called with %s, want %s", got, want)
	}
	if size, err := os.ReadFile(filepath.Join(p.Dir, "size")); err != nil || strings.TrimSpace(string(size)) != "1372" { // 64·5+5+5·3+3 float32
		t.Errorf("%s bytes of initial weights, %v", size, err)
	}
	if _, err := os.Stat(weights); !os.IsNotExist(err) {
		t.Errorf("%s is left behind: %v", weights, err)
	}
	asked, _ := os.ReadFile(filepath.Join(p.Dir, "asked"))
	if got := string(asked); got != "epoch\nepoch\nepoch\n" {
		t.Errorf("asked for %q", got)
	}

	for want, script := range map[string]string{
		"shell: the first round's loss is 99": strings.Replace(answer, "LOSS", "99", 1),
		"no such framework":                   "echo no such framework >&2; exit 1",
		"shell: not ready":                    "echo '{}'",
		"shell: EOF":                          `echo '{"ready": true}'; read line`,
	} {
		c.Peers = []Peer{shellPeer(t, script)}
		if _, err := Run(context.Background(), c, []kernels.Executor{cpu.New()}, 1, quiet); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := LoadPeers(t.TempDir(), "python"); err == nil {
		t.Error("an empty directory has peers")
	}
}
