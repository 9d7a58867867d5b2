"""Image as prompt in a webui: the section in txt2img and img2img, and its part in a generation."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ..core.choices import NONE
from ..core.errors import SettingsError
from ..server.embeddings import saved_embedding, saved_names, tuned_projections
from ..server.wording import sentence_for
from . import webui_host
from .embeddings import Embeddings
from .generation import (
    BY_QUALITY,
    NUMBERS,
    OFFERED_PROJECTIONS,
    OFFERED_QUALITIES,
    TITLE,
    Asked,
    check_number,
    check_projection,
    check_quality,
    keys_of,
)
from .sampling import failing, follow, told

_logger = logging.getLogger(__name__)


class ImageAsPrompt(webui_host.Script):
    """The accordion in txt2img and img2img, and its part in a generation."""

    embeddings: Embeddings

    def title(self) -> str:
        return TITLE

    def show(self, is_img2img: bool) -> Any:
        return webui_host.calls_at_each_step() and webui_host.ALWAYS_VISIBLE

    def ui(self, is_img2img: bool) -> list[Any]:
        try:
            tab = "img2img" if is_img2img else "txt2img"
            from .section import section

            controls, self.infotext_fields = section(
                tab,
                _saved_embeddings,
                webui_host.add_refresh,
                tuned_projections(webui_host.model_folder()),
            )
            self.paste_field_names = [name for _, name in self.infotext_fields if isinstance(name, str)]
            return controls
        except Exception as error:  # noqa: BLE001  a webui without this accordion is better than none
            _logger.warning("No %s: %s", TITLE, sentence_for(error))
            return []

    def process(self, p: Any, *values: Any) -> None:
        follow(p, None)
        with failing(p):
            asked = _asked(p, values)
            if asked:
                p.extra_generation_params.update(asked.infotext(keys_of(asked)))

    def process_batch(self, p: Any, *values: Any, **_: Any) -> None:
        """Here and not earlier: by now this batch's LoRAs are chosen."""
        with failing(p):
            asked = _asked(p, values)
            if asked:
                follow(p, self.embeddings.following(p, asked))


def add_axes() -> None:
    """Lets an X/Y/Z plot vary the picture's part."""
    for name in NUMBERS:
        webui_host.add_axis(f"{TITLE} {name}", _vary(name), _check(lambda value, name=name: check_number(name, value)))
    webui_host.add_axis(f"{TITLE} quality", _vary("quality"), _check(check_quality), OFFERED_QUALITIES)
    webui_host.add_axis(f"{TITLE} projection", _vary("projection"), _check(check_projection), OFFERED_PROJECTIONS)


def _vary(name: str) -> Callable[[Any, Any, Any], None]:
    def vary(p: Any, value: Any, _: Any) -> None:
        # the plot's copies of `p` share whatever it holds
        p.unrender_varied = {**getattr(p, "unrender_varied", {}), name: value}

    return vary


def _check(check_value: Callable[[Any], None]) -> Callable[[Any, Sequence[Any]], None]:
    def check(_: Any, values: Sequence[Any]) -> None:
        try:
            for value in values:
                check_value(value)
        except SettingsError as error:
            raise told(error) from error

    return check


def _asked(p: Any, values: Sequence[Any]) -> Asked:
    """values: of the section, or a script's arguments; what a plot varies goes before theirs."""
    varied = getattr(p, "unrender_varied", {})
    if "quality" in varied:  # which a projection that is named in the section would take the place of
        varied = {"projection": BY_QUALITY, **varied}
    asked = replace(Asked.of(*values), **varied)
    if asked.name == NONE:
        return asked
    path = saved_embedding(webui_host.model_folder(), asked.name)
    return replace(asked, embeddings=[*asked.embeddings, path.read_bytes()])


def _saved_embeddings() -> list[str]:
    return saved_names(webui_host.model_folder())
