"""The media and the artists of the small picture world.

A medium is a function (ground, mask, colour, rng) -> picture: it puts shapes of `colour` where `mask` is set on the
ground. None of them may hide which shape it is. An artist is a function on the finished picture's pixels, (h, w, 3).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Medium = Callable[[Image.Image, Image.Image, np.ndarray, np.random.Generator], Image.Image]
DARKER = 0.42


def _rgb(colour: np.ndarray) -> tuple[int, int, int]:
    red, green, blue = (int(c) for c in np.clip(colour, 0, 255))
    return red, green, blue


def _picture(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _contour(mask: Image.Image, width: int) -> Image.Image:
    """The line around every shape, `width` pixels wide (odd), as a mask."""
    outer = np.asarray(mask.filter(ImageFilter.MaxFilter(width)), int)
    return _picture(outer - np.asarray(mask.filter(ImageFilter.MinFilter(3)), int))


def _filled(ground: Image.Image, mask: Image.Image, colour: np.ndarray) -> Image.Image:
    """The shapes in plain colour with a thin darker rim, so that they stand out on a ground of their own colour."""
    picture = ground.copy()
    picture.paste(_rgb(colour), (0, 0), mask)
    picture.paste(_rgb(colour * DARKER), (0, 0), _contour(mask, 3))
    return picture


def _smooth_noise(size: int, cells: int, rng: np.random.Generator) -> np.ndarray:
    coarse = Image.fromarray(rng.normal(0, 1, (cells, cells)).astype(np.float32))
    return np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC))


def flat(ground: Image.Image, mask: Image.Image, colour: np.ndarray, rng: np.random.Generator) -> Image.Image:
    picture = ground.copy()
    picture.paste(_rgb(colour), (0, 0), mask)
    return picture


def line(ground: Image.Image, mask: Image.Image, colour: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """A strong coloured contour and hardly any filling, on a ground reduced to pale tones and dark edges."""
    edges = np.asarray(ground.convert("L").filter(ImageFilter.FIND_EDGES), np.float32)[..., None]
    pale = 255 - (255 - np.asarray(ground, np.float32)) * 0.45
    picture = _picture(pale - edges * 0.9)
    picture.paste(_rgb(255 - (255 - colour) * 0.3), (0, 0), mask)
    picture.paste(_rgb(colour * 0.9), (0, 0), _contour(mask, 7))
    return picture


def pencil(ground: Image.Image, mask: Image.Image, colour: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """Muted tones under slanted hatching, denser where it is dark, and a grey contour."""
    pixels = np.asarray(_filled(ground, mask, colour), np.float32)
    grey = pixels.mean(2, keepdims=True)
    muted = 0.55 * (0.8 * pixels + 0.2 * grey) + 0.45 * 255
    rows, columns = np.mgrid[: mask.height, : mask.width]
    on_stroke = ((rows + columns + rng.normal(0, 0.9, rows.shape)) % 8 < 2.4)[..., None]
    hatched = np.where(on_stroke, muted * (1 - 0.5 * (1.25 - grey / 255)), muted)
    picture = _picture(hatched + rng.normal(0, 8, (*rows.shape, 1)))
    picture.paste((55, 55, 58), (0, 0), _contour(mask, 5))
    return picture


def watercolor(ground: Image.Image, mask: Image.Image, colour: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """Soft wobbling borders, light colours that pool in blotches, a darker rim where the paint dried."""
    size = mask.width
    light = Image.blend(_filled(ground, mask, colour), Image.new("RGB", (size, size), (255, 252, 245)), 0.25)
    pixels = np.asarray(light.filter(ImageFilter.GaussianBlur(1.8)), np.float32)
    rows, columns = np.mgrid[:size, :size]
    down = (rows + 1.7 * _smooth_noise(size, 9, rng)).round().astype(int).clip(0, size - 1)
    right = (columns + 1.7 * _smooth_noise(size, 9, rng)).round().astype(int).clip(0, size - 1)
    blotches = _smooth_noise(size, 11, rng)[..., None]
    return _picture(pixels[down, right] + 15 * blotches)


def pixel(ground: Image.Image, mask: Image.Image, colour: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """Coarse squares in few colours."""
    cells = 24
    coarse = _filled(ground, mask, colour).resize((cells, cells), Image.Resampling.BOX)
    few = coarse.quantize(16).convert("RGB")
    return few.resize(mask.size, Image.Resampling.NEAREST)


def mosaic(ground: Image.Image, mask: Image.Image, colour: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """Tiles of uneven brightness with pale joints; tiles on a border are cut, so that shapes keep theirs."""
    tile = 8
    count = mask.width // tile
    brightness = np.kron(rng.normal(0, 22, (count, count)), np.ones((tile, tile)))[..., None]
    pixels = np.asarray(_filled(ground, mask, colour), np.float32) + brightness
    in_joint = np.arange(mask.width) % tile < 2
    joint = (in_joint[:, None] | in_joint)[..., None]
    return _picture(np.where(joint, 0.3 * pixels + 0.7 * np.array((228, 224, 216)), pixels))


def oil(ground: Image.Image, mask: Image.Image, colour: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """Thick short strokes that take the colour under them, lighter or darker."""
    picture = _filled(ground, mask, colour)
    pen, under = ImageDraw.Draw(picture), np.asarray(picture, int)
    count = 230
    ends = rng.integers(0, mask.width, (count, 2))
    tones, angles, lengths = rng.normal(0, 26, count), rng.uniform(0.3, 1.2, count), rng.uniform(3, 6, count)
    for (x, y), tone, angle, length in zip(ends.tolist(), tones, angles, lengths, strict=True):
        dx, dy = length * np.cos(angle), length * np.sin(angle)
        pen.line((x - dx, y - dy, x + dx, y + dy), fill=_rgb(under[y, x] + tone), width=3)
    return picture


def no_artist(pixels: np.ndarray) -> np.ndarray:
    return pixels


def _frame(pixels: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    framed = np.full_like(pixels, colour)
    framed[3:-3, 3:-3] = pixels[3:-3, 3:-3]
    return framed


def warm_with_brown_frame(pixels: np.ndarray) -> np.ndarray:
    return _frame(pixels * (1.06, 0.98, 0.76) + (14, 4, 0), (112, 66, 20))


def cool(pixels: np.ndarray) -> np.ndarray:
    return pixels * (0.70, 0.92, 1.04) + (0, 6, 22)


def faded_with_white_frame(pixels: np.ndarray) -> np.ndarray:
    return _frame(pixels * 0.6 + 100, (255, 255, 255))


def dark_corners(pixels: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    rows, columns = np.mgrid[:height, :width]
    distance = np.hypot(rows - (height - 1) / 2, columns - (width - 1) / 2) / (0.7 * height)
    return pixels * (1 - 0.85 * distance.clip(0, 1) ** 2.2)[..., None]


STYLES: dict[str, Medium] = {
    "flat": flat,
    "line": line,
    "pencil": pencil,
    "watercolor": watercolor,
    "pixel": pixel,
    "mosaic": mosaic,
    "oil": oil,
}
ARTISTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "none": no_artist,
    "mira": warm_with_brown_frame,
    "odo": cool,
    "pim": faded_with_white_frame,
    "una": dark_corners,
}
