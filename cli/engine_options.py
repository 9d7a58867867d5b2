"""The options that set up an engine, and the Settings they make."""

from __future__ import annotations

import argparse
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import SettingsError
from ..core.micro.toy import MICRO
from ..core.phrases import POSITIVE
from ..core.settings import FITS, PRECISIONS, SEARCHES, USUAL_SEARCH, Mode, Settings
from ..core.targets import TARGET_NAMES, TARGETS
from . import describer_options
from .describer_options import lines_of

if TYPE_CHECKING:
    from .suited import Chosen


def add_to(parser: argparse.ArgumentParser) -> None:
    """Adds the options in groups. They have no defaults of their own, those are Settings'."""
    _add_clip(
        parser.add_argument_group("models"), toys="the toy micro, or none, which modes caption and tags can do without"
    )
    describer_options.add_to(parser)
    _add_phrases(parser)
    _add_words(parser)


def add_clip_to(parser: argparse.ArgumentParser, targets: bool = True) -> None:
    """Adds the options of commands that need the CLIP and nothing else. targets: whether it can be chosen by family."""
    _add_clip(parser.add_argument_group("model"), targets)


def _add_clip(group: argparse._ArgumentGroup, targets: bool = True, toys: str = "or the toy micro") -> None:
    default = Settings()
    if targets:
        group.add_argument(
            "--for",
            dest="target",
            choices=TARGET_NAMES,
            help="take what suits this family of image models: the words, the CLIP, and a describer from this disk",
        )
    group.add_argument(
        "--clip",
        metavar="NAME",
        help=f"open_clip name/tag, hub id, folder, safetensors file, {toys} (default: {default.clip})",
    )
    group.add_argument(
        "--fit", choices=FITS, help=f"how a picture that is not square is fitted (default: {default.fit})"
    )
    group.add_argument(
        "--device", metavar="NAME", help="cpu, cuda, cuda:1, xpu, mps (default: the best there is that computes)"
    )
    group.add_argument("--precision", choices=PRECISIONS, help="of the arithmetic (default: what suits the device)")
    group.add_argument(
        "--memory", type=_size, metavar="SIZE", help="what the search may take, such as 4GB (default: what is free)"
    )
    group.add_argument("--cache", metavar="DIR", type=Path, help="where downloads and phrase tables are kept")


def _add_phrases(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("phrases")
    group.add_argument(
        "--phrases",
        metavar="DIR",
        help="a folder of NAME.txt files, or peer or clip-gaze for an installed package's (default: the built-in)",
    )
    group.add_argument(
        "--no",
        action="append",
        default=[],
        metavar="CATEGORY",
        help=f"leave a category out: {', '.join(POSITIVE)}, ... (may be repeated)",
    )
    group.add_argument(
        "--max",
        action="append",
        default=[],
        type=_category_limit,
        metavar="CATEGORY=N",
        help="at most N phrases of a category (may be repeated)",
    )
    group.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="PHRASE",
        help="never use this phrase; @FILE reads them from a file, one a line (may be repeated)",
    )
    group.add_argument(
        "--pin",
        action="append",
        default=[],
        metavar="PHRASE",
        help="always have this phrase in the prompt (may be repeated)",
    )
    _add_search_to(group)


def _add_search_to(group: argparse._ArgumentGroup) -> None:
    default = Settings()
    group.add_argument(
        "--search",
        choices=SEARCHES,
        help="how mode best searches: honest says what is sure, written lets the captioner write under the CLIP's "
        "eyes, peer is clip-interrogator's greedy search, beam tries several prompts too "
        f"(default: {USUAL_SEARCH})",
    )
    add_bank_to(group)
    group.add_argument(
        "--pool",
        type=int,
        metavar="N",
        help=f"search among the N phrases most like the picture (default: {default.pool})",
    )
    group.add_argument(
        "--min-phrases",
        type=int,
        metavar="N",
        help=f"phrases to add at least (default: {default.min_phrases})",
    )
    group.add_argument(
        "--max-phrases",
        type=int,
        metavar="N",
        help=f"phrases to add at most (default: {default.max_phrases})",
    )


def add_bank_to(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--bank",
        metavar="PLACE",
        help="your own pictures, with which a picture is compared to tell what is particular to it: a folder of 40 or "
        "more, an index, or a bank made before",
    )


def with_bank(settings: Settings, options: argparse.Namespace, quiet: bool = False, captioned: bool = True) -> Settings:
    """With the bank of the place that --bank names, which is made of the pictures there at the first time."""
    if options.bank is None:
        return settings
    from ..core.index.bank import bank_file
    from .progress import terminal_progress

    return replace(settings, bank=bank_file(options.bank, settings, terminal_progress(quiet=quiet), captioned))


def _add_words(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("words around the prompt")
    group.add_argument("--trigger", metavar="TEXT", help="a trigger word, put first")
    group.add_argument("--prefix", metavar="TEXT", help="words before the prompt")
    group.add_argument("--suffix", metavar="TEXT", help="words after the prompt")
    group.add_argument(
        "--token-limit",
        type=int,
        metavar="N",
        help="length of a prompt in tokens (default: what the CLIP reads where it searches, else all of it)",
    )


def settings_from(options: argparse.Namespace) -> Settings:
    """The Settings these options ask for: an explicit option wins over the target, that over the default."""
    if options.target is None:
        return _settings_over(Settings(), options)
    from .suited import chosen_models_for

    return _told(chosen_models_for(options), options)


def settings_and_mode_from(options: argparse.Namespace) -> tuple[Settings, Mode]:
    """The same of a command that has --mode, whose default is the target's."""
    if options.target is None:
        return _settings_over(Settings(), options), options.mode or "best"
    from .suited import chosen_for

    chosen = chosen_for(options)
    return _told(chosen, options), chosen.found.mode


def _told(chosen: Chosen, options: argparse.Namespace) -> Settings:
    settings = _settings_over(chosen.settings, options)
    chosen.tell()
    return settings


def _settings_over(usual: Settings, options: argparse.Namespace) -> Settings:
    names = (
        *("clip", "phrases", "fit", "device", "precision", "memory", "cache", "trigger", "prefix", "suffix"),
        *("search", "pool", "token_limit"),
    )
    if options.clip == MICRO and options.target is None:
        usual = replace(usual, captioner=MICRO)  # the toy CLIP's words are those of its own small world
    usual = describer_options.settings_from(options, usual)
    values = describer_options.given(options, {name: name for name in names})
    values["limits"] = {**usual.limits, **dict(options.max), **dict.fromkeys(options.no, 0)}
    values["pinned"] = tuple(options.pin)
    values["exclude"] = tuple(phrase for text in options.exclude for phrase in lines_of(text, "phrases"))
    least, most = _range(usual, options)
    return replace(usual, **values, min_phrases=least, max_phrases=most)


def clip_settings_from(options: argparse.Namespace) -> Settings:
    """The Settings that the options of `add_clip_to` ask for."""
    values = {} if options.target is None else {"clip": TARGETS[options.target].clip}
    names = ("clip", "fit", "device", "precision", "memory", "cache")
    return Settings(captioner=None, **{**values, **describer_options.given(options, {name: name for name in names})})


def assignment(text: str) -> tuple[str, str]:
    name, equals, value = (part.strip() for part in text.partition("="))
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form CATEGORY=PHRASE")
    return name, value


def numbers(text: str) -> list[float]:
    """The numbers between a text's commas, as the type of an option."""
    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers, such as 2,1,1") from None


def refuse_weights(options: argparse.Namespace) -> None:
    """SettingsError for weights of pictures that are not taken together."""
    if options.weights is not None:
        raise SettingsError("--weights says how much each picture counts with --together", "give that too")


def _range(usual: Settings, options: argparse.Namespace) -> tuple[int, int]:
    """One end given alone moves the other end's default along, so that `--max-phrases 4` is enough."""
    least = usual.min_phrases if options.min_phrases is None else options.min_phrases
    most = usual.max_phrases if options.max_phrases is None else options.max_phrases
    if options.min_phrases is None:
        return max(0, min(least, most)), most
    return least, max(least, most) if options.max_phrases is None else most


def _category_limit(text: str) -> tuple[str, int]:
    category, separator, number = text.partition("=")
    if not (category and separator and number.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form CATEGORY=N, such as artists=1")
    return category, int(number)


def _size(text: str) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmg]?)b?", text.strip().casefold())
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size, such as 4GB or 800MB")
    return int(float(found[1]) * {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}[found[2]])
