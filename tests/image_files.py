"""What the tests of pictures share: pictures that show every flip, files of them, and how to compare."""

import io
import pathlib

import numpy as np
import pytest
from PIL import Image

LOSSLESS = {
    "PNG": {},
    "GIF": {},
    "BMP": {},
    "TIFF": {"compression": "tiff_lzw"},
    "WEBP": {"lossless": True},
    "PPM": {},
    "TGA": {},
    "ICO": {"sizes": [(24, 24)]},
    "JPEG2000": {"irreversible": False},
    "PCX": {},
    "DIB": {},
    "SGI": {},
}


def data_folder() -> pathlib.Path:
    data = pytest.importorskip("skimage.data")
    return pathlib.Path(data.__file__).parent


def flags(size=(24, 24)) -> Image.Image:
    """Four quarters in pure colours: survives palettes and lossy codecs, and shows every flip and turn."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    half_height, half_width = size[1] // 2, size[0] // 2
    pixels[:half_height, :half_width] = (255, 0, 0)
    pixels[:half_height, half_width:] = (0, 255, 0)
    pixels[half_height:, :half_width] = (0, 0, 255)
    pixels[half_height:, half_width:] = (255, 255, 0)
    return Image.fromarray(pixels)


def encoded(image: Image.Image, format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def pixels(image: Image.Image) -> np.ndarray:
    assert image.mode == "RGB"
    return np.asarray(image)


def assert_same(image: Image.Image, expected: Image.Image | np.ndarray, tolerance: int = 0) -> None:
    difference = pixels(image).astype(int) - np.asarray(expected).astype(int)
    assert np.abs(difference).max() <= tolerance


def over_white(rgba: np.ndarray) -> np.ndarray:
    colours, alpha = rgba[..., :3].astype(float), rgba[..., 3:].astype(float) / 255
    return np.rint(colours * alpha + 255 * (1 - alpha))
