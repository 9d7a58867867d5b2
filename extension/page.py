"""The page: one builder for gradio 3.41 to 6, inside a webui and alone."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ..core.choices import CLIPS
from ..core.settings import MODES
from .choices import CATEGORIES, Request
from .gradio_versions import copyable_textbox, event, image_input
from .service import WAIT, Service, run


@dataclass(frozen=True)
class PromptPage:
    """The parts a host connects with its own; send: the buttons by the name of the tab they send to."""

    picture: Any
    prompt: Any
    send: Mapping[str, Any]


def prompt_page(service: Service, send_to: Sequence[str] = ()) -> PromptPage:
    """Builds the page Prompt into the gradio context it is called in."""
    choices = _Choices(service)
    with gr.Row(elem_id="unrender_prompt_page"):
        with gr.Column(variant="panel"):
            picture = image_input(label="Picture", elem_id="unrender_picture", height=420)
            controls = choices.build()
        with gr.Column(variant="panel"):
            with gr.Row():
                start = gr.Button("Find the prompt", variant="primary", elem_id="unrender_start")
                stop = gr.Button("Stop", variant="stop", visible=False, elem_id="unrender_stop")
            status = gr.HTML(elem_id="unrender_status")
            prompt = copyable_textbox(label="Prompt", lines=6, elem_id="unrender_prompt", interactive=True)
            similarity = gr.Textbox(
                label="Similarity of prompt and picture in the CLIP's eyes; good prompts reach about 0.3",
                interactive=False,
                elem_id="unrender_similarity",
            )
            with gr.Row():
                send = {name: gr.Button(f"Send to {name}", elem_id=f"unrender_send_{name}") for name in send_to}
    key = gr.State("")

    def find(picture: Any, *values: Any) -> Generator[list[Any], None, None]:
        for report in run(service, choices.request(picture, values)):
            found = report.found
            yield [
                report.line,
                service.written(found.prompt) if found else gr.update(),
                f"{found.similarity:.4f}" if found else gr.update(),
                gr.update(interactive=report.kind != WAIT),
                gr.update(visible=report.kind == WAIT),
                report.key,
            ]

    outputs = [status, prompt, similarity, start, stop, key]
    start.click(find, inputs=[picture, *controls], outputs=outputs, **event())
    stop.click(service.jobs.stop, inputs=[key], outputs=[], queue=False, **event())
    for part in (picture, prompt, similarity, *controls):
        part.do_not_save_to_config = True  # a webui would write what is chosen now into its file of defaults
    return PromptPage(picture, prompt, send)


class _Choices:
    """The controls of a request, and the request made of their values."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def build(self) -> list[Any]:
        service = self._service

        def preferred(name: str) -> Callable[[], str]:
            return lambda: getattr(service.preferences(), name)

        mode = gr.Radio(list(MODES), value=preferred("mode"), label="Mode", elem_id="unrender_mode")
        with gr.Row():
            clip = _open_list(CLIPS, preferred("clip"), "CLIP", "unrender_clip_model")
            captioner = _open_list(service.captioners, preferred("captioner"), "Captioner", "unrender_captioner_model")
        vocabulary = _open_list(service.vocabularies, preferred("vocabulary"), "Vocabulary", "unrender_vocabulary_name")
        categories = gr.CheckboxGroup(
            list(CATEGORIES), value=list(CATEGORIES), label="Phrases of", elem_id="unrender_categories"
        )
        exclude = gr.Textbox(
            label="Exclude",
            placeholder="phrases never to use, between commas; a bare name excludes an artist",
            lines=1,
            elem_id="unrender_exclude",
        )
        return [mode, clip, captioner, vocabulary, categories, exclude]

    def request(self, picture: Any, values: Sequence[Any]) -> Request:
        mode, clip, captioner, vocabulary, categories, exclude = values
        return Request(picture, mode, clip or "", captioner or "", vocabulary, categories, exclude)


def _open_list(names: Sequence[str], value: Callable[[], str], label: str, elem_id: str) -> Any:
    """A list in which any other name may be typed as well."""
    return gr.Dropdown(list(names), value=value, label=label, elem_id=elem_id, allow_custom_value=True)
