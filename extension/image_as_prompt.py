"""Image as prompt in a webui: the section in txt2img and img2img, and its part in a generation."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.choices import NONE
from ..core.errors import EmbeddingError, ModelError, SettingsError
from ..core.settings import Settings
from ..server.choices import AUTOMATIC
from ..server.embeddings import saved_embedding, saved_names
from ..server.models import Models
from ..server.wording import sentence_for
from . import webui_host
from .gap_pictures import Gaps, in_folder, key_of
from .generation import NUMBERS, OFFERED, TITLE, Asked, check_number, check_projection, embedding_of, keys_of
from .sampling import checkpoint_of, failing, follow, told

if TYPE_CHECKING:
    from ..core.embed.embedding import PromptEmbedding
    from ..core.embed.families import Family
    from .conditioning import Steering

_logger = logging.getLogger(__name__)
_KEPT = 3
"""Embeddings: of a checkpoint, its refiner and that of the hires pass."""


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

            controls, self.infotext_fields = section(tab, _saved_embeddings, webui_host.add_refresh)
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
    webui_host.add_axis(f"{TITLE} projection", _vary("projection"), _check(check_projection), OFFERED)


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
    asked = replace(Asked.of(*values), **getattr(p, "unrender_varied", {}))
    if asked.name == NONE:
        return asked
    path = saved_embedding(webui_host.model_folder(), asked.name)
    return replace(asked, embeddings=[*asked.embeddings, path.read_bytes()])


def _saved_embeddings() -> list[str]:
    return saved_names(webui_host.model_folder())


class Embeddings:
    """Makes what a generation is steered with; keeps the last embeddings, which are often needed again."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._made: dict[Any, PromptEmbedding] = {}
        self._gaps = Gaps()

    def following(self, p: Any, asked: Asked) -> Callable[[], Steering | None]:
        """What gives the steering of the checkpoint that the generation has by then: another one's text encoders get an
        embedding of their own, and one that no picture of this kind can speak to, as SDXL's refiner, the words."""
        from .text_encoders import checked_family

        first, model = checkpoint_of(p), checked_family(p.sd_model, webui_host.clip_skip()).model

        def steering() -> Steering | None:
            if checkpoint_of(p) == first:
                return self._steering(p, asked)
            try:
                if checked_family(p.sd_model, webui_host.clip_skip()).model == model:
                    return self._steering(p, asked)
                reason = "It is of another kind than the first checkpoint."
            except (EmbeddingError, ModelError) as error:
                reason = sentence_for(error)
            p.comment(f"{TITLE}: {Path(checkpoint_of(p)).name} goes by the words. {reason}")
            return None

        return steering

    def _steering(self, p: Any, asked: Asked) -> Steering:
        from .conditioning import Conditioning, Steering
        from .text_encoders import checked_family

        family = checked_family(p.sd_model, webui_host.clip_skip())
        # the webui changes weights for LoRAs only when it encodes the next text
        empty = webui_host.encoded(p.sd_model, "", p.width, p.height)
        made = self._embedding(p, asked, family)
        assert made.states is not None
        if made.remark:
            p.comment(f"{TITLE}: {made.remark}")
        if made.gap_corrected:
            p.extra_generation_params[f"{TITLE} gap"] = "measured"
        return Steering(
            Conditioning(made.states, made.pooled),
            Conditioning.of(empty, family.pooled_width),
            asked.way,
            asked.strength,
            asked.start,
            asked.end,
            checkpoint_of(p),
        )

    def _embedding(self, p: Any, asked: Asked, family: Family) -> PromptEmbedding:
        seeing = webui_host.preferences().seeing
        varied = asked.gap_pictures or in_folder(webui_host.model_folder())
        how = (asked.projection, asked.text, asked.alpha, asked.anchor, key_of(varied))
        key = (seeing, family.name, checkpoint_of(p), _loras(p), *how, *keys_of(asked))
        made = self._made.pop(key, None)
        if made is None:
            clip = family.clip if seeing == AUTOMATIC else seeing
            made = embedding_of(asked, family, lambda pictures: self._embed(p, pictures, asked, family, clip, varied))
        self._made[key] = made
        if len(self._made) > _KEPT:
            del self._made[next(iter(self._made))]
        return made

    def _embed(
        self, p: Any, pictures: Sequence[Any], asked: Asked, family: Family, clip: str, varied: Sequence[Any]
    ) -> PromptEmbedding:
        import torch

        from ..core.embed.blend import Blend
        from .text_encoders import text_sides

        projection = asked.chosen()
        blend = Blend(text=asked.text, alpha=asked.alpha, anchor=asked.anchor)
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
                    projection,
                    blend,
                    lambda engine: None if projection == "pinv" else self._gaps.of(engine, clip, varied),
                )
        finally:
            job.text = ""


def _loras(p: Any) -> str:
    """Those that are at work by now; the hires pass can have others."""
    chosen = getattr(p, "hr_extra_network_data" if getattr(p, "is_hr_pass", False) else "extra_network_data", None)
    return repr([(kind, [each.items for each in parts]) for kind, parts in (chosen or {}).items()])
