"""The button among img2img's small ones, which puts the prompt of the current picture into the prompt field."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

import gradio as gr

from ..server.choices import inserted, picture_of, picture_request
from ..server.gradio_versions import event
from ..server.service import FAULT, WAIT, Report, Service, run

_BESIDE = ("deepbooru", "img2img_restore_progress")
"""The webui's own Interrogate; where it has none any more, as Forge Neo and Classic, the end of the row it was in."""

_PROMPT = "img2img_prompt"
_PICTURES = ("img2img_image", "img2img_sketch", "img2maskimg", "inpaint_sketch", "img_inpaint_base")
"""The pictures of img2img's tabs, in the order of the tabs; the last tab is for batches."""

_FORGE_PICTURE = "logical_image_background"

_SELECTED_TAB = f"""(...values) => {{
    const tab = get_tab_index('mode_img2img');
    const pictures = values.slice(2, {len(_PICTURES) + 2});
    return [tab, values[1], ...pictures.map((picture, at) => at === tab ? picture : null)];
}}"""
"""JavaScript: the arguments with the number of img2img's selected tab as the first, and no picture but that tab's: the
others would be sent for nothing, and reForge fails at an inpaint picture that nothing was drawn upon."""

_COUNT_TOKENS = "() => window.update_img2img_tokens?.()"
"""JavaScript: the counter beside the prompt field hears only of what is typed."""

MakeButton = Callable[..., Any]


class Toolbar:
    """Listens to a webui building its page, adds the button, and connects it as soon as all it needs is there.

    make_button: the webui's own small button.
    """

    def __init__(self, service: Service, make_button: MakeButton) -> None:
        self._service = service
        self._make_button = make_button
        self._parts: list[Any] = []
        self._prompt: Any = None
        self._pictures: dict[str, Any] = {}
        self._canvas = ""
        self._connected = False

    def after_component(self, component: Any, elem_id: str | None = None, **_: Any) -> None:
        """Called by the webui for each component it has made: also for those of the same ids that gradio 4 makes at
        each update, long after the page was built, when nothing can be connected any more."""
        if self._connected:
            return
        if elem_id in _BESIDE and not self._parts:
            self._parts = self._build()
        elif elem_id == _PROMPT:
            self._prompt = component
        elif elem_id in _PICTURES and elem_id not in self._pictures:
            if isinstance(component, gr.HTML):
                self._canvas = elem_id  # Forge draws on a canvas; the picture is in a component that follows
                return
            self._pictures[elem_id] = component
        elif self._canvas and _FORGE_PICTURE in (getattr(component, "elem_classes", None) or ()):
            self._pictures[self._canvas] = component
            self._canvas = ""
        else:
            return
        if self._parts and self._prompt is not None and len(self._pictures) == len(_PICTURES):
            self._connected = True
            self._connect()

    def _build(self) -> list[Any]:
        start = self._make_button(
            value="🔎",
            elem_id="unrender_img2img_start",
            tooltip="Unrender: find the prompt of the picture and put it into the prompt field",
        )
        stop = self._make_button(value="⏹️", elem_id="unrender_img2img_stop", tooltip="Unrender: stop", visible=False)
        status = gr.HTML(elem_id="unrender_img2img_status", visible=False)
        return [start, stop, status, gr.State("")]

    def _connect(self) -> None:
        start, stop, status, key = self._parts
        pictures = [self._pictures[name] for name in _PICTURES]

        def find(tab: Any, typed: str, *pictures: Any) -> Generator[list[Any], None, None]:
            for report in self._found(tab, pictures):
                prompt = gr.update()
                if report.found is not None:
                    insertion = self._service.preferences().insertion
                    prompt = gr.update(value=inserted(self._service.written(report.found.prompt), typed, insertion))
                yield [
                    prompt,
                    gr.update(value=report.line, visible=bool(report.line)),
                    gr.update(interactive=report.kind != WAIT),
                    gr.update(visible=report.kind == WAIT),
                    report.key,
                ]

        number = gr.Number(value=0, visible=False, elem_id="unrender_img2img_tab")
        found = start.click(
            find,
            inputs=[number, self._prompt, *pictures],
            outputs=[self._prompt, status, start, stop, key],
            **event(_SELECTED_TAB),
        )
        found.then(None, inputs=[], outputs=[], **event(_COUNT_TOKENS))
        stop.click(self._service.jobs.stop, inputs=[key], outputs=[], queue=False, **event())

    def _found(self, tab: Any, pictures: Sequence[Any]) -> Generator[Report, None, None]:
        number = int(tab or 0)
        if number >= len(pictures):
            yield Report("Choose a tab with one picture; the button does not work on a batch.", FAULT)
            return
        yield from run(self._service, picture_request(picture_of(pictures[number]), self._service.preferences()))
