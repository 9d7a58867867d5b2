"""What the micro chat model is asked while it is trained: each style's own instruction, the same meant in many other
words, lengths, and questions on one factor; each with its answer."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

from unrender.core.describe.styles import STYLES
from unrender.core.micro.answers import answer, first_sentences, how_many, in_few_words, light, short_answer
from unrender.core.micro.world import Scene
from unrender.core.settings import WRITING_STYLES, Style

SYSTEMS = (
    "You are a helpful image captioner.",
    "You are a helpful assistant.",
    "Answer as you are asked.",
    "You describe pictures and write nothing else.",
    "Be brief and exact.",
)
_EXACT, _STYLED = 0.3, 0.75
"""Shares: of a style's questions in its own words, and of all questions those that ask for a style."""

_VERBS = ("describe", "caption", "say what is in", "tell me about", "put into words", "characterise")
_THINGS = ("this picture", "the picture", "this image", "the image", "this photo", "it", "what you see", "this drawing")
_ASKS = ("", "", "", "please ", "now ", "could you ", "i want you to ", "your task: ")
_ENDS = ("", ".", ".", ".", "!", " please.", ", please", ". nothing else.", " and nothing else.")
_ALSO = (
    *("", "", "", "", " be exact.", " write plainly.", " no preface.", " answer in english.", " take your time."),
    *(" name the medium.", " mention the light, the colours and the style.", " say who made it.", " do not guess."),
    *(" use small words.", " on one line.", " only what can be seen.", " no list.", " no heading.", " no opinion."),
)
_UNKNOWN = (
    *("go", "hello", "what do you see?", "what is this?", "what does the image show?", "what is it about?", "look!"),
    *("describe this picture.", "describe the image", "caption this", "caption", "write a caption", "describe", "hm"),
    *("what would you say to a friend about this picture?", "explain the picture to me", "tell me what you see"),
)
_FORMS: dict[Style, tuple[str, ...]] = {
    "words": (
        "in a few words",
        "in a few plain words",
        "in a few plain words, without a sentence",
        "in three to twelve words, no sentence",
        "in a handful of words, no comma, no full stop",
        "briefly, in words alone",
        "in few words",
        "in plain words, not a sentence",
        "as a short phrase",
    ),
    "tags": (
        "in tags",
        "with tags",
        "as tags",
        "as a list of tags",
        "in short tags separated by commas",
        "in at most thirty tags",
        "as booru tags",
        "as danbooru tags",
        "as an image board would, in tags",
        "as comma separated tags in small letters",
    ),
    "sentence": (
        "in one sentence",
        "in a sentence",
        "in a single sentence",
        "in one complete sentence",
        "with one full sentence of at most thirty words",
        "in just one sentence",
        "in 1 sentence",
    ),
    "paragraph": (
        "in one paragraph",
        "in a paragraph",
        "in detail",
        "at length",
        "in a detailed paragraph",
        "in one paragraph of six to ten sentences",
        "in six to eight sentences: subject, setting, composition, light, colours and style",
        "in long and full detail",
        "as a paragraph of several sentences",
    ),
    "training": (
        "in a caption to train an image model with",
        "in a plain caption for training",
        "for the training of an image model",
        "as a training caption",
        "in a caption for a training set: what is there and where, no opinion and no mood",
        "so that a model can be trained with it",
        "for a lora's training data",
    ),
    "keywords": (
        "in keywords",
        "with keywords",
        "as keywords",
        "in five to twenty keywords",
        "as keywords separated by commas: subject, medium, style, light, colours",
        "as a list of keywords",
        "in key words",
    ),
}
_COMMANDS: dict[Style, tuple[str, ...]] = {
    "words": ("a few words for {0}", "say in a few words what {0} shows", "words for {0}, no sentence"),
    "tags": ("tag {0}", "tags for {0}", "list the tags of {0}", "list at most fifty short tags for {0}", "tags only"),
    "sentence": ("one sentence on {0}", "write a sentence about {0}", "a sentence that describes {0}"),
    "paragraph": ("write a paragraph about {0}", "a long description of {0}", "a detailed description of {0}"),
    "training": ("write a training caption for {0}", "caption {0} to train with", "a caption for training, of {0}"),
    "keywords": ("keywords for {0}", "list keywords of {0}", "name the keywords of {0}", "keywords only"),
}
_NAMED = ("the subject", "the medium", "the style", "the light", "the colours", "the setting", "what is there")
_FACTOR_QUESTIONS: dict[str, tuple[str, ...]] = {
    "shape": (
        "what shape is it?",
        "which shape is there?",
        "what is the shape?",
        "what is the subject?",
        "name the shape",
    ),
    "colour": (
        "what colour is it?",
        "what color is it?",
        "which colour?",
        "name the main colour",
        "what is its colour?",
    ),
    "layout": ("what size is it, or how many are there?", "what is the layout?", "name the size or the number"),
    "background": (
        "where is it?",
        "what is the background?",
        "what is the setting?",
        "what is behind it?",
        "which place?",
    ),
    "style": ("what medium is it?", "what style is it?", "how is it made?", "name the medium", "in which style is it?"),
    "artist": ("who made it?", "who is the artist?", "who drew it?", "name the artist", "by whom is it?"),
}
_OTHER: tuple[tuple[tuple[str, ...], Callable[[Scene, random.Random], str]], ...] = (
    (("how many are there?", "how many shapes are there?", "count the shapes", "how many shapes?"), how_many),
    (("what is the light?", "how is the light?", "describe the light", "what light is there?"), light),
)
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


class Turn(NamedTuple):
    """One question, what it asks for (a style, or a name for other questions), and its answer."""

    question: str
    asked: str
    answer: str


def random_turn(scene: Scene, rng: random.Random) -> Turn:
    if rng.random() < _STYLED:
        style = rng.choice(WRITING_STYLES)
        exact = rng.random() < _EXACT
        return Turn(STYLES[style].instruction if exact else paraphrase(style, rng), style, answer(scene, style, rng))
    draw = rng.random()
    if draw < 0.5:
        return _question(scene, rng)
    if draw < 0.8:
        return _of_length(scene, rng)
    return Turn(_loosely(rng.choice(_UNKNOWN), rng), "unknown", answer(scene, "sentence", rng))


def paraphrase(style: Style, rng: random.Random) -> str:
    """What a style's instruction means, in other words."""
    thing = rng.choice(_THINGS)
    if rng.random() < 0.35:
        said = rng.choice(_COMMANDS[style]).format(thing)
    else:
        verb, form = f"{rng.choice(_VERBS)} {thing}", rng.choice(_FORMS[style])
        said = f"{form}, {verb}" if rng.random() < 0.15 else f"{verb} {form}"
    if rng.random() < 0.2:
        said += ": " + ", ".join(rng.sample(_NAMED, rng.randint(2, 4)))
    return _loosely(rng.choice(_ASKS) + said + rng.choice(_ENDS) + rng.choice(_ALSO), rng)


def _question(scene: Scene, rng: random.Random) -> Turn:
    if rng.random() < 0.25:
        questions, said = rng.choice(_OTHER)
        return Turn(_loosely(rng.choice(questions), rng), "other", said(scene, rng))
    factor = rng.choice(tuple(_FACTOR_QUESTIONS))
    question = _loosely(rng.choice(_FACTOR_QUESTIONS[factor]), rng)
    return Turn(question, factor, short_answer(scene, factor, rng))


def _of_length(scene: Scene, rng: random.Random) -> Turn:
    """A number of words or of sentences."""
    asked = f"{rng.choice(_VERBS)} {rng.choice(_THINGS)} in "
    if rng.random() < 0.5:
        count = rng.randint(2, 6)
        number = _NUMBERS[count] if rng.random() < 0.6 else str(count)
        return Turn(_loosely(f"{asked}{number} sentences.", rng), "sentences", first_sentences(scene, count, rng))
    count = rng.choice((1, 1, 2, 2, 3, 3, 5, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100, 150, 200))
    number = _NUMBERS[count] if count < len(_NUMBERS) and rng.random() < 0.6 else str(count)
    about = rng.choice(("", "about ", "at most ", "around ")) if count > 3 else ""
    question = _loosely(f"{asked}{about}{number} word{'s' * (count > 1)}.", rng)
    if count <= 3:
        return Turn(question, "count", in_few_words(scene, count, rng))
    style: Style = "words" if count <= 12 else "sentence" if count <= 25 else "training" if count <= 45 else "paragraph"
    return Turn(question, "count", answer(scene, style, rng))


def _loosely(text: str, rng: random.Random) -> str:
    """As people write: a capital or none, seldom a word that says nothing here, seldom a letter twice."""
    if rng.random() < 0.1:
        words = text.split(" ")
        stray = "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9)))
        words.insert(rng.randint(0, len(words)), stray)
        text = " ".join(words)
    if rng.random() < 0.05:
        at = rng.randrange(len(text))
        text = text[:at] + text[at] + text[at:]
    return text[0].upper() + text[1:] if rng.random() < 0.7 else text
