// The challenge: draw a 3, make an 8 of it, and see which stroke tips the answer and which units notice.

import {argmax, largest} from "./network.js";
import {answerOf} from "./card.js";
import {Picture} from "./pictures.js";
import {byId, el, output, outputName, plain, say, signed} from "./dom.js";

const UNITS = 6; // that changed most, which are shown
const MARK = 40; // pixels of ink that are marked as what flipped the answer

/** Challenge follows the drawing from one class to another. */
export class Challenge {
  constructor(app) {
    this.app = app;
    this.root = byId("challenge");
    this.phase = "idle"; // then "first", "second", "flipped"
    this.trace = []; // of the second phase: {steps, answer}
    byId("challenge-start").addEventListener("click", () => this.start());
    byId("challenge-demo").addEventListener("click", () => this.demonstrate());
    byId("challenge-network").addEventListener("change", () => this.stop());
    byId("challenge-from").addEventListener("change", () => this.stop());
    byId("scrub").addEventListener("input", e => this.scrub(Number(e.target.value)));
    byId("scrub-play").addEventListener("click", () => this.play());
    byId("scrub-flip").addEventListener("click", () => this.scrub(this.flip));
    app.on("drawn", () => this.follow());
    app.on("networks", () => this.choices());
  }

  /** network is the one that is watched, or would be. The list may be older than the networks that are there. */
  get network() { return this.phase === "idle" ? this.app.networks[byId("challenge-network").selectedIndex] : this.watched; }

  get from() { return byId("challenge-from").selectedIndex; }

  /** choices offers the networks and classes that there are. */
  choices() {
    const networks = byId("challenge-network"), from = byId("challenge-from");
    const before = networks.value;
    networks.replaceChildren(...this.app.networks.map(n => el("option", {}, n.name)));
    if ([...networks.options].some(o => o.value === before)) networks.value = before;
    const classes = this.network?.widths.at(-1) ?? 0;
    if (from.options.length !== classes) {
      from.replaceChildren(...Array.from({length: classes}, (_, c) => el("option", {}, this.network.className(c))));
      from.selectedIndex = Math.min(3, classes - 1);
    }
    if (this.phase !== "idle" && !this.app.networks.includes(this.watched)) this.stop();
  }

  stop() {
    clearInterval(this.timer);
    this.phase = "idle";
    this.trace = [];
    this.told = null;
    this.app.pad.path = null;
    this.app.pad.paintMarks();
    this.show();
  }

  start() {
    this.stop();
    if (!this.network) return;
    this.watched = this.network;
    this.app.see(true);
    this.app.drawing.clear();
    this.phase = "first";
    this.app.drawn();
    this.app.pad.use("draw");
    this.show();
    byId("pad").scrollIntoView({block: "nearest"});
  }

  /** follow looks at what was drawn just now. */
  follow() {
    if (this.phase === "idle") return;
    const {drawing} = this.app, {network} = this;
    if (drawing.empty && this.phase !== "first") {
      this.phase = "first";
      this.trace = [];
      this.app.pad.path = null;
    }
    const {steps} = drawing, answer = network.lits ? argmax(network.probabilities) : -1;
    if (this.phase === "first") {
      // The digit has to hold while the pen is lifted.
      this.held = answer === this.from ? steps : 0;
      this.show();
      return;
    }
    while (this.trace.length > 1 && this.trace.at(-1).steps >= steps) this.trace.pop();
    if (this.trace.at(-1).steps < steps) this.trace.push({steps, answer});
    this.flip = this.trace.findIndex(t => t.answer !== this.from);
    this.phase = this.flip < 0 ? "second" : "flipped";
    this.show();
  }

  /** ready says that the first digit is there: what is drawn from now on extends it. */
  ready() {
    this.phase = "second";
    this.trace = [{steps: this.app.drawing.steps, answer: this.from}];
    this.show();
  }

  /** show writes what to do next, or what happened. */
  show() {
    const {phase, network} = this, name = c => network?.className(c) ?? String(c);
    const say_ = text => say(byId("challenge-say"), text);
    byId("challenge-ready").hidden = !(phase === "first" && this.held);
    byId("challenge-ready").onclick = () => this.ready();
    byId("challenge-result").hidden = phase !== "flipped";
    const seen = network?.lits ? `It sees ${answerOf(network)}.` : "";
    if (phase === "idle") say_(`Draw a ${name(this.from)}, then extend it stroke by stroke until the network changes its mind. Which stroke does it, and what did the network see in it?`);
    else if (phase === "first") say_(this.held ? `${seen} Good. Finish your ${name(this.from)}, then press the button and go on drawing.` : `Draw a ${name(this.from)}. ${seen}`);
    else if (phase === "second") say_(`Now make something else of it: for an 8, close its left side, a little at a time. ${seen}`);
    if (phase === "flipped") this.result();
    else this.told = null;
  }

  /** result tells where the answer flipped and which units changed. */
  result() {
    const {trace, flip, network, app} = this, before = trace[flip - 1].steps, after = trace[flip].steps;
    const key = `${before} ${after} ${app.drawing.strokes.length}`;
    byId("scrub").max = trace.length - 1;
    if (app.replayed === null) byId("scrub").value = trace.length - 1;
    if (this.told === key && byId("challenge-units").childElementCount) {
      app.pad.path = this.path;
      app.pad.paintMarks();
      return;
    }
    this.told = key;
    const at = steps => {
      network.run(app.drawing.at(steps, network, true));
      return {a: Float64Array.from(network.a[0]), p: Float64Array.from(network.probabilities)};
    };
    const shown = network.pixels;
    const start = at(trace[0].steps), end = at(after);
    network.run(shown);
    const to = trace[flip].answer, from = this.from;
    this.path = app.pad.path = lastPart(app.drawing, after);
    app.pad.paintMarks();
    say(byId("challenge-say"), `Here it flips: from ${network.className(from)} to ${network.className(to)}. The red piece on the pad is the stroke that did it. From your ${network.className(from)} to there, ` +
      `the ${outputName(network)} of ${network.className(from)} went from ${output(network, start.p[from])} to ${output(network, end.p[from])}, that of ${network.className(to)} from ${output(network, start.p[to])} to ${output(network, end.p[to])}.`);
    const order = [...start.a.keys()].sort((i, j) => Math.abs(end.a[j] - start.a[j]) - Math.abs(end.a[i] - start.a[i])).slice(0, UNITS);
    byId("challenge-units").replaceChildren(...order.map(j => {
      const image = new Picture(network.rows, network.cols);
      image.diverging(network.weightsOf(0, j), largest(network.weightsOf(0, j)));
      return el("li", {}, el("button", {type: "button", "aria-label": `unit ${j} of layer 2: take it apart`, onclick: () => app.ask(network, {layer: 1, unit: j})}, image.canvas),
        el("b", {}, `unit ${j}`), el("div", {}, `${plain(start.a[j])} → ${plain(end.a[j])} `, el("small", {}, signed(end.a[j] - start.a[j]))));
    }));
  }

  /** scrub shows the drawing at an entry of the trace. */
  scrub(index) {
    byId("scrub").value = index;
    byId("scrub").setAttribute("aria-valuetext", `step ${index} of ${this.trace.length - 1}${index === this.flip ? ", where it flips" : ""}`);
    this.app.replay(this.trace[index].steps);
    this.app.pad.path = index >= this.flip ? this.path : null;
    this.app.pad.paintMarks();
  }

  play() {
    clearInterval(this.timer);
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
      this.scrub(this.flip);
      return;
    }
    let index = 0;
    this.timer = setInterval(() => {
      this.scrub(index++);
      if (index >= this.trace.length) clearInterval(this.timer);
    }, Math.max(20, 2500 / this.trace.length));
  }

  /** demonstrate draws a 3 and makes an 8 of it. */
  demonstrate() {
    byId("challenge-from").selectedIndex = Math.min(3, byId("challenge-from").options.length - 1);
    this.start();
    if (this.phase === "idle") return;
    const strokes = [[...arc(136, 92, 42, -160, 80), ...arc(136, 186, 50, -80, 160)], arc(136, 92, 42, 200, 90), arc(136, 186, 50, 160, 275)];
    const points = strokes.flatMap((s, i) => s.map((p, j) => ({p, begins: j === 0, second: i === 1 && j === 0})));
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const draw = () => {
      const next = points.shift();
      if (!next || this.phase === "idle") {
        clearInterval(this.timer);
        this.app.settled();
        return false;
      }
      if (next.second) this.ready();
      if (next.begins) this.app.drawing.begin(...next.p, this.app.pad.radius, false);
      else this.app.drawing.extend(...next.p);
      this.app.drawn();
      return true;
    };
    if (still) while (draw());
    else this.timer = setInterval(draw, 24);
  }
}

/** arc lists points of a circle between two angles in degrees. */
function arc(x, y, r, from, to) {
  const n = Math.ceil(Math.abs(to - from) / 8);
  return Array.from({length: n + 1}, (_, i) => {
    const t = (from + (to - from) * i / n) * Math.PI / 180;
    return [x + r * Math.cos(t), y + r * Math.sin(t)];
  });
}

/** lastPart is the end of the stroke that a drawing's steps end with, as it is shown. */
function lastPart(drawing, steps) {
  for (const {points} of drawing.strokes) {
    if (steps > points.length / 2) {
      steps -= points.length / 2;
      continue;
    }
    const part = [];
    let length = 0;
    for (let i = steps - 1; i >= 0 && length < MARK; i--) {
      const p = drawing.shown(points[2 * i], points[2 * i + 1]);
      if (part.length) length += Math.hypot(p[0] - part[0][0], p[1] - part[0][1]);
      part.unshift(p);
    }
    return part;
  }
  return null;
}
