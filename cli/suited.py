"""What `--for` takes where nothing is named: said in a line, and asked for where it is to be downloaded."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from ..core.cures import Give
from ..core.errors import Cancelled, ModelError
from ..core.hub import Hub
from ..core.micro.toy import MICRO
from ..core.settings import Mode, Settings
from ..core.targets import TARGETS, Target
from .streams import ask, complain

if TYPE_CHECKING:
    from ..core.published import Published
    from ..core.suiting import Named, Suited


def suited_of(options: argparse.Namespace) -> tuple[Settings, Mode]:
    """The Settings that suit the target, and its mode. Raises ModelError."""
    from ..core.suiting import suited

    target = TARGETS[options.target]
    found = suited(target, _named(options), Hub(options.cache))
    if found.lacking is not None:
        _agree(target, found.lacking)
    return _settings(target, found, options), found.mode


def suited_models_of(options: argparse.Namespace) -> Settings:
    """The same where the mode is chosen later, and nobody is there to be asked then."""
    from ..core.suiting import suited_models

    target = TARGETS[options.target]
    return _settings(target, suited_models(target, _named(options), Hub(options.cache)), options)


def _named(options: argparse.Namespace) -> Named:
    from ..core.suiting import Named

    captioned = getattr(options, "caption", None) is not None
    mode = getattr(options, "mode", None)
    return Named(mode, options.captioner, options.tagger, options.clip == MICRO, captioned)


def _settings(target: Target, found: Suited, options: argparse.Namespace) -> Settings:
    if found.told:
        complain(found.told)
    usual = Settings(captioner=MICRO) if options.clip == MICRO else Settings()
    chosen = {"captioner": found.captioner, "tagger": found.tagger}
    usual = replace(usual, **{name: value for name, value in chosen.items() if value is not None})
    return target.over(usual, found.sort)


def _agree(target: Target, lacking: Published) -> None:
    """Raises ModelError where nobody is there to be asked, Cancelled where they disagree."""
    from rich.filesize import decimal

    size = f"{decimal(lacking.bytes)} " if lacking.bytes else ""
    problem = f"{target.name} is prompted with tags, and no tagger is on this disk"
    if not sys.stdin.isatty():
        raise ModelError(problem, Give("tagger", f"{lacking.name}, a download of {size}at its first use, or another"))
    if not ask(f"{problem}. Download {size}of {lacking.name}?"):
        raise Cancelled
