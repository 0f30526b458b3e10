// Making elements, and writing numbers.

/** el makes an element: properties by their DOM names, attributes where a name has a dash or is role, on… listeners. */
export function el(tag, properties = {}, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) e.addEventListener(name.slice(2), value);
    else if (name.includes("-") || name === "role" || name === "for") e.setAttribute(name, value);
    else e[name] = value;
  }
  e.append(...children.filter(c => c !== null && c !== undefined));
  return e;
}

export const byId = id => document.getElementById(id);

/** say changes a text only where it differs: unchanged text is not laid out again, or read out again. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** signed writes a number with its sign, a real minus. */
export function signed(v, digits = 2) {
  const text = Math.abs(v).toFixed(digits);
  return (v < 0 && Number(text) !== 0 ? "−" : "+") + text;
}

export function plain(v, digits = 2) { return signed(v, digits).replace("+", ""); }

/** percent writes 0.921 as 92.1 %, and never 100 % of what is not sure. */
export function percent(p) {
  if (p > 0.9995 && p < 1) return "> 99.9 %";
  return `${(100 * p).toFixed(1)} %`;
}

/** output writes an output of a network: a softmax makes probabilities, a sigmoid numbers from 0 to 1 that sum to anything. */
export function output(network, p) {
  if (network.softmax) return percent(p);
  return p > 0.9995 && p < 1 ? "> 0.999" : p.toFixed(3);
}

/** outputName is what an output is called. */
export const outputName = network => network.softmax ? "probability" : "output";

export const thousands = n => String(n).replace(/\B(?=(\d{3})+$)/g, ",");

export const plural = (n, noun) => `${thousands(n)} ${noun}${n === 1 ? "" : "s"}`;

/** download gives the reader a file. */
export function download(name, blob) {
  const url = URL.createObjectURL(blob);
  el("a", {href: url, download: name}).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
