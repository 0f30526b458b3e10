// Sharing: the drawing and what is asked in the address, pictures as files.

import {SIDE} from "./drawing.js";
import {answerOf} from "./card.js";
import {SVGContext} from "./svg.js";
import {theme} from "./colors.js";
import {byId, download, el, say} from "./dom.js";

/** Share keeps the page's state in the address's fragment, and brings it back. */
export class Share {
  constructor(app) {
    this.app = app;
    this.settings = null; // of the networks that are trained here: a function
    this.restored = null; // those that the address had
    byId("copy-link").addEventListener("click", () => this.copy());
    byId("save-png").addEventListener("click", () => this.savePNG());
    byId("save-svg").addEventListener("click", () => this.saveSVG());
    app.on("settled", () => this.keep());
  }

  /** fragment is the state as text. */
  fragment() {
    const {app} = this, state = new URLSearchParams();
    if (!app.drawing.empty) state.set("drawing", encode(pack(app.drawing)));
    if (!app.likeMNIST) state.set("sight", "raw");
    if (app.asked) state.set("ask", [app.networks.indexOf(app.asked.network), app.asked.layer, app.asked.unit].join("."));
    const settings = this.settings?.();
    if (settings) state.set("train", JSON.stringify(settings));
    return state.toString();
  }

  /** keep writes the state into the address, soon. */
  keep() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => history.replaceState(null, "", `#${this.fragment()}`), 150);
  }

  /** restore brings back what the address says, as far as it can be read. */
  restore() {
    const state = new URLSearchParams(location.hash.slice(1)), {app} = this;
    try {
      if (state.has("drawing")) unpack(decode(state.get("drawing")), app.drawing);
      if (state.has("train")) this.restored = JSON.parse(state.get("train"));
    } catch (e) {
      app.drawing.clear();
      say(byId("loaded"), "the address held a drawing that cannot be read");
    }
    if (state.get("sight") === "raw") app.see(false);
    const [index, layer, unit] = (state.get("ask") ?? "").split(".").map(Number), network = app.networks[index];
    if (network && network.widths[layer] > unit) app.ask(network, {layer, unit});
  }

  async copy() {
    history.replaceState(null, "", `#${this.fragment()}`);
    try {
      await navigator.clipboard.writeText(location.href);
      say(byId("shared"), "the link is copied");
    } catch {
      say(byId("shared"), "the link is in the address bar");
    }
  }

  /** scene draws the pad and all networks below each other on anything with a canvas's methods. */
  scene(ctx, width) {
    const {app} = this, gap = 24;
    ctx.fillStyle = theme.background;
    ctx.fillRect(0, 0, width, this.sceneHeight());
    let y = gap;
    for (const card of app.cards) {
      ctx.fillStyle = theme.ink;
      ctx.textBaseline = "alphabetic";
      ctx.textAlign = "left";
      ctx.font = "bold 17px system-ui, sans-serif";
      ctx.fillText(`${card.network.name}: ${answerOf(card.network)}`, gap, y + 14);
      ctx.fillStyle = theme.muted;
      ctx.font = "12px system-ui, sans-serif";
      ctx.fillText(card.facts.textContent, gap, y + 34);
      ctx.save();
      ctx.translate(gap, y + 44);
      card.diagram.paint(ctx, null, null);
      ctx.restore();
      y += 44 + card.diagram.height + gap;
    }
  }

  sceneHeight() { return this.app.cards.reduce((y, card) => y + 44 + card.diagram.height + 24, 24); }

  sceneWidth() { return Math.max(...this.app.cards.map(card => card.diagram.width)) + 48; }

  savePNG() {
    const canvas = el("canvas", {width: 2 * this.sceneWidth(), height: 2 * this.sceneHeight()});
    const ctx = canvas.getContext("2d");
    ctx.scale(2, 2);
    this.scene(ctx, this.sceneWidth());
    canvas.toBlob(blob => download("network.png", blob), "image/png");
  }

  saveSVG() {
    const ctx = new SVGContext(this.sceneWidth(), this.sceneHeight());
    this.scene(ctx, this.sceneWidth());
    download("network.svg", new Blob([ctx.text()], {type: "image/svg+xml"}));
  }
}

/** pack writes a drawing as bytes: a picture with runs of zeros shortened, the view, and strokes as differences between
 * points in quarters of a pixel. */
export function pack(drawing) {
  const out = [1];
  const number = v => { for (v = Math.round(v) >>> 0; ; v >>>= 7) { out.push(v > 127 ? v & 127 | 128 : v); if (v <= 127) return; } };
  const signedNumber = v => number(v < 0 ? -2 * v - 1 : 2 * v);
  const {base, view, strokes} = drawing;
  number(base ? 1 : 0);
  if (base) {
    const name = new TextEncoder().encode(base.name);
    number(name.length);
    out.push(...name);
    number(base.label === null ? 0 : base.label + 1);
    number(base.rows);
    number(base.cols);
    for (let i = 0; i < base.pixels.length; i++) {
      out.push(base.pixels[i]);
      if (base.pixels[i] !== 0) continue;
      let run = 0;
      while (run < 255 && base.pixels[i + 1] === 0) {
        run++;
        i++;
      }
      out.push(run);
    }
  }
  out.push(...new Uint8Array(Float64Array.of(view.dx, view.dy, view.scale, view.angle).buffer));
  number(strokes.length);
  for (const {erase, radius, points} of strokes) {
    number(erase ? 1 : 0);
    number(4 * radius);
    number(points.length / 2);
    let x = 0, y = 0;
    for (let i = 0; i < points.length; i += 2) {
      signedNumber(4 * (points[i] - x));
      signedNumber(4 * (points[i + 1] - y));
      [x, y] = [points[i], points[i + 1]];
    }
  }
  return Uint8Array.from(out);
}

/** unpack makes a drawing what pack wrote. It throws if it cannot. */
export function unpack(bytes, drawing) {
  let at = 0;
  const byte = () => {
    if (at >= bytes.length) throw new Error("the drawing ends too soon");
    return bytes[at++];
  };
  const number = (most = 1e6) => {
    let v = 0;
    for (let shift = 0; ; shift += 7) {
      const b = byte();
      v += (b & 127) * 2 ** shift;
      if (b < 128) break;
      if (shift > 28) throw new Error("a number is too long");
    }
    if (v > most) throw new Error(`expected at most ${most}, found ${v}`);
    return v;
  };
  const signedNumber = () => {
    const v = number();
    return v % 2 ? -(v + 1) / 2 : v / 2;
  };
  if (byte() !== 1) throw new Error("the drawing is of another version");
  let base = null;
  if (number(1)) {
    const name = new TextDecoder().decode(Uint8Array.from({length: number(200)}, byte));
    const label = number(256) - 1, rows = number(1024), cols = number(1024);
    const pixels = new Uint8Array(rows * cols);
    for (let i = 0; i < pixels.length; i++) if ((pixels[i] = byte()) === 0) i += byte();
    base = {name, label: label < 0 ? null : label, rows, cols, pixels};
  }
  const [dx, dy, scale, angle] = new Float64Array(Uint8Array.from({length: 32}, byte).buffer);
  if (![dx, dy, scale, angle].every(Number.isFinite) || scale < 0.2 || scale > 5) throw new Error("the view cannot be");
  const strokes = Array.from({length: number(10_000)}, () => {
    const erase = number(1) === 1, radius = number(4 * SIDE) / 4, points = [];
    let x = 0, y = 0;
    for (let n = number(); n > 0; n--) points.push(x += signedNumber() / 4, y += signedNumber() / 4);
    return {erase, radius, points};
  }).filter(s => s.points.length > 0);
  Object.assign(drawing, {base, strokes, view: {dx, dy, scale, angle}, undone: []});
  drawing.render();
}

/** encode and decode are base64 as addresses take it. */
export function encode(bytes) {
  let raw = "";
  for (const b of bytes) raw += String.fromCharCode(b);
  return btoa(raw).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

export function decode(text) {
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), c => c.charCodeAt(0));
}
