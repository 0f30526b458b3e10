package page

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"vanilla/dataset"
	"vanilla/graph"
	"vanilla/internal/stripes"
	"vanilla/kernels"
	"vanilla/kernels/cpu"
	"vanilla/model"
	"vanilla/model/zoo"
	"vanilla/train"
)

// striped is data that is learned at once.
func striped() *dataset.Dataset { return stripes.New("stripes", 300, 60, 60, 150) }

// trains is a trainer of stripes.
func trains() Trainer {
	return Trainer{Executor: cpu.New(), Data: striped(), Version: "test"}
}

// recipe is one for stripes.
func recipe(epochs int) train.Recipe {
	r := train.Default()
	r.Arch, r.Batch, r.Epochs = "16-5-3", 8, epochs
	return r
}

// client talks to a server as the page does.
type client struct {
	*testing.T
	base string
}

// post sends an order, and returns what it is answered.
func (c client) post(path string, order any) (status int, answer string) {
	c.Helper()
	body, err := json.Marshal(order)
	if err != nil {
		c.Fatal(err)
	}
	r, err := http.Post(c.base+path, "application/json", bytes.NewReader(body))
	if err != nil {
		c.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		c.Fatal(err)
	}
	return r.StatusCode, string(text)
}

func (c client) get(path string) (status int, body []byte) {
	c.Helper()
	r, err := http.Get(c.base + path)
	if err != nil {
		c.Fatal(err)
	}
	defer r.Body.Close()
	if body, err = io.ReadAll(r.Body); err != nil {
		c.Fatal(err)
	}
	return r.StatusCode, body
}

// order is what trains networks of recipes.
func ordered(paused bool, recipes ...train.Recipe) map[string]any {
	var networks []any
	for i, r := range recipes {
		networks = append(networks, map[string]any{"recipe": r, "seed": i + 1})
	}
	return map[string]any{"networks": networks, "paused": paused}
}

// follow reads events until one is as wanted, and returns it with all of the curves.
func (c client) follow(wanted func(news) bool) news {
	c.Helper()
	r, err := http.Get(c.base + "/api/train/events")
	if err != nil {
		c.Fatal(err)
	}
	defer r.Body.Close()
	var losses, accuracies [maxNetworks][]point
	lines := bufio.NewScanner(r.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		text, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var n news
		if err := json.Unmarshal([]byte(text), &n); err != nil {
			c.Fatal(err)
		}
		for i := range n.Networks {
			losses[i], accuracies[i] = append(losses[i], n.Networks[i].Losses...), append(accuracies[i], n.Networks[i].Accuracies...)
			n.Networks[i].Losses, n.Networks[i].Accuracies = losses[i], accuracies[i]
		}
		if wanted(n) {
			return n
		}
	}
	c.Fatalf("the events ended before that: %s", r.Status)
	return news{}
}

func is(s status) func(news) bool { return func(n news) bool { return n.Status == s } }

// Two networks train at once and are followed to the end; they are those that train.Run makes, to the bit, and can be saved
// in every format.
func TestTraining(t *testing.T) {
	c := client{t, "http://" + serve(t, Options{Trainer: trains()})}
	if n := c.follow(is(idle)); n.Run != 0 || len(n.Networks) != 0 {
		t.Errorf("before the first run: %+v", n)
	}
	wide := recipe(6)
	wide.Arch, wide.Activation = "16-9-4-3", "tanh"
	if status, text := c.post("/api/train/start", ordered(false, recipe(5), wide)); status != http.StatusNoContent {
		t.Fatalf("%d: %s", status, text)
	}
	n := c.follow(is(ended))
	for i, want := range []int{5, 6} {
		got := n.Networks[i]
		if len(got.Losses) != want || got.Step != got.Total || got.PerEpoch != 38 || !got.Kept || got.Diverged || got.Accuracies[len(got.Accuracies)-1][0] != float64(want) {
			t.Errorf("network %d: %+v", i, got)
		}
	}
	own := trains()
	results, err := train.Run(t.Context(), own.Executor, own.Data, []train.Spec{{Recipe: recipe(5), Seed: 1, OrderSeed: 1}, {Recipe: wide, Seed: 2, OrderSeed: 2}}, train.Options{Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range results {
		file, err := r.Model.Encode()
		if err != nil {
			t.Fatal(err)
		}
		at := fmt.Sprintf("/api/train/%d/%d/", n.Run, i)
		if status, got := c.get(at + "model?as=safetensors"); status != http.StatusOK || !bytes.Equal(got, file) {
			t.Errorf("network %d: %d, %d bytes, which are not what vanilla train writes", i, status, len(got))
		}
		status, got := c.get(at + "params")
		var params [][]float32
		for _, p := range r.Model.Params {
			params = append(params, p.Data)
		}
		if status != http.StatusOK || !bytes.Equal(got, floats(params)) {
			t.Errorf("network %d: %d, %d bytes, which are not its parameters", i, status, len(got))
		}
		for _, as := range []string{"onnx", "npz", "json", "html"} {
			if status, got := c.get(at + "model?as=" + as); status != http.StatusOK || len(got) == 0 {
				t.Errorf("as %s: %d, %d bytes", as, status, len(got))
			}
		}
	}
	for path, want := range map[string]int{
		"/api/train/1/0/model?as=exe": 400, "/api/train/1/0/model?as=../../x": 400, "/api/train/1/0/model": 400, "/api/train/1/2/model?as=json": 404,
		"/api/train/2/0/params": 404, "/api/train/1/-1/params": 404, "/api/train/x/0/params": 404,
	} {
		if status, _ := c.get(path); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
}

// A run stands still where it is told to, goes on by steps, and can be saved on the way; what comes of it is the same.
func TestPauseAndStep(t *testing.T) {
	c := client{t, "http://" + serve(t, Options{Trainer: trains()})}
	if status, text := c.post("/api/train/start", ordered(true, recipe(2))); status != http.StatusNoContent {
		t.Fatalf("%d: %s", status, text)
	}
	at := func(step int) func(news) bool {
		return func(n news) bool {
			return n.Status == paused && len(n.Networks) == 1 && n.Networks[0].Step == step && n.Networks[0].Kept
		}
	}
	n := c.follow(at(0))
	for _, s := range []struct{ steps, at int }{{1, 1}, {4, 5}, {33, 38}} {
		if status, text := c.post("/api/train/step", map[string]int{"steps": s.steps}); status != http.StatusNoContent {
			t.Fatalf("%d: %s", status, text)
		}
		n = c.follow(at(s.at))
	}
	_, file := c.get(fmt.Sprintf("/api/train/%d/0/model?as=safetensors", n.Run))
	m, err := model.Decode(file, "saved")
	if err != nil || !strings.Contains(string(m.Recipe), `"stopped_at":38`) {
		t.Errorf("the model that was saved on the way: %v", err)
	}
	if status, text := c.post("/api/train/start", ordered(false, recipe(2))); status != http.StatusConflict || !strings.Contains(text, "networks are being trained already") {
		t.Errorf("a second run is answered %d: %s", status, text)
	}
	for _, path := range []string{"resume", "pause", "resume"} {
		c.post("/api/train/"+path, nil)
	}
	c.follow(is(ended))
	for _, path := range []string{"resume", "pause", "stop"} {
		if status, text := c.post("/api/train/"+path, nil); status != http.StatusConflict || !strings.Contains(text, "nothing is being trained") {
			t.Errorf("%s after the end is answered %d: %s", path, status, text)
		}
	}
	own := trains()
	results, err := train.Run(t.Context(), own.Executor, own.Data, []train.Spec{{Recipe: recipe(2), Seed: 1, OrderSeed: 1}}, train.Options{Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	want, err := results[0].Model.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, got := c.get(fmt.Sprintf("/api/train/%d/0/model?as=safetensors", n.Run)); !bytes.Equal(got, want) {
		t.Error("a run that stood still is another one")
	}
}

// A run that is stopped keeps what it has; the next one may begin.
func TestStop(t *testing.T) {
	c := client{t, "http://" + serve(t, Options{Trainer: trains()})}
	if status, text := c.post("/api/train/start", ordered(false, recipe(1_000_000))); status != http.StatusNoContent {
		t.Fatalf("%d: %s", status, text)
	}
	c.follow(func(n news) bool { return n.Networks[0].Step > 0 })
	if status, text := c.post("/api/train/stop", nil); status != http.StatusNoContent {
		t.Fatalf("%d: %s", status, text)
	}
	if n := c.follow(is(ended)); !n.Networks[0].Kept || n.Networks[0].Step == n.Networks[0].Total {
		t.Errorf("found %+v", n)
	}
	if status, text := c.post("/api/train/start", ordered(false, recipe(1))); status != http.StatusNoContent {
		t.Errorf("the next run is answered %d: %s", status, text)
	}
	if n := c.follow(is(ended)); n.Run != 2 {
		t.Errorf("found %+v", n)
	}
}

// A network that diverges is marked, and has no file; the other goes on.
func TestDivergence(t *testing.T) {
	c := client{t, "http://" + serve(t, Options{Trainer: trains()})}
	wild := recipe(3)
	wild.Activation, wild.LR, wild.WeightDecay = "relu", 1e30, 1e8
	c.post("/api/train/start", ordered(false, wild, recipe(3)))
	n := c.follow(is(ended))
	if a, b := n.Networks[0], n.Networks[1]; !a.Diverged || a.Kept || b.Diverged || !b.Kept {
		t.Errorf("found %+v", n)
	}
}

// What cannot be trained is refused in words, and nothing begins.
func TestOrdersRefused(t *testing.T) {
	c := client{t, "http://" + serve(t, Options{Trainer: trains()})}
	negative, unfit, huge, many, split := recipe(1), recipe(1), recipe(1), recipe(1), recipe(1)
	negative.LR, unfit.Arch, huge.Arch, split.Validation = -1, "784-16-10", "16-65536-65536-3", 0.5
	many.Arch, many.Batch = "16-4000-4000-3", 300
	nine := make([]train.Recipe, 9)
	for i := range nine {
		nine[i] = recipe(1)
	}
	for _, o := range []struct {
		order  any
		status int
		want   string
	}{
		{ordered(false), 400, "expected 1 to 8 networks, found 0"},
		{ordered(false, nine...), 400, "expected 1 to 8 networks, found 9"},
		{ordered(false, recipe(1), negative), 400, "network 2: lr -1: want a positive number"},
		{ordered(false, unfit), 400, "network 1: arch 784-16-10: the images have 4x4 = 16 pixels"},
		{ordered(false, recipe(1), split), 400, "network 2: validation 0.5: networks that are trained together hold out the same images"},
		{ordered(false, huge), 400, "at most 8000000 parameters"},
		{ordered(false, many, many, many), 400, "at most 8000000 parameters"},
		{map[string]any{"rainbow": 1}, 400, `unknown field \"rainbow\"`},
		{[]int{1}, 400, "expected one JSON object"},
		{strings.Repeat("x", 80<<10), 413, "expected a body of at most 65536 bytes"},
	} {
		if status, text := c.post("/api/train/start", o.order); status != o.status || !strings.Contains(text, o.want) || !strings.HasPrefix(text, `{"error":`) {
			t.Errorf("%.200v: %d, %s; want %s", o.order, status, text, o.want)
		}
	}
	for body, want := range map[string]string{"{": "unexpected EOF", "": "EOF", `{"paused":true}{`: "found more after it", `{"networks":[{"recipe":{"lr":1e999}}]}`: "1e999", "\xff": "invalid character"} {
		r, err := http.Post(c.base+"/api/train/start", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if r.StatusCode != 400 || !strings.Contains(string(text), want) {
			t.Errorf("%q: %s, %s", body, r.Status, text)
		}
	}
	// A body of a gigabyte whose length is not told is read no further than it may be.
	pipe, end := io.Pipe()
	go func() {
		chunk := bytes.Repeat([]byte(" "), 1<<16)
		for range 1 << 14 {
			if _, err := end.Write(chunk); err != nil {
				break
			}
		}
		end.Close()
	}()
	r, err := http.Post(c.base+"/api/train/start", "application/json", pipe)
	if err == nil {
		if r.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("a gigabyte in chunks: %s", r.Status)
		}
		r.Body.Close()
	}
	pipe.CloseWithError(io.ErrClosedPipe)
	for _, steps := range []int{0, -1, 1 << 30} {
		if status, text := c.post("/api/train/step", map[string]int{"steps": steps}); status != 400 || !strings.Contains(text, "expected 1 to") {
			t.Errorf("%d steps: %d, %s", steps, status, text)
		}
	}
	if n := c.follow(is(idle)); n.Run != 0 {
		t.Errorf("something began: %+v", n)
	}
}

// What depends on a field that was changed follows it, as it does on the command line, and what sets nothing is said.
func TestFollow(t *testing.T) {
	c := client{t, "http://" + serve(t, Options{Trainer: trains()})}
	follow := func(was train.Recipe, change func(*train.Recipe)) settings {
		is := was
		change(&is)
		_, text := c.post("/api/train/follow", map[string]any{"Was": was, "Is": is})
		var got settings
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		if err := got.Recipe.Check(); err != nil {
			t.Error(err)
		}
		return got
	}
	got := follow(recipe(9), func(r *train.Recipe) { r.Optimizer = "momentum" })
	if got.Recipe.LR != 0.1 || got.Recipe.Momentum != 0.9 || !slices.Equal(got.Absent, []string{"step_epochs", "gamma", "elastic_sigma"}) {
		t.Errorf("found %+v", got)
	}
	got = follow(got.Recipe, func(r *train.Recipe) { r.Optimizer = "adam" })
	got = follow(got.Recipe, func(r *train.Recipe) { r.Schedule = "step" })
	if got.Recipe.LR != 0.001 || got.Recipe.Momentum != 0 || got.Recipe.StepEpochs != 3 || !slices.Equal(got.Absent, []string{"momentum", "elastic_sigma"}) {
		t.Errorf("found %+v", got)
	}
}

// There is a control for each field of recipes, and a choice, with what it means, for each name in the tables.
func TestControls(t *testing.T) {
	c := newControls(striped())
	choices := 0
	for i, field := range train.Fields() {
		found := c.Fields[i]
		if found.Field != field || found.Number != (field != "arch" && found.Choices == nil) {
			t.Errorf("found %+v for %s", found, field)
		}
		for _, choice := range found.Choices {
			if choices++; choice.Help == "" {
				t.Errorf("%s %s has no help", field, choice.Name)
			}
			r := recipe(9)
			r.Arch = "16-4-4-3"
			if err := r.Set(field, choice.Name); err != nil {
				t.Error(err)
			}
			r.Follow(recipe(9), func(string) bool { return false })
			if err := r.Check(); err != nil {
				t.Errorf("%s %s cannot be chosen: %v", field, choice.Name, err)
			}
		}
	}
	if want := len(graph.Activations()) + len(graph.Losses()) + len(kernels.Optimizers()) + len(kernels.Schedules()) + len(kernels.Inits()) + len(train.Blocks()) + len(train.Norms()); choices != want {
		t.Errorf("%d choices, want %d", choices, want)
	}
	if len(c.Recipes) != 2 || c.Recipes["lesson"].Recipe.Arch != "16-16-16-3" || c.Recipes["default"].Recipe.Fits(striped()) != nil {
		t.Errorf("found %+v", c.Recipes)
	}
}

// A run that nobody follows any more is ended after a while, and takes nothing with it; one that is followed goes on.
func TestAbandoned(t *testing.T) {
	tr := newTrainer(trains())
	tr.abandoned = 20 * time.Millisecond
	leave := tr.listen()
	specs := []train.Spec{{Recipe: recipe(1_000_000), Seed: 1, OrderSeed: 1}}
	if err := tr.start(t.Context(), specs, false); err != nil {
		t.Fatal(err)
	}
	tr.mu.Lock()
	r, waiting := tr.run, tr.leaving
	tr.mu.Unlock()
	if waiting != nil {
		t.Error("a run that is followed will be ended")
	}
	for seen := 0; seen == 0; time.Sleep(time.Millisecond) {
		tr.mu.Lock()
		seen = r.variants[0].step
		tr.mu.Unlock()
	}
	leave()
	<-r.done
	if r.status != ended || r.variants[0].model == nil {
		t.Errorf("found %s", r.status)
	}
}

// Clients that vanish, that do not read, and that come back leave nothing behind: neither goroutines nor memory.
func TestNothingIsLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	live := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var first uint64
	for round := range 6 {
		t.Run("server", func(t *testing.T) {
			address := serve(t, Options{Networks: []Network{open(t, zoo.Default)}, Trainer: trains()})
			c := client{t, "http://" + address}
			c.post("/api/train/start", ordered(false, recipe(1_000_000)))
			for range 8 {
				// It asks for events, reads one, and is gone.
				c.follow(func(n news) bool { return n.Networks[0].Step > 0 })
				// It asks for much, and reads nothing.
				conn := dial(t, address)
				fmt.Fprintf(conn, "GET /api/start HTTP/1.1\r\nHost: %s\r\n\r\nGET /api/train/events HTTP/1.1\r\nHost: %s\r\n\r\n", address, address)
			}
			if status, _ := c.get("/"); status != http.StatusOK {
				t.Errorf("beside them the page is answered %d", status)
			}
		})
		http.DefaultClient.CloseIdleConnections()
		goroutines(t, before) // which hold memory until they end
		if used := live(); round == 1 {
			first = used
		} else if round > 1 && used > first+8<<20 {
			t.Errorf("after round %d %d bytes are in use, after the second %d", round, used, first)
		}
	}
}

// More pages than may follow are told so.
func TestTooManyListeners(t *testing.T) {
	address := serve(t, Options{Trainer: trains()})
	request := "GET /api/train/events HTTP/1.1\r\nHost: " + address + "\r\n\r\n"
	for i := range maxListeners {
		if answer := send(t, address, request); answer.StatusCode != http.StatusOK {
			t.Fatalf("listener %d: %s", i, answer.Status)
		}
	}
	if answer := send(t, address, request); answer.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("one more: %s", answer.Status)
	}
}

// The curves of long runs stay short, and end where the run is.
func TestCurves(t *testing.T) {
	var c []point
	for e := 1; e <= 1_000_000; e++ {
		c = extend(c, float64(e), 1/float64(e))
	}
	if n := len(c); n < 1000 || n > 6000 || c[99] != (point{100, 0.01}) || c[n-1][0] < 995_000 {
		t.Errorf("%d points, the last %v", n, c[n-1])
	}
}

func TestFloats(t *testing.T) {
	b := floats([][]float32{{1, -2}, {float32(math.Inf(1))}})
	if len(b) != 12 || math.Float32frombits(binary.LittleEndian.Uint32(b[4:])) != -2 || math.Float32frombits(binary.LittleEndian.Uint32(b[8:])) != float32(math.Inf(1)) {
		t.Errorf("found %x", b)
	}
}
