"""The controls of `Describing`, folded away until somebody wants them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ...core.settings import WRITING_STYLES
from ..choices import taggers
from ..describing import AS_USUAL, THRESHOLDS, Describing
from ..service import Service
from .controls import open_list, preferred

_ORDERS = (AS_USUAL, "confidence", "alphabet", "target")


@dataclass(frozen=True)
class DescribingControls:
    """all: in the order of `describing`."""

    all: Sequence[Any]
    style: Any
    tagger: Any


def describing_controls(service: Service, name: str = "unrender") -> DescribingControls:
    """name: what the ids of the elements begin with."""
    with gr.Accordion("Description", open=False, elem_id=f"{name}_description"):
        written = _written(service, name)
    with gr.Accordion("Tags", open=False, elem_id=f"{name}_tags"):
        tagged = _tagged(service, name)
    return DescribingControls([*written, *tagged], written[0], tagged[0])


def tagger_list(service: Service, elem_id: str) -> Any:
    usual = preferred(service, "tagger")
    return open_list(list(dict.fromkeys([*taggers(), usual()])), usual, "Tagger", elem_id)


def _written(service: Service, name: str) -> list[Any]:
    style = gr.Dropdown(
        [AS_USUAL, *WRITING_STYLES],
        value=preferred(service, "style"),
        label="Style",
        elem_id=f"{name}_style",
    )
    instruction = gr.Textbox(
        label="Instruction",
        placeholder="what the describer is asked, in place of the style",
        lines=2,
        elem_id=f"{name}_instruction",
    )
    with gr.Row():
        temperature = gr.Slider(0, 2, value=0, step=0.05, label="Temperature", elem_id=f"{name}_temperature")
        seed = gr.Number(value=0, precision=0, label="Seed", elem_id=f"{name}_seed")
    with gr.Row():
        length = gr.Number(value=0, precision=0, label="Most tokens (0: by style)", elem_id=f"{name}_length")
        candidates = gr.Slider(1, 8, value=1, step=1, label="Candidates", elem_id=f"{name}_candidates")
    return [style, instruction, length, temperature, seed, candidates]


def _tagged(service: Service, name: str) -> list[Any]:
    tagger = tagger_list(service, f"{name}_tagger")
    thresholds = gr.Radio(list(THRESHOLDS), value=THRESHOLDS[0], label="Thresholds", elem_id=f"{name}_thresholds")
    with gr.Row():
        general = gr.Slider(0, 1, value=Describing.general, step=0.01, label="Own: tags", elem_id=f"{name}_general")
        character = gr.Slider(
            0, 1, value=Describing.character, step=0.01, label="Own: characters", elem_id=f"{name}_character"
        )
    with gr.Row():
        order = gr.Dropdown(list(_ORDERS), value=AS_USUAL, label="Order", elem_id=f"{name}_order")
        rating = gr.Checkbox(value=False, label="Rating among them", elem_id=f"{name}_rating")
    exclude = gr.Textbox(label="Exclude tags", placeholder="between commas", lines=1, elem_id=f"{name}_exclude_tags")
    return [tagger, thresholds, general, character, order, rating, exclude]


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
