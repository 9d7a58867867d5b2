// The phrases of a prompt as chips on the node that found it. A click on one leaves it out of the next run: it writes
// into the node's own inputs, where everything can be read and changed. Nothing of a phrase is ever read as HTML.
import { app } from "../../scripts/app.js";
import { say } from "./words.js";

export const CHIPS = "unrender_phrases"; // the widget, what a run tells of it, and the property that keeps that
const PIN = "pin";
const EXCLUDE = "exclude";
const CAPTION = "caption"; // the category of the phrase that the captioner wrote
const HEIGHT = 170;
const STYLE = `
.unrender-chips { overflow: auto; padding: 6px; box-sizing: border-box; border-radius: 6px; font: 12px/1.4 sans-serif;
  color: var(--input-text); background: var(--comfy-input-bg); border: 1px solid var(--border-color); }
.unrender-chips ul { display: flex; flex-wrap: wrap; gap: 4px; margin: 4px 0; padding: 0; list-style: none; }
.unrender-chips li { display: flex; max-width: 100%; border: 1px solid var(--border-color); border-radius: 10px;
  overflow: hidden; background: var(--comfy-menu-bg); }
.unrender-chips button { all: unset; box-sizing: border-box; padding: 2px 7px; cursor: pointer; overflow-wrap: anywhere;
  color: var(--input-text); }
.unrender-chips button + button { border-left: 1px solid var(--border-color); flex: none; max-width: 45%; }
.unrender-chips button:hover:not(:disabled) { background: var(--border-color); }
.unrender-chips button:focus-visible { outline: 2px solid var(--p-primary-color, currentColor); outline-offset: -2px; }
.unrender-chips button:disabled { cursor: default; }
.unrender-chips li > button:first-child { background-image: linear-gradient(var(--p-primary-color, gray) 0 0);
  background-repeat: no-repeat; background-position: 0 100%; background-size: calc(100% * var(--likely, 0)) 2px; }
.unrender-chips small, .unrender-chips summary, .unrender-chips p { color: var(--descrip-text); font-size: 11px; }
.unrender-chips p { margin: 2px 0; }
.unrender-chips li.dropped > button:first-child > span { text-decoration: line-through; opacity: .6; }
.unrender-chips button[aria-pressed=true]:not(:first-child), .unrender-chips li.pinned > button:first-child {
  font-weight: bold; }
.unrender-chips summary { cursor: pointer; }
.unrender-chips .pi { font-size: 11px; }
.unrender-chips p[aria-live] { position: sticky; bottom: -6px; padding: 2px 0; background: var(--comfy-input-bg);
  overflow-wrap: anywhere; }
`;

const widgetOf = (node, name) => node.widgets?.find((widget) => widget.name === name);

const isLinked = (node, name) => node.inputs?.some((input) => input.widget?.name === name && input.link != null);

// As the nodes read them: a phrase that has commas itself stands in quotation marks.
const PHRASE = /\s*(?:"((?:[^"]|"")*)"\s*(?=,|$)|([^,]*))(?:,|$)/g;
const ofLine = (line) => [...line.matchAll(PHRASE)].map(([, quoted, plain]) => (plain ?? quoted.replaceAll('""', '"')).trim());
const phrasesIn = (text) => String(text ?? "").split(/[\n\r]/).flatMap(ofLine).filter(Boolean);

const typed = (phrase) => (/^"|,/.test(phrase) ? `"${phrase.replaceAll('"', '""')}"` : phrase);

const bare = (phrase) => phrase.trim().toLowerCase().replace(/^inspired /, "").replace(/^by /, "");

const listed = (node, name) => phrasesIn(widgetOf(node, name)?.value);

const has = (node, name, phrase) => listed(node, name).some((each) => bare(each) === bare(phrase));

function put(node, name, phrase, there) {
  const widget = widgetOf(node, name);
  if (!widget || isLinked(node, name)) return;
  const others = listed(node, name).filter((each) => bare(each) !== bare(phrase));
  widget.value = (there ? [...others, phrase] : others).map(typed).join(", ");
  widget.callback?.(widget.value, app.canvas, node);
}

function drop(node, phrase) {
  const there = !has(node, EXCLUDE, phrase);
  put(node, EXCLUDE, phrase, there);
  if (there) put(node, PIN, phrase, false);
}

function pin(node, phrase) {
  const there = !has(node, PIN, phrase);
  put(node, PIN, phrase, there);
  if (there) put(node, EXCLUDE, phrase, false);
}

// A caption is never left out: what is pinned takes the place of its words.
function swap(node, { text, category, other, insteadOf }) {
  if (has(node, PIN, other)) return pin(node, other);
  if (category === CAPTION) put(node, PIN, insteadOf, false);
  else if (!has(node, EXCLUDE, text)) drop(node, text);
  pin(node, other);
}

// --- what a run told, which a workflow of somebody else's may have instead ---

const text = (value) => (typeof value === "string" ? value : "");

const number = (value) => (Number.isFinite(value) ? value : null);

const list = (value) => (Array.isArray(value) ? value.filter((each) => each && typeof each === "object") : []);

const toPhrase = (told) => ({
  text: text(told.text),
  category: text(told.category),
  family: text(told.family),
  other: text(told.runner_up),
  insteadOf: text(told.instead_of),
  gain: number(told.gain),
  likelihood: number(told.likelihood),
  support: number(told.support),
  without: number(told.without),
});

const toPicture = (told) => ({
  similarity: number(told.similarity),
  about: [text(told.search), text(told.bank)].filter(Boolean).join(" · "),
  phrases: list(told.phrases).map(toPhrase),
  rejected: list(told.rejected).map((each) => ({ text: text(each.text), why: text(each.why) })),
});

const pictures = (node) => list(node.properties?.[CHIPS]).map(toPicture).filter((each) => each.phrases.length);

// --- how it is drawn ---

function element(tag, attributes = {}, ...inside) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== false && value != null) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...inside.filter((each) => each != null));
  return made;
}

const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(3)}`;

// What is not quite sure is not called sure.
const percent = (value) => {
  if (value > 0 && value < 0.005) return "< 1 %";
  return value >= 0.995 && value < 1 ? "> 99 %" : `${Math.round(100 * value)} %`;
};

const figures = ({ gain, likelihood }) =>
  [gain === null ? "" : signed(gain), likelihood === null ? "" : percent(likelihood)].filter(Boolean).join(" · ");

function details({ text, category, family, likelihood, support }) {
  const told = [family || category, likelihood === null ? "" : `${say("likelihood")} ${percent(likelihood)}`];
  if (support !== null) told.push(`${say("support")} ${support.toFixed(1)}`);
  return [text, ...told.filter(Boolean)].join("\n");
}

// Why the node's inputs cannot name a phrase; empty where they can.
function barred(node, phrase, ...names) {
  if (names.some((name) => isLinked(node, name) || !widgetOf(node, name))) return say("linked");
  return /[\n\r]/.test(phrase) ? say("lines") : "";
}

class Chips {
  constructor(node) {
    this.node = node;
    this.said = element("p", { "aria-live": "polite" });
    this.element = element("div", {
      class: "unrender-chips",
      role: "group",
      "aria-label": say("phrases"),
      "data-capture-wheel": "true",
      onkeydown: (event) => this.key(event),
      onpointerdown: (event) => event.stopPropagation(), // or the node would be dragged
      onwheel: (event) => this.element.scrollHeight > this.element.clientHeight && event.stopPropagation(),
    });
  }

  // Keys that mean something to a button, and to the page too: Delete would delete the node.
  key(event) {
    if (["Enter", " "].includes(event.key)) event.stopPropagation();
    if (!["Delete", "Backspace"].includes(event.key)) return;
    event.stopPropagation();
    event.target.closest("li")?.querySelector("button:not(:disabled)")?.click();
  }

  draw() {
    const found = pictures(this.node);
    const focused = this.element.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    const parts = found.flatMap((picture, place) => this.picture(picture, place, found.length));
    this.element.replaceChildren(...parts, ...this.nextRun(), this.said);
    const again = [...this.element.querySelectorAll("button")].find((each) => focused && each.dataset.key === focused);
    again?.focus();
  }

  picture(picture, place, count) {
    const heading = count > 1 ? element("p", {}, say("picture", place + 1, count)) : null;
    const chips = picture.phrases.map((phrase, row) => this.chip(picture, phrase, `${place}/${row}`));
    const about = picture.about ? element("p", {}, picture.about) : null;
    return [heading, element("ul", {}, ...chips), about, this.leftOut(picture, place)].filter(Boolean);
  }

  chip(picture, phrase, key) {
    const { node } = this;
    const isCaption = phrase.category === CAPTION;
    const dropped = !isCaption && has(node, EXCLUDE, phrase.text);
    const pinned = !isCaption && has(node, PIN, phrase.text);
    const cannot = isCaption ? say("caption") : barred(node, phrase.text, EXCLUDE);
    const tell = () => this.tell(picture, phrase);
    const label = this.button(`${key}/drop`, () => drop(node, phrase.text), {
      "aria-pressed": String(dropped),
      disabled: Boolean(cannot),
      title: [details(phrase), cannot || say(dropped ? "undrop" : "drop")].join("\n"),
      style: `--likely: ${phrase.likelihood ?? 0}`,
    }, element("span", {}, phrase.text), " ", element("small", {}, figures(phrase)));
    const chip = element("li", { class: dropped ? "dropped" : pinned ? "pinned" : "", onpointerenter: tell, onfocusin: tell });
    chip.append(label);
    if (phrase.other && (phrase.insteadOf || !isCaption)) chip.append(this.runnerUp(phrase, key));
    if (!isCaption) chip.append(this.pinButton(phrase.text, key));
    return chip;
  }

  runnerUp(phrase, key) {
    const cannot = barred(this.node, phrase.other, PIN, EXCLUDE);
    return this.button(`${key}/other`, () => swap(this.node, phrase), {
      "aria-pressed": String(has(this.node, PIN, phrase.other)),
      disabled: Boolean(cannot),
      title: cannot || say("instead", phrase.other),
    }, phrase.insteadOf ? say("rather", phrase.insteadOf, phrase.other) : `${phrase.other}?`);
  }

  pinButton(phrase, key) {
    const pinned = has(this.node, PIN, phrase);
    const cannot = barred(this.node, phrase, PIN);
    const title = cannot || say(pinned ? "unpin" : "pin");
    return this.button(`${key}/pin`, () => pin(this.node, phrase), {
      "aria-pressed": String(pinned),
      "aria-label": `${title}: ${phrase}`,
      disabled: Boolean(cannot),
      title,
    }, element("i", { class: "pi pi-thumbtack", "aria-hidden": "true" }));
  }

  button(key, act, attributes, ...inside) {
    const onclick = (event) => {
      event.stopPropagation();
      act();
      this.draw();
      this.node.setDirtyCanvas?.(true, true);
    };
    return element("button", { type: "button", "data-key": key, ...attributes, onclick }, ...inside);
  }

  leftOut({ rejected }, place) {
    if (!rejected.length) return null;
    const rows = rejected.map((each, row) => {
      const chip = element("li", {}, this.button(`${place}/out/${row}`, () => {}, { disabled: true }, `${each.text}: `, element("small", {}, each.why)));
      chip.append(this.pinButton(each.text, `${place}/out/${row}`));
      return chip;
    });
    const open = this.element.querySelector(`details[data-place="${place}"]`)?.open;
    return element("details", { "data-place": String(place), open: Boolean(open) },
      element("summary", {}, say("leftOut", rejected.length)), element("ul", {}, ...rows));
  }

  // What the node's inputs say, each to be taken back with a click.
  nextRun() {
    return [[PIN, "always"], [EXCLUDE, "never"]].flatMap(([name, word]) => {
      const phrases = listed(this.node, name);
      const cannot = isLinked(this.node, name);
      if (!phrases.length || cannot) return [];
      const chips = phrases.map((phrase) => element("li", {}, this.button(`${name}/${phrase}`, () => put(this.node, name, phrase, false), {
        title: say("takeBack"), "aria-label": `${say("takeBack")}: ${phrase}`,
      }, phrase, " ", element("i", { class: "pi pi-times", "aria-hidden": "true" }))));
      return [element("p", {}, say(word)), element("ul", {}, ...chips)];
    });
  }

  tell({ similarity }, phrase) {
    const known = phrase.without !== null && similarity !== null;
    this.said.textContent = known ? say("without", phrase.text, phrase.without.toFixed(3), similarity.toFixed(3)) : "";
  }
}

function style() {
  if (document.getElementById("unrender-chips")) return;
  const made = element("style", { id: "unrender-chips" });
  made.textContent = STYLE;
  document.head.append(made);
}

// What is typed into the two inputs is seen on the chips at once.
function follow(node, chips) {
  for (const widget of [PIN, EXCLUDE].map((name) => widgetOf(node, name)).filter((each) => each && !each.unrender_followed)) {
    const itself = widget.callback;
    widget.unrender_followed = true;
    widget.callback = function (...values) {
      const result = itself?.apply(this, values);
      widgetOf(node, CHIPS)?.unrender_chips?.draw();
      return result;
    };
  }
}

function make(node) {
  style();
  const chips = new Chips(node);
  const options = { serialize: false, hideOnZoom: false, getMinHeight: () => HEIGHT };
  const widget = node.addDOMWidget(CHIPS, CHIPS, chips.element, options);
  widget.serialize = false;
  widget.unrender_chips = chips;
  node.setSize([node.size[0], node.size[1] + HEIGHT]);
  follow(node, chips);
  return widget;
}

function remove(node, widget) {
  node.widgets.splice(node.widgets.indexOf(widget), 1);
  widget.onRemove?.();
  node.setSize([node.size[0], Math.max(node.size[1] - HEIGHT, node.computeSize()[1])]);
}

// Of what the node keeps: none where there is nothing.
export function showPhrases(node) {
  const widget = widgetOf(node, CHIPS);
  if (!pictures(node).length) return widget && remove(node, widget);
  (widget ?? make(node)).unrender_chips.draw();
}

export function keepPhrases(node, told) {
  node.properties[CHIPS] = list(told);
  showPhrases(node);
}
