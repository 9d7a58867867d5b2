"""Draws docs/icon.png, the square that ComfyUI's registry shows: a picture that turns into lines of text.

    python docs/icon.py

The registry takes at most 800 times 400 pixels. Drawn larger and shrunk, which smooths the edges.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw

SIDE = 400
FINER = 4

GROUND, FRAME = "#1f2440", "#f4f1e8"
SKY, SUN, HILL, FARTHER = "#5aa9e6", "#ffd166", "#2a9d6f", "#1b7a5a"
LINES = ((SUN, 330), (FRAME, 300), (SKY, 330))
"""Each line's colour, and where it ends."""


def icon() -> Image.Image:
    image = Image.new("RGBA", (SIDE * FINER, SIDE * FINER))
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle(scaled(0, 0, 400, 400), radius=80 * FINER, fill=GROUND)
    image.paste(picture(), mask=window())
    draw.rounded_rectangle(scaled(26, 50, 374, 350), radius=36 * FINER, outline=FRAME, width=24 * FINER)
    for number, (colour, right) in enumerate(LINES):
        left, top = 238 - 15 * number, 106 + 74 * number
        draw.rounded_rectangle(scaled(left, top, right, top + 40), radius=20 * FINER, fill=colour)
    return image.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def picture() -> Image.Image:
    image = Image.new("RGBA", (SIDE * FINER, SIDE * FINER), SKY)
    draw = ImageDraw.Draw(image)
    draw.ellipse(scaled(72, 88, 140, 156), fill=SUN)
    draw.polygon(scaled(40, 350, 190, 150, 340, 350), fill=FARTHER)
    draw.polygon(scaled(-30, 350, 100, 200, 240, 350), fill=HILL)
    return image


def window() -> Image.Image:
    """Where the picture shows: the left of the frame, cut along a slant."""
    mask = Image.new("L", (SIDE * FINER, SIDE * FINER))
    ImageDraw.Draw(mask).polygon(scaled(38, 62, 226, 62, 170, 338, 38, 338), fill=255)
    return mask


def scaled(*numbers: float) -> list[float]:
    return [number * FINER for number in numbers]


if __name__ == "__main__":
    icon().save(Path(__file__).with_name("icon.png"), optimize=True)
