"""What is written of a prompt: the words a user puts around it."""

from __future__ import annotations

import string
from pathlib import PurePath

from ..errors import SettingsError
from ..printable import quoted
from .columns import TAG_COLUMNS, told_by_tags
from .items import Outcome

FIELDS = ("prompt", "caption", "name", *TAG_COLUMNS)


class Template:
    """A text with fields: {prompt}, {caption}, {name}, the picture's file name without its suffix, and what a tagger
    told: {tags}, {characters}, {rating}.

    needs_tags: whether it has one of those."""

    def __init__(self, text: str = "{prompt}") -> None:
        try:
            fields = [
                (field, form, kind) for _, field, form, kind in string.Formatter().parse(text) if field is not None
            ]
        except ValueError as error:
            raise SettingsError(
                f"The template {quoted(text)} has a brace without its other half", "write {{ or }}"
            ) from error
        if any(field not in FIELDS or form or kind for field, form, kind in fields):
            there_are = ", ".join(f"{{{field}}}" for field in FIELDS)
            raise SettingsError(f"The template {quoted(text)} has an unknown field", f"there are {there_are}")
        if not fields:
            raise SettingsError(
                f"The template {quoted(text)} would be the same for all pictures", "put {prompt} into it"
            )
        self.text = text
        self.needs_tags = any(field in TAG_COLUMNS for field, _, _ in fields)

    def fill(self, outcome: Outcome) -> str:
        """For an outcome with a result, on one line."""
        assert outcome.result is not None
        result = outcome.result
        values = {"prompt": result.prompt, "caption": result.caption, "name": stem(outcome.name)}
        if self.needs_tags:
            values |= {str(name): text for name, text in told_by_tags(result).items()}
        return " ".join(self.text.format(**values).split())


def stem(name: str) -> str:
    return PurePath(name).stem
