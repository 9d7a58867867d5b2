"""A prompt embedding as a value, and as a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import EmbeddingError
from ..files import replace_whole
from ..foreign import FLOATS, Header, Unreadable, header_of, loaded_tensors, read_header, read_tensors, shown
from .families import FAMILIES, Family

CONTEXT = 77
_FORMAT = "unrender-prompt-embedding"
_VERSION = "1"


@dataclass(frozen=True)
class PromptEmbedding:
    """What a diffusion model takes in a prompt's place.

    family: its name (see `families.FAMILIES`).
    states: float32 [77 n, width] in place of the text encoder's hidden states; None where only `pooled` is changed.
    pooled: float32 [width]; may be None for families whose models do not listen to it.
    fingerprint: of the text encoders it was made for. picture: the pictures' hashes (`image_key`), joined by "+".
    projection: how it was made. gap_corrected: whether the difference between pictures and texts was taken out.
    """

    family: str
    states: Tensor | None
    pooled: Tensor | None = None
    fingerprint: str = ""
    picture: str = ""
    projection: str = ""
    gap_corrected: bool = False

    @property
    def remark(self) -> str:
        """What a person should know of it, one sentence; empty where there is nothing to say."""
        if self.states is None:
            return "A pooled vector alone sets the tone: the prompt's T5 states still decide what is shown."
        learned = any(name in self.projection.split(" and ") for name in ("ridge", "bank", "anchored"))
        if learned and not self.gap_corrected:
            return (
                "Pictures were taken as if they were texts; about 40 varied pictures to measure the gap with cure that."
            )
        return ""

    @property
    def description(self) -> str:
        """One line for a list."""
        parts = [f"{FAMILIES[self.family].title} ({self.family})"]
        for name, tensor in (("states", self.states), ("pooled", self.pooled)):
            if tensor is not None:
                parts.append(f"{name} {' x '.join(map(str, tensor.shape))}")
        pictures = self.picture.count("+") + 1 if self.picture else 0
        parts.append(f"{pictures} picture{'s' * (pictures != 1)}")
        return ", ".join([*parts, self.projection or "of unknown origin"])

    def checked(self, family: Family | None = None) -> PromptEmbedding:
        """Itself, on the CPU in float32. Raises EmbeddingError where a shape does not suit the family (looked up by
        name when not given), or a value is no number."""
        family = family or FAMILIES.get(self.family)
        if family is None:
            known = ", ".join(FAMILIES)
            raise EmbeddingError(f"The embedding is for the unknown family {self.family!r}", f"known are {known}")
        _check_states(self.states, family)
        _check_pooled(self.pooled, family)
        for name, tensor in (("states", self.states), ("pooled vector", self.pooled)):
            if tensor is not None and not bool(torch.isfinite(tensor).all()):
                raise EmbeddingError(
                    f"The embedding's {name} holds NaN or infinite values", "make it again from intact weights"
                )
        return replace(self, states=_plain(self.states), pooled=_plain(self.pooled))

    def save(self, path: Path | str) -> None:
        """Writes one safetensors file, whole or not at all. Raises EmbeddingError where it cannot be written."""
        path = Path(path).expanduser()
        try:
            replace_whole(path, self.to_bytes())
        except OSError as error:
            raise EmbeddingError(f"{path} cannot be written ({error.strerror})", "choose another place") from error

    @classmethod
    def load(cls, path: Path | str) -> PromptEmbedding:
        """Reads what `save` wrote. Raises EmbeddingError for any other file, and for what `checked` refuses."""
        path = Path(path)
        try:
            path = path.expanduser()
            header = read_header(path)
            names = _checked_names(header)
            # copied, since Windows replaces no file that is mapped
            tensors = {name: tensor.clone() for name, tensor in read_tensors(path, names).items()}
        except (Unreadable, RuntimeError) as error:  # nobody's home
            raise EmbeddingError(f"{shown(str(path))} cannot be read as a prompt embedding ({error})") from error
        return cls._of(header.metadata, tensors, shown(str(path)))

    def to_bytes(self) -> bytes:
        """What `save` writes."""
        from safetensors.torch import save

        tensors = {
            name: tensor.detach().float().cpu().contiguous()
            for name, tensor in (("states", self.states), ("pooled", self.pooled))
            if tensor is not None
        }
        return save(tensors, metadata=self._metadata())

    @classmethod
    def from_bytes(cls, data: bytes, source: str = "The file") -> PromptEmbedding:
        """Of a file's bytes; source: what errors call it. Raises what `load` does."""
        try:
            length = 8 + int.from_bytes(data[:8], "little")
            header = header_of(data[8:length], len(data) - length)
            tensors = loaded_tensors(data) if _checked_names(header) else {}
        except Unreadable as error:
            raise EmbeddingError(f"{source} cannot be read as a prompt embedding ({error})") from error
        return cls._of(header.metadata, tensors, source)

    @classmethod
    def _of(cls, metadata: Mapping[str, str], tensors: Mapping[str, Tensor], source: str) -> PromptEmbedding:
        if metadata.get("format") != _FORMAT:
            raise EmbeddingError(f"{source} is no prompt embedding of this program", "give a file that it wrote")
        if metadata.get("version") != _VERSION:
            raise EmbeddingError(f"{source} was written by another version of this program", "update it")
        embedding = cls(
            metadata.get("family", ""),
            tensors.get("states"),
            tensors.get("pooled"),
            metadata.get("fingerprint", ""),
            metadata.get("picture", ""),
            metadata.get("projection", ""),
            metadata.get("gap_corrected") == "yes",
        )
        try:
            return embedding.checked()
        except EmbeddingError as error:
            raise EmbeddingError(f"{source}: {error.problem}", *error.cures) from error

    def _metadata(self) -> dict[str, str]:
        return {
            "format": _FORMAT,
            "version": _VERSION,
            "family": self.family,
            "fingerprint": self.fingerprint,
            "picture": self.picture,
            "projection": self.projection,
            "gap_corrected": "yes" if self.gap_corrected else "no",
        }


def _checked_names(header: Header) -> list[str]:
    """The parts that a file holds; none where another program wrote it. Raises Unreadable."""
    if header.metadata.get("format") != _FORMAT:
        return []
    names = [name for name in ("states", "pooled") if name in header.tensors]
    for name in names:
        header.shape(name, *FLOATS, ndim=2 if name == "states" else 1)
    return names


def _check_states(states: Any, family: Family) -> None:
    wanted = f"{family.title} takes {CONTEXT} x {family.width}" if family.encoders else f"{family.title} takes none"
    fits = states is None if not family.encoders else _is_sequence(states, family.width)
    if not fits:
        shape = "absent" if states is None else "of the shape " + " x ".join(map(str, states.shape))
        raise EmbeddingError(f"The embedding's states are {shape}, but {wanted}", "make it for this family")


def _is_sequence(states: Tensor | None, width: int) -> bool:
    if states is None or states.ndim != 2:
        return False
    return states.shape[1] == width and len(states) > 0 and len(states) % CONTEXT == 0


def _check_pooled(pooled: Any, family: Family) -> None:
    fits = not family.takes_pooled if pooled is None else tuple(pooled.shape) == (family.pooled_width,)
    if not fits:
        shape = "absent" if pooled is None else "of the shape " + " x ".join(map(str, pooled.shape))
        raise EmbeddingError(
            f"The embedding's pooled vector is {shape}, but {family.title} takes one of {family.pooled_width}",
            "make it for this family",
        )


def _plain(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.detach().to("cpu", torch.float32)
