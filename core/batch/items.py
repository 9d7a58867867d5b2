"""What a run over many pictures takes in and gives back, a picture at a time."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from ..cures import Give
from ..errors import SettingsError
from ..results import Contender, Interrogation, PhraseGain, Rejected
from ..tags import Tag
from .columns import SEEN_COLUMNS

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
        for name in _LISTS:
            values[name] = list(values[name])
        for name in _LEFT_OUT:
            if not values[name]:
                del values[name]
        return {"image": self.name, **values, **self.columns, **({"plan": dict(self.plan)} if self.plan else {})}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Outcome:
        """What `to_dict` made, with no time taken. Raises ValueError for anything else."""
        name = _as(str, values.get("image"))
        if "error" in values:
            return cls(name, None, _as(str, values["error"]))
        known = _fields_of(Interrogation, values, without=(*_LISTS, "seconds", "risk"))
        for each, kind in _LISTS.items():
            listed = _as(list, values.get(each, [] if each in _LEFT_OUT else None))
            known[each] = tuple(kind(**_fields_of(kind, one)) for one in listed)
        columns = {column: _as(list, values[column]) for column in SEEN_COLUMNS if column in values}
        result = Interrogation(**known, seconds=0.0)
        return cls(name, result, plan=_as(dict, values.get("plan", {})), columns=columns)


_LISTS: Mapping[str, type] = {"phrases": PhraseGain, "tags": Tag, "contenders": Contender, "rejected": Rejected}
_LEFT_OUT = ("tags", "contenders", "rejected")
"""Where there are none."""

_TYPES: Mapping[str, Any] = {
    "str": str,
    "int": int,
    "float": (int, float),
    "float | None": (int, float, type(None)),
    "TagCategory": str,
    "Reason": str,
}


def _fields_of(kind: type, values: object, without: Collection[str] = ()) -> dict[str, Any]:
    """What a dataclass is made of, as JSON has it; what came to it later may be absent, as in what an earlier version
    wrote. Raises ValueError where anything else is missing, or of another type."""
    known = _as(dict, values)
    needed = [each for each in fields(kind) if each.name not in without]
    told = [each for each in needed if each.name in known or each.default is MISSING]
    return {each.name: _as(_TYPES[str(each.type)], known.get(each.name)) for each in told}


def _as(kind: Any, value: object) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"{value!r:.80} is of another type")
    return value
