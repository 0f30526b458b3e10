package browser

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"vanilla/model"
	"vanilla/model/zoo"
)

// set sets a control of a form of the panel that trains: network and label.
func (tab *Tab) set(network int, label, value string) {
	tab.t.Helper()
	Ask[bool](tab, fmt.Sprintf(`(() => {
		const form = document.querySelectorAll("#panel-train fieldset")[%d];
		const input = [...form.querySelectorAll(".fields label")].find(l => l.firstChild.textContent === %q).lastChild;
		input.value = %q;
		input.dispatchEvent(new Event("change", {bubbles: true}));
		return true;
	})()`, network, label, value))
}

// Networks are trained on the page: their curves and weights move, accuracy rises, and what is drawn is read by what was
// trained, which can be saved.
func TestTrain(t *testing.T) {
	t.Parallel()
	tab := Open(t)
	tab.Do(chromedp.EmulateViewport(1440, 1000))
	address := served(t, builtIn(t, zoo.Lesson))
	tab.visit(address)
	tab.draw(three)
	tab.Do(chromedp.Click("#tab-train"))
	tab.set(0, "Epochs", "30")
	tab.set(1, "Epochs", "30")
	tab.Do(chromedp.Click("#train-epoch"))
	tab.Until(`/^Standing still: 1 of 30 epochs/.test(document.querySelector("#panel-train .sentence").textContent)`)
	accuracy := `[...document.querySelectorAll(".network .facts")].map(f => Number(f.textContent.match(/([\d.]+) % right/)[1]))`
	// What one network has got to may be told before what the other has.
	tab.Until(`document.querySelectorAll(".network").length === 3 && ` + accuracy + `.slice(0, 2).every(a => a >= 50)`)
	early := Ask[[]float64](tab, accuracy)
	weights := `[...document.querySelectorAll("#panel-train .weights canvas")].map(c => c.toDataURL()).join()`
	before := Ask[string](tab, weights)
	tab.Do(chromedp.Click("#train-step"))
	tab.Until(`/step 1,876\./.test(document.querySelector("#panel-train .sentence").textContent)`)
	tab.Until(weights + ` !== ` + fmt.Sprintf("%q", before))
	tab.Do(chromedp.Click("#train-go"))
	tab.Until(`/^Trained: 30 of 30 epochs/.test(document.querySelector("#panel-train .sentence").textContent)`)
	tab.Until(`document.querySelectorAll("#panel-train .files a").length === 10`)
	late := Ask[[]float64](tab, accuracy)
	for i := range 2 {
		if late[i] < 93 || late[i] <= early[i] {
			t.Errorf("network %d: %v %% after an epoch, %v %% after 30", i, early[i], late[i])
		}
	}
	if got := tab.answers(); len(got) != 3 || got[0] != "3" || got[1] != "3" {
		t.Errorf("a 3 is read as %q", got)
	}
	tab.clickUnit(0, 1, 2)
	if got := Ask[string](tab, `document.querySelector("#unit h3").textContent`); got != "Unit 2 of layer 2 in network 1" {
		t.Errorf("found %q", got)
	}
	link := Ask[string](tab, `document.querySelector("#panel-train .files a").href`)
	answer, err := http.Get(link)
	if err != nil {
		t.Fatal(err)
	}
	file, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.Decode(file, link)
	if err != nil || fmt.Sprintf("%.2f", 100*m.TestAccuracy) != fmt.Sprintf("%.2f", late[0]) {
		t.Errorf("the model that is saved gets %v right, the page says %v %%: %v", m.TestAccuracy, late[0], err)
	}
	tab.Do(chromedp.Click("#tab-train"), chromedp.Click("#train-reset"))
	tab.Until(`document.querySelectorAll(".network").length === 1 && document.querySelectorAll("#panel-train .weights").length === 0`)
	// What cannot be is said where one looks, and changes nothing.
	tab.Ignore("400")
	tab.set(0, "Learning rate", "-1")
	tab.Do(chromedp.Click("#train-go"))
	tab.Until(`/network 1: lr -1: want a positive number/.test(document.querySelector("#panel-train .sentence").textContent)`)
}

// Weights that come late, when training has ended meanwhile, are not the last ones: those are asked for, too.
func TestLateWeights(t *testing.T) {
	t.Parallel()
	tab := Open(t)
	tab.Do(chromedp.EmulateViewport(1440, 1000))
	tab.visit(served(t))
	Ask[bool](tab, `(() => {
		const ask = fetch;
		window.asked = [];
		window.late = new Promise(come => { window.come = come; });
		window.fetch = async (path, ...rest) => {
			if (/\/params$/.test(path)) { asked.push(path); await late; }
			return ask(path, ...rest);
		};
		return true;
	})()`)
	tab.Do(chromedp.Click("#tab-train"))
	tab.set(0, "Epochs", "2")
	tab.set(1, "Epochs", "2")
	tab.Do(chromedp.Click("#train-epoch"))
	tab.Until(`asked.length === 1`)
	tab.Do(chromedp.Click("#train-go"))
	tab.Until(`/^Trained: 2 of 2 epochs/.test(document.querySelector("#panel-train .sentence").textContent)`)
	Ask[bool](tab, `come() ?? true`)
	tab.Until(`asked.length === 4`)
}

// Another optimizer comes with its own learning rate; a second page sees the first one's training, and is told that it is
// busy.
func TestTrainTogether(t *testing.T) {
	t.Parallel()
	address := served(t, builtIn(t, zoo.Default))
	one, two := Open(t), Open(t)
	for _, tab := range []*Tab{one, two} {
		tab.Ignore("409")
		tab.visit(address)
		tab.Do(chromedp.Click("#tab-train"))
	}
	one.set(0, "Optimizer", "momentum")
	one.Until(`[...document.querySelectorAll("#panel-train fieldset:first-of-type .fields label")].some(l => l.textContent === "Momentum" && l.lastChild.value === "0.9")`)
	if rate := Ask[string](one, `[...document.querySelectorAll("#panel-train fieldset:first-of-type .fields label")].find(l => l.firstChild.textContent === "Learning rate").lastChild.value`); rate != "0.1" {
		t.Errorf("momentum comes with a learning rate of %s", rate)
	}
	one.set(0, "Epochs", "100000")
	one.Do(chromedp.Click("#train-go"))
	two.Until(`/^Training/.test(document.querySelector("#panel-train .sentence").textContent) && document.querySelectorAll(".network").length === 3`)
	answer, err := http.Post(address+"api/train/start", "application/json", strings.NewReader(`{"networks": [{"recipe": {}, "seed": 1}]}`))
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	two.Do(chromedp.Click("#train-go"))
	one.Until(`/^Standing still/.test(document.querySelector("#panel-train .sentence").textContent)`)
	one.Do(chromedp.Click("#train-reset"))
	two.Until(`/^Trained/.test(document.querySelector("#panel-train .sentence").textContent)`)
}

// Forms have fields for blocks, norms, dropout, smoothed labels and the activation of each layer. A network with
// activations of its own is drawn and asked like any; of one with a block the page says why it is not, shows its curves
// and the weights that see the pixels, and saves it as what can hold it.
func TestTrainBlocks(t *testing.T) {
	t.Parallel()
	tab := Open(t)
	tab.Do(chromedp.EmulateViewport(1440, 1000))
	tab.visit(served(t))
	tab.Do(chromedp.Click("#tab-train"))
	field := func(network int, label string) string {
		return fmt.Sprintf(`[...document.querySelectorAll("#panel-train fieldset")[%d].querySelectorAll(".fields label")].find(l => l.firstChild.textContent === %q).lastChild.value`, network, label)
	}
	for _, change := range []struct {
		network      int
		label, value string
		gives, given string // another field, and its value then
	}{
		{network: 0, label: "Layer 2", value: "relu", gives: "Architecture", given: "784-16relu-16-10"},
		{network: 0, label: "Layer 3", value: "leaky-relu", gives: "Architecture", given: "784-16relu-16leaky-relu-10"},
		{network: 0, label: "Dropout", value: "0.1", gives: "Dropout", given: "0.1"},
		{network: 0, label: "Label smoothing", value: "0.05", gives: "Label smoothing", given: "0.05"},
		{network: 1, label: "Blocks", value: "gated", gives: "Blocks", given: "gated"},
		{network: 1, label: "Norm", value: "layer", gives: "Norm", given: "layer"},
		{network: 1, label: "Start weights", value: "scaled", gives: "Start weights", given: "scaled"},
	} {
		tab.set(change.network, change.label, change.value)
		tab.Until(field(change.network, change.gives) + fmt.Sprintf(` === %q`, change.given))
	}
	for i := range 2 {
		tab.set(i, "Epochs", "3")
		tab.set(i, "Learning rate", "0.3")
		tab.Until(field(i, "Learning rate") + ` === "0.3" && ` + field(i, "Epochs") + ` === "3"`)
	}
	tab.Do(chromedp.Click("#train-go"))
	tab.Until(`/^Trained: 3 of 3 epochs/.test(document.querySelector("#panel-train .sentence").textContent) && document.querySelectorAll("#panel-train .files a").length === 8`)
	if got := Ask[string](tab, `document.querySelector(".network .facts").textContent`); !strings.HasPrefix(got, "784-16relu-16leaky-relu-10, dropout 0.1, label smoothing 0.05 · ") {
		t.Errorf("the network is described as %q", got)
	}
	if n := Ask[int](tab, `document.querySelectorAll(".network").length`); n != 1 {
		t.Errorf("%d networks are drawn, want one", n)
	}
	result := `document.querySelectorAll("#panel-train .results section")[1]`
	if got := Ask[string](tab, result+`.textContent`); !strings.Contains(got, "784-16-16-10 sigmoid, gated, layer norm") || !strings.Contains(got, "It is no chain of layers") || !strings.HasSuffix(got, "safetensorsONNXnpz") {
		t.Errorf("of the gated network is said %q", got)
	}
	if n := Ask[int](tab, result+`.querySelectorAll(".weights canvas").length`); n != 16 {
		t.Errorf("%d images of weights, want 16", n)
	}
	tab.draw(three)
	if got := tab.answers(); len(got) != 1 || got[0] != "3" {
		t.Errorf("a 3 is read as %q", got)
	}
	tab.clickUnit(0, 2, 2)
	if got := Ask[string](tab, `document.querySelector("#unit").textContent`); !strings.Contains(got, "leaky-relu") {
		t.Errorf("unit 2 of layer 3 is taken apart as %q", got)
	}
}
