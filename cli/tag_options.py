"""The options that name a tagger, for commands that take tags but write no prompts."""

from __future__ import annotations

import argparse
from dataclasses import replace

from ..core.settings import Settings, TagSettings
from .streams import command_name


def add_tagger_to(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("tags")
    group.add_argument(
        "--tagger",
        metavar="NAME",
        help=f"keep tags: a tagger's name (`{command_name()} models --all`), hub id, folder, or the toy micro-tagger",
    )
    group.add_argument(
        "--general-threshold", type=float, metavar="X", help="of general tags (default: what its publisher says)"
    )
    group.add_argument(
        "--character-threshold", type=float, metavar="X", help="of characters (default: what its publisher says)"
    )

    group.add_argument(
        "--automatic-threshold",
        action="store_true",
        help="each picture's own thresholds instead, by the largest gap between confidences",
    )


def with_tagger(settings: Settings, options: argparse.Namespace) -> Settings:
    tags = TagSettings(options.general_threshold, options.character_threshold, options.automatic_threshold)
    return replace(settings, tagger=options.tagger, captioning=replace(settings.captioning, tags=tags))
