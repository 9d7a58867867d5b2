"""What is written of a prompt: the words a user puts around it."""

from __future__ import annotations

import string
from pathlib import PurePath

from ..errors import SettingsError
from .items import Outcome

FIELDS = ("prompt", "caption", "name")


class Template:
    """A text with {prompt}, {caption} and {name}, the picture's file name without its suffix, as fields."""

    def __init__(self, text: str = "{prompt}") -> None:
        try:
            fields = [
                (field, form, kind) for _, field, form, kind in string.Formatter().parse(text) if field is not None
            ]
        except ValueError as error:
            raise SettingsError(
                f"The template {text!r} has a brace without its other half", "write {{ or }}"
            ) from error
        if any(field not in FIELDS or form or kind for field, form, kind in fields):
            raise SettingsError(f"The template {text!r} has an unknown field", "there are {prompt}, {caption}, {name}")
        if not fields:
            raise SettingsError(f"The template {text!r} would be the same for all pictures", "put {prompt} into it")
        self.text = text

    def fill(self, outcome: Outcome) -> str:
        """For an outcome with a result, on one line."""
        assert outcome.result is not None
        values = {"prompt": outcome.result.prompt, "caption": outcome.result.caption, "name": stem(outcome.name)}
        return " ".join(self.text.format(**values).split())


def stem(name: str) -> str:
    return PurePath(name).stem
