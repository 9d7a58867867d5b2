"""How far a tuning has come, in one file that is whole or not there, so that a run that was killed goes on."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..errors import BatchError
from ..files import replace_whole, writing
from ..foreign import Unreadable, parsed_json, read_header, read_tensors, shown

_FORMAT, _VERSION = "unrender-tuning", "1"


class Point(NamedTuple):
    """After so many steps: all tensors that the rest depends on, and what else, as JSON has it."""

    step: int
    tensors: Mapping[str, Tensor]
    told: Mapping[str, Any]


@dataclass(frozen=True)
class Journal:
    """Beside the result. deciding: a digest of all that decides what it will be."""

    result: Path
    deciding: str

    @property
    def path(self) -> Path:
        return self.result.with_name(f".{self.result.stem}.tuning")

    def last(self) -> Point | None:
        """None where nothing was begun. Raises BatchError where something else was, which is left alone."""
        if not self.path.exists():
            return None
        try:
            header = read_header(self.path)
            told = header.metadata
            if (told.get("format"), told.get("version")) != (_FORMAT, _VERSION):
                raise Unreadable("another program or version wrote it")
            step = int(told.get("step", ""))
            tensors = {name: each.clone() for name, each in read_tensors(self.path, list(header.tensors)).items()}
            values = parsed_json(told.get("told", "{}").encode())
        except (Unreadable, ValueError) as error:
            raise BatchError(
                f"{shown(str(self.path))} cannot be read as an unfinished tuning ({error})", "remove it to begin anew"
            ) from error
        if told.get("deciding") != self.deciding:
            raise BatchError(
                f"{shown(str(self.path))} is an unfinished tuning on other pictures, models or settings",
                "give the same as then, which goes on",
                "give another name",
                "remove it",
            )
        return Point(step, tensors, values)

    def keep(self, point: Point) -> None:
        """Raises BatchError where it cannot be written; what was kept before stays."""
        from safetensors.torch import save

        metadata = {
            "format": _FORMAT,
            "version": _VERSION,
            "deciding": self.deciding,
            "step": str(point.step),
            "told": json.dumps(point.told, sort_keys=True),
        }
        plain = {name: each.detach().cpu().contiguous() for name, each in point.tensors.items()}
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            replace_whole(self.path, save(plain, metadata=metadata))

    def end(self) -> None:
        with contextlib.suppress(OSError):
            self.path.unlink()


def of_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Its state by parameter, under names of their own."""
    state = optimizer.state_dict()["state"]
    return {f"optimizer.{number}.{name}": each for number, parts in state.items() for name, each in parts.items()}


def into_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, each in tensors.items():
        kind, _, rest = name.partition(".")
        if kind == "optimizer":
            number, part = rest.split(".")
            state.setdefault(int(number), {})[part] = each
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
