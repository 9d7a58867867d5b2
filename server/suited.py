"""What a target takes where a visitor names nothing: what is on this disk, over what the program was started with."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from ..core.choices import NONE
from ..core.cures import Give
from ..core.errors import ModelError
from ..core.micro.toy import MICRO
from ..core.published import Published
from ..core.settings import Mode, Settings
from ..core.targets import Target
from .downloads import size

_DEFAULT = Settings()


class Chosen(NamedTuple):
    """settings: what suits the target, over the usual ones. told: what was chosen, in a sentence, "" for nothing.
    lacking: a tagger that is on no disk and that nobody has named."""

    mode: Mode
    settings: Settings
    told: str = ""
    lacking: Published | None = None

    def check(self) -> None:
        """Raises ModelError where something would be downloaded that nobody has named."""
        if self.lacking is not None:
            takes = f", a download of {size(self.lacking.bytes)}" if self.lacking.bytes else ""
            problem = f"{self.settings.captioning.tags.target} is prompted with tags, and no tagger is on this disk"
            raise ModelError(problem, Give("tagger", f"{self.lacking.name}{takes}, or another"))


def chosen_for(
    target: Target,
    usual: Settings,
    mode: Mode | None = None,
    captioner: str | None = None,
    tagger: str | None = None,
    clip: str | None = None,
    captioned: bool = False,
    asked: bool = False,
) -> Chosen:
    """usual: what holds for all that is not named; what was set there by a person counts as named. mode, captioner,
    tagger, clip: named by the visitor. captioned: whether there is a caption. asked: whether it was said how the
    picture is to be described, other than in tags. Downloads nothing."""
    from ..core.hub import Hub
    from ..core.suiting import Named, suited

    micro = (clip or usual.clip) == MICRO
    usual_one = MICRO if micro else _DEFAULT.captioner
    set_before = None if usual.captioner == usual_one else usual.captioner or NONE
    named = Named(mode, captioner or set_before, tagger or usual.tagger, micro, captioned, asked)
    found = suited(target, named, Hub(usual.cache))
    models = {"captioner": captioner or found.captioner, "tagger": tagger or found.tagger}
    over = replace(usual, **{name: value for name, value in models.items() if value is not None})
    settings = target.over(over, found.sort)
    judge = clip or (settings.clip if usual.clip == _DEFAULT.clip else usual.clip)
    return Chosen(found.mode, replace(settings, clip=judge), found.told, found.lacking)
