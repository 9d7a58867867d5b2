"""What guided decoding costs beside the greedy chain, at ViT-L-14's and blip-large's real sizes with random weights.

    python benchmarks/written.py [--clip ViT-L-14] [--captioner base|large] [--pictures N] [--rows N] [--rounds N]

In one process, in turns, in CPU seconds of one thread: a whole search of `core.prompt.written`, the captioner's look at
the picture included, judged by the built-in families; and the greedy chain of `best` over 2,048 phrases. The chain is
counted on `--rows` of a round's phrases behind a prompt of middle length, scaled up, times `--rounds`: 8 are what it
takes at least, most prompts take more. Its caption is not counted. Prints JSON.

Random weights end no sentence: a search takes as many steps as `--words` allows, 24 by default, twice what BLIP's
captions have. The captioner's words are those of the CLIP's own vocabulary, so that they have as many tokens as real
ones. Not a test: nothing is asserted.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import captions
import numpy as np
import open_clip
import torch
import transformers
from PIL import Image
from skimage import data
from unrender.core.clip import Clip
from unrender.core.describe import Captioner
from unrender.core.describe.writing.ways import model_for
from unrender.core.evidence.likelihoods import Answer
from unrender.core.phrases import load_vocabulary
from unrender.core.phrases.families import BUILT_IN_FAMILIES, Claims, read_families
from unrender.core.prompt.search import Scorer
from unrender.core.prompt.written import WritingRules, truth_by, written_texts
from unrender.core.settings import CaptionSettings

CANDIDATES = 2048
PROMPT = "a painting of a woman sitting, soft light, cubism, 85mm lens, by monet, fog, neon glow"
CONTRASTS = 64


def clip_of(name: str) -> Clip:
    torch.manual_seed(0)
    model = open_clip.CLIP(**open_clip.get_model_config(name)).eval()
    transform = open_clip.image_transform(224, is_train=False)
    return Clip.from_open_clip(model, transform, open_clip.get_tokenizer("ViT-B-32"), device="cpu", precision="auto")


def captioner_of(size: str, folder: Path) -> Captioner:
    model, made = captions.random_blip(size), captions.processor(folder)
    words = [word[:-4] for word in open_clip.tokenizer.SimpleTokenizer().encoder if word.endswith("</w>")]
    plain = dict.fromkeys(word for word in words if word.isascii() and word.isalpha())
    special = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", captions.END: "[SEP]", 103: "[MASK]"}
    rest = iter(plain)
    names = {special.get(number) or next(rest, f"word{number}"): number for number in range(captions.START)}
    made.tokenizer = transformers.BertTokenizer(vocab=names)
    return Captioner("random BLIP", model_for("random BLIP", model, made, torch.float32))


def truth() -> Callable[[str], float]:
    """As much work as any, of no picture."""
    families = read_families(BUILT_IN_FAMILIES)
    drawn = np.random.default_rng(0)
    shares = {family.name: drawn.dirichlet(np.ones(len(family.concepts))) for family in families}
    answers = {family.name: Answer(family, shares[family.name], shares[family.name]) for family in families}
    return truth_by(Claims(families), answers)


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    started = time.process_time()
    found = call()
    return time.process_time() - started, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--clip", default="ViT-L-14")
    parser.add_argument("--captioner", choices=tuple(captions.VISION), default="large")
    parser.add_argument("--pictures", type=int, default=1)
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--words", type=int, default=24)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    clip, says, vocabulary = clip_of(options.clip), truth(), load_vocabulary("peer")
    phrases = vocabulary.phrases("flavors")[: CANDIDATES * 40 : 40][: options.rows]
    contrasts = clip.encode_texts([*vocabulary.phrases("flavors")[:CONTRASTS]])
    rules, report = WritingRules(most=options.words), []
    with tempfile.TemporaryDirectory() as name:
        captioner = captioner_of(options.captioner, Path(name) / "blip")
        for shown in ("astronaut", "coffee", "cat", "rocket")[: options.pictures]:
            image = Image.fromarray(getattr(data, shown)())
            features = clip.encode_images([image])[0]
            scorer = Scorer(clip, features)

            def chain(scorer: Scorer = scorer) -> None:
                clip.text.forget()
                scorer.best_continuation(PROMPT, phrases, 1.0)

            def written(image: Image.Image = image, features: torch.Tensor = features) -> Any:
                words = captioner.next_words(captioner.seen(image), CaptionSettings(max_length=options.words))
                assert words is not None
                return written_texts(clip, features, words, contrasts, says, rules)

            chain()  # token ids of phrases are known from the first round on
            round_, _ = timed(chain)
            took, found = timed(written)
            greedy = round_ * CANDIDATES / len(phrases) * options.rounds
            report.append({"greedy": round(greedy, 1), "written": round(took, 1), "ratio": round(took / greedy, 3)})
            report[-1]["words"] = len(found[0].text.split())
    title = f"{options.clip}, BLIP {options.captioner}, {options.rounds} rounds on {len(phrases)} phrases, scaled"
    print(json.dumps({"title": title, "CPU seconds": report, "load": os.getloadavg()}, indent=1))


if __name__ == "__main__":
    main()
