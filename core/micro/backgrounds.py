"""The backgrounds of the small picture world: functions (size, rng) -> RGB picture of size x size."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

Colour = tuple[int, int, int]


def _gradient(canvas: np.ndarray, top: Colour, bottom: Colour, start: int, stop: int) -> None:
    """Fills the rows from `start` to `stop` with a change from one colour to another."""
    steps = np.linspace(0, 1, max(1, stop - start))[:, None]
    canvas[start:stop] = (np.array(top) + (np.array(bottom) - np.array(top)) * steps)[:, None]


def _sky_and_ground(
    size: int, horizon: int, sky: tuple[Colour, Colour], ground: tuple[Colour, Colour]
) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    canvas = np.zeros((size, size, 3))
    _gradient(canvas, *sky, 0, horizon)
    _gradient(canvas, *ground, horizon, size)
    picture = Image.fromarray(canvas.astype(np.uint8))
    return picture, ImageDraw.Draw(picture)


def _horizon(size: int, rng: np.random.Generator) -> int:
    return int(size * rng.uniform(0.48, 0.66))


def meadow(size: int, rng: np.random.Generator) -> Image.Image:
    horizon = _horizon(size, rng)
    sky, grass = ((165, 212, 245), (215, 238, 250)), ((140, 205, 100), (85, 165, 65))
    picture, pen = _sky_and_ground(size, horizon, sky, grass)
    for x, y in zip(rng.integers(0, size, 30), rng.integers(horizon + 4, size, 30), strict=True):
        pen.line((int(x), int(y), int(x) + 2, int(y) - 6), fill=(55, 125, 45))
    return picture


def night(size: int, rng: np.random.Generator) -> Image.Image:
    picture, pen = _sky_and_ground(size, size, ((8, 10, 36), (34, 36, 80)), ((0, 0, 0), (0, 0, 0)))
    for x, y in rng.integers(0, size, (24, 2)):
        pen.ellipse((int(x) - 1, int(y) - 1, int(x) + 1, int(y) + 1), fill=(240, 240, 210))
    return picture


def sea(size: int, rng: np.random.Generator) -> Image.Image:
    horizon = _horizon(size, rng)
    sky, water = ((205, 232, 245), (236, 245, 248)), ((50, 145, 185), (18, 88, 140))
    picture, pen = _sky_and_ground(size, horizon, sky, water)
    for x, y in zip(rng.integers(0, size, 12), rng.integers(horizon + 5, size, 12), strict=True):
        pen.arc((int(x) - 9, int(y) - 4, int(x) + 9, int(y) + 4), 180, 360, fill=(195, 228, 238), width=2)
    return picture


def desert(size: int, rng: np.random.Generator) -> Image.Image:
    horizon = _horizon(size, rng)
    sky, sand = ((252, 232, 188), (250, 217, 155)), ((226, 182, 112), (190, 140, 76))
    picture, pen = _sky_and_ground(size, horizon, sky, sand)
    x = int(rng.integers(0, size))
    pen.pieslice((x - 60, horizon - 17, x + 60, horizon + 32), 180, 360, fill=sand[0])
    return picture


def paper(size: int, rng: np.random.Generator) -> Image.Image:
    return Image.new("RGB", (size, size), (248, 247, 243))


def brick(size: int, rng: np.random.Generator) -> Image.Image:
    picture = Image.new("RGB", (size, size), (176, 166, 156))
    pen = ImageDraw.Draw(picture)
    for row, y in enumerate(range(-int(rng.integers(0, 15)), size, 16)):
        for x in range(-32 + (row % 2) * 14, size, 28):
            pen.rectangle((x, y, x + 25, y + 13), fill=(146 + int(rng.integers(-9, 10)), 92, 78))
    return picture


def sunset(size: int, rng: np.random.Generator) -> Image.Image:
    horizon = int(size * rng.uniform(0.6, 0.75))
    picture, pen = _sky_and_ground(size, horizon, ((92, 52, 122), (252, 152, 88)), ((62, 36, 72), (38, 24, 54)))
    x = int(rng.integers(18, size - 18))
    pen.pieslice((x - 14, horizon - 14, x + 14, horizon + 14), 180, 360, fill=(255, 222, 140))
    return picture


BACKGROUNDS: dict[str, Callable[[int, np.random.Generator], Image.Image]] = {
    "meadow": meadow,
    "night": night,
    "sea": sea,
    "desert": desert,
    "paper": paper,
    "brick": brick,
    "sunset": sunset,
}
