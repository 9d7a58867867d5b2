"""What a page offers to choose from, and the engine's settings made of the choices."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from ..core.choices import BUILT_IN, NONE, VOCABULARIES
from ..core.embed.kinds import USUAL
from ..core.errors import ImageError
from ..core.file_names import pasted
from ..core.phrases import POSITIVE, phrases_in
from ..core.published import MICRO_TAGGER, TOYS
from ..core.settings import MODES, UNCAPTIONED, USUAL_SEARCH, Mode, Search, Settings
from ..core.targets import TARGETS, Sort
from .describing import AS_USUAL, Describing

REPLACE, APPEND = INSERTIONS = ("replace", "append")
LEAVE_IN_RAM, LEAVE_ON_DEVICE, UNLOAD = KEEPINGS = ("in main memory", "on the GPU", "not at all")

AUTOMATIC = "automatic"
"""As the CLIP that sees pictures for a generation: the one that belongs to the checkpoint's family."""

FILE = "unrender_file"
"""The attribute of a decoded picture that holds its file."""

_BLANKS = (" ", "\n", "\r", "\t")
"""As base64 may be broken up; looked for since a copy of a large text costs memory."""

ANY = "any"
"""In the list of targets: no family of image models in particular."""

ABOUT_MODES: Mapping[Mode, str] = {
    "best": "The caption, then phrase by phrase what brings the prompt closest to the picture; the slowest.",
    "fast": "The caption, and the phrases most like the picture, each for itself.",
    "classic": "The caption, then medium, artist, site, movement and three flavors: one of each that fits best.",
    "negative": "What the picture is least like, for the negative prompt; no caption.",
    "caption": "The caption alone: a sentence, and no phrases.",
    "tags": "A tagger's tags alone, in the order of the target; no CLIP is asked.",
}

ABOUT_SEARCHES: Mapping[str, str] = {
    AS_USUAL: f"What this program was started with; else what was measured best, {USUAL_SEARCH}.",
    "honest": "Only what the picture supports: family by family, as far as CLIP and caption are sure together.",
    "written": "One text, written by the captioner while the CLIP looks on.",
    "peer": "clip-interrogator's: whatever brings the prompt closer, phrase by phrase, be it true or not.",
    "beam": "As peer, with several prompts side by side; closer still, and slower.",
}
"""Of the mode best."""

BY_QUALITY = "by quality"
"""In a list of projections: the one that the quality chooses."""

ABOUT_QUALITIES: Mapping[str, str] = {
    USUAL: "What the command verify found for the family's text encoders; where it was not asked, best.",
    "quick": "At once: nothing is learned, asked or searched.",
    "good": "In seconds: tokens that are no words, moved until they meet the picture and answer as it does.",
    "best": "The prompt that a search finds, as the tab Prompt does, and tokens that are no words for what it lacks.",
}
"""Of an embedding."""

NO_PICTURE = "There is no picture; put one in first."


@dataclass(frozen=True)
class Preferences:
    """What the person set for good, in the host's settings page."""

    clip: str = "ViT-L-14/openai"
    captioner: str = "blip-large"
    vocabulary: str = BUILT_IN
    mode: Mode = "best"
    insertion: str = REPLACE
    keeping: str = LEAVE_IN_RAM
    seeing: str = AUTOMATIC
    tagger: str = NONE
    style: str = AS_USUAL

    @classmethod
    def of(cls, settings: Settings, keeping: str) -> Preferences:
        phrases = BUILT_IN if settings.phrases is None else str(settings.phrases)
        style = settings.captioning.style or AS_USUAL
        captioner, tagger = settings.captioner or NONE, settings.tagger or NONE
        return cls(settings.clip, captioner, phrases, keeping=keeping, tagger=tagger, style=style)

    def settings(self, folder: Path, device: str) -> Settings:
        """As `Request.settings` makes them of a picture alone."""
        return picture_request(None, self).settings(Settings(device=device, cache=folder))


@dataclass(frozen=True)
class Request:
    """What is asked about one picture.

    categories: those a prompt may take phrases from. exclude, pinned: phrases, one a line or between commas. target:
    the family of image models that the prompt is for, which has lengths of its own; most: phrases at most. caption: in
    the captioner's place, "" for none. describing: how it is described.
    """

    picture: Any
    mode: Mode
    clip: str
    captioner: str
    vocabulary: str = BUILT_IN
    categories: Sequence[str] = POSITIVE
    exclude: str = ""
    target: str = ANY
    search: Search | None = None
    most: int | None = None
    caption: str | None = None
    describing: Describing = field(default_factory=Describing)
    pinned: str = ""

    def settings(self, usual: Settings) -> Settings:
        """usual: what holds for all that is not asked for; its cache has the person's own vocabularies."""
        captioner = pasted(self.captioner)
        if self.target in TARGETS:
            usual = TARGETS[self.target].over(usual, self._sort(usual))
        most = self.most or usual.max_phrases
        return replace(
            self.describing.over(usual),
            clip=pasted(self.clip),
            captioner=None if captioner in ("", NONE) else captioner,
            phrases=phrases_named(self.vocabulary, usual),
            limits={**usual.limits, **{name: 0 for name in POSITIVE if name not in self.categories}},
            exclude=(*usual.exclude, *phrases_in(self.exclude)),
            pinned=(*usual.pinned, *phrases_in(self.pinned)),
            search=self.search or usual.search,
            max_phrases=most,
            min_phrases=min(usual.min_phrases, most),
        )

    def _sort(self, usual: Settings) -> Sort:
        """Of the captioner, which says what suits the target."""
        captioner = pasted(self.captioner)
        if self.mode in UNCAPTIONED or self.caption is not None or captioner in ("", NONE):
            return "captioner"
        from ..core.hub import Hub
        from ..core.suiting import sort_of

        return sort_of(captioner, Hub(usual.cache))


@dataclass(frozen=True)
class Study:
    """A picture to be looked at without writing a prompt. tagger: whose tags an analysis has, "none" for nobody's."""

    picture: Any
    clip: str
    vocabulary: str = BUILT_IN
    tagger: str = NONE

    def settings(self, usual: Settings) -> Settings:
        """As `Request.settings`."""
        phrases = phrases_named(self.vocabulary, usual)
        tagger = pasted(self.tagger) or NONE
        return replace(usual, clip=pasted(self.clip), captioner=None, tagger=tagger, phrases=phrases)


def captioners() -> list[str]:
    from ..core.describe import known_describers

    return [*known_describers(), *TOYS, NONE]


def taggers() -> list[str]:
    from ..core.describe.tagging.tagger import KNOWN_TAGGERS

    return [NONE, *KNOWN_TAGGERS, MICRO_TAGGER]


def vocabularies(folder: Path) -> list[str]:
    return [*VOCABULARIES, *vocabulary_folders(folder)]


def vocabulary_folders(folder: Path) -> Mapping[str, Path]:
    """The folders of phrase files under `folder`/phrases, by name."""
    found = sorted((folder / "phrases").glob("*/"))
    return {f"phrases/{path.name}": path for path in found if any(path.glob("*.txt"))}


def phrases_named(vocabulary: str, settings: Settings) -> str | Path | None:
    """A vocabulary as `Settings.phrases` names it: a folder of the cache's, one of the known names, or any other."""
    vocabulary = pasted(vocabulary or "") or BUILT_IN
    own = vocabulary_folders(Path(settings.cache)) if settings.cache else {}
    return own.get(vocabulary) or VOCABULARIES.get(vocabulary, vocabulary)


def known_mode(name: str) -> Mode:
    """A mode of that name, the usual one if there is none: a host's settings file may hold anything."""
    return cast(Mode, name) if name in MODES else "best"


def inserted(found: str, typed: str, insertion: str) -> str:
    """What the prompt field holds after a prompt was found for a picture."""
    kept = typed.rstrip(" ,\n")
    return f"{kept}, {found}" if insertion == APPEND and kept else found


def picture_request(picture: Any, preferences: Preferences) -> Request:
    """What is asked of a picture when nothing but the picture is given."""
    describing = Describing(style=preferences.style, tagger=preferences.tagger)
    models = (preferences.clip, preferences.captioner, preferences.vocabulary)
    return Request(picture, preferences.mode, *models, describing=describing)


def picture_of(value: Any) -> Any:
    """The picture in what a picture component holds: it alone, with a mask (gradio 3), with layers (gradio 4), or as
    a data URL; None where there is none. A text that is no data URL is never taken for a file's name."""
    if isinstance(value, dict):
        parts = [value.get(name) for name in ("image", "background", "composite")]
        value = next((part for part in parts if part is not None), None)
    if not isinstance(value, str):
        return value
    if not value.startswith("data:"):
        return None
    try:
        return io.BytesIO(bytes_of(value))
    except ImageError:
        return io.BytesIO(b"")  # which the engine refuses in a sentence: there is something, and it is no picture


def file_of(picture: Any) -> Any:
    """What the file of a page's picture holds, where that is known."""
    return getattr(picture, FILE, picture)


def bytes_of(text: str) -> bytes:
    """What base64 or a data URL holds; a text is never taken for a file's name. Raises ImageError."""
    head, _, body = text.partition(",") if text.startswith("data:") else (";base64", "", text)
    try:
        if not head.endswith(";base64"):
            raise ValueError(head)
        if any(blank in body for blank in _BLANKS):
            body = "".join(body.split())
        return base64.b64decode(body, validate=True)
    except ValueError:
        raise no_base64() from None


def no_base64() -> ImageError:
    """For what is sent in the place of a file."""
    return ImageError("A picture or embedding is no base64", "send it as base64 or as a data URL")
