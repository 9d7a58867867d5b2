"""A text beside each picture, as trainers (kohya's and others) read captions."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..cures import Choose
from ..errors import SettingsError, TextFileError
from ..printable import quoted
from ..texts import UTF_8, Coding, appended, prepended, read_coded
from .items import Item, Outcome
from .sinks import EXISTING, Chosen, Existing, FilesSink
from .template import Template


class TextSink(FilesSink):
    """PICTURE.txt beside PICTURE.png. root: the folder the run is about."""

    output = "txt"
    summary = "a text file beside each picture"
    details = "PICTURE.txt beside each picture, as trainers read captions"
    ways = EXISTING
    usual = "skip"
    plans = ("text",)

    def __init__(self, root: Path, existing: Existing = "skip", template: Template | None = None) -> None:
        if existing not in EXISTING:
            raise SettingsError(f"is {quoted(existing)}", Choose("existing", EXISTING), control="existing")
        super().__init__(root, self.output)
        self._existing = existing
        self._template = template or Template()
        self.anew_is_harmless = existing in ("skip", "overwrite")

    @classmethod
    def of(cls, chosen: Chosen) -> TextSink:
        assert chosen.existing is not None, "there is a usual way"
        return cls(chosen.place, chosen.existing, chosen.template)

    def skips(self, item: Item) -> bool:
        return self._existing == "skip" and text_path(item).is_file()

    @property
    def asked(self) -> Mapping[str, Any]:
        return {"existing": self._existing, "template": self._template.text}

    def target(self, item: Item) -> Path:
        return text_path(item)

    def plan(self, item: Item, outcome: Outcome) -> Mapping[str, Any]:
        text, path = self._template.fill(outcome), text_path(item)
        if self._existing not in ("prepend", "append") or not path.exists():
            _bytes(text, UTF_8, path)
            return {"text": text}
        before, coding = read_coded(path)
        text = appended(before, text) if self._existing == "append" else prepended(before, text)
        _bytes(text, coding, path)
        told = {} if coding == UTF_8 else {"coding": coding.label}
        return {"text": text, **told, "before": _digest(coding.encoded(before))}

    def write(self, item: Item, outcome: Outcome) -> None:
        path, plan = text_path(item), outcome.plan
        data = _bytes(plan["text"], Coding.labelled(str(plan.get("coding", UTF_8.label))), path)
        if self._existing != "overwrite" and path.is_file() and (there := path.read_bytes()) != data:
            if self._existing == "skip":
                return  # somebody wrote one meanwhile
            if plan.get("before", "") != _digest(there):
                raise OSError(errno.EBUSY, "its text has been changed meanwhile")
        self.put(path, data)


def _bytes(text: str, coding: Coding, path: Path) -> bytes:
    try:
        return coding.encoded(text)
    except UnicodeEncodeError as error:
        problem = f"{path} cannot hold {text[error.start]!a} in its encoding"
        raise TextFileError(problem, "save it as UTF-8") from error
    except LookupError as error:  # of a journal that no run wrote
        raise TextFileError(f"{path} is planned in an encoding that there is not", "begin anew") from error


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def text_path(item: Item) -> Path:
    """Of the text that belongs to a picture. Raises SettingsError for pictures that are no files of their own."""
    return item.file.with_suffix(".txt")
