"""Image as prompt in a webui: the section in txt2img and img2img, and its part in a generation."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..core.choices import NONE
from ..core.errors import SettingsError
from ..core.settings import Settings
from ..server.choices import AUTOMATIC
from ..server.embeddings import saved_embedding, saved_names
from ..server.models import Models
from ..server.wording import sentence_for
from . import webui_host
from .generation import NUMBERS, TITLE, Asked, accordion, check_number, embedding_of, keys_of
from .sampling import failing, told

if TYPE_CHECKING:
    from ..core.embed.embedding import PromptEmbedding
    from ..core.embed.families import Family
    from .conditioning import Steering

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
            controls, self.infotext_fields = accordion(tab, _saved_embeddings, webui_host.add_refresh)
            self.paste_field_names = [name for _, name in self.infotext_fields]
            return controls
        except Exception as error:  # noqa: BLE001  a webui without this accordion is better than none
            _logger.warning("No %s: %s", TITLE, sentence_for(error))
            return []

    def process(self, p: Any, *values: Any) -> None:
        p.unrender_steering = None
        with failing(p):
            asked = _asked(p, values)
            if asked:
                p.extra_generation_params.update(asked.infotext(keys_of(asked)))

    def process_batch(self, p: Any, *values: Any, **_: Any) -> None:
        """Here and not earlier: by now this batch's LoRAs are chosen."""
        with failing(p):
            asked = _asked(p, values)
            if asked:
                p.unrender_steering = self.embeddings.steering(p, asked)


def add_axes() -> None:
    """Lets an X/Y/Z plot vary the picture's part."""
    for name in NUMBERS:
        webui_host.add_axis(f"{TITLE} {name}", _vary(name), _check(name))


def _vary(name: str) -> Callable[[Any, float, Any], None]:
    def vary(p: Any, value: float, _: Any) -> None:
        # the plot's copies of `p` share whatever it holds
        p.unrender_numbers = {**getattr(p, "unrender_numbers", {}), name: value}

    return vary


def _check(name: str) -> Callable[[Any, Sequence[float]], None]:
    def check(_: Any, values: Sequence[float]) -> None:
        try:
            for value in values:
                check_number(name, value)
        except SettingsError as error:
            raise told(error) from error

    return check


def _asked(p: Any, values: Sequence[Any]) -> Asked:
    """values: of the section, or a script's arguments; a plot's numbers go before theirs."""
    asked = replace(Asked.of(*values), **getattr(p, "unrender_numbers", {}))
    if asked.name == NONE:
        return asked
    path = saved_embedding(webui_host.model_folder(), asked.name)
    return replace(asked, embeddings=[*asked.embeddings, path.read_bytes()])


def _saved_embeddings() -> list[str]:
    return saved_names(webui_host.model_folder())


class Embeddings:
    """Makes what a generation is steered with; keeps the last embedding, which is often needed again."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._last: tuple[Any, PromptEmbedding] | None = None

    def steering(self, p: Any, asked: Asked) -> Steering:
        from .conditioning import Conditioning, Steering
        from .text_encoders import family_of

        checkpoint = p.sd_model
        family = family_of(checkpoint, webui_host.clip_skip())
        # the webui changes weights for LoRAs only when it encodes the next text
        empty = webui_host.encoded(checkpoint, "", p.width, p.height)
        made = self._embedding(p, asked, family)
        assert made.states is not None
        return Steering(
            Conditioning(made.states, made.pooled),
            Conditioning.of(empty, family.pooled_width),
            asked.way,
            asked.strength,
            asked.start,
            asked.end,
        )

    def _embedding(self, p: Any, asked: Asked, family: Family) -> PromptEmbedding:
        seeing = webui_host.preferences().seeing
        loras = [(kind, [each.items for each in chosen]) for kind, chosen in (p.extra_network_data or {}).items()]
        key = (seeing, family.name, str(getattr(p.sd_model, "sd_checkpoint_info", "")), repr(loras), keys_of(asked))
        if self._last is None or self._last[0] != key:
            clip = family.clip if seeing == AUTOMATIC else seeing
            self._last = key, embedding_of(asked, family, lambda pictures: self._embed(p, pictures, family, clip))
        return self._last[1]

    def _embed(self, p: Any, pictures: Sequence[Any], family: Family, clip: str) -> PromptEmbedding:
        import torch

        from .text_encoders import text_sides

        device, job = webui_host.device(), webui_host.GenerationJob(webui_host.interrupted)
        webui_host.let_checkpoint_load(job)
        settings = Settings(clip=clip, captioner=None, device=str(device), cache=webui_host.model_folder())
        try:
            # Forge draws in inference mode, and models that are loaded in it could not be moved outside of it
            with torch.inference_mode(False), torch.no_grad():
                return self._models.embed(
                    pictures,
                    family,
                    lambda: text_sides(p.sd_model, family, device),
                    settings,
                    webui_host.preferences().keeping,
                    lambda needed: webui_host.room(device, needed),
                    job,
                )
        finally:
            job.text = ""
