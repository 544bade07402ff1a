// The browser's half of every widget: controls, pictures, and the questions to Python between them.
//
// A widget's `spec` lists panels (where to draw), controls (what may change) and parts (what Python
// computes, each from the few settings it needs). Answers are layers of float32 arrays, kept by the
// settings they belong to; a slider in focus, or under the mouse, has its whole line of positions
// fetched ahead. Drawing, scrubbing through time and picking among answers never leave the browser.

// Where a dragged point may go next, in steps of its grid: by arrow key, or by a slow hand.
const NEIGHBOURS = [[2, 0], [-2, 0], [0, 2], [0, -2], [1, 0], [-1, 0], [0, 1], [0, -1],
  [1, 1], [1, -1], [-1, 1], [-1, -1], [4, 0], [-4, 0], [0, 4], [0, -4]];
const CACHE_BYTES = 6e6;
const PLAY_SECONDS = 6;
// Drawn on a square of 14: a font may lack them.
const SIGNS = {
  start: "M1 2h2v10H1zM12 2 5 7l7 5z", back: "M10 2 3 7l7 5z", on: "M4 2l7 5-7 5z",
  play: "M3 1l9 6-9 6z", pause: "M3 2h3v10H3zM8 2h3v10H8z", whole: "M2 2h10v10H2zM4 4v6h6V4z",
  star: "M7 0l1.7 4.9 5 .1-4 3.1L11.1 13 7 10 2.9 13l1.4-4.9-4-3.1 5-.1z",
};
// Of dots, by their colour, as in the pictures: a disc, a square, two triangles, a diamond, ...
const PLUS = [[-0.4, -1.2], [0.4, -1.2], [0.4, -0.4], [1.2, -0.4], [1.2, 0.4], [0.4, 0.4],
  [0.4, 1.2], [-0.4, 1.2], [-0.4, 0.4], [-1.2, 0.4], [-1.2, -0.4], [-0.4, -0.4]];
const SHAPES = [null, [[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]],
  [[0, -1.2], [1.1, 0.9], [-1.1, 0.9]], [[0, -1.3], [1.3, 0], [0, 1.3], [-1.3, 0]],
  [[-1.1, -0.9], [1.1, -0.9], [0, 1.2]], PLUS,
  PLUS.map(([i, j]) => [0.7 * (i - j), 0.7 * (i + j)])];
const LOST = "The kernel was restarted: it knows neither this widget nor the imports any more. In the "
  + "menu Run, choose Run All Above Selected Cell; then run this cell.";
const BUSY_AFTER = 300, SILENT_AFTER = 8000, REACH_AFTER = 60, LEAD_AFTER = 10; // ms

export default {
  render({ model, el }) {
    const view = new View(model, el);
    return () => view.close();
  },
};

class View {
  constructor(model, el) {
    Object.assign(this, { model, el, spec: model.get("spec"), cache: new Map(), cached: 0 });
    Object.assign(this, { shown: {}, time: Infinity, end: 0, ahead: () => [] });
    this.settings = { ...model.get("settings") };
    this.untold = {}; // of these, what Python does not know yet
    buildRamps(this.spec.ramps);
    el.classList.add("zg");
    this.build();
    this.hear = this.hear.bind(this);
    this.follow = this.follow.bind(this);
    this.lose = this.lose.bind(this);
    model.on("msg:custom", this.hear);
    model.on("change:settings", this.follow);
    model.on("comm_live_update", this.lose);
    this.resized = new ResizeObserver(() => this.paint());
    this.resized.observe(el);
    this.themed = new MutationObserver(() => this.paint());
    this.themed.observe(document.body, { attributeFilter: ["data-jp-theme-light", "class"] });
    this.change();
  }

  close() {
    this.closed = true;
    this.model.off("msg:custom", this.hear);
    this.model.off("change:settings", this.follow);
    this.model.off("comm_live_update", this.lose);
    this.resized.disconnect();
    this.themed.disconnect();
    clearTimeout(this.telling);
    clearTimeout(this.leading);
    this.rest();
  }

  // ---- what is on the page

  build() {
    const { title, panels, controls, timed } = this.spec;
    this.inputs = {};
    this.status = node("div", { class: "zg-status", role: "status" });
    this.wait = node("div", { class: "zg-wait", hidden: true });
    this.alert = node("div", { class: "zg-alert", role: "alert" });
    this.lost = node("div", { class: "zg-lost", "aria-live": "assertive", hidden: true }, LOST);
    this.code = node("input", { type: "text", readonly: true, "aria-label": "this setting as code" });
    this.shared = node("div", { class: "zg-share", hidden: true },
      node("span", {}, "Write this behind the call that makes the widget:"), this.code);
    this.panels = panels.map((panel) => new PANELS[panel.kind](this, panel));
    const groups = new Map();
    for (const control of controls.filter((c) => c.kind !== "hidden")) {
      if (!groups.has(control.group)) groups.set(control.group, []);
      groups.get(control.group).push(this.control(control));
    }
    const fieldsets = [...groups].map(([name, rows]) => name
      ? node("fieldset", {}, node("legend", {}, this.swatch(name), name), ...rows)
      : node("div", { class: "zg-loose" }, ...rows));
    this.el.onkeydown = (event) => { if (event.key === "Escape") this.halt(); };
    this.el.replaceChildren(
      node("section", { "aria-label": title },
        node("div", { class: "zg-head" }, node("span", { class: "zg-title" }, title),
          button("share", "share: this setting as code", () => this.showShared()),
          button("reset", "reset: all as it began", () => this.reset())), this.shared, this.lost,
        node("div", { class: "zg-controls" }, ...fieldsets),
        timed ? this.player() : "", this.wait, this.alert,
        node("div", { class: "zg-panels" }, ...this.panels.map((p) => p.el)),
        this.status));
  }

  control({ name, label, kind, values, most }) {
    const id = `zg-${Math.random().toString(36).slice(2)}`;
    const output = node("span", { class: "zg-value", "aria-hidden": true }); // read as valuetext
    let input;
    if (kind === "slider") {
      input = node("input", { id, type: "range", min: 0, max: values.length - 1, step: 1 });
      input.show = (value) => {
        input.value = nearest(values, value);
        output.textContent = number(value);
        input.setAttribute("aria-valuetext", number(value));
      };
      const line = () => outwards(values, this.settings[name]).map((v) => ({ [name]: v }));
      input.onpointerdown = () => input.focus(); // Safari does not do it by itself
      input.onfocus = () => this.lead(line);
      input.onpointerenter = ({ buttons }) => { if (!buttons) this.lead(line, REACH_AFTER); };
      input.onpointerleave = () => clearTimeout(this.leading);
      input.oninput = () => this.set({ [name]: values[input.value] }, line);
    } else if (kind === "toggle") {
      input = node("input", { id, type: "checkbox" });
      input.show = (value) => { input.checked = value; };
      input.onchange = () => this.set({ [name]: input.checked });
    } else if (kind === "field") {
      input = node("textarea", { id, rows: 3, maxlength: most, spellcheck: "false" });
      input.show = (value) => { if (input.value !== value) input.value = value; };
      input.oninput = () => this.set({ [name]: input.value }, () => []);
      input.onkeydown = (event) => { // to JupyterLab, Enter means the cell
        if (event.key !== "Enter") return;
        event.preventDefault();
        event.stopPropagation();
        input.setRangeText("\n", input.selectionStart, input.selectionEnd, "end");
        input.oninput();
      };
    } else {
      input = node("select", { id }, ...values.map((v) => node("option", {}, v)));
      input.show = (value) => { input.value = value; };
      input.onchange = () => this.set({ [name]: input.value });
    }
    this.inputs[name] = input;
    return node("div", { class: `zg-control zg-${kind}` },
      node("label", { for: id }, label), input, kind === "slider" ? output : "");
  }

  /** Whether the controls show already which colour this layer has: one legend is enough. */
  isMarked({ label, colour, kind, thin, mark }) {
    return kind === "line" && !thin && !mark && (this.spec.groups || {})[label] === colour
      && this.spec.controls.some((c) => c.group === label && c.kind !== "hidden");
  }

  swatch(group) {
    const colour = (this.spec.groups || {})[group];
    return colour === undefined ? "" : swatch(this.spec, colour);
  }

  player() {
    this.playButton = button(sign("play"), "play", () => this.play(!this.playing));
    this.scrub = node("input", { type: "range", min: 0, step: 1, "aria-label": "time" });
    this.scrub.oninput = () => this.seek(+this.scrub.value);
    this.clock = node("span", { class: "zg-value", "aria-hidden": true });
    return node("div", { class: "zg-player" },
      button(sign("start"), "to the start", () => this.seek(0)),
      button(sign("back"), "one step back", () => this.seek(Math.ceil(this.now()) - 1)),
      this.playButton,
      button(sign("on"), "one step on", () => this.seek(Math.floor(this.now()) + 1)),
      this.scrub, this.clock);
  }

  // ---- settings, questions and answers

  /** Ask for what may come next: for `likely` changes, then for those that `ahead` lists.
   *
   * It waits a little: what the same hand asks for in earnest meanwhile comes first, and asks for
   * all of it. */
  lead(ahead, after = LEAD_AFTER, ...likely) {
    clearTimeout(this.leading);
    this.leading = setTimeout(() => {
      this.ahead = ahead;
      this.ask(...likely);
    }, after);
  }

  set(changes, ahead = this.ahead) {
    this.ahead = ahead;
    Object.assign(this.settings, changes);
    Object.assign(this.untold, changes);
    clearTimeout(this.telling); // Python learns of it when the hand rests
    this.telling = setTimeout(() => {
      this.send({ settings: this.untold });
      this.untold = {};
    }, 800);
    this.change();
  }

  /** Everything as it began, the visible box and the dragged point too. */
  reset() {
    this.seek(Infinity);
    this.set(Object.fromEntries(this.spec.controls.map((c) => [c.name, c.default])));
  }

  /** Show or hide the setting as code; shown, it is selected, and copied where that is allowed. */
  showShared() {
    this.shared.hidden = !this.shared.hidden;
    if (this.shared.hidden) return;
    this.code.value = this.asCode();
    this.code.select();
    navigator.clipboard?.writeText(this.code.value).catch(() => {}); // it is selected anyway
  }

  /** What differs from the beginning, as Python writes it. */
  asCode() {
    const python = (value) => typeof value === "boolean" ? (value ? "True" : "False")
      : JSON.stringify(value);
    const changed = this.spec.controls.map(({ name, default: first }) => [name, first])
      .filter(([name, first]) => python(this.settings[name]) !== python(first))
      .map(([name]) => `${python(name)}: ${python(this.settings[name])}`);
    return `.at({${changed.join(", ")}})`;
  }

  follow() {
    Object.assign(this.settings, this.model.get("settings"), this.untold);
    this.change();
  }

  change() {
    for (const [name, input] of Object.entries(this.inputs)) input.show(this.settings[name]);
    if (!this.shared.hidden) this.code.value = this.asCode();
    const boxes = this.spec.panels.map((panel) => panel.zoom && this.settings[panel.zoom]).join();
    let news = boxes !== this.boxes;
    this.boxes = boxes;
    for (const part of this.spec.parts) {
      const found = this.recall(this.question(part)[0]);
      if (!found || found === this.shown[part.name]) continue;
      this.shown[part.name] = found;
      news = true;
    }
    this.ask(); // first: the picture can be drawn while Python works
    if (news) this.sort();
    else for (const panel of this.panels) panel.placeHandle?.();
  }

  /** [key, part, values]: what Python needs to compute this part, with `changes` to the settings. */
  question(part, changes = {}) {
    const values = part.needs.map((name) => (name in changes ? changes : this.settings)[name]);
    return [part.name + JSON.stringify(values), part.name, values];
  }

  /** Of some questions, by default those of the present picture, the ones without an answer. */
  missing(questions = this.spec.parts.map((part) => this.question(part))) {
    return questions.filter(([key]) => !this.cache.has(key));
  }

  /** Ask for what is missing now, then for what is likely to be next, then for what may be. */
  ask(...likely) {
    const now = this.missing();
    const soon = this.missing(this.about(likely)), line = this.missing(this.about(this.ahead()));
    clearTimeout(this.leading);
    this.rest();
    if (!now.length && !soon.length && !line.length) return;
    const sent = this.send({ now, soon, line });
    if (sent && now.length) this.busy = setTimeout(() => this.sayBusy(), BUSY_AFTER);
  }

  /** Whether a message could be sent. */
  send(message) {
    try {
      this.model.send(message);
      return true;
    } catch {
      this.lose();
      return false;
    }
  }

  /** There is no Python behind this widget any more. */
  lose() {
    this.rest();
    this.lost.hidden = false;
  }

  /** Nothing is waited for any more. */
  rest() {
    clearTimeout(this.busy);
    this.busy = null;
    this.wait.hidden = true;
  }

  /** Questions about what some changes to the settings change. */
  about(places) {
    return places.flatMap((changes) =>
      this.spec.parts.filter((part) => part.needs.some((name) => name in changes))
        .map((part) => this.question(part, changes)));
  }

  hear({ answers }, [buffer]) {
    const floats = new Float32Array(
      buffer.buffer.slice(buffer.byteOffset, buffer.byteOffset + buffer.byteLength));
    const current = new Map(this.spec.parts.map((part) => [this.question(part)[0], part.name]));
    let news = false;
    for (const answer of answers) {
      const known = unpack(answer, floats);
      if (!answer.stopped) this.remember(answer.key, known);
      if (!current.has(answer.key)) continue;
      this.shown[current.get(answer.key)] = known;
      current.delete(answer.key);
      news = true;
    }
    if (!news) return;
    if ([...current.keys()].every((key) => this.cache.has(key))) this.rest();
    this.sort();
  }

  remember(key, answer) {
    if (this.cache.has(key)) this.cached -= this.cache.get(key).bytes;
    this.cache.delete(key);
    this.cache.set(key, answer);
    this.cached += answer.bytes;
    for (const [old, { bytes }] of this.cache) {
      if (this.cached <= CACHE_BYTES) break;
      this.cache.delete(old);
      this.cached -= bytes;
    }
  }

  recall(key) {
    const answer = this.cache.get(key);
    if (answer) {
      this.cache.delete(key); // and in again, as the youngest
      this.cache.set(key, answer);
    }
    return answer;
  }

  /** Stop playing, and what Python computes. */
  halt() {
    this.play(false);
    if (this.busy) this.send({ stop: true });
    this.rest();
  }

  sayBusy() {
    const stop = node("button", { type: "button", onclick: () => this.halt() }, "stop");
    this.wait.replaceChildren("computing … ", stop);
    this.wait.hidden = false;
    const again = () => {
      this.wait.replaceChildren(
        "Python does not answer. The question is put again until it does. ", stop);
      const sent = this.send({ now: this.missing(), soon: [], line: [] }); // it may have got lost
      if (sent) this.busy = setTimeout(again, SILENT_AFTER);
    };
    this.busy = setTimeout(again, SILENT_AFTER);
  }

  // ---- time and drawing

  now() { return Math.min(this.time, this.end); }

  seek(time) {
    this.playing = false;
    this.time = Math.max(0, Math.min(time, this.end));
    if (this.time === this.end) this.time = Infinity; // the end stays the end when it moves
    this.paint();
  }

  play(on) {
    this.playing = on;
    if (on && this.time >= this.end) this.time = 0;
    this.last = performance.now();
    this.paint();
  }

  /** Where the time stands at first, and where playing stops for once. */
  pauseAt(step) {
    if (step === (this.pause ?? null)) return;
    Object.assign(this, { pause: step, playing: false, time: step ?? Infinity });
  }

  /** Hand the layers that are shown to their panels. */
  sort() {
    const answers = this.spec.parts.map((part) => this.shown[part.name]).filter(Boolean);
    const layers = answers.flatMap((answer) => answer.layers);
    this.steps = layers.find((layer) => layer.kind === "clock");
    this.end = Math.max(0, ...layers.map((layer) => layer.last ?? 0));
    this.pauseAt(layers.find((layer) => layer.kind === "pause")?.at ?? null);
    for (const panel of this.panels) {
      panel.take(layers.filter((layer) => layer.panel === panel.spec.name));
    }
    setText(this.status, layers.filter((y) => y.kind === "status").map((y) => y.text).join("  "));
    setText(this.alert, answers.filter((a) => a.error).map((a) => a.error).join("\n"));
    this.paint();
  }

  paint() {
    this.frame ??= requestAnimationFrame((stamp) => {
      this.frame = null;
      if (this.closed) return;
      if (this.playing) {
        const before = this.time;
        this.time += Math.max(0, stamp - this.last) * Math.max(this.end, 1) / (1000 * PLAY_SECONDS);
        this.last = stamp;
        if (before < this.pause && this.time >= this.pause) {
          Object.assign(this, { time: this.pause, playing: false });
        }
        if (this.time >= this.end) Object.assign(this, { time: Infinity, playing: false });
      }
      this.dress();
      for (const panel of this.panels) panel.draw(this.now());
      if (this.spec.timed) this.showTime();
      if (this.playing) this.paint();
    });
  }

  /** Take colours from the page's theme; only the canvas needs them as values. */
  dress() {
    this.theme = theme(this.el);
    if (this.dressed === this.theme.name) return;
    this.dressed = this.theme.name;
    const colours = this.theme.dark ? this.spec.colours_dark : this.spec.colours;
    colours.forEach((colour, i) => this.el.style.setProperty(`--zg-${i}`, colour));
  }

  showTime() {
    const t = Math.floor(this.now());
    this.scrub.max = this.end;
    this.scrub.value = t;
    const step = (i) => this.steps?.x[i] ?? i;
    const reading = `${this.spec.timed} ${step(t)} of ${step(this.end)}`;
    setText(this.clock, reading);
    this.scrub.setAttribute("aria-valuetext", reading);
    const label = this.playing ? "pause" : "play";
    if (this.playButton.title === label) return;
    this.playButton.title = label;
    this.playButton.setAttribute("aria-label", label);
    this.playButton.replaceChildren(sign(this.playing ? "pause" : "play"));
  }
}

/** An answer with its arrays: views on one copy of the message's buffer, with a shape. */
function unpack({ layers = [], error, span: [from, to] }, floats) {
  const mine = floats.slice(from, to);
  for (const layer of layers) {
    for (const [name, value] of Object.entries(layer)) {
      if (value?.shape) {
        const size = value.shape.reduce((a, b) => a * b, 1);
        layer[name] = mine.subarray(value.at, value.at + size);
        layer[name].shape = value.shape;
      }
    }
    if (layer.kind === "text") layer.last = layer.text.length - 1;
    if (layer.kind === "chart") layer.last = layer.lit.length - 1;
    if (layer.timed) layer.last = layer.x.length - 1;
    if (layer.kind === "frames") layer.last = layer.x.shape[0] - 1;
  }
  return { layers, error, bytes: mine.byteLength + 500 };
}

// ---- panels

class PanelView {
  constructor(view, spec, ...inside) {
    Object.assign(this, { view, spec, layers: [], groups: [], picked: spec.pick });
    this.title = node("span", {}, spec.title);
    this.pick = node("select", { "aria-label": `${spec.title}: what to show`, hidden: true });
    this.pick.onchange = () => {
      this.picked = this.pick.value;
      this.limits = null;
      view.paint();
    };
    this.head = node("div", { class: "zg-head" }, this.title, this.pick);
    const area = `grid-area: span ${spec.rows} / span ${spec.span}`;
    this.el = node("figure", { class: "zg-panel", style: area }, this.head, ...inside);
  }

  take(layers) {
    this.layers = layers;
    this.limits = null;
    const groups = [...new Set(layers.map((layer) => layer.group).filter(Boolean))];
    if (groups.join() !== this.groups.join()) {
      this.groups = groups;
      this.pick.replaceChildren(...groups.map((group) => node("option", {}, group)));
      this.pick.hidden = groups.length < 2;
      setText(this.title, groups.length === 1 ? `${this.spec.title}: ${groups}` : this.spec.title);
    }
    this.group = groups.includes(this.picked) ? this.picked : groups[0];
    if (groups.length) this.pick.value = this.group;
  }

  visible() {
    this.group = this.groups.includes(this.picked) ? this.picked : this.groups[0];
    return this.layers.filter((layer) => !layer.group || layer.group === this.group);
  }
}

/** Text and tables: ordinary elements, so that they can be read, selected and enlarged. */
class Page extends PanelView {
  constructor(view, spec) {
    const body = node("div", { class: "zg-page", style: `min-height: ${spec.height}px` });
    super(view, spec, body);
    this.body = body;
  }

  draw(time) {
    const visible = this.visible();
    const text = visible.map((y) => y.text?.[Math.min(Math.floor(time), y.last)]);
    const same = this.drawn?.length === visible.length
      && visible.every((y, i) => y === this.drawn[i] && text[i] === this.texts[i]);
    if (same) return;
    Object.assign(this, { drawn: visible, texts: text });
    this.body.replaceChildren(...visible.flatMap((layer, i) => [
      layer.label ? node("strong", {}, layer.label) : "",
      layer.kind === "table" ? this.table(layer) : node("p", {}, text[i]),
    ].filter(Boolean)));
  }

  table({ header, rows }) {
    return node("table", {},
      node("thead", {}, node("tr", {}, ...header.map((h) => node("th", { scope: "col" }, h)))),
      node("tbody", {}, ...rows.map((row) =>
        node("tr", {}, ...row.map((cell) => node("td", {}, cell))))));
  }
}

class Axes extends PanelView {
  constructor(view, spec) {
    const canvas = node("canvas", { role: "img", style: `height: ${spec.height}px` });
    const frame = node("div", { class: "zg-frame" }, canvas);
    const legend = node("div", { class: "zg-legend" });
    const readout = node("div", { class: "zg-readout", "aria-hidden": true });
    super(view, spec, frame, node("div", { class: "zg-foot" }, legend, readout));
    Object.assign(this, { canvas, frame, legend, readout });
    canvas.onpointermove = (event) => this.point(event);
    canvas.onpointerleave = () => setText(this.readout, "");
    if (spec.zoom) this.addZoom();
    if (spec.drag) this.addHandle();
  }

  // the visible box, in data

  box() {
    if (this.spec.zoom) return this.view.settings[this.spec.zoom];
    this.limits ??= this.measure();
    return this.limits;
  }

  /** The labels and logarithmic axes: the panel's own, unless an "axis" layer says otherwise. */
  style() {
    return { ...this.spec, ...this.visible().find((layer) => layer.kind === "axis") };
  }

  measure() {
    const { xlim, ylim, log } = this.style();
    const [left, right] = xlim ?? range(this.visible(), "x", log.includes("x"));
    const [low, high] = ylim ?? range(this.visible(), "y", log.includes("y"));
    return [left, low, right, high];
  }

  draw(time) {
    const ratio = window.devicePixelRatio || 1;
    const width = this.frame.clientWidth, height = this.spec.height;
    if (!width) return;
    if (this.canvas.width !== Math.round(width * ratio)
        || this.canvas.height !== Math.round(height * ratio)) {
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
    }
    const context = this.canvas.getContext("2d");
    const layers = this.visible(), look = this.view.theme, style = this.style();
    const bar = layers.find((y) => y.kind === "heat" && y.label);
    const area = { left: style.ylabel ? 62 : 46, top: 8, right: width - (bar ? 64 : 10),
      bottom: height - (style.xlabel ? 38 : 22) };
    const [left, low, right, high] = style.equal ? square(this.box(), area) : this.box();
    const x = scale(left, right, area.left, area.right, style.log.includes("x"));
    const y = scale(low, high, area.bottom, area.top, style.log.includes("y"));
    Object.assign(this, { area, x, y });
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = `11px ${look.font}`;
    this.drawGrid(context, style, layers.some((layer) => layer.kind === "heat"));
    context.save();
    context.beginPath();
    context.rect(area.left, area.top, area.right - area.left, area.bottom - area.top);
    context.clip();
    for (const layer of layers) PAINT[layer.kind]?.(context, layer, this, time);
    context.restore();
    if (bar) colourBar(context, bar, area, look);
    this.placeHandle();
    this.describe(layers);
  }

  drawGrid(context, style, bare) {
    const { area, x, y } = this, look = this.view.theme;
    context.strokeStyle = look.grid;
    context.fillStyle = look.ink;
    context.lineWidth = 1;
    context.textAlign = "center";
    context.textBaseline = "top";
    for (const [at, label] of x.ticks(Math.max(2, (area.right - area.left) / 80))) {
      if (!bare) stroke(context, x(at), area.top, x(at), area.bottom);
      context.fillText(label, x(at), area.bottom + 5);
    }
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const [at, label] of y.ticks(Math.max(2, (area.bottom - area.top) / 36))) {
      if (!bare) stroke(context, area.left, y(at), area.right, y(at));
      context.fillText(label, area.left - 5, y(at));
    }
    context.strokeStyle = look.axis;
    context.strokeRect(area.left, area.top, area.right - area.left, area.bottom - area.top);
    context.textAlign = "center";
    context.textBaseline = "bottom";
    context.fillText(style.xlabel, (area.left + area.right) / 2, this.spec.height - 2);
    context.save();
    context.translate(2, (area.top + area.bottom) / 2);
    context.rotate(-Math.PI / 2);
    context.textBaseline = "top";
    context.fillText(style.ylabel, 0, 0);
    context.restore();
  }

  describe(layers) {
    if (layers === this.described || (this.described?.length === layers.length
        && layers.every((layer, i) => layer.label === this.described[i].label
                                      && layer.colour === this.described[i].colour))) return;
    this.described = layers;
    const named = layers.filter((y) => y.label && y.kind !== "rule" && y.kind !== "heat");
    const unmarked = named.filter((y) => !this.view.isMarked(y));
    this.legend.replaceChildren(...unmarked.map((y) =>
      node("span", {}, swatch(this.view.spec, y.colour, y), y.label)));
    const { title, xlabel, ylabel } = this.style();
    const axes = ylabel && xlabel ? `${ylabel} against ${xlabel}` : "";
    this.canvas.setAttribute("aria-label", [title, axes,
      named.map((y) => y.label).join(", ")].filter(Boolean).join(": "));
  }

  at(event) {
    const box = this.canvas.getBoundingClientRect();
    const [x, y] = [event.clientX, event.clientY].map(Math.floor); // as a double click has them
    return [this.x.back(x - box.left), this.y.back(y - box.top)];
  }

  point(event) {
    if (!this.x) return;
    const [x, y] = this.at(event);
    setText(this.readout, this.reading(x, y));
  }

  /** A place with the names of its axes, and what the map says there. */
  reading(x, y) {
    const { title, xlabel, ylabel } = this.style(), short = (label) => label.replace(/ \(.*\)$/, "");
    const parts = [[xlabel || "x", x], [ylabel || title || "y", y]];
    const map = this.visible().find((layer) => layer.kind === "heat" && (layer.reads || layer.label));
    const value = map && heightOf(map, x, y);
    if (Number.isFinite(value)) parts.push([map.reads || map.label, value]);
    return parts.map(([label, v]) => `${short(label)} ${number(v)}`).join(", ");
  }

  // dragging a point

  addHandle() {
    const [a, b] = this.spec.drag;
    const handle = node("button", { type: "button", class: "zg-handle" });
    // Places on a grid, so that a place is met again; its neighbours are fetched ahead.
    const place = (x, y, i = 0, j = 0) => {
      const [left, low, right, high] = this.box();
      const dx = (right - left) / 160, dy = (high - low) / 160;
      return { [a]: left + dx * clamp(Math.round((x - left) / dx) + i, 0, 160),
        [b]: low + dy * clamp(Math.round((y - low) / dy) + j, 0, 160) };
    };
    const here = () => [this.view.settings[a], this.view.settings[b]];
    const near = () => NEIGHBOURS.map((step) => place(...here(), ...step));
    const under = (event) => place(...this.at(event));
    const drag = (event) => this.view.set(under(event), near);
    handle.onfocus = () => this.view.lead(near);
    handle.onpointerdown = (event) => {
      handle.focus();
      handle.setPointerCapture(event.pointerId);
      handle.onpointermove = drag;
    };
    handle.onpointerup = handle.onpointercancel = () => { handle.onpointermove = null; };
    handle.onkeydown = (event) => {
      const step = { ArrowLeft: [-2, 0], ArrowRight: [2, 0], ArrowUp: [0, 2], ArrowDown: [0, -2] };
      if (!step[event.key]) return;
      event.preventDefault();
      const by = step[event.key].map((n) => n / (event.shiftKey ? 2 : 1));
      this.view.set(place(...here(), ...by), near);
    };
    if (!this.spec.zoom) {
      this.canvas.onmousedown = (event) => event.preventDefault(); // the handle keeps the focus
      this.canvas.onpointerdown = (event) => {
        handle.focus();
        this.canvas.setPointerCapture(event.pointerId);
        drag(event);
        this.dragging = true;
      };
      this.canvas.onpointermove = (event) => { this.point(event); if (this.dragging) drag(event); };
      this.canvas.onpointerup = this.canvas.onpointercancel = () => { this.dragging = false; };
      this.canvas.style.touchAction = "none";
    } else {
      this.canvas.addEventListener("pointerdown", (event) =>
        this.view.lead(this.view.ahead, LEAD_AFTER, under(event)));
      this.canvas.ondblclick = drag; // of which Python has known since the first click
    }
    this.handle = handle;
    this.frame.append(handle);
  }

  placeHandle() {
    const { area, x, y, handle } = this;
    if (!handle || !area) return;
    const [a, b] = this.spec.drag.map((name) => this.view.settings[name]);
    handle.style.left = `${clamp(x(a), area.left, area.right)}px`;
    handle.style.top = `${clamp(y(b), area.top, area.bottom)}px`;
    const label = `${this.spec.handle}: ${this.reading(a, b)}. Move it with the arrow keys.`;
    if (handle.title !== label) {
      handle.title = label;
      handle.setAttribute("aria-label", label);
    }
  }

  // zooming

  addZoom() {
    const name = this.spec.zoom, home = [...this.view.settings[name]];
    const to = (box) => this.view.set({ [name]: box });
    const by = (factor, x, y) => {
      const [left, low, right, high] = this.box();
      x ??= (left + right) / 2;
      y ??= (low + high) / 2;
      to([x - (x - left) / factor, y - (y - low) / factor,
        x + (right - x) / factor, y + (high - y) / factor]);
    };
    const shift = (i, j) => {
      const [left, low, right, high] = this.box();
      const dx = i * (right - left), dy = j * (high - low);
      to([left + dx, low + dy, right + dx, high + dy]);
    };
    this.head.append(node("span", { class: "zg-zoom" },
      button("+", "zoom in", () => by(1.5)), button("−", "zoom out", () => by(1 / 1.5)),
      button(sign("whole"), "show the whole landscape", () => to([...home]))));
    this.canvas.tabIndex = 0;
    this.canvas.onkeydown = (event) => {
      const act = { "+": () => by(1.5), "=": () => by(1.5), "-": () => by(1 / 1.5),
        0: () => to([...home]), ArrowLeft: () => shift(-0.1, 0), ArrowRight: () => shift(0.1, 0),
        ArrowUp: () => shift(0, 0.1), ArrowDown: () => shift(0, -0.1) }[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    };
    this.canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return; // the plain wheel scrolls the page
      event.preventDefault();
      by(event.deltaY < 0 ? 1.15 : 1 / 1.15, ...this.at(event));
    }, { passive: false });
    this.canvas.onpointerdown = (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      this.grip = [event.clientX, event.clientY];
    };
    this.canvas.onpointermove = (event) => {
      this.point(event);
      if (!this.grip) return;
      const { area } = this;
      shift((this.grip[0] - event.clientX) / (area.right - area.left),
        (event.clientY - this.grip[1]) / (area.bottom - area.top));
      this.grip = [event.clientX, event.clientY];
    };
    this.canvas.onpointerup = this.canvas.onpointercancel = () => { this.grip = null; };
  }
}

/** A flow chart whose present box is lit. Boxes stand on a grid, 178 by 72 units a cell. */
class Chart extends PanelView {
  constructor(view, spec) {
    const drawing = svg("svg",
      { class: "zg-chart", role: "img", style: `height: ${spec.height}px` });
    super(view, spec, drawing);
    this.drawing = drawing;
  }

  draw(time) {
    const layer = this.visible()[0];
    if (!layer) return;
    if (layer.boxes.join() !== this.words) this.build(layer);
    const lit = layer.lit[Math.min(Math.floor(time), layer.last)];
    if (lit === this.lit) return;
    this.lit = lit;
    this.boxes.forEach((box, i) => box.classList.toggle("zg-lit", i === lit));
    this.drawing.setAttribute("aria-label", `${this.spec.title}: now ${layer.boxes[lit]}`);
  }

  build({ boxes, places, arrows }) {
    this.words = boxes.join();
    const [columns, rows] = [0, 1].map((i) => 1 + Math.max(...places.map((place) => place[i])));
    const at = places.map(([column, row]) => [70 + 178 * column, 20 + 72 * (rows - 1 - row)]);
    const middle = { "text-anchor": "middle", "dominant-baseline": "central" };
    this.boxes = boxes.map((words, i) => svg("g", { class: "zg-box" },
      svg("rect", { x: at[i][0] - 66, y: at[i][1] - 16, width: 132, height: 32, rx: 6 }),
      svg("text", { x: at[i][0], y: at[i][1], ...middle }, words)));
    const lines = arrows.map(([i, j, label]) => arrow(at[i], at[j], label));
    this.drawing.setAttribute("viewBox", `0 0 ${178 * columns - 38} ${72 * rows - 32}`);
    this.drawing.replaceChildren(...lines, ...this.boxes);
    this.lit = null;
  }
}

/** An arrow from box to box, from border to border, with its label beside it. */
function arrow([x, y], [a, b], label) {
  const dx = a - x, dy = b - y, length = Math.hypot(dx, dy);
  const inside = Math.min(66 / Math.abs(dx), 16 / Math.abs(dy)), i = dx / length, j = dy / length;
  const [fromX, fromY] = [x + inside * dx, y + inside * dy];
  const [toX, toY] = [a - inside * dx - 2 * i, b - inside * dy - 2 * j];
  const barb = (turn) => `L ${toX - 7 * i + turn * 4 * j} ${toY - 7 * j - turn * 4 * i}`;
  return svg("g", {},
    svg("path", { d: `M ${fromX} ${fromY} L ${toX} ${toY} ${barb(1)}
      M ${toX} ${toY} ${barb(-1)}` }),
    svg("text", { x: (fromX + toX) / 2, y: (fromY + toY) / 2 - 6, "text-anchor": "middle" }, label));
}

const PANELS = { text: Page, chart: Chart, axes: Axes };

// ---- one painter for each kind of layer

const PAINT = {
  line(context, layer, axes, time) {
    const { x, y } = layer, last = layer.timed ? Math.min(time, x.length - 1) : x.length - 1;
    const colour = ink(axes, layer.colour);
    Object.assign(context, { strokeStyle: colour, fillStyle: colour, lineJoin: "round",
      lineWidth: layer.thin ? 1 : 2 });
    context.setLineDash(dashes(axes.view.spec, layer.colour));
    const path = new Path2D();
    const whole = Math.floor(last);
    let open = false;
    for (let i = 0; i <= whole; i++) open = extend(path, axes, x[i], y[i], open);
    let tip = [x[whole], y[whole]];
    if (last > whole) {
      const part = last - whole;
      tip = [x, y].map((v) => v[whole] + part * (v[whole + 1] - v[whole]));
      extend(path, axes, ...tip, open);
    }
    context.stroke(path);
    context.setLineDash([]);
    if (layer.marker) for (let i = 0; i <= whole; i++) spot(context, axes, x[i], y[i], 2.5);
    if (layer.timed && layer.head !== false) spot(context, axes, ...tip, 5, true);
  },

  frames(context, layer, axes, time) {
    const [rows, columns] = layer.x.shape;
    if (!rows) return;
    const from = columns * Math.min(Math.floor(time), rows - 1);
    const colour = ink(axes, layer.colour);
    Object.assign(context, { strokeStyle: colour, fillStyle: colour, lineWidth: 1.5 });
    const path = new Path2D();
    let open = false;
    if (layer.mark === "ellipse") {
      const at = (v, angle) =>
        v[from] + v[from + 1] * Math.cos(angle) + v[from + 2] * Math.sin(angle);
      for (let i = 0, angle = 0; i <= 48; i++, angle = i * Math.PI / 24) {
        open = extend(path, axes, at(layer.x, angle), at(layer.y, angle), open);
      }
    } else for (let i = from; i < from + columns; i++) {
      const a = layer.x[i], b = layer.y[i];
      if (layer.mark === "line") open = extend(path, axes, a, b, open);
      else if (layer.mark === "dots") spot(context, axes, a, b, 2.5, false, shape(layer));
      else cross(path, axes, a, b);
    }
    if (layer.mark === "line") context.setLineDash(dashes(axes.view.spec, layer.colour));
    context.stroke(path);
    context.setLineDash([]);
  },

  dots(context, layer, axes) {
    const colour = ink(axes, layer.colour), radius = layer.x.length > 60 ? 2 : 3.5;
    Object.assign(context, { fillStyle: colour, strokeStyle: colour, textAlign: "left",
      textBaseline: "middle" });
    layer.x.forEach((a, i) => {
      if (layer.star) star(context, axes, a, layer.y[i]);
      else spot(context, axes, a, layer.y[i], radius, false, shape(layer));
    });
    const taken = [];
    for (let i = layer.x.length - 1; layer.names && i >= 0; i--) { // the next one's name stands
      const x = axes.x(layer.x[i]), y = axes.y(layer.y[i]);
      const width = context.measureText(layer.names[i]).width;
      const free = !taken.some(([a, b]) => Math.abs(b - y) < 12 && a < x + 8 + width);
      context.textAlign = free ? "left" : "right";
      words(context, axes, layer.names[i], free ? x + 6 : x - 6, y - 4);
      taken.push([free ? x : x - 6 - width, y]);
    }
  },

  band(context, layer, axes) {
    context.fillStyle = ink(axes, layer.colour);
    context.globalAlpha = 0.2;
    const path = new Path2D(), n = layer.x.length;
    let open = false;
    for (let i = 0; i < n; i++) open = extend(path, axes, layer.x[i], layer.y[i], open);
    for (let i = n - 1; i >= 0; i--) open = extend(path, axes, layer.x[i], layer.high[i], open);
    context.fill(path);
    context.globalAlpha = 1;
  },

  bars(context, layer, axes) {
    context.fillStyle = ink(axes, layer.colour);
    context.globalAlpha = 0.75;
    const zero = axes.style().log.includes("y") ? 1e-300 : 0;
    const floor = clamp(axes.y(zero), -1e4, axes.area.bottom);
    layer.x.forEach((a, i) => {
      const left = axes.x(a - layer.width / 2), right = axes.x(a + layer.width / 2);
      const top = axes.y(layer.y[i]);
      context.fillRect(left, Math.min(top, floor), Math.max(1, right - left - 1),
        Math.abs(floor - top));
    });
    context.globalAlpha = 1;
  },

  rule(context, layer, axes) {
    const { area } = axes, colour = ink(axes, layer.colour);
    Object.assign(context, { strokeStyle: colour, fillStyle: colour, lineWidth: 1,
      textAlign: "left", textBaseline: "bottom" });
    context.setLineDash([3, 3]);
    const at = axes[layer.along](layer.at);
    if (layer.along === "x") stroke(context, at, area.top, at, area.bottom);
    else stroke(context, area.left, at, area.right, at);
    context.setLineDash([]);
    if (layer.along === "y") {
      if (layer.below) context.textBaseline = "top";
      return words(context, axes, layer.label, area.left + 4, at + (layer.below ? 3 : -2));
    }
    const fits = at + 4 + context.measureText(layer.label).width < area.right;
    if (!fits) context.textAlign = "right";
    words(context, axes, layer.label, at + (fits ? 4 : -4), area.top + 15);
  },

  /** The panel keeps the one map that it shows, painted. */
  heat(context, layer, axes) {
    const look = axes.view.theme, smooth = layer.ramp === "terrain";
    const map = axes.map ??= { canvas: node("canvas") };
    if (map.layer !== layer || map.look !== look.name) {
      Object.assign(map, { layer, look: look.name });
      (smooth ? contours : cells)(map.canvas, layer, look);
    }
    const [left, low, right, high] = layer.extent;
    context.imageSmoothingEnabled = smooth;
    context.drawImage(map.canvas, axes.x(left), axes.y(high), axes.x(right) - axes.x(left),
      axes.y(low) - axes.y(high));
  },
};

/** Add a point to a path; a point that is not finite, or not on a log axis, breaks the line. */
function extend(path, axes, a, b, open) {
  const x = axes.x(a), y = axes.y(b);
  if (!Number.isFinite(x) || !Number.isFinite(y)) return false;
  if (open) path.lineTo(clamp(x, -1e4, 1e4), clamp(y, -1e4, 1e4));
  else path.moveTo(clamp(x, -1e4, 1e4), clamp(y, -1e4, 1e4));
  return true;
}

/** Words that stand among lines, with a halo of paper. */
function words(context, axes, text, x, y) {
  const { fillStyle } = context;
  Object.assign(context, { strokeStyle: axes.view.theme.paper, lineWidth: 3, lineJoin: "round" });
  context.strokeText(text, x, y);
  context.fillStyle = fillStyle;
  context.fillText(text, x, y);
}

const shape = ({ colour }) => SHAPES.at(colour % 7);

function spot(context, axes, a, b, radius, ringed, corners) {
  const x = axes.x(a), y = axes.y(b);
  if (!Number.isFinite(x) || !Number.isFinite(y)) return;
  context.beginPath();
  if (corners) corners.forEach(([i, j]) => context.lineTo(x + radius * i, y + radius * j));
  else context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
  if (!ringed) return;
  Object.assign(context, { strokeStyle: axes.view.theme.paper, lineWidth: 1.5 });
  context.stroke();
}

function cross(path, axes, a, b) {
  const x = axes.x(a), y = axes.y(b);
  path.moveTo(x - 3.5, y - 3.5);
  path.lineTo(x + 3.5, y + 3.5);
  path.moveTo(x - 3.5, y + 3.5);
  path.lineTo(x + 3.5, y - 3.5);
}

function star(context, axes, a, b) {
  context.beginPath();
  for (let i = 0; i < 10; i++) {
    const r = i % 2 ? 3.5 : 8, angle = Math.PI * (i / 5 - 0.5);
    context.lineTo(axes.x(a) + r * Math.cos(angle), axes.y(b) + r * Math.sin(angle));
  }
  context.closePath();
  context.fill();
  Object.assign(context, { strokeStyle: axes.view.theme.paper, lineWidth: 1 });
  context.stroke();
}

function stroke(context, a, b, c, d) {
  context.beginPath();
  context.moveTo(a, b);
  context.lineTo(c, d);
  context.stroke();
}

// ---- heat maps

function fill(canvas, width, height, colourAt) {
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d"), image = context.createImageData(width, height);
  for (let i = 0, row = height - 1; row >= 0; row--) { // the first row is at the bottom
    for (let column = 0; column < width; column++, i += 4) {
      image.data.set(colourAt(row, column), i);
    }
  }
  context.putImageData(image, 0, 0);
}

/** What a map says at a place: of its cell, or between the points of a terrain. */
function heightOf({ z, extent: [left, low, right, high], ramp, levels }, x, y) {
  const [rows, columns] = z.shape, u = (x - left) / (right - left), v = (y - low) / (high - low);
  if (!(u >= 0 && u <= 1 && v >= 0 && v <= 1)) return NaN;
  if (ramp !== "terrain") {
    return z[Math.min(Math.floor(v * rows), rows - 1) * columns
      + Math.min(Math.floor(u * columns), columns - 1)];
  }
  const j = Math.min(Math.floor(u * (columns - 1)), columns - 2), s = u * (columns - 1) - j;
  const i = Math.min(Math.floor(v * (rows - 1)), rows - 2), t = v * (rows - 1) - i;
  const k = i * columns + j;
  const value = (1 - t) * ((1 - s) * z[k] + s * z[k + 1])
    + t * ((1 - s) * z[k + columns] + s * z[k + columns + 1]);
  if (!levels) return value;
  const at = clamp(value, 0, 1) * (levels.length - 1), l = Math.min(Math.floor(at), levels.length - 2);
  return levels[l] + (at - l) * (levels[l + 1] - levels[l]);
}

function cells(canvas, { z, low, high, ramp }, look) {
  const [rows, columns] = z.shape, colours = look.ramps[ramp];
  fill(canvas, columns, rows, (i, j) => {
    const v = (z[i * columns + j] - low) / (high - low || 1);
    return Number.isFinite(v) ? colours[Math.round(255 * clamp(v, 0, 1))] : [128, 128, 128, 90];
  });
}

/** Bands of colour with a smooth line where they meet, finer than the grid. */
function contours(canvas, { z, low, high }, look) {
  const [rows, columns] = z.shape, fine = Math.ceil(500 / columns), bands = 14;
  const width = (columns - 1) * fine, height = (rows - 1) * fine, w = width + 1;
  const level = new Float32Array(w * (height + 1));
  for (let i = 0; i <= height; i++) {
    const r = Math.min(Math.floor(i / fine), rows - 2), v = i / fine - r;
    for (let j = 0; j <= width; j++) {
      const c = Math.min(Math.floor(j / fine), columns - 2), u = j / fine - c, k = r * columns + c;
      const value = (1 - v) * ((1 - u) * z[k] + u * z[k + 1])
        + v * ((1 - u) * z[k + columns] + u * z[k + columns + 1]);
      level[i * w + j] = bands * clamp((value - low) / (high - low || 1), 0, 1);
    }
  }
  const colours = look.ramps.terrain, pixel = [0, 0, 0, 255];
  fill(canvas, width, height, (i, j) => {
    const k = i * w + j, here = level[k], nearest = Math.round(here);
    const slope = Math.max(Math.abs(level[k + 1] - here), Math.abs(level[k + w] - here), 1e-9);
    const edge = nearest > 0 && nearest < bands;
    const share = edge ? clamp(1.1 - Math.abs(here - nearest) / slope, 0, 1) : 0;
    const band = colours[Math.round(255 * Math.min(Math.floor(here), bands - 1) / (bands - 1))];
    for (let c = 0; c < 3; c++) pixel[c] = band[c] + share * (look.contour[c] - band[c]);
    return pixel;
  });
}

function colourBar(context, layer, area, look) {
  const left = area.right + 8, height = area.bottom - area.top, colours = look.ramps[layer.ramp];
  for (let i = 0; i < height; i++) {
    const [r, g, b] = colours[Math.round(255 * (1 - i / height))];
    context.fillStyle = `rgb(${r} ${g} ${b})`;
    context.fillRect(left, area.top + i, 10, 1.5);
  }
  Object.assign(context, { fillStyle: look.ink, textAlign: "left", textBaseline: "top" });
  context.fillText(number(layer.high), left + 13, area.top);
  context.textBaseline = "bottom";
  context.fillText(number(layer.low), left + 13, area.bottom);
  context.save();
  context.translate(left + 26, (area.top + area.bottom) / 2);
  context.rotate(-Math.PI / 2);
  Object.assign(context, { textAlign: "center", textBaseline: "middle" });
  context.fillText(layer.label, 0, 0);
  context.restore();
}

// ---- scales

/** A function from data to pixels, with `.back` and `.ticks(n)`. */
function scale(low, high, from, to, log) {
  const f = log ? Math.log10 : (v) => v;
  const a = f(low), b = f(high) === f(low) ? f(low) + 1 : f(high);
  const map = (v) => from + (f(v) - a) / (b - a) * (to - from);
  map.back = (pixel) => {
    const v = a + (pixel - from) / (to - from) * (b - a);
    return log ? 10 ** v : v;
  };
  map.ticks = (n) => { // about n of them, and three at least
    const [least, most] = [Math.min(a, b), Math.max(a, b)];
    if (log && most - least < 0.7) return scale(10 ** least, 10 ** most, from, to).ticks(n);
    const step = log ? Math.max(1, Math.ceil((most - least) / n)) : niceStep((most - least) / n);
    const ticks = [];
    for (let i = Math.floor(least / step); i <= most / step + 1e-9; i++) {
      if (!log) ticks.push([i * step, number(i * step)]);
      else if (most - least > 2.5) ticks.push([10 ** (i * step), `10${superscript(i * step)}`]);
      else for (const m of [1, 2, 5]) ticks.push([m * 10 ** i, number(m * 10 ** i)]);
    }
    const seen = ticks.filter(([v]) => f(v) >= least - 1e-9 && f(v) <= most + 1e-9);
    return seen.length > 2 || n > 6 ? seen : map.ticks(2 * n);
  };
  return map;
}

/** The box made wider or higher, so that a unit is as long across as it is up. */
function square([left, low, right, high], area) {
  const shape = (area.right - area.left) / (area.bottom - area.top) * (high - low) / (right - left);
  const wide = (right - left) * (Math.max(shape, 1) - 1) / 2;
  const tall = (high - low) * (Math.max(1 / shape, 1) - 1) / 2;
  return [left - wide, low - tall, right + wide, high + tall];
}

function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * [1, 2, 5, 10].find((m) => m * power >= rough);
}

/** The range of the layers' x or y, with a margin; heat maps have none. */
function range(layers, axis, log) {
  let low = Infinity, high = -Infinity, margin = 0.04;
  const see = (v) => {
    if (!Number.isFinite(v) || (log && v <= 0)) return;
    low = Math.min(low, v);
    high = Math.max(high, v);
  };
  for (const layer of layers) {
    if (axis === "y" && (layer.below || layer.names)) margin = 0.08; // room for the words
    if (layer.kind === "heat") {
      const [left, bottom, right, top] = layer.extent;
      (axis === "x" ? [left, right] : [bottom, top]).forEach(see);
      margin = 0;
    } else if (layer.kind === "rule") {
      if (layer.along === axis) see(layer.at);
    } else {
      layer[axis]?.forEach(see);
      if (axis === "y") layer.high?.forEach(see);
      if (layer.kind === "bars" && axis === "y") see(0);
      if (layer.kind === "bars" && axis === "x") {
        layer.x.forEach((v) => { see(v - layer.width / 2); see(v + layer.width / 2); });
      }
    }
  }
  if (low > high) return [log ? 0.1 : 0, 1];
  if (log) {
    const room = (high / low) ** margin;
    return low === high ? [low / 2, high * 2] : [low / room, high * room];
  }
  const room = high > low ? (high - low) * margin : Math.abs(high) / 2 || 1;
  return [low - room, high + room];
}

// ---- looks

/** Colours from JupyterLab's theme; the painter's tables are built once for light and for dark. */
function theme(el) {
  const css = getComputedStyle(el);
  const dark = luminance(css.backgroundColor) < 0.5;
  const name = dark ? "dark" : "light";
  return {
    name, dark, ink: css.color, paper: css.backgroundColor, font: css.fontFamily,
    grid: dark ? "#ffffff1c" : "#00000016", axis: dark ? "#ffffff55" : "#00000055",
    contour: dark ? [112, 133, 152, 255] : [130, 148, 165, 255], ramps: RAMPS[name] ?? {},
  };
}

const RAMPS = {};

function buildRamps(stops) {
  for (const name of ["light", "dark"]) {
    RAMPS[name] ??= Object.fromEntries(Object.entries(stops).map(([ramp, colours]) =>
      [ramp, table(name === "dark" && stops[`${ramp}, dark`] || colours)]));
  }
}

/** 256 colours [r, g, b, 255] between the stops. */
function table(stops) {
  const rgb = stops.map((c) => [1, 3, 5].map((i) => parseInt(c.slice(i, i + 2), 16)));
  return Array.from({ length: 256 }, (_, i) => {
    const at = i / 255 * (stops.length - 1), k = Math.min(Math.floor(at), stops.length - 2);
    return [0, 1, 2].map((c) => rgb[k][c] + (at - k) * (rgb[k + 1][c] - rgb[k][c])).concat(255);
  });
}

function luminance(colour) {
  const [r, g, b] = colour.match(/[\d.]+/g)?.map(Number) ?? [255, 255, 255];
  return (0.299 * r + 0.587 * g + 0.114 * b) / 255;
}

function ink(axes, colour) {
  const { spec, theme: look } = axes.view;
  return colour < 0 ? look.ink : (look.dark ? spec.colours_dark : spec.colours)[colour % 7];
}

function dashes(spec, colour) {
  return colour < 0 ? [] : spec.dashes[colour % 7];
}

/** The sample of a line in a legend: the same colour and dashes as on the canvas. */
function swatch(spec, colour, { kind = "line", mark, thin, star: starred } = {}) {
  const stroke = colour < 0 ? "currentColor" : `var(--zg-${colour % 7})`;
  const dots = kind === "dots" || mark === "dots", corners = dots && shape({ colour });
  const drawing = starred ? svg("path", { d: SIGNS.star, fill: stroke, transform: "translate(6 -3)" })
    : mark === "crosses" ? svg("text", { x: 13, y: 8, "text-anchor": "middle", fill: stroke }, "×")
    : corners ? svg("polygon", { fill: stroke,
      points: corners.map(([i, j]) => `${13 + 4 * i},${4 + 4 * j}`).join(" ") })
    : dots || kind === "bars" || kind === "band" ? svg("circle", { cx: 13, cy: 4, r: 4, fill: stroke })
      : svg("line", { x1: 0, x2: 26, y1: 4, y2: 4, stroke, "stroke-width": thin ? 1 : 2.5,
        "stroke-dasharray": mark && mark !== "line" ? "" : dashes(spec, colour).join(" ") });
  return svg("svg", { width: 26, height: 8, "aria-hidden": true, overflow: "visible" }, drawing);
}

// ---- small things

function node(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  if (["INPUT", "TEXTAREA", "SELECT", "BUTTON", "CANVAS"].includes(element.tagName)) {
    element.dataset.lmSuppressShortcuts = "true"; // or JupyterLab takes the arrow keys away
  }
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element[name] = value;
    else if (value === true) element.setAttribute(name, name.startsWith("aria-") ? "true" : "");
    else if (value !== false) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== ""));
  return element;
}

function button(inside, label, onclick) {
  return node("button", { type: "button", "aria-label": label, title: label, onclick }, inside);
}

function sign(name) {
  return svg("svg", { width: 14, height: 14, fill: "currentColor", "fill-rule": "evenodd",
    "aria-hidden": true }, svg("path", { d: SIGNS[name] }));
}

function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function clamp(v, low, high) { return Math.min(Math.max(v, low), high); }

/** All positions of a slider, those near the present one first. */
function outwards(values, value) {
  const here = nearest(values, value);
  const order = [...values.keys()].sort((i, j) => Math.abs(i - here) - Math.abs(j - here));
  return order.map((i) => values[i]);
}

function nearest(values, value) {
  let best = 0;
  values.forEach((v, i) => { if (Math.abs(v - value) < Math.abs(values[best] - value)) best = i; });
  return best;
}

function number(v) {
  if (v === 0 || !Number.isFinite(v)) return String(v);
  const size = Math.abs(v);
  if (size >= 1e5 || size < 1e-3) {
    return v.toExponential(2).replace(/\.?0+e/, "e").replace("e+", "e").replaceAll("-", "−");
  }
  const digits = size >= 1000 || (size > 0.99 && size < 1) ? 5 : 3;
  return String(+v.toPrecision(digits)).replace("-", "−");
}

function superscript(n) {
  return String(n).replace(/./g, (c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c] ?? "⁻");
}
