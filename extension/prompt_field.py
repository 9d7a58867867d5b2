"""How words get into a webui's prompt field so that those that were in it can be had back: in the browser, by
javascript/unrender_button.js, as if somebody typed them."""

from __future__ import annotations

from typing import Any

from ..server.gradio_versions import event


def put_into(field: str) -> dict[str, Any]:
    """Arguments of an event whose one input's value is put into the field, one of the webui's by its id."""
    return {"fn": None, "outputs": [], **event(f"(text) => {{ window.unrender?.put('{field}', text); }}")}


def undo_in(field: str) -> dict[str, Any]:
    """Arguments of an event that puts back what was in the field before."""
    return {"fn": None, "inputs": [], "outputs": [], **event(f"() => {{ window.unrender?.undo('{field}'); }}")}
