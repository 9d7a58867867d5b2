"""Draws a scene of the small picture world. The same scene and seed give the same picture in every process."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from .backgrounds import BACKGROUNDS
from .styles import ARTISTS, STYLES
from .world import FACTORS, Scene

SIZE = 64
CANVAS = 128  # drawn at twice the size, then reduced, for smooth edges

RGB = {
    "red": (214, 40, 40),
    "orange": (245, 130, 20),
    "yellow": (245, 218, 40),
    "green": (30, 150, 60),
    "blue": (40, 90, 220),
    "purple": (130, 50, 180),
    "pink": (245, 120, 185),
}


class Drawing(NamedTuple):
    """A picture, RGB, and where its shapes are: mode L, 255 inside a shape. Both SIZE x SIZE."""

    picture: Image.Image
    mask: Image.Image


def draw(scene: Scene, seed: int) -> Drawing:
    """Draws `scene`; `seed` (not negative) decides place, size, tilt and every grain of the drawing.

    Shapes keep off the border, but for the tip of one star in about a thousand, which reaches it with one pixel."""
    rng = np.random.default_rng([seed, *scene.indices])
    ground = BACKGROUNDS[scene.background](CANVAS, rng)
    mask = _shapes(scene, rng)
    colour = np.clip(np.array(RGB[scene.colour]) + rng.normal(0, 7, 3), 0, 255)
    painted = STYLES[scene.style](ground, mask, colour, rng)
    resampling = Image.Resampling.BOX if scene.style in ("pixel", "mosaic") else Image.Resampling.LANCZOS
    picture = ARTISTS[scene.artist](np.asarray(painted.resize((SIZE, SIZE), resampling), np.float32))
    return Drawing(
        Image.fromarray(picture.clip(0, 255).astype(np.uint8)),
        mask.resize((SIZE, SIZE), Image.Resampling.BOX),
    )


def draw_arrays(scene: Scene, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The same as arrays: picture (SIZE, SIZE, 3) uint8 and mask (SIZE, SIZE) uint8."""
    drawing = draw(scene, seed)
    return np.asarray(drawing.picture), np.asarray(drawing.mask)


def _shapes(scene: Scene, rng: np.random.Generator) -> Image.Image:
    mask = Image.new("L", (CANVAS, CANVAS), 0)
    tilt = rng.uniform(-0.2, 0.2)
    for x, y, radius in _places(scene.layout, rng):
        one = shape_alone(scene.shape, x, y, radius, tilt)
        mask.paste(255, (0, 0), one)
    return mask


def _places(layout: str, rng: np.random.Generator) -> list[tuple[float, float, float]]:
    """Centre and radius of each shape, in canvas pixels."""
    middle = CANVAS / 2
    if layout == "small":
        reach = CANVAS / 2 - 34
        return [(middle + rng.uniform(-reach, reach), middle + rng.uniform(-reach, reach), rng.uniform(20, 24))]
    if layout == "large":
        return [(middle + rng.uniform(-9, 9), middle + rng.uniform(-7, 7), rng.uniform(40, 47))]
    if layout == "two":
        radius, slant, y = rng.uniform(23, 26), rng.uniform(-18, 18), middle + rng.uniform(-14, 14)
        return [(34 + rng.uniform(-3, 3), y - slant, radius), (94 + rng.uniform(-3, 3), y + slant, radius)]
    radius = rng.uniform(16, 18)
    if rng.random() < 0.5:
        y = middle + rng.uniform(-20, 20)
        return [(x, y, radius) for x in (22, 64, 106)]
    return [(middle + rng.uniform(-4, 4), 37, radius), (33, 91, radius), (95, 91, radius)]


def shape_alone(shape: str, x: float, y: float, radius: float, tilt: float = 0.0) -> Image.Image:
    """Its mask, of the canvas' size."""
    one = Image.new("L", (CANVAS, CANVAS), 0)
    pen = ImageDraw.Draw(one)
    outline = _outline(shape, tilt) * radius + (x, y)
    pen.polygon([(float(a), float(b)) for a, b in outline], fill=255)
    if shape == "ring":
        hole = radius * 0.55
        pen.ellipse((x - hole, y - hole, x + hole, y + hole), fill=0)
    if shape == "moon":
        bite, right, up = radius * 0.85, radius * 0.6, radius * 0.15
        pen.ellipse((x + right - bite, y - up - bite, x + right + bite, y - up + bite), fill=0)
    return one


def _outline(shape: str, tilt: float) -> np.ndarray:
    """Corners (n, 2) of a shape of radius one around the origin, y downwards."""
    if shape == "square":
        return _turn(np.array([(-0.88, -0.88), (0.88, -0.88), (0.88, 0.88), (-0.88, 0.88)]), tilt / 2)
    if shape == "triangle":
        angles = np.arange(3) * 2 * np.pi / 3
        return _turn(np.stack([1.15 * np.sin(angles), 0.2 - 1.15 * np.cos(angles)], 1), tilt)
    if shape == "star":
        angles, radii = np.arange(10) * np.pi / 5, np.where(np.arange(10) % 2 == 0, 1.18, 0.48)
        return _turn(np.stack([radii * np.sin(angles), -radii * np.cos(angles)], 1), tilt)
    if shape == "heart":
        t = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        height = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
        return np.stack([16.5 * np.sin(t) ** 3, -height - 2], 1) / 15.5
    if shape == "cross":
        arm = 0.34
        corner = np.array([(arm, -1), (arm, -arm), (1, -arm)])
        return _turn(np.concatenate([_turn(corner, k * np.pi / 2) for k in range(4)]), tilt)
    t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    return np.stack([np.cos(t), np.sin(t)], 1)


def _turn(points: np.ndarray, angle: float) -> np.ndarray:
    cos, sin = np.cos(angle), np.sin(angle)
    return points @ np.array([(cos, sin), (-sin, cos)])


assert set(RGB) == set(FACTORS["colour"])
