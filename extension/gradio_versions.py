"""Where gradio 3.41, 4.40 and 6 want to be asked differently."""

from __future__ import annotations

from typing import Any

import gradio as gr

_MAJOR = int(gr.__version__.partition(".")[0])


def image_input(**options: Any) -> Any:
    """A picture to be dropped in, given to handlers as PIL's."""
    source: dict[str, Any] = {"source": "upload"} if _MAJOR < 4 else {"sources": ["upload", "clipboard"]}
    return gr.Image(type="pil", **source, **options)


def copyable_textbox(**options: Any) -> Any:
    button: dict[str, Any] = {"buttons": ["copy"]} if _MAJOR >= 6 else {"show_copy_button": True}
    return gr.Textbox(**button, **options)


def event(script: str | None = None) -> dict[str, Any]:
    """Arguments of every event: not a route of gradio's own API, and no veil over what it writes to.

    script: JavaScript that is given the inputs and returns them, run in the browser before.
    """
    private: dict[str, Any] = {"api_visibility": "private"} if _MAJOR >= 6 else {"api_name": False}
    in_browser = {"_js" if _MAJOR < 4 else "js": script} if script else {}
    return {"show_progress": "hidden", **private, **in_browser}
