"""What is asked of verify, looked at before any library or weight is loaded."""

from __future__ import annotations

from ..cures import Give
from ..errors import ModelError, SettingsError
from ..foreign import existing
from ..hub.names import check_names
from ..printable import there_are

_FEWEST = 2


def check_count(pictures: int) -> None:
    """SettingsError for fewer pictures than can be compared."""
    if pictures < _FEWEST:
        raise SettingsError(f"{there_are(pictures, 'pictures')} to verify with", f"give {_FEWEST} or more")


def check_dino(name: str) -> None:
    """What is known to be wrong of a DINOv2's name without a network. Raises ModelError."""
    folder = existing(name)
    if folder is None:
        check_names(name, ())
    elif not folder.is_dir():
        raise ModelError(f"{name} is a file", Give("dino", "the folder in transformers' format that holds a DINOv2"))
