"""Pictures that hold a text where A1111's webui writes and reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

_KEY = "parameters"
_EXIF_PART, _USER_COMMENT = 0x8769, 0x9286
FORMATS = (".png", ".jpg", ".jpeg", ".webp")
"""That hold such a text, by the ends of their files' names."""


def with_text(text: str, path: Path) -> dict[str, Any]:
    """How Pillow saves a picture with this text in it, in the format that the name tells, one of `FORMATS`."""
    if path.suffix.casefold() == ".png":
        texts = PngInfo()
        texts.add_text(_KEY, text) if text.isascii() else texts.add_itxt(_KEY, text)
        return {"pnginfo": texts}
    exif = Image.Exif()
    # Pillow before 11.1 leaves out what is put into the part that `get_ifd` gives
    exif[_EXIF_PART] = {_USER_COMMENT: b"UNICODE\0" + text.encode("utf-16-be")}
    return {"exif": exif, "quality": 95}
