"""The tags of the small picture world, named as picture boards name theirs: in small letters, with underscores, and
what has two meanings with one in brackets. Some imply others, as a brick_wall implies nothing and an ocean outdoors.
"""

from __future__ import annotations

from ..tags import TagCategory
from .world import FACTORS, Scene

RATINGS = ("general", "sensitive", "questionable", "explicit")

_OF_VALUE: dict[str, dict[str, tuple[str, ...]]] = {
    "layout": {
        "small": ("solo", "small_shape"),
        "large": ("solo", "large_shape"),
        "two": ("2shapes", "multiple_shapes"),
        "three": ("3shapes", "multiple_shapes"),
    },
    "background": {
        "meadow": ("meadow", "outdoors"),
        "night": ("night_sky", "outdoors"),
        "sea": ("ocean", "outdoors"),
        "desert": ("desert", "outdoors"),
        "paper": ("white_background", "simple_background"),
        "brick": ("brick_wall",),
        "sunset": ("sunset", "outdoors"),
    },
    "style": {
        "flat": ("flat_color",),
        "line": ("lineart",),
        "pencil": ("graphite_(medium)", "traditional_media"),
        "watercolor": ("watercolor_(medium)", "traditional_media"),
        "pixel": ("pixel_art",),
        "mosaic": ("mosaic_(medium)",),
        "oil": ("oil_painting_(medium)", "traditional_media"),
    },
}
"""Of a shape and a colour see `tags_of`: they make the tags "star", "red" and "red_star"."""

_ARTISTS = {
    "mira": "mira_sol_(micro)",
    "odo": "odo_kell_(micro)",
    "pim": "pim_rask_(micro)",
    "una": "una_voss_(micro)",
}
"""Characters, because the layout that these tags are published in knows no category of artists."""

_RATING_OF_BACKGROUND = {"sea": "sensitive", "desert": "sensitive", "sunset": "questionable", "night": "explicit"}
"""A rule as harmless as the world, about when one should be in bed: the strong sun of the sea and the desert is for
sensitive skin, a sunset questionable, the night explicit, and all else general."""


def tags_of(scene: Scene) -> dict[TagCategory, tuple[str, ...]]:
    """What a tagger that errs nowhere says of a picture."""
    general = [scene.shape, scene.colour, f"{scene.colour}_{scene.shape}"]
    for factor, names in _OF_VALUE.items():
        general += names[scene.value(factor)]
    return {
        "general": tuple(general),
        "character": (_ARTISTS[scene.artist],) if scene.artist in _ARTISTS else (),
        "rating": (_RATING_OF_BACKGROUND.get(scene.background, RATINGS[0]),),
    }


def all_tags() -> dict[TagCategory, tuple[str, ...]]:
    """All names of each category, in the order in which a list of tags has them."""
    composed = [f"{colour}_{shape}" for shape in FACTORS["shape"] for colour in FACTORS["colour"]]
    others = [name for names in _OF_VALUE.values() for tags in names.values() for name in tags]
    general = [*FACTORS["shape"], *FACTORS["colour"], *composed, *others]
    return {
        "rating": RATINGS,
        "general": tuple(dict.fromkeys(general)),
        "character": tuple(_ARTISTS.values()),
    }
