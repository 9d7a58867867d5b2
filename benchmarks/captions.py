"""Captions per second of BLIP at its real sizes: this captioner against the real clip-interrogator 0.6.0's loop.

One process, the same random weights, the same photographs in turns: theirs opens a picture, makes it ready and has
transformers write, in float32, 32 tokens at most; ours does what `Captioner` does by itself on this processor, and once
more in float32 throughout (--precision exact).

    python benchmarks/captions.py [--captioner base|large] [--pictures N] [--repeats N] [--threads N]
    python benchmarks/captions.py --captioner micro --pictures 200

Prints pictures a second by wall clock and by processor time, the ratios of both, where the time goes, and how many
words the precisions write differently. Not a test: nothing is asserted.

Random weights would write until they are cut off. The row of the end's word is therefore chosen so that the captions
end after 7 to 13 words, as BLIP's do, drawn for each picture; whatever runs uses that row. The other weights are drawn
in proportion to what goes in, since with transformers' own first weights all pictures look alike. What random weights
write hangs on differences that a trained model's words do not: the share that differs is rather too large. So there is
the micro captioner too, which was trained: how many of its words both precisions write differently, read by the classes
that a captioner of any folder has.
"""

from __future__ import annotations

import argparse
import copy
import difflib
import json
import os
import random
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import transformers
from clip_interrogator import clip_interrogator as peer
from PIL import Image
from skimage import data
from unrender.core.describe import Captioner
from unrender.core.describe.writing import blip, blip_writer
from unrender.core.describe.writing.ways import model_for
from unrender.core.devices import native_half
from unrender.core.images import open_image
from unrender.core.micro import CAPTIONER_FOLDER
from unrender.core.micro.pictures import render

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import tiny_captioners

SHORTEST, LONGEST = 7, 13
MOST = 32
START, END = 30_522, 102
SURE = 2.0
"""By how much the end's score is above or below all others."""

VISION = {"base": (768, 3072, 12, 12), "large": (1024, 4096, 24, 16)}


def random_blip(size: str) -> Any:
    width, inner, layers, heads = VISION[size]
    text = {"vocab_size": 30_524, "hidden_size": 768, "encoder_hidden_size": width, "intermediate_size": 3072}
    text |= {"num_hidden_layers": 12, "num_attention_heads": 12, "max_position_embeddings": 512}
    text |= {"bos_token_id": START, "eos_token_id": 2, "sep_token_id": END, "pad_token_id": 0}
    vision = {"hidden_size": width, "intermediate_size": inner, "num_hidden_layers": layers, "image_size": 384}
    vision |= {"num_attention_heads": heads, "patch_size": 16}
    torch.manual_seed(1)
    with torch.device("meta"):
        model = transformers.BlipForConditionalGeneration(
            transformers.BlipConfig(text_config=text, vision_config=vision)
        )
    model = model.to_empty(device="cpu").eval().requires_grad_(False)
    model.tie_weights()
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.LayerNorm):
            module.reset_parameters()
        elif isinstance(module, torch.nn.Linear | torch.nn.Conv2d):
            module.weight.normal_(std=(0.5 if "text" in name else 1) * module.weight[0].numel() ** -0.5)
            if module.bias is not None:
                module.bias.zero_()
    decoder = model.text_decoder
    decoder.bert.embeddings.word_embeddings.weight.normal_(std=0.05)
    decoder.bert.embeddings.position_embeddings.weight.normal_(std=1)  # or the first word is said again and again
    decoder.bert.embeddings.position_ids = torch.arange(512)[None]
    for each in (model.vision_model.embeddings.class_embedding, model.vision_model.embeddings.position_embedding):
        each.normal_(std=0.3)
    decoder.cls.predictions.bias.zero_()
    decoder.cls.predictions.decoder.bias = decoder.cls.predictions.bias
    return model


def processor(folder: Path) -> Any:
    """With as many made words as BLIP has, and as there no name for the token that writing starts with."""
    tiny_captioners.blip(folder)
    made = transformers.BlipProcessor.from_pretrained(folder)
    made.image_processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    made.image_processor.size = {"height": 384, "width": 384}
    special = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", END: "[SEP]", 103: "[MASK]"}
    vocabulary = {special.get(number, f"word{number}"): number for number in range(START)}
    made.tokenizer = transformers.BertTokenizer(vocab=vocabulary)
    return made


def end_captions(model: Any, pixels: torch.Tensor) -> None:
    """Chooses the row of the end's word so that each caption ends where it was drawn to."""
    decoder, states, scores = model.text_decoder, [], []
    words = decoder.cls.predictions.decoder
    words.bias[END] = -1e4

    def noted(_: Any, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        states.append(inputs[0].clone())
        scores.append(output.amax(-1))

    with torch.inference_mode(), words.register_forward_hook(noted):
        begun = torch.full((len(pixels), 1), START)
        blip_writer.write(decoder, blip.view(model.vision_model, pixels), begun, LONGEST + 1, -1, 0)
    drawn = random.Random(0)
    rows, wanted = [], []
    for picture in range(len(pixels)):
        length = drawn.randint(SHORTEST, LONGEST)
        for word in range(length + 1):
            rows.append(states[word][picture])
            wanted.append(scores[word][picture] + (SURE if word == length else -SURE))
    known = torch.stack(rows).double()
    row = torch.linalg.lstsq(known, torch.stack(wanted).double(), driver="gelsd").solution
    words.weight[END], words.bias[END] = row.float(), 0.0


def photographs(folder: Path, count: int) -> list[Path]:
    """JPEG files, four subjects at different crops."""
    folder.mkdir()
    originals = [Image.fromarray(getattr(data, name)()) for name in ("astronaut", "coffee", "cat", "rocket")]
    for number in range(count):
        original, edge = originals[number % 4], number // 4 * 7 % 120
        original.crop((edge, edge, original.width, original.height)).save(folder / f"{number:06}.jpg")
    return sorted(folder.iterdir())


def theirs(model: Any, made: Any) -> Callable[[list[Path]], list[str]]:
    config = peer.Config(quiet=True, device="cpu")
    itself: Any = SimpleNamespace(caption_model=model, caption_processor=made, device="cpu", dtype=torch.float32)
    itself.config, itself._prepare_caption = config, lambda: None

    def describe(paths: list[Path]) -> list[str]:
        return [
            " ".join(peer.Interrogator.generate_caption(itself, Image.open(path).convert("RGB")).split())
            for path in paths
        ]

    assert config.caption_max_length == MOST
    return torch.inference_mode()(describe)


def ours(model: Any, made: Any, dtype: torch.dtype) -> Callable[[list[Path]], list[str]]:
    captioner = Captioner("random BLIP", model_for("random BLIP", copy.deepcopy(model).to(dtype), made, dtype))
    return lambda paths: captioner.caption(open_image(path) for path in paths)


@contextmanager
def timed() -> Iterator[dict[str, float]]:
    """Processor seconds spent in each stage of ours."""
    module = sys.modules[__name__]
    parts = {"decoding": (module, "open_image"), "making ready": (blip.Blip, "_together")}
    parts |= {"vision": (blip, "view"), "writing": (blip, "write")}
    seconds = dict.fromkeys(parts, 0.0)
    originals = {stage: getattr(owner, name) for stage, (owner, name) in parts.items()}

    def timing(stage: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            started = time.process_time()
            try:
                return original(*arguments, **named)
            finally:
                seconds[stage] += time.process_time() - started

        return call

    for stage, (owner, name) in parts.items():
        setattr(owner, name, timing(stage, originals[stage]))
    try:
        yield seconds
    finally:
        for stage, (owner, name) in parts.items():
            setattr(owner, name, originals[stage])


def compare(sides: dict[str, Callable[[list[Path]], list[str]]], paths: list[Path], repeats: int) -> dict[str, Any]:
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    captions: dict[str, list[str]] = {}
    stages: dict[str, dict[str, float]] = {}
    for _ in range(repeats):
        for name, side in sides.items():
            with timed() as seconds:
                wall, processor_ = time.perf_counter(), time.process_time()
                captions[name] = side(paths)
                times[name].append((time.perf_counter() - wall, time.process_time() - processor_))
            if name != "theirs":
                stages[name] = {stage: round(1000 * value / len(paths), 1) for stage, value in seconds.items()}
    report: dict[str, Any] = {}
    for name, took in times.items():
        report[name] = {"pictures a second": [round(len(paths) / wall, 3) for wall, _ in took]}
        report[name] |= {"processor ms a picture": [round(1000 * each / len(paths)) for _, each in took]}
        if name != "theirs":
            pairs = list(zip(times["theirs"], took, strict=True))
            report[name] |= {"ratios, wall": [round(a[0] / b[0], 2) for a, b in pairs]}
            report[name] |= {"ratios, processor": [round(a[1] / b[1], 2) for a, b in pairs]}
            report[name] |= {"processor ms by stage": stages[name]}
            report[name] |= differing(captions["theirs"], captions[name])
    lengths = [len(caption.split()) for caption in captions["theirs"]]
    report["words a caption"] = f"{min(lengths)} to {max(lengths)}, {len(set(captions['theirs']))} captions differ"
    return report


def differing(wanted: list[str], written: list[str], whose: str = "theirs") -> dict[str, str]:
    words = same = 0
    for one, other in zip(wanted, written, strict=True):
        a, b = one.split(), other.split()
        words += max(len(a), len(b))
        same += sum(block.size for block in difflib.SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks())
    captions = sum(one != other for one, other in zip(wanted, written, strict=True))
    return {f"unlike {whose}": f"{captions} of {len(wanted)} captions, {words - same} of {words} words"}


def of_micro(pictures: int) -> dict[str, str]:
    """What half precision writes unlike float32."""
    shown = [Image.fromarray(each.permute(1, 2, 0).numpy()) for each in render("test", pictures).pixels]
    whole, half = (
        Captioner.load(str(CAPTIONER_FOLDER), "cpu", dtype).caption(shown) for dtype in (torch.float32, torch.bfloat16)
    )
    return {"title": "micro, bfloat16"} | differing(whole, half, "float32's")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--captioner", choices=(*VISION, "micro"), default="base")
    parser.add_argument("--pictures", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(options.threads)
    if options.captioner == "micro":
        print(json.dumps(of_micro(options.pictures), indent=1))
        return
    with tempfile.TemporaryDirectory() as name:
        made, model = processor(Path(name) / "blip"), random_blip(options.captioner)
        paths = photographs(Path(name) / "pictures", options.pictures)
        pixels = made.image_processor([open_image(path) for path in paths], return_tensors="pt").pixel_values
        end_captions(model, pixels)
        half = native_half(torch.device("cpu"))
        sides = {"theirs": theirs(model, made), "ours, exact": ours(model, made, torch.float32)}
        if half is not None:
            sides[f"ours, {str(half).removeprefix('torch.')}"] = ours(model, made, half)
        for side in sides.values():
            side(paths[:1])  # what happens once
        report = compare(sides, paths, options.repeats)
    report |= {"load": [round(each, 1) for each in os.getloadavg()]}
    print(json.dumps({"title": f"BLIP {options.captioner}, {options.threads} threads", **report}, indent=1))


if __name__ == "__main__":
    main()
