"""Describers that tell a picture's colour at once, for tests of what stands on describers."""

from __future__ import annotations

from PIL import Image
from unrender.core.describe import Describer, Description
from unrender.core.settings import CaptionSettings
from unrender.core.tags import Tag

TAGS = {"red": ("1girl", "red hair", "smile"), "blue": ("1girl", "blue hair")}
MICRO = {"clip": "micro", "device": "cpu", "precision": "exact"}


def colour_of(image):
    red, _, blue = image.resize((1, 1)).getpixel((0, 0))
    return "red" if red > blue else "blue"


class Saying(Describer):
    """Tells a picture's colour. What it is asked, and where it is then, is noted."""

    def __init__(self, name, log, says="a {colour} circle"):
        self.name, self.log, self.says = name, log, says

    def seen(self, image):
        self.log.append((self.name, "sees"))
        return colour_of(image)

    def describe_seen(self, seen, settings=None, progress=None):
        settings = settings or CaptionSettings()
        self.log.append((self.name, "describes", len(seen)))
        drawn = f", draft {settings.seed}" if settings.temperature else ""
        return [Description(self.says.format(colour=each) + drawn) for each in seen]

    def to(self, device):
        self.log.append((self.name, str(device)))
        return self


class Tagging(Saying):
    draws = False

    def describe_seen(self, seen, settings=None, progress=None):
        self.log.append((self.name, "describes", len(seen)))
        rating = Tag("general", 0.9, "rating")
        return [
            Description(", ".join(TAGS[each]), (*(Tag(tag.replace(" ", "_"), 0.8) for tag in TAGS[each]), rating))
            for each in seen
        ]


class Describing(Describer):
    """One of those that write `describe` alone."""

    def __init__(self, name):
        self.name = name

    def describe(self, images, settings=None, progress=None):
        return [Description(f"one {colour_of(image)} thing") for image in images]


def picture(colour="red", side=32):
    return Image.new("RGB", (side, side), colour)
