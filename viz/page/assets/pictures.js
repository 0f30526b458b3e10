// Images of a network's pixels: what it sees, and weights on it.

import {theme, shade} from "./colors.js";
import {el} from "./dom.js";

/** Picture is a canvas with one pixel for each of rows x cols values; the style sheet makes it larger. */
export class Picture {
  constructor(rows, cols, label = "") {
    this.canvas = el("canvas", {width: cols, height: rows, className: "picture"});
    if (label) {
      this.canvas.setAttribute("role", "img");
      this.canvas.setAttribute("aria-label", label);
    } else {
      this.canvas.setAttribute("aria-hidden", "true");
    }
    this.context = this.canvas.getContext("2d");
    this.data = this.context.createImageData(cols, rows);
    this.words = new Uint32Array(this.data.data.buffer);
  }

  /** digit shows bytes as ink. */
  digit(pixels) {
    const {words} = this, ramp = theme.digitPixels;
    for (let i = 0; i < words.length; i++) words[i] = ramp[pixels[i]];
    this.context.putImageData(this.data, 0, 0);
  }

  /** diverging shows values from -limit (red) to limit (blue), each times what stands in by, if that is given. */
  diverging(values, limit, by) {
    const {words} = this, ramp = theme.divergingPixels, scale = limit === 0 ? 0 : 1 / limit;
    for (let i = 0; i < words.length; i++) words[i] = ramp[shade(scale * (by ? values[i] * by[i] : values[i]))];
    this.context.putImageData(this.data, 0, 0);
  }
}
