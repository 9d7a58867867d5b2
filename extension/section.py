"""Image as prompt's section in txt2img and img2img, as it is seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gradio as gr

from ..core.choices import NONE
from ..core.embed.kinds import USUAL, is_tuned
from ..server.gradio_versions import image_input
from .generation import BY_QUALITY, OFFERED_PROJECTIONS, OFFERED_QUALITIES, TITLE
from .ways import REPLACE, WAYS

AddRefresh = Callable[[Any, Callable[[], list[str]], str], Any]

_QUALITY = "Quality: quick at once, good in seconds, best a search for words first; usual is what suits the checkpoint"


def section(
    tab: str, names: Callable[[], Sequence[str]], add_refresh: AddRefresh, tuned: Sequence[str] = ()
) -> tuple[list[Any], list[Any]]:
    """Builds it; returns the controls in the order of `Asked.of`, and which of them an infotext sets by what name, or
    by what function of it.

    names: of the saved embeddings. tuned: projections that were tuned on pictures. add_refresh: puts a button beside a
    list, which has it filled anew; gets the list, what it is filled with, and the button's id.
    """
    prefix = f"unrender_{tab}_image_as_prompt"
    with gr.Accordion(TITLE, open=False, elem_id=prefix):
        picture, files, saved = _sources(prefix, names, add_refresh)
        quality = gr.Dropdown(list(OFFERED_QUALITIES), value=USUAL, label=_QUALITY, elem_id=f"{prefix}_quality")
        way, strength, start, end = _part_in_it(prefix)
        with gr.Accordion("Advanced", open=False, elem_id=f"{prefix}_advanced"):
            projection, text, alpha, anchor, varied = _advanced(prefix, [*OFFERED_PROJECTIONS, *tuned])
    for part in (picture, files, saved, text, anchor, varied):
        part.do_not_save_to_config = True
    numbers = {"strength": strength, "start": start, "end": end, "alpha": alpha}
    named = {TITLE: way} | {f"{TITLE} {name}": part for name, part in numbers.items()}
    named |= {f"{TITLE} embedding": saved, f"{TITLE} quality": quality}
    pasted: list[Any] = [(part, name) for name, part in named.items()]
    pasted += [(part, _or_empty(f"{TITLE} {name}")) for name, part in (("words", text), ("anchor", anchor))]
    pasted.append((projection, _projection))
    return [picture, files, way, strength, start, end, saved, projection, text, alpha, anchor, varied, quality], pasted


def _sources(prefix: str, names: Callable[[], Sequence[str]], add_refresh: AddRefresh) -> tuple[Any, Any, Any]:
    with gr.Row():
        picture = image_input(label="Picture", elem_id=f"{prefix}_picture", height=240)
        files = _files("Further pictures, or saved embeddings", f"{prefix}_files")

    def choices() -> list[str]:
        return [NONE, *names()]

    with gr.Row():
        saved = gr.Dropdown(
            choices(), value=NONE, label="Saved embedding", allow_custom_value=True, elem_id=f"{prefix}_saved"
        )
        add_refresh(saved, choices, f"{prefix}_refresh")
    return picture, files, saved


def _part_in_it(prefix: str) -> list[Any]:
    way = gr.Radio(list(WAYS), value=REPLACE, label="With the typed prompt", elem_id=f"{prefix}_way")
    numbers = (
        gr.Slider(0, 1, value=value, step=0.05, label=label, elem_id=f"{prefix}_{name}")
        for name, value, label in (
            ("strength", 1, "Strength"),
            ("start", 0, "From this part of the steps"),
            ("end", 1, "to this part"),
        )
    )
    return [way, *numbers]


def _advanced(prefix: str, projections: list[str]) -> list[Any]:
    how = "Projection: one by name, in the place of the quality's"
    changing = "Words that change the picture"
    describing = "Anchor: words that describe the picture; then none are searched"
    varied = "Gap pictures: about 40 varied ones, with all but pinv"
    projection = gr.Dropdown(projections, value=BY_QUALITY, label=how, elem_id=f"{prefix}_projection")
    with gr.Row():
        text = gr.Textbox(label=changing, lines=1, elem_id=f"{prefix}_words")
        alpha = gr.Slider(0, 2, 0.6, step=0.05, label="Alpha: how much, with pinv", elem_id=f"{prefix}_alpha")
    anchor = gr.Textbox(label=describing, lines=1, elem_id=f"{prefix}_anchor")
    return [projection, text, alpha, anchor, _files(varied, f"{prefix}_gap_pictures")]


def _files(label: str, elem_id: str) -> Any:
    return gr.File(label=label, file_count="multiple", type="binary", elem_id=elem_id)


def _or_empty(name: str) -> Callable[[Mapping[str, Any]], str | None]:
    """An infotext leaves out what is empty; then pasting it empties the field."""
    return lambda found: found.get(name, "") if TITLE in found else None


def _projection(found: Mapping[str, Any]) -> str | None:
    """Left out, too, unless one was named."""
    named = found.get(f"{TITLE} projection")
    return None if TITLE not in found else named if named in OFFERED_PROJECTIONS or is_tuned(named) else BY_QUALITY
