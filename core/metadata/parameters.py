"""The layout in which AUTOMATIC1111's webui, and what grew out of it, writes "parameters":

    the prompt, on any number of lines
    Negative prompt: on any number of lines
    Steps: 20, Sampler: Euler a, ..., Lora hashes: "one: 0123, other: 4567", Version: v1.10

A value with a comma, colon or line break in it is quoted as JSON quotes; some sites write JSON without quotes.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator

from .generation import Generation, plain, prompt_text, seed_text, settings_of
from .json_text import loads

MOST_LETTERS = 2**18
_NEGATIVE = "Negative prompt:"
_MOST_PAIRS = 500
_MOST_BARE_JSON = 50
_MOST_BRACKETS = 1000

_SETTINGS_LINE = re.compile(r"^[ \t]*Steps: *\d", re.MULTILINE)
_SETTINGS_INSIDE = re.compile(r"(?:^|[\s.,;|])(Steps: *\d+ *, *[A-Z][\w ]{0,30}:)")
_NEGATIVE_LINE = re.compile(rf"^[ \t]*{_NEGATIVE}", re.MULTILINE | re.IGNORECASE)
_NEGATIVE_ANYWHERE = re.compile(_NEGATIVE)
_NEGATIVE_AGAIN = re.compile(rf"^[ \t]*{_NEGATIVE}[ \t]*", re.MULTILINE | re.IGNORECASE)
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"(?=\s*(?:,|$))', re.DOTALL | re.MULTILINE)
_QUOTE = re.compile(r'(?<!\\)"')
_QUOTED_OTHERWISE = re.compile(r"'(?:[^'\\\n]|\\.)*'(?=\s*(?:,|$))", re.MULTILINE)
_BRACKETS = re.compile(r"[\[\]{}\n]")
_KEY = re.compile(r'\s*([^\W_][^:,"{}\[\]\n]{0,80}?) *: *')
_SEGMENT = re.compile(r"[^,\n]*")
_LINE = re.compile(r"[^\n]*")
_WHOLE_LINE = re.compile(r"[^:]*(?:template|prompt)s?", re.IGNORECASE)
"""What some extensions write on lines of their own, with commas in it, and do not quote."""

_KNOWN = {"steps", "sampler", "cfg scale", "seed", "size", "model", "model hash", "schedule type", "version"}
_NAMES = {
    "Steps": "steps",
    "Sampler": "sampler",
    "CFG scale": "cfg_scale",
    "Schedule type": "scheduler",
    "ENSD": "ensd",
}
"""The few settings that have one name whatever program wrote them."""


def read_parameters(text: str) -> Generation | None:
    """None where the text is not of this layout."""
    if len(text) > MOST_LETTERS or ":" not in text:
        return None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\n" not in text and "\\nSteps:" in text:  # some programs leave the breaks escaped
        text = text.replace("\\n", "\n")
    start, one_line = _settings_start(text)
    if start is None:
        return None
    settings = dict(pairs(text[start:]))
    prompt, negative = _one_line(text[:start]) if one_line else _prompts(text[:start])
    model = settings.get("Model") or settings.get("Model hash", "")
    shown = {_NAMES.get(name, name): value for name, value in settings.items()}
    seed = seed_text(settings.get("Seed", ""))
    said = [name for name in ("Seed", "Model", "Model hash") if settings.get(name) in (seed, model)]
    return Generation(
        "Fooocus" if settings.get("Version", "").startswith("Fooocus") else "AUTOMATIC1111",
        prompt_text(prompt),
        prompt_text(negative),
        seed,
        plain(model),
        settings_of(shown, said),
    )


def _settings_start(text: str) -> tuple[int | None, bool]:
    """Where the settings begin, and whether they stand on one line with the prompt."""
    starts = [line.start() for line in list(_SETTINGS_LINE.finditer(text))[-20:]]
    starts = [start for start in starts if _is_settings(text[start:])]
    if starts:
        quoting = (start for start in starts if _is_quoted_in(text, start, starts[-1]))
        return next(quoting, starts[-1]), False
    last = text.rstrip().rfind("\n") + 1
    if next((name.lower() in _KNOWN for name, _ in pairs(text[last:])), False) and _is_settings(text[last:], least=3):
        return last, False
    for found in reversed(list(_SETTINGS_INSIDE.finditer(text))[-20:]):
        if not _within_quotes(text, found.start(1)) and _is_settings(text[found.start(1) :]):
            return found.start(1), True
    return None, False


def _is_quoted_in(text: str, start: int, place: int) -> bool:
    """Whether a place is in a quoted value of settings that start before it, as a prompt is that an extension wrote
    down with its line breaks."""
    opened = list(_QUOTE.finditer(text, start, place))
    return (
        len(opened) % 2 == 1
        and ": " in text[opened[-1].start() - 2 : opened[-1].start()]
        and (_QUOTED.match(text, opened[-1].start()) is not None)
    )


def _is_settings(text: str, least: int = 2) -> bool:
    """Whether at least so many of the first names are those of settings that every program writes."""
    return sum(name.lower() in _KNOWN for name, _ in itertools.islice(pairs(text), 8)) >= least


def pairs(text: str) -> Iterator[tuple[str, str]]:
    """The settings by name, in order, each value without the quotes around it; what has no name is its own.

    A name that comes again, as in what an extension adds, does not replace the first.
    """
    seen: set[str] = set()
    place, bare_json = 0, 0
    while place < len(text) and len(seen) < _MOST_PAIRS:
        key = _KEY.match(text, place)
        if key is None:
            name = value = _taken(_SEGMENT, text, place).strip()
            place = _past(text, place)
        elif (
            _WHOLE_LINE.fullmatch(key[1]) and text[place - 1 : place] == "\n" and text[key.end() : key.end() + 1] != '"'
        ):
            name, value = key[1], _taken(_LINE, text, key.end()).strip()
            place = key.end() + len(_taken(_LINE, text, key.end())) + 1
        else:
            name = key[1]
            value, place, was_json = _value(text, key.end(), bare_json < _MOST_BARE_JSON)
            bare_json += was_json
        if name and name not in seen:
            seen.add(name)
            yield name, value


def _taken(what: re.Pattern[str], text: str, place: int) -> str:
    found = what.match(text, place)
    return "" if found is None else found[0]


def _past(text: str, place: int) -> int:
    """Behind the next comma or line's end."""
    return place + len(_taken(_SEGMENT, text, place)) + 1


def _value(text: str, place: int, may_be_json: bool) -> tuple[str, int, bool]:
    """A value, where the next pair begins, and whether the time was taken to look for JSON."""
    quoted = _QUOTED.match(text, place)
    if quoted is not None:
        whole = loads(quoted[0])
        return (whole if isinstance(whole, str) else quoted[0][1:-1]), _past(text, quoted.end()), False
    quoted = _QUOTED_OTHERWISE.match(text, place)
    if quoted is not None:
        return quoted[0][1:-1], _past(text, quoted.end()), False
    is_json = may_be_json and text[place : place + 1] in ("{", "[")
    if is_json:
        try:
            _, end = json.JSONDecoder(parse_int=str).raw_decode(text, place)
        except (ValueError, RecursionError):
            end = _closed(text, place)
        if end:
            return text[place:end], _past(text, end), True
    return _taken(_SEGMENT, text, place).strip(), _past(text, place), is_json


def _closed(text: str, place: int) -> int:
    """Where a bracket that opens there is closed on its line, behind which a comma or the line's end is; 0 where it is
    not."""
    depth = 0
    for bracket in itertools.islice(_BRACKETS.finditer(text, place), _MOST_BRACKETS):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(bracket[0], 0)
        if bracket[0] == "\n":
            return 0
        if not depth:
            end = bracket.end()
            return end if text[end : end + 1] in (",", "\n", "") else 0
    return 0


def _prompts(text: str) -> tuple[str, str]:
    """Prompt and negative prompt: the latter begins where a line begins with its name, outside quoted words."""
    starts = list(_NEGATIVE_LINE.finditer(text))
    if not starts:
        return text, ""
    start = next((line for line in starts[:50] if not _within_quotes(text, line.start())), starts[0])
    return text[: start.start()], _NEGATIVE_AGAIN.sub("", text[start.end() :])


def _one_line(text: str) -> tuple[str, str]:
    """The same where a program put everything on one line, with a mark such as ". " between the parts."""
    starts = _NEGATIVE_ANYWHERE.finditer(text)
    start = next((each for each in itertools.islice(starts, 50) if not _within_quotes(text, each.start())), None)
    if start is None:
        return _without_mark(text, _mark(text)), ""
    prompt, negative = text[: start.start()], text[start.end() :]
    mark = _mark(negative) if _mark(negative) == _mark(prompt) or not negative.strip() else ""
    return _without_mark(prompt, mark), _without_mark(negative, mark)


def _mark(text: str) -> str:
    return text.rstrip()[-1:] if text.rstrip()[-1:] in (".", ",", ";", "|") else ""


def _without_mark(text: str, mark: str) -> str:
    return text.rstrip().removesuffix(mark) if mark else text


def _within_quotes(text: str, place: int) -> bool:
    """Whether a quotation is open at a place, and closed behind it before the next negative prompt."""
    if text.count('"', 0, place) % 2 == 0:
        return False
    closing, following = text.find('"', place), _NEGATIVE_LINE.search(text, place + 1)
    return closing >= 0 and (following is None or closing < following.start())
