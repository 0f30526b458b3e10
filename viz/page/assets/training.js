// Training on the page: the server trains, and this follows it.

import {Chart} from "./chart.js";
import {Picture} from "./pictures.js";
import {largest} from "./network.js";
import {byId, el, percent, say, thousands} from "./dom.js";

/** LABELS are what fields of recipes are called here, and in which order the first of them come. */
const LABELS = {
  arch: "Architecture", activation: "Activation", loss: "Loss", optimizer: "Optimizer", lr: "Learning rate", batch: "Batch", epochs: "Epochs", init: "Start weights",
  block: "Blocks", norm: "Norm", dropout: "Dropout", input_dropout: "Dropout of pixels", label_smoothing: "Label smoothing",
  weight_decay: "Weight decay", schedule: "Schedule", momentum: "Momentum", step_epochs: "Epochs a step", gamma: "Factor a step", warmup: "Warm-up epochs",
  shift: "Shift images by", rotate: "Rotate by", scale: "Scale by", shear: "Shear by", stroke: "Stroke by", elastic: "Bend by", elastic_sigma: "Smoothness of bends",
  noise_share: "Noise share", validation: "Held out", patience: "Patience",
};
const FIRST = ["arch", "activation", "loss", "optimizer", "lr", "batch", "epochs", "init"];
const TILES_SHOWN = 32; // weight images of a network
const FILES = {safetensors: "safetensors", onnx: "ONNX", npz: "npz", json: "JSON", html: "page"};
const CHAIN_FILES = ["json", "html"]; // of chains of layers alone
const NOT_DRAWN = "It is no chain of layers, which is all that this page can draw and ask. Saved as safetensors, vanilla predict, eval and viz run it.";

/** layersOf are the layers of an architecture, {width, activation}, where activation is "" or one of the layer's own; null if it is
 * no architecture. */
function layersOf(arch) {
  const parts = arch.split(/-(?=\d)/).map(part => /^(\d+)([a-z-]*)$/.exec(part));
  return parts.includes(null) ? null : parts.map(([, width, activation]) => ({width, activation}));
}

/** Training is the panel that trains networks. */
export class Training {
  constructor(app, controls) {
    this.app = app;
    this.controls = controls;
    this.root = byId("panel-train");
    this.run = null; // the number of the one that is shown
    this.shown = []; // its networks: {card, tiles, losses, accuracies, …}
    this.looks = this.published = 0; // of the weights that are here, and of those that the server has
    const {recipe, absent} = controls.recipes.default;
    const begin = app.share.restored ?? [{recipe, seed: 1}, {recipe: {...recipe, init: "lesson"}, seed: 1}];
    this.networks = begin.slice(0, 8).map(n => ({recipe: {...recipe, ...n.recipe}, absent, seed: Number(n.seed) || 1}));
    this.forms = el("div", {className: "forms"});
    this.status = el("p", {className: "sentence", role: "status"});
    this.go = el("button", {type: "button", className: "primary", id: "train-go", onclick: () => this.start()}, "Start");
    this.stepButton = el("button", {type: "button", id: "train-step", onclick: () => this.step(1)}, "One step");
    this.epochButton = el("button", {type: "button", id: "train-epoch", onclick: () => this.step(null)}, "One epoch");
    this.resetButton = el("button", {type: "button", id: "train-reset", onclick: () => this.reset()}, "Reset");
    this.loss = new Chart("Training loss", {logarithmic: true, format: v => String(v)});
    this.accuracy = new Chart("Accuracy on the test images", {format: v => `${Number((100 * v).toFixed(1))} %`});
    this.results = el("div", {className: "results"});
    const add = el("button", {type: "button", id: "train-add", onclick: () => this.addNetwork()}, "Add a network");
    this.root.append(
      el("p", {className: "note"}, `${controls.data}: ${thousands(controls.images)} images of ${controls.rows} × ${controls.cols} pixels. All networks train at once; draw while they do.`),
      el("div", {className: "training"}, el("div", {}, this.forms, el("div", {className: "row"}, add)),
        el("div", {}, el("div", {className: "row"}, this.go, this.stepButton, this.epochButton, this.resetButton), this.status,
          el("div", {className: "charts"}, this.loss.element, this.accuracy.element), this.results)));
    app.share.settings = () => this.networks.map(({recipe, seed}) => ({recipe, seed}));
    byId("tab-train").addEventListener("click", () => this.listen());
    this.showForms();
    this.show({status: "idle", networks: []});
    if (app.share.restored) {
      app.showTab("train");
      for (const n of this.networks) this.follow(n, n.recipe);
    }
    app.on("theme", () => this.repaint());
  }

  /** listen follows the server's events, from the first time on that the panel is looked at. */
  listen() {
    if (this.source) return;
    this.source = new EventSource("/api/train/events");
    this.source.onmessage = e => this.show(JSON.parse(e.data));
    this.source.onerror = () => say(this.status, "The server does not answer. Is vanilla serve still running?");
    this.source.onopen = () => { this.run = null; };
  }

  showForms() {
    this.forms.replaceChildren(...this.networks.map((n, i) => this.form(n, i)));
    this.app.share.keep();
  }

  /** form is the settings of one network. */
  form(network, index) {
    const field = control => {
      const {field: name, choices, number} = control, value = network.recipe[name] || (choices ? choices[0].name : network.recipe[name]);
      if (network.absent.includes(name)) return null;
      const input = choices
        ? el("select", {title: choices.find(c => c.name === value)?.help ?? ""}, ...choices.map(c => el("option", {value: c.name, title: c.help, selected: c.name === value}, c.name)))
        : el("input", {type: number ? "number" : "text", step: "any", value: value ?? 0});
      input.addEventListener("change", () => this.changed(network, name, number ? Number(input.value) : input.value));
      return el("label", {}, el("span", {}, LABELS[name] ?? name.replaceAll("_", " ")), input);
    };
    const by = name => this.controls.fields.find(f => f.field === name);
    const seed = el("label", {}, el("span", {}, "Seed"), el("input", {type: "number", min: 0, step: 1, value: network.seed, onchange: e => { network.seed = Math.max(0, Math.trunc(Number(e.target.value))); this.app.share.keep(); }}));
    const layers = layersOf(network.recipe.arch) ?? [], hidden = layers.slice(1, -1);
    const own = hidden.length < 2 ? [] : hidden.map((layer, k) => el("label", {}, el("span", {}, `Layer ${k + 2}`),
      el("select", {title: "activation of this layer", onchange: e => {
        layer.activation = e.target.value;
        this.changed(network, "arch", layers.map(l => l.width + l.activation).join("-"));
      }}, el("option", {value: "", selected: !layer.activation}, `as all: ${network.recipe.activation}`),
      ...by("activation").choices.map(c => el("option", {value: c.name, title: c.help, selected: c.name === layer.activation}, c.name)))));
    const more = el("details", {open: network.open, ontoggle: e => { network.open = e.target.open; }}, el("summary", {}, "More"),
      el("div", {className: "fields"}, ...own, ...this.controls.fields.filter(f => !FIRST.includes(f.field)).map(field)));
    const recipes = Object.keys(this.controls.recipes).map(name => el("button", {type: "button", onclick: () => {
      Object.assign(network, structuredClone(this.controls.recipes[name]));
      this.showForms();
    }}, name));
    const remove = el("button", {type: "button", "aria-label": `remove network ${index + 1}`, onclick: () => { this.networks.splice(index, 1); this.showForms(); }}, "×");
    remove.disabled = this.networks.length === 1;
    return el("fieldset", {className: `series${index % 7}`}, el("legend", {}, el("i", {className: "dot"}), `Network ${index + 1}`),
      el("div", {className: "row recipes"}, el("span", {}, "Recipe"), ...recipes, remove),
      el("div", {className: "fields"}, ...FIRST.map(by).map(field), seed), more);
  }

  /** changed sets a field; what depends on it follows, as in recipes. */
  changed(network, field, value) {
    const was = network.recipe;
    network.recipe = {...was, [field]: value};
    return this.follow(network, was);
  }

  /** follow asks the server what follows from how a recipe was changed. */
  async follow(network, was) {
    const is = network.recipe, answer = await this.post("follow", {Was: was, Is: is});
    const followed = await answer?.json();
    if (followed && network.recipe === is) Object.assign(network, followed); // unless it was changed again meanwhile
    this.showForms();
  }

  addNetwork() {
    if (this.networks.length >= 8) return;
    const last = this.networks.at(-1);
    this.networks.push({...last, recipe: {...last.recipe}, seed: last.seed + 1});
    this.showForms();
  }

  /** post sends the server an order, and says what it answers if it refuses. */
  async post(path, body = {}) {
    try {
      const answer = await fetch(`/api/train/${path}`, {method: "POST", body: JSON.stringify(body)});
      if (answer.ok) return answer;
      say(this.status, (await answer.json()).error);
    } catch {
      say(this.status, "The server does not answer. Is vanilla serve still running?");
    }
    return null;
  }

  /** start begins, or goes on, or pauses: what the button says. */
  async start() {
    this.listen();
    if (this.state === "running") await this.post("pause");
    else if (this.state === "paused") await this.post("resume");
    else await this.begin(false);
  }

  begin(paused) { return this.post("start", {networks: this.networks.map(({recipe, seed}) => ({recipe, seed})), paused}); }

  /** step trains so many steps, or as many as the first network's epoch has. */
  async step(steps) {
    this.listen();
    let [recipe] = this.shownRecipes ?? [];
    if (this.state !== "paused" && this.state !== "running") {
      ({recipe} = this.networks[0]);
      if (!await this.begin(true)) return;
    }
    await this.post("step", {steps: steps ?? Math.ceil(Math.round(this.controls.images * (1 - (recipe.validation ?? 0))) / recipe.batch)});
  }

  /** reset ends the run, and takes what came of it off the page. */
  async reset() {
    if (this.state === "running" || this.state === "paused") await this.post("stop");
    this.dropped = this.run;
    this.clear();
    this.show({status: "idle", networks: []});
  }

  clear() {
    for (const s of this.shown) if (this.app.cards.includes(s.card)) this.app.remove(s.card);
    this.shown = [];
    this.looks = this.published = 0;
    this.results.replaceChildren();
    this.loss.show([]);
    this.accuracy.show([]);
  }

  /** show shows the news of a run. */
  show(news) {
    if (news.run && news.run === this.dropped) return;
    this.state = news.status;
    if (news.run && news.run !== this.run) {
      this.clear();
      this.run = news.run;
      this.begun(news);
    }
    const words = {idle: "Start", running: "Pause", paused: "Go on", ended: "Start again", failed: "Start again"};
    say(this.go, words[news.status]);
    if (news.problem) say(this.status, news.problem);
    else if (news.status === "idle") say(this.status, "Change what you like and press Start. To begin with, the two networks differ in one thing: the weights that they start from, scaled to each layer's inputs or, as in the lesson, drawn from N(0, 1).");
    news.networks.forEach((n, i) => this.progress(this.shown[i], n));
    if (!news.run) return;
    this.loss.show(this.shown.map(s => s.losses));
    this.accuracy.show(this.shown.map(s => s.accuracies));
    if (!news.problem) say(this.status, this.sentence(news));
    this.published = news.looks;
    this.fetchWeights();
  }

  sentence({status, networks}) {
    const [first] = networks, epoch = first.per_epoch ? Math.floor(first.step / first.per_epoch) : 0;
    const done = first.per_epoch ? `${epoch} of ${Math.round(first.total / first.per_epoch)} epochs, step ${thousands(first.step)}` : "preparing";
    const how = {running: "Training", paused: "Standing still", ended: "Trained"}[status] ?? status;
    return `${how}: ${done}. ${this.shown.map((s, i) => networks[i].diverged ? `Network ${i + 1} diverged: a smaller learning rate may help.` : s.accuracies.length ? `Network ${i + 1} gets ${percent(s.accuracies.at(-1)[1])} of the test images right.` : "").join(" ")}`;
  }

  /** begun makes room for a run's networks. */
  begun({run, networks}) {
    this.shownRecipes = networks.map(n => n.recipe);
    this.shown = networks.map(({recipe, seed, title, drawn, widths, activations}, i) => {
      const tiles = el("div", {className: "weights"}), files = el("div", {className: "row files"});
      const why = drawn ? null : el("p", {className: "note"}, NOT_DRAWN);
      this.results.append(el("section", {className: `series${i % 7}`}, el("h4", {}, el("i", {className: "dot"}), `Network ${i + 1}`, el("small", {}, ` ${title}, ${recipe.init} start, seed ${seed}`)), why, tiles, files));
      return {recipe, title, drawn, widths, activations, run, index: i, tiles, files, losses: [], accuracies: [], card: null, pictures: []};
    });
  }

  progress(shown, news) {
    if (!shown) return;
    shown.losses.push(...news.losses);
    shown.accuracies.push(...news.accuracies);
    if (shown.card) {
      shown.card.network.accuracy = shown.accuracies.at(-1)?.[1] ?? 0;
      shown.card.describe();
    }
    if (news.kept && !shown.files.childElementCount) {
      shown.files.append("Save as ", ...Object.entries(FILES).filter(([as]) => shown.drawn || !CHAIN_FILES.includes(as)).map(([as, name]) => el("a", {href: `/api/train/${shown.run}/${shown.index}/model?as=${as}`, download: `model.${as}`}, name)));
    } else if (!news.kept) {
      shown.files.replaceChildren();
    }
  }

  /** fetchWeights brings the networks' weights as they are now, and again if there are newer ones by then. */
  async fetchWeights() {
    if (this.fetching || this.looks === this.published) return;
    this.fetching = true;
    try {
      while (this.looks !== this.published) {
        this.looks = this.published;
        for (const s of [...this.shown]) {
          const answer = await fetch(`/api/train/${s.run}/${s.index}/params`);
          if (!answer.ok) continue;
          const params = await answer.arrayBuffer();
          if (this.shown.includes(s)) this.weigh(s, new Float32Array(params));
        }
      }
      if (this.state !== "running") this.app.compareSight();
    } catch {
      // The server is gone, which its stream of events says.
    } finally {
      this.fetching = false;
    }
  }

  /** weigh gives a network the weights that have come. */
  weigh(shown, params) {
    const {recipe, title, index, widths, activations} = shown, {rows, cols, classes, names} = this.controls;
    shown.first = params.subarray(0, widths[0] * widths[1]); // the weights of the first layer
    if (!shown.drawn) {
      this.showTiles(shown);
      return;
    }
    if (!shown.card) {
      shown.card = this.app.add({name: `network ${index + 1}`, title, arch: recipe.arch, widths, activations, softmax: recipe.loss === "cross-entropy", rows, cols,
        classes: names ?? Array.from({length: classes}, (_, c) => String(c)), accuracy: shown.accuracies.at(-1)?.[1] ?? 0, note: `${recipe.init} start`, params}, true);
      shown.card.describe();
    } else {
      this.app.weigh(shown.card, params);
    }
    this.showTiles(shown);
  }

  /** showTiles draws the weights of a network's first layer. */
  showTiles({first, tiles, pictures, widths}) {
    const {rows, cols} = this.controls;
    while (pictures.length < Math.min(TILES_SHOWN, widths[1])) {
      const p = new Picture(rows, cols);
      pictures.push(p);
      tiles.append(p.canvas);
    }
    pictures.forEach((p, j) => {
      const weights = first.subarray(j * widths[0], (j + 1) * widths[0]);
      p.diverging(weights, largest(weights));
    });
  }

  repaint() {
    this.loss.paint();
    this.accuracy.paint();
    for (const s of this.shown) if (s.first) this.showTiles(s);
  }
}
