"""`python -m training.measure_gap` writes where the micro CLIP's pictures lie, from training pictures."""

from __future__ import annotations

from PIL import Image
from unrender.core.clip import Clip
from unrender.core.embed.gap import GapCorrection
from unrender.core.micro import GAP_FILE
from unrender.core.micro.pictures import render

_PICTURES = 900


def main() -> None:
    pixels = render("train", _PICTURES).pixels.permute(0, 2, 3, 1).numpy()
    features = Clip.load("micro", "cpu", "exact").encode_images([Image.fromarray(each) for each in pixels])
    GapCorrection.measured(features).save(GAP_FILE)


if __name__ == "__main__":
    main()
