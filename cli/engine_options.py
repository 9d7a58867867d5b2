"""The options that set up an engine, and the Settings they make."""

from __future__ import annotations

import argparse
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..core.errors import SettingsError, TextFileError
from ..core.phrases import POSITIVE
from ..core.settings import FITS, PRECISIONS, SEARCHES, Settings
from ..core.targets import TARGET_NAMES, TARGETS
from ..core.texts import read_known
from .streams import command_name

_MICRO = "micro"


def add_to(parser: argparse.ArgumentParser) -> None:
    """Adds the options in groups. They have no defaults of their own, those are Settings'."""
    _add_models(parser)
    _add_phrases(parser)
    _add_words(parser)


def add_clip_to(parser: argparse.ArgumentParser, presets: bool = True) -> None:
    """Adds the options of commands that need the CLIP and nothing else. presets: whether it can be chosen by family."""
    _add_clip(parser.add_argument_group("model"), presets)


def _add_models(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("models")
    _add_clip(group)
    default = Settings()
    group.add_argument(
        "--captioner",
        metavar="NAME",
        help=f"name (`{command_name()} models --all`), hub id, folder, micro, or none (default: {default.captioner})",
    )
    group.add_argument("--instruction", metavar="TEXT", help="what an instruction-following captioner is asked")
    group.add_argument("--caption-length", type=int, metavar="N", help="tokens of a caption at most")
    group.add_argument("--beams", type=int, metavar="N", help="beams of the captioner's search; 1 is greedy")


def _add_clip(group: argparse._ArgumentGroup, presets: bool = True) -> None:
    default = Settings()
    if presets:
        group.add_argument(
            "--for",
            dest="target",
            choices=TARGET_NAMES,
            help="take the CLIP and the lengths that suit this family of image models",
        )
    group.add_argument(
        "--clip",
        metavar="NAME",
        help=f"open_clip name/tag, hub id, folder, safetensors file, or the toy micro (default: {default.clip})",
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
    default = Settings()
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
        "--search",
        choices=SEARCHES,
        help=f"peer is clip-interrogator's greedy search, beam tries several prompts too (default: {default.search})",
    )
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


def _add_words(parser: argparse.ArgumentParser) -> None:
    default = Settings()
    group = parser.add_argument_group("words around the prompt")
    group.add_argument("--trigger", metavar="TEXT", help="a trigger word, put first")
    group.add_argument("--prefix", metavar="TEXT", help="words before the prompt")
    group.add_argument("--suffix", metavar="TEXT", help="words after the prompt")
    group.add_argument(
        "--token-limit",
        type=int,
        metavar="N",
        help=f"length of a prompt in tokens (default: {default.token_limit})",
    )


def settings_from(options: argparse.Namespace) -> Settings:
    """The Settings these options ask for: an explicit option wins over the preset, that over the default."""
    usual = Settings() if options.target is None else TARGETS[options.target].over(Settings())
    names = (
        *("clip", "phrases", "fit", "device", "precision", "memory", "cache", "trigger", "prefix", "suffix"),
        *("search", "pool", "token_limit"),
    )
    values = _given(options, {name: name for name in names})
    captioning = _given(options, {"instruction": "instruction", "caption_length": "max_length", "beams": "beams"})
    if options.captioner is not None:
        values["captioner"] = options.captioner
    elif values.get("clip") == _MICRO:
        values["captioner"] = _MICRO  # the toy CLIP's words are those of its own small world
    values["limits"] = {**dict(options.max), **dict.fromkeys(options.no, 0)}
    values["exclude"] = tuple(phrase for text in options.exclude for phrase in _excluded(text))
    least, most = _range(usual, options)
    asked = {**values, "min_phrases": least, "max_phrases": most}
    return replace(usual, captioning=replace(usual.captioning, **captioning), **asked)


def clip_settings_from(options: argparse.Namespace) -> Settings:
    """The Settings that the options of `add_clip_to` ask for."""
    values = {} if options.target is None else {"clip": TARGETS[options.target].clip}
    names = ("clip", "fit", "device", "precision", "memory", "cache")
    return Settings(captioner=None, **{**values, **_given(options, {name: name for name in names})})


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


def _given(options: argparse.Namespace, names: dict[str, str]) -> dict[str, Any]:
    return {setting: getattr(options, name) for name, setting in names.items() if getattr(options, name) is not None}


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


def _excluded(text: str) -> list[str]:
    if not text.startswith("@"):
        return [text]
    try:
        lines = read_known(Path(text[1:])).splitlines()
    except TextFileError as error:
        raise SettingsError(f"The phrases to exclude cannot be read: {error.problem}", *error.cures) from error
    return [line.strip() for line in lines if line.strip()]
