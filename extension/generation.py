"""Image as prompt: what is asked of a generation in its section or through the API."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from ..core.choices import NONE
from ..core.cures import Choose
from ..core.embed.kinds import PROJECTIONS, QUALITIES, USUAL, USUAL_QUALITY, Quality, is_tuned
from ..core.embed.tuned_places import refuse_places
from ..core.errors import EmbeddingError, SettingsError
from ..core.printable import quoted, whole
from ..server.choices import BY_QUALITY, bytes_of, no_base64, picture_of
from .ways import REPLACE, WAYS

if TYPE_CHECKING:
    from ..core.embed.embedding import PromptEmbedding
    from ..core.embed.families import Family
    from ..core.embed.kinds import Way

TITLE = "Image as prompt"
NUMBERS = {"strength": 1.0, "start": 1.0, "end": 1.0, "alpha": 10.0}
"""What an X/Y/Z plot can vary of it, each from 0 to this."""

OFFERED_QUALITIES = (USUAL, *QUALITIES)
OFFERED_PROJECTIONS = (BY_QUALITY, *PROJECTIONS)

_DESCRIBED = ("soft", "anchored")
"""That stand on words which describe the picture."""
_CHANGED = ("soft", "pinv", "anchored")
"""That words can change."""

_OF_JSON = (dict, list, int, float)
"""What a request can hold beside texts and nothing."""

_EMBEDDING = b'{"'
"""What a safetensors file has behind the eight bytes of its header's length."""


class Chosen(NamedTuple):
    """How pictures become an embedding: a projection by name or a quality, and what that comes to."""

    projection: str | None
    quality: Quality | None
    way: Way


@dataclass(frozen=True)
class Asked:
    """pictures: as `open_image` takes them. embeddings: saved ones, as the bytes of their files. name: of one that lies
    in the webui's folder and is not read yet, or NONE. way, strength, start, end: see `conditioning.Steering`.

    projection: how pictures become an embedding, BY_QUALITY for what the quality takes. quality: USUAL for what suits
    the checkpoint. text, alpha: words that change them, and how much with pinv. anchor: words that describe them.
    gap_pictures: varied ones, as `pictures`, for `Engine.measure_gap`. Raises SettingsError where all that has no
    sense."""

    pictures: Sequence[Any] = ()
    embeddings: Sequence[bytes] = ()
    way: str = REPLACE
    strength: float = 1.0
    start: float = 0.0
    end: float = 1.0
    name: str = NONE
    projection: str = BY_QUALITY
    text: str = ""
    alpha: float = 0.6
    anchor: str = ""
    gap_pictures: Sequence[Any] = ()
    quality: str = USUAL

    @classmethod
    def of(
        cls,
        picture: Any = None,
        files: Any = None,
        way: Any = REPLACE,
        strength: Any = 1.0,
        start: Any = 0.0,
        end: Any = 1.0,
        name: Any = NONE,
        projection: Any = BY_QUALITY,
        text: Any = "",
        alpha: Any = 0.6,
        anchor: Any = "",
        gap_pictures: Any = None,
        quality: Any = USUAL,
    ) -> Asked:
        """Of the section's values, or of script arguments, in which files are base64 or data URLs. New ones are
        added at the end, for who calls the API.

        Raises SettingsError, ImageError.
        """
        given = [*_listed(files)] if picture is None else [picture, *_listed(files)]
        contents = [content for content in map(_content, given) if content is not None]
        saved = [each for each in contents if isinstance(each, bytes) and each[8:10] == _EMBEDDING]
        pictures = [each for each in contents if not (isinstance(each, bytes) and each[8:10] == _EMBEDDING)]
        values = zip(NUMBERS, (strength, start, end, alpha), strict=True)
        return cls(
            pictures,
            saved,
            way,
            **{name: _number(name, value) for name, value in values},
            name=_text("embedding", name) or NONE,
            projection=BY_QUALITY if projection == USUAL else _text("projection", projection) or BY_QUALITY,
            text=whole(_text("words", text).strip()),
            anchor=whole(_text("anchor", anchor).strip()),
            gap_pictures=[content for content in map(_content, _listed(gap_pictures)) if content is not None],
            quality=_text("quality", quality) or USUAL,
        )

    def __post_init__(self) -> None:
        if self.way not in WAYS:
            raise SettingsError(
                f"A picture cannot {quoted(self.way)} the typed prompt", f"choose one of {', '.join(WAYS)}"
            )
        for name in NUMBERS:
            check_number(name, getattr(self, name))
        if self.start >= self.end:
            raise SettingsError(f"The picture starts at {self.start:g} and ends at {self.end:g}", "end it later")
        check_projection(self.projection)
        check_quality(self.quality)
        if self.projection != BY_QUALITY and not self._is_heeded_by(self.projection):
            cure = Choose("projection", _DESCRIBED if self.anchor else _CHANGED)
            raise self._unheeded(f"projection {self.projection}", cure)

    def __bool__(self) -> bool:
        return bool(self.pictures or self.embeddings or self.name != NONE)

    @property
    def is_open(self) -> bool:
        """Whether it is left to the checkpoint how pictures become an embedding."""
        return self.projection == BY_QUALITY and self.quality == USUAL

    def chosen(self, family: Family, found: str | None = None) -> Chosen:
        """found: the quality or the projection that suits the checkpoint, which holds where it is open and heeds the
        words. Raises SettingsError where the family is not served, or the words are not heeded."""
        if self.is_open:
            usual = _by_name(found or USUAL_QUALITY, family)
            return usual if self._is_heeded_by(usual.way.projection) else _by_name(USUAL_QUALITY, family)
        chosen = _by_name(self.quality if self.projection == BY_QUALITY else self.projection, family)
        if not self._is_heeded_by(chosen.way.projection):
            raise self._unheeded(f"quality {self.quality}", Choose("quality", ("good", "best")))
        return chosen

    def _is_heeded_by(self, projection: str) -> bool:
        """Whether it takes the words into account, if there are any."""
        projection = "pinv" if is_tuned(projection) else projection
        return (not self.anchor or projection in _DESCRIBED) and (not self.text or projection in _CHANGED)

    def _unheeded(self, named: str, cure: Choose) -> SettingsError:
        words = "describe" if self.anchor else "change"
        return SettingsError(f"The {named} heeds no words that {words} the picture", cure)

    def infotext(self, keys: Sequence[str]) -> Mapping[str, Any]:
        """What a generated picture's infotext says of it. keys: the hashes of pictures and embeddings."""
        named = "" if self.projection == BY_QUALITY else self.projection
        words = {"projection": named, "words": _kept_quoted(self.text), "alpha": self.text and self.alpha}
        words["anchor"] = _kept_quoted(self.anchor)
        return {
            TITLE: self.way,
            f"{TITLE} strength": self.strength,
            f"{TITLE} start": self.start,
            f"{TITLE} end": self.end,
            f"{TITLE} embedding": self.name,
            f"{TITLE} sources": " ".join(key[:10] for key in keys),
            f"{TITLE} quality": self.quality,
            **{f"{TITLE} {name}": value for name, value in words.items() if value != ""},
        }


def _kept_quoted(text: str) -> str:
    """So that pasting gives it back: webuis take quotation marks around the whole away, those excepted that they write
    themselves, where there is one of these marks."""
    is_quoted = text[:1] == text[-1:] == '"' and not set(text) & set(",:\n")
    return json.dumps(text, ensure_ascii=False) if is_quoted else text


def _by_name(name: str, family: Family) -> Chosen:
    """Of a quality or a projection."""
    from ..core.embed.blend import checked_way

    quality: Quality | None = next((each for each in QUALITIES if each == name), None)
    projection = name if quality is None else None
    return Chosen(projection, quality, checked_way(family, projection, quality))


def keys_of(asked: Asked) -> list[str]:
    """Hashes of the pictures and embeddings. Raises ImageError."""
    from ..core.images import image_key, open_image

    saved = [hashlib.sha256(each).hexdigest() for each in asked.embeddings]
    return [image_key(open_image(picture)) for picture in asked.pictures] + saved


def embedding_of(asked: Asked, family: Family, embed: Callable[[Sequence[Any]], PromptEmbedding]) -> PromptEmbedding:
    """One embedding in which each picture and each saved embedding counts alike. embed: of pictures alone.

    Raises EmbeddingError where a saved one is not for the family, and what `embed` raises."""
    from ..core.embed.composing import mixed
    from ..core.embed.embedding import PromptEmbedding
    from ..core.embed.families import family_named

    parts = [PromptEmbedding.from_bytes(each, "The saved embedding") for each in asked.embeddings]
    for part in parts:
        other = family_named(part.family)
        if (other.width, other.pooled_width) != (family.width, family.pooled_width) or part.states is None:
            raise EmbeddingError(
                f"The saved embedding is for {other.title}, but the checkpoint is {family.title}", "load the other one"
            )
    weights = [1.0] * len(parts)
    if asked.pictures:
        parts.insert(0, embed(asked.pictures))
        weights.insert(0, float(len(asked.pictures)))
    return mixed(parts, weights)


def _listed(files: Any) -> list[Any]:
    return [] if files is None else list(files) if isinstance(files, list | tuple) else [files]


def _content(given: Any) -> Any:
    """A text is base64 or a data URL, and never taken for a file's name. Raises ImageError for what else a request
    can hold."""
    if isinstance(given, str):
        return bytes_of(given) if given else None
    found = picture_of(given)
    if isinstance(given, _OF_JSON) and (found is None or isinstance(found, _OF_JSON)):
        raise no_base64()
    return found


def check_number(name: str, value: float) -> None:
    """Raises SettingsError."""
    if not 0 <= value <= NUMBERS[name]:
        raise SettingsError(f"The picture's {name} is {value:g}", f"give a number from 0 to {NUMBERS[name]:g}")


def check_projection(name: str) -> None:
    """Raises SettingsError."""
    refuse_places(name)
    if name not in OFFERED_PROJECTIONS and not is_tuned(name):
        raise SettingsError(f"There is no projection {quoted(name)}", Choose("projection", OFFERED_PROJECTIONS))


def check_quality(name: str) -> None:
    """Raises SettingsError."""
    if name not in OFFERED_QUALITIES:
        raise SettingsError(f"There is no quality {quoted(name)}", Choose("quality", OFFERED_QUALITIES))


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise SettingsError(
            f"The picture's {name} is {quoted(value)}", f"give a number up to {NUMBERS[name]:g}"
        ) from None


def _text(name: str, value: Any) -> str:
    if value and not isinstance(value, str):
        raise SettingsError(f"The picture's {name} is {quoted(value)}", "give a text")
    return value or ""
