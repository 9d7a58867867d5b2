"""What a picture's file says of itself: the prompt it was made with, and the other texts it carries.

All of it is somebody else's data: it is read with limits, freed of control characters, shown and never executed. The
formats of the generators are read by sd-parsers; getting at the texts is done here, because there the limits are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..printable import printable
from .file_texts import read_texts
from .generation import interpret

MOST_SHOWN = 20_000
"""Letters of one text kept for showing; prompts are far shorter, whole graphs are not for reading."""

_UNDERSTOOD = {
    *("parameters", "prompt", "workflow", "invokeai_metadata", "invokeai_graph", "invokeai_workflow", "sd-metadata"),
    *("Dream", "fooocus_scheme", "UserComment"),
}
"""Where generators write. What was understood is not repeated as text."""


@dataclass(frozen=True)
class FileMetadata:
    """What the file says; nothing of it is checked. Empty strings where it is silent.

    generator: the program that made the picture, such as "AUTOMATIC1111" or "ComfyUI".
    settings: sampler, steps, size and whatever else was recorded, by name.
    texts: the file's other texts by name (EXIF tags, PNG text), cut after `MOST_SHOWN` letters.
    """

    generator: str = ""
    prompt: str = ""
    negative_prompt: str = ""
    seed: str = ""
    model: str = ""
    settings: tuple[tuple[str, str], ...] = ()
    texts: tuple[tuple[str, str], ...] = ()

    @property
    def tells_prompt(self) -> bool:
        """Whether the file says what the picture was made with."""
        return bool(self.prompt or self.negative_prompt)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready values."""
        return {**asdict(self), "settings": dict(self.settings), "texts": dict(self.texts)}


def read_metadata(source: Any, name: str | None = None) -> FileMetadata:
    """What the file at a path, or given as bytes or as a binary file object, says of itself.

    name: what error messages call it. Raises ImageError where there is no picture file, MissingPackageError where
    sd-parsers is absent and the file holds generation data; nothing else.
    """
    texts = read_texts(source, name)
    generation = interpret(texts)
    if generation is None:
        return FileMetadata(texts=_shown(texts))
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
        texts=_shown({key: text for key, text in texts.items() if key not in _UNDERSTOOD}),
    )


def prompt_in_file(source: Any) -> FileMetadata | None:
    """The same for callers to whom it is a side matter: None instead of any error, and of files without a prompt."""
    try:
        metadata = read_metadata(source)
    except Exception:  # noqa: BLE001 - a picture is to be interrogated whatever else its file holds
        return None
    return metadata if metadata.tells_prompt else None


def _shown(values: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    pairs = ((printable(name), printable(text[:MOST_SHOWN])) for name, text in values.items())
    return tuple((name, text) for name, text in pairs if text)
