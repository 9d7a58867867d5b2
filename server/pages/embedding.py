"""The page Embedding: pictures, and perhaps words, as what a diffusion model takes in a prompt's place."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ...core.embed.families import OFFERED
from ...core.embed.kinds import QUALITIES, USUAL
from ..bars import analysis_bars
from ..choices import ABOUT_QUALITIES, BY_QUALITY
from ..embeddings import (
    EmbeddingRequest,
    Kept,
    Preview,
    Weighted,
    embedded,
    is_taken,
    load,
    previewed,
    projections,
    save,
    saved,
)
from ..gradio_versions import event, html_output, image_input, image_output
from ..jobs import Job
from ..service import DONE, FAULT, WAIT, Report, Service
from ..wording import sentence_for
from .controls import never_saved
from .runner import Runner

_PICTURES = 4
_SAVE, _REPLACE = "Save", "Replace"


def embedding_page(service: Service, tab: Any) -> None:
    """Builds the page into the gradio context it is called in. tab: its own, whose choice lists what is saved."""
    kept = gr.State(None)
    with gr.Row(elem_id="unrender_embedding_page"):
        with gr.Column(variant="panel"):
            controls = [*_pictures(), *_controls(service)]
        with gr.Column(variant="panel"):
            runner = Runner(service, "unrender_embedding", "Make the embedding")
            summary = html_output(elem_id="unrender_embedding_summary")
            _files(service, kept, summary, tab)
            _preview(service, kept)

    def work(job: Job, *values: Any) -> Kept:
        return embedded(service.host, _request(*values), job)

    runner.connect(
        work,
        controls,
        [kept, summary],
        lambda made: [made, _told(made)],
        lambda made: "Made; save or preview it below.",
    )
    never_saved(*controls)


def _pictures() -> list[Any]:
    """Each followed by its weight."""
    parts: list[Any] = []
    for first in range(1, _PICTURES + 1, 2):
        with gr.Row():
            for number in (first, first + 1):
                with gr.Column(min_width=160):
                    name = f"unrender_embedding_picture{number}"
                    parts.append(image_input(False, label=f"Picture {number}", elem_id=name, height=200))
                    parts.append(gr.Slider(0, 1, 1, step=0.05, label=f"Weight {number}", elem_id=f"{name}_weight"))
    return parts


def _controls(service: Service) -> list[Any]:
    """In the order of `_request`, behind the pictures."""
    with gr.Row():
        family = gr.Dropdown(
            list(OFFERED),
            value=OFFERED[0],
            label="For models of the family",
            elem_id="unrender_embedding_family",
        )
        quality = gr.Dropdown(list(ABOUT_QUALITIES), value=USUAL, label="Quality", elem_id="unrender_embedding_quality")
    about = html_output(value=_about(USUAL), elem_id="unrender_embedding_quality_about")
    quality.change(_about, inputs=[quality], outputs=[about], queue=False, **event())
    anchor = gr.Textbox(
        label="Words that describe the pictures",
        placeholder="empty: best finds them",
        lines=2,
        elem_id="unrender_embedding_anchor",
    )
    text = gr.Textbox(label="Words that change the picture", lines=2, elem_id="unrender_embedding_text")
    strength = gr.Slider(
        0,
        1,
        1,
        step=0.05,
        label="Strength: 0 is the words alone, or an empty prompt, 1 the picture",
        elem_id="unrender_embedding_strength",
    )
    with gr.Accordion("Advanced", open=False, elem_id="unrender_embedding_advanced"):
        projection = gr.Dropdown(
            projections(service.host),
            value=BY_QUALITY,
            label="Projection: one by name, in the place of the quality's",
            elem_id="unrender_embedding_projection",
        )
        alpha = gr.Slider(
            0, 1, 0.6, step=0.05, label="Alpha: how much of the words, with pinv", elem_id="unrender_embedding_alpha"
        )
    return [family, quality, anchor, text, strength, projection, alpha]


def _about(quality: str | None) -> str:
    return f'<p class="unrender-note">{ABOUT_QUALITIES.get(quality or USUAL, "")}</p>'


def _request(*values: Any) -> EmbeddingRequest:
    pictures = [Weighted(values[at], float(values[at + 1])) for at in range(0, 2 * _PICTURES, 2)]
    family, quality, anchor, text, strength, projection, alpha = values[2 * _PICTURES :]
    known = quality if quality in QUALITIES else None
    named = (known, projection, anchor or "", text or "")
    return EmbeddingRequest(pictures, family, *named, float(alpha), float(strength))


def _files(service: Service, kept: Any, summary: Any, tab: Any) -> None:
    with gr.Row(equal_height=True):
        name = gr.Textbox(label="Name", value="picture", lines=1, scale=4, elem_id="unrender_embedding_name")
        keep = gr.Button(_SAVE, scale=1, min_width=100, elem_id="unrender_embedding_save")
    with gr.Row(equal_height=True):
        chosen = gr.Dropdown([], label="Saved", scale=4, elem_id="unrender_embedding_saved")
        take = gr.Button("Load", scale=1, min_width=100, elem_id="unrender_embedding_load")
    line = html_output(elem_id="unrender_embedding_files_status")
    asked = gr.State("")  # the name in use that the person was asked about

    def names() -> Any:
        return gr.update(choices=saved(service.host))

    def write(kept: Kept | None, name: str | None, asked: str) -> list[Any]:
        name = name or ""
        try:
            if kept is not None and name != asked and is_taken(service.host, name):
                question = f"There is a saved embedding {name.strip()} already; press {_REPLACE} to write over it."
                return [Report[None](question, WAIT).line, gr.update(), gr.update(value=_REPLACE), name]
            said = Report[None](f"Saved as {save(service.host, kept, name)}.", DONE).line
        except Exception as error:  # noqa: BLE001  whatever it is, the person is told
            said = Report[None](sentence_for(error), FAULT).line
        return [said, names(), gr.update(value=_SAVE), ""]

    def read(name: str | None) -> list[Any]:
        try:
            found = load(service.host, name or "")
        except Exception as error:  # noqa: BLE001  whatever it is, the person is told
            return [gr.update(), gr.update(), Report[None](sentence_for(error), FAULT).line]
        return [found, _told(found), Report[None]("Loaded.", DONE).line]

    for asks in (keep.click, name.submit):
        asks(write, inputs=[kept, name, asked], outputs=[line, chosen, keep, asked], queue=False, **event())
    name.change(lambda: [gr.update(value=_SAVE), ""], inputs=[], outputs=[keep, asked], queue=False, **event())
    take.click(read, inputs=[chosen], outputs=[kept, summary, line], queue=False, **event())
    tab.select(names, inputs=[], outputs=[chosen], queue=False, **event())
    never_saved(name, chosen)


def _preview(service: Service, kept: Any) -> None:
    checkpoint = gr.Textbox(
        label="Checkpoint to preview with",
        placeholder="file, folder or hub id; empty for the nearest phrases",
        lines=1,
        elem_id="unrender_preview_checkpoint",
    )
    runner = Runner(service, "unrender_preview", "Preview")
    image = image_output(label="Rendered", visible=False, elem_id="unrender_preview_image")
    nearest = html_output(elem_id="unrender_preview_nearest")

    def work(job: Job, kept: Kept | None, checkpoint: str) -> Preview:
        return previewed(service.host, kept, checkpoint or "", job)

    def shown(found: Preview) -> list[Any]:
        words = "" if found.nearest is None else analysis_bars(found.nearest)
        return [gr.update(value=found.image, visible=found.image is not None), words]

    def said(found: Preview) -> str:
        return "Rendered." if found.nearest is None else f"The nearest phrases, as {found.nearest.model} sees them."

    runner.connect(work, [kept, checkpoint], [image, nearest], shown, said, enter=[checkpoint])
    never_saved(checkpoint)


def _told(kept: Kept) -> str:
    return Report[None](kept.summary, DONE).line
