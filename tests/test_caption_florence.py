"""Florence-2 in all its shapes: its tasks and PromptGen's, and as Microsoft published it, whose code is not run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import tiny_captioners as tiny
import torch
from captioner_fixtures import folders, images  # noqa: F401
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny_captioners import change_json, sentence
from unrender.core.describe import Captioner
from unrender.core.describe.writing.florence import PROMPTGEN_TASKS, TASKS
from unrender.core.describe.writing.florence_original import renamed
from unrender.core.errors import ModelError, SettingsError
from unrender.core.settings import WRITING_STYLES, CaptionSettings

pytestmark = pytest.mark.skipif("florence" not in tiny.MAKERS, reason="this transformers has no Florence-2")

BLOCK = {"conv1": "conv1.fn.dw", "conv2": "conv2.fn.dw", "norm1": "{attention}.norm", "norm2": "ffn.norm"}
BLOCK |= {"window_attn": "window_attn.fn", "channel_attn": "channel_attn.fn", "ffn": "ffn.fn.net"}
PROJECTOR = {"image_position_embed": "image_pos_embed", "image_projection.weight": "image_projection"}


def published(name: str) -> str:
    """The name of a weight in Microsoft's files, for transformers' name of it: written apart from what reads them."""
    parts = name.split(".")
    if parts[:2] == ["model", "language_model"]:
        return ".".join(["language_model", "model", *parts[2:]])
    if parts[0] == "lm_head":
        return f"language_model.{name}"
    if parts[1] == "multi_modal_projector":
        rest = ".".join(parts[2:])
        return next((rest.replace(ours, theirs) for ours, theirs in PROJECTOR.items() if ours in rest), rest)
    if parts[2] == "convs":
        return name.removeprefix("model.").replace(".conv.", ".proj.")
    *start, kind, part, last = [*parts[1:6], ".".join(parts[6:-1]), parts[-1]]
    first, _, inner = part.partition(".")
    attention = "window_attn" if kind == "spatial_block" else "channel_attn"
    theirs = BLOCK[first].format(attention=attention)
    return ".".join([*start, kind, theirs, *([inner] if inner else []), last])


def as_microsoft(folder: Path, to: Path) -> Path:
    """The same model in the layout of the original, whose tokenizer knows no picture's place."""
    shutil.copytree(folder, to)
    weights = {published(name): value for name, value in load_file(folder / "model.safetensors").items()}
    weights["image_projection"] = weights["image_projection"].T.contiguous()
    words = weights["language_model.model.shared.weight"]
    weights["language_model.final_logits_bias"] = torch.zeros(1, len(words))
    save_file(weights, to / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    vision, text = config["vision_config"], config["text_config"]
    vision |= {"model_type": "davit", "dim_embed": vision.pop("embed_dim"), "enable_checkpoint": False}
    vision["visual_temporal_embedding"] = {"type": "COSINE", "max_temporal_embeddings": 100}
    vision["image_pos_embed"] = {"type": "learned_abs_2d", "max_pos_embeddings": 50}
    vision["image_feature_source"] = ["spatial_avg_pool", "temporal_avg_pool"]
    code = {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"}
    text |= {"model_type": "florence2_language", "auto_map": code}
    config |= {"auto_map": code, "vision_config": vision, "text_config": text}
    for key in ("image_token_id", "is_encoder_decoder", "tie_word_embeddings"):
        config.pop(key, None)
    (to / "config.json").write_text(json.dumps(config))
    (to / "own.py").write_text("raise SystemExit('this ran')")
    change_json(to / "preprocessor_config.json", auto_map={"AutoProcessor": "own.Processor"})
    (to / "processor_config.json").unlink()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        path = to / name
        path.write_text(path.read_text().replace("<image>", "<old>"))
    kept = json.loads((to / "tokenizer_config.json").read_text())
    lost = ("image_token", "extra_special_tokens", "additional_special_tokens", "model_specific_special_tokens")
    kept = {key: value for key, value in kept.items() if key not in lost}
    (to / "tokenizer_config.json").write_text(json.dumps(kept))
    return to


@pytest.fixture
def original(folders: dict[str, Path], tmp_path: Path) -> Path:  # noqa: F811
    return as_microsoft(folders["florence"], tmp_path / "original")


def test_names_are_those_of_transformers(folders: dict[str, Path]) -> None:  # noqa: F811
    for name in load_file(folders["florence"] / "model.safetensors"):
        assert renamed(published(name)) == name


def test_the_original_says_what_transformers_class_says_and_runs_no_code(
    original: Path,
    folders: dict[str, Path],  # noqa: F811
    images: list[Image.Image],  # noqa: F811
) -> None:
    native = Captioner.load(str(folders["florence"]))
    ours = Captioner.load(str(original))
    for settings in (CaptionSettings(max_length=8), CaptionSettings(instruction="<DETAILED_CAPTION>", max_length=8)):
        expected = native.caption(images, settings)
        assert ours.caption(images, settings) == expected
        assert len(set(expected)) > 1
    assert Captioner.load(str(original), dtype=torch.bfloat16).nbytes * 2 == ours.nbytes


@pytest.mark.parametrize("damage", ["lacking", "shape"])
def test_what_does_not_agree_is_refused(original: Path, damage: str) -> None:
    weights = load_file(original / "model.safetensors")
    key = "vision_tower.blocks.0.0.spatial_block.ffn.fn.net.fc1.weight"
    del weights[key]
    if damage == "shape":
        weights[key] = torch.zeros(3, 3)
    save_file(weights, original / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks weights of Florence-2|of other shapes") as error:
        Captioner.load(str(original))
    sentence(error)


def test_each_task_that_gives_a_text(folders: dict[str, Path], images: list[Image.Image]) -> None:  # noqa: F811
    captioner = Captioner.load(str(folders["florence"]))
    for task in TASKS:
        assert len(captioner.caption(images[:2], CaptionSettings(instruction=task, max_length=5))) == 2
    with pytest.raises(SettingsError, match="<GENERATE_TAGS>"):
        captioner.caption(images[:1], CaptionSettings(instruction="<OD>"))


@pytest.mark.parametrize(
    ("name", "tags"), [("florence", "<CAPTION>"), ("Florence-2-base-PromptGen-v2.0", "<GENERATE_TAGS>")]
)
def test_a_style_chooses_the_task(
    folders: dict[str, Path],  # noqa: F811
    images: list[Image.Image],  # noqa: F811
    tmp_path: Path,
    name: str,
    tags: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    captioner = Captioner.load(str(shutil.copytree(folders["florence"], tmp_path / name)))
    asked: list[str] = []
    processor = captioner._model._processor
    call = type(processor).__call__

    def noted(self: object, *, text: list[str], **inputs: object) -> object:
        asked.extend(text)
        return call(self, text=text, **inputs)

    monkeypatch.setattr(type(processor), "__call__", noted)
    for style in (None, *WRITING_STYLES):
        captioner.caption(images[:1], CaptionSettings(style=style, max_length=2))
    told = dict(zip((None, *WRITING_STYLES), asked, strict=True))
    assert told[None] == "<CAPTION>" and told["tags"] == tags
    assert told["paragraph"] == "<MORE_DETAILED_CAPTION>" and set(asked) <= {*TASKS}


def test_promptgen_leaves_no_marks(
    folders: dict[str, Path],  # noqa: F811
    images: list[Image.Image],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    captioner = Captioner.load(str(folders["florence"]))
    monkeypatch.setattr(captioner._model, "_decode", lambda tokens: ["</s><s>1girl, <loc_12>smile <ANALYZE> x<pad>"])
    for task in PROMPTGEN_TASKS:
        assert captioner.caption(images[:1], CaptionSettings(instruction=task)) == ["1girl, smile x"]
