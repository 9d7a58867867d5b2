"""Builds img2img's part of a page as Forge Neo does, with whatever gradio this Python has, and prints it as JSON as
`build_page` does.

Read in Neo's own source (modules/ui_toprow.py, modules/ui.py, modules/gradio_extensions.py, forge_canvas/canvas.py):
there is no Interrogate; all pictures but the last are a canvas, a block of HTML whose two pictures are texts that
follow; and extensions hear of every component that is made, also of one that gradio makes to update another.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from build_page import described, load

CANVASES = ("img2img_image", "img2img_sketch", "img2maskimg", "inpaint_sketch")


def heard(component_class: Any, listen: Callable[..., None]) -> None:
    """As gradio_extensions patches it. What an extension raises is reported, with its traceback, and the page goes on:
    here it ends the test."""
    original = component_class.__init__

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        listen(self, **kwargs)

    component_class.__init__ = __init__


def canvas(gr: Any, elem_id: str) -> None:
    gr.HTML("<div class='forge-container'></div>", elem_id=elem_id)
    for part in ("foreground", "background"):
        gr.Textbox(visible=False, elem_id=f"uuid_{elem_id}", elem_classes=[f"logical_image_{part}"])


def img2img(gr: Any) -> None:
    with gr.Row(elem_id="img2img_toprow"):
        gr.Textbox(elem_id="img2img_prompt")
        with gr.Row(elem_id="img2img_tools"):
            for name in ("paste", "img2img_clear_prompt", "img2img_style_apply"):
                gr.Button(elem_id=name)
            gr.Button(elem_id="img2img_restore_progress", visible=False)
            gr.HTML("<span>0/75</span>", elem_id="img2img_token_counter", visible=False)
    with gr.Tabs(elem_id="mode_img2img"):
        for name in CANVASES:
            with gr.Tab(name):
                canvas(gr, name)
        with gr.Tab("Inpaint upload"):
            gr.Image(type="pil", elem_id="img_inpaint_base")


def updated(gr: Any) -> None:
    """What gradio does at each update of these."""
    gr.Textbox(value="a cat", elem_id="img2img_prompt", render=False)
    gr.Button(elem_id="img2img_restore_progress", visible=True, render=False)
    gr.HTML("", elem_id="img2img_image", render=False)


def main() -> None:
    import gradio as gr

    service, toolbar = load("server.service"), load("extension.toolbar")
    host = load("server.host").alone(load("core.settings").Settings(clip="micro"))
    bar = toolbar.Toolbar(
        service.Service(host, str, [], []),
        lambda value, elem_id, tooltip, visible=True: gr.Button(value, elem_id=elem_id, visible=visible),
    )
    heard(gr.components.Component, bar.after_component)
    with gr.Blocks() as blocks:
        img2img(gr)
    events = len(blocks.get_config_file()["dependencies"])
    updated(gr)
    page = described(blocks)
    page["further events"] = len(page["events"]) - events
    sys.stdout.write("\n" + json.dumps(page, default=str))


if __name__ == "__main__":
    main()
