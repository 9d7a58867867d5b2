"""What a piece of work would download first: told with its size, so that a person can say yes or no."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from ..core.errors import UnrenderError
from ..core.foreign import existing
from ..core.hub import Hub
from ..core.settings import Settings
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


def download_of(name: str, hub: Hub) -> Download | None:
    """None for what is on this disk. Raises ModelError."""
    from ..core.catalogue import find, is_part, survey, wanted
    from ..core.describe.endpoint.address import claims

    if is_part(name) or claims(name) or existing(name) is not None:
        return None
    clips, captioners = survey(hub)
    known = find(name, named := [*clips, *captioners])
    if known is not None and known.on_disk:
        return None
    missing = wanted(name, named, hub).missing(hub)
    return Download(name, sum(missing.values())) if missing else None


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
