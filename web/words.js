// What the chips on a node say, in the languages the nodes have. {0}, {1} stand for what is filled in.
import { app } from "../../scripts/app.js";

export const WORDS = {
  "en": {
    "phrases": "Phrases of the prompt",
    "caption": "The captioner wrote this.",
    "drop": "Click: leave it out of the next run.",
    "undrop": "Click: let the next run say it again.",
    "pin": "Have the next run say it",
    "unpin": "No longer insist on it",
    "instead": "Have the next run say “{0}” instead",
    "takeBack": "Take back",
    "always": "Said in the next run:",
    "never": "Left out of the next run:",
    "linked": "Another node says what this is to be.",
    "comma": "A phrase with a comma cannot be named here.",
    "likelihood": "likelihood",
    "support": "support",
    "without": "Similarity without “{0}”: {1}; with it {2}.",
    "leftOut": "Weighed and left out: {0}",
    "picture": "Picture {0} of {1}"
  }
};

function language() {
  return app.extensionManager?.setting?.get?.("Comfy.Locale") ?? app.ui?.settings?.getSettingValue?.("Comfy.Locale");
}

export function say(word, ...values) {
  const said = WORDS[language()]?.[word] ?? WORDS.en[word];
  return said.replace(/\{(\d)\}/g, (_, place) => values[place]);
}
