"""`python -m training.measure_bank` writes what the micro CLIP's pictures are compared with: how they lie and vary, and
how far it and the captioner may be believed, from validation pictures alone."""

from __future__ import annotations

import json
from dataclasses import replace

from PIL import Image
from unrender.core.clip import Clip
from unrender.core.describe import load_describer
from unrender.core.evidence.bank import Bank
from unrender.core.evidence.likelihoods import Evidence, wordings
from unrender.core.micro import BANK_FILE, FAMILIES_FOLDER, MEASURES_FILE
from unrender.core.micro.pictures import render
from unrender.core.phrases.families import read_families
from unrender.core.phrases.table import PhraseTable
from unrender.core.settings import CaptionSettings

NAME = "micro's validation pictures"
_PICTURES = 1000


def main() -> None:
    bank = measured(_PICTURES)
    bank.save(BANK_FILE)
    measures = json.loads(MEASURES_FILE.read_text(encoding="utf-8"))
    measures["validation"]["bank"] = {
        "pictures": bank.count,
        "temperature": round(bank.trust.temperature or 0, 2),
        "captions_right": {family: round(share, 4) for family, share in bank.trust.captions.items()},
    }
    MEASURES_FILE.write_text(json.dumps(measures, indent=1) + "\n", encoding="utf-8")


def measured(count: int, clip: Clip | None = None, name: str = NAME) -> Bank:
    """From so many of the pictures, as micro's CLIP or another of its kind sees them."""
    pixels = render("validation", count).pixels.permute(0, 2, 3, 1).numpy()
    pictures = [Image.fromarray(each) for each in pixels]
    clip, families = clip or Clip.load("micro", "cpu", "exact"), read_families(FAMILIES_FOLDER)
    features = clip.encode_images(pictures)
    captions = [each.text for each in load_describer("micro").describe(pictures, CaptionSettings())]
    bank = Bank.of_pictures(name, features, clip)
    phrases = wordings(families)
    table = PhraseTable(phrases, ("families",) * len(phrases), clip.encode_texts(phrases))
    return replace(bank, trust=Evidence(clip, families, table, bank).learned(features, captions))


if __name__ == "__main__":
    main()
