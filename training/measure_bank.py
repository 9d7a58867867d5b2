"""`python -m training.measure_bank` writes what the micro CLIP's pictures are compared with: how they lie and vary,
how far it and the captioner may be believed, and how near whole prompts come, from validation pictures alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from unrender.core.clip import Clip
from unrender.core.describe import load_describer
from unrender.core.evidence.bank import Bank
from unrender.core.evidence.likelihoods import Evidence, wordings
from unrender.core.index.nearness import learned_nearness
from unrender.core.micro import BANK_FILE, FAMILIES_FOLDER, MEASURES_FILE, PHRASES_FOLDER
from unrender.core.micro.pictures import render
from unrender.core.phrases.families import read_families
from unrender.core.phrases.table import PhraseTable
from unrender.core.phrases.vocabulary import load_vocabulary
from unrender.core.settings import CaptionSettings

NAME = "micro's validation pictures"
_PICTURES = 1000
_PROMPTED = 400


def main() -> None:
    bank = measured(_PICTURES)
    bank.save(BANK_FILE)
    near = bank.trust.nearness
    measures = json.loads(MEASURES_FILE.read_text(encoding="utf-8"))
    measures["validation"]["bank"] = {
        "pictures": bank.count,
        "temperature": round(bank.trust.temperature or 0, 2),
        "captions_right": {family: round(share, 4) for family, share in bank.trust.captions.items()},
        "nearness": None if near is None else {"mean": round(near.mean, 4), "deviation": round(near.deviation, 4)},
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
    bank = replace(bank, trust=Evidence(clip, families, table, bank).learned(features, captions))
    evidence, vocabulary = Evidence(clip, families, table, bank), load_vocabulary(None, PHRASES_FOLDER)
    with TemporaryDirectory() as folder:
        some = slice(_PROMPTED)
        near = learned_nearness(clip, evidence, vocabulary, features[some], captions[some], Path(folder))
    return replace(bank, trust=replace(bank.trust, nearness=near))


if __name__ == "__main__":
    main()
