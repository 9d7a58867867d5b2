"""The controls of `Describing`, folded away until somebody wants them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from ...core.choices import NONE
from ...core.settings import WRITING_STYLES
from ..choices import taggers
from ..describing import AS_USUAL, THRESHOLDS, Describing
from .controls import open_list

_ORDERS = (AS_USUAL, "confidence", "alphabet")


def describing_controls() -> list[Any]:
    """In the order of `describing`."""
    with gr.Accordion("Description", open=False, elem_id="unrender_description"):
        style = gr.Dropdown([AS_USUAL, *WRITING_STYLES], value=AS_USUAL, label="Style", elem_id="unrender_style")
        instruction = gr.Textbox(
            label="Instruction",
            placeholder="what the captioner is asked, in place of the style",
            lines=2,
            elem_id="unrender_instruction",
        )
        with gr.Row():
            temperature = gr.Slider(0, 2, value=0, step=0.05, label="Temperature", elem_id="unrender_temperature")
            seed = gr.Number(value=0, precision=0, label="Seed", elem_id="unrender_seed")
        with gr.Row():
            length = gr.Number(value=0, precision=0, label="Most tokens (0: by style)", elem_id="unrender_length")
            candidates = gr.Slider(1, 8, value=1, step=1, label="Candidates", elem_id="unrender_candidates")
    with gr.Accordion("Tags", open=False, elem_id="unrender_tags"):
        tagger = open_list(taggers(), NONE, "Tagger", "unrender_tagger")
        thresholds = gr.Radio(list(THRESHOLDS), value=THRESHOLDS[0], label="Thresholds", elem_id="unrender_thresholds")
        with gr.Row():
            general = gr.Slider(0, 1, value=Describing.general, step=0.01, label="General", elem_id="unrender_general")
            character = gr.Slider(
                0, 1, value=Describing.character, step=0.01, label="Characters", elem_id="unrender_character"
            )
        with gr.Row():
            order = gr.Dropdown(list(_ORDERS), value=AS_USUAL, label="Order", elem_id="unrender_order")
            rating = gr.Checkbox(value=False, label="Rating among them", elem_id="unrender_rating")
        exclude = gr.Textbox(
            label="Exclude tags", placeholder="between commas", lines=1, elem_id="unrender_exclude_tags"
        )
    return [
        *(style, instruction, length, temperature, seed, candidates),
        *(tagger, thresholds, general, character, order, rating, exclude),
    ]


def describing(values: Sequence[Any]) -> Describing:
    """What the controls hold, which may be nothing."""
    style, instruction, length, temperature, seed, candidates, tagger, thresholds, *tags = values
    general, character, order, rating, exclude = tags
    return Describing(
        style or AS_USUAL,
        instruction or "",
        max(0, int(length or 0)),
        float(temperature or 0),
        max(0, int(seed or 0)),
        int(candidates or 1),
        tagger or "",
        thresholds or THRESHOLDS[0],
        float(general or 0),
        float(character or 0),
        order or AS_USUAL,
        bool(rating),
        exclude or "",
    )
