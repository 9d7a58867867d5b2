"""What a run over many pictures takes in and gives back, a picture at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from ..cures import Give
from ..errors import SettingsError
from ..results import Interrogation, PhraseGain
from .columns import COLUMNS

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Item:
    """One picture of a source.

    name: what outputs call it; unique within its source and the same on every run. path: its file, None where it has
    none of its own.
    """

    name: str
    path: Path | None

    def open(self) -> Image:
        """The picture, RGB and upright. Raises ImageError."""
        from ..images import open_image

        return open_image(self.file, self.name)

    def read(self) -> bytes:
        """Its bytes as they are. Raises OSError."""
        return self.file.read_bytes()

    def name_among_sources(self, root: Path) -> str:
        """What it is called beside the pictures of other sources. root: its own source's."""
        return (root / self.name).as_posix()

    @property
    def file(self) -> Path:
        """Raises SettingsError for pictures that are no files of their own."""
        if self.path is None:
            other = Give("output", "one that is, such as csv or tar")
            raise SettingsError(f'"{self.name}" is no file of its own', other)
        return self.path

    @property
    def suffix(self) -> str:
        """Of its name, with the dot."""
        return PurePath(self.name).suffix


@dataclass(frozen=True)
class Outcome:
    """What became of one picture.

    result: None where it failed; `error` then says why. plan: what the sink means to do with it, in JSON's types.
    columns: what the sink asked for beyond the result, see `core.batch.columns`.
    """

    name: str
    result: Interrogation | None
    error: str = ""
    plan: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready. Times are left out: they are no property of the picture and differ from run to run."""
        if self.result is None:
            return {"image": self.name, "error": self.error}
        values = asdict(self.result)
        del values["seconds"], values["risk"]
        values["phrases"] = list(values["phrases"])
        return {"image": self.name, **values, **self.columns, **({"plan": dict(self.plan)} if self.plan else {})}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Outcome:
        """What `to_dict` made, with no time taken."""
        if "error" in values:
            return cls(values["image"], None, values["error"])
        others = ("image", "plan", "phrases", *COLUMNS)
        fields = {name: value for name, value in values.items() if name not in others}
        phrases = tuple(PhraseGain(**phrase) for phrase in values["phrases"])
        result = Interrogation(**fields, phrases=phrases, seconds=0.0)
        columns = {name: values[name] for name in COLUMNS if name in values}
        return cls(values["image"], result, plan=values.get("plan", {}), columns=columns)
