// A network as a picture: the pixels, units that light up, the strongest of what flows between them, and a bar for each
// class. It is drawn on anything with a canvas's methods.

import {theme, shade} from "./colors.js";
import {Picture} from "./pictures.js";
import {argmax, largest} from "./network.js";
import {output, thousands} from "./dom.js";

const CAPTION = 22; // height of what is written above the layers
const HEIGHT = 300; // of the layers, unless there are many classes
const ROW = 13; // the least height of a class
const ROUND = 9; // cells smaller than that are squares
const TINY = 3000; // more units than that are drawn as an image
const WIDTH = 480; // of the picture, until the browser says how much room there is

/** Diagram lays out and draws a network. Layer 0 is the pixels, layer k what network.layers[k - 1] gives. */
export class Diagram {
  constructor(network) {
    this.network = network;
    this.input = new Picture(network.rows, network.cols);
    this.edges = network.layers.map(() => ({from: new Int32Array(0), to: new Int32Array(0), flow: new Float32Array(0), count: 0}));
    this.layout(WIDTH); // units can be asked for, by keys for one, before the picture has its room
  }

  /** layout gives every layer its place in a width. */
  layout(width) {
    const {network} = this, classes = network.widths.at(-1);
    const columns = Math.ceil(classes * ROW / (3 * HEIGHT)) > 1 ? 3 : Math.ceil(classes * ROW / HEIGHT);
    const rows = Math.ceil(classes / columns);
    this.width = width;
    this.height = CAPTION + Math.max(HEIGHT, rows * ROW);
    const tall = this.height - CAPTION;
    const side = Math.round(Math.max(72, Math.min(width * 0.25, 168)));
    const outs = Math.round(Math.max(122, Math.min(width * 0.32, 210)));
    const longer = Math.max(network.rows, network.cols);
    const w = side * network.cols / longer, h = side * network.rows / longer;
    this.places = [{x: 0, y: CAPTION + (tall - h) / 2, w, h, cols: network.cols, rows: network.rows, cell: w / network.cols, n: network.widths[0], round: false}];

    const hidden = network.layers.length - 1;
    const from = w + 14, room = width - outs - 14 - from;
    for (let k = 1; k <= hidden; k++) {
      const slot = room / hidden;
      const cells = fold(network.widths[k], slot - 22, tall);
      const wide = cells.cols * cells.cell, high = cells.rows * cells.cell;
      this.places.push({...cells, x: from + (k - 0.5) * slot - wide / 2, y: CAPTION + (tall - high) / 2, w: wide, h: high, n: network.widths[k]});
    }
    const pitch = Math.min(27, tall / rows);
    this.places.push({
      x: width - outs, y: CAPTION + (tall - rows * pitch) / 2, w: outs, h: rows * pitch, cols: columns, rows, cell: pitch, n: classes,
      round: true, bars: true, column: outs / columns,
    });
    this.classWidth = 0; // measured when something is drawn
  }

  /** centre is where a unit is. */
  centre(layer, unit) {
    const p = this.places[layer];
    if (p.bars) return [p.x + Math.floor(unit / p.rows) * p.column + radius(p), p.y + (unit % p.rows + 0.5) * p.cell];
    const cell = p.w / p.cols, tall = p.h / p.rows;
    return [p.x + (unit % p.cols + 0.5) * cell, p.y + (Math.floor(unit / p.cols) + 0.5) * tall];
  }

  /** hit is the unit at a point, or null. */
  hit(x, y) {
    for (let layer = this.places.length - 1; layer >= 0; layer--) {
      const p = this.places[layer], slack = p.bars || layer === 0 ? 2 : Math.max(3, 10 - p.cell / 2);
      if (x < p.x - slack || x >= p.x + p.w + slack || y < p.y - slack || y >= p.y + p.h + slack) continue;
      const inside = (v, size, n) => Math.max(0, Math.min(n - 1, Math.floor(v / size * n)));
      const column = inside(x - p.x, p.w, p.cols), row = inside(y - p.y, p.h, p.rows);
      const unit = p.bars ? column * p.rows + row : row * p.cols + column;
      if (unit < p.n) return {layer, unit};
    }
    return null;
  }

  /** step is the unit that a key leads to from one. */
  step(layer, unit, key) {
    const p = this.places[layer];
    const [across, down] = p.bars ? [p.rows, 1] : [1, p.cols];
    const next = {ArrowLeft: unit - across, ArrowRight: unit + across, ArrowUp: unit - down, ArrowDown: unit + down, Home: 0, End: p.n - 1}[key];
    return next === undefined ? undefined : Math.max(0, Math.min(p.n - 1, next));
  }

  /** paint draws the network as it has run. asked and hovered are units {layer, unit}, or null. */
  paint(ctx, asked, hovered) {
    const {network} = this;
    const shown = hovered ?? asked;
    ctx.clearRect(0, 0, this.width, this.height);
    ctx.lineCap = "round";
    this.paintEdges(ctx, shown);
    this.input.digit(network.pixels);
    const p = this.places[0];
    ctx.imageSmoothingEnabled = false;
    ctx.drawImage(this.input.canvas, p.x, p.y, p.w, p.h);
    ctx.strokeStyle = theme.grid;
    ctx.lineWidth = 1;
    ctx.strokeRect(p.x + 0.5, p.y + 0.5, p.w - 1, p.h - 1);
    for (let k = 1; k < this.places.length - 1; k++) this.paintUnits(ctx, k);
    this.paintClasses(ctx);
    this.paintCaptions(ctx);
    for (const unit of [asked, hovered]) if (unit) this.ring(ctx, unit, unit === hovered ? theme.ink : theme.good);
  }

  paintCaptions(ctx) {
    ctx.font = "12px system-ui, sans-serif";
    ctx.textBaseline = "alphabetic";
    ctx.fillStyle = theme.muted;
    this.places.forEach((p, layer) => {
      let text = thousands(p.n);
      const slot = (this.width - this.places[0].w - this.places.at(-1).w) / Math.max(1, this.places.length - 2);
      if (layer === 0) text += " pixels";
      else if (p.bars) text += " classes";
      else if (slot > 74) text += " units";
      ctx.textAlign = layer === 0 || p.bars ? "left" : "center";
      ctx.fillText(text, layer === 0 || p.bars ? p.x : p.x + p.w / 2, Math.max(12, (p.bars || layer ? Math.min(p.y, CAPTION) : p.y) - 9));
    });
  }

  paintUnits(ctx, layer) {
    const p = this.places[layer], a = this.network.a[layer - 1], scale = 1 / this.network.most(layer - 1);
    if (p.n > TINY) {
      this.paintMany(ctx, p, a, scale);
      return;
    }
    const r = radius(p);
    for (let j = 0; j < p.n; j++) {
      const [x, y] = this.centre(layer, j);
      ctx.fillStyle = theme.diverging[shade(a[j] * scale)];
      if (!p.round) {
        ctx.fillRect(x - r, y - r, 2 * r, 2 * r);
        continue;
      }
      ctx.beginPath();
      ctx.arc(x, y, r, 0, 2 * Math.PI);
      ctx.fill();
    }
    if (!p.round) return;
    ctx.beginPath();
    for (let j = 0; j < p.n; j++) {
      const [x, y] = this.centre(layer, j);
      ctx.moveTo(x + r, y);
      ctx.arc(x, y, r, 0, 2 * Math.PI);
    }
    ctx.strokeStyle = theme.muted;
    ctx.lineWidth = 1;
    ctx.stroke();
  }

  /** paintMany draws units as pixels of an image. */
  paintMany(ctx, p, a, scale) {
    p.picture ??= new Picture(p.rows, p.cols);
    const values = new Float32Array(p.rows * p.cols);
    values.set(a);
    p.picture.diverging(values, 1 / scale);
    ctx.imageSmoothingEnabled = false;
    ctx.drawImage(p.picture.canvas, p.x, p.y, p.w, p.h);
  }

  paintClasses(ctx) {
    const {network} = this, layer = this.places.length - 1, p = this.places[layer], probabilities = network.probabilities;
    const answer = network.lits ? argmax(probabilities) : -1, r = radius(p);
    const size = Math.max(9, Math.min(13, p.cell - 2));
    const fonts = [`${size}px system-ui, sans-serif`, `bold ${size}px system-ui, sans-serif`];
    ctx.textBaseline = "middle";
    ctx.textAlign = "left";
    if (!this.classWidth) {
      ctx.font = fonts[1];
      this.classWidth = Math.min(p.column * 0.5, Math.max(...network.classes.map(name => ctx.measureText(name).width), 8));
      this.classNames = network.classes.map(name => cut(ctx, name, this.classWidth));
    }
    const figures = p.column > 96 ? 44 : 0, left = 2 * r + 7 + this.classWidth + 6, bar = p.column - left - figures - 4;
    for (let j = 0; j < p.n; j++) {
      const [x, y] = this.centre(layer, j), v = probabilities[j], x0 = x - r + left;
      ctx.beginPath();
      ctx.arc(x, y, r, 0, 2 * Math.PI);
      ctx.fillStyle = theme.diverging[shade(v)];
      ctx.fill();
      ctx.strokeStyle = j === answer ? theme.good : theme.muted;
      ctx.lineWidth = j === answer ? 2 : 1;
      ctx.stroke();
      ctx.font = fonts[j === answer ? 1 : 0];
      ctx.fillStyle = theme.ink;
      ctx.fillText(this.classNames[j], x + r + 7, y + 0.5, this.classWidth);
      if (bar > 8) {
        const h = Math.min(10, p.cell - 5);
        ctx.fillStyle = theme.grid;
        ctx.fillRect(x0, y + h / 2, bar, 1);
        ctx.fillStyle = j === answer ? theme.good : theme.muted;
        ctx.fillRect(x0, y - h / 2, bar * Math.min(1, v), h);
      }
      if (figures) {
        ctx.fillStyle = j === answer ? theme.ink : theme.muted;
        ctx.textAlign = "right";
        ctx.fillText(output(network, v).replace("> ", ">").replace(" %", "%"), x - r + p.column, y + 0.5, figures);
        ctx.textAlign = "left";
      }
    }
  }

  ring(ctx, {layer, unit}, color) {
    const p = this.places[layer], [x, y] = this.centre(layer, unit);
    ctx.beginPath();
    ctx.arc(x, y, Math.max(4, radius(p) + 2.5), 0, 2 * Math.PI);
    ctx.strokeStyle = color;
    ctx.lineWidth = 2.5;
    ctx.stroke();
  }

  /** paintEdges draws what flows: weights times what comes in, the strongest into each unit. Of a unit that is shown, what
   * comes into it and nothing else of its layer. */
  paintEdges(ctx, shown) {
    for (let layer = 1; layer < this.places.length; layer++) {
      const one = shown && shown.layer === layer;
      const edges = one ? strongestInto(this.network, layer - 1, shown.unit, layer === 1 ? 90 : 40) : strongest(this.network, layer - 1, this.edges[layer - 1]);
      this.paintFlow(ctx, layer, edges, one ? 1 : shown ? 0.35 : 0.75);
    }
  }

  paintFlow(ctx, layer, edges, most) {
    const top = largest(edges.flow.subarray(0, edges.count));
    if (top === 0) return;
    const before = this.places[layer - 1], r0 = layer === 1 ? 0 : radius(before), r1 = radius(this.places[layer]);
    // A path for each of a few strengths of either sign.
    const LEVELS = 4;
    for (let level = 0; level < LEVELS; level++) {
      for (const sign of [1, -1]) {
        let any = false;
        for (let e = 0; e < edges.count; e++) {
          const share = sign * edges.flow[e] / top;
          if (share <= 0.06 || Math.min(LEVELS - 1, Math.floor(share * LEVELS)) !== level) continue;
          if (!any) ctx.beginPath();
          any = true;
          const [x0, y0] = this.centre(layer - 1, edges.from[e]), [x1, y1] = this.centre(layer, edges.to[e]);
          ctx.moveTo(x0 + r0, y0);
          ctx.lineTo(x1 - r1, y1);
        }
        if (!any) continue;
        ctx.strokeStyle = sign > 0 ? theme.positive : theme.negative;
        ctx.globalAlpha = most * (level + 1) / LEVELS * (layer === 1 ? 0.6 : 1);
        ctx.lineWidth = 0.6 + 0.6 * level * (layer === 1 ? 0.5 : 1);
        ctx.stroke();
      }
    }
    ctx.globalAlpha = 1;
  }
}

function radius(p) {
  if (p.bars) return Math.max(3, Math.min(8, p.cell / 2 - 2.5));
  return p.round ? Math.min(9, p.cell * 0.4) : Math.max(0.5, p.cell / 2 - (p.cell > 4 ? 0.75 : 0.25));
}

/** fold lays n cells out in a width and a height: one column if they fit, else as large as they can be. */
function fold(n, width, height) {
  const pitch = Math.min(26, height / n);
  if (pitch >= 11) return {cols: 1, rows: n, cell: pitch, round: true};
  for (let cell = 14; cell >= 1.5; cell -= 0.5) {
    const rows = Math.floor(height / cell), cols = Math.floor(width / cell);
    if (rows * cols >= n) return {cols: Math.ceil(n / rows), rows: Math.ceil(n / Math.ceil(n / rows)), cell, round: cell >= ROUND};
  }
  const cell = Math.sqrt(width * height / n), cols = Math.max(1, Math.floor(width / cell));
  return {cols, rows: Math.ceil(n / cols), cell: Math.min(width / cols, height / Math.ceil(n / cols)), round: false};
}

/** EDGES is about how many lines between two layers help. */
const EDGES = 170;

/** strongest lists, for each unit of layer k, the inputs that move its sum most. */
function strongest(network, k, edges) {
  const {inputs, outputs, weight} = network.layers[k], x = network.inputsOf(k);
  const lit = k === 0 ? network.lit : null, n = k === 0 ? network.lits : inputs;
  const each = Math.max(1, Math.min(8, Math.floor(EDGES / outputs))), most = Math.max(EDGES, outputs) * 2;
  if (edges.from.length < most) Object.assign(edges, {from: new Int32Array(most), to: new Int32Array(most), flow: new Float32Array(most)});
  const {from, to, flow} = edges;
  let count = 0;
  for (let j = 0; j < outputs; j++) {
    const row = j * inputs, begin = count;
    for (let e = 0; e < n; e++) {
      const i = lit ? lit[e] : e, v = weight[row + i] * x[i], size = v < 0 ? -v : v;
      if (count - begin === each && size <= Math.abs(flow[count - 1])) continue;
      // Insertion into the few that are kept, largest first.
      let at = count - begin < each ? count++ : count - 1;
      while (at > begin && Math.abs(flow[at - 1]) < size) {
        flow[at] = flow[at - 1];
        from[at] = from[at - 1];
        at--;
      }
      flow[at] = v;
      from[at] = i;
    }
    to.fill(j, begin, count);
  }
  edges.count = count;
  return edges;
}

/** strongestInto lists the inputs that move one unit's sum most, largest first. */
export function strongestInto(network, k, unit, most) {
  const w = network.weightsOf(k, unit), x = network.inputsOf(k);
  const order = [];
  for (let i = 0; i < w.length; i++) if (w[i] * x[i] !== 0) order.push(i);
  order.sort((a, b) => Math.abs(w[b] * x[b]) - Math.abs(w[a] * x[a]));
  const from = Int32Array.from(order.slice(0, most));
  return {from, to: new Int32Array(from.length).fill(unit), flow: Float32Array.from(from, i => w[i] * x[i]), count: from.length};
}

/** cut is a text, or as much of it as fits and an ellipsis. */
function cut(ctx, text, width) {
  if (ctx.measureText(text).width <= width) return text;
  const letters = [...text];
  while (letters.length > 1 && ctx.measureText(letters.join("") + "…").width > width) letters.pop();
  return letters.join("") + "…";
}
