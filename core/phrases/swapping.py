"""A prompt with one category's words changed for others."""

from __future__ import annotations

import re
from collections.abc import Iterable

_ARTICLE = re.compile(r"^an? ", re.IGNORECASE)
_VOWELS = tuple("aeiou")


def swapped(prompt: str, known: Iterable[str], phrase: str, append: bool = True) -> str:
    """`prompt` with `phrase` wherever it has one of the `known` phrases, the longest that is there.

    An article stays where one was, parts between commas that become equal are kept once, and where nothing is known
    the phrase is added at the end, unless not to `append`.
    """
    bare = sorted({_ARTICLE.sub("", each.strip()) for each in known if each.strip()}, key=len, reverse=True)
    if not bare:
        return _with(prompt, phrase) if append else prompt
    pattern = re.compile(rf"\b(an? )?(?:{'|'.join(map(re.escape, bare))})\b", re.IGNORECASE)
    plain = _ARTICLE.sub("", phrase.strip())
    with_article = ("an " if plain.lower().startswith(_VOWELS) else "a ") + plain
    found, count = pattern.subn(lambda match: with_article if match[1] else plain, prompt)
    if count == 0:
        return _with(prompt, phrase) if append else prompt
    return ", ".join(dict.fromkeys(part for each in found.split(",") if (part := each.strip())))


def _with(prompt: str, phrase: str) -> str:
    return f"{prompt}, {phrase}" if prompt.strip() else phrase


def with_words(text: str, words: str, phrase: str) -> str:
    """`text` with `phrase` wherever it has the words, whole and in any letter case; articles are made to suit."""
    for match in reversed([*re.finditer(rf"(?<!\w){re.escape(words)}(?!\w)", text, re.IGNORECASE)]):
        text = in_place(text, match.start(), match.end(), phrase)
    return text


def in_place(text: str, start: int, stop: int, phrase: str) -> str:
    """`text` with `phrase` between two places; where an article stands before them it is made to suit."""
    before, after = text[:start], text[stop:]
    article = re.search(r"\b(an?) $", before, re.IGNORECASE)
    if article is None:
        return before + phrase + after
    suiting = "an" if phrase.lower().startswith(_VOWELS) else "a"
    if article[1][0].isupper():
        suiting = suiting.capitalize()
    return before[: article.start(1)] + suiting + " " + phrase + after
