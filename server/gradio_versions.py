"""Where gradio 3.41, 4.40 and 6 want to be asked differently."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from .choices import picture_of

_MAJOR = int(gr.__version__.partition(".")[0])


def image_input(**options: Any) -> Any:
    """A picture to be dropped in, given to handlers as PIL's; what gradio cannot decode is given as it is, since the
    engine says in a sentence what is wrong with it."""
    source: dict[str, Any] = {"source": "upload"} if _MAJOR < 4 else {"sources": ["upload", "clipboard"]}
    picture = gr.Image(type="pil", **source, **options)
    decode = picture.preprocess

    def preprocess(payload: Any) -> Any:
        try:
            return decode(payload)
        except Exception:  # noqa: BLE001  decoders raise anything at all
            path = getattr(payload, "path", None)
            return Path(path).read_bytes() if path else picture_of(payload)

    picture.preprocess = preprocess
    return picture


def image_output(**options: Any) -> Any:
    """A picture to look at, without loss."""
    form: dict[str, Any] = {} if _MAJOR < 4 else {"format": "png"}
    return gr.Image(type="pil", interactive=False, **form, **options)


def html_output(**options: Any) -> Any:
    padding: dict[str, Any] = {} if _MAJOR < 5 else {"padding": False}
    return gr.HTML(**padding, **options)


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


class Alone:
    """A page of its own. blocks: the context to build it in. style: CSS."""

    def __init__(self, title: str, style: str) -> None:
        looks: dict[str, Any] = {"css": style, "theme": _theme()}
        self._later = looks if _MAJOR >= 6 else {}
        self.blocks = gr.Blocks(title=title, analytics_enabled=False, **({} if _MAJOR >= 6 else looks))

    def launch(
        self, address: str, port: int, login: tuple[str, str] | None, open_browser: bool, most_uploaded: str
    ) -> str:
        """Serves it in a thread of its own, on this address only, and returns where."""
        options: dict[str, Any] = {**self._later, "share": False, "quiet": True, "prevent_thread_lock": True}
        options["show_api" if _MAJOR < 6 else "footer_links"] = False if _MAJOR < 6 else []
        if _MAJOR >= 4:
            options["max_file_size"] = most_uploaded
        if _MAJOR >= 5:
            options["ssr_mode"] = False
        _, url, _ = self.blocks.queue().launch(
            server_name=address, server_port=port, auth=login, inbrowser=open_browser, **options
        )
        return url


def _theme() -> Any:
    """Letters that are on the machine, so that nothing is fetched from elsewhere."""
    return gr.themes.Default(font=("system-ui", "sans-serif"), font_mono=("ui-monospace", "monospace"))
