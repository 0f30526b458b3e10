// A network: its weights, and what it makes of an image. The activations are those of package graph/ir; a test holds
// them together.

/** ACTIVATIONS are what units of hidden layers do with their sums: f, how it is written, and the most that |f| can be,
 * Infinity where there is no such number. */
export const ACTIVATIONS = {
  "identity": {f: z => z, text: "z", most: Infinity},
  "sigmoid": {f: sigmoid, text: "1 / (1 + e⁻ᶻ)", most: 1},
  "tanh": {f: Math.tanh, text: "tanh z", most: 1},
  "relu": {f: z => z > 0 ? z : 0, text: "max(z, 0)", most: Infinity},
  "leaky-relu": {f: z => z > 0 ? z : 0.01 * z, text: "z, or z/100 below 0", most: Infinity},
  "softplus": {f: z => Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z))), text: "log(1 + eᶻ)", most: Infinity},
  "silu": {f: z => z * sigmoid(z), text: "z · sigmoid(z)", most: Infinity},
  "gelu-tanh": {f: z => 0.5 * z * (1 + Math.tanh(0.7978845608028654 * (z + 0.044715 * z * z * z))), text: "z/2 · (1 + tanh(0.798 (z + 0.0447 z³)))", most: Infinity},
  "softsign": {f: z => z / (1 + Math.abs(z)), text: "z / (1 + |z|)", most: 1},
  "rectify": {f: z => z > 0 ? z : 0, text: "max(z, 0)", most: Infinity},
};

function sigmoid(z) { return 1 / (1 + Math.exp(-z)); }

/** Network is a chain of dense layers. z[k] and a[k] are what enters and leaves the units of its layer k, for the image
 * that it last ran on; the last a are the probabilities. */
export class Network {
  /** facts are {name, title, arch, widths, activations, softmax, rows, cols, classes, params}, of which params are those of all layers
   * one after the other, each layer's weights [outputs, inputs] and then its biases. */
  constructor(facts) {
    Object.assign(this, facts);
    const {widths} = facts;
    this.hidden = facts.activations.map(name => ACTIVATIONS[name]);
    this.x = new Float32Array(widths[0]);
    this.pixels = new Uint8Array(widths[0]);
    this.lit = new Int32Array(widths[0]); // indexes of pixels that are not 0
    this.lits = 0;
    this.z = widths.slice(1).map(n => new Float64Array(n));
    this.a = widths.slice(1).map(n => new Float64Array(n));
    this.setParams(facts.params);
  }

  /** setParams gives the network other weights. */
  setParams(params) {
    this.params = params;
    this.layers = [];
    this.projections = new Map();
    let at = 0;
    for (let k = 1; k < this.widths.length; k++) {
      const inputs = this.widths[k - 1], outputs = this.widths[k];
      const weight = params.subarray(at, at += inputs * outputs), bias = params.subarray(at, at += outputs);
      this.layers.push({inputs, outputs, weight, bias, largest: largest(weight)});
    }
    if (at !== params.length) throw new Error(`${this.arch} has ${at} parameters, found ${params.length}`);
  }

  get last() { return this.layers.length - 1; }

  get probabilities() { return this.a[this.last]; }

  /** run sets z and a for an image of bytes, and returns the class with the largest probability, the first of several. */
  run(pixels) {
    const {x, lit} = this;
    this.pixels = pixels;
    let n = 0;
    for (let i = 0; i < x.length; i++) {
      x[i] = pixels[i] / 255;
      if (pixels[i] !== 0) lit[n++] = i;
    }
    this.lits = n;
    this.layers.forEach((layer, k) => {
      const z = this.z[k];
      if (k === 0) this.sumLit(layer, z);
      else sum(layer, this.a[k - 1], z);
      if (k < this.last) {
        const a = this.a[k], {f} = this.hidden[k];
        for (let j = 0; j < z.length; j++) a[j] = f(z[j]);
      } else {
        outputs(z, this.softmax, this.a[k]);
      }
    });
    return argmax(this.probabilities);
  }

  /** sumLit is sum of the pixels that are not 0. */
  sumLit({inputs, outputs, weight, bias}, z) {
    const {x, lit, lits} = this;
    for (let j = 0; j < outputs; j++) {
      const row = j * inputs;
      let s = 0;
      for (let i = 0; i < lits; i++) s += weight[row + lit[i]] * x[lit[i]];
      z[j] = s + bias[j];
    }
  }

  /** inputsOf is what enters layer k. */
  inputsOf(k) { return k === 0 ? this.x : this.a[k - 1]; }

  /** weightsOf is the row of unit j of layer k. */
  weightsOf(k, j) {
    const {inputs, weight} = this.layers[k];
    return weight.subarray(j * inputs, (j + 1) * inputs);
  }

  /** onPixels are the weights of unit j of layer k projected back onto the pixels through all layers before, as if these
   * were linear. */
  onPixels(k, j) {
    const key = k * 65536 + j;
    let row = this.projections.get(key);
    if (row) return row;
    row = this.weightsOf(k, j);
    for (let below = k - 1; below >= 0; below--) {
      const {inputs, outputs, weight} = this.layers[below];
      const next = new Float32Array(inputs);
      for (let i = 0; i < outputs; i++) {
        for (let p = 0; p < inputs; p++) next[p] += row[i] * weight[i * inputs + p];
      }
      row = next;
    }
    this.projections.set(key, row);
    return row;
  }

  /** most is what an activation of layer k is compared with: what it can be at most, or else the largest there is. */
  most(k) {
    if (k === this.last) return 1;
    return this.hidden[k].most < Infinity ? this.hidden[k].most : largest(this.a[k]) || 1;
  }

  className(c) { return this.classes[c] ?? String(c); }
}

function sum({inputs, outputs, weight, bias}, a, z) {
  for (let j = 0; j < outputs; j++) {
    const row = j * inputs;
    let s = 0;
    for (let i = 0; i < inputs; i++) s += weight[row + i] * a[i];
    z[j] = s + bias[j];
  }
}

/** outputs makes probabilities of the last layer's sums. */
function outputs(z, softmax, p) {
  if (!softmax) {
    for (let j = 0; j < z.length; j++) p[j] = sigmoid(z[j]);
    return;
  }
  let top = -Infinity, total = 0;
  for (const v of z) top = Math.max(top, v);
  for (let j = 0; j < z.length; j++) total += p[j] = Math.exp(z[j] - top);
  for (let j = 0; j < z.length; j++) p[j] /= total;
}

/** largest is the largest absolute value. */
export function largest(values) {
  let m = 0;
  for (let i = 0; i < values.length; i++) {
    const v = Math.abs(values[i]);
    if (v > m) m = v;
  }
  return m;
}

export function argmax(values) {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}

/** decodeFloats reads base64 of float32 numbers, little-endian. */
export function decodeFloats(text) { return new Float32Array(decodeBytes(text).buffer); }

/** decodeBytes reads base64. */
export function decodeBytes(text) {
  const raw = atob(text), bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes;
}
