// The drawing: what was drawn and loaded, as a list of operations, and the ink that they make. Nothing here knows of the
// screen, so any moment of a drawing can be made again.

import {fromPicture, asItIs} from "./prepare.js";

/** SIDE is the drawing's, in pixels of ink. */
export const SIDE = 280;

const HERE = {dx: 0, dy: 0, scale: 1, angle: 0};

/** Drawing is a picture to begin with, or none, strokes over it, and how all of it is moved, scaled and turned. */
export class Drawing {
  constructor() {
    this.ink = new Uint8Array(SIDE * SIDE);
    this.base = null; // {rows, cols, pixels, name, label}
    this.strokes = []; // {erase, radius, points: [x, y, x, y, …]} in the drawing's own coordinates
    this.view = {...HERE};
    this.undone = []; // what undo goes back to: functions
  }

  get empty() { return !this.base && this.strokes.length === 0; }

  /** steps is the number of points drawn so far. */
  get steps() { return this.strokes.reduce((sum, s) => sum + s.points.length / 2, 0); }

  get moved() { return Object.keys(HERE).some(k => this.view[k] !== HERE[k]); }

  /** exact says that the drawing is a loaded picture and nothing else. */
  get exact() { return this.base !== null && this.strokes.length === 0 && !this.moved; }

  /** begin starts a stroke at a point of the screen's. */
  begin(x, y, radius, erase) {
    const stroke = {erase, radius: quarter(radius / this.view.scale), points: this.own(x, y).map(quarter)};
    this.strokes.push(stroke);
    this.undone.push(() => { this.strokes.splice(this.strokes.indexOf(stroke), 1); });
    const [sx, sy] = this.shown(...stroke.points);
    stampSegment(this.ink, sx, sy, sx, sy, stroke.radius * this.view.scale, erase);
  }

  /** extend goes on to a point. It returns false if that is where the stroke is. */
  extend(x, y) {
    const {points, radius, erase} = this.strokes[this.strokes.length - 1];
    const [px, py] = this.shown(points[points.length - 2], points[points.length - 1]);
    if (Math.hypot(x - px, y - py) < 0.5) return false;
    const next = this.own(x, y).map(quarter);
    points.push(...next);
    stampSegment(this.ink, px, py, ...this.shown(...next), radius * this.view.scale, erase);
    return true;
  }

  /** load puts a picture in the drawing's place. */
  load(base) {
    this.restoreOnUndo();
    this.base = base;
    this.strokes = [];
    this.view = {...HERE};
    this.render();
  }

  clear() {
    if (this.empty) return;
    this.load(null);
  }

  /** turn moves, scales and turns what is drawn. */
  turn(view) {
    Object.assign(this.view, view);
    this.render();
  }

  restoreOnUndo() {
    const {base, strokes, view} = this;
    const copy = {...view};
    this.undone.push(() => { Object.assign(this, {base, strokes, view: copy}); });
  }

  undo() {
    const back = this.undone.pop();
    if (!back) return;
    back();
    this.render();
  }

  render() { this.renderTo(this.ink, this.steps); }

  /** renderTo makes the ink of the drawing as it was after so many points. */
  renderTo(ink, steps) {
    ink.fill(0);
    if (this.base) this.renderBase(ink);
    const {scale} = this.view;
    for (const {erase, radius, points} of this.strokes) {
      let [px, py] = this.shown(points[0], points[1]);
      for (let i = 0; i < points.length && steps > 0; i += 2, steps--) {
        const [x, y] = this.shown(points[i], points[i + 1]);
        stampSegment(ink, px, py, x, y, radius * scale, erase);
        [px, py] = [x, y];
      }
    }
  }

  renderBase(ink) {
    const {rows, cols, pixels} = this.base;
    const plain = !this.moved;
    for (let y = 0, i = 0; y < SIDE; y++) {
      for (let x = 0; x < SIDE; x++, i++) {
        if (plain) {
          ink[i] = pixels[Math.floor(y * rows / SIDE) * cols + Math.floor(x * cols / SIDE)];
          continue;
        }
        const [u, v] = this.own(x + 0.5, y + 0.5);
        ink[i] = between(pixels, rows, cols, v * rows / SIDE - 0.5, u * cols / SIDE - 0.5);
      }
    }
  }

  /** shown is where a point of the drawing is seen, own the opposite. */
  shown(x, y) {
    const {dx, dy, scale, angle} = this.view;
    const c = scale * Math.cos(angle), s = scale * Math.sin(angle), m = SIDE / 2;
    return [c * (x - m) - s * (y - m) + m + dx, s * (x - m) + c * (y - m) + m + dy];
  }

  own(x, y) {
    const {dx, dy, scale, angle} = this.view;
    const c = Math.cos(angle) / scale, s = Math.sin(angle) / scale, m = SIDE / 2;
    return [c * (x - m - dx) + s * (y - m - dy) + m, -s * (x - m - dx) + c * (y - m - dy) + m];
  }

  /** pixels is what a network sees, made like the images that it was trained on or not; all 0 if nothing is drawn. A picture
   * that was loaded is not made like them again. */
  pixels(network, likeMNIST) {
    const {rows, cols} = network;
    if (this.exact && this.base.rows === rows && this.base.cols === cols) return this.base.pixels;
    return pixelsOf(this.ink, network, likeMNIST);
  }

  /** at is pixels, after so many points. */
  at(steps, network, likeMNIST) {
    const ink = new Uint8Array(SIDE * SIDE);
    this.renderTo(ink, steps);
    return pixelsOf(ink, network, likeMNIST);
  }
}

/** pixelsOf makes ink like a network's images: box is the share of their sides that shapes take, if not MNIST's, and light says
 * that they are dark on light. */
function pixelsOf(ink, {rows, cols, box, light}, likeMNIST) {
  if (!likeMNIST) return asItIs(ink, SIDE, rows, cols);
  const pixels = fromPicture(ink, SIDE, SIDE, rows, cols, box);
  if (!pixels) return new Uint8Array(rows * cols);
  return light ? pixels.map(v => 255 - v) : pixels;
}

/** quarter rounds to quarters of a pixel, which is what links keep, so that what they bring back is the same. */
function quarter(v) { return Math.round(4 * v) / 4; }

/** CORE is the part of the brush's radius that is full ink; from there it fades. */
const CORE = 0.45;

/** stampSegment draws or erases along a line with a soft, round brush. */
function stampSegment(ink, x0, y0, x1, y1, radius, erase) {
  const left = Math.max(0, Math.floor(Math.min(x0, x1) - radius)), right = Math.min(SIDE - 1, Math.ceil(Math.max(x0, x1) + radius));
  const top = Math.max(0, Math.floor(Math.min(y0, y1) - radius)), bottom = Math.min(SIDE - 1, Math.ceil(Math.max(y0, y1) + radius));
  const dx = x1 - x0, dy = y1 - y0, length2 = dx * dx + dy * dy;
  const fade = 255 / (radius * (1 - CORE));
  for (let y = top; y <= bottom; y++) {
    for (let x = left; x <= right; x++) {
      const px = x + 0.5 - x0, py = y + 0.5 - y0;
      const t = length2 === 0 ? 0 : Math.max(0, Math.min(1, (px * dx + py * dy) / length2));
      const ex = px - t * dx, ey = py - t * dy;
      const v = Math.min(255, (radius - Math.sqrt(ex * ex + ey * ey)) * fade);
      if (v <= 0) continue;
      const i = y * SIDE + x;
      if (erase) ink[i] = Math.min(ink[i], 255 - v);
      else if (v > ink[i]) ink[i] = v;
    }
  }
}

/** between interpolates an image bilinearly; it is 0 outside. */
function between(pixels, rows, cols, r, c) {
  const r0 = Math.floor(r), c0 = Math.floor(c), fr = r - r0, fc = c - c0;
  const at = (y, x) => y < 0 || y >= rows || x < 0 || x >= cols ? 0 : pixels[y * cols + x];
  return Math.round((1 - fr) * ((1 - fc) * at(r0, c0) + fc * at(r0, c0 + 1)) + fr * ((1 - fc) * at(r0 + 1, c0) + fc * at(r0 + 1, c0 + 1)));
}
