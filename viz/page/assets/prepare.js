// Makes any picture of one digit look like MNIST's, exactly as FromImage of package mnist does: the same bytes come out.
// The comments there say why; a test in a browser holds the two together.

const BOX_SHARE = 20 / 28;
const MIN_CONTRAST = 16;
const STRAY_SHARE = 0.0005;

/** grey [height, width] row-major bytes to [rows, cols] bytes, light ink on black, which takes a share of the sides; null if
 * the picture is blank. */
export function fromPicture(grey, width, height, rows, cols, share = BOX_SHARE) {
  const ink = inkOf(grey, width, height);
  if (!ink) return null;
  const [left, right] = extent(ink.columns), [top, bottom] = extent(ink.lines);
  const box = fit(ink.values, width, left, top, right - left, bottom - top, share * cols, share * rows);
  if (!box) return null;
  const sums = sumsOf(box.values, box.width, box.height);
  const x0 = place(centre(sums.columns), box.width, cols), y0 = place(centre(sums.lines), box.height, rows);
  const pixels = new Uint8Array(rows * cols);
  for (let y = 0; y < box.height; y++) {
    pixels.set(box.values.subarray(y * box.width, (y + 1) * box.width), (y0 + y) * cols + x0);
  }
  return pixels;
}

/** inkOf returns how much each pixel differs from the background, 0 to 255, with its sums; null without contrast. */
function inkOf(grey, width, height) {
  let darkest = 255, lightest = 0;
  for (let i = 0; i < width * height; i++) {
    const v = grey[i];
    if (v < darkest) darkest = v;
    if (v > lightest) lightest = v;
  }
  const [background, spread] = border(grey, width, height);
  let sign = 1, extreme = lightest - background;
  if (background - darkest > extreme) {
    sign = -1;
    extreme = background - darkest;
  }
  const floor = Math.min(3 * spread + 1, Math.trunc(extreme / 2));
  const contrast = extreme - floor;
  if (contrast < MIN_CONTRAST) return null;
  const half = Math.trunc(contrast / 2);
  const table = new Uint8Array(256);
  for (let v = 0; v < 256; v++) {
    const above = Math.max(0, sign * (v - background) - floor);
    table[v] = Math.trunc((above * 255 + half) / contrast);
  }
  const values = new Uint8Array(width * height), columns = new Float64Array(width), lines = new Float64Array(height);
  for (let y = 0, i = 0; y < height; y++) {
    let line = 0;
    for (let x = 0; x < width; x++, i++) {
      const v = table[grey[i]];
      if (v) {
        values[i] = v;
        columns[x] += v;
        line += v;
      }
    }
    lines[y] = line;
  }
  return {values, columns, lines};
}

/** border is the median of the outermost pixels, corners twice, and the upper quartile of what they differ from it. */
function border(grey, width, height) {
  const counts = new Int32Array(256);
  for (let x = 0; x < width; x++) {
    counts[grey[x]]++;
    counts[grey[(height - 1) * width + x]]++;
  }
  for (let y = 0; y < height; y++) {
    counts[grey[y * width]]++;
    counts[grey[y * width + width - 1]]++;
  }
  const n = 2 * (width + height);
  const median = rank(counts, n >> 1);
  const deviations = new Int32Array(256);
  for (let v = 0; v < 256; v++) deviations[Math.abs(v - median)] += counts[v];
  return [median, rank(deviations, Math.trunc(n * 3 / 4))];
}

/** rank is the value at an index of the sorted values. */
function rank(counts, index) {
  let v = 0;
  for (let seen = counts[0]; seen <= index; seen += counts[v]) v++;
  return v;
}

/** extent is the half-open range of all ink but the stray. */
function extent(sums) {
  let total = 0;
  for (const s of sums) total += s;
  const stray = Math.trunc(STRAY_SHARE * total);
  let from = 0, to = sums.length;
  for (let rest = stray - sums[0]; rest >= 0; rest -= sums[from]) from++;
  for (let rest = stray - sums[to - 1]; rest >= 0; rest -= sums[to - 1]) to--;
  return [from, to];
}

/** fit scales a part of the ink to a box by the Catmull-Rom kernel, and stretches it so that the strongest is 255. */
function fit(ink, stride, left, top, w, h, boxWidth, boxHeight) {
  const scale = Math.min(boxWidth / w, boxHeight / h);
  const width = Math.max(1, Math.round(scale * w)), height = Math.max(1, Math.round(scale * h));
  const across = kernel(width, w), down = kernel(height, h);
  const narrow = new Float64Array(width * h);
  for (let y = 0, t = 0; y < h; y++) {
    const row = (top + y) * stride + left;
    for (let x = 0; x < width; x++, t++) {
      let sum = 0;
      for (let c = across.from[x], i = row + across.first[x]; c < across.from[x + 1]; c++, i++) sum += ink[i] * 257 * across.weights[c];
      narrow[t] = sum * (across.inverse[x] / 65535);
    }
  }
  const fine = new Uint16Array(width * height);
  let strongest = 0;
  for (let y = 0, t = 0; y < height; y++) {
    for (let x = 0; x < width; x++, t++) {
      let sum = 0, alpha = 0;
      for (let c = down.from[y], i = down.first[y]; c < down.from[y + 1]; c++, i++) {
        sum += narrow[i * width + x] * down.weights[c];
        alpha += down.weights[c];
      }
      fine[t] = level(Math.min(sum, alpha) * down.inverse[y]);
      if (fine[t] > strongest) strongest = fine[t];
    }
  }
  if (strongest === 0) return null;
  const half = strongest >> 1, values = new Uint8Array(width * height);
  for (let i = 0; i < values.length; i++) values[i] = Math.trunc((255 * fine[i] + half) / strongest);
  return {values, width, height};
}

/** level turns 0 to 1 into 0 to 65535. */
function level(f) {
  const i = Math.trunc(65535 * f + 0.5);
  return i > 65535 ? 65535 : i > 0 ? i : 0;
}

const SUPPORT = 2;

/** kernel is which of n source pixels each of count pixels sums up, from first[x] on, and with which weights, those
 * from[x] to from[x + 1]. Weights of zero at either end are left out, as those inside are, which add nothing. */
function kernel(count, n) {
  const scale = n / count;
  let halfWidth = SUPPORT, argument = 1;
  if (scale > 1) {
    halfWidth *= scale;
    argument = 1 / scale;
  }
  const first = new Int32Array(count), from = new Int32Array(count + 1), inverse = new Float64Array(count), weights = [];
  for (let x = 0; x < count; x++) {
    const middle = (x + 0.5) * scale - 0.5;
    const low = Math.max(0, Math.floor(middle - halfWidth)), high = Math.min(n, Math.ceil(middle + halfWidth));
    let total = 0, begun = false;
    for (let i = low; i < high; i++) {
      const t = Math.abs((middle - i) * argument);
      const weight = t >= SUPPORT ? 0 : catmullRom(t);
      if (!begun && weight === 0) continue;
      if (!begun) {
        begun = true;
        first[x] = i;
      }
      total += weight;
      weights.push(weight);
    }
    from[x + 1] = weights.length;
    inverse[x] = 1 / total;
  }
  return {first, from, inverse, weights: Float64Array.from(weights)};
}

function catmullRom(t) {
  if (t < 1) return (1.5 * t - 2.5) * t * t + 1;
  return ((-0.5 * t + 2.5) * t - 4) * t + 2;
}

function sumsOf(values, width, height) {
  const columns = new Float64Array(width), lines = new Float64Array(height);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      columns[x] += values[i];
      lines[y] += values[i];
    }
  }
  return {columns, lines};
}

/** centre is the centre of mass, where 0 is the middle of the first pixel. */
function centre(sums) {
  let moment = 0, total = 0;
  for (let i = 0; i < sums.length; i++) {
    moment += i * sums[i];
    total += sums[i];
  }
  return moment / total;
}

/** place is where something so long begins for its centre to be nearest to the middle pixel, all of it inside. */
function place(middle, length, size) {
  return Math.min(Math.max(0, Math.round(Math.trunc(size / 2) - middle)), size - length);
}

/** asItIs scales grey [side, side] to [rows, cols] by the mean of what each pixel covers. */
export function asItIs(grey, side, rows, cols) {
  const pixels = new Uint8Array(rows * cols);
  const high = side / rows, wide = side / cols;
  for (let r = 0, i = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++, i++) {
      pixels[i] = Math.round(mean(grey, side, c * wide, (c + 1) * wide, r * high, (r + 1) * high));
    }
  }
  return pixels;
}

/** mean is that of an area, whose edges may cut pixels. */
function mean(grey, side, left, right, top, bottom) {
  let sum = 0;
  for (let y = Math.floor(top); y < Math.ceil(bottom - 1e-9); y++) {
    const share = Math.min(bottom, y + 1) - Math.max(top, y);
    let line = 0;
    for (let x = Math.floor(left); x < Math.ceil(right - 1e-9); x++) {
      line += (Math.min(right, x + 1) - Math.max(left, x)) * grey[y * side + x];
    }
    sum += share * line;
  }
  return sum / ((right - left) * (bottom - top));
}
