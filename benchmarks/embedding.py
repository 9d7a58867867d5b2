"""How well pictures' embeddings meet the text encoder's own states, on micro.

`python benchmarks/embedding.py` prints, on validation pictures: the share of the variance of their captions' states
that each projection explains, by temperature and correction; and for texts the smallest number of prompts within 1 %
of the plateau.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile

import torch
from PIL import Image
from torch import Tensor
from unrender.core.clip import Clip
from unrender.core.clip.layers import LAST
from unrender.core.embed.blend import Blend
from unrender.core.embed.ridge import fit_maps
from unrender.core.embed.text_side import TextSide
from unrender.core.engine import Engine, Settings
from unrender.core.micro import PHRASES_FOLDER
from unrender.core.micro.captions import ALL_FACTORS, caption
from unrender.core.micro.pictures import render
from unrender.core.phrases.composed import composed_prompts
from unrender.core.phrases.vocabulary import load_vocabulary

COUNTS = (250, 500, 1000, 2000, 4000, 8000)
BLENDS = {
    "pinv": [("", {})],
    "ridge": [("", {})],
    "bank": [(f"temperature {t}", {"temperature": t}) for t in (0.02, 0.05, 0.1, 0.2)],
    "anchored": [(f"correction {s}", {"correction": s}) for s in (0.0, 0.25, 0.5, 0.75, 1.0)],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=200, help="validation pictures (default: 200)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as cache:
        settings = Settings(clip="micro", captioner="micro", device="cpu", precision="exact", cache=cache)
        with Engine(settings) as engine:
            _projections(engine, options.pictures)
            assert engine.clip is not None
            _plateau(engine.clip)


def _projections(engine: Engine, count: int) -> None:
    found = render("validation", count)
    pictures = [Image.fromarray(each.permute(1, 2, 0).numpy()) for each in found.pixels]
    rng = random.Random(0)
    captions = [caption(scene, rng, ALL_FACTORS, held_out=True).text for scene in found.scenes]
    wanted = torch.stack([_states(engine.embed_text(text, "micro").states) for text in captions])
    anchors = {mode: [engine.interrogate(each, mode).prompt for each in pictures] for mode in ("fast", "best")}
    for projection, settings in BLENDS.items():
        for name, values in settings:
            for mode in anchors if projection == "anchored" else [""]:
                made = []
                for number, picture in enumerate(pictures):
                    blend = Blend(anchor=anchors[mode][number] if mode else None, **values)
                    made.append(_states(engine.embed(picture, "micro", projection, blend).states))
                _say(f"{projection} {name} {mode}: {_explained(torch.stack(made), wanted):.3f} explained")


def _plateau(clip: Clip) -> None:
    vocabulary, side = load_vocabulary(None, PHRASES_FOLDER), TextSide.of(clip)
    held_out = composed_prompts(vocabulary, 1000, "held out")
    x, (wanted,) = clip.encode_texts(held_out), side.states(held_out)[0]
    scores = {}
    for count in COUNTS:
        (fitted,) = fit_maps(clip.encode_texts, side, (LAST,), composed_prompts(vocabulary, count)).values()
        scores[count] = _explained(fitted.states(x), wanted)
        _say(f"ridge, {count} prompts: {scores[count]:.4f} of unseen texts' variance explained")
    enough = next(count for count, score in scores.items() if score >= 0.99 * max(scores.values()))
    _say(f"smallest count within 1 % of the plateau: {enough}")


def _explained(found: Tensor, wanted: Tensor) -> float:
    return 1 - float((found - wanted).pow(2).sum() / (wanted - wanted.mean(0)).pow(2).sum())


def _states(states: Tensor | None) -> Tensor:
    assert states is not None
    return states[:77]


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
