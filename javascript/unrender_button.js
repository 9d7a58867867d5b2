// What the button in a webui needs of the browser: found words are put into the prompt field as if they were typed, so
// that the browser's own undo has those before back, and so has the button for it; and a picture is known again.
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

  const pictures = {}; // by the name of the field, the last that was in it

  // gradio 3 calls a picture changed whenever what it may be painted upon is laid out anew.
  function isOther(name, held) {
    const picture = held?.image ?? held ?? null;
    const text = picture && typeof picture === "object" ? JSON.stringify(picture) : picture || null;
    if (text === (pictures[name] ?? null)) return false;
    pictures[name] = text;
    return true;
  }

  window.unrender = { put, undo, isOther };
})();
