"""The pictures, lists and texts that the questions are about: the same bytes and times in every run."""

from __future__ import annotations

import io
import json
import os
import random
import tarfile
from pathlib import Path

from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

TIME = 1_700_000_000
MANY = 120  # what curate needs to tell what is turned

_A1111 = (
    "a (red:1.2) circle, flat\nNegative prompt: blurry\n"
    "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 42, Size: 64x64, Model: micro"
)
_COMFYUI = {
    "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "micro.safetensors"}},
    "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "a blue square", "clip": ["1", 1]}},
    "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry", "clip": ["1", 1]}},
    "4": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
    "5": {
        "class_type": "KSampler",
        "inputs": {
            **{"seed": 7, "steps": 20, "cfg": 7.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0},
            **{"model": ["1", 0], "positive": ["2", 0], "negative": ["3", 0], "latent_image": ["4", 0]},
        },
    },
    "6": {"class_type": "VAEDecode", "inputs": {"samples": ["5", 0], "vae": ["1", 2]}},
    "7": {"class_type": "SaveImage", "inputs": {"images": ["6", 0], "filename_prefix": "out"}},
}


def write(folder: Path) -> None:
    for name in ("photos/sub", "many", "lists"):
        (folder / name).mkdir(parents=True)
    drawn = _drawings(MANY)
    _write_drawings(folder, drawn)
    _write_others(folder, drawn[0])
    _write_texts(folder)
    _write_samples(folder / "samples.tar", drawn[:2])
    for path in folder.rglob("*"):
        os.utime(path, (TIME, TIME))


def _drawings(count: int) -> list[Image.Image]:
    from unrender.core.micro.drawing import draw
    from unrender.core.micro.world import random_scene

    rng = random.Random("answers")
    return [draw(random_scene(rng, "test"), seed).picture for seed in range(count)]


def _write_drawings(folder: Path, drawn: list[Image.Image]) -> None:
    for number, picture in enumerate(drawn):
        picture.save(folder / "many" / f"{number:03}.png")
    for number, picture in enumerate(drawn[:4]):
        picture.save(folder / f"drawn-{number}.png")
    drawn[4].save(folder / "photos" / "known.png")
    drawn[5].save(folder / "photos" / "other one.png")
    drawn[6].save(folder / "photos" / "sub" / "deep.png")


def _write_others(folder: Path, drawn: Image.Image) -> None:
    """Real photographs, which scikit-image ships, and what files hold besides pixels."""
    from skimage import data

    photograph = Image.fromarray(data.astronaut())
    photograph.save(folder / "photograph.jpg")
    photograph.resize((160, 160)).save(folder / "photos" / "person.jpg")
    Image.fromarray(data.camera()).save(folder / "grey.png")
    turned = Image.Exif()
    turned[274], turned[270] = 6, "a drawing on its side"  # orientation, description
    drawn.rotate(90).save(folder / "turned.jpg", exif=turned)
    for name, key, text in (("webui", "parameters", _A1111), ("comfyui", "prompt", json.dumps(_COMFYUI))):
        texts = PngInfo()
        texts.add_text(key, text)
        drawn.save(folder / f"{name}.png", pnginfo=texts)
    (folder / "broken.png").write_bytes((folder / "grey.png").read_bytes()[:2000])
    mask = Image.new("L", drawn.size)
    ImageDraw.Draw(mask).rectangle((0, 0, 40, 40), fill=255)
    mask.save(folder / "mask.png")


def _write_texts(folder: Path) -> None:
    names = ("drawn-0.png", "drawn-1.png", "photos/sub/deep.png")
    texts = {
        "list.csv": "\n".join(("image,note", *(f"{name},x" for name in names))),
        "list.jsonl": "\n".join(json.dumps({"file_name": name}) for name in names),
        "phrases.txt": "a red circle\na blue square\na green star\nfreedom",
        "excluded.txt": "by odo\na line drawing",
        "lists/flavors.txt": "quiet\nloud\nat night\nin the sun\nround",
        "lists/moods.txt": "cheerful\nsad\nserious",
        "photos/known.txt": "what was known before",
    }
    texts.update({f"many/{number:03}.txt": f"drawing number {number}" for number in range(30)})
    for name, text in texts.items():
        (folder / name).write_text(text + "\n", encoding="utf-8")


def _write_samples(path: Path, drawn: list[Image.Image]) -> None:
    """A WebDataset of a picture and a label each."""
    with tarfile.open(path, "w") as samples:
        for number, picture in enumerate(drawn):
            file = io.BytesIO()
            picture.save(file, "PNG")
            for ending, content in (("png", file.getvalue()), ("cls", str(number).encode())):
                member = tarfile.TarInfo(f"{number:04}.{ending}")
                member.size = len(content)
                samples.addfile(member, io.BytesIO(content))
