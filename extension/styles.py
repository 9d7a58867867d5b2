"""The prompt that was found as one of the webui's styles: the row below it on the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from ..core.errors import SettingsError
from ..server.gradio_versions import event, html_output
from ..server.pages.controls import never_saved
from ..server.service import DONE, FAULT, Report
from ..server.wording import sentence_for
from . import webui_host


def style_row(prompt: Any, lists: Sequence[Any]) -> None:
    """Builds it into the gradio context it is called in. prompt: the field. lists: the webui's own lists of styles."""
    with gr.Row(equal_height=True, elem_id="unrender_style"):
        name = gr.Textbox(label="Name of the style", lines=1, scale=4, elem_id="unrender_style_name")
        keep = gr.Button("Save as a style", scale=1, min_width=100, elem_id="unrender_style_save")
    line = html_output(elem_id="unrender_style_status")
    asked = gr.State("")

    def save(prompt: str, name: str, asked: str) -> list[Any]:
        told, asked = saved(prompt or "", name or "", asked or "")
        return [told.line, asked, *(gr.update(choices=webui_host.style_names()) for _ in lists)]

    keep.click(save, inputs=[prompt, name, asked], outputs=[line, asked, *lists], queue=False, **event())
    never_saved(name)


def saved(prompt: str, name: str, asked: str) -> tuple[Report[None], str]:
    """Saves it, or says why not. asked: the used name that its writer was asked about last; returned as it is now."""
    try:
        name = _checked(prompt, name)
        if name in webui_host.style_names() and name != asked:
            return Report(f"There is a style {name} already; press once more to replace it.", FAULT), name
        webui_host.save_style(name, prompt.strip())
        return Report(f"Saved as the style {name}.", DONE), ""
    except Exception as error:  # noqa: BLE001  whatever it is, the person is told
        return Report(sentence_for(error), FAULT), ""


def _checked(prompt: str, name: str) -> str:
    """The name. Raises SettingsError for what the webui would not read again."""
    name = " ".join(name.split())
    if not prompt.strip():
        raise SettingsError("There is no prompt yet", "find or type one first")
    if not name:
        raise SettingsError("The style has no name", "type one")
    if name.startswith("#") or webui_host.is_heading(name):
        raise SettingsError(f"The webui takes {name} for a heading in its list of styles", "choose another name")
    return name
