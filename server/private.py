"""What those who ask over a network are told without where it is: paths of this machine are nobody else's business."""

from __future__ import annotations

import functools
import re
import sys
import tempfile
from pathlib import Path

_ABSOLUTE = re.compile(r"(?<![\w.:/~\\])/(?P<first>[^\s/'\",;:()]+)/[^\s'\",;:()]+")
_ON_A_DRIVE = re.compile(r"(?<!\w)[A-Za-z]:[\\/][^\s'\",;:()]+")


def without_places(sentence: str) -> str:
    """`sentence` with each path below a folder of this machine as what is left of it there, or as its last name. What
    only looks like a path, such as a route's name, stays."""
    for folder in _folders():
        sentence = sentence.replace(folder, "")
    return _ON_A_DRIVE.sub(lambda found: re.split(r"[\\/]", found[0])[-1], _ABSOLUTE.sub(_last_name, sentence))


def _last_name(found: re.Match[str]) -> str:
    return found[0].rpartition("/")[2] if Path("/", found["first"]).exists() else found[0]


@functools.cache
def _folders() -> list[str]:
    """Those that the program knows, with what ends them: their paths may hold blanks. The longest first."""
    known = (Path.home(), Path.cwd(), Path(__file__).parents[1], Path(sys.prefix), Path(tempfile.gettempdir()))
    paths = {str(form) for path in known for form in (path, path.resolve()) if len(form.parts) > 1}
    return sorted((f"{path}{end}" for path in paths for end in "/\\"), key=len, reverse=True)
