"""What an engine tells of pictures beside writing prompts for them: likelihoods, matches, places, similarities."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from .errors import SettingsError
from .loading import EngineModels
from .progress import Progress
from .results import PhraseGain
from .settings import Settings
from .turn import Turn

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from .clip import Clip
    from .embed.seen import Seen
    from .images import Picture, Pictures
    from .study.analyze import Analysis
    from .study.explain import HeatMap, Location
    from .study.match import Match
    from .study.pieces import Found


class Studies:
    """The part of `core.engine.Engine` that looks at pictures and texts; calls wait for each other."""

    def __init__(self, settings: Settings, progress: Progress, models: EngineModels) -> None:
        self.settings = settings
        self.progress = progress
        self._models = models
        self._lock = Turn()

    def worth(self, image: Picture, prompt: str) -> tuple[PhraseGain, ...]:
        """What each comma-separated part of a finished prompt is worth: by how much its similarity to the picture
        falls without it, negative where the prompt is better without. Raises ImageError, ModelError, SettingsError."""
        from .images import fit_image, open_image
        from .prompt.search import Scorer, worth_of_parts

        if not prompt.strip(" ,"):
            raise SettingsError("There is no prompt to weigh", "give one")
        picture = open_image(image)
        with self._lock:
            clip = self._models.clip()
            features = clip.encode_images([fit_image(picture, self.settings.fit)])[0]
            return worth_of_parts(Scorer(clip, features), prompt)

    def similarity(self, image: Picture | Seen, prompts: Sequence[str]) -> tuple[float, ...]:
        """The cosine similarity of each prompt's CLIP embedding to the picture's, -1..1.

        image: or what the engine's CLIP has seen of it already (`core.embed.seen.Seen`), its first where there are
        several. Raises ImageError, ModelError, SettingsError, or Cancelled."""
        from .embed.seen import each_look

        if isinstance(prompts, str) or not prompts:
            raise SettingsError("There is no list of prompts", "give one with one prompt or more")
        look, _ = each_look(image, self._encode)
        with self._lock:
            from .prompt.search import Scorer  # and with it torch, which a refusal need not wait for

            clip = self._models.clip()
            return tuple(map(float, Scorer(clip, look(clip)[0]).similarities(list(prompts))))

    def analyze(
        self,
        images: Pictures | Seen,
        categories: Sequence[str] | None = None,
        top: int = 5,
        families: bool | Sequence[str] | None = None,
    ) -> tuple[Analysis, ...]:
        """Per category, the phrases most like each picture and how likely each is among the others; and per family,
        how likely each concept is.

        images: a list or tuple of pictures, or one picture; opened ones from an iterator are let go of one by one. Or
        what the engine's CLIP has seen of them already (`core.embed.seen.Seen`).
        categories: names of the vocabulary's or of `core.phrases.FURTHER`; None for all of the vocabulary but the
        negative ones. top: phrases of each, 1 or more.
        families: whether they are asked, or which; None where no categories are named.
        Raises ImageError, ModelError, PhraseError (unknown category or family), SettingsError, or Cancelled.
        """
        return self._analyze(images, categories, top, families, together=False)

    def analyze_together(
        self,
        images: Sequence[Picture],
        categories: Sequence[str] | None = None,
        top: int = 5,
        weights: Sequence[float] | None = None,
        families: bool | Sequence[str] | None = None,
    ) -> Analysis:
        """One analysis of what several pictures share (`core.prompt.together.shared_features`); else as `analyze`."""
        return self._analyze(images, categories, top, families, together=True, weights=weights)[0]

    def analyze_features(
        self,
        features: Tensor,
        categories: Sequence[str] | None = None,
        top: int = 5,
        families: bool | Sequence[str] | None = False,
    ) -> tuple[Analysis, ...]:
        """As `analyze`, of what `picture_features` gave: [pictures, joint width]."""
        from .embed.seen import Seen

        return self._analyze(Seen(features, ("",) * len(features)), categories, top, families, together=False)

    def match(self, images: Pictures | Seen, phrases: Sequence[str], templates: Sequence[str] = ()) -> Match:
        """Which of the phrases fits which picture, and the other way round.

        images: as for `analyze`. templates: texts with {} in the phrase's place; several are averaged.
        Raises ImageError, ModelError, SettingsError (no phrases, a template without {}), or Cancelled.
        """
        from .embed.seen import each_look
        from .study.match import check_question, match

        check_question(phrases, templates)
        look, _ = each_look(images, self._encode)
        with self._lock:
            clip = self._models.clip()
            return match(clip, look(clip), phrases, templates, self.progress)

    def explain(self, image: Picture, phrases: Sequence[str]) -> tuple[HeatMap, ...]:
        """Where in a picture each phrase finds its support (see `core.study.explain.heat_maps`).

        Raises ImageError, ModelError (also for models that do not see by patches), SettingsError, or Cancelled."""
        from .images import open_image
        from .study.explain import check_phrases, heat_maps

        check_phrases(phrases)
        picture = open_image(image)
        with self._lock:
            return heat_maps(self._models.clip(), picture, phrases, self.settings.fit)

    def locate(self, image: Picture, phrase: str) -> Location:
        """Coarse boxes around what a phrase names in a picture, and the heat map they come from.

        Raises the errors of `explain`."""
        from .study.explain import Location

        with self._lock:
            heat = self.explain(image, [phrase])[0]
            return Location(heat.phrase, heat.boxes(), heat, self._models.clip().name)

    def find(self, image: Picture, phrases: Sequence[str], pieces: Sequence[int]) -> tuple[Found, ...]:
        """Where each phrase is in a crowded or large picture, by overlapping crops (see `core.study.pieces.find`).

        pieces: how many crops the picture's shorter side holds, one number or several.
        Raises ImageError, ModelError, SettingsError, or Cancelled."""
        from .images import open_image
        from .study.explain import check_phrases
        from .study.pieces import check_pieces, find

        check_phrases(phrases)
        check_pieces(pieces)
        picture = open_image(image)
        with self._lock:
            return find(self._models.clip(), picture, phrases, pieces, self.progress)

    def _analyze(
        self,
        images: Pictures | Seen,
        categories: Sequence[str] | None,
        top: int,
        families: bool | Sequence[str] | None,
        together: bool,
        weights: Sequence[float] | None = None,
    ) -> tuple[Analysis, ...]:
        from .embed.seen import each_look
        from .phrases.vocabulary import select_categories
        from .prompt.together import check_weights
        from .study.analyze import analyse, check_top

        check_top(top)
        chosen = select_categories(self._models.vocabulary(), categories)
        asked = self._models.asked_families(categories is None if families is None else families, top)
        look, count = each_look(images, self._encode)
        if count is not None:
            check_weights(count, weights)
        with self._lock:
            features = look(self._models.clip())
            return analyse(self._models.analyzer(), features, chosen, top, together, weights, asked)

    def _encode(self, clip: Clip, pictures: Iterable[Image]) -> Tensor:
        from .images import fit_image

        return clip.encode_images(fit_image(picture, self.settings.fit) for picture in pictures)
