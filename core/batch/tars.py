"""WebDataset: tar files of samples, each some members whose names begin alike, up to the first dot."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import SettingsError
from .folders import is_picture
from .items import Item, Outcome
from .sinks import Chosen
from .tables import TableSink
from .template import Template

if TYPE_CHECKING:
    from PIL.Image import Image

_TEXT = "txt"


class Part(NamedTuple):
    """A member of a sample: its name after the key and the dot, and where in the tar file its bytes are."""

    ending: str
    offset: int
    size: int


@dataclass(frozen=True)
class Sample(Item):
    """A sample's picture, and all its parts, that one first."""

    tar: Path
    key: str
    parts: tuple[Part, ...]

    def open(self) -> Image:
        from ..images import open_image

        return open_image(self.read(), self.name)

    def read(self) -> bytes:
        return self._bytes(self.parts[0])

    def members(self) -> list[tuple[str, bytes]]:
        return [(part.ending, self._bytes(part)) for part in self.parts]

    def _bytes(self, part: Part) -> bytes:
        with self.tar.open("rb") as file:
            file.seek(part.offset)
            return file.read(part.size)


class TarSource:
    """The first picture of each sample of a tar file that is not compressed."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self.root = self._path.parent
        self.reads = (self._path,)

    def __iter__(self) -> Iterator[Item]:
        samples: dict[str, list[Part]] = {}
        try:
            with tarfile.open(self._path, "r:", errors="surrogateescape") as tar:
                for member in tar:
                    if member.isreg():
                        key, ending = split_key(member.name)
                        samples.setdefault(key, []).append(Part(ending, member.offset_data, member.size))
        except (OSError, tarfile.TarError) as error:
            raise SettingsError(f"{self._path} cannot be read as a tar file without compression ({error})") from error
        for key, parts in samples.items():
            pictures = [part for part in parts if is_picture(f"picture.{part.ending}")]
            if pictures:
                others = (part for part in parts if part is not pictures[0])
                name = f"{self._path.name}/{key}.{pictures[0].ending}"
                yield Sample(name, None, self._path, key, (pictures[0], *others))


class TarSink(TableSink):
    """A tar file of samples: what a sample holds already, or the picture alone, and the prompt as its txt."""

    output = "tar"
    summary = "a WebDataset tar file"
    details = "each sample of a WebDataset as it was, and its prompt as txt"
    plans = ("text",)
    ending = bytes(2 * tarfile.BLOCKSIZE)

    def __init__(self, path: Path, replace: bool = False, template: Template | None = None) -> None:
        super().__init__(path, replace)
        self._template = template or Template()

    @classmethod
    def of(cls, chosen: Chosen) -> TarSink:
        return cls(chosen.place, chosen.existing == "overwrite", chosen.template)

    @property
    def asked(self) -> Mapping[str, Any]:
        return {"template": self._template.text}

    def target(self, item: Item) -> Path:
        return Path(_key(item))

    def plan(self, item: Item, outcome: Outcome) -> Mapping[str, Any]:
        return {"text": self._template.fill(outcome)}

    def rows(self, item: Item, outcome: Outcome) -> bytes:
        parts = item.members() if isinstance(item, Sample) else [(item.suffix.lstrip("."), item.read())]
        told = [part for part in parts if part[0] != _TEXT]
        told.append((_TEXT, outcome.plan["text"].encode(errors="surrogateescape")))
        return b"".join(_member(f"{_key(item)}.{ending}", data) for ending, data in told)


def split_key(name: str) -> tuple[str, str]:
    """A member's name as key and ending: "a/b.seg.png" is "a/b" and "seg.png"."""
    folder, _, file = name.rpartition("/")
    stem, _, ending = file.partition(".")
    return f"{folder}/{stem}" if folder else stem, ending


def _key(item: Item) -> str:
    if isinstance(item, Sample):
        return item.key
    path = PurePosixPath(item.name.lstrip("/"))
    return path.with_name(path.stem.replace(".", "_")).as_posix()


def _member(name: str, data: bytes) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    header = info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
    return header + data + bytes(-len(data) % tarfile.BLOCKSIZE)
