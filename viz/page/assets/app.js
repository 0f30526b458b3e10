// The page: one drawing, the networks that look at it, and the unit that is asked for.

import {Drawing} from "./drawing.js";
import {Network, argmax, decodeBytes, decodeFloats} from "./network.js";
import {Pad} from "./pad.js";
import {Card, answerOf} from "./card.js";
import {Inspector} from "./inspector.js";
import {Challenge} from "./challenge.js";
import {Share} from "./share.js";
import {startTheme} from "./colors.js";
import {byId, output, say} from "./dom.js";

/** App is started with the page's document: palettes, networks and images, see package page. */
export class App {
  constructor(start) {
    this.drawing = new Drawing();
    this.cards = [];
    this.asked = null; // {network, layer, unit}
    this.likeMNIST = true;
    this.replayed = null; // ink that is shown in the drawing's place
    this.images = start.images && {...start.images, pixels: decodeBytes(start.images.pixels), labels: decodeBytes(start.images.labels)};
    this.listeners = {drawn: [], settled: [], networks: [], theme: []};
    const theme = startTheme(start.palettes, () => this.repaint());
    this.pad = new Pad(this);
    this.inspector = new Inspector(this);
    this.challenge = new Challenge(this);
    this.share = new Share(this);
    byId("theme").addEventListener("click", () => theme.toggle());
    byId("like-mnist").addEventListener("change", e => this.see(e.target.checked));
    byId("test-image").addEventListener("click", () => this.loadImage(() => true));
    byId("mistake").addEventListener("click", () => this.loadMistake());
    byId("noise").addEventListener("click", () => this.load(noise(this.cards[0]?.network), false));
    for (const id of ["test-image", "mistake"]) byId(id).disabled = !this.images;
    this.tabs();
    for (const facts of start.networks) this.add({...facts, params: decodeFloats(facts.params)});
    this.share.restore();
    this.drawn();
    this.settled();
    document.body.dataset.ready = "true";
  }

  get networks() { return this.cards.map(c => c.network); }

  /** on calls back when something happens: drawn, settled, networks, theme. */
  on(event, does) { this.listeners[event].push(does); }

  tell(event) { for (const does of this.listeners[event]) does(); }

  /** add shows one more network, before those that are there if it is first. */
  add(facts, first = false) {
    const card = new Card(this, new Network(facts));
    const at = first ? this.cards.findLastIndex(c => c.first) + 1 : this.cards.length;
    card.first = first;
    this.cards.splice(at, 0, card);
    byId("networks").insertBefore(card.element, byId("networks").children[at] ?? null);
    card.update(this.pixelsFor(card.network));
    this.networksChanged();
    return card;
  }

  remove(card) {
    card.remove();
    this.cards.splice(this.cards.indexOf(card), 1);
    if (this.asked?.network === card.network) this.ask(null);
    this.networksChanged();
  }

  /** weigh gives a network other weights. */
  weigh(card, params) {
    card.network.setParams(params);
    card.update(card.network.pixels);
    if (this.asked?.network === card.network) this.inspector.update();
    this.showAnswers();
  }

  networksChanged() {
    byId("answers").replaceChildren();
    this.drawn();
    this.compareSight();
    this.tell("networks");
  }

  /** pixelsFor is what a network sees. */
  pixelsFor(network, likeMNIST = this.likeMNIST) {
    if (this.replayed !== null) return this.drawing.at(this.replayed, network, likeMNIST);
    return this.drawing.pixels(network, likeMNIST);
  }

  /** drawn shows the drawing as it is now, and what the networks make of it. */
  drawn() {
    this.replayed = null;
    this.update();
    this.tell("drawn");
  }

  /** replay shows the drawing as it was after so many steps. */
  replay(steps) {
    this.replayed = steps;
    this.update();
  }

  update() {
    this.pad.paint(this.inkShown());
    this.pad.refresh();
    const seen = new Map(); // networks of one kind of images see the same
    for (const card of this.cards) {
      const {rows, cols, box, light} = card.network, key = [rows, cols, box, light].join();
      if (!seen.has(key)) seen.set(key, this.pixelsFor(card.network));
      card.update(seen.get(key));
    }
    this.inspector.update();
    this.showAnswers();
  }

  /** inkShown is what is on the pad: the drawing, or the moment of it that is replayed. */
  inkShown() {
    if (this.replayed === null) return this.drawing.ink;
    const ink = new Uint8Array(this.drawing.ink.length);
    this.drawing.renderTo(ink, this.replayed);
    return ink;
  }

  /** settled is called when a stroke has ended: what takes longer follows then. */
  settled() {
    this.compareSight();
    say(byId("spoken"), this.drawing.empty ? "" : this.networks.map(n => `${n.name} says ${answerOf(n)}`).join(", "));
    this.tell("settled");
  }

  /** showAnswers writes all answers beside the pad. */
  showAnswers() {
    const list = byId("answers");
    if (list.childElementCount !== this.cards.length) {
      list.replaceChildren(...this.cards.map(() => {
        const item = document.createElement("li");
        item.append(document.createElement("b"), document.createElement("span"));
        return item;
      }));
    }
    this.cards.forEach(({network}, i) => {
      const [answer, words] = list.children[i].children, best = argmax(network.probabilities);
      say(answer, network.lits ? network.className(best) : "–");
      say(words, network.lits ? `${network.name}, ${output(network, network.probabilities[best])}` : network.name);
    });
  }

  /** see switches how the drawing is made what networks see. */
  see(likeMNIST) {
    this.likeMNIST = likeMNIST;
    byId("like-mnist").checked = likeMNIST;
    this.drawn();
    this.settled();
  }

  /** compareSight says what the switch would change. */
  compareSight() {
    const about = byId("sight");
    if (this.drawing.empty || !this.cards.length) {
      say(about, this.likeMNIST ? "Cut to its ink, fitted into 20 of 28 pixels, centred by its mass: as the images that networks were trained on." : "Only made smaller: where you draw and how large matters.");
      return;
    }
    if (this.drawing.exact) {
      say(about, "This picture is shown to networks as it is, until you draw on it or move it.");
      return;
    }
    const {network} = this.cards[0], shown = network.pixels;
    const now = answerOf(network);
    network.run(this.pixelsFor(network, !this.likeMNIST));
    const other = answerOf(network);
    network.run(shown);
    const [as, instead] = this.likeMNIST ? ["Made like MNIST", "left as it is"] : ["Left as it is", "made like MNIST"];
    say(about, `${as}, ${network.name} says ${now}; ${instead}, it would say ${other}.`);
  }

  /** ask takes a unit {layer, unit} of a network apart. */
  ask(network, unit) {
    this.asked = network ? {network, ...unit} : null;
    if (network) this.showTab("ask");
    this.inspector.show();
    for (const card of this.cards) card.paint();
    this.share.keep();
  }

  /** load puts a picture in the drawing's place. */
  load(picture, keepTool = true) {
    this.drawing.load(picture);
    if (!keepTool) this.pad.use("draw");
    this.drawn();
    this.settled();
  }

  /** loadImage loads one of the test images that are as wanted, a random one. */
  loadImage(wanted) {
    const {rows, cols, pixels, labels, numbers} = this.images, size = rows * cols;
    const some = [];
    for (let i = 0; i < labels.length; i++) if (wanted(pixels.subarray(i * size, (i + 1) * size), labels[i])) some.push(i);
    if (some.length === 0) return false;
    const i = some[Math.floor(Math.random() * some.length)];
    this.load({rows, cols, pixels: pixels.slice(i * size, (i + 1) * size), name: `test image ${numbers ? numbers[i] : i}`, label: labels[i]});
    return true;
  }

  /** loadMistake loads an image that a network gets wrong: the one that is asked, or the first. */
  loadMistake() {
    const network = this.asked?.network ?? this.cards[0]?.network;
    if (!network) return;
    const {rows, cols} = this.images;
    const found = network.rows === rows && network.cols === cols && this.loadImage((pixels, label) => network.run(pixels) !== label);
    if (!found) say(byId("loaded"), `${network.name} gets all images right that are here`);
  }

  /** tabs makes the panels below take turns. */
  tabs() {
    const tabs = [...document.querySelectorAll("[role=tab]")];
    for (const tab of tabs) {
      tab.addEventListener("click", () => this.showTab(tab.dataset.tab));
      tab.addEventListener("keydown", e => {
        const there = tabs.filter(t => !t.hidden), by = {ArrowRight: 1, ArrowLeft: -1}[e.key];
        if (!by) return;
        const next = there[(there.indexOf(tab) + by + there.length) % there.length];
        this.showTab(next.dataset.tab);
        next.focus();
      });
    }
  }

  showTab(name) {
    for (const tab of document.querySelectorAll("[role=tab]")) {
      const here = tab.dataset.tab === name;
      tab.setAttribute("aria-selected", String(here));
      tab.tabIndex = here ? 0 : -1;
      byId(`panel-${tab.dataset.tab}`).hidden = !here;
    }
    if (name === "ask") this.inspector.update();
  }

  /** repaint draws everything again, in other colours. */
  repaint() {
    if (!this.pad) return;
    this.update();
    this.inspector.show();
    this.challenge.show();
    this.tell("theme");
  }
}

/** noise is a random picture of a network's size. */
function noise(network) {
  const rows = network?.rows ?? 28, cols = network?.cols ?? 28;
  const pixels = Uint8Array.from({length: rows * cols}, () => Math.floor(256 * Math.random()));
  return {rows, cols, pixels, name: "noise: every pixel drawn at random", label: null};
}
