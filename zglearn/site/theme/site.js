// What the pages do beyond being read: theme, search, answers that stay, and widgets from recordings.
"use strict";

globalThis.zglearn = { recordings: {}, index: null };
const root = document.documentElement.dataset.root;

/** The browser's own memory; where a page may not use it, things last until the page is closed. */
const memory = {
  get(key) { try { return localStorage.getItem(key); } catch { return null; } },
  set(key, value) { try { localStorage.setItem(key, value); } catch { /* it lasts until then */ } },
  remove(key) { try { localStorage.removeItem(key); } catch { /* there is nothing */ } },
};

/** A script of the site, once. `fetch` would do, but not from file://. */
const loading = new Map();
function load(path) {
  if (!loading.has(path)) {
    loading.set(path, new Promise((resolve, reject) => {
      const script = document.createElement("script");
      Object.assign(script, { src: root + path, onload: resolve, onerror: reject });
      document.head.append(script);
    }));
  }
  return loading.get(path);
}

// ---- dark and light

const dark = matchMedia("(prefers-color-scheme: dark)");
const themeButton = document.querySelector(".theme");

function isDark() {
  const chosen = document.documentElement.className;
  return chosen ? chosen === "dark" : dark.matches;
}

function showTheme() {
  themeButton.textContent = isDark() ? "Light" : "Dark";
  themeButton.setAttribute("aria-label", `${themeButton.textContent} theme`);
  document.body.dataset.jpThemeLight = !isDark(); // the widgets watch this
}

themeButton.hidden = false;
themeButton.onclick = () => {
  document.documentElement.className = isDark() ? "light" : "dark";
  memory.set("zglearn theme", document.documentElement.className);
  showTheme();
};
dark.addEventListener("change", showTheme);
showTheme();

// ---- search over headings

const search = document.querySelector(".search");
const input = search.querySelector("input"), found = search.querySelector(".found");
search.hidden = false;

input.onfocus = () => load("assets/search.js");
input.oninput = async () => {
  await load("assets/search.js");
  const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
  const hits = !words.length ? [] : zglearn.index.filter(([page, heading]) => {
    const text = `${page} ${heading}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  found.hidden = !words.length;
  found.replaceChildren(...(hits.length ? hits.slice(0, 30).map(([page, heading, url]) => {
    const link = document.createElement("a"), where = document.createElement("small");
    link.href = root + url;
    where.textContent = page;
    link.append(heading, where);
    return item(link);
  }) : [item("No heading has these words.")]));
};

function item(...inside) {
  const element = document.createElement("li");
  element.append(...inside);
  return element;
}

search.onkeydown = (event) => {
  const places = [input, ...found.querySelectorAll("a")];
  const here = places.indexOf(document.activeElement);
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (event.key === "Escape") { found.hidden = true; input.focus(); }
  if (event.key === "Enter" && here === 0) places[1]?.click();
  if (!step) return;
  event.preventDefault();
  places[(here + step + places.length) % places.length].focus();
};
document.addEventListener("click", (event) => { if (!search.contains(event.target)) found.hidden = true; });
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || /INPUT|TEXTAREA|SELECT/.test(document.activeElement.tagName)) return;
  event.preventDefault();
  input.focus();
});

// ---- the contents are open where there is room beside the text

if (matchMedia("(max-width: 60rem)").matches) document.querySelector(".contents details").open = false;

// ---- answers that stay in this browser

for (const box of document.querySelectorAll(".answer")) {
  const key = `zglearn answer ${box.dataset.keep}`, begun = box.value;
  box.value = memory.get(key) ?? begun;
  box.oninput = () => (box.value === begun ? memory.remove(key) : memory.set(key, box.value));
}

// ---- print what is folded, too

const opened = [];
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details:not([open])")) {
    details.open = true;
    opened.push(details);
  }
});
addEventListener("afterprint", () => { for (const details of opened.splice(0)) details.open = false; });

// ---- widgets: `widget.js` asks its model as it asks Python, and a recording answers

/** A recording, as `recording.py` packs it. */
async function unpacked(text) {
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const buffer = await new Response(stream).arrayBuffer();
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const planes = new Uint8Array(buffer, 4 + length), n = planes.length / 3;
  const bytes = new Uint8Array(4 * n);
  for (let plane = 0; plane < 3; plane++) {
    for (let i = 0; i < n; i++) bytes[4 * i + 3 - plane] = planes[plane * n + i];
  }
  const floats = new Float32Array(bytes.buffer);
  let at = 0;
  const arrays = header.arrays.map((shape) => {
    const size = shape.reduce((a, b) => a * b, 1);
    at += size;
    return { shape, values: floats.subarray(at - size, at) };
  });
  return { ...header, arrays, layers: header.layers.map((layer) => JSON.parse(layer)) };
}

/** What stands in the kernel's place: the model of one widget. */
class Recording {
  constructor({ spec, settings, answers, layers, arrays }, say) {
    Object.assign(this, { spec, settings, layers, arrays, say, listeners: {}, asked: {} });
    this.start = { ...settings };
    this.controls = Object.fromEntries(spec.controls.map((control) => [control.name, control]));
    this.parts = Object.fromEntries(spec.parts.map(({ name, needs }) => [name, { needs, answers: [] }]));
    for (const [part, values, drawn] of answers) this.parts[part].answers.push({ values, drawn });
    this.pairs = spec.panels.map((panel) => panel.drag).filter(Boolean);
    this.moved = new Set();
  }

  get(name) { return this[name]; }
  on(event, listener) { this.listeners[event] = listener; }
  off(event) { delete this.listeners[event]; }

  send({ now, settings }) {
    if (now) queueMicrotask(() => this.answer(now));
    if (settings) queueMicrotask(() => this.settle(settings));
  }

  /** How far a value of a setting is from another: 0 to 1. */
  apart(name, a, b) {
    if (a === b) return 0;
    const { values } = this.controls[name];
    if (typeof a !== "number" || typeof b !== "number") return JSON.stringify(a) === JSON.stringify(b) ? 0 : 1;
    if (!values.length) return Math.abs(a - b) / (1 + Math.abs(a) + Math.abs(b));
    const place = (v) => { // among the slider's positions, and between them
      const next = values.findIndex((value) => value >= v);
      if (next <= 0) return next < 0 ? values.length - 1 : 0;
      return next - (values[next] - v) / (values[next] - values[next - 1]);
    };
    return Math.abs(place(a) - place(b)) / values.length;
  }

  /** The recorded answer that is nearest: first in what was moved last, then in all else. */
  nearest(part, values) {
    const { needs, answers } = this.parts[part];
    let best = null, least = Infinity;
    for (const answer of answers) {
      let distance = 0;
      needs.forEach((name, i) => {
        distance += this.apart(name, values[i], answer.values[i]) * (this.moved.has(name) ? 1e4 : 1);
      });
      if (distance < least) [best, least] = [answer, distance];
    }
    return { answer: best, exact: least === 0 };
  }

  answer(questions) {
    const news = questions.flatMap(([, part, values]) =>
      this.parts[part].needs.map((name, i) => [name, values[i]]))
      .filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(this.now(name)));
    if (news.length) this.moved = new Set(news.map(([name]) => name));
    for (const [name, value] of news) this.asked[name] = value;
    const floats = [], answers = [];
    let at = 0;
    for (const [key, part, values] of questions) {
      const { answer, exact } = this.nearest(part, values);
      const from = at;
      const layers = (answer?.drawn ?? []).map((place) => {
        const layer = { ...this.layers[place] };
        for (const [name, value] of Object.entries(layer)) {
          if (value?.array === undefined) continue;
          const { shape, values: numbers } = this.arrays[value.array];
          layer[name] = { at: at - from, shape };
          floats.push(numbers);
          at += numbers.length;
        }
        return layer;
      });
      answers.push({ key, layers, span: [from, at], stopped: !exact }); // it is asked for again
    }
    const all = new Float32Array(at);
    let end = 0;
    for (const numbers of floats) {
      all.set(numbers, end);
      end += numbers.length;
    }
    this.listeners["msg:custom"]?.({ answers }, [new DataView(all.buffer)]);
  }

  now(name) { return name in this.asked ? this.asked[name] : this.settings[name]; }

  /** The hand rests: set the controls to what is shown, and say what went back. */
  settle(changes) {
    const wish = { ...this.settings, ...changes };
    const shown = { ...wish };
    for (let round = 0; round < 5; round++) {
      for (const [part, { needs }] of Object.entries(this.parts)) {
        const { answer, exact } = this.nearest(part, needs.map((name) => shown[name]));
        if (!answer || exact) continue;
        needs.forEach((name, i) => { if (this.controls[name].kind !== "hidden" || this.isDragged(name)) shown[name] = answer.values[i]; });
      }
    }
    const back = Object.keys(shown).filter((name) => shown[name] !== wish[name]
      && shown[name] === this.start[name] && !this.isDragged(name)).map((name) => this.label(name));
    this.settings = shown;
    this.asked = {};
    this.say(back);
    this.listeners["change:settings"]?.();
  }

  isDragged(name) { return this.pairs.some((pair) => pair.includes(name)); }

  label(name) {
    const { label, group } = this.controls[name];
    return group ? `${group}'s ${label}` : label;
  }
}

async function enliven(place) {
  const name = place.dataset.recording;
  await Promise.all([load("assets/widget.js"), load(`recordings/${name}.js`)]);
  const note = document.createElement("p"), el = document.createElement("div");
  note.className = "recorded";
  note.setAttribute("role", "status");
  const say = (back) => {
    note.className = back.length ? "recorded now" : "recorded";
    note.replaceChildren(back.length ? `${back.join(", ")} went back to the start. ` : "",
      "This page holds recordings in which one thing moves at a time. ", install());
  };
  const recording = new Recording(await unpacked(zglearn.recordings[name]), say);
  delete zglearn.recordings[name];
  say([]);
  zglearn.widget.render({ model: recording, el });
  for (const still of place.children) still.hidden = true;
  place.append(el, note);
  place.dataset.alive = "true";
}

function install() {
  const link = document.createElement("a");
  link.href = `${root}index.html#get`;
  link.textContent = "Install the course to move everything.";
  return link;
}

const nearby = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    nearby.unobserve(target);
    enliven(target).catch((error) => console.error(error)); // the still picture stays
  }
}, { rootMargin: "600px" });
for (const place of document.querySelectorAll("[data-recording]")) nearby.observe(place);
