"""The button among img2img's small ones, which puts the prompt of the current picture into the prompt field."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Sequence
from types import SimpleNamespace
from typing import Any

import gradio as gr

from ..server.choices import inserted, picture_of, picture_request
from ..server.gradio_versions import event, in_steps, uploaded
from ..server.service import DONE, FAULT, WAIT, Report, Service, run
from .prompt_field import put_into, undo_in

_BESIDE = ("deepbooru", "img2img_restore_progress")
"""The webui's own Interrogate; where it has none any more, as Forge Neo and Classic, the end of the row it was in."""

_PROMPT = "img2img_prompt"
_PICTURES = ("img2img_image", "img2img_sketch", "img2maskimg", "inpaint_sketch", "img_inpaint_base")
"""The pictures of img2img's tabs, in the order of the tabs; the last tab is for batches."""

_FORGE_PICTURE = "logical_image_background"

_SELECTED_TAB = f"""(...values) => {{
    const tab = get_tab_index('mode_img2img');
    const held = values[2 + tab]?.image ?? values[2 + tab];
    const picture = typeof held === 'string' ? held : held ? JSON.stringify(held) : '';
    return [tab, tab < {len(_PICTURES)} ? picture : '', ...Array({len(_PICTURES)}).fill(null)];
}}"""
"""JavaScript: the number of img2img's selected tab, and what its picture's component holds, as text. The components'
own ways to us end where they cannot read what they hold, and nobody is told; reForge's does at any inpaint picture that
nothing was drawn upon."""

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
        undo = self._make_button(
            value="↩️", elem_id="unrender_img2img_undo", tooltip="Unrender: put back the words that were there before"
        )
        undo.click(**undo_in(_PROMPT))
        status = gr.HTML(elem_id="unrender_img2img_status", visible=False)
        return [start, stop, status, gr.State("")]

    def _connect(self) -> None:
        start, stop, status, key = self._parts
        pictures = [self._pictures[name] for name in _PICTURES]
        number = gr.Number(value=0, visible=False, elem_id="unrender_img2img_tab")
        picture = gr.Textbox(visible=False, elem_id="unrender_img2img_picture")
        found = gr.Textbox(visible=False, elem_id="unrender_img2img_found")
        written = gr.Textbox(visible=False, elem_id="unrender_img2img_written")

        def told(report: Report) -> list[Any]:
            line = gr.update(value=report.line, visible=bool(report.line))
            return [line, gr.update(visible=report.kind == WAIT), report.key]

        def find(tab: Any, held: str, *_: Any) -> Generator[list[Any], None, list[Any]]:
            report: Report = Report("", DONE)
            for report in self._found(tab, held):
                if report.kind == WAIT:
                    yield told(report)
            return [*told(report), "" if report.found is None else self._service.written(report.found.prompt)]

        def write(found: str, typed: str) -> str:
            return inserted(found, typed, self._service.preferences().insertion) if found else ""

        asked, shown = [number, picture, *pictures], [status, stop, key]
        ended = in_steps(start.click, find, asked, shown, [found], pressable=[start], script=_SELECTED_TAB)
        # with the words that are in the field by now
        ended = ended.then(write, inputs=[found, self._prompt], outputs=[written], queue=False, **event())
        ended = ended.then(inputs=[written], **put_into(_PROMPT))
        ended.then(None, inputs=[], outputs=[], **event(_COUNT_TOKENS))
        stop.click(self._service.jobs.stop, inputs=[key], outputs=[], queue=False, **event())
        self._forget_with(pictures, key, status)

    def _forget_with(self, pictures: Sequence[Any], key: Any, status: Any) -> None:
        """An old line never stays beside another picture."""

        def forget(key: str, is_other: Any = True, *_: Any) -> Any:
            if not is_other or self._service.jobs.outdate(key):
                return gr.update()
            return gr.update(value="", visible=False)

        is_other = gr.Checkbox(visible=False, elem_id="unrender_img2img_other")
        quick: dict[str, Any] = {"outputs": [status], "queue": False}
        for name, picture in zip(_PICTURES, pictures, strict=True):
            if getattr(picture, "tool", None) == "sketch":  # gradio 3's, whose changes never end once they are heard of
                for listen in (picture.upload, picture.clear):
                    listen(forget, inputs=[key], **quick, **event())
            else:
                script = f"(key, _, held) => [key, window.unrender?.isOther('{name}', held) ?? false, null]"
                picture.change(forget, inputs=[key, is_other, picture], **quick, **event(script))
            if (tab := _tab_of(picture)) is not None:
                tab.select(forget, inputs=[key], **quick, **event())

    def _found(self, tab: Any, held: str) -> Generator[Report, None, None]:
        number = int(tab or 0)
        if number >= len(_PICTURES):
            yield Report("Choose a tab with one picture; the button does not work on a batch.", FAULT)
            return
        picture = _read(self._pictures[_PICTURES[number]], held or "")
        yield from run(self._service, picture_request(picture, self._service.preferences()))


def _read(component: Any, held: str) -> Any:
    """The picture in what a component holds in the browser: a data URL, or what names a file that was uploaded."""
    if not held.startswith("{"):
        return picture_of(held)
    named = json.loads(held)
    return uploaded(component, SimpleNamespace(url=named.get("url"), path=named.get("path")))


def _tab_of(component: Any) -> Any:
    """The one it is in, if any."""
    while component is not None and not isinstance(component, gr.Tab):
        component = component.parent
    return component
