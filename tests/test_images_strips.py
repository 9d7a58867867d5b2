"""A picture brought to RGB strip by strip is the picture brought to RGB at once; giants are reduced and say so."""

import io

import numpy as np
import pytest
from image_files import assert_same, encoded, flags
from PIL import Image, ImageOps
from unrender.core.images import open_image, original_size, strips

MODES = ("1", "L", "P", "LA", "La", "PA", "RGB", "RGBA", "RGBa", "CMYK", "YCbCr", "HSV", "LAB", "I", "F", "I;16")
SIZE = (37, 23)


def in_mode(mode: str) -> Image.Image:
    noise = np.random.default_rng(3).integers(0, 256, (SIZE[1], SIZE[0], 4), dtype=np.uint8)
    image = Image.fromarray(noise)
    if mode == "I;16":
        return Image.fromarray(noise[..., 0].astype(np.uint16) * 250)
    if mode in ("I", "F"):
        return Image.fromarray(noise[..., 0].astype({"I": np.int32, "F": np.float32}[mode]) - 90)
    if mode == "LAB":
        return Image.frombytes("LAB", SIZE, noise[..., :3].tobytes())
    if mode in ("La", "PA"):
        return image.convert("LA").convert(mode)
    return image.convert("RGB").convert(mode) if mode in ("1", "P", "HSV") else image.convert(mode)


@pytest.fixture
def thin_strips(monkeypatch):
    monkeypatch.setattr(strips, "_STRIP_PIXELS", 100)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", MODES)
def test_strips_make_the_whole(mode, orientation, monkeypatch):
    image = in_mode(mode)
    image.getexif()[0x0112] = orientation
    whole = open_image(image)
    monkeypatch.setattr(strips, "_STRIP_PIXELS", 100)
    assert_same(open_image(image), whole)
    exif = Image.Exif()
    exif[0x0112] = orientation
    plain = in_mode(mode)
    upright = ImageOps.exif_transpose(Image.open(_file(open_image(plain), exif)))
    assert_same(whole, upright)


def _file(image: Image.Image, exif: Image.Exif) -> io.BytesIO:
    return io.BytesIO(encoded(image, "PNG", exif=exif))


@pytest.mark.parametrize("transparency", [7, bytes(range(0, 256, 2)), b"\0"])
def test_a_palette_laid_over_white_is_each_pixel_laid_over_white(transparency, thin_strips):
    image = in_mode("P")
    image.info["transparency"] = transparency
    rgba = image.convert("RGBA")
    expected = Image.alpha_composite(Image.new("RGBA", SIZE, "white"), rgba).convert("RGB")
    assert_same(open_image(image), expected)
    assert image.info["transparency"] == transparency


@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "GIF"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_giants_are_read_smaller(format, mode, thin_strips, monkeypatch):
    monkeypatch.setattr(strips, "MOST_KEPT", 40 * 40)
    monkeypatch.setattr(strips, "_AS_REDUCED", 20 * 20)
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(flags((64, 32)).convert(mode), format, **({} if format == "GIF" else {"exif": exif}))
    image = open_image(data)
    turned = format != "GIF"
    assert image.size == ((11, 22) if turned else (22, 11)) or (format == "JPEG" and image.size == (16, 32))
    assert original_size(image) == ((32, 64) if turned else (64, 32))
    expected = flags((64, 32)).convert(mode).convert("RGB")
    expected = expected.transpose(Image.Transpose.ROTATE_270) if turned else expected
    corners = [(1, 1), (image.width - 2, 1), (1, image.height - 2), (image.width - 2, image.height - 2)]
    for x, y in corners:
        there = expected.getpixel((x * expected.width // image.width, y * expected.height // image.height))
        assert np.allclose(image.getpixel((x, y)), there, atol=12)


def test_deep_greys_of_giants_are_scaled_as_a_whole(thin_strips, monkeypatch):
    monkeypatch.setattr(strips, "MOST_KEPT", 100)
    monkeypatch.setattr(strips, "_AS_REDUCED", 50)
    values = np.zeros((40, 40), np.float32)
    values[20:] = -1
    values[:, 20:] += 100_000
    image = open_image(Image.fromarray(values))
    assert image.getpixel((0, 0)) == (0, 0, 0)
    assert image.getpixel((image.width - 1, 0)) == (255, 255, 255)


def test_ordinary_pictures_are_as_large_as_they_are():
    image = open_image(flags((600, 20)))
    assert image.size == original_size(image) == (600, 20)
    assert image.info == {}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_a_turned_file_is_as_large_as_the_picture_upright(format, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = open_image(encoded(flags((64, 32)), format, exif=exif))
    assert image.size == original_size(image) == ((64, 32) if orientation < 5 else (32, 64))
