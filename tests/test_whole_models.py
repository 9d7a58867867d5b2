"""A model without all of its weights, or described otherwise than it is: a sentence says what lacks."""

from __future__ import annotations

import ast
import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import file_seeds
import pytest
import torch
from file_seeds import WEIGHTS
from safetensors.torch import load_file, save_file
from unrender.core.errors import ModelError, UnrenderError

CASES = Path(__file__).parent / "data" / "model_files"


def without(folder: Path, *beginnings: str, file: str = WEIGHTS) -> Path:
    state = load_file(folder / file)
    kept = {name: tensor for name, tensor in state.items() if not name.startswith(beginnings)}
    assert len(kept) < len(state)
    save_file(kept, folder / file, metadata={"format": "pt"})
    return folder


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def refusal(read: Callable[[Path], object], place: Path) -> str:
    with pytest.raises(ModelError) as error:
        read(place)
    told = str(error.value)
    assert "\n" not in told and len(told) < 700, told
    return told


def test_a_folder_without_some_weights_runs_on_none(tmp_path: Path) -> None:
    folder = without(file_seeds.clip_folder(tmp_path), "vision_model.encoder.layers.1.")
    told = refusal(file_seeds.load_clip, folder)
    assert "lacks weights of CLIPModel: vision_model.encoder.layers.1." in told and "13 more" in told


@pytest.mark.parametrize("side", ["vision_model.", "text_model."])
@pytest.mark.parametrize("load", [file_seeds.load_clip, file_seeds.load_clip_file])
def test_an_encoder_alone_is_none_in_any_form(tmp_path: Path, load: Callable[[Path], object], side: str) -> None:
    other = "text_model." if side == "vision_model." else "vision_model."
    folder = without(file_seeds.clip_folder(tmp_path), other)
    assert other in refusal(load, folder) or "no CLIP with both" in refusal(load, folder)
    for name in ("config.json", "preprocessor_config.json"):
        (folder / name).unlink()
    assert "no whole CLIP" in (told := refusal(file_seeds.load_clip_file, folder)) or "no CLIP with both" in told


def test_a_text_encoder_of_its_own_kind_is_no_clip(tmp_path: Path) -> None:
    from transformers import CLIPTextConfig, CLIPTextModel

    folder = file_seeds.clip_folder(tmp_path)
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    CLIPTextModel(CLIPTextConfig(vocab_size=965, bos_token_id=963, eos_token_id=964, **small)).save_pretrained(folder)
    told = refusal(file_seeds.load_clip, folder)
    assert "CLIPTextModel" in told or "'clip_text_model'" in told, "which older transformers load no model by"


def test_open_clip_without_some_weights(tmp_path: Path) -> None:
    file = "open_clip_model.safetensors"
    folder = without(file_seeds.open_clip_folder(tmp_path), "visual.transformer", file=file)
    assert "lacks visual.transformer.resblocks.0." in refusal(file_seeds.load_clip, folder)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    folder = file_seeds.sharded_clip_folder(tmp_path)
    (folder / "model-00002-of-00002.safetensors").unlink()
    assert "lacks model-00002-of-00002.safetensors" in refusal(file_seeds.load_clip, folder)


def test_a_captioner_without_some_weights(tmp_path: Path) -> None:
    folder = without(file_seeds.captioner_folder(tmp_path), "text_decoder.bert.encoder.layer.0.attention")
    told = refusal(file_seeds.load_captioner, folder)
    assert "lacks weights of BlipForConditionalGeneration: text_decoder.bert.encoder.layer.0.attention" in told


def test_a_judge_without_some_weights(tmp_path: Path) -> None:
    pytest.importorskip("transformers", minversion="4.31", reason="DINOv2 came by then")
    from transformers import Dinov2Config, Dinov2Model
    from unrender.core.verify.dino import Dino

    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 28}
    Dinov2Model(Dinov2Config(**small)).save_pretrained(tmp_path)
    assert Dino.load(str(tmp_path), "cpu")
    without(tmp_path, "layernorm.")
    assert "layernorm.bias" in refusal(lambda place: Dino.load(str(place), "cpu"), tmp_path)


def test_a_pipeline_without_some_weights(tmp_path: Path) -> None:
    pytest.importorskip("diffusers", reason="rendering needs diffusers")
    import shutil

    from unrender.core.micro import DIFFUSION_FOLDER
    from unrender.core.variation.checkpoint import Checkpoint

    folder = shutil.copytree(DIFFUSION_FOLDER, tmp_path / "sd")
    without(folder / "text_encoder", "text_model.encoder.layers.0.mlp", "encoder.layers.0.mlp")
    assert "text_encoder" in refusal(lambda place: Checkpoint.load(str(place), "cpu"), folder)


@pytest.mark.parametrize(
    "values",
    [
        {"vision_config": {"num_hidden_layers": 10**6}},
        {"vision_config": {"hidden_size": 10**6, "image_size": 224}},
        {"vision_config": {"image_size": 10**6, "patch_size": 1}},
        {"text_config": {"vocab_size": 10**8}},
        {"text_config": {"max_position_embeddings": 10**9}},
        {"projection_dim": 10**7},
        {"num_labels": 10**9},
    ],
)
@pytest.mark.parametrize("kind", ["folder", "file", "captioner"])
def test_sizes_that_the_weights_have_not_are_refused_before_they_are_made(
    tmp_path: Path, kind: str, values: dict[str, Any]
) -> None:
    folder = file_seeds.captioner_folder(tmp_path) if kind == "captioner" else file_seeds.clip_folder(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    for name, value in values.items():
        config[name] = {**config.get(name, {}), **value} if isinstance(value, dict) else value
    (folder / "config.json").write_text(json.dumps(config))
    load = {"folder": "load_clip", "file": "load_clip_file", "captioner": "load_captioner"}[kind]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        getattr(file_seeds, load)(folder)
    except ModelError as error:
        assert len(str(error)) < 700
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000


@pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir()))
def test_files_that_once_gave_a_traceback(tmp_path: Path, case: str) -> None:
    """Each a file's name and its bytes, as Python writes them, or an index or a map itself."""
    seeds = {seed.name: seed for seed in file_seeds.SEEDS}
    kind = case.rpartition("-")[0].rpartition("-")[0]
    data = (CASES / case).read_bytes()
    seed = {"clip-folder": "CLIP folder", "clip-file": "CLIP file", "captioner-folder": "captioner folder"}.get(kind)
    made = file_seeds.made(seeds[seed or {"maps": "map"}.get(kind, kind)], tmp_path / "made")
    if seed is not None:
        name, data = ast.literal_eval(data.decode())
        made, place = made / name, made
    else:
        place = made
    made.write_bytes(data)
    try:
        seeds[seed or {"maps": "map"}.get(kind, kind)].read(place)
    except UnrenderError as error:
        assert "\n" not in str(error)


def test_what_a_hub_would_be_asked_for_by_a_folder_is_only_what_open_clip_names(tmp_path: Path) -> None:
    folder = file_seeds.open_clip_folder(tmp_path)
    file = folder / "open_clip_config.json"
    config = json.loads(file.read_text())
    for key, value in (("hf_tokenizer_name", "stranger/tokenizer"), ("hf_model_name", "./here")):
        text = {**config["model_cfg"]["text_cfg"], key: value}
        change(file, model_cfg={**config["model_cfg"], "text_cfg": text})
        assert value in refusal(file_seeds.load_clip, folder)
    vision = {**config["model_cfg"]["vision_cfg"], "timm_model_name": "hf-hub:stranger/model"}
    change(file, model_cfg={**config["model_cfg"], "vision_cfg": vision})
    assert "timm_model_name" in refusal(file_seeds.load_clip, folder)


def test_a_tokenizer_with_tokens_of_another_model_is_refused(tmp_path: Path) -> None:
    folder = file_seeds.clip_folder(tmp_path)
    words = json.loads((folder / "vocab.json").read_text())
    change(folder / "vocab.json", **{next(iter(words)): 100_000})
    assert "has the token 100000, and the model knows 965" in refusal(file_seeds.load_clip, folder)


def test_loading_leaves_random_numbers_alone(tmp_path: Path) -> None:
    folder = file_seeds.clip_folder(tmp_path)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    file_seeds.load_clip(folder)
    assert torch.equal(torch.rand(1), expected)


def test_a_half_model_ends_the_command_with_a_sentence(tmp_path: Path) -> None:
    folder = without(file_seeds.clip_folder(tmp_path), "visual_projection.")
    picture = Path(__file__).parent.parent / "docs" / "demo.png"
    command = [
        sys.executable,
        "-m",
        "unrender",
        "interrogate",
        str(picture),
        "--clip",
        str(folder),
        "--captioner",
        "none",
    ]
    done = subprocess.run([*command, "--mode", "fast"], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode != 0 and "lacks weights of CLIPModel: visual_projection.weight" in done.stderr
    assert "Traceback" not in done.stderr and not done.stdout
