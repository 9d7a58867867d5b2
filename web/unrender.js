// Shows on a node what it found, and while it runs what it is doing.
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";

const WIDGET = "unrender_text";

function textWidget(node) {
  let widget = node.widgets?.find((candidate) => candidate.name === WIDGET);
  if (!widget) {
    widget = app.widgets.STRING(node, WIDGET, ["STRING", { multiline: true }], app).widget;
    widget.label = "result"; // which only the newer way of drawing nodes shows
    // neither in a saved workflow, whose values would be shifted, nor in what is sent to run
    widget.serialize = false;
    widget.options = { ...widget.options, serialize: false, read_only: true };
    const element = widget.element ?? widget.inputEl;
    if (element) {
      element.readOnly = true;
      element.style.opacity = 0.8;
    }
    const [width, height] = node.computeSize();
    node.setSize([Math.max(node.size[0], width), Math.max(node.size[1], height)]);
  }
  return widget;
}

function show(node, text) {
  textWidget(node).value = text;
  node.setDirtyCanvas?.(true, true);
}

function showOutput(node, output) {
  if (output?.text) show(node, [].concat(output.text).join("\n\n"));
}

function inGraph(graph, id) {
  return graph?.getNodeById(id) ?? graph?.getNodeById(Number(id));
}

// The steps to a node in subgraphs are named by the nodes that hold them, or by the subgraph's own id.
function nodeAt(path) {
  const root = app.rootGraph ?? app.graph;
  const steps = String(path).split(":");
  const last = steps.pop();
  const graph = steps.reduce(
    (outer, step) => root.subgraphs?.get(step) ?? inGraph(outer, step)?.subgraph,
    root,
  );
  return inGraph(graph, last);
}

const extension = {
  name: "unrender.text",
  init() {
    api.addEventListener("unrender.status", ({ detail }) => {
      const node = nodeAt(detail.node);
      // an empty line only follows what was shown before
      if (node && (detail.text || node.widgets?.some((widget) => widget.name === WIDGET))) show(node, detail.text);
    });
  },
  beforeRegisterNodeDef(nodeType, nodeData) {
    if (!nodeData.name?.startsWith("Unrender")) return;
    const before = nodeType.prototype.onExecuted;
    nodeType.prototype.onExecuted = function (output) {
      before?.apply(this, arguments);
      showOutput(this, output);
    };
  },
  // a workflow comes back into view, or out of the history
  onNodeOutputsUpdated(outputs) {
    for (const [path, output] of Object.entries(outputs)) {
      const node = nodeAt(path);
      if (node?.type?.startsWith("Unrender")) showOutput(node, output);
    }
  },
};

// ComfyUI serves this file under the project's name and under the folder's, and loads both
if (!app.extensions.some((other) => other.name === extension.name)) app.registerExtension(extension);
