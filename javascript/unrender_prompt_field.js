// Puts found words into a webui's prompt field as if they were typed, so that the browser's own undo has those before
// back, and so has the button for it.
(() => {
  const PATIENCE = 1_500; // milliseconds, until a field that was sent to is shown

  const replaced = {}; // by the field's id, the words that were in it, the last at the end

  const fieldOf = (id) => gradioApp().querySelector(`#${id} textarea`);

  const isShown = (element) => element.offsetParent !== null;

  // The only way into a field that its undo remembers; it works where the field has the focus, and tells others.
  function type(field, text) {
    const before = document.activeElement;
    field.focus({ preventScroll: true });
    if (document.activeElement !== field) return false;
    field.select();
    const typed = text ? document.execCommand("insertText", false, text) : document.execCommand("delete");
    if (before && before !== field && before !== document.body) before.focus({ preventScroll: true });
    return field.value === text || typed;
  }

  function set(field, text) {
    if (field.value === text) return;
    if (isShown(field) && type(field, text)) return;
    field.value = text;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  function showUndo(id) {
    const button = gradioApp().querySelector(`#unrender_${id.replace("_prompt", "")}_undo`);
    if (button) replaced[id]?.length ? (button.dataset.ready = "") : delete button.dataset.ready;
  }

  async function shown(field) {
    const end = Date.now() + PATIENCE;
    while (!isShown(field) && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 50));
  }

  async function put(id, text) {
    const field = fieldOf(id);
    if (!field || !text) return;
    await shown(field);
    if (field.value === text) return;
    if (field.value.trim()) (replaced[id] ??= []).push(field.value);
    set(field, text);
    showUndo(id);
  }

  function undo(id) {
    const field = fieldOf(id), text = replaced[id]?.pop();
    if (field && text !== undefined) set(field, text);
    showUndo(id);
  }

  window.unrender = { put, undo };
})();
