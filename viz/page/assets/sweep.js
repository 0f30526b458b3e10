// A sweep, as it runs: its report in a frame, made anew when there are new records, and its networks on the drawing.

import {byId, el, say, thousands} from "./dom.js";

const FRESH = 2000; // milliseconds between two reports, at least

/** Sweep is the panel that follows a sweep. */
export class Sweep {
  constructor(app, training) {
    this.app = app;
    this.training = training;
    this.version = 0;
    this.status = el("p", {className: "sentence", role: "status"}, "Reading the sweep.");
    this.box = el("div");
    byId("panel-sweep").append(this.status, this.box); // the report has the title
    const tab = byId("tab-sweep");
    tab.hidden = false;
    tab.addEventListener("click", () => this.listen());
    app.showTab("sweep");
    this.listen();
  }

  listen() {
    if (this.source) return;
    this.source = new EventSource("/api/sweep/events");
    this.source.onmessage = e => this.show(JSON.parse(e.data));
    this.source.onerror = () => say(this.status, "The server does not answer. Is vanilla serve still running?");
  }

  /** show says how far the sweep is, and brings its report, not too often. */
  show(news) {
    this.news = news;
    const far = `${thousands(news.points)} of ${thousands(news.planned)} points have results.`;
    say(this.status, news.problem ? `${far} ${news.problem}` : `${far} Click a point or a row, or press Enter on a point, and its network is trained here and taken to the drawing.`);
    this.renew();
  }

  /** renew loads the report of what there is, unless one is on its way: then it waits for that one. */
  renew() {
    if (this.news.version === this.version || this.loading) return;
    this.loading = true;
    setTimeout(() => {
      this.version = this.news.version;
      this.load();
    }, this.version === 0 ? 0 : FRESH);
  }

  /** load puts a new report in the old one's place when it is there, and nobody types in that or has selected text. */
  load() {
    const old = this.frame, frame = el("iframe", {title: "report of the sweep", src: `/sweep/report?${this.version}`});
    frame.style.height = old ? old.style.height : "600px";
    if (old) frame.style.display = "none";
    const swap = () => {
      if (old?.contentWindow.busy()) {
        setTimeout(swap, 500);
        return;
      }
      this.loading = false;
      this.renew();
      frame.style.display = "";
      if (old) {
        frame.contentWindow.restore(old.contentWindow.state());
        old.remove();
      }
      this.follow(frame);
    };
    frame.addEventListener("load", swap);
    this.frame = frame;
    this.box.append(frame);
  }

  /** follow makes the frame as high as its report, and listens to what is clicked in it. */
  follow(frame) {
    const page = frame.contentDocument;
    const fit = () => { frame.style.height = `${page.documentElement.scrollHeight + 2}px`; };
    new ResizeObserver(fit).observe(page.body);
    fit();
    const point = e => e.target.closest?.("[data-point]")?.dataset.point;
    page.addEventListener("click", e => { if (point(e) !== undefined) this.take(point(e)); });
    page.addEventListener("keydown", e => { if (e.key === "Enter" && point(e) !== undefined) this.take(point(e)); });
  }

  /** take trains a point's network on the page. */
  async take(index) {
    const answer = await fetch(`/api/sweep/point/${index}`);
    if (!answer.ok) {
      say(this.status, (await answer.json()).error);
      return;
    }
    const {recipe, absent, seed} = await answer.json();
    this.training.networks = [{recipe, absent, seed}];
    this.training.showForms();
    this.training.listen();
    this.app.showTab("train");
    await this.training.begin(false);
  }
}
