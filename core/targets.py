"""What suits a prompt's destination: how a family of image models is spoken to, which describers speak so, and which
CLIP judges. Where each line comes from, and how sure that is: docs/targets.md."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal, NamedTuple, get_args

from .cures import Choose
from .errors import SettingsError
from .phrases.category import POSITIVE
from .printable import quoted
from .published import VIT_H, VIT_L
from .settings import Mode, Settings, Style
from .tags import Tag

Form = Literal["phrases", "tags", "sentences"]
Adds = Literal["nothing", "style words", "all"]
Sort = Literal["tagger", "captioner", "chat"]
"""How a describer speaks: in tags, in words of its own, in whatever form it is asked for."""
TagGroup = Literal[
    "quality", "year", "rating", "count", "character", "copyright", "artist", "species", "general", "meta"
]
TAG_GROUPS: tuple[TagGroup, ...] = get_args(TagGroup)

_PLAIN: tuple[TagGroup, ...] = (
    *("quality", "count", "character", "copyright", "artist", "species", "general", "meta", "year", "rating"),
)
_BOARD: tuple[TagGroup, ...] = (
    *("quality", "year", "rating", "count", "character", "copyright", "artist", "meta", "species", "general"),
)
_META_FIRST: tuple[TagGroup, ...] = (
    *("quality", "meta", "year", "rating", "count", "character", "copyright", "artist", "species", "general"),
)
_STYLE_WORDS = {"mediums": 1, "movements": 1, "flavors": 4}
"""Phrases at most of the categories that say how a picture is made. The others say who made it, and for which site."""


@dataclass(frozen=True)
class Target:
    """A family of image models.

    form: what its prompts are made of. mode: the usual one. style: what a chat model is asked for.
    describers: which suit, the best first. adds: what CLIP may add where a mode searches.
    clip: the CLIP that judges: one whose text tower the family listens to, the usual one where it has none.
    words: of a prompt, at least and at most; None where its tokens count. token_limit: tokens of a prompt that take
    effect, start and end included; a search never has more than its CLIP reads. caption_length: tokens of a captioner's
    caption at most, since not every one ends by itself; a chat model has what suits the style.
    min_phrases, max_phrases: how many phrases the search may add.
    grammar: the order of the tags. quality: words on quality, score and source, which begin a prompt. ratings: what it
    calls a tagger's. artist: the mark before an artist's name.
    negative: whether a negative prompt counts. negative_words: those that its publisher gives.
    weighted: whether brackets are weights in ComfyUI, so that those of a name are escaped.
    """

    name: str
    form: Form
    mode: Mode
    style: Style
    describers: tuple[Sort, ...]
    adds: Adds
    clip: str = VIT_L
    words: tuple[int, int] | None = None
    token_limit: int = 77
    caption_length: int = 32
    min_phrases: int = 8
    max_phrases: int = 32
    grammar: tuple[TagGroup, ...] = _PLAIN
    quality: tuple[str, ...] = ()
    ratings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    artist: str = ""
    negative: bool = True
    negative_words: tuple[str, ...] = ()
    weighted: bool = True

    def over(self, settings: Settings, sort: Sort = "captioner") -> Settings:
        """The settings with what suits the family in place of their own. sort: the describer's."""
        writing = settings.captioning
        tags = replace(writing.tags, order="target", target=self.name)
        length = None if sort == "chat" else self.caption_length
        style = self.style if sort == "chat" or self.mode != "best" else writing.style
        return replace(
            settings,
            clip=self.clip,
            token_limit=self.token_limit,
            min_phrases=self.min_phrases,
            max_phrases=self.max_phrases,
            limits={**settings.limits, **self.limits},
            captioning=replace(writing, max_length=length, style=style, tags=tags),
        )

    @property
    def limits(self) -> Mapping[str, int]:
        """Phrases of each category at most, where CLIP may not add all."""
        if self.adds == "all":
            return {}
        some = _STYLE_WORDS if self.adds == "style words" else {}
        return {category: some.get(category, 0) for category in POSITIVE}


def _phrased(name: str, style: Style, clip: str = VIT_L) -> Target:
    """A caption with phrases after it, of 75 tokens."""
    sorts: tuple[Sort, ...] = ("captioner", "chat")
    return Target(name, "phrases", "best", style, sorts, "all", clip)


def _tagged(
    name: str,
    quality: tuple[str, ...],
    ratings: Mapping[str, str],
    negative_words: tuple[str, ...] = (),
    token_limit: int = 152,
    grammar: tuple[TagGroup, ...] = _BOARD,
    artist: str = "",
) -> Target:
    """Tags as picture boards have them; two times 75 tokens unless it is said."""
    return Target(
        name,
        form="tags",
        mode="tags",
        style="tags",
        describers=("tagger", "chat"),
        adds="style words",
        token_limit=token_limit,
        caption_length=75,
        min_phrases=0,
        max_phrases=6,
        grammar=grammar,
        quality=quality,
        ratings=ratings,
        artist=artist,
        negative_words=negative_words,
    )


def _told(
    name: str, words: tuple[int, int], token_limit: int = 512, negative: bool = True, weighted: bool = True
) -> Target:
    """Sentences, to which CLIP's phrases add nothing."""
    return Target(
        name,
        form="sentences",
        mode="caption",
        style="paragraph",
        describers=("chat", "captioner"),
        adds="nothing",
        words=words,
        token_limit=token_limit,
        caption_length=200,
        min_phrases=0,
        negative=negative,
        weighted=weighted,
    )


_FLUX = Target(
    "flux",
    form="sentences",
    mode="best",
    style="paragraph",
    describers=("chat", "captioner"),
    adds="all",
    words=(30, 300),
    token_limit=512,
    caption_length=60,
    min_phrases=2,
    max_phrases=8,
    negative=False,
)
"""FLUX.1 reads the prompt as sentences through T5 and takes only a summary from CLIP's tower: a longer caption carries
it, and a tail of style words adds little. What a chat model says needs no phrases (`core.suiting`)."""

_RATINGS = {"general": "general", "sensitive": "sensitive", "questionable": "nsfw", "explicit": "explicit"}
_RATINGS_OF_PONY = {
    **{"general": "rating_safe", "sensitive": "rating_safe"},
    **{"questionable": "rating_questionable", "explicit": "rating_explicit"},
}
_SCORES = ("score_9", "score_8_up", "score_7_up", "score_6_up", "score_5_up", "score_4_up", "source_anime")
_NEWEST = ("masterpiece", "best quality", "newest", "absurdres", "highres")
_BAD_OF_NOOBAI = (
    *("nsfw", "worst quality", "old", "early", "low quality", "lowres", "signature", "username", "logo", "bad hands"),
    *("mutated hands", "mammal", "anthro", "furry", "ambiguous form", "feral", "semi-anthro"),
)
_BAD_OF_ANIMA = ("worst quality", "low quality", "score_1", "score_2", "score_3", "artist name")
_SAFE = {"general": "safe"}

_ALL = (
    _phrased("sd15", "sentence"),
    _phrased("sd2", "sentence", VIT_H),
    # SDXL listens to two towers, this one and VIT_BIGG. The second is a download of some ten gigabytes and several
    # times the work per phrase, so it is left to those who ask for it.
    _phrased("sdxl", "sentence"),
    _tagged("pony", _SCORES, _RATINGS_OF_PONY),
    _tagged("illustrious", _NEWEST, _RATINGS),
    _tagged("noobai", _NEWEST, {**_RATINGS, **_SAFE}, _BAD_OF_NOOBAI),
    _tagged("anima", (*_NEWEST[:2], "score_7"), {**_RATINGS, **_SAFE}, _BAD_OF_ANIMA, 512, _META_FIRST, artist="@"),
    _told("sd35", (30, 150), token_limit=256),
    _FLUX,
    _told("flux2", (30, 300), negative=False, weighted=False),
    _told("qwen-image", (50, 200), weighted=False),
    _told("z-image", (80, 250), negative=False, weighted=False),
    _told("chroma", (50, 200)),
    _told("hidream", (50, 100), token_limit=128),
)

TARGETS: Mapping[str, Target] = MappingProxyType({target.name: target for target in _ALL})
TARGET_NAMES: tuple[str, ...] = tuple(TARGETS)


def target_named(name: str) -> Target:
    """Raises SettingsError."""
    if name not in TARGET_NAMES:  # what cannot be looked up, too
        raise SettingsError(f"There is no family {quoted(name)}", Choose("family", TARGET_NAMES))
    return TARGETS[name]


_COUNTS = (
    *(r"\d+\+?girls?|multiple_girls", r"\d+\+?boys?|multiple_boys", r"\d+\+?others?|multiple_others"),
    *(r"\d+\+?shapes?|multiple_shapes", r"solo|duo|trio|group", r"no_humans"),
)
"""As picture boards count who is there, and micro's world its shapes; in the order in which prompts have them."""
_COUNTING = tuple(re.compile(pattern) for pattern in _COUNTS)


def ordered(tags: Sequence[Tag], target: str = "", write: Callable[[str], str] | None = None) -> list[str]:
    """The tags as the family's prompts have them: its words on quality first, then group by group, how many are there
    before who it is, artists with its mark and ratings by its names. Within a group they keep their order; of several
    ratings the likeliest stays, and nothing is said twice.

    target: a name of `TARGETS`; "" for that order alone. write: writes a tag's name; blanks for underscores unless
    it is given.
    Raises SettingsError.
    """
    grammar = target_named(target) if target else None
    order = grammar.grammar if grammar is not None else _PLAIN
    told = sorted(_placed(tags, grammar, write or _with_blanks), key=lambda each: (order.index(each.group), each.place))
    return list(dict.fromkeys(each.word for each in told))


class _Placed(NamedTuple):
    """place: within the group."""

    group: TagGroup
    word: str
    place: int = 0


def _placed(tags: Sequence[Tag], target: Target | None, write: Callable[[str], str]) -> Iterator[_Placed]:
    if target is not None:
        yield from (_Placed("quality", word) for word in target.quality)
    ratings = [tag for tag in tags if tag.category == "rating"]
    if ratings:
        name = max(ratings, key=lambda tag: tag.confidence).name
        known = target.ratings.get(name) if target is not None else None
        yield _Placed("rating", known or write(name))
    for tag in tags:
        count = _count_of(tag)
        if tag.category == "rating":
            continue
        if count is not None:
            yield _Placed("count", write(tag.name), count)
        elif tag.category == "artist":
            yield _Placed("artist", f"{target.artist if target is not None else ''}{write(tag.name)}")
        else:
            yield _Placed(tag.category, write(tag.name))


def _count_of(tag: Tag) -> int | None:
    """Where a tag that counts stands among those that do."""
    if tag.category != "general":
        return None
    name = tag.name.replace(" ", "_")
    return next((place for place, pattern in enumerate(_COUNTING) if pattern.fullmatch(name)), None)


def _with_blanks(name: str) -> str:
    """But in a face made of marks (0_0, >_<), which has no two letters side by side."""
    return name.replace("_", " ") if re.search(r"[^\W_]{2}", name) else name
