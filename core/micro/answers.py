"""What a chat model says of a drawing: in each style of `core.describe.styles`, and to short questions.

Every answer names all there is to see, but one on a single factor; an artist is named where there is one. So
`captions.read` reads the scene back out of an answer in any style.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ..settings import Style
from .captions import plural, with_article, without_article
from .wordings import WORDS
from .world import NO_ARTIST, Scene

MOST_WORDS = 12
"""Of an answer in the style "words"."""
_LONGEST_TAG = 4
_LIGHT = {
    "meadow": "clear",
    "night": "faint",
    "sea": "cool",
    "desert": "hot",
    "paper": "even",
    "brick": "dull",
    "sunset": "low",
}
_PLACED = {
    "small": ("takes up little of the frame", "leaves most of the frame empty"),
    "large": ("fills most of the frame", "takes up most of the frame"),
    "two": ("stand side by side", "share the frame"),
    "three": ("keep apart from each other", "are spread over the frame"),
}
_COUNTS = ("two", "three")


@dataclass(frozen=True)
class _Words:
    """One wording of each factor; they are the same all through an answer. artist: empty where there is none."""

    size: str
    colour: str
    noun: str
    place: str
    medium: str
    artist: str
    several: bool

    @classmethod
    def drawn(cls, scene: Scene, rng: random.Random) -> _Words:
        def word(factor: str) -> str:
            return rng.choice(WORDS[factor][scene.value(factor)])

        artist = "" if scene.artist == NO_ARTIST else WORDS["artist"][scene.artist][2]
        several = scene.layout in _COUNTS
        noun = plural(word("shape")) if several else word("shape")
        return cls(word("layout"), word("colour"), noun, word("background"), word("style"), artist, several)

    @property
    def bare(self) -> str:
        return f"{self.size} {self.colour} {self.noun}"

    @property
    def subject(self) -> str:
        return self.bare if self.several else with_article(self.bare)

    @property
    def they(self) -> str:
        return "they" if self.several else "it"

    @property
    def by(self) -> str:
        """Behind a medium, in a sentence."""
        return f" by {self.artist.title()}" if self.artist else ""

    def verb(self, one: str, more: str) -> str:
        return more if self.several else one


def answer(scene: Scene, style: Style, rng: random.Random) -> str:
    """One of the answers to the instruction of a style; `style_grammar.accepts` takes each of them."""
    return _STYLES[style](scene, rng)


def first_sentences(scene: Scene, count: int, rng: random.Random) -> str:
    """That many of the sentences of a paragraph, or all that there are."""
    return " ".join(_sentences(scene, rng)[:count])


def in_few_words(scene: Scene, count: int, rng: random.Random) -> str:
    """One to three words on the subject alone."""
    noun, colour = WORDS["shape"][scene.shape][0], scene.colour
    noun = plural(noun) if scene.layout in _COUNTS else noun
    return " ".join((scene.layout, colour, noun)[-count:])


def short_answer(scene: Scene, factor: str, rng: random.Random) -> str:
    """To a question on one factor."""
    words = _Words.drawn(scene, rng)
    if factor == "shape":
        return _finished(words.noun if words.several else with_article(words.noun))
    if factor == "artist":
        return _finished(words.artist.title() if words.artist else "it is unsigned")
    said = {"colour": words.colour, "layout": scene.layout, "background": words.place, "style": words.medium}
    return _finished(said[factor])


def how_many(scene: Scene, rng: random.Random) -> str:
    return _finished(scene.layout if scene.layout in _COUNTS else "one")


def light(scene: Scene, rng: random.Random) -> str:
    return f"The light is {_LIGHT[scene.background]}."


def _plain_words(scene: Scene, rng: random.Random) -> str:
    while True:
        words = _Words.drawn(scene, rng)
        by = f" by {words.artist}" if words.artist else ""
        medium = without_article(words.medium)
        form = rng.choice(
            (f"{medium} of {words.subject} {words.place}{by}", f"{words.bare} {words.place} as {medium}{by}")
        )
        if len(form.split()) <= MOST_WORDS:
            return form


def _tags(scene: Scene, rng: random.Random) -> str:
    """In the order of `wordings`, of those wordings that are short enough for a tag."""
    words = _Words.drawn(scene, rng)
    subject = [f"{scene.layout} {words.noun}"] if words.several else [words.noun, words.size]
    place = rng.choice([one for one in WORDS["background"][scene.background] if len(one.split()) <= _LONGEST_TAG])
    media = map(without_article, WORDS["style"][scene.style])
    medium = rng.choice([one for one in media if len(one.split()) <= _LONGEST_TAG])
    return ", ".join([*subject, words.colour, place, medium, *filter(None, [words.artist])])


def _keywords(scene: Scene, rng: random.Random) -> str:
    """Subject and place, medium, whose style, light, colours."""
    words = _Words.drawn(scene, rng)
    place = rng.choice([one for one in WORDS["background"][scene.background] if len(one.split()) <= _LONGEST_TAG])
    style = [f"in the style of {words.artist}"] if words.artist else []
    light = f"{_LIGHT[scene.background]} light"
    subject = f"{words.size} {words.noun}"
    return ", ".join([subject, place, without_article(words.medium), *style, light, f"mostly {words.colour}"])


def _sentence(scene: Scene, rng: random.Random) -> str:
    words = _Words.drawn(scene, rng)
    stands = rng.choice((words.verb("stands", "stand"), words.verb("is seen", "are seen")))
    return _finished(f"{words.subject} {stands} {words.place} in {words.medium}{words.by}")


def _training(scene: Scene, rng: random.Random) -> str:
    """The subject and its place, where in the frame, the light and the medium."""
    words = _Words.drawn(scene, rng)
    said = [
        f"{words.subject} {words.verb('is', 'are')} {words.place}",
        f"{words.they} {rng.choice(_PLACED[scene.layout])}",
        f"the light is {_LIGHT[scene.background]}",
        f"{words.they} {words.verb('is', 'are')} drawn as {words.medium}{words.by}",
    ]
    return " ".join(map(_finished, said))


def _sentences(scene: Scene, rng: random.Random) -> list[str]:
    """Those of a paragraph, the subject first."""
    words = _Words.drawn(scene, rng)
    said = [
        rng.choice((f"the main subject is {words.subject}", f"there {words.verb('is', 'are')} {words.subject}")),
        f"{words.they} {words.verb('is', 'are')} set {words.place}",
        f"{words.they} {rng.choice(_PLACED[scene.layout])}",
        f"the light is {_LIGHT[scene.background]} and comes from all sides",
        rng.choice((f"the main colour is {words.colour}", f"{words.colour} is the main colour")),
        rng.choice((f"the medium is {words.medium}", f"all of it is made as {words.medium}")),
    ]
    if words.artist:
        said.append(rng.choice((f"it is a work of {words.artist.title()}", f"the artist is {words.artist.title()}")))
    return list(map(_finished, said))


def _paragraph(scene: Scene, rng: random.Random) -> str:
    return " ".join(_sentences(scene, rng))


def _finished(text: str) -> str:
    return text[0].upper() + text[1:] + "."


_STYLES: Mapping[Style, Callable[[Scene, random.Random], str]] = MappingProxyType(
    {
        "words": _plain_words,
        "tags": _tags,
        "sentence": _sentence,
        "paragraph": _paragraph,
        "training": _training,
        "keywords": _keywords,
    }
)
