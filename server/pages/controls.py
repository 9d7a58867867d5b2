"""Controls that several pages have."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from ...core.choices import CLIPS
from ..gradio_versions import event, image_input
from ..service import Service

_EXAMPLE_SIZE = 512


def picture_input(elem_id: str, decoded: bool = False) -> Any:
    return image_input(decoded, label="Picture", elem_id=elem_id, height=420, elem_classes="unrender-picture")


def example_button(elem_id: str, picture: Any) -> Any:
    """For who has no picture at hand."""
    button = gr.Button("Example picture", elem_id=elem_id)
    button.click(example, inputs=[], outputs=[picture], queue=False, **event())
    return button


def example() -> Any:  # gradio 3 looks up what a handler's signature names
    """A drawing of micro's world, which every model can say something of, enlarged without loss."""
    from PIL import Image

    from ...core.micro.drawing import draw
    from ...core.micro.world import Scene

    drawn = draw(Scene("moon", "yellow", "large", "sea", "oil", "mira"), 3).picture
    return drawn.resize((_EXAMPLE_SIZE, _EXAMPLE_SIZE), Image.Resampling.NEAREST)


def preferred(service: Service, name: str) -> Callable[[], str]:
    """A value that is read again whenever the page is opened."""
    return lambda: getattr(service.preferences(), name)


def clip_list(service: Service, elem_id: str) -> Any:
    return open_list(CLIPS, preferred(service, "clip"), "CLIP", elem_id)


def vocabulary_list(service: Service, elem_id: str) -> Any:
    return open_list(service.vocabularies, preferred(service, "vocabulary"), "Vocabulary", elem_id)


def open_list(names: Sequence[str], value: Callable[[], str] | str | None, label: str, elem_id: str) -> Any:
    """A list in which any other name may be typed as well."""
    return gr.Dropdown(list(names), value=value, label=label, elem_id=elem_id, allow_custom_value=True)


def emptied_with(picture: Any, outputs: Sequence[Any]) -> None:
    """Nothing that was found stays beside another picture."""
    nothing = json.dumps([None if isinstance(each, gr.Image) else "" for each in outputs])
    picture.change(None, inputs=[], outputs=list(outputs), **event(f"() => {nothing}"))


def never_saved(*parts: Any) -> None:
    """A webui would write what is chosen now into its file of defaults."""
    for part in parts:
        part.do_not_save_to_config = True
