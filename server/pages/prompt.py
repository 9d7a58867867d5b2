"""The page Prompt: a picture in, the words that would have rendered it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ...core.phrases import POSITIVE
from ...core.results import Interrogation
from ...core.settings import MODES
from ..choices import Request
from ..gradio_versions import copyable_textbox
from ..jobs import Job
from ..service import Service, told_of
from ..work import interrogation
from .controls import clip_list, never_saved, open_list, picture_input, preferred, vocabulary_list
from .runner import Runner


@dataclass(frozen=True)
class PromptPage:
    """The parts a host connects with its own; send: the buttons by the name of the tab they send to."""

    picture: Any
    prompt: Any
    send: Mapping[str, Any]


def prompt_page(service: Service, send_to: Sequence[str] = ()) -> PromptPage:
    """Builds the page into the gradio context it is called in."""
    with gr.Row(elem_id="unrender_prompt_page"):
        with gr.Column(variant="panel"):
            picture = picture_input("unrender_picture", decoded=bool(send_to))
            controls = _controls(service)
        with gr.Column(variant="panel"):
            runner = Runner(service, "unrender", "Find the prompt")
            prompt = copyable_textbox(label="Prompt", lines=6, elem_id="unrender_prompt", interactive=True)
            similarity = gr.Textbox(
                label="Similarity of prompt and picture in the CLIP's eyes; good prompts reach about 0.3",
                interactive=False,
                elem_id="unrender_similarity",
            )
            with gr.Row(elem_id="unrender_send"):
                send = {name: gr.Button(f"Send to {name}", elem_id=f"unrender_send_{name}") for name in send_to}

    def find(job: Job, *values: Any) -> Interrogation:
        return interrogation(service.host, _request(*values), job)

    def shown(found: Interrogation) -> list[str]:
        return [service.written(found.prompt), f"{found.similarity:.4f}"]

    runner.connect(find, [picture, *controls], [prompt, similarity], shown, told_of)
    never_saved(picture, prompt, similarity, *controls)
    return PromptPage(picture, prompt, send)


def _controls(service: Service) -> list[Any]:
    """In the order of `_request`, behind the picture."""
    mode = gr.Radio(list(MODES), value=preferred(service, "mode"), label="Mode", elem_id="unrender_mode")
    with gr.Row():
        clip = clip_list(service, "unrender_clip_model")
        captioner = open_list(
            service.captioners, preferred(service, "captioner"), "Captioner", "unrender_captioner_model"
        )
    vocabulary = vocabulary_list(service, "unrender_vocabulary_name")
    categories = gr.CheckboxGroup(
        list(POSITIVE), value=list(POSITIVE), label="Phrases of", elem_id="unrender_categories"
    )
    exclude = gr.Textbox(
        label="Exclude",
        placeholder="phrases never to use, between commas; a bare name excludes an artist",
        lines=1,
        elem_id="unrender_exclude",
    )
    return [mode, clip, captioner, vocabulary, categories, exclude]


def _request(
    picture: Any, mode: Any, clip: Any, captioner: Any, vocabulary: Any, categories: Any, exclude: Any
) -> Request:
    return Request(picture, mode, clip or "", captioner or "", vocabulary, categories, exclude or "")
