// A drawing context that makes SVG: as much of a canvas's methods as diagrams use.

/** SVGContext collects what is drawn on it. */
export class SVGContext {
  constructor(width, height) {
    this.width = width;
    this.height = height;
    this.parts = [];
    this.path = "";
    this.offset = [0, 0];
    this.saved = [];
    Object.assign(this, {fillStyle: "#000", strokeStyle: "#000", lineWidth: 1, lineCap: "butt", globalAlpha: 1, font: "", textAlign: "left", textBaseline: "alphabetic"});
  }

  text() { return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${this.width} ${this.height}" width="${this.width}" height="${this.height}">${this.parts.join("\n")}</svg>\n`; }

  at(x, y) { return `${short(x + this.offset[0])} ${short(y + this.offset[1])}`; }

  save() { this.saved.push(this.offset); }
  restore() { this.offset = this.saved.pop(); }
  translate(x, y) { this.offset = [this.offset[0] + x, this.offset[1] + y]; }

  clearRect() {} // nothing is below

  fillRect(x, y, w, h) {
    const [px, py] = this.at(x, y).split(" ");
    this.parts.push(`<rect x="${px}" y="${py}" width="${short(w)}" height="${short(h)}" fill="${this.fillStyle}"${this.alpha()}/>`);
  }

  strokeRect(x, y, w, h) {
    const [px, py] = this.at(x, y).split(" ");
    this.parts.push(`<rect x="${px}" y="${py}" width="${short(w)}" height="${short(h)}" fill="none" stroke="${this.strokeStyle}" stroke-width="${this.lineWidth}"${this.alpha()}/>`);
  }

  beginPath() { this.path = ""; }
  moveTo(x, y) { this.path += `M${this.at(x, y)}`; }
  lineTo(x, y) { this.path += `L${this.at(x, y)}`; }

  /** arc draws whole circles, which are all that diagrams have. */
  arc(x, y, r) {
    this.path += `M${this.at(x + r, y)}a${short(r)} ${short(r)} 0 1 0 ${short(-2 * r)} 0a${short(r)} ${short(r)} 0 1 0 ${short(2 * r)} 0`;
  }

  fill() { this.parts.push(`<path d="${this.path}" fill="${this.fillStyle}"${this.alpha()}/>`); }

  stroke() {
    this.parts.push(`<path d="${this.path}" fill="none" stroke="${this.strokeStyle}" stroke-width="${short(this.lineWidth)}" stroke-linecap="${this.lineCap}"${this.alpha()}/>`);
  }

  fillText(text, x, y) {
    const [px, py] = this.at(x, y).split(" ");
    const anchor = {left: "start", center: "middle", right: "end"}[this.textAlign];
    const shift = this.textBaseline === "middle" ? ' dy=".35em"' : "";
    const bold = this.font.includes("bold") ? ' font-weight="bold"' : "", size = this.font.match(/([\d.]+)px/)?.[1] ?? 12;
    const escaped = text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
    this.parts.push(`<text x="${px}" y="${py}"${shift} font-family="system-ui, sans-serif" font-size="${size}"${bold} text-anchor="${anchor}" fill="${this.fillStyle}">${escaped}</text>`);
  }

  measureText(text) { return {width: 7 * text.length}; }

  drawImage(canvas, x, y, w, h) {
    const [px, py] = this.at(x, y).split(" ");
    this.parts.push(`<image x="${px}" y="${py}" width="${short(w)}" height="${short(h)}" style="image-rendering: pixelated" preserveAspectRatio="none" href="${canvas.toDataURL()}"/>`);
  }

  alpha() { return this.globalAlpha === 1 ? "" : ` opacity="${short(this.globalAlpha)}"`; }
}

const short = v => String(Math.round(100 * v) / 100);
