"""What is known to be wrong of an interrogation before any model is there to do it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..cures import Choose, Give
from ..describe.kinds import kind_of
from ..errors import PhraseError, SettingsError
from ..foreign import shown
from ..phrases.vocabulary import CATEGORIES, Vocabulary, category_name
from ..printable import quoted
from ..settings import MODES, NO_CLIP, SEARCHES, UNSEARCHED, Mode, Settings

_OTHER_SEARCHES = Choose("search", tuple(each for each in SEARCHES if each != "written"))


def check_mode(mode: str) -> None:
    if mode not in MODES:
        raise SettingsError(f"There is no mode {quoted(mode)}", Choose("mode", MODES))


def check_unseen(settings: Settings, mode: Mode, judges: bool) -> None:
    """SettingsError where there is to be no CLIP, and the mode searches with one. judges: whether it chooses among
    captions of one picture or several."""
    if settings.clip != NO_CLIP:
        return
    if mode not in UNSEARCHED:
        problem = f"is {NO_CLIP}, and mode {mode} searches with a CLIP"
        raise SettingsError(problem, Choose("mode", UNSEARCHED), Give("clip", "one"), control="clip")
    if mode != "tags" and judges:
        problem = f"is {NO_CLIP}, and a CLIP chooses among several captions"
        raise SettingsError(problem, Give("clip", "one"), control="clip")


def check_written(settings: Settings, mode: Mode) -> None:
    """SettingsError where a describer is to write a prompt and there is none, or one that has no words of its own."""
    if mode != "best" or settings.searched != "written":
        return
    if settings.captioner is None:
        raise SettingsError(
            "is written, and there is no captioner to write", _OTHER_SEARCHES, Give("captioner"), control="search"
        )
    if kind_of(settings.captioner).name != "captioner":
        raise no_writer(settings.captioner)


def no_writer(name: str) -> SettingsError:
    """For a describer that cannot be told word by word what to write."""
    problem = f"is written, and {shown(name)} does not tell how likely each next word is"
    return SettingsError(problem, _OTHER_SEARCHES, Give("captioner", "one that runs here"), control="search")


def check_captions(mode: Mode, captions: Sequence[str]) -> None:
    """SettingsError where the mode has nothing but a caption, and one of them is empty."""
    if mode == "caption" and not all(caption.strip() for caption in captions):
        raise SettingsError("The caption mode has no caption", Give("captioner", "one"))


def known_limits(limits: Mapping[str, int], vocabulary: Vocabulary) -> dict[str, int]:
    """By the names that the vocabulary has for its categories. Raises PhraseError for one there is not."""
    named = {category_name(name): limit for name, limit in limits.items()}
    for name in named:
        if name not in vocabulary.categories and name not in CATEGORIES:
            known = ", ".join(vocabulary.categories)
            raise PhraseError(f"There is no category {shown(name)!r} to limit", f"this vocabulary has {known}")
    return named
