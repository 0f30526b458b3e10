(() => {
  const problems = [];
  const shown = e => e.checkVisibility({visibilityProperty: true, opacityProperty: true}) && !e.closest("[hidden], .unseen, .skip");
  const label = e => `${e.tagName.toLowerCase()}${e.id ? "#" + e.id : ""}${e.className && typeof e.className === "string" ? "." + e.className.split(" ")[0] : ""}`;
  const name = e => (e.getAttribute("aria-label") ?? (e.getAttribute("aria-labelledby") ?? "").split(" ").map(id => document.getElementById(id)?.textContent ?? "").join("")
    ?? "").trim() || [...(e.labels ?? [])].map(l => l.textContent).join("").trim() || (/^(button|a|summary|legend)$/i.test(e.tagName) || ["tab"].includes(e.getAttribute("role")) ? e.textContent.trim() : "") || e.title;

  // The language, one title, ids that are unique, references that lead somewhere.
  if (!document.documentElement.lang) problems.push("the page has no language");
  if (!document.title) problems.push("the page has no title");
  const ids = new Set();
  for (const e of document.querySelectorAll("[id]")) {
    if (ids.has(e.id)) problems.push(`the id ${e.id} is there twice`);
    ids.add(e.id);
  }
  for (const attribute of ["aria-controls", "aria-labelledby", "aria-describedby", "for"]) {
    for (const e of document.querySelectorAll(`[${attribute}]`)) {
      for (const id of e.getAttribute(attribute).split(" ")) if (!document.getElementById(id)) problems.push(`${label(e)}: its ${attribute} points to nothing, ${id}`);
    }
  }

  // Controls and pictures have names; what takes the focus is a control.
  for (const e of document.querySelectorAll("button, input, select, textarea, summary, a[href], [role=slider], [role=tab], [role=img], [role=application], [role=tabpanel], [role=tablist], [role=group], canvas, img, svg")) {
    if (!shown(e) || e.getAttribute("aria-hidden") === "true" || e.closest("[aria-hidden=true]")) continue;
    if (!name(e)) problems.push(`${label(e)}${e.getAttribute("role") ? " " + e.getAttribute("role") : ""} has no name`);
  }
  for (const e of document.querySelectorAll("[tabindex]")) if (e.tabIndex > 0) problems.push(`${label(e)} changes the order of the keyboard`);
  let level = 0;
  for (const e of document.querySelectorAll("h1, h2, h3, h4, h5, h6")) {
    if (!shown(e)) continue;
    const n = Number(e.tagName[1]);
    if (level === 0 && n !== 1 || n > level + 2) problems.push(`${label(e)} "${e.textContent.slice(0, 20)}" follows a heading of level ${level}`);
    level = n;
  }

  // Nothing is wider than the window, but for what scrolls by itself.
  const scrolls = e => { for (let p = e; p && p !== document.body; p = p.parentElement) if (/auto|scroll|hidden/.test(getComputedStyle(p).overflowX)) return true; return false; };
  if (document.documentElement.scrollWidth > innerWidth) problems.push(`the page is wider than the window: ${document.documentElement.scrollWidth} of ${innerWidth}`);
  for (const e of document.body.querySelectorAll("*")) {
    if (!shown(e)) continue;
    const box = e.getBoundingClientRect();
    if (box.right > innerWidth + 1 && box.width > 0 && !scrolls(e)) problems.push(`${label(e)} is wider than the window, by ${Math.round(box.right - innerWidth)}`);
  }

  // Texts stand out: 4.5 to 1, or 3 to 1 where they are large (WCAG 2.2, 1.4.3). Controls that cannot be used are exempt.
  const paint = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const rgb = css => { paint.clearRect(0, 0, 1, 1); paint.fillStyle = css; paint.fillRect(0, 0, 1, 1); return paint.getImageData(0, 0, 1, 1).data; };
  const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] / 255 + below[i] * (1 - top[3] / 255));
  const background = e => {
    const layers = [];
    for (let p = e; p; p = p.parentElement) layers.push(rgb(getComputedStyle(p).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18] : [255, 255, 255]);
  };
  const luminance = c => [0.2126, 0.7152, 0.0722].reduce((sum, k, i) => { const v = c[i] / 255; return sum + k * (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); }, 0);
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), seen = new Set();
  while (texts.nextNode()) {
    const e = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || seen.has(e) || !shown(e) || e.closest("script, style, option, noscript, :disabled")) continue;
    seen.add(e);
    const style = getComputedStyle(e), below = background(e), text = over(rgb(style.color), below);
    const [a, b] = [luminance(text), luminance(below)].sort((x, y) => y - x), contrast = (a + 0.05) / (b + 0.05);
    const size = parseFloat(style.fontSize), large = size >= 24 || size >= 18.66 && Number(style.fontWeight) >= 700;
    if (contrast < (large ? 3 : 4.5)) problems.push(`${label(e)} "${e.textContent.trim().slice(0, 24)}" has a contrast of ${contrast.toFixed(2)}`);
  }
  return [...new Set(problems)];
})()
