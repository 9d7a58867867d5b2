// A saved workflow keeps a node's values as a list, and ComfyUI gives them to the widgets by their places. Here the list
// has names beside it, by which the values find their widgets in whatever version of the node opens the workflow.

const NAMES = "unrender_widgets"; // the property that keeps them

// The widgets that nodes had when workflows were saved without names, of which a node had all or the first few. This
// never changes: what a node gets later is saved with its name.
const BEFORE_NAMES = {
  "UnrenderAnalyze": ["categories", "top", "dark"],
  "UnrenderBlendPromptEmbeddings": ["share", "mix"],
  "UnrenderCaptionFolder": ["folder", "mode", "existing", "recursive", "prefix", "suffix"],
  "UnrenderDescribePicture": ["model", "style", "instruction", "max_length", "temperature", "seed", "control_after_generate", "trim", "escape", "system", "top_p", "repetition", "beams", "quantization"],
  "UnrenderDescriberServer": ["address", "model", "longest_side", "keep_alive", "thinking", "timeout", "retries"],
  "UnrenderImageToPromptEmbedding": ["projection", "strength", "text", "alpha", "mix", "weights", "fit", "correction", "temperature"],
  "UnrenderInterrogate": ["mode", "max_phrases", "artists", "mediums", "movements", "sites", "flavors", "exclude", "prefix", "suffix", "escape"],
  "UnrenderInterrogatorFromClip": ["captioner", "instruction", "caption_length", "beams", "vocabulary", "search", "fit", "tagger"],
  "UnrenderLoadInterrogator": ["clip", "captioner", "instruction", "caption_length", "beams", "vocabulary", "search", "fit", "precision", "other_clip", "tagger"],
  "UnrenderLoadPromptEmbedding": ["name"],
  "UnrenderLocate": ["phrase", "threshold"],
  "UnrenderMatchPhrases": ["phrases", "templates"],
  "UnrenderReadImagePrompt": ["image", "upload"],
  "UnrenderSavePromptEmbedding": ["name"],
  "UnrenderTagPicture": ["tagger", "thresholds", "general_threshold", "character_threshold", "exclude", "trigger", "order", "rating", "escape", "most", "underscores", "implied"]
};

const isKept = (widget) => widget.serialize !== false;

// What the values of a saved node are called: by the node itself, by newer pages, or by what nodes had before.
function namesOf(saved) {
  const { widgets_values: values, widgets_values_named: named } = saved;
  const names = saved.properties?.[NAMES];
  // other numbers: saved again since by a version of these nodes that knew of no names
  if (Array.isArray(names) && names.length === values.length) return names;
  if (named && Object.keys(named).length === values.length) return Object.keys(named);
  const before = BEFORE_NAMES[saved.type] ?? [];
  return values.length <= before.length ? before.slice(0, values.length) : null;
}

// Puts the names beside the values of a node that is being saved.
export function nameValues(node, saved) {
  if (!Array.isArray(saved.widgets_values)) return;
  const kept = node.widgets.filter(isKept);
  // some pages leave out the places of widgets that are not saved, others leave them empty
  const listed = saved.widgets_values.length === kept.length ? kept : node.widgets;
  const names = listed.slice(0, saved.widgets_values.length).map((widget) => (isKept(widget) ? widget.name : null));
  saved.properties = { ...saved.properties, [NAMES]: names };
}

// Puts the values of a saved node into the order of the widgets it has now. What has none any more is left out, and a
// widget that nothing was saved of keeps what it has.
export function orderValues(node, saved) {
  if (!Array.isArray(saved.widgets_values) || !node.widgets) return;
  const names = namesOf(saved);
  if (!names) return;
  const values = new Map(names.map((name, place) => [name, saved.widgets_values[place]]));
  const kept = node.widgets.filter(isKept);
  saved.widgets_values = kept.map(({ name, value }) => (values.has(name) ? values.get(name) : value));
  saved.properties = { ...saved.properties, [NAMES]: kept.map((widget) => widget.name) };
}
