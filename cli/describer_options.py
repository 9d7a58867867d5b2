"""The options of what describes a picture: captioners, taggers, chat models and servers; and what they set."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..core.errors import SettingsError, TextFileError
from ..core.phrases import phrases_in
from ..core.settings import QUANTIZATIONS, TAG_NAMES, TAG_ORDERS, WRITING_STYLES, EndpointSettings, Settings
from ..core.texts import read_known
from .streams import command_name

_WRITING = {
    "style": "style",
    "instruction": "instruction",
    "system": "system",
    "caption_length": "max_length",
    "beams": "beams",
    "temperature": "temperature",
    "top_p": "top_p",
    "seed": "seed",
    "repetition": "repetition",
    "trim": "trim",
}
"""Names of options, and what they set."""
_ENDPOINT = ("keep_alive", "thinking", "longest_side", "timeout", "retries")
_MODELS = ("captioner", "tagger", "candidates", "quantization")


def add_to(parser: argparse.ArgumentParser) -> None:
    """Adds the options in groups. They have no defaults of their own, those are Settings'."""
    _add_describers(parser.add_argument_group("what describes the picture"))
    _add_writing(parser.add_argument_group("how it is described in words"))
    _add_tags(parser.add_argument_group("how it is described in tags"))
    _add_endpoint(parser.add_argument_group("servers that describe it"))


def _add_describers(group: argparse._ArgumentGroup) -> None:
    default = Settings()
    group.add_argument(
        "--captioner",
        metavar="NAME",
        help=f"name (`{command_name()} models --all`), hub id, folder, address of a server (ADDRESS#MODEL), micro, "
        f"micro-tagger, micro-chat, or none (default: {default.captioner})",
    )
    group.add_argument(
        "--tagger",
        metavar="NAME",
        help="whose tags follow the caption, or are all with --mode tags, where it may be left out",
    )
    group.add_argument(
        "--rival",
        action="append",
        metavar="NAME",
        help="another describer, whose text is taken if the CLIP finds it nearer to the picture (may be repeated)",
    )
    group.add_argument(
        "--candidates", type=int, metavar="N", help="texts of each describer that can write several; the CLIP chooses"
    )
    group.add_argument(
        "--quantization", choices=QUANTIZATIONS, help="of a chat model's weights, on CUDA (default: none)"
    )


def _add_writing(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--style", choices=WRITING_STYLES, help="what is asked for (default: its own, or what suits --for)"
    )
    group.add_argument("--instruction", metavar="TEXT", help="what is asked instead, of those that follow instructions")
    group.add_argument("--system", metavar="TEXT", help="a chat model's system message (default: its own)")
    group.add_argument("--caption-length", type=int, metavar="N", help="tokens of a caption at most")
    group.add_argument("--beams", type=int, metavar="N", help="beams of the captioner's search; 1 is greedy")
    group.add_argument(
        "--temperature", type=float, metavar="X", help="0 takes the likeliest word (the default); above it draws"
    )
    group.add_argument("--top-p", type=float, metavar="X", help="draws among the likeliest words that have this share")
    group.add_argument("--seed", type=int, metavar="N", help="of the draw: the same one, the same words (default: 0)")
    group.add_argument("--repetition", type=float, metavar="X", help="penalty for words said before (default: 1, none)")
    group.add_argument(
        "--trim", action="store_true", default=None, help="take away 'The image shows' and the like, and markdown"
    )


def _add_tags(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--general-threshold", type=float, metavar="X", help="confidence of a tag at least (default: its publisher's)"
    )
    group.add_argument("--character-threshold", type=float, metavar="X", help="the same of a character's")
    group.add_argument(
        "--automatic-threshold",
        action="store_true",
        default=None,
        help="each picture's own thresholds, by the largest gap between confidences",
    )
    group.add_argument("--most-tags", type=int, metavar="N", help="general tags at most")
    group.add_argument("--rating", action="store_true", default=None, help="the rating too")
    group.add_argument(
        "--exclude-tags",
        action="append",
        metavar="TAGS",
        help="never these, between commas; @FILE reads them from a file, one a line (may be repeated)",
    )
    group.add_argument(
        "--tag-order", choices=TAG_ORDERS, help="target: as --for has them, whose default it is (default: confidence)"
    )
    group.add_argument(
        "--underscores", action="store_true", default=None, help="as the tagger writes them, instead of blanks"
    )
    group.add_argument(
        "--implied", action="store_true", default=None, help="also what others imply: animal ears beside cat ears"
    )


def _add_endpoint(group: argparse._ArgumentGroup) -> None:
    default = EndpointSettings()
    group.add_argument("--keep-alive", metavar="TIME", help="how long Ollama keeps the model in memory: 5m, -1")
    group.add_argument("--thinking", choices=("on", "off"), help="before it answers (default: the server's)")
    group.add_argument(
        "--longest-side",
        type=int,
        metavar="PIXELS",
        help=f"of the picture that is sent (default: {default.longest_side})",
    )
    group.add_argument(
        "--timeout", type=float, metavar="SECONDS", help=f"without an answer (default: {default.timeout:g})"
    )
    group.add_argument(
        "--retries", type=int, metavar="N", help=f"after failures that may pass (default: {default.retries})"
    )


def settings_from(options: argparse.Namespace, usual: Settings) -> Settings:
    """`usual` with what these options ask for in its place. Raises SettingsError."""
    writing, tags = usual.captioning, usual.captioning.tags
    tags = replace(tags, **given(options, TAG_NAMES))
    if options.exclude_tags is not None:
        tags = replace(tags, exclude=tuple(tag for text in options.exclude_tags for tag in _tags_in(text)))
    endpoint = given(options, {name: name for name in _ENDPOINT})
    if "thinking" in endpoint:
        endpoint["thinking"] = endpoint["thinking"] == "on"
    writing = replace(writing, tags=tags, endpoint=replace(writing.endpoint, **endpoint), **given(options, _WRITING))
    models = given(options, {name: name for name in _MODELS})
    if options.rival is not None:
        models["rivals"] = tuple(options.rival)
    return replace(usual, captioning=writing, **models)


def lines_of(text: str, what: str) -> list[str]:
    """What stands behind @ in an option's text is a file, a line each; [text] of any other. what: they are."""
    if not text.startswith("@"):
        return [text]
    try:
        lines = read_known(Path(text[1:])).splitlines()
    except TextFileError as error:
        raise SettingsError(f"The {what} to exclude cannot be read: {error.problem}", *error.cures) from error
    return [line.strip() for line in lines if line.strip()]


def _tags_in(text: str) -> list[str]:
    return lines_of(text, "tags") if text.startswith("@") else list(phrases_in(text))


def given(options: argparse.Namespace, names: Mapping[str, str]) -> dict[str, Any]:
    """What was given of these options, by the names of what they set."""
    return {setting: getattr(options, name) for name, setting in names.items() if getattr(options, name) is not None}
