"""The page Batch: a folder of pictures, and a text for each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gradio as gr

from ...core.batch.outputs import OUTPUTS
from ...core.batch.sinks import EXISTING
from ...core.settings import MODES
from ...core.targets import TARGET_NAMES
from ..batches import AS_USUAL, BatchRequest, described
from ..choices import ANY, Request
from ..jobs import Job
from ..service import Service
from .controls import clip_list, never_saved, open_list, preferred, vocabulary_list
from .describing import describing, describing_controls
from .runner import Runner


def batch_page(service: Service) -> None:
    """Builds the page into the gradio context it is called in."""
    with gr.Row(elem_id="unrender_batch_page"):
        with gr.Column(variant="panel"):
            controls = [*_pictures(), *_models(service)]
            described_so = describing_controls(service, "unrender_batch").all
        with gr.Column(variant="panel"):
            controls += [*_output(), *described_so]
            runner = Runner(service, "unrender_batch", "Describe all")

    def work(job: Job, *values: Any) -> str:
        return described(service.host, _request(*values), job)

    fields = [control for control in controls if isinstance(control, gr.Textbox)]
    runner.connect(work, controls, [], lambda said: [], lambda said: said, enter=fields)
    never_saved(*controls)


def _pictures() -> list[Any]:
    return [
        gr.Textbox(label="Folder on this program's machine", lines=1, elem_id="unrender_batch_folder"),
        gr.Checkbox(False, label="also the folders in it", elem_id="unrender_batch_recursive"),
    ]


def _models(service: Service) -> list[Any]:
    mode = gr.Radio(list(MODES), value="fast", label="Mode", elem_id="unrender_batch_mode")
    with gr.Row():
        clip = clip_list(service, "unrender_batch_clip")
        captioner = open_list(
            service.captioners, preferred(service, "captioner"), "Captioner", "unrender_batch_captioner"
        )
    with gr.Row():
        target = gr.Dropdown([ANY, *TARGET_NAMES], value=ANY, label="Target", elem_id="unrender_batch_target")
        vocabulary = vocabulary_list(service, "unrender_batch_vocabulary")
    return [mode, clip, captioner, target, vocabulary]


def _output() -> list[Any]:
    outputs = [f"{name}: {kind.summary}" for name, kind in OUTPUTS.items()]
    return [
        gr.Dropdown(
            outputs,
            value=outputs[0],
            label="Output",
            elem_id="unrender_batch_output",
        ),
        gr.Textbox(
            label="Place: the file, or for copies the folder, that is written",
            placeholder="empty for the pictures' own folder",
            lines=1,
            elem_id="unrender_batch_place",
        ),
        gr.Radio(
            [AS_USUAL, *EXISTING],
            value=AS_USUAL,
            label="Where there is a text already",
            elem_id="unrender_batch_existing",
        ),
        gr.Textbox(
            label="Template, with {prompt}, {caption}, {tags}, {characters}, {rating} and {name}",
            value="{prompt}",
            lines=1,
            elem_id="unrender_batch_template",
        ),
        gr.Checkbox(True, label="go on with an earlier run", elem_id="unrender_batch_resume"),
    ]


def _request(
    folder: Any,
    recursive: Any,
    mode: Any,
    clip: Any,
    captioner: Any,
    target: Any,
    vocabulary: Any,
    output: Any,
    place: Any,
    existing: Any,
    template: Any,
    resume: Any,
    *described_so: Any,
) -> BatchRequest:
    each = Request(None, mode, clip or "", captioner or "", vocabulary, target=target or ANY)
    each = replace(each, describing=describing(described_so))
    return BatchRequest(
        folder or "",
        each,
        output.partition(":")[0],
        place or "",
        existing,
        template or "{prompt}",
        bool(recursive),
        bool(resume),
    )
