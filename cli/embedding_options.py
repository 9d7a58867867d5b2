"""The options of how pictures become an embedding, which `embed` and `vary` have, and the Settings they make."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from ..core.cures import Choose, LeaveOut
from ..core.embed.kinds import PROJECTIONS, QUALITIES, QUALITY_SUMMARIES, TUNED, USUAL_QUALITY, is_tuned
from ..core.errors import SettingsError
from ..core.micro.toy import MICRO
from ..core.settings import Settings
from . import engine_options
from .describer_options import given
from .streams import command_name

if TYPE_CHECKING:
    from ..core.embed.blend import Blend
    from ..core.embed.families import Family


class _Projections(tuple[str, ...]):
    """Those with a name, and what was tuned on pictures, whatever its name."""

    __slots__ = ()

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or (isinstance(name, str) and is_tuned(name))


def add_way_to(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    parser.add_argument(
        "--quality",
        choices=QUALITIES,
        help=f"how well, and how long it may take (default: what `{command_name()} verify` found, else "
        f"{USUAL_QUALITY})",
    )
    parser.add_argument(
        "--projection",
        choices=_Projections(PROJECTIONS),
        metavar=f"{{{','.join(PROJECTIONS)},{TUNED}NAME}}",
        help=f"how, by name; a quality chooses one; {TUNED}NAME for what `{command_name()} tune` made",
    )
    parser.add_argument(
        "--anchor",
        metavar="TEXT",
        help="a prompt that describes the picture, for the one that a search would find; with soft and anchored",
    )
    parser.add_argument(
        "--gap-pictures",
        nargs="+",
        default=[],
        metavar="IMAGE",
        help="about 40 varied pictures that show where this CLIP's pictures lie, for all but pinv",
    )


def add_search_to(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the search of quality best, and the words that are known")
    group.add_argument(
        "--captioner",
        metavar="NAME",
        help=f"what describes the picture, as for interrogate, or none (default: {Settings().captioner})",
    )
    group.add_argument(
        "--phrases",
        metavar="DIR",
        help="a folder of NAME.txt files, or peer or clip-gaze for an installed package's (default: the built-in)",
    )
    engine_options.add_bank_to(group)


def qualities() -> str:
    """A line for each."""
    return "\n".join(f"  {quality:<9} {QUALITY_SUMMARIES[quality]}" for quality in QUALITIES)


def check(options: argparse.Namespace, blend: Blend, family: Family | None = None) -> None:
    """Raises SettingsError for what does not go together. family: None while that waits for a checkpoint."""
    from ..core.embed.blend import check_asked

    check_asked(blend, options.projection, options.quality)
    quick = options.quality == "quick" and family is not None and family.closed_form
    if options.gap_pictures and (quick or options.projection == "pinv"):
        raise SettingsError(
            "pinv asks for no gap between pictures and texts",
            LeaveOut("gap_pictures"),
            Choose("quality", ("good", "best")),
        )


def is_searched(options: argparse.Namespace) -> bool:
    """Whether a search describes the pictures, as far as that is known before a model is loaded."""
    if options.anchor is not None:
        return False
    return options.projection == "anchored" or (options.projection is None and options.quality in (None, "best"))


def settings_from(options: argparse.Namespace) -> Settings:
    """Without the bank."""
    settings = engine_options.clip_settings_from(options)
    usual = MICRO if settings.clip == MICRO else Settings().captioner
    return replace(settings, captioner=options.captioner or usual, **given(options, {"phrases": "phrases"}))


def with_bank(settings: Settings, options: argparse.Namespace) -> Settings:
    """Its pictures are captioned where there are words to be weighed against them."""
    return engine_options.with_bank(settings, options, captioned=is_searched(options) or bool(options.anchor))
