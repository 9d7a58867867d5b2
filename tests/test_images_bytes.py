"""Random, cut and changed bytes give a picture or a sentence, never another error."""

import functools
import io
import re
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from image_files import data_folder, encoded
from PIL import Image
from unrender.core import images
from unrender.core.errors import ImageError
from unrender.core.images import formats, open_image


@functools.cache
def samples() -> dict[str, bytes]:
    """Small real pictures in the formats that are mutated, some with the features decoders trip over."""
    photo = Image.open(data_folder() / "chelsea.png").convert("RGB").resize((45, 30))
    clear = photo.convert("RGBA")
    clear.putalpha(100)
    exif = Image.Exif()
    exif[0x0112] = 6
    return {
        "png": encoded(photo, "PNG", exif=exif),
        "apng": encoded(photo, "PNG", save_all=True, append_images=[photo.rotate(90)]),
        "palette": encoded(photo.quantize(16), "PNG", transparency=bytes(range(0, 256, 16))),
        "deep": encoded(Image.fromarray(np.arange(900, dtype=np.uint16).reshape(30, 30) * 70), "PNG"),
        "jpeg": encoded(photo, "JPEG", exif=exif),
        "cmyk": encoded(photo.convert("CMYK"), "JPEG", progressive=True),
        "gif": encoded(photo, "GIF", save_all=True, append_images=[photo.rotate(90)]),
        "webp": encoded(clear, "WEBP", exif=exif.tobytes()),
        "webp lossless": encoded(clear, "WEBP", lossless=True),
        "bmp": encoded(photo, "BMP"),
        "tiff": encoded(photo, "TIFF", exif=exif),
        "tiff lzw": encoded(clear, "TIFF", compression="tiff_lzw"),
        "tiff jpeg": encoded(photo, "TIFF", compression="jpeg"),
        "ico": encoded(clear, "ICO", sizes=[(16, 16), (24, 24)]),
        "ico bmp": encoded(clear, "ICO", sizes=[(16, 16)], bitmap_format="bmp"),
        "jpeg2000": encoded(photo, "JPEG2000"),
        "tga": encoded(clear, "TGA", compression="tga_rle"),
    }


def image_or_error(data: bytes) -> None:
    try:
        image = open_image(data)
    except ImageError as error:
        assert re.fullmatch(r"The picture .*; .*\.", str(error))
        return
    assert image.mode == "RGB"
    image.tobytes()


class TestAnyBytes:
    """Nothing but an image or an ImageError comes out, whatever goes in."""

    BEGINNINGS = (
        *(
            b"",
            b"\x89PNG\r\n\x1a\n",
            b"\xff\xd8\xff",
            b"GIF89a",
            b"RIFF\0\0\0\0WEBP",
            b"BM",
            b"II*\0",
            b"MM\0*",
        ),
        *(b"\0\0\1\0\1\0", b"8BPS\0\1", b"P6 ", b"qoif", b"DDS ", b"\x0a\x05\x01", b"\x01\xda"),
        *(b"\0\0\0\x0cjP  \r\n\x87\n", b"\0\0\0\x18ftypavif", b"\0\0\0\x18ftypheic"),
    )

    @pytest.fixture(autouse=True)
    def small(self, monkeypatch):
        monkeypatch.setattr(images.limits, "MAX_PIXELS", 1_000_000)
        warnings.simplefilter("ignore")

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(st.sampled_from(BEGINNINGS), st.binary(max_size=300))
    def test_random_bytes(self, beginning, data):
        image_or_error(beginning + data)

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
    @given(st.data())
    def test_mutated_and_cut_files(self, data):
        original = samples()[data.draw(st.sampled_from(sorted(samples())))]
        mutant = bytearray(original)
        position = st.integers(0, len(mutant) - 1) | st.integers(0, min(99, len(mutant) - 1))
        for at, value in data.draw(st.lists(st.tuples(position, st.integers(0, 255)), max_size=6)):
            mutant[at] = value
        image_or_error(bytes(mutant[: data.draw(st.just(len(mutant)) | st.integers(0, len(mutant)))]))

    @given(st.binary(max_size=200))
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_descriptions_and_icon_sizes_never_fail(self, data):
        assert formats.describe(data)
        for beginning in (b"", b"\0\0\1\0", b"\0\0\2\0"):
            for width, height in formats.icon_sizes(io.BytesIO(beginning + data)):
                assert width >= 0 and height >= 0
