"""The embeddings that generations are steered with: made of pictures when a generation needs them, and kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..core.embed.tuned_places import place_of, tuned_folder
from ..core.errors import EmbeddingError, ModelError
from ..core.phrases.families import own_files
from ..core.settings import Settings
from ..server.choices import AUTOMATIC
from ..server.downloads import without_downloads
from ..server.models import Models
from ..server.wording import sentence_for
from . import webui_host
from .file_keys import key_of
from .gap_pictures import Gaps, in_folder
from .generation import TITLE, Asked, Chosen, embedding_of, keys_of
from .sampling import checkpoint_of

if TYPE_CHECKING:
    from ..core.embed.blend import Blend
    from ..core.embed.embedding import PromptEmbedding
    from ..core.embed.families import Family
    from ..core.embed.gap import GapCorrection
    from ..core.embed.text_side import TextSide
    from ..core.engine import Engine
    from .conditioning import Steering

_KEPT = 3
"""Embeddings: of a checkpoint, its refiner and that of the hires pass."""
_TO_DOWNLOAD = "what is not on this disk is downloaded in the tab Unrender, on its page Models"


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
            Conditioning(made.states, made.pooled if family.takes_pooled else None),
            Conditioning.of(empty, family.pooled_width),
            asked.way,
            asked.strength,
            asked.start,
            asked.end,
            checkpoint_of(p),
        )

    def _embedding(self, p: Any, asked: Asked, family: Family) -> PromptEmbedding:
        recipe = _recipe(p, asked, family) if asked.pictures else None
        key = (family.name, recipe and recipe.key, *keys_of(asked))
        made = self._made.pop(key, None)
        if made is None:

            def embed(pictures: Sequence[Any]) -> PromptEmbedding:
                assert recipe is not None
                return self._embed(p, pictures, family, recipe)

            made = embedding_of(asked, family, embed)
        self._made[key] = made
        if len(self._made) > _KEPT:
            del self._made[next(iter(self._made))]
        return made

    def _embed(self, p: Any, pictures: Sequence[Any], family: Family, recipe: _Recipe) -> PromptEmbedding:
        from .text_encoders import text_sides

        chosen, settings = recipe.chosen, recipe.settings

        def gap(engine: Engine) -> GapCorrection | None:
            return None if chosen.way.projection == "pinv" else self._gaps.of(engine, settings.clip, recipe.varied)

        with webui_host.in_generation() as (job, room):
            return self._models.embed(
                pictures,
                family,
                lambda: text_sides(p.sd_model, family, webui_host.device()),
                settings,
                webui_host.preferences().keeping,
                room,
                job,
                chosen.projection,
                chosen.quality,
                recipe.blend,
                gap,
            )


class _Recipe(NamedTuple):
    """By which pictures become an embedding. varied: for the gap. encoders: the fingerprint of the checkpoint's as they
    are, LoRAs included: a file of either may be another by now."""

    chosen: Chosen
    blend: Blend
    settings: Settings
    varied: Sequence[Any]
    encoders: str

    @property
    def key(self) -> tuple[Any, ...]:
        """Another where another embedding may come of it."""
        read = [*own_files(self.settings.phrases), *self._tuned]
        return (self.chosen, repr(self.blend), repr(self.settings), key_of([*self.varied, *read]), self.encoders)

    @property
    def _tuned(self) -> list[Path]:
        name = self.chosen.way.tuned
        return [place_of(name, tuned_folder(webui_host.model_folder()))] if name else []


def _recipe(p: Any, asked: Asked, family: Family) -> _Recipe:
    from ..core.embed.blend import Blend
    from ..core.embed.text_side import fingerprint_of

    sides = _sides(p, family)
    chosen = asked.chosen(family, _recommended(sides) if asked.is_open else None)
    blend = Blend(text=asked.text, alpha=asked.alpha, anchor=asked.anchor or None)
    settings = _settings(p, family, searched=chosen.way.searched and not asked.anchor)
    varied = asked.gap_pictures or in_folder(webui_host.model_folder())
    return _Recipe(chosen, blend, settings, varied, fingerprint_of(sides))


def _sides(p: Any, family: Family) -> list[TextSide]:
    """The checkpoint's text encoders as they are."""
    from .text_encoders import text_sides

    return list(text_sides(p.sd_model, family).values())


def _recommended(sides: Sequence[TextSide]) -> str | None:
    """What `unrender verify` found for the text encoders, None where it was not run."""
    from ..core.embed.recommended import recommended_for
    from ..core.hub import Hub

    return recommended_for(Hub(webui_host.model_folder()).folder / "embed", sides)


def _settings(p: Any, family: Family, searched: bool) -> Settings:
    """Those of the tab, with the CLIP that sees pictures for the family. searched: whether a search is to find words:
    without a describer that would have to be downloaded in the middle of the generation, and that is said."""
    preferences = webui_host.preferences()
    clip = family.clip if preferences.seeing == AUTOMATIC else preferences.seeing
    settings = replace(preferences.settings(webui_host.model_folder(), str(webui_host.device())), clip=clip)
    if not searched:
        return replace(settings, captioner=None, tagger=None)
    settings, absent = without_downloads(settings, "best")
    if absent:
        names = " and ".join(absent)
        p.comment(f"{TITLE}: The words were found without {names}; {_TO_DOWNLOAD}.")
    return settings
