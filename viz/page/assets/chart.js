// Curves over epochs.

import {theme} from "./colors.js";
import {el} from "./dom.js";

const LEFT = 46, RIGHT = 10, TOP = 24, BOTTOM = 22, HEIGHT_OF_CHART = 210;

/** Chart draws lines of points [epoch, value], one for each series. */
export class Chart {
  /** logarithmic says how its vertical axis is, format how values are written. */
  constructor(title, {logarithmic = false, format = String} = {}) {
    this.title = title;
    this.logarithmic = logarithmic;
    this.format = format;
    this.canvas = el("canvas", {role: "img", "aria-label": title});
    this.element = el("div", {className: "chart"}, this.canvas);
    this.lines = [];
    new ResizeObserver(() => this.paint()).observe(this.element);
  }

  show(lines) {
    this.lines = lines;
    this.paint();
  }

  paint() {
    const width = Math.floor(this.element.clientWidth), height = HEIGHT_OF_CHART, ratio = Math.min(3, devicePixelRatio || 1);
    if (width < 100) return;
    Object.assign(this.canvas, {width: width * ratio, height: height * ratio});
    Object.assign(this.canvas.style, {width: `${width}px`, height: `${height}px`});
    const ctx = this.canvas.getContext("2d");
    ctx.scale(ratio, ratio);
    ctx.font = "600 13px system-ui, sans-serif";
    ctx.fillStyle = theme.ink;
    ctx.fillText(this.title, 0, 13);
    const points = this.lines.flat();
    let most = 1, low = Infinity, high = -Infinity;
    for (const [epoch, value] of points) {
      most = Math.max(most, epoch);
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
    this.canvas.setAttribute("aria-label", points.length ? `${this.title}: ${this.lines.map(l => l.length ? this.format(l.at(-1)[1]) : "none yet").join(", ")}` : `${this.title}: nothing yet`);
    const [bottom, top, ticks] = this.logarithmic ? decades(low, high) : steps(low, high);
    const scale = v => this.logarithmic ? Math.log(v) : v;
    const x = e => LEFT + e / most * (width - LEFT - RIGHT), y = v => height - BOTTOM - (scale(v) - scale(bottom)) / (scale(top) - scale(bottom)) * (height - TOP - BOTTOM);
    ctx.font = "11.5px system-ui, sans-serif";
    ctx.fillStyle = theme.muted;
    ctx.strokeStyle = theme.grid;
    ctx.lineWidth = 1;
    ctx.textBaseline = "middle";
    ctx.textAlign = "right";
    for (const v of ticks) {
      const at = Math.round(y(v)) + 0.5;
      ctx.beginPath();
      ctx.moveTo(LEFT, at);
      ctx.lineTo(width - RIGHT, at);
      ctx.stroke();
      ctx.fillText(this.format(v), LEFT - 7, at);
    }
    ctx.textBaseline = "alphabetic";
    for (const e of steps(0, most)[2]) {
      if (e > most || e !== Math.round(e)) continue;
      ctx.textAlign = e === 0 ? "left" : "center";
      ctx.fillText(e === 0 ? "epoch 0" : String(e), x(e), height - 5);
    }
    ctx.lineJoin = "round";
    ctx.lineWidth = 2;
    this.lines.forEach((line, i) => {
      ctx.strokeStyle = ctx.fillStyle = theme.series[i % theme.series.length];
      ctx.beginPath();
      line.forEach(([e, v], j) => j ? ctx.lineTo(x(e), y(v)) : ctx.moveTo(x(e), y(v)));
      ctx.stroke();
      if (!line.length) return;
      ctx.beginPath();
      ctx.arc(x(line.at(-1)[0]), y(line.at(-1)[1]), 3, 0, 2 * Math.PI);
      ctx.fill();
    });
  }
}

/** steps are an axis from low to high in round numbers: its ends and its ticks. */
function steps(low, high) {
  if (!(low < high)) [low, high] = low === high ? [low - 0.05, high + 0.05] : [0, 1];
  const rough = (high - low) / 4, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(m => m * power).find(s => s >= rough);
  const from = Math.floor(low / step + 1e-9), to = Math.ceil(high / step - 1e-9);
  return [from * step, to * step, Array.from({length: to - from + 1}, (_, i) => Number(((from + i) * step).toPrecision(6)))];
}

/** decades are an axis of ones, twos and fives. */
function decades(low, high) {
  if (!(low > 0 && high >= low)) [low, high] = [0.1, 1];
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const m of [1, 2, 5]) ticks.push(Number((m * 10 ** power).toPrecision(3)));
  }
  const from = ticks.findLastIndex(t => t <= low), to = ticks.findIndex(t => t >= high);
  const shown = ticks.slice(Math.max(0, from), Math.max(to, from + 1) + 1);
  return [shown[0], shown.at(-1), shown];
}
