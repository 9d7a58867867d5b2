"""A bank of prompts: a picture gets the average of what the text encoder makes of those nearest to it.

The states stay on the disk, in half precision; of them only the nearest prompts' are read.
"""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..errors import EmbeddingError, ModelError
from ..foreign import Unreadable, read_header, read_tensors
from ..hub.client import OTHER_CACHE
from .gap import GapCorrection
from .learning import Chunk
from .pruning import prune, used

NEIGHBOURS = 64
Read = Callable[[list[int]], Tensor]
"""Numbers of prompts -> their states [prompts, 77, width]."""

_STATES, _JOINT = "states", "joint"


@dataclass(frozen=True)
class Bank:
    """path: of a safetensors file with states float16 [prompts, 77, width]. directions [prompts, joint width]: of the
    prompts' embeddings from their centre [joint width], of length 1; spread: their root mean square distance from it.
    """

    path: Path
    directions: Tensor
    centre: Tensor
    spread: float

    @classmethod
    def read(cls, path: Path, key: str) -> Bank | None:
        """None for a file that is absent, damaged, or of other prompts or encoders."""
        try:
            header = read_header(path)
            if header.metadata.get("key") != key:
                return None
            if header.shape(_JOINT, "F32", ndim=2)[0] != header.shape(_STATES, "F16", ndim=3)[0]:
                return None
            joint = read_tensors(path, [_JOINT])[_JOINT]
        except Unreadable:
            return None
        if not bool(torch.isfinite(joint).all()):
            return None
        centre = joint.mean(dim=0)
        away = joint - centre
        lengths = away.norm(dim=1)
        return cls(path, away / lengths.clamp_min(1e-7)[:, None], centre, float(lengths.pow(2).mean().sqrt()))

    def states(
        self, joint: Tensor, temperature: float, gap: GapCorrection | None = None, read: Read | None = None
    ) -> Tensor:
        """States [77, width] for a picture's normalised embedding [joint width]: the average over the 64 prompts whose
        directions are most like its own, weighted by the softmax of cosine / temperature. read: gives the prompts'
        states in the file's place.

        Raises EmbeddingError for another width, ModelError where the file is gone."""
        if joint.shape != self.centre.shape:
            raise EmbeddingError(
                f"The picture's embedding is {joint.shape[-1]} wide, but the bank is for {len(self.centre)}",
                "take the CLIP that the bank was made with",
            )
        away = joint.to(self.centre)
        away = away - self.centre if gap is None else gap.centred(away, self.spread)
        cosines = self.directions @ (away / away.norm().clamp_min(1e-7))
        nearest = cosines.topk(min(NEIGHBOURS, len(cosines)))
        weights = torch.softmax(nearest.values / temperature, dim=0)
        return torch.tensordot(weights, (read or self._rows)(nearest.indices.tolist()), dims=1)

    def _rows(self, rows: list[int]) -> Tensor:
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(str(self.path), framework="pt") as file:
                states = file.get_slice(_STATES)
                return torch.cat([states[row : row + 1] for row in rows]).float()
        except (SafetensorError, OSError) as error:
            raise ModelError(
                f"{self.path} cannot be read ({error})", "it is made again when the program restarts"
            ) from error


def load_or_make(
    path: Path, key: str, shape: tuple[int, int, int], joint: int, learn: Callable[[], Iterator[Chunk]]
) -> Bank:
    """The bank of this key, read or made. shape: of the states [prompts, 77, width]. joint: width of the embeddings.

    Raises ModelError where it cannot be written, or an encoder gives NaN."""
    known = Bank.read(path, key)
    if known is not None:
        used(path)
        return known
    unfinished = path.with_name(f"{path.stem}.{uuid.uuid4().hex[:8]}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(unfinished, key, shape, joint, learn())
        unfinished.replace(path)
        prune(path.parent)
    except OSError as error:
        raise ModelError(
            f"The bank of {shape[0]} prompts takes {bank_bytes(shape, joint) / 1e6:.0f} MB and cannot be kept in "
            f"{path.parent} ({error.strerror})",
            "make room",
            OTHER_CACHE,
        ) from error
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
    made = Bank.read(path, key)
    if made is None:
        raise ModelError(f"{path} cannot be read although it was just written", "check the disk")
    return made


def bank_bytes(shape: tuple[int, int, int], joint: int) -> int:
    """Of the file, its header aside."""
    return shape[0] * (2 * shape[1] * shape[2] + 4 * joint)


def _write(path: Path, key: str, shape: tuple[int, int, int], joint: int, chunks: Iterator[Chunk]) -> None:
    """Chunk by chunk, so that memory does not grow with the bank: a safetensors file is the length of its header, the
    header as JSON, and the values one after the other."""
    at, end = shape[0] * shape[1] * shape[2] * 2, bank_bytes(shape, joint)
    header = json.dumps(
        {
            "__metadata__": {"format": "unrender-bank", "key": key},
            _STATES: {"dtype": "F16", "shape": list(shape), "data_offsets": [0, at]},
            _JOINT: {"dtype": "F32", "shape": [shape[0], joint], "data_offsets": [at, end]},
        }
    ).encode()
    header += b" " * (-len(header) % 8)
    seen = []
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for chunk in chunks:
            (states,) = chunk.states
            halved = states.half()
            if not bool(torch.isfinite(halved).all()):
                problem = "The text encoder gives NaN or values past half precision"
                raise ModelError(problem, "check the model's weights")
            file.write(halved.cpu().contiguous().numpy().tobytes())
            seen.append(chunk.joint.cpu())
        file.write(torch.cat(seen).contiguous().numpy().tobytes())
