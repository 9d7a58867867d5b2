"""Whether a text is what a style asks for: a small grammar of each, to measure describers by."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from ..settings import Style

MOST_TAGS = 50
MOST_KEYWORDS = 30
MOST_WORDS = 16
"""Of the style "words"."""
LONGEST_TAG, LONGEST_KEYWORD = 4, 6
"""In words."""
SHORTEST_SENTENCE = 4
"""In words: less has hardly a subject and what is said of it."""
SENTENCES = {"paragraph": (3, 20), "training": (1, 4)}

_ARTICLES = ("a", "an", "the")
_ENDS = ".!?\u2026\u3002\uff01\uff1f"
_CLOSING = "\"'\u201d\u2019)]\u300d"
_WITH_POINT = ("mr", "mrs", "ms", "dr", "st", "mt", "prof", "jr", "sr", "vs", "etc", "e.g", "i.e", "no", "ca", "approx")
"""What a point does not end a sentence after."""
_END = re.compile(rf"[{_ENDS}]+[{re.escape(_CLOSING)}]*(?=\s|$)|[\u3002\uff01\uff1f]+")
_MARKDOWN = re.compile(r"\*\*|__\w|`|^\s*(?:#{1,6}\s|[-*+\u2022]\s|\d+[.)]\s|>\s|\|)|</?\w+>", re.MULTILINE)
_PREFACE = re.compile(
    r"(?:sure|certainly|of course|okay|ok)\b[,!.:]|here(?:'s| is| are)\b|(?:tags|keywords|caption|description|answer):",
    re.IGNORECASE,
)
_PICTURE = r"(?:image|picture|photo|photograph|illustration|drawing|painting|artwork|scene|render|rendering)"
META = re.compile(
    rf"\b(?:this|the)\s+(?:\w+\s+){{0,4}}{_PICTURE}\s+(?:shows?|depicts?|features?|displays?|presents?|portrays?|"
    rf"captures?|contains?|illustrates?|is|appears|has|consists)\b|\bin\s+(?:this|the)\s+{_PICTURE}\b|"
    r"\bwe\s+(?:can\s+)?see\b|\byou\s+can\s+see\b|\bcan\s+be\s+seen\b|\bthe\s+viewer\b",
    re.IGNORECASE,
)
"""What is said of the picture's being a picture."""
OPINIONS = (
    *("amazing", "appealing", "attractive", "awesome", "beautiful", "beautifully", "breathtaking", "captivating"),
    *("charming", "delightful", "dreamy", "elegant", "enchanting", "evocative", "evokes", "evoking", "exquisite"),
    *("fascinating", "gorgeous", "impressive", "incredible", "inviting", "lovely", "magical", "magnificent"),
    *("masterful", "mesmerizing", "perfect", "perfectly", "pleasing", "serene", "serenity", "spectacular"),
    *("splendid", "striking", "stunning", "whimsical", "wonderful", "mood", "atmosphere", "feeling", "ambiance"),
    *("seems", "seemingly", "appears", "possibly", "perhaps", "probably", "maybe", "likely", "suggests", "suggesting"),
)
"""What a caption to train with leaves out: praise, mood and guesses."""
_OPINION = re.compile(rf"\b(?:{'|'.join(OPINIONS)})\b", re.IGNORECASE)


def accepts(style: Style, text: str) -> bool:
    """Whether a text is one of its style: on one line, without markdown and preface, and

    words: a few plain words without commas, and no sentence. tags: two to fifty different ones between commas, of four
    words at most and without an article. sentence: one, finished. paragraph: three finished sentences or more.
    training: one to four finished sentences without opinions, guesses, or words about its being a picture.
    keywords: two to thirty different ones between commas, of six words at most.
    """
    text = text.strip()
    if not text or "\n" in text or _MARKDOWN.search(text) or _PREFACE.match(text):
        return False
    return _GRAMMARS[style](text)


def sentences(text: str) -> list[str] | None:
    """The sentences of a text; None where one of them is unfinished, or begins as none does."""
    found: list[str] = []
    begun = 0
    for end in _END.finditer(text):
        part = text[begun : end.end()].strip()
        if _goes_on(part, text[end.end() :]):
            continue
        found.append(part)
        begun = end.end()
    return found if not text[begun:].strip() and all(map(_is_sentence, found)) else None


def _goes_on(part: str, rest: str) -> bool:
    """Whether a point is that of an abbreviation or of an initial, or more of the sentence follows in small letters."""
    word = part.rstrip(_CLOSING).rstrip(_ENDS).rpartition(" ")[2].lstrip("(\"'\u201c").casefold()
    short = part.endswith(".") and (word in _WITH_POINT or (len(word) == 1 and word.isalpha() and word != "i"))
    return bool(rest.strip()) and (short or rest.lstrip()[0].islower())


def _is_sentence(text: str) -> bool:
    first = text.lstrip("\"'\u201c\u2018([\u300c")[:1]
    spaced = not re.search(r"[\u3002\uff01\uff1f]", text)
    return not first.islower() and first.isalnum() and (not spaced or len(text.split()) >= SHORTEST_SENTENCE)


def _count(text: str) -> int:
    found = sentences(text)
    return 0 if found is None else len(found)


def _words(text: str) -> bool:
    return len(text.split()) <= MOST_WORDS and not re.search(rf"[,;:{_ENDS}]", text)


def _tags(text: str) -> bool:
    listed = _listed(text, MOST_TAGS, LONGEST_TAG)
    return listed and not any(part.split()[0].casefold() in _ARTICLES for part in _parts(text))


def _keywords(text: str) -> bool:
    return _listed(text, MOST_KEYWORDS, LONGEST_KEYWORD)


def _listed(text: str, most: int, longest: int) -> bool:
    parts = _parts(text)
    different = len({part.casefold() for part in parts}) == len(parts)
    short = all(1 <= len(part.split()) <= longest for part in parts)
    return 2 <= len(parts) <= most and different and short and not re.search(rf"[;{_ENDS}](?:\s|$)", text)


def _parts(text: str) -> list[str]:
    return [part.strip() for part in re.split(r"[,\uff0c\u3001]", text)]


def _sentence(text: str) -> bool:
    return _count(text) == 1


def _paragraph(text: str) -> bool:
    least, most = SENTENCES["paragraph"]
    return least <= _count(text) <= most


def _training(text: str) -> bool:
    least, most = SENTENCES["training"]
    return least <= _count(text) <= most and not META.search(text) and not _OPINION.search(text)


_GRAMMARS: Mapping[Style, Callable[[str], bool]] = MappingProxyType(
    {
        "words": _words,
        "tags": _tags,
        "sentence": _sentence,
        "paragraph": _paragraph,
        "training": _training,
        "keywords": _keywords,
    }
)
