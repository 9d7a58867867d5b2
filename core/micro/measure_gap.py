"""`python -m unrender.core.micro.measure_gap` writes where the micro CLIP's pictures lie, from training pictures."""

from __future__ import annotations

from PIL import Image

from ..clip import Clip
from ..embed.gap import GapCorrection
from . import GAP_FILE
from .pictures import render

_PICTURES = 900


def main() -> None:
    pixels = render("train", _PICTURES).pixels.permute(0, 2, 3, 1).numpy()
    features = Clip.load("micro", "cpu", "exact").encode_images([Image.fromarray(each) for each in pixels])
    GapCorrection.measured(features).save(GAP_FILE)


if __name__ == "__main__":
    main()
