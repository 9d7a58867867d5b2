() => {
  // The chips of a found prompt. What is in the prompt, pinned or banned stands in three fields, which a person may
  // change as well; the chips show it, and write there. Run again with every picture: once is enough.
  if (window.unrenderChips) return [];
  const chips = window.unrenderChips = { waits: false }; // whether a changed prompt has still to be weighed

  const MILLISECONDS = 300; // after the last change, until it is weighed
  const PROMPT = "unrender_prompt", PINNED = "unrender_pinned", BANNED = "unrender_exclude";

  const fieldOf = (id) => document.querySelector(`#${id} textarea, #${id} input`);
  const textOf = (id) => fieldOf(id)?.value ?? "";

  const write = (id, text) => {
    const field = fieldOf(id);
    if (!field || field.value === text) return;
    field.value = text;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  };

  // From where to where a phrase stands between commas, if it does.
  const placeOf = (text, phrase) => {
    for (let from = phrase ? text.indexOf(phrase) : -1; from >= 0; from = text.indexOf(phrase, from + 1)) {
      const to = from + phrase.length;
      if (/(^|[,\n])\s*$/.test(text.slice(0, from)) && /^\s*([,\n]|$)/.test(text.slice(to))) return [from, to];
    }
    return null;
  };

  const without = (text, [from, to]) => {
    const before = text.slice(0, from).replace(/\s*,?\s*$/, ""), after = text.slice(to).replace(/^\s*,?\s*/, "");
    return before && after ? `${before}, ${after}` : before || after;
  };

  const chipsOf = (chip) => [...chip.parentElement.children];
  const ownOf = (chip) => chip.dataset.written;
  const otherOf = (chip) => chip.dataset.otherWritten ?? "";
  const writtenOf = (chip) => (chip.dataset.says === "other" ? otherOf(chip) : ownOf(chip));
  const plainOf = (chip) => (chip.dataset.says === "other" ? chip.dataset.otherPlain : chip.dataset.plain);

  // Behind the chip's next neighbour before it that is in the prompt, or else before all.
  const withChip = (text, chip) => {
    const before = chipsOf(chip).slice(0, chipsOf(chip).indexOf(chip)).reverse();
    const after = chipsOf(chip).slice(chipsOf(chip).indexOf(chip) + 1);
    for (const each of before) {
      const place = placeOf(text, writtenOf(each));
      if (place) return `${text.slice(0, place[1])}, ${writtenOf(chip)}${text.slice(place[1])}`;
    }
    for (const each of after) {
      const place = placeOf(text, writtenOf(each));
      if (place) return `${text.slice(0, place[0])}${writtenOf(chip)}, ${text.slice(place[0])}`;
    }
    const kept = text.replace(/[\s,]+$/, "");
    return kept ? `${kept}, ${writtenOf(chip)}` : writtenOf(chip);
  };

  // As the server reads them: a phrase that has commas itself stands in quotation marks.
  const PHRASE = /\s*(?:"((?:[^"]|"")*)"\s*(?=,|$)|([^,]*))(?:,|$)/g;
  const ofLine = (line) => [...line.matchAll(PHRASE)].map(([, quoted, plain]) => (plain ?? quoted.replaceAll('""', '"')).trim());
  const phrasesIn = (text) => text.split(/[\n\r]/).flatMap(ofLine).filter(Boolean);
  const typed = (phrase) => (/^"|,/.test(phrase) ? `"${phrase.replaceAll('"', '""')}"` : phrase);
  const joined = (phrases) => phrases.map(typed).join(", ");
  const same = (one, other) => one.toLowerCase() === other.toLowerCase();
  const lists = (id, phrase) => phrasesIn(textOf(id)).some((each) => same(each, phrase));
  const strike = (id, phrase) => write(id, joined(phrasesIn(textOf(id)).filter((each) => !same(each, phrase))));
  const list = (id, phrase) => write(id, joined([...phrasesIn(textOf(id)), phrase]));

  const set = (part, name, value) => { if (part && part.getAttribute(name) !== value) part.setAttribute(name, value); };

  // The words change places with those of the runner-up: what is shown is what the server has made safe to show.
  const say = (chip, which) => {
    if ((chip.dataset.says ?? "own") === which) return;
    for (const part of ["text", "word"]) {
      const [own, other] = chip.querySelectorAll(`.unrender-chip-${part}`), mark = document.createComment("");
      if (!other) continue;
      const hidden = [other.hidden, own.hidden];
      own.replaceWith(mark);
      other.replaceWith(own);
      mark.replaceWith(other);
      [own.hidden, other.hidden] = hidden;
    }
    chip.dataset.says = which;
  };

  const show = (chip) => {
    const text = textOf(PROMPT), own = placeOf(text, ownOf(chip)), other = placeOf(text, otherOf(chip));
    if (own || other) say(chip, own ? "own" : "other");
    set(chip.querySelector(".unrender-chip-keep"), "aria-pressed", String(Boolean(own || other)));
    const words = chip.querySelector(".unrender-chip-text").textContent;
    for (const [kind, id, label] of [["pin", PINNED, "Always use"], ["ban", BANNED, "Never use"]]) {
      const button = chip.querySelector(`.unrender-chip-${kind}`);
      set(button, "aria-pressed", String(lists(id, plainOf(chip))));
      set(button, "aria-label", `${label} ${words}`);
    }
  };

  const showAll = () => { for (const chip of document.querySelectorAll(".unrender-chip")) show(chip); };

  let weighing = 0;
  const weigh = () => {
    chips.waits = true;
    clearTimeout(weighing);
    weighing = setTimeout(() => document.querySelector("#unrender_weigh")?.click(), MILLISECONDS);
  };

  const change = (text) => { write(PROMPT, text); weigh(); };

  const presses = {
    keep: (chip) => {
      const text = textOf(PROMPT), place = placeOf(text, writtenOf(chip));
      change(place ? without(text, place) : withChip(text, chip));
    },
    other: (chip) => {
      const text = textOf(PROMPT), place = placeOf(text, writtenOf(chip));
      say(chip, chip.dataset.says === "other" ? "own" : "other");
      change(place ? text.slice(0, place[0]) + writtenOf(chip) + text.slice(place[1]) : withChip(text, chip));
    },
    pin: (chip) => choose(chip, PINNED, BANNED),
    ban: (chip) => choose(chip, BANNED, PINNED),
  };

  const choose = (chip, id, opposite) => {
    const phrase = plainOf(chip);
    if (lists(id, phrase)) strike(id, phrase);
    else { strike(opposite, phrase); list(id, phrase); }
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.(".unrender-chip button"), chip = button?.closest(".unrender-chip");
    if (!chip) return;
    for (const [kind, press] of Object.entries(presses)) if (button.classList.contains(`unrender-chip-${kind}`)) press(chip);
    showAll();
  });

  let waits = false;
  const soon = () => { if (!waits) { waits = true; setTimeout(() => { waits = false; showAll(); }, 100); } };
  document.addEventListener("input", (event) => { if (event.target.closest?.(`#${PROMPT}, #${PINNED}, #${BANNED}`)) soon(); });
  new MutationObserver(soon).observe(document.body, { childList: true, subtree: true });
  return [];
}
