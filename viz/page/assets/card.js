// A network on the page: its name, its answer, and its picture, each unit of which can be pointed at, by keys too.

import {Diagram} from "./diagram.js";
import {argmax} from "./network.js";
import {el, output, outputName, plain, say} from "./dom.js";

/** Card shows one network of app. */
export class Card {
  constructor(app, network) {
    this.app = app;
    this.network = network;
    this.diagram = new Diagram(network);
    this.canvas = el("canvas", {"aria-hidden": "true"});
    this.context = this.canvas.getContext("2d");
    this.tip = el("div", {className: "tip", hidden: true});
    this.stage = el("div", {className: "stage"}, this.canvas, this.tip);
    this.sliders = network.widths.map((n, layer) => this.slider(layer, n));
    this.stage.append(...this.sliders);
    this.answer = el("output", {className: "answer", "aria-live": "off"}, el("b"), el("span"));
    this.facts = el("p", {className: "facts"});
    this.closing = el("button", {type: "button", className: "close", "aria-label": `take ${network.name} off the page`, title: "take it off the page", onclick: () => this.app.remove(this)}, "×");
    this.element = el("article", {className: "card network", "aria-label": `network ${network.name}`},
      el("header", {}, el("div", {}, el("h2", {}, network.name), this.facts), this.answer, this.closing), this.stage);
    this.hovered = null;
    this.describe();
    this.stage.addEventListener("pointermove", e => this.hover(this.unitAt(e)));
    this.stage.addEventListener("pointerleave", () => this.hover(null));
    this.stage.addEventListener("click", e => {
      const unit = this.unitAt(e);
      if (unit) this.ask(unit);
    });
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(this.stage);
  }

  /** describe writes what kind of network it is. */
  describe() {
    const {title, accuracy, note} = this.network;
    const words = [title];
    if (note) words.push(note);
    if (accuracy) words.push(`${(100 * accuracy).toFixed(2)} % right`);
    say(this.facts, words.join(" · "));
  }

  /** slider is what the keyboard and screen readers take for a layer. */
  slider(layer, n) {
    const s = el("div", {className: "layer", role: "slider", tabIndex: 0, "aria-valuemin": "0", "aria-valuemax": String(n - 1), "aria-valuenow": "0",
      "aria-label": layer === 0 ? "pixels" : `units of layer ${layer + 1}`});
    const show = unit => {
      s.setAttribute("aria-valuenow", String(unit));
      s.setAttribute("aria-valuetext", this.text({layer, unit}));
      this.hover({layer, unit});
    };
    s.addEventListener("focus", () => { if (s.matches(":focus-visible")) show(Number(s.getAttribute("aria-valuenow"))); });
    s.addEventListener("blur", () => this.hover(null));
    s.addEventListener("keydown", e => {
      const unit = Number(s.getAttribute("aria-valuenow")), next = this.diagram.step(layer, unit, e.key);
      if (next !== undefined) show(next);
      else if (e.key === "Enter" || e.key === " ") this.ask({layer, unit});
      else return;
      e.preventDefault();
    });
    return s;
  }

  unitAt(e) {
    const box = this.canvas.getBoundingClientRect();
    return this.diagram.hit(e.clientX - box.left, e.clientY - box.top);
  }

  ask(unit) { this.app.ask(this.network, unit); }

  hover(unit) {
    if (unit?.layer === this.hovered?.layer && unit?.unit === this.hovered?.unit) return;
    this.hovered = unit;
    this.stage.classList.toggle("pointing", unit !== null);
    this.paint();
    this.showTip();
  }

  showTip() {
    const unit = this.hovered;
    this.tip.hidden = unit === null;
    if (!unit) return;
    say(this.tip, this.text(unit));
    const [x, y] = this.diagram.centre(unit.layer, unit.unit), {width} = this.diagram;
    const w = this.tip.offsetWidth, h = this.tip.offsetHeight;
    this.tip.style.left = `${Math.max(0, Math.min(x - w / 2, width - w))}px`;
    this.tip.style.top = `${y - h - 14 < 0 ? y + 14 : y - h - 14}px`;
  }

  /** text says what a unit does at the moment. */
  text({layer, unit}) {
    const {network} = this;
    if (layer === 0) return `pixel in row ${Math.floor(unit / network.cols)}, column ${unit % network.cols}: ${(network.pixels[unit] / 255).toFixed(2)}`;
    const z = network.z[layer - 1][unit], a = network.a[layer - 1][unit];
    if (layer === network.layers.length) return `class ${network.className(unit)}: sum ${plain(z)}, ${outputName(network)} ${output(network, a)}`;
    return `unit ${unit} of layer ${layer + 1}: sum ${plain(z)}, activation ${plain(a)}`;
  }

  /** resize fits the picture to the card. */
  resize() {
    const width = Math.floor(this.stage.clientWidth);
    if (width < 50) return;
    this.diagram.layout(width);
    const {height, places} = this.diagram, ratio = Math.min(3, devicePixelRatio || 1);
    this.canvas.width = width * ratio;
    this.canvas.height = height * ratio;
    this.canvas.style.width = `${width}px`;
    this.canvas.style.height = `${height}px`;
    this.stage.style.minHeight = `${height}px`;
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.sliders.forEach((s, layer) => {
      const p = places[layer];
      Object.assign(s.style, {left: `${p.x - 4}px`, top: `${p.y - 4}px`, width: `${p.w + 8}px`, height: `${p.h + 8}px`});
    });
    this.paint();
  }

  /** update runs the network on the drawing and shows what it makes of it. */
  update(pixels) {
    this.network.run(pixels);
    this.paint();
    if (this.hovered) say(this.tip, this.text(this.hovered));
    const best = argmax(this.network.probabilities), there = this.network.lits > 0;
    say(this.answer.firstChild, there ? this.network.className(best) : "–");
    say(this.answer.lastChild, there ? output(this.network, this.network.probabilities[best]) : "");
  }

  paint() {
    const asked = this.app.asked?.network === this.network ? this.app.asked : null;
    this.diagram.paint(this.context, asked, this.hovered);
  }

  remove() {
    this.observer.disconnect();
    this.element.remove();
  }
}

/** answerOf is a network's answer in words; an empty drawing has none. */
export function answerOf(network) {
  if (!network.lits) return "nothing";
  const best = argmax(network.probabilities);
  return `${network.className(best)} (${output(network, network.probabilities[best])})`;
}
