"""The errors users meet: what went wrong and where, and what helps, which each door says in its own words."""

from __future__ import annotations

from .cures import PYTHON, Control, Cure, Words


class UnrenderError(Exception):
    """Base of every error this project raises on purpose.

    problem: what went wrong and where, to be followed by the cures: what helps, each by itself, the likeliest first.
    control: what the problem is said of, where that is something a person sets: "is 0" of "pool".
    """

    def __init__(self, problem: str, *cures: Cure, control: Control | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.cures = cures
        self.control: Control | None = control

    def __str__(self) -> str:
        return self.said(PYTHON)

    def said(self, words: Words) -> str:
        """One sentence, in the words of a door."""
        return words.sentence(self.problem, self.cures, self.control)


class ImageError(UnrenderError):
    """A picture cannot be read; the message names the file and the cause."""


class ModelError(UnrenderError):
    """A model is unknown, absent, in a format that is never opened, or does not fit."""


class NotOnHubError(ModelError):
    """The hub answered, and has no such file, or none in a format that is opened."""


class UndescribedError(ModelError):
    """A describer has no words for one picture; it may well have some for others.

    certain: whether it is surely the picture's doing, and not that of a server or model that has words for none."""

    def __init__(self, problem: str, *cures: Cure, certain: bool = False) -> None:
        super().__init__(problem, *cures)
        self.certain = certain


class TextFileError(UnrenderError):
    """A text file cannot be read, is none, or its encoding cannot be told or lacks a letter."""


class PhraseError(UnrenderError):
    """A vocabulary, category or phrase file is unknown or unusable."""


class SettingsError(UnrenderError):
    """A setting has a value that makes no sense; the message names the setting and its valid values."""


class EmbeddingError(UnrenderError):
    """A prompt embedding has a shape its family cannot take, holds values that are no numbers, or is no such file."""


class BatchError(UnrenderError):
    """A run over many pictures cannot begin or go on; what it has written stays as it is."""


class IndexFileError(UnrenderError):
    """An index of pictures is absent, damaged, made with another model, or cannot be written."""


class MissingPackageError(UnrenderError):
    """An optional package is absent or broken; the message holds the command that installs it."""


class Cancelled(UnrenderError):
    """The user asked to stop; raised between two steps of work, everything done so far is kept."""

    def __init__(self, problem: str = "Stopped") -> None:
        super().__init__(problem)
