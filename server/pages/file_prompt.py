"""What a picture's own file says it was made with, where it does, and the button that takes it."""

from __future__ import annotations

import threading
from html import escape
from typing import Any

import gradio as gr

from ...core.metadata import FileMetadata, prompt_in_file
from ...core.printable import visible
from ..choices import file_of
from ..gradio_versions import event, html_output


class FilePrompt:
    """Builds it, hidden until there is something to show."""

    def __init__(self) -> None:
        with gr.Column(visible=False, elem_id="unrender_file") as self._group:
            with gr.Row(equal_height=True):
                self._prompt = gr.Textbox(
                    label="Prompt in the file", lines=2, interactive=False, scale=4, elem_id="unrender_file_prompt"
                )
                self._take = gr.Button("Take it", scale=1, min_width=100, elem_id="unrender_file_take")
            self._rest = html_output(elem_id="unrender_file_rest")

    @property
    def parts(self) -> list[Any]:
        return [self._prompt]

    def connect(self, picture: Any, prompt: Any, example: Any) -> None:
        """example: what is only offered while there is no picture."""

        one_at_a_time = threading.Lock()  # a text hidden in pixels takes those pixels' memory

        def look(value: Any) -> list[Any]:
            with one_at_a_time:
                found = None if value is None else prompt_in_file(file_of(value))
            return [gr.update(visible=found is not None), *_shown(found), gr.update(visible=value is None)]

        outputs = [self._group, self._prompt, self._take, self._rest, example]
        picture.change(look, inputs=[picture], outputs=outputs, queue=False, **event())
        self._take.click(lambda text: text, inputs=[self._prompt], outputs=[prompt], queue=False, **event())


def _shown(found: FileMetadata | None) -> list[Any]:
    if found is None:
        return ["", gr.update(), ""]
    facts = [
        f"By {found.generator}." if found.generator else "",
        f"Model: {found.model}." if found.model else "",
        f"Negative prompt: {found.negative_prompt}" if found.negative_prompt else "",
        *found.notes,
    ]
    lines = "".join(f'<p class="unrender-note">{escape(visible(fact))}</p>' for fact in facts if fact)
    return [found.prompt, gr.update(interactive=bool(found.prompt)), lines]
