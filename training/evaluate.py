"""How good the two small models are: accuracies on pictures of combinations that training has not seen.

`python -m training.evaluate` adds the measures on the test pictures to the measures file, once per trained
weights: everything that can be chosen is chosen on the validation pictures.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F
from transformers import BertTokenizer, BlipForConditionalGeneration, CLIPModel, CLIPTokenizer
from unrender.core.micro import CLIP_FOLDER, MEASURES_FILE
from unrender.core.micro.captions import ALL_FACTORS, bare_phrases, caption, plural, read, with_article, without_article
from unrender.core.micro.pictures import Pictures, normalise, render
from unrender.core.micro.wordings import WORDS
from unrender.core.micro.world import FACTORS, Scene

CHUNK = 250


@torch.inference_mode()
def embed_pictures(model: CLIPModel, pixels: torch.Tensor) -> torch.Tensor:
    """Unit vectors (n, width) of uint8 pixels (n, 3, 64, 64)."""
    parts = [
        model.visual_projection(model.vision_model(normalise(some).to(model.device)).pooler_output)
        for some in pixels.split(CHUNK)
    ]
    return F.normalize(torch.cat(parts).float(), dim=-1)


@torch.inference_mode()
def embed_patches(model: CLIPModel, pixels: torch.Tensor) -> torch.Tensor:
    """Unit vectors (n, 64, width): each patch projected as if it were the whole picture."""
    parts = []
    for some in pixels.split(CHUNK):
        patches = model.vision_model(normalise(some).to(model.device)).last_hidden_state[:, 1:]
        parts.append(model.visual_projection(model.vision_model.post_layernorm(patches)))
    return F.normalize(torch.cat(parts).float(), dim=-1)


@torch.inference_mode()
def embed_texts(model: CLIPModel, tokenizer: CLIPTokenizer, texts: Sequence[str]) -> torch.Tensor:
    """Unit vectors (n, width)."""
    parts = []
    for start in range(0, len(texts), CHUNK):
        some = list(texts[start : start + CHUNK])
        tokens = tokenizer(some, padding=True, truncation=True, return_tensors="pt")["input_ids"]
        parts.append(model.text_projection(model.text_model(tokens.to(model.device)).pooler_output))
    return F.normalize(torch.cat(parts).float(), dim=-1)


def zero_shot_phrases(factor: str, value: str, *, held_out: bool = False) -> list[str]:
    """The phrases whose mean stands for a value: its wordings alone, with and without article, and plural shapes."""
    phrases: list[str] = []
    for wording in bare_phrases(factor, value, held_out=held_out):
        phrases += [wording, without_article(wording)]
        if factor == "shape":
            phrases += [with_article(wording), plural(wording)]
        if factor == "layout":
            phrases.append(wording + (" shapes" if value in ("two", "three") else " shape"))
    return list(dict.fromkeys(phrases))


def class_vectors(model: CLIPModel, tokenizer: CLIPTokenizer, factor: str, *, held_out: bool = False) -> torch.Tensor:
    """One unit vector per value of a factor."""
    means = [
        embed_texts(model, tokenizer, zero_shot_phrases(factor, value, held_out=held_out)).mean(0)
        for value in FACTORS[factor]
    ]
    return F.normalize(torch.stack(means), dim=-1)


def zero_shot(
    model: CLIPModel, tokenizer: CLIPTokenizer, pictures: Pictures, *, held_out: bool = False
) -> dict[str, float]:
    """Share of pictures whose value is the nearest phrase's, per factor."""
    seen = embed_pictures(model, pictures.pixels)
    labels = pictures.labels.to(seen.device)
    return {
        factor: _share(
            (seen @ class_vectors(model, tokenizer, factor, held_out=held_out).T).argmax(1) == labels[:, index]
        )
        for index, factor in enumerate(FACTORS)
    }


def _true_caption_first(
    model: CLIPModel, tokenizer: CLIPTokenizer, seen: torch.Tensor, scenes: Sequence[Scene]
) -> float:
    """Share of pictures nearer to their own full caption than to every caption with one factor changed."""
    texts, groups = [], []
    for number, scene in enumerate(scenes):
        group = [scene, *scene.neighbours()]
        texts += [_same_wording(one, number) for one in group]
        groups.append(len(group))
    split = embed_texts(model, tokenizer, texts).split(groups)
    return sum(int((group @ one).argmax() == 0) for group, one in zip(split, seen, strict=True)) / len(scenes)


def _retrieval(model: CLIPModel, tokenizer: CLIPTokenizer, seen: torch.Tensor, pictures: Pictures) -> float:
    """Share of full captions whose nearest picture has the same six factors."""
    texts = [_same_wording(scene, number) for number, scene in enumerate(pictures.scenes)]
    nearest = (embed_texts(model, tokenizer, texts) @ seen.T).argmax(1).cpu()
    return _share((pictures.labels[nearest] == pictures.labels).all(1))


def _patch_auc(model: CLIPModel, tokenizer: CLIPTokenizer, pictures: Pictures) -> float:
    """How surely a covered patch is nearer to "a red star" than a bare one: mean area under the curve."""
    patches = embed_patches(model, pictures.pixels)
    texts = [f"a {scene.colour} {WORDS['shape'][scene.shape][0]}" for scene in pictures.scenes]
    heat = (patches @ embed_texts(model, tokenizer, texts)[:, :, None])[..., 0].cpu()
    covered = F.avg_pool2d(pictures.masks[:, None].float() / 255, 8).flatten(1)
    areas = []
    for one, share in zip(heat, covered, strict=True):
        inside, outside = one[share > 0.5], one[share == 0]
        if len(inside) and len(outside):
            areas.append((inside[:, None] > outside[None]).float().mean())
    return float(torch.stack(areas).mean())


def _same_wording(scene: Scene, number: int) -> str:
    """A full caption; the same number gives scenes of one neighbourhood the same form and choice of words."""
    return caption(scene, random.Random(number), ALL_FACTORS).text


def measure_clip(
    model: CLIPModel, tokenizer: CLIPTokenizer, pictures: Pictures, *, detailed: int = 1000, neighbourhoods: int = 300
) -> dict[str, Any]:
    """All measures of a CLIP. Those over captions use the first `detailed` pictures, the one over all one-factor
    neighbours of a caption the first `neighbourhoods`."""
    model.eval()
    few = pictures.first(detailed)
    seen = embed_pictures(model, few.pixels)
    accuracy = zero_shot(model, tokenizer, pictures)
    unmet = zero_shot(model, tokenizer, pictures, held_out=True)
    return _rounded(
        {
            "pictures": len(pictures.scenes),
            "zero_shot": accuracy,
            "zero_shot_mean": _mean(accuracy.values()),
            "zero_shot_held_out_wordings": unmet,
            "zero_shot_held_out_wordings_mean": _mean(unmet.values()),
            "true_caption_first_of_neighbours": _true_caption_first(
                model, tokenizer, seen[:neighbourhoods], few.scenes[:neighbourhoods]
            ),
            "caption_finds_equal_picture": _retrieval(model, tokenizer, seen, few),
            "patch_localisation_auc": _patch_auc(model, tokenizer, few),
        }
    )


@torch.inference_mode()
def write_captions(model: BlipForConditionalGeneration, tokenizer: BertTokenizer, pixels: torch.Tensor) -> list[str]:
    """The captioner's most likely words for each of uint8 pixels (n, 3, 64, 64)."""
    texts: list[str] = []
    for some in pixels.split(CHUNK):
        ids = model.generate(pixel_values=normalise(some).to(model.device), max_new_tokens=30, num_beams=1)
        texts += tokenizer.batch_decode(ids, skip_special_tokens=True)
    return texts


def measure_captioner(
    model: BlipForConditionalGeneration, tokenizer: BertTokenizer, pictures: Pictures
) -> dict[str, Any]:
    """Share of captions that name the true value of each factor it speaks of (all but the artist)."""
    model.eval()
    named = [read(text) for text in write_captions(model, tokenizer, pictures.pixels)]
    shares = {
        factor: _mean(one.get(factor) == scene.value(factor) for one, scene in zip(named, pictures.scenes, strict=True))
        for factor in FACTORS
        if factor != "artist"
    }
    return _rounded({"pictures": len(named), "named": shares, "named_mean": _mean(shares.values())})


def measure_folders(folder: Path, pictures: Pictures) -> dict[str, Any]:
    """Measures the models in `folder`/clip and `folder`/blip, loaded the way any user of transformers would."""
    clip = CLIPModel.from_pretrained(folder / "clip")
    captioner = BlipForConditionalGeneration.from_pretrained(folder / "blip")
    return {
        "clip": measure_clip(clip, CLIPTokenizer.from_pretrained(folder / "clip"), pictures),
        "captioner": measure_captioner(captioner, BertTokenizer.from_pretrained(folder / "blip"), pictures),
    }


def _share(right: torch.Tensor) -> float:
    return float(right.float().mean())


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return round(value, 4) if isinstance(value, float) else value


def main() -> None:
    measures = json.loads(MEASURES_FILE.read_text(encoding="utf-8"))
    if "test" in measures:
        raise SystemExit(f"{MEASURES_FILE} already holds the test measures of these weights.")
    measures["test"] = measure_folders(CLIP_FOLDER.parent, render("test", 2000))
    MEASURES_FILE.write_text(json.dumps(measures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
