"""Controls that several pages have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from ...core.choices import CLIPS
from ..gradio_versions import image_input
from ..service import Service


def picture_input(elem_id: str, decoded: bool = False) -> Any:
    return image_input(decoded, label="Picture", elem_id=elem_id, height=420)


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


def never_saved(*parts: Any) -> None:
    """A webui would write what is chosen now into its file of defaults."""
    for part in parts:
        part.do_not_save_to_config = True
