// Shows on a node what it found, and while it runs what it is doing.
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { CHIPS, keepPhrases, showPhrases } from "./chips.js";
import { nameValues, orderValues } from "./widgets.js";

const NAME = "unrender_text"; // of the text box, and of the property that keeps the text in a saved workflow
const HEIGHT = 200;
const HEIGHT_OF_A_LINE = 50;
const HEIGHT_ABOVE_CHIPS = 100;
const WIDTH_OF_A_RESULT = 340;
const HIGHER_ROWS = 110; // of the newer way of drawing nodes, in all
const HAS_PHRASES = "UnrenderInterrogate";
const RESULT_IS_A_LINE = ["UnrenderCaptionFolder", "UnrenderSavePromptEmbedding"];

const boxOf = (node) => node.widgets?.find((widget) => widget.name === NAME);

const hasResult = (node) => node.constructor.nodeData?.output_node;

function heightFor(node) {
  if (!hasResult(node) || RESULT_IS_A_LINE.includes(node.type)) return HEIGHT_OF_A_LINE;
  return node.widgets?.some((widget) => widget.name === CHIPS) ? HEIGHT_ABOVE_CHIPS : HEIGHT;
}

function makeBox(node) {
  const before = [...node.size];
  const without = node.computeSize()[1];
  const box = app.widgets.STRING(node, NAME, ["STRING", { multiline: true }], app).widget;
  box.label = hasResult(node) ? "result" : "progress"; // which only the newer way of drawing nodes shows
  // neither among a saved workflow's values, which would be shifted, nor in what is sent to run
  box.serialize = false;
  box.options = { ...box.options, serialize: false, read_only: true, getMinHeight: () => heightFor(node) };
  const element = box.element ?? box.inputEl;
  if (element) {
    element.readOnly = true;
    element.placeholder = "";
    element.style.opacity = 0.8;
  }
  const least = node.computeSize()[1] + (hasResult(node) && LiteGraph.vueNodesMode ? HIGHER_ROWS : 0);
  const height = hasResult(node) ? Math.max(before[1], least) : before[1] + least - without;
  node.setSize([Math.max(before[0], hasResult(node) ? WIDTH_OF_A_RESULT : 0), height]);
  box.added = node.size[1] - before[1];
  return box;
}

function removeBox(node) {
  const box = boxOf(node);
  if (!box) return;
  node.widgets.splice(node.widgets.indexOf(box), 1);
  box.onRemove?.();
  node.setSize([node.size[0], node.size[1] - box.added]);
}

function show(node, text) {
  (boxOf(node) ?? makeBox(node)).value = text;
  node.setDirtyCanvas?.(true, true);
}

function showResult(node, output) {
  if (!output?.text) return;
  const text = [].concat(output.text).join("\n\n");
  if (hasResult(node)) node.properties[NAME] = text;
  show(node, text);
  if (node.type === HAS_PHRASES) keepPhrases(node, output.unrender_phrases);
}

// Beside a result and never in it, where somebody would copy it; older pages have no place for that.
function say(notes) {
  for (const detail of notes ?? []) app.extensionManager?.toast?.add({ severity: "info", summary: "Unrender", detail, life: 12000 });
}

// What is to be seen when nothing is going on: the last result, if there was any.
function rest(node) {
  if (hasResult(node)) show(node, node.properties[NAME] ?? "");
  else removeBox(node);
  if (node.type === HAS_PHRASES) showPhrases(node);
}

function inGraph(graph, id) {
  return graph?.getNodeById(id) ?? graph?.getNodeById(Number(id));
}

// The steps to a node in subgraphs are named by the nodes that hold them, or by the subgraph's own id.
function nodeAt(path) {
  const root = app.rootGraph ?? app.graph;
  const steps = String(path).split(":");
  const last = steps.pop();
  const graph = steps.reduce((outer, step) => root.subgraphs?.get(step) ?? inGraph(outer, step)?.subgraph, root);
  return inGraph(graph, last);
}

function before(prototype, method, first) {
  const itself = prototype[method];
  prototype[method] = function (...values) {
    first(this, ...values);
    return itself?.apply(this, values);
  };
}

function after(prototype, method, then) {
  const itself = prototype[method];
  prototype[method] = function (...values) {
    const result = itself?.apply(this, values);
    then(this, ...values);
    return result;
  };
}

// A new seed for every run would have words written anew that stay the same, and all that follows rendered anew.
function keepSeed(node) {
  const control = node.widgets?.find((widget) => widget.name === "control_after_generate");
  if (control) control.value = "fixed";
}

const extension = {
  name: "unrender.text",
  init() {
    api.addEventListener("unrender.status", ({ detail }) => {
      const node = nodeAt(detail.node);
      if (node) detail.text ? show(node, detail.text) : rest(node);
    });
  },
  beforeRegisterNodeDef({ prototype }, nodeData) {
    if (!nodeData.name?.startsWith("Unrender")) return;
    before(prototype, "configure", orderValues);
    after(prototype, "onSerialize", nameValues);
    after(prototype, "onNodeCreated", (node) => {
      keepSeed(node);
      if (hasResult(node)) makeBox(node);
    });
    after(prototype, "onConfigure", (node) => hasResult(node) && rest(node));
    after(prototype, "onExecuted", (node, output) => {
      showResult(node, output);
      say(output?.unrender_notes);
    });
  },
  // a workflow comes back into view, or out of the history
  onNodeOutputsUpdated(outputs) {
    for (const [path, output] of Object.entries(outputs)) {
      const node = nodeAt(path);
      if (node?.type?.startsWith("Unrender")) showResult(node, output);
    }
  },
};

// ComfyUI serves this file under the project's name and under the folder's, and loads both
if (!app.extensions.some((other) => other.name === extension.name)) app.registerExtension(extension);
