// A unit, taken apart: its weights as an image, weights times drawing, and the sums that make its activation.

import {ACTIVATIONS, largest} from "./network.js";
import {strongestInto} from "./diagram.js";
import {Picture} from "./pictures.js";
import {theme} from "./colors.js";
import {byId, el, output, percent, plain, plural, say, signed} from "./dom.js";

const TILES = 64; // weight images of the first layer that are offered
const TERMS = 12; // incoming weights that are listed

/** Inspector shows the unit that app was asked for. */
export class Inspector {
  constructor(app) {
    this.app = app;
    this.root = byId("unit");
    this.shown = null;
    this.reveal = false;
  }

  /** show builds the view of app.asked. */
  show() {
    const asked = this.app.asked;
    this.shown = asked;
    byId("unit-none").hidden = asked !== null;
    this.root.hidden = asked === null;
    this.root.replaceChildren();
    if (!asked) return;
    const {network, layer, unit} = asked;
    this.parts = layer === 0 ? this.pixelParts(network) : this.unitParts(network, layer, unit);
    const name = layer === 0 ? `Pixel in row ${Math.floor(unit / network.cols)}, column ${unit % network.cols}`
      : layer === network.layers.length ? `Class ${network.className(unit)}` : `Unit ${unit} of layer ${layer + 1}`;
    this.root.append(el("h3", {}, name, el("small", {}, ` in ${network.name}`)), ...this.parts.elements);
    if (layer > 0) this.root.append(this.tiles(network));
    this.update();
  }

  /** update shows what the drawing makes of the unit. */
  update() {
    if (!this.shown || this.root.closest("[hidden]")) return;
    this.parts.update();
  }

  /** pixelParts is a pixel's view: where its value goes. */
  pixelParts(network) {
    const about = el("p", {});
    const list = el("ol", {className: "terms"});
    const update = () => {
      const {unit} = this.shown, {outputs, inputs, weight} = network.layers[0], x = network.x[unit];
      say(about, `Its value is ${x.toFixed(2)}, from 0 (paper) to 1 (ink). Each unit of layer 2 takes it times a weight of its own. The largest:`);
      const order = [...Array(outputs).keys()].sort((a, b) => Math.abs(weight[b * inputs + unit]) - Math.abs(weight[a * inputs + unit]));
      const top = Math.abs(weight[order[0] * inputs + unit]) || 1;
      list.replaceChildren(...order.slice(0, TERMS).map(j => {
        const w = weight[j * inputs + unit];
        return term(`unit ${j}`, `${signed(w)} × ${x.toFixed(2)} = ${signed(w * x)}`, w / top, () => this.app.ask(network, {layer: 1, unit: j}));
      }));
    };
    return {elements: [about, list], update};
  }

  unitParts(network, layer, unit) {
    const {rows, cols} = network, k = layer - 1;
    const first = k === 0;
    const weights = new Picture(rows, cols, first ? "its weights" : "its weights, projected on the pixels");
    const product = new Picture(rows, cols, first ? "weights times drawing" : "projection times drawing");
    const mask = new Float32Array(rows * cols);
    const sentence = el("p", {className: "sentence"}), sums = el("dl", {className: "sums"});
    const list = first ? null : el("ol", {className: "terms"});
    const box = el("input", {type: "checkbox", checked: this.reveal, onchange: e => { this.reveal = e.target.checked; this.update(); }});
    const caption = el("span");
    const images = el("div", {className: "images"},
      figure(weights, caption), figure(product, first ? "weights × drawing" : "projection × drawing"));
    const note = first
      ? "Blue pixels raise the unit's sum, red ones lower it; a pixel without ink adds nothing."
      : `Layer ${layer} stands between this unit and the pixels. The images show what its weights would come to on the pixels if the layers before were linear; the arithmetic is exact.`;
    const update = () => {
      const row = network.weightsOf(k, unit), onPixels = network.onPixels(k, unit), limit = largest(onPixels);
      say(caption, `${first ? "weights" : "weights, projected on the pixels"}: ±${limit.toFixed(2)}`);
      for (let i = 0; i < mask.length; i++) mask[i] = this.reveal ? (network.x[i] > 0 ? 1 : 0) : 1;
      weights.diverging(onPixels, limit, mask);
      product.diverging(onPixels, limit, network.x);
      arithmetic(sentence, sums, network, k, unit, row);
      if (!list) return;
      const {from, flow, count} = strongestInto(network, k, unit, TERMS);
      const top = Math.abs(flow[0]) || 1, x = network.inputsOf(k);
      list.replaceChildren(...Array.from({length: count}, (_, e) => term(`unit ${from[e]} of layer ${layer}`,
        `${signed(row[from[e]])} × ${plain(x[from[e]])} = ${signed(flow[e])}`, flow[e] / top, () => this.app.ask(network, {layer: k, unit: from[e]}))));
    };
    const left = el("div", {className: "look"}, images, el("label", {className: "check"}, box, " reveal the weights only where there is ink"), el("p", {className: "note"}, note));
    const right = el("div", {className: "sum"}, sentence, sums, list && el("h4", {}, "What moves it most"), list);
    return {elements: [el("div", {className: "apart"}, left, right)], update};
  }

  /** tiles are the weight images of the layer that sees the pixels. */
  tiles(network) {
    const layer = network.layers[0], all = [...Array(layer.outputs).keys()];
    if (all.length > TILES) {
      const size = all.map(j => largest(network.weightsOf(0, j)));
      all.sort((a, b) => size[b] - size[a]).length = TILES;
      all.sort((a, b) => a - b);
    }
    const about = all.length < layer.outputs ? `The ${TILES} units of layer 2 with the largest weights` : `What the ${plural(layer.outputs, "unit")} of layer 2 look for`;
    return el("details", {className: "tiles", open: true}, el("summary", {}, about), el("div", {}, ...all.map(j => {
      const p = new Picture(network.rows, network.cols);
      p.diverging(network.weightsOf(0, j), largest(network.weightsOf(0, j)));
      const here = this.shown.layer === 1 && this.shown.unit === j;
      return el("button", {type: "button", "aria-label": `unit ${j} of layer 2`, "aria-pressed": String(here), onclick: () => this.app.ask(network, {layer: 1, unit: j})}, p.canvas, el("span", {}, String(j)));
    })));
  }
}

function figure(picture, caption) { return el("figure", {}, picture.canvas, el("figcaption", {}, caption)); }

/** term is one line of a list: a name, what it adds, and a bar. */
function term(name, text, share, ask) {
  const bar = el("i", {className: share < 0 ? "minus" : "plus"});
  bar.style.width = `${(100 * Math.abs(share)).toFixed(1)}%`;
  return el("li", {}, el("button", {type: "button", className: "link", onclick: ask}, name), el("span", {className: "bar"}, bar), el("span", {className: "figures"}, text));
}

/** arithmetic writes out how the unit comes to its activation. */
function arithmetic(sentence, sums, network, k, unit, row) {
  const x = network.inputsOf(k), bias = network.layers[k].bias[unit], z = network.z[k][unit], a = network.a[k][unit];
  let up = 0, down = 0;
  for (let i = 0; i < row.length; i++) {
    const v = row[i] * x[i];
    if (v > 0) up += v;
    else down += v;
  }
  const last = k === network.last, what = k === 0 ? "pixels" : "units below";
  const rows = [
    [`blue ${k === 0 ? "ink" : "terms"}`, signed(up)],
    [`red ${k === 0 ? "ink" : "terms"}`, signed(down)],
    ["bias", signed(bias)],
    ["sum z", plain(z)],
  ];
  if (!last) {
    const activation = network.activations[k];
    rows.push([`${activation}: ${ACTIVATIONS[activation].text}`, plain(a, 3)]);
    say(sentence, `The ${what} push it up by ${plain(up)} and down by ${plain(-down)}. With its bias of ${plain(bias)} that makes z = ${plain(z)}, of which ${activation} makes ${plain(a, 3)}.`);
  } else if (network.softmax) {
    rows.push(["softmax: eᶻ / sum of all eᶻ", percent(a)]);
    say(sentence, `Its sum is ${plain(z)}. The softmax compares the sums of all ${network.widths.at(-1)} classes, and gives this one ${percent(a)}.`);
  } else {
    rows.push(["sigmoid: 1 / (1 + e⁻ᶻ)", output(network, a)]);
    say(sentence, `Its sum is ${plain(z)}, of which a sigmoid makes ${output(network, a)}: each class for itself, so the outputs need not sum to 1 and are no probabilities.`);
  }
  if (sums.childElementCount !== 2 * rows.length) sums.replaceChildren(...rows.flatMap(() => [el("dt"), el("dd")]));
  rows.forEach(([name, value], i) => {
    say(sums.children[2 * i], name);
    say(sums.children[2 * i + 1], value);
  });
}
