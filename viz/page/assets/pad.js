// The pad: where one draws, with mouse, pen, finger or keys, and what acts on the drawing.

import {SIDE} from "./drawing.js";
import {theme} from "./colors.js";
import {byId, el, say} from "./dom.js";

const KEY_STEP = 7; // pixels of ink that an arrow key moves the pen

/** Pad draws app.drawing. */
export class Pad {
  constructor(app) {
    this.app = app;
    this.canvas = byId("pad");
    this.marks = byId("pad-marks");
    this.context = this.canvas.getContext("2d");
    this.data = this.context.createImageData(SIDE, SIDE);
    this.words = new Uint32Array(this.data.data.buffer);
    this.tool = "draw";
    this.pointers = new Map(); // of those that are down, where they were last
    this.pen = {x: SIDE / 2, y: SIDE / 4, down: false, shown: false}; // the keyboard's
    this.path = null; // points that are marked: [[x, y], …]
    this.listen();
  }

  listen() {
    const {canvas} = this;
    canvas.addEventListener("pointerdown", e => this.down(e));
    canvas.addEventListener("pointermove", e => this.move(e));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, e => this.up(e));
    canvas.addEventListener("keydown", e => this.key(e));
    canvas.addEventListener("blur", () => { this.pen.down = this.pen.shown = false; this.paintMarks(); });
    canvas.addEventListener("wheel", e => {
      if (this.tool !== "move" || this.app.drawing.empty) return;
      e.preventDefault();
      this.turn({scale: clampScale(this.app.drawing.view.scale * Math.exp(-e.deltaY / 500))});
    }, {passive: false});
    for (const tool of document.querySelectorAll("[data-tool]")) tool.addEventListener("click", () => this.use(tool.dataset.tool));
    byId("undo").addEventListener("click", () => this.change(() => this.app.drawing.undo()));
    byId("clear").addEventListener("click", () => this.change(() => this.app.drawing.clear()));
    byId("scale").addEventListener("input", e => this.turn({scale: 2 ** Number(e.target.value)}));
    byId("angle").addEventListener("input", e => this.turn({angle: Number(e.target.value) * Math.PI / 180}));
    byId("upright").addEventListener("click", () => this.turn({dx: 0, dy: 0, scale: 1, angle: 0}));
    document.addEventListener("keydown", e => {
      if ((e.ctrlKey || e.metaKey) && !e.shiftKey && e.key === "z" && !e.target.matches("input, select, textarea")) {
        e.preventDefault();
        this.change(() => this.app.drawing.undo());
      }
    });
  }

  use(tool) {
    this.tool = tool;
    for (const b of document.querySelectorAll("[data-tool]")) b.setAttribute("aria-pressed", String(b.dataset.tool === tool));
    this.canvas.dataset.using = tool;
  }

  get radius() { return Number(byId("brush").value); }

  /** at is where on the drawing a pointer is. */
  at(e) {
    const box = this.box;
    return [(e.clientX - box.left) * SIDE / box.width, (e.clientY - box.top) * SIDE / box.height];
  }

  down(e) {
    if (e.button > 0) return;
    this.box = this.canvas.getBoundingClientRect();
    this.canvas.setPointerCapture?.(e.pointerId);
    this.pen.shown = false;
    const [x, y] = this.at(e);
    if (this.tool !== "move" && this.pointers.size > 0) return; // a second finger does not draw
    this.pointers.set(e.pointerId, [x, y]);
    if (this.tool === "move") return;
    e.preventDefault();
    this.canvas.focus({preventScroll: true});
    this.app.drawing.begin(x, y, this.radius, this.tool === "erase" || e.buttons === 32);
    this.app.drawn();
  }

  move(e) {
    if (!this.pointers.has(e.pointerId)) return;
    if (this.tool === "move") {
      this.drag(e);
      return;
    }
    const events = e.getCoalescedEvents?.() ?? [];
    let any = false;
    for (const part of events.length ? events : [e]) any = this.app.drawing.extend(...this.at(part)) || any;
    if (any) this.app.drawn();
  }

  /** drag moves the drawing with one pointer, and scales and turns it with two. */
  drag(e) {
    const {view} = this.app.drawing, before = this.pointers.get(e.pointerId), now = this.at(e);
    const other = [...this.pointers].find(([id]) => id !== e.pointerId)?.[1];
    this.pointers.set(e.pointerId, now);
    if (!other) {
      this.turn({dx: view.dx + now[0] - before[0], dy: view.dy + now[1] - before[1]});
      return;
    }
    const [ax, ay] = [before[0] - other[0], before[1] - other[1]], [bx, by] = [now[0] - other[0], now[1] - other[1]];
    const scale = clampScale(view.scale * Math.hypot(bx, by) / Math.max(1, Math.hypot(ax, ay)));
    this.turn({scale, angle: view.angle + Math.atan2(by, bx) - Math.atan2(ay, ax)});
  }

  up(e) {
    if (!this.pointers.delete(e.pointerId)) return;
    this.app.settled();
  }

  /** key draws by keys: arrows move the pen, the space bar puts it down and lifts it. */
  key(e) {
    const step = e.shiftKey ? KEY_STEP / 3 : KEY_STEP;
    const move = {ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step]}[e.key];
    const {pen} = this, {drawing} = this.app;
    if (move) {
      e.preventDefault();
      pen.shown = true;
      if (this.tool === "move") {
        this.turn({dx: drawing.view.dx + move[0], dy: drawing.view.dy + move[1]});
        return;
      }
      pen.x = Math.max(0, Math.min(SIDE, pen.x + move[0]));
      pen.y = Math.max(0, Math.min(SIDE, pen.y + move[1]));
      if (pen.down && drawing.extend(pen.x, pen.y)) this.app.drawn();
    } else if (e.key === " ") {
      e.preventDefault();
      pen.shown = true;
      pen.down = !pen.down;
      if (pen.down) {
        drawing.begin(pen.x, pen.y, this.radius, this.tool === "erase");
        this.app.drawn();
      } else {
        this.app.settled();
      }
    } else if (e.key === "Escape" && pen.down) {
      pen.down = false;
      this.app.settled();
    } else if (e.key === "Backspace" || e.key === "Delete") {
      e.preventDefault();
      this.change(() => drawing.undo());
    } else {
      return;
    }
    this.paintMarks();
  }

  turn(view) { this.change(() => this.app.drawing.turn(view)); }

  /** change does something to the drawing other than drawing on it. */
  change(does) {
    this.pen.down = false;
    does();
    this.app.drawn();
    this.app.settled();
  }

  /** paint shows ink. */
  paint(ink) {
    const {words} = this, ramp = theme.digitPixels;
    for (let i = 0; i < words.length; i++) words[i] = ramp[ink[i]];
    this.context.putImageData(this.data, 0, 0);
    this.paintMarks();
  }

  /** paintMarks draws what is on the pad but is not ink: the keyboard's pen, and where a stroke is marked. */
  paintMarks() {
    const {pen, path, marks} = this;
    const wanted = pen.shown || path;
    if (!wanted && !this.marked) return;
    this.marked = wanted;
    const ctx = marks.getContext("2d");
    ctx.clearRect(0, 0, marks.width, marks.height);
    if (path) {
      ctx.strokeStyle = theme.bad;
      ctx.lineWidth = 9;
      ctx.lineCap = ctx.lineJoin = "round";
      ctx.beginPath();
      path.forEach(([x, y], i) => i ? ctx.lineTo(x, y) : ctx.moveTo(x, y));
      ctx.lineTo(...path.at(-1));
      ctx.stroke();
    }
    if (pen.shown) {
      ctx.strokeStyle = pen.down ? theme.good : theme.muted;
      ctx.lineWidth = 2;
      ctx.beginPath();
      ctx.arc(pen.x, pen.y, this.radius, 0, 2 * Math.PI);
      ctx.moveTo(pen.x - 5, pen.y);
      ctx.lineTo(pen.x + 5, pen.y);
      ctx.moveTo(pen.x, pen.y - 5);
      ctx.lineTo(pen.x, pen.y + 5);
      ctx.stroke();
    }
  }

  /** refresh shows what the controls stand at. */
  refresh() {
    const {view, empty, moved, base} = this.app.drawing;
    byId("scale").value = Math.log2(view.scale);
    byId("angle").value = Math.round(view.angle * 180 / Math.PI);
    byId("placed").hidden = !moved;
    for (const id of ["scale", "angle"]) byId(id).disabled = empty;
    byId("undo").disabled = this.app.drawing.undone.length === 0;
    byId("clear").disabled = empty;
    byId("pad-hint").hidden = !empty;
    const loaded = byId("loaded");
    loaded.replaceChildren();
    if (base) loaded.append(el("span", {}, base.label === null ? base.name : `${base.name}, labelled ${base.label}`));
    say(byId("moved"), moved ? `moved by ${Math.round(view.dx / 10)}, ${Math.round(view.dy / 10)} pixels, × ${view.scale.toFixed(2)}, turned by ${Math.round(view.angle * 180 / Math.PI)}°` : "");
  }
}

const clampScale = s => Math.max(0.25, Math.min(4, s));
