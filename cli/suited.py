"""What `--for` takes where nothing is named: said in a line, and asked for where it is to be downloaded."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..core.cures import Give
from ..core.errors import Cancelled, ModelError
from ..core.hub import Hub
from ..core.micro.toy import MICRO
from ..core.settings import Settings
from ..core.targets import TARGETS, Target
from .streams import ask, complain

if TYPE_CHECKING:
    from ..core.published import Published
    from ..core.suiting import Named, Suited


@dataclass(frozen=True)
class Chosen:
    """settings: what suits the target, over the default."""

    settings: Settings
    target: Target
    found: Suited

    def tell(self) -> None:
        """Says what was chosen, and asks where that is to be downloaded. To be called when nothing else is refused.
        Raises ModelError where nobody is there to be asked, Cancelled where they disagree."""
        if self.found.told:
            complain(self.found.told)
        if self.found.lacking is not None:
            _agree(self.target, self.found.lacking)


def chosen_for(options: argparse.Namespace) -> Chosen:
    """For a command that has --mode."""
    from ..core.suiting import suited

    target = TARGETS[options.target]
    return _chosen(target, suited(target, _named(options), Hub(options.cache)), options)


def chosen_models_for(options: argparse.Namespace) -> Chosen:
    """For one whose mode is chosen later, when nobody is there to be asked."""
    from ..core.suiting import suited_models

    target = TARGETS[options.target]
    return _chosen(target, suited_models(target, _named(options), Hub(options.cache)), options)


def _named(options: argparse.Namespace) -> Named:
    from ..core.suiting import Named

    captioned = getattr(options, "caption", None) is not None
    mode = getattr(options, "mode", None)
    asked = options.instruction is not None or options.style not in (None, "tags")
    return Named(mode, options.captioner, options.tagger, options.clip == MICRO, captioned, asked)


def _chosen(target: Target, found: Suited, options: argparse.Namespace) -> Chosen:
    usual = Settings(captioner=MICRO) if options.clip == MICRO else Settings()
    models = {"captioner": found.captioner, "tagger": found.tagger}
    usual = replace(usual, **{name: value for name, value in models.items() if value is not None})
    return Chosen(target.over(usual, found.sort), target, found)


def _agree(target: Target, lacking: Published) -> None:
    from rich.filesize import decimal

    size = f"{decimal(lacking.bytes)} " if lacking.bytes else ""
    problem = f"{target.name} is prompted with tags, and no tagger is on this disk"
    if not sys.stdin.isatty():
        raise ModelError(problem, Give("tagger", f"{lacking.name}, a download of {size}at its first use, or another"))
    if not ask(f"{problem}. Download {size}of {lacking.name}?"):
        raise Cancelled
