"""Heat maps and boxes: on the toy world, where the truth is known, and their geometry on pictures of any size."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
import torch
from bright_spots import BrightnessClip, phrase_for, spot
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.nn import functional as F
from unrender.core.clip import Clip
from unrender.core.clip.preprocess import Preprocess, Region
from unrender.core.engine import Engine, Settings
from unrender.core.errors import ModelError, SettingsError
from unrender.core.micro import CLIP_FOLDER
from unrender.core.micro.pictures import render
from unrender.core.micro.world import FACTORS
from unrender.core.study.explain import HeatMap, heat_maps


@pytest.fixture(scope="module")
def micro():
    return Clip.load("micro", device="cpu")


def wrong_phrase(scene, rng):
    shape = rng.choice([value for value in FACTORS["shape"] if value != scene.shape])
    return phrase_for(shape, rng.choice([value for value in FACTORS["colour"] if value != scene.colour]))


def overlap(box, mask):
    """Intersection over union of a box and the box around a mask."""
    drawn, true = np.zeros_like(mask), np.zeros_like(mask)
    drawn[box.top : box.bottom, box.left : box.right] = True
    rows, columns = np.nonzero(mask)
    true[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = True
    return (drawn & true).sum() / (drawn | true).sum()


def strongest_pixel(heat):
    """Also where all support is negative."""
    lifted = HeatMap(heat.phrase, heat.size, heat.support - heat.support.min(), heat.region)
    return lifted.peak


@pytest.fixture(scope="module")
def found(micro):
    """For each test picture with a single shape: whether it is small, and what was found."""
    pictures, rng, rows = render("test", 500), random.Random(0), []
    for scene, pixels, mask in zip(pictures.scenes, pictures.pixels, pictures.masks, strict=True):
        if scene.layout not in ("small", "large"):
            continue
        shown = mask.numpy() > 127
        picture = Image.fromarray(pixels.permute(1, 2, 0).numpy())
        right, wrong = heat_maps(micro, picture, [phrase_for(scene.shape, scene.colour), wrong_phrase(scene, rng)])
        on_shape = [shown[y, x] for x, y in (right.peak, strongest_pixel(wrong), (32, 32))]
        boxes = right.boxes()
        rows.append((scene.layout == "small", *on_shape, right.highest, wrong.highest, overlap(boxes[0], shown)))
    return np.array(rows, dtype=float)


def test_the_peak_lies_on_the_shape(found):
    """Before the phrase's map come the picture's centre and the map of a phrase of another shape and colour."""
    small = found[found[:, 0] == 1]
    assert len(found) > 200 and len(small) > 100
    for rows, least in ((found, 0.8), (small, 0.7)):
        right, wrong, centre = rows[:, 1:4].mean(0)
        shares = f"on the shape: right phrase {right:.3f}, wrong phrase {wrong:.3f}, centre {centre:.3f}"
        assert right >= least, shares
        assert right > max(centre, wrong) + 0.2, shares


def test_a_phrase_that_is_not_there_scores_less(found):
    right, wrong = found[:, 4], found[:, 5]
    above = (right[:, None] > wrong[None]).mean()
    assert above > 0.97


def test_boxes_fit_the_shapes(found):
    assert found[:, 6].mean() > 0.65
    assert (found[:, 6] > 0.5).mean() > 0.85


def test_a_map_does_not_depend_on_the_other_phrases(micro):
    picture = Image.fromarray(render("test", 1).pixels[0].permute(1, 2, 0).numpy())
    alone = heat_maps(micro, picture, ["a red star"])[0]
    among = heat_maps(micro, picture, ["the sea", "a red star", "a moon"])[1]
    np.testing.assert_allclose(alone.support, among.support, atol=1e-6)


# Models of either library


def as_open_clip(folder):
    """The weights of a small transformers CLIP in an open_clip model."""
    import open_clip
    from transformers import CLIPModel

    model = CLIPModel.from_pretrained(folder).float().eval()
    state, config = model.state_dict(), model.config
    vision, text = config.vision_config, config.text_config
    other = open_clip.CLIP(
        config.projection_dim,
        vision_cfg={
            "image_size": vision.image_size,
            "layers": vision.num_hidden_layers,
            "width": vision.hidden_size,
            "patch_size": vision.patch_size,
            "head_width": vision.hidden_size // vision.num_attention_heads,
            "mlp_ratio": vision.intermediate_size / vision.hidden_size,
        },
        text_cfg={
            "context_length": 77,
            "vocab_size": 49408,
            "width": text.hidden_size,
            "heads": text.num_attention_heads,
            "layers": text.num_hidden_layers,
        },
        quick_gelu=True,
    ).eval()
    theirs = {
        "visual.class_embedding": state["vision_model.embeddings.class_embedding"],
        "visual.positional_embedding": state["vision_model.embeddings.position_embedding.weight"],
        "visual.conv1.weight": state["vision_model.embeddings.patch_embedding.weight"],
        "visual.proj": state["visual_projection.weight"].T,
    }
    for side in ("weight", "bias"):
        theirs[f"visual.ln_pre.{side}"] = state[f"vision_model.pre_layrnorm.{side}"]
        theirs[f"visual.ln_post.{side}"] = state[f"vision_model.post_layernorm.{side}"]
        for number in range(vision.num_hidden_layers):
            ours, block = f"vision_model.encoder.layers.{number}", f"visual.transformer.resblocks.{number}"
            projections = [state[f"{ours}.self_attn.{letter}_proj.{side}"] for letter in "qkv"]
            theirs[f"{block}.attn.in_proj_{side}"] = torch.cat(projections)
            theirs[f"{block}.attn.out_proj.{side}"] = state[f"{ours}.self_attn.out_proj.{side}"]
            theirs[f"{block}.ln_1.{side}"] = state[f"{ours}.layer_norm1.{side}"]
            theirs[f"{block}.ln_2.{side}"] = state[f"{ours}.layer_norm2.{side}"]
            theirs[f"{block}.mlp.c_fc.{side}"] = state[f"{ours}.mlp.fc1.{side}"]
            theirs[f"{block}.mlp.c_proj.{side}"] = state[f"{ours}.mlp.fc2.{side}"]
    _, unexpected = other.load_state_dict(theirs, strict=False)
    assert not unexpected
    assert set(dict(other.visual.named_parameters())) <= {name.removeprefix("visual.") for name in theirs}
    return other


@pytest.fixture(scope="module")
def micro_in_open_clip(micro, open_clip_tokenizer):
    """With micro's own text side: its words are not open_clip's."""
    clip = Clip.from_open_clip(as_open_clip(CLIP_FOLDER), Preprocess((64, 64)), open_clip_tokenizer)
    clip.text = micro.text
    return clip


def test_both_libraries_give_the_same_map(micro, micro_in_open_clip, photographs):
    for photograph in photographs[:2]:
        ours, theirs = (heat_maps(clip, photograph, ["the sea"])[0] for clip in (micro, micro_in_open_clip))
        assert ours.support.shape == (8, 8) and ours.support.std() > 0.01
        np.testing.assert_allclose(ours.support, theirs.support, atol=1e-4)
        assert ours.region == theirs.region and ours.peak == theirs.peak


def test_patches_are_those_of_an_attention_that_looks_at_itself_alone(micro_in_open_clip, photographs):
    """An independent way to the same: the library's own last block under a mask that hides every other token."""
    visual = micro_in_open_clip._vision.module
    block = visual.transformer.resblocks[-1]
    tokens = 65
    mask = torch.full((tokens, tokens), float("-inf")).fill_diagonal_(0)
    outputs, forward = [], block.forward
    block.forward = lambda x, *_, **__: outputs.append(forward(x, attn_mask=mask)) or outputs[-1]
    try:
        with torch.no_grad():
            visual(Preprocess((64, 64))(photographs[0])[None])
    finally:
        del block.forward
    last = outputs[0].reshape(tokens, -1)  # with one picture, the same in either order of axes
    with torch.no_grad():
        expected = F.normalize(visual.ln_post(last[1:]) @ visual.proj, dim=-1).reshape(8, 8, -1)
    assert (micro_in_open_clip.encode_patches(photographs[0]) - expected).abs().max() < 1e-4


def test_siglip_patches_are_poolings_of_one_patch():
    transformers = pytest.importorskip("transformers", minversion="4.40")
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    torch.manual_seed(3)
    model = transformers.SiglipModel(
        transformers.SiglipConfig(
            text_config={**sizes, "vocab_size": 100}, vision_config={**sizes, "image_size": 48, "patch_size": 16}
        )
    ).eval()
    from unrender.core.clip.patches import transformers_patches

    encode = transformers_patches(model.vision_model, None)
    pixels = torch.randn(2, 3, 48, 48)
    assert encode is not None
    with torch.no_grad():
        grid = encode(pixels)
        hidden = model.vision_model(pixel_values=pixels).last_hidden_state
        expected = torch.stack([model.vision_model.head(hidden[:, at : at + 1]) for at in range(9)], 1)
    assert grid.shape == (2, 3, 3, 32)
    assert (grid.flatten(1, 2) - expected).abs().max() < 1e-5


def test_a_tower_without_patches_is_a_sentence(open_clip_transform, open_clip_tokenizer):
    import open_clip

    model = open_clip.CLIP(
        48,
        vision_cfg={"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "head_width": 16},
        text_cfg={"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
    ).eval()
    clip = Clip.from_open_clip(model, open_clip_transform, open_clip_tokenizer, name="RN")
    with pytest.raises(ModelError, match="RN cannot say where"):
        heat_maps(clip, Image.new("RGB", (64, 64)), ["a cat"])


# Where the patches are in the picture


@settings(max_examples=60, deadline=None)
@example(size=(404, 60), place=(0.0625, 1.0), fit="pad")
@example(size=(653, 60), place=(0.5, 0.0), fit="pad")
@given(
    size=st.tuples(st.integers(60, 700), st.integers(60, 700)),
    place=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    fit=st.sampled_from(["crop", "pad", "squash"]),
)
def test_the_peak_is_where_the_spot_is_however_the_picture_is_fitted(size, place, fit):
    width, height = size
    side = max(size) // 3 if fit != "crop" else min(size) // 3
    side = min(side, width - 2, height - 2)
    seen = Preprocess((64, 64)).region(size) if fit == "crop" else Region(0, 0, width, height)
    left = int(seen.left + place[0] * (seen.right - seen.left - side - 1))
    top = int(seen.top + place[1] * (seen.bottom - seen.top - side - 1))
    heat = heat_maps(BrightnessClip(), spot(width, height, left, top, side), ["light"], fit)[0]
    x, y = heat.peak
    patch = max(size) / 8
    # a spot in equal parts of two patches is found in the middle of one of them, outside a narrower spot
    slack = patch / 8 + max(0.0, patch - side) / 2
    assert left - slack <= x <= left + side + slack
    assert top - slack <= y <= top + side + slack
    assert heat.values.shape[0] <= 256 and heat.values.shape[1] <= 256
    best = heat.boxes()[0]
    assert 0 <= best.left < best.right <= width and 0 <= best.top < best.bottom <= height
    assert best.left - slack <= left + side / 2 <= best.right + slack


def test_what_the_model_does_not_see_has_no_support():
    picture = Image.new("RGB", (300, 100), "white")
    cropped = heat_maps(BrightnessClip(), picture, ["light"])[0]
    width = cropped.values.shape[1]
    assert cropped.values[:, : width // 3 - 1].max() == 0 == cropped.values[:, -width // 3 + 2 :].max()
    assert cropped.values[:, width // 3 + 2 : -width // 3 - 2].min() > 0.99
    padded = heat_maps(BrightnessClip(), picture, ["light"], "pad")[0]
    assert padded.values.min() > 0.6
    assert padded.region.top < -90 and padded.region.bottom > 190


def test_the_region_follows_every_way_of_preprocessing():
    assert Preprocess((64, 64)).region((200, 100)) == pytest.approx((50, 0, 150, 100))
    assert Preprocess((64, 64), resize_mode="squash").region((200, 100)) == pytest.approx((0, 0, 200, 100))
    assert Preprocess((64, 64), resize_mode="longest").region((200, 100)) == pytest.approx((0, -50, 200, 150))


def test_no_phrase_is_a_sentence(micro):
    for phrases in ([], [" "], ["a star", ""]):
        with pytest.raises(SettingsError, match="no phrase"):
            heat_maps(micro, Image.new("RGB", (64, 64)), phrases)


def test_the_engine_locates(micro):
    picture = spot(64, 64, 8, 8, 20)
    with Engine(Settings(clip="micro", captioner=None), clip=BrightnessClip()) as engine:  # type: ignore[arg-type]
        engine.clip.name = "brightness"  # type: ignore[union-attr]
        location = engine.locate(picture, " light ")
    values = location.to_dict()
    assert json.loads(json.dumps(values)) == values
    assert (values["phrase"], values["width"], values["height"], values["model"]) == ("light", 64, 64, "brightness")
    assert values["boxes"][0]["score"] == pytest.approx(1)
    assert np.array(values["map"]["support"]).shape == (8, 8)
