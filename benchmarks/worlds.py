"""Worlds to try prompts in: micro's CLIP as it is, and the same CLIP as fallible as real ones are.

Micro's CLIP is kinder than any real one: its similarity alone tells true phrases from false ones. In the harder worlds
every picture's features carry noise, the same in every search, and every text is nearer to all pictures or farther from
them by the words it is made of (hubness), in the phrase table, in candidates and in whole prompts alike.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import normalize
from unrender.core.clip import Clip
from unrender.core.clip.text_encoder import TextEncoder
from unrender.core.evidence.bank import Bank
from unrender.core.evidence.of_engine import TEXTS
from unrender.core.micro import PHRASES_FOLDER
from unrender.core.micro.backgrounds import BACKGROUNDS
from unrender.core.micro.captions import bare_phrases, plural
from unrender.core.micro.drawing import CANVAS, RGB, SIZE, shape_alone
from unrender.core.micro.pictures import Pictures, render
from unrender.core.micro.styles import ARTISTS, STYLES
from unrender.core.micro.world import FACTORS, Scene, Split, random_scene
from unrender.core.phrases.composed import composed_prompts
from unrender.core.phrases.vocabulary import load_vocabulary
from unrender.core.progress import SILENT, Check
from unrender.training.measure_bank import measured

MEASURED_ON = 400  # training pictures: where a world's pictures lie, and by how much they differ
BANK_PICTURES = 400


@dataclass(frozen=True)
class World:
    """noise: on a picture's features, its norm over theirs. bias: the deviation of texts' nearness to all pictures over
    that of one phrase's similarities. known: whether anything is known of pictures, before one is seen."""

    name: str
    noise: float = 0.0
    bias: float = 0.0
    known: bool = True

    @property
    def same(self) -> str:
        """Which world this is to a search that asks for nothing but similarities."""
        return self.name.removesuffix(UNKNOWN)


UNKNOWN = "-unknown"
_KNOWN = (World("plain"), World("middle", 1.0, 1.0), World("hard", 2.0, 1.0))
WORLDS = {
    each.name: each for each in (*_KNOWN, *(replace(one, name=one.name + UNKNOWN, known=False) for one in _KNOWN[:2]))
}


class Hubs:
    """A text encoder whose texts lie along `direction` by their words, `scale` times a standard normal."""

    def __init__(self, plain: TextEncoder, direction: Tensor, scale: float) -> None:
        self._plain, self._direction, self._scale = plain, direction, scale

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plain, name)

    def encode(self, texts: Sequence[str], check: Check = SILENT.check) -> Tensor:
        return self._moved(self._plain.encode(texts, check), [biases(words_of(text)) for text in texts])

    def encode_continuations(self, prompt: str, phrases: Sequence[str], rough: bool = False) -> Tensor:
        before = words_of(prompt)
        features = self._plain.encode_continuations(prompt, phrases, rough)
        return self._moved(features, [biases(before | words_of(phrase)) for phrase in phrases])

    def _moved(self, features: Tensor, along: Sequence[float]) -> Tensor:
        steps = self._scale * torch.tensor(along, dtype=features.dtype)[:, None]
        return normalize(features + steps * self._direction, dim=-1)

    def fingerprint(self) -> str:
        return hashlib.sha256(f"{self._plain.fingerprint()} hubs {self._scale:.9g}".encode()).hexdigest()


@cache
def words_of(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text.lower()))


@cache
def biases(words: frozenset[str]) -> float:
    """The same for the same words in every process, of deviation one."""
    return sum(_weight(word) for word in sorted(words)) / max(1, len(words)) ** 0.5


@cache
def _weight(word: str) -> float:
    return random.Random(f"words {word}").gauss(0, 1)  # of five draws one that leaves the shape told in .82


class WorldClip(Clip):
    """Micro's CLIP as a world has it."""

    def __init__(self, world: World) -> None:
        self.__dict__.update(vars(Clip.load("micro", "cpu")))
        self._noise = world.noise
        if world.bias:
            self.__dict__["text"] = cast(TextEncoder, self._hubs(world.bias))

    def _hubs(self, bias: float) -> Hubs:
        phrases = [each for category in load_vocabulary(None, PHRASES_FOLDER).positive() for each in category.phrases]
        pictures = self.encode_images(images_of(render("train", MEASURED_ON)))
        similarities = pictures @ self.encode_texts(phrases).T
        residual = float((similarities - similarities.mean(dim=0)).std())
        direction = normalize(pictures.mean(dim=0), dim=0)
        spread = float(np.std([biases(words_of(phrase)) for phrase in phrases]))
        return Hubs(self.text, direction, bias * residual / float((pictures @ direction).mean()) / spread)

    @torch.no_grad()
    def encode_views(self, views: Iterable[Tensor]) -> Tensor:
        seen = list(views)
        features = super().encode_views(seen)
        if not self._noise:
            return features
        drawn = torch.stack([_noise_of(view, features.shape[1]) for view in seen])
        return normalize(features + self._noise * drawn / features.shape[1] ** 0.5, dim=-1)


def _noise_of(view: Tensor, width: int) -> Tensor:
    seed = int.from_bytes(hashlib.sha256(view.float().numpy().tobytes()).digest()[:7], "big")
    return torch.randn(width, generator=torch.Generator().manual_seed(seed))


def bank_of(world: World, clip: Clip, folder: Path) -> Path:
    """What is known there of where pictures lie and of whom to believe; kept in the folder. From validation pictures,
    and without any truth; from composed texts where nothing is known of pictures, as with most CLIPs."""
    path = folder / f"bank-{world.name}.safetensors"
    if not path.exists():
        if world.known:
            bank = measured(BANK_PICTURES, clip, f"{world.name} world's validation pictures")
        else:
            bank = Bank.of_texts(clip, composed_prompts(load_vocabulary(None, PHRASES_FOLDER), TEXTS))
        bank.save(path)
    return path


def images_of(pictures: Pictures) -> list[Image.Image]:
    return [Image.fromarray(pixels.permute(1, 2, 0).numpy()) for pixels in pictures.pixels]


def zero_shot(clip: Clip, pictures: Pictures, factor: str = "shape") -> float:
    """How often the factor's value with the most similar wordings, on average, is the picture's."""
    means = []
    for value in FACTORS[factor]:
        wordings = bare_phrases(factor, value)
        texts = [*wordings, *map(plural, wordings)] if factor == "shape" else [*wordings]
        means.append(clip.encode_texts(texts).mean(dim=0))
    guesses = (clip.encode_images(images_of(pictures)) @ torch.stack(means).T).argmax(dim=1)
    return float((guesses == pictures.labels[:, list(FACTORS).index(factor)]).float().mean())


@dataclass(frozen=True)
class Pair:
    """A picture of two small shapes side by side, of two colours, and what is true of either."""

    left: Scene
    right: Scene
    picture: Image.Image

    def holds(self, factor: str, value: str) -> bool:
        return value in (self.left.value(factor), self.right.value(factor)) or (factor, value) == ("layout", "two")


def pairs(split: Split, count: int) -> list[Pair]:
    """The same ones every time, of scenes of a split."""
    rng, found = random.Random(f"{split} pairs"), []
    while len(found) < count:
        left, right = random_scene(rng, split), random_scene(rng, split)
        left, right = (
            replace(each, layout="small", background=left.background, style=left.style, artist=left.artist)
            for each in (left, right)
        )
        if left.shape != right.shape and left.colour != right.colour:
            found.append(Pair(left, right, _drawn_pair(left, right, len(found))))
    return found


def _drawn_pair(left: Scene, right: Scene, seed: int) -> Image.Image:
    """Both are drawn on one ground with one set of strokes; the picture is each one's half."""
    halves = []
    for scene, middle in ((left, 34), (right, 94)):
        rng = np.random.default_rng([seed, 7])
        ground = BACKGROUNDS[scene.background](CANVAS, rng)
        mask = shape_alone(scene.shape, middle + rng.uniform(-3, 3), 64 + rng.uniform(-16, 16), rng.uniform(20, 24))
        colour = np.array(RGB[scene.colour])
        halves.append(STYLES[scene.style](ground, mask, colour, rng))
    whole = halves[0]
    whole.paste(halves[1].crop((CANVAS // 2, 0, CANVAS, CANVAS)), (CANVAS // 2, 0))
    resampling = Image.Resampling.BOX if left.style in ("pixel", "mosaic") else Image.Resampling.LANCZOS
    pixels = ARTISTS[left.artist](np.asarray(whole.resize((SIZE, SIZE), resampling), np.float32))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
