// The colours of the page: those of package viz's figures, light and dark.

import {decodeBytes} from "./network.js";

/** theme is the colours in use: the palette's own, with ramps as CSS colours and as pixels. */
export const theme = {dark: false};

const prefersDark = matchMedia("(prefers-color-scheme: dark)");
let palettes;

/** startTheme takes the palettes {light, dark}, and calls changed whenever the colours change. */
export function startTheme(found, changed) {
  palettes = [found.light, found.dark].map(p => ({...p, ...ramp("diverging", p.diverging), ...ramp("digit", p.digit)}));
  const use = () => {
    theme.dark = isDark();
    Object.assign(theme, palettes[theme.dark ? 1 : 0]);
    changed();
  };
  prefersDark.addEventListener("change", use);
  use();
  return {
    toggle() {
      document.documentElement.dataset.theme = isDark() ? "light" : "dark";
      use();
    },
  };
}

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : prefersDark.matches;
}

function ramp(name, text) {
  const rgb = decodeBytes(text), n = rgb.length / 3;
  const css = [], pixels = new Uint32Array(n);
  for (let i = 0; i < n; i++) {
    const [r, g, b] = rgb.subarray(3 * i, 3 * i + 3);
    css.push(`rgb(${r},${g},${b})`);
    pixels[i] = (255 << 24 | b << 16 | g << 8 | r) >>> 0;
  }
  return {[name]: css, [name + "Pixels"]: pixels};
}

/** shade is the index on the diverging ramp of v from -1 to 1. */
export function shade(v) {
  if (!(v > -1)) return v <= -1 ? 0 : 255; // NaN is 0's
  return v >= 1 ? 510 : Math.round(255 * v) + 255;
}

/** onShade is a colour that can be read on a colour of the diverging ramp. */
export function onShade(index) { return Math.abs(index - 255) > 110 ? theme.background : theme.ink; }
