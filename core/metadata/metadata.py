"""What a picture's file says of itself: the prompt it was made with, and the other texts it carries.

All of it is somebody else's data: it is read with limits, freed of control characters, shown and never executed. What
is understood in part is never shown as if it were the whole: a note says what is not known, and the texts stay as they
are.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..printable import printable
from .file_texts import read_texts
from .interpretation import interpret

MOST_SHOWN = 20_000
"""Letters of one text kept for showing; prompts are far shorter, whole graphs are not for reading."""


@dataclass(frozen=True)
class FileMetadata:
    """What the file says; nothing of it is checked. Empty strings where it is silent.

    generator: the program that made the picture, such as "AUTOMATIC1111" or "ComfyUI".
    settings: sampler, steps, size and whatever else was recorded, by name.
    texts: the file's other texts by name (EXIF tags, XMP, PNG text), cut after `MOST_SHOWN` letters; where anything is
    noted, or no prompt was found, also those that the rest was read from.
    notes: what is not known of all this and why, such as a text that a node of a graph computed.
    """

    generator: str = ""
    prompt: str = ""
    negative_prompt: str = ""
    seed: str = ""
    model: str = ""
    settings: tuple[tuple[str, str], ...] = ()
    texts: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def tells_prompt(self) -> bool:
        """Whether the file says what the picture was made with."""
        return bool(self.prompt or self.negative_prompt)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready values."""
        return {**asdict(self), "settings": dict(self.settings), "texts": dict(self.texts), "notes": [*self.notes]}


def read_metadata(source: Any, name: str | None = None) -> FileMetadata:
    """What the file at a path, or given as bytes or as a binary file object, says of itself.

    name: what error messages call it. Raises ImageError where there is no picture file; nothing else.
    """
    texts = read_texts(source, name)
    generation = interpret(texts, os.fsdecode(source) if isinstance(source, (str, os.PathLike)) else name or "")
    if generation is None:
        return FileMetadata(texts=_shown(texts))
    is_whole = bool(generation.prompt) and not generation.notes
    said = generation.read if is_whole else frozenset()
    return FileMetadata(
        *(
            printable(text)
            for text in (
                generation.generator,
                generation.prompt,
                generation.negative_prompt,
                generation.seed,
                generation.model,
            )
        ),
        settings=_shown(dict(generation.settings)),
        texts=_shown({key: text for key, text in texts.items() if key not in said}),
        notes=tuple(printable(note) for note in generation.notes),
    )


def prompt_in_file(source: Any) -> FileMetadata | None:
    """The same for callers to whom it is a side matter: None instead of any error, and of files that say
    nothing of a prompt."""
    try:
        metadata = read_metadata(source)
    except Exception:  # noqa: BLE001 - a picture is to be interrogated whatever else its file holds
        return None
    return metadata if metadata.tells_prompt or metadata.notes else None


def _shown(values: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    pairs = ((printable(name), printable(text[:MOST_SHOWN])) for name, text in values.items())
    return tuple((name, text) for name, text in pairs if text)
