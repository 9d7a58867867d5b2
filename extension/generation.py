"""Image as prompt: what is asked of a generation in the accordion or through the API, and the accordion itself."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..core.choices import NONE
from ..core.errors import EmbeddingError, SettingsError
from ..server.choices import bytes_of, picture_of
from .ways import REPLACE, WAYS

if TYPE_CHECKING:
    from ..core.embed.embedding import PromptEmbedding
    from ..core.embed.families import Family

TITLE = "Image as prompt"
NUMBERS = ("strength", "start", "end")
"""What of it an X/Y/Z plot can vary."""

_EMBEDDING = b'{"'
"""What a safetensors file has behind the eight bytes of its header's length."""


@dataclass(frozen=True)
class Asked:
    """pictures: as `open_image` takes them. embeddings: saved ones, as the bytes of their files. name: of one that lies
    in the webui's folder and is not read yet, or NONE. For the rest see `conditioning.Steering`. Raises SettingsError
    where that has no sense."""

    pictures: Sequence[Any] = ()
    embeddings: Sequence[bytes] = ()
    way: str = REPLACE
    strength: float = 1.0
    start: float = 0.0
    end: float = 1.0
    name: str = NONE

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
    ) -> Asked:
        """Of the accordion's values, or of script arguments, in which files are base64 or data URLs.

        Raises SettingsError, ImageError.
        """
        given = [*_listed(files)] if picture is None else [picture, *_listed(files)]
        contents = [content for content in map(_content, given) if content is not None]
        saved = [each for each in contents if isinstance(each, bytes) and each[8:10] == _EMBEDDING]
        pictures = [each for each in contents if not (isinstance(each, bytes) and each[8:10] == _EMBEDDING)]
        numbers = {name: _number(name, value) for name, value in zip(NUMBERS, (strength, start, end), strict=True)}
        return cls(pictures, saved, way, **numbers, name=str(name or NONE))

    def __post_init__(self) -> None:
        if self.way not in WAYS:
            raise SettingsError(f"A picture cannot {self.way!r} the typed prompt", f"choose one of {', '.join(WAYS)}")
        for name in NUMBERS:
            check_number(name, getattr(self, name))
        if self.start >= self.end:
            raise SettingsError(f"The picture starts at {self.start:g} and ends at {self.end:g}", "end it later")

    def __bool__(self) -> bool:
        return bool(self.pictures or self.embeddings or self.name != NONE)

    def infotext(self, keys: Sequence[str]) -> Mapping[str, Any]:
        """What a generated picture's infotext says of it. keys: the hashes of pictures and embeddings."""
        return {
            TITLE: self.way,
            f"{TITLE} strength": self.strength,
            f"{TITLE} start": self.start,
            f"{TITLE} end": self.end,
            f"{TITLE} embedding": self.name,
            f"{TITLE} sources": " ".join(key[:10] for key in keys),
        }


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


def accordion(
    tab: str, names: Callable[[], Sequence[str]], add_refresh: Callable[[Any, Callable[[], list[str]], str], Any]
) -> tuple[list[Any], list[tuple[Any, str]]]:
    """Builds it; returns the controls in the order of `Asked.of`, and which of them an infotext sets by what name.

    names: of the saved embeddings. add_refresh: puts a button beside a list, which has it filled anew; gets the list,
    what it is filled with, and the button's id.
    """
    import gradio as gr

    from ..server.gradio_versions import image_input

    prefix = f"unrender_{tab}_image_as_prompt"
    with gr.Accordion(TITLE, open=False, elem_id=prefix):
        with gr.Row():
            picture = image_input(label="Picture", elem_id=f"{prefix}_picture", height=240)
            files = gr.File(
                label="Further pictures, or saved embeddings",
                file_count="multiple",
                type="binary",
                elem_id=f"{prefix}_files",
            )

        def choices() -> list[str]:
            return [NONE, *names()]

        with gr.Row():
            saved = gr.Dropdown(
                choices(), value=NONE, label="Saved embedding", allow_custom_value=True, elem_id=f"{prefix}_saved"
            )
            add_refresh(saved, choices, f"{prefix}_refresh")
        way = gr.Radio(list(WAYS), value=REPLACE, label="With the typed prompt", elem_id=f"{prefix}_way")
        strength, start, end = (
            gr.Slider(0, 1, value=value, step=0.05, label=label, elem_id=f"{prefix}_{name}")
            for name, value, label in (
                ("strength", 1, "Strength"),
                ("start", 0, "From this part of the steps"),
                ("end", 1, "to this part"),
            )
        )
    for part in (picture, files, saved):
        part.do_not_save_to_config = True
    named = [(way, TITLE), (strength, f"{TITLE} strength"), (start, f"{TITLE} start"), (end, f"{TITLE} end")]
    return [picture, files, way, strength, start, end, saved], [*named, (saved, f"{TITLE} embedding")]


def _listed(files: Any) -> list[Any]:
    return [] if files is None else list(files) if isinstance(files, list | tuple) else [files]


def _content(given: Any) -> Any:
    """A text is base64 or a data URL, and never taken for a file's name."""
    if not isinstance(given, str):
        return picture_of(given)
    return bytes_of(given) if given else None


def check_number(name: str, value: float) -> None:
    """Raises SettingsError."""
    if not 0 <= value <= 1:
        raise SettingsError(f"The picture's {name} is {value:g}", "give a number from 0 to 1")


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise SettingsError(f"The picture's {name} is {value!r}", "give a number from 0 to 1") from None
