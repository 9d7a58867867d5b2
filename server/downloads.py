"""What a piece of work would download first: told with its size, so that a person can say yes or no."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import NamedTuple

from ..core.errors import UnrenderError
from ..core.foreign import existing
from ..core.hub import Hub
from ..core.settings import Mode, Settings
from .needs import Needs


class Download(NamedTuple):
    """bytes: 0 where the hub does not tell."""

    name: str
    bytes: int

    @property
    def said(self) -> str:
        return f"{self.name}: {size(self.bytes)}" if self.bytes else f"{self.name}, of unknown size"


class DownloadFirst(UnrenderError):
    """Something is to be downloaded that nobody has agreed to."""

    def __init__(self, downloads: Sequence[Download]) -> None:
        self.names = tuple(each.name for each in downloads)
        super().__init__(f"{'; '.join(each.said for each in downloads)} to download")


def check_agreed(downloads: Sequence[Download], agreed: Collection[str]) -> None:
    """agreed: names. Raises DownloadFirst."""
    if any(each.name not in agreed for each in downloads):
        raise DownloadFirst(downloads)


def downloads_of(settings: Settings, needs: Needs, loaded: Collection[str]) -> list[Download]:
    """What the models that are needed take before their first use. loaded: names of those in memory already.
    Raises ModelError, Cancelled."""
    names = [*([settings.clip] if needs.clip else []), *needs.describers]
    asked = [name for name in names if name not in loaded]
    return [found for name in asked if (found := download_of(name, Hub(settings.cache))) is not None]


def is_here(name: str, hub: Hub) -> bool:
    """Whether a model is on this disk, or runs elsewhere."""
    from ..core.catalogue import find, is_part, survey
    from ..core.describe.endpoint.address import claims

    if is_part(name) or claims(name) or existing(name) is not None:
        return True
    clips, describers = survey(hub)
    known = find(name, [*clips, *describers])
    if known is not None:
        return known.on_disk
    return any(one.usable and one.repo == name for one in hub.on_disk())


def download_of(name: str, hub: Hub) -> Download | None:
    """None for what is on this disk. Raises ModelError."""
    from ..core.catalogue import survey, wanted

    if is_here(name, hub):
        return None
    clips, describers = survey(hub)
    missing = wanted(name, [*clips, *describers], hub).missing(hub)
    return Download(name, sum(missing.values())) if missing else None


def without_downloads(settings: Settings, mode: Mode) -> tuple[Settings, list[str]]:
    """The settings without the captioner and the tagger that are not on this disk, and the names of those; the hub is
    not asked."""
    from ..core.describe.asked import names_asked

    absent = [name for name in names_asked(settings, mode) if not is_here(name, Hub(settings.cache))]
    captioner, tagger = (None if name in absent else name for name in (settings.captioner, settings.tagger))
    return replace(settings, captioner=captioner, tagger=tagger), absent


def checkpoint_download(name: str, half: bool, hub: Hub) -> Download | None:
    """The same of a diffusion model. half: whether it is taken in half precision. Raises ModelError."""
    from ..core.variation import MICRO
    from ..core.variation.download import missing_pipeline

    if name == MICRO or existing(name) is not None or name.count("/") != 1:
        return None
    missing = missing_pipeline(hub, name, half)
    return Download(name, sum(missing.values())) if missing else None


def size(count: int) -> str:
    """In decimal units, as drives and hubs have them."""
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
