"""What a tagger sees of a picture, against the published recipe computed by other means."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_taggers as tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from unrender.core.describe.tagging.view import View, view_of
from unrender.core.images import open_image

SIZES = [(448, 448), (30, 40), (447, 3), (1, 1), (600, 451), (449, 448)]


def noise(width: int, height: int, mode: str = "RGB") -> Image.Image:
    random = np.random.default_rng(width * 1000 + height)
    return Image.fromarray(random.integers(0, 256, (height, width, len(mode)), dtype=np.uint8), mode)


def view(**told: Any) -> View:
    config = tiny.config_of("vit")
    config["pretrained_cfg"] |= {"input_size": [3, 448, 448], **told}
    return view_of(Path("nowhere"), config)


def numbers(made: View, image: Image.Image) -> np.ndarray:
    return made.batch([made.seen(image)], torch.device("cpu"), torch.float32)[0].numpy()


def published(image: Image.Image, side: int = 448) -> np.ndarray:
    """As the taggers' own demonstration does, and the example for timm: white below what is transparent, a white
    square, bicubic, BGR, from -1 to 1; with Pillow for the filter and NumPy in double precision for the rest."""
    if image.mode == "RGBA":
        values = np.asarray(image, np.float64)
        alpha = values[:, :, 3:] / 255
        image = Image.fromarray(np.rint(values[:, :, :3] * alpha + 255 * (1 - alpha)).astype(np.uint8))
    longer = max(image.size)
    left, top = (longer - image.width) // 2, (longer - image.height) // 2
    square = np.full((longer, longer, 3), 255, np.uint8)
    square[top : top + image.height, left : left + image.width] = np.asarray(image)
    small = np.asarray(Image.fromarray(square).resize((side, side), Image.Resampling.BICUBIC), np.float64)
    return ((small[:, :, ::-1] / 255 - 0.5) / 0.5).transpose(2, 0, 1)


@pytest.mark.parametrize("size", SIZES)
def test_the_published_recipe(size: tuple[int, int]) -> None:
    image = noise(*size)
    assert np.abs(numbers(view(), image) - published(image)).max() < 1e-6


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90))
def test_the_published_recipe_at_any_size(width: int, height: int) -> None:
    image = noise(width, height)
    made = view(input_size=[3, 32, 32])
    assert np.abs(numbers(made, image) - published(image, 32)).max() < 1e-6


def test_a_filter_written_by_hand_gives_the_same() -> None:
    """Keys' cubic with a = -1/2, as wide as the picture is made smaller, in exact fractions and one rounding."""
    image = noise(16, 16)
    seen = view(input_size=[3, 4, 4]).seen(image)
    exact = _resized(np.asarray(image)[:, :, 0], 4)
    assert np.abs(seen[:, :, 0] - exact).max() <= 1.0  # Pillow rounds between its two passes, too


def _resized(values: np.ndarray, size: int) -> np.ndarray:
    scale = Fraction(len(values), size)
    weights = np.zeros((size, len(values)))
    for out in range(size):
        centre = (out + Fraction(1, 2)) * scale
        row = [_cubic((place + Fraction(1, 2) - centre) / scale) for place in range(len(values))]
        weights[out] = [float(each / sum(row)) for each in row]
    return np.clip(np.rint(weights @ np.clip(np.rint(values @ weights.T), 0, 255)), 0, 255)


def _cubic(x: Fraction) -> Fraction:
    x = abs(x)
    if x < 1:
        return Fraction(3, 2) * x**3 - Fraction(5, 2) * x**2 + 1
    return -Fraction(1, 2) * x**3 + Fraction(5, 2) * x**2 - 4 * x + 2 if x < 2 else Fraction(0)


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    image = noise(50, 30, "RGBA")
    image.save(tmp_path / "picture.png")
    seen = numbers(view(input_size=[3, 50, 50]), open_image(tmp_path / "picture.png"))
    assert np.abs(seen - published(image, 50)).max() <= 2 / 127.5  # the blending rounds
    clear = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    assert (numbers(view(), open_image(clear)) == 1).all()


@pytest.mark.parametrize(
    ("told", "first"),
    [
        ({}, "blue"),
        ({"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}, "red"),
        ({"mean": [0.5] * 3, "std": [1.0] * 3}, "red"),
        ({"channel_order": "RGB"}, "red"),
        ({"channel_order": "bgr", "mean": [0.4] * 3}, "blue"),
    ],
)
def test_the_order_of_the_channels(told: dict[str, Any], first: str) -> None:
    values = numbers(view(**told), Image.new("RGB", (8, 8), (255, 0, 0)))[:, 0, 0]
    assert np.argmax(values) == (0 if first == "red" else 2)


def test_mean_and_deviation_belong_to_their_colours() -> None:
    made = view(mean=[0.1, 0.2, 0.3], std=[1.0, 2.0, 4.0], channel_order="BGR")
    values = numbers(made, Image.new("RGB", (8, 8), (255, 127, 0)))[:, 0, 0]
    assert values == pytest.approx([(0 - 0.3) / 4, (127 / 255 - 0.2) / 2, 0.9], abs=1e-6)


@pytest.mark.parametrize("size", SIZES[1:])
def test_steps_as_torchvision_takes_them(tmp_path: Path, size: tuple[int, int]) -> None:
    transforms = pytest.importorskip("torchvision.transforms", reason="torchvision computes what is compared with")
    image = noise(*size)
    scale = 40 / max(size)
    small = image.resize(tuple(max(1, round(side * scale)) for side in size), Image.Resampling.BILINEAR)
    canvas = Image.new("RGB", (40, 40), "white")
    canvas.paste(small, ((40 - small.width) // 2, (40 - small.height) // 2))
    bicubic = transforms.InterpolationMode.BICUBIC
    steps = [transforms.Resize(tiny.SIDE, bicubic), transforms.CenterCrop(tiny.SIDE), transforms.ToTensor()]
    norm = transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    expected = transforms.Compose([*steps, norm])(canvas).numpy()
    (tmp_path / "preprocess.json").write_text(json.dumps(tiny.PREPROCESS))
    made = view_of(tmp_path, tiny.config_of("mobilenet"))
    assert np.abs(numbers(made, image) - expected).max() < 1e-6


def test_a_resized_picture_that_is_cropped(tmp_path: Path) -> None:
    transforms = pytest.importorskip("torchvision.transforms", reason="torchvision computes what is compared with")
    test = [{"type": "resize", "size": [20]}, {"type": "center_crop", "size": 16}, {"type": "to_tensor"}]
    (tmp_path / "preprocess.json").write_text(json.dumps({"test": test}))
    made = view_of(tmp_path, tiny.config_of("mobilenet"))
    for size in SIZES[1:3]:
        image = noise(*size)
        expected = transforms.CenterCrop(16)(transforms.Resize(20)(image))
        assert np.array_equal(made.seen(image), np.asarray(expected))


def test_bytes_are_kept_until_all_are_computed() -> None:
    seen = view().seen(noise(900, 700))
    assert seen.dtype == np.uint8 and seen.shape == (448, 448, 3)
