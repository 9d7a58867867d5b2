"""The words of the small picture world: many for every value of every factor.

`WORDS` are used in training. `HELD_OUT_WORDS` are not: they say the same with known words in new combinations, so
that a test can ask whether a model understands a wording it has never met. No wording of one value appears inside a
wording of another value of the same factor, which is what makes `captions.read` possible.
"""

from __future__ import annotations

Wordings = dict[str, dict[str, tuple[str, ...]]]

WORDS: Wordings = {
    # Nouns that take "a" and a plural with s or es.
    "shape": {
        "circle": ("circle", "disc", "round dot"),
        "square": ("square", "box", "square block"),
        "triangle": ("triangle", "pyramid", "triangle shape"),
        "star": ("star", "pointed star", "star shape"),
        "heart": ("heart", "love heart", "heart shape"),
        "cross": ("cross", "plus sign", "cross shape"),
        "ring": ("ring", "hoop", "round ring"),
        "moon": ("moon", "crescent", "crescent moon"),
    },
    # Adjectives.
    "colour": {
        "red": ("red", "scarlet", "bright red"),
        "orange": ("orange", "tangerine", "bright orange"),
        "yellow": ("yellow", "lemon yellow", "bright yellow"),
        "green": ("green", "emerald", "bright green"),
        "blue": ("blue", "cobalt blue", "bright blue"),
        "purple": ("purple", "violet", "bright purple"),
        "pink": ("pink", "rosy", "bright pink"),
    },
    # Adjectives for one shape, counts for several.
    "layout": {
        "small": ("small", "tiny", "little"),
        "large": ("large", "big", "huge"),
        "two": ("two", "a pair of", "a couple of"),
        "three": ("three", "a trio of", "a group of three"),
    },
    # Phrases of place.
    "background": {
        "meadow": ("in a meadow", "on the grass", "in a grassy field", "in the meadow under the sky"),
        "night": ("at night", "in the dark night sky", "in the dark", "at midnight"),
        "sea": ("by the sea", "in front of the ocean", "over the waves", "at the seaside"),
        "desert": ("in the desert", "on the sand", "among the dunes", "in a sandy desert"),
        "paper": ("on white paper", "on a white background", "on a blank page", "on plain paper"),
        "brick": ("on a brick wall", "in front of a brick wall", "on bricks", "against a wall of bricks"),
        "sunset": ("at sunset", "in the evening glow", "at dusk", "under a sunset sky"),
    },
    # Media, with their article where they take one.
    "style": {
        "flat": ("a flat vector illustration", "vector art", "a flat graphic", "a clean vector graphic"),
        "line": ("a line drawing", "an ink outline", "line art", "an outline drawing"),
        "pencil": ("a pencil sketch", "pencil hatching", "a pencil drawing", "a graphite sketch"),
        "watercolor": ("a watercolor painting", "a watercolor", "a soft watercolor", "watercolor on wet paint"),
        "pixel": ("pixel art", "a game sprite", "a pixel sprite", "pixel graphics"),
        "mosaic": ("a mosaic", "a tile mosaic", "mosaic tiles", "a mosaic of tiles"),
        "oil": ("an oil painting", "oil on canvas", "oil paint", "an oil painting with thick strokes"),
    },
    "artist": {
        "none": ("by nobody", "unsigned", "by no one in particular", "by an unknown artist"),
        "mira": ("by mira sol", "in the style of mira sol", "mira sol", "a work of mira sol"),
        "odo": ("by odo kell", "in the style of odo kell", "odo kell", "a work of odo kell"),
        "pim": ("by pim rask", "in the style of pim rask", "pim rask", "a work of pim rask"),
        "una": ("by una voss", "in the style of una voss", "una voss", "a work of una voss"),
    },
}

HELD_OUT_WORDS: Wordings = {
    "shape": {
        "circle": ("round circle",),
        "square": ("block square",),
        "triangle": ("pointed triangle",),
        "star": ("pointed star shape",),
        "heart": ("love heart shape",),
        "cross": ("plus sign cross",),
        "ring": ("hoop ring",),
        "moon": ("crescent shape",),
    },
    "colour": {
        "red": ("clean red",),
        "orange": ("clean orange",),
        "yellow": ("clean yellow",),
        "green": ("clean green",),
        "blue": ("clean blue",),
        "purple": ("clean purple",),
        "pink": ("clean pink",),
    },
    "layout": {
        "small": ("very small",),
        "large": ("very large",),
        "two": ("a group of two",),
        "three": ("a trio of three",),
    },
    "background": {
        "meadow": ("among the grass of a field",),
        "night": ("under the dark sky of midnight",),
        "sea": ("over the ocean",),
        "desert": ("among sand and dunes",),
        "paper": ("on a plain white page",),
        "brick": ("against plain bricks",),
        "sunset": ("under the glow of the evening",),
    },
    "style": {
        "flat": ("a clean flat vector",),
        "line": ("a clean outline in ink",),
        "pencil": ("graphite and pencil strokes",),
        "watercolor": ("wet watercolor paint",),
        "pixel": ("a sprite of pixel graphics",),
        "mosaic": ("tiles in a mosaic",),
        "oil": ("thick oil on canvas",),
    },
    "artist": {
        "none": ("work of an unknown artist",),
        "mira": ("art in mira sol style",),
        "odo": ("art in odo kell style",),
        "pim": ("art in pim rask style",),
        "una": ("art in una voss style",),
    },
}

FILLERS = (
    "a picture",
    "an image",
    "artwork",
    "a nice picture",
    "good quality",
    "made with care",
    "for children",
    "simple",
    "detailed",
    "a study",
)
