"""What a model says around its description: thoughts, markdown, and that a picture is a picture."""

from __future__ import annotations

import re

_THOUGHT = r"(?:think|thinking|thought|reasoning)"
_THOUGHTS = re.compile(rf"<{_THOUGHT}>.*?</{_THOUGHT}>", re.I | re.S)
_THOUGHT_BEFORE = re.compile(rf"^.*</{_THOUGHT}>", re.I | re.S)
"""A template may have opened it, so that the model only closes it."""
_UNFINISHED = re.compile(rf"<{_THOUGHT}>.*$", re.I | re.S)

_PICTURE = r"(?:image|picture|photo(?:graph)?|scene)"
_ITS = rf"(?:the|this|your|that) (?:given |provided |attached )?{_PICTURE}"
_SHOWS = (
    r"(?:(?:vividly |clearly |also |primarily )?(?:shows|depicts|features|displays|portrays|captures|presents|"
    r"showcases|illustrates|contains|is of|is showing|is depicting)(?: us)?|depicted here is|shown here is)"
)
_SEEN = r"(?:(?:,|:)? ?(?:we|you|one) (?:can |could )?(?:see|observe|find)|,? ?there (?:is|are))"
_META = (
    re.compile(r"(?:sure|certainly|of course|absolutely|okay|ok|great)(?:[!,.:] |! ?|, )", re.I),
    re.compile(
        r"(?:here(?: is|'s|’s)|below is|the following is) (?:a|an|the|your|my|one)?[\w ,-]{0,60}?"
        r"(?:caption|description|prompt|tags?|keywords?|summary)[^:.\n]{0,60}: ?",
        re.I,
    ),
    re.compile(
        r"(?:(?:image |picture )?(?:caption|description|prompt|tags|keywords|answer))(?: of .{1,40}?)?: ?", re.I
    ),
    re.compile(r"(?:this is|it is|it's) (?:an?|the) (?:image|picture|scene) (?:of|showing|depicting|featuring) ", re.I),
    re.compile(r"(?:this is|it is|it's) (?=an? (?!(?:good|great|nice) ))", re.I),
    re.compile(r"an? (?:image|picture|scene) (?:of|showing|depicting|featuring) ", re.I),
    re.compile(rf"{_ITS} {_SHOWS} ", re.I),
    re.compile(rf"in {_ITS}(?:,? ?{_SEEN}|,) ", re.I),
)
_STARTS = re.compile(rf"(?<=[.!?] )(?:{_ITS} {_SHOWS} )", re.I)
"""What is said again where a later sentence begins."""

_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[\w+-]*[ \t]*$", re.M)
_RULE = re.compile(r"^[ \t]*(?:-{3,}|\*{3,}|_{3,}|={3,})[ \t]*$", re.M)
_HEADING = re.compile(r"^[ \t]*#{1,6}[ \t]+", re.M)
_QUOTED = re.compile(r"^[ \t]*>[ \t]?", re.M)
_ITEM = re.compile(r"[ \t]*(?:[-*+•]|\d{1,2}[.)])[ \t]+(?=\S)")
_LINK = re.compile(r"!?\[([^\[\]\n]+)\]\([^()\n]*\)")
_EMPHASIS = (
    re.compile(r"\*\*\*(?=\S)(.+?)(?<=\S)\*\*\*"),
    re.compile(r"\*\*(?=\S)(.+?)(?<=\S)\*\*"),
    re.compile(r"__(?=\S)(.+?)(?<=\S)__"),
    re.compile(r"(?<![\w*])\*(?=\S)([^*\n]+?)(?<=\S)\*(?![\w*])"),
    re.compile(r"`([^`\n]+)`"),
)
_MARKS = (("“", "”"), ('"', '"'), ("«", "»"))


def without_thoughts(text: str) -> str:
    """Without what stands between <think> and </think>, also where only one of the two is there. May leave nothing."""
    text = _THOUGHTS.sub("", text)
    return _UNFINISHED.sub("", _THOUGHT_BEFORE.sub("", text)).strip()


def trimmed(text: str) -> str:
    """Without markdown, and without the words that only say that a picture is described. What is trimmed stays so when
    it is trimmed again, and something remains of whatever is something."""
    text = text.strip()
    while True:
        shorter = _once(text)
        if shorter in ("", text):
            return text
        text = shorter


def _once(text: str) -> str:
    """Shorter, or as it was, or as long with a capital letter more."""
    for step in (_plain, _unquoted, _direct):
        text = step(text).strip() or text
    return text


def _plain(text: str) -> str:
    for mark in (_FENCE, _RULE, _HEADING, _QUOTED):
        text = mark.sub("", text)
    text = _LINK.sub(r"\1", text)
    for mark in _EMPHASIS:
        text = mark.sub(r"\1", text)
    return _joined(text.splitlines()) if _ITEM.match(text) or "\n" in text else text


def _joined(lines: list[str]) -> str:
    """In one line; a list's items with commas between them, where they are no sentences."""
    words = ""
    listed = False
    for line in filter(str.strip, lines):
        item = _ITEM.match(line)
        part = line[item.end() :].strip() if item else line.strip()
        comma = listed and item is not None and words[-1].isalnum()
        words = f"{words}, {part}" if comma else f"{words} {part}" if words else part
        listed = item is not None
    return words


def _unquoted(text: str) -> str:
    for opening, closing in _MARKS:
        inner = text[len(opening) : -len(closing)]
        if len(text) > 2 and text.startswith(opening) and text.endswith(closing) and not {opening, closing} & {*inner}:
            return inner
    return text


def _direct(text: str) -> str:
    for meta in _META:
        if found := meta.match(text):
            return _capital(text[found.end() :], text[0].isupper())
    again = _STARTS.search(text)
    return text[: again.start()] + _capital(text[again.end() :], True) if again else text


def _capital(text: str, wanted: bool) -> str:
    text = text.lstrip()
    first = text[:1].upper()
    return first + text[1:] if wanted and len(first) == 1 else text
