"""Text files that users have: read in the encoding they have, and added to in it.

An encoding is known by a byte order mark, by what UTF-8 and UTF-16 alone look like, by the machine's own setting, or
since nothing but a few accented letters between others is no ASCII. No other is guessed: a wrong guess would be
written.
"""

from __future__ import annotations

import codecs
import contextlib
import locale
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from .errors import TextFileError
from .files import NotAFileError, refuse_endless

MOST_BYTES = 64 * 2**20
_AT_ONCE = 2**20

_MARKS = (  # those of UTF-32 first, since UTF-16's begins one of them
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WESTERN = "cp1252"
_LONGEST_FOREIGN = 2
"""Letters side by side that are no ASCII: more are seldom in the languages that cp1252 is for, and usual elsewhere."""
_EASTERN = re.compile("[\u3000-\u30ff\u4e00-\u9fff\uac00-\ud7a3\uff00-\uffef]+")
_WIDE_COMMAS = ("\uff0c", "\u3001")
_BLANKS = " \t\r\n\v\f"


@dataclass(frozen=True)
class Coding:
    """How a file's text is written. codec: Python's name; "" where no more is certain than that ASCII is in it as it is
    everywhere. mark: whether it begins with a byte order mark."""

    codec: str = "utf-8"
    mark: bool = False

    @property
    def label(self) -> str:
        return f"{self.codec} mark" if self.mark else self.codec

    @classmethod
    def labelled(cls, label: str) -> Coding:
        codec, _, mark = label.partition(" ")
        return cls(codec, bool(mark))

    def encoded(self, text: str) -> bytes:
        """What `decoded` made of bytes, and what was added to it. Raises UnicodeEncodeError where it lacks a letter."""
        known = next((mark for mark, codec in _MARKS if codec == self.codec), b"")
        return (known if self.mark else b"") + text.encode(self.codec or "ascii", self._errors)

    def text(self, data: bytes) -> str:
        """Of bytes without a mark."""
        return data.decode(self.codec or "ascii", self._errors)

    @property
    def _errors(self) -> str:
        return "surrogateescape" if self.codec in ("", "utf-8") else "strict"


UTF_8 = Coding()


def decoded(data: bytes, name: str | os.PathLike[str]) -> tuple[str, Coding]:
    """The text without its mark, line ends as they are. Bytes of an encoding that is not known are halves of
    characters, as in file names. Raises TextFileError for what is no text."""
    for mark, codec in _MARKS:
        if data.startswith(mark):
            try:
                return data[len(mark) :].decode(codec), Coding(codec, True)
            except UnicodeDecodeError as error:
                raise TextFileError(f"{name} is damaged ({error.reason})", "save it anew, as UTF-8") from error
    if b"\0" in data:
        coding = _wide(data)
        if coding is None:
            raise TextFileError(f"{name} is no text", "name another file")
    elif _may_be_wide(data):
        raise TextFileError(f"The encoding of {name} cannot be told", "save it as UTF-8")
    else:
        coding = _narrow(data)
    return coding.text(data), coding


def read_coded(path: Path, most: int = MOST_BYTES) -> tuple[str, Coding]:
    """Raises TextFileError (absent, too large, no text, no regular file)."""
    with _opened(path) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise TextFileError(f"{path} is larger than {most // 2**20} MiB, so it is no such text", "name another")
    return decoded(data, path)


def read_known(path: Path, most: int = MOST_BYTES) -> str:
    """A text whose meaning counts. Raises TextFileError, also where its encoding cannot be told."""
    text, coding = read_coded(path, most)
    if not coding.codec:
        raise TextFileError(f"The encoding of {path} cannot be told", "save it as UTF-8")
    return text


def coding_of_file(path: Path) -> Coding:
    """Of a file of any size; without a codec where it is no Unicode. Raises TextFileError."""
    utf_8 = codecs.getincrementaldecoder("utf-8")()
    with _opened(path) as file:
        part = file.read(_AT_ONCE)
        for mark, codec in _MARKS:
            if part.startswith(mark):
                return Coding(codec, True)
        while True:
            if b"\0" in part:
                head = part[: 2**16]
                coding = _wide(head) or _wide(head[:-2])  # which might end within a letter
                if coding is None:
                    raise TextFileError(f"{path} is no text", "name another file")
                return coding
            try:
                utf_8.decode(part, final=not part)
            except UnicodeDecodeError:
                return Coding("")
            if not part:
                return UTF_8
            part = file.read(_AT_ONCE)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """A pipe or a device could be waited for for ever. Raises TextFileError."""
    try:
        refuse_endless(path)
        with path.open("rb") as file:
            yield file
    except NotAFileError as error:
        raise TextFileError(f"{path} is left alone, because {error}", "name a text file") from error
    except OSError as error:
        raise TextFileError(f"{path} cannot be read ({error.strerror})", "see to it") from error


def appended(before: str, text: str) -> str:
    """`text` behind what a file holds, with one comma between them; the line ends of the file stay its end."""
    body, text = before.rstrip(_BLANKS + ","), text.lstrip(_BLANKS + ",")
    between = " " if body.endswith(_WIDE_COMMAS) else ", "
    if not body or not text:
        return text + _line_ends(before) if not body else before
    return body + between + text + _line_ends(before[len(body) :])


def prepended(before: str, text: str) -> str:
    """`text` before what a file holds, with one comma between them."""
    rest, text = before.lstrip(_BLANKS + ","), text.rstrip(_BLANKS + ",")
    if not rest or not text:
        return text + _line_ends(before) if not rest else before
    return f"{text}, {rest}"


def _line_ends(rest: str) -> str:
    return "".join(letter for letter in rest if letter in "\r\n")


def _narrow(data: bytes) -> Coding:
    for codec in ("utf-8", locale.getpreferredencoding(False)):
        if _is_read_by(codec, data):
            return Coding(codecs.lookup(codec).name)
    return Coding(_WESTERN if _is_western(data) else "")


def _may_be_wide(data: bytes) -> bool:
    """Nothing but Chinese, Japanese or Korean in UTF-16, which has no zeros then; single bytes may not be added."""
    if _is_read_by("utf-8", data) or not _is_read_by("utf-16-le", data):
        return False
    return _EASTERN.fullmatch(data.decode("utf-16-le")) is not None


def _wide(data: bytes) -> Coding | None:
    """UTF-16 without a mark: its Latin letters have a zero on the one side, always the same."""
    for codec, zeros, others in (("utf-16-le", data[1::2], data[::2]), ("utf-16-be", data[::2], data[1::2])):
        if _is_read_by(codec, data) and zeros.count(0) > others.count(0) == 0:
            return Coding(codec)
    return None


def _is_western(data: bytes) -> bool:
    """Whether the letters that are no ASCII stand alone or in twos."""
    if not _is_read_by(_WESTERN, data):
        return False
    runs = re.findall(rb"[\x80-\xff]+", data)
    text = data.decode(_WESTERN)
    return (
        any(letter.isascii() and letter.isalpha() for letter in text)
        and max(map(len, runs)) <= _LONGEST_FOREIGN
        and sum(map(len, runs)) < len(data) / 3
    )


def _is_read_by(codec: str, data: bytes) -> bool:
    try:
        data.decode(codec)
    except (UnicodeDecodeError, LookupError):
        return False
    return True
