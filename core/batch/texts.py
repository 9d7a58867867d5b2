"""A text beside each picture, as trainers (kohya's and others) read captions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..cures import Choose
from ..errors import SettingsError
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
            raise SettingsError(f"is {existing!r}", Choose("existing", EXISTING), control="existing")
        super().__init__(root, self.output)
        self._existing = existing
        self._template = template or Template()
        self.anew_is_harmless = existing in ("skip", "overwrite")

    @classmethod
    def of(cls, chosen: Chosen) -> TextSink:
        assert chosen.existing is not None, "there is a usual way"
        return cls(chosen.place, chosen.existing, chosen.template)

    def skips(self, item: Item) -> bool:
        return self._existing == "skip" and text_path(item).exists()

    @property
    def asked(self) -> Mapping[str, Any]:
        return {"existing": self._existing, "template": self._template.text}

    def target(self, item: Item) -> Path:
        return text_path(item)

    def plan(self, item: Item, outcome: Outcome) -> Mapping[str, Any]:
        text = self._template.fill(outcome)
        if self._existing in ("prepend", "append"):
            path = text_path(item)
            before = path.read_text(encoding="utf-8-sig", errors="surrogateescape").strip() if path.is_file() else ""
            parts = [text, before] if self._existing == "prepend" else [before, text]
            text = ", ".join(part for part in parts if part)
        return {"text": text}

    def write(self, item: Item, outcome: Outcome) -> None:
        self.put(text_path(item), outcome.plan["text"].encode(errors="surrogateescape"))


def text_path(item: Item) -> Path:
    """Of the text that belongs to a picture. Raises SettingsError for pictures that are no files of their own."""
    return item.file.with_suffix(".txt")
