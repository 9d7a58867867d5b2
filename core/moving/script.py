"""What a film is made of: a text file's lines, each a prompt or the name of a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import TextFileError
from ..texts import read_known

LONGEST_LINE = 1000
"""Letters. Some hundred words, far more than is read below a picture or heeded by an encoder."""
MOST_LINES = 10_000
_PICTURES = frozenset((".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".jxl"))


@dataclass(frozen=True)
class Line:
    """text: what it says, without blanks around it. picture: the file that it names, None for a prompt."""

    text: str
    picture: Path | None = None

    @property
    def lettering(self) -> str:
        """What stands below its frames: a picture speaks for itself."""
        return "" if self.picture else self.text


def read_script(path: Path) -> tuple[Line, ...]:
    """The lines of a text file that are not empty. A line that ends like the name of a picture is one, beside the file.

    Raises TextFileError for a file that cannot be read or says nothing, for a line that is too long, and for a picture
    that is not there.
    """
    found = [
        _line(path, number, " ".join(text.split()))
        for number, text in enumerate(read_known(path).splitlines(), start=1)
        if text.strip()
    ]
    if not found:
        raise TextFileError(f"{path} says nothing", "write a prompt or a picture's name on each line")
    if len(found) > MOST_LINES:
        raise TextFileError(f"{path} has {len(found):,} lines", f"split it into parts of {MOST_LINES:,} at most")
    return tuple(found)


def _line(path: Path, number: int, text: str) -> Line:
    if len(text) > LONGEST_LINE:
        raise TextFileError(
            f"Line {number} of {path} has {len(text):,} letters, and {LONGEST_LINE:,} is the most", "break it in two"
        )
    if Path(text).suffix.casefold() not in _PICTURES:
        return Line(text)
    picture = path.parent / Path(text).expanduser()
    if not picture.is_file():
        raise TextFileError(f"Line {number} of {path} names the picture {text}, which is not there", "check the path")
    return Line(text, picture)
