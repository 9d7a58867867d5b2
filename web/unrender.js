// Shows on a node what it found, and while it runs what it is doing.
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { ComfyWidgets } from "../../scripts/widgets.js";

const WIDGET = "unrender_text";

function textWidget(node) {
  let widget = node.widgets?.find((candidate) => candidate.name === WIDGET);
  if (!widget) {
    widget = ComfyWidgets.STRING(node, WIDGET, ["STRING", { multiline: true }], app).widget;
    const element = widget.element ?? widget.inputEl;
    if (element) {
      element.readOnly = true;
      element.style.opacity = 0.8;
    }
    widget.serialize = false; // not in a saved workflow
    widget.options = { ...widget.options, serialize: false }; // nor in what is sent to run
    const [width, height] = node.computeSize();
    node.setSize([Math.max(node.size[0], width), Math.max(node.size[1], height)]);
  }
  return widget;
}

function show(node, text) {
  textWidget(node).value = text;
  node.setDirtyCanvas?.(true, true);
}

const extension = {
  name: "unrender.text",
  init() {
    api.addEventListener("unrender.status", ({ detail }) => {
      const node = app.graph?.getNodeById?.(detail.node) ?? app.graph?.getNodeById?.(Number(detail.node));
      // an empty line only follows what was shown before
      if (node && (detail.text || node.widgets?.some((widget) => widget.name === WIDGET))) show(node, detail.text);
    });
  },
  beforeRegisterNodeDef(nodeType, nodeData) {
    if (!nodeData.name?.startsWith("Unrender")) return;
    const before = nodeType.prototype.onExecuted;
    nodeType.prototype.onExecuted = function (output) {
      before?.apply(this, arguments);
      if (output?.text) show(this, [].concat(output.text).join("\n\n"));
    };
  },
};

// ComfyUI serves this file under the project's name and under the folder's, and loads both
if (!app.extensions.some((other) => other.name === extension.name)) app.registerExtension(extension);
