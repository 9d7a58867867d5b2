"""Every mode a picture may have, transparency, deep greys, and pictures stored on their side."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from image_files import LOSSLESS, assert_same, encoded, flags, over_white, pixels
from PIL import Image
from unrender.core.errors import ImageError
from unrender.core.images import open_image


class TestModes:
    @given(hnp.arrays(np.uint8, (5, 6, 4)))
    def test_transparent_parts_are_laid_over_white(self, rgba):
        assert_same(open_image(Image.fromarray(rgba)), over_white(rgba), tolerance=1)
        assert_same(open_image(encoded(Image.fromarray(rgba), "PNG")), over_white(rgba), tolerance=1)

    @pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "La", "RGBa"])
    def test_every_mode_with_alpha(self, mode):
        clear = {"La": "LA", "RGBa": "RGBA"}.get(mode, mode)
        assert open_image(Image.new(clear, (5, 5)).convert(mode)).getpixel((2, 2)) == (255, 255, 255)

    @pytest.mark.parametrize("mode", ["P", "L", "RGB", "1"])
    def test_a_colour_that_counts_as_transparent(self, mode):
        image = Image.new("RGB", (6, 6), "black")
        image.paste("white", (0, 0, 3, 6))
        image.paste("black", (0, 0, 1, 6))
        image = image.quantize(2) if mode == "P" else image.convert(mode)
        colour = image.getpixel((5, 5))
        opened = open_image(encoded(image, "PNG", transparency=colour))
        assert_same(opened, Image.new("RGB", (6, 6), "white"))

    def test_a_palette_with_partial_transparency(self):
        image = flags().quantize(4, dither=Image.Dither.NONE)
        red = image.getpixel((0, 0))
        alphas = bytes(128 if index == red else 255 for index in range(4))
        opened = open_image(encoded(image, "PNG", transparency=alphas))
        assert opened.getpixel((0, 0)) == (255, 127, 127)
        assert opened.getpixel((23, 0)) == (0, 255, 0)

    def test_transparent_gif(self):
        image = flags().quantize(4, dither=Image.Dither.NONE)
        opened = open_image(encoded(image, "GIF", transparency=image.getpixel((0, 0))))
        assert opened.getpixel((0, 0)) == (255, 255, 255)
        assert opened.getpixel((23, 23)) == (255, 255, 0)

    @pytest.mark.parametrize("format", ["JPEG", "TIFF"])
    def test_cmyk(self, format):
        data = encoded(flags((64, 64)).convert("CMYK"), format)
        assert Image.open(io.BytesIO(data)).mode == "CMYK"
        assert_same(open_image(data), flags((64, 64)), tolerance=12)

    @pytest.mark.parametrize(
        "mode, value, rgb",
        [
            ("1", 1, (255, 255, 255)),
            ("L", 77, (77, 77, 77)),
            ("HSV", (85, 255, 255), (0, 255, 0)),
            ("YCbCr", (76, 85, 255), (254, 0, 0)),
            ("LAB", (138, 209, 198), (255, 0, 0)),  # sRGB red under D50: L 54.3 of 100, a 80.8, b 69.9
            ("RGBX", (1, 2, 3, 0), (1, 2, 3)),
        ],
    )
    def test_known_colours(self, mode, value, rgb):
        assert np.allclose(open_image(Image.new(mode, (3, 3), value)).getpixel((1, 1)), rgb, atol=6)

    def test_16_bit_png_is_scaled_not_clipped(self):
        deep = np.linspace(0, 65535, 64 * 32).astype(np.uint16).reshape(32, 64)
        opened = open_image(encoded(Image.fromarray(deep), "PNG"))
        assert_same(opened, np.rint(deep / 257)[..., None].repeat(3, axis=2))

    @pytest.mark.parametrize("byte_order", ["<", ">"])
    def test_16_bit_in_memory(self, byte_order):
        deep = np.array([[0, 257, 32768, 65535]], byte_order + "u2")
        assert pixels(open_image(Image.fromarray(deep)))[0, :, 0].tolist() == [0, 1, 128, 255]

    def test_a_dark_16_bit_picture_stays_dark(self):
        assert pixels(open_image(encoded(Image.fromarray(np.full((4, 4), 200, np.uint16)), "PNG"))).max() == 1

    def test_16_bit_with_a_transparent_grey(self):
        image = Image.fromarray(np.array([[1000, 40000]], np.uint16))
        image.info["transparency"] = 1000  # as Pillow reads it from a PNG file; not all versions can write it
        assert pixels(open_image(image))[0, :, 0].tolist() == [255, 156]

    @pytest.mark.parametrize(
        "values, dtype, greys",
        [
            ([0, 100, 255], np.int32, [0, 100, 255]),
            ([0, 257, 65535], np.int32, [0, 1, 255]),
            ([-100, 0, 100], np.int32, [0, 128, 255]),
            ([0, 1_000_000, 2_000_000], np.int32, [0, 128, 255]),
            ([0, 0.2, 1], np.float32, [0, 51, 255]),
            ([0, 100, 255], np.float32, [0, 100, 255]),
            ([0, 25700, 65535], np.float32, [0, 100, 255]),
            ([-3e38, 0, 3e38], np.float32, [0, 128, 255]),
            ([-5, -5, -5], np.float32, [0, 0, 0]),
        ],
    )
    def test_deep_greys(self, values, dtype, greys):
        image = Image.fromarray(np.array([values], dtype))
        assert pixels(open_image(image))[0, :, 0].tolist() == greys
        if dtype == np.float32:
            assert pixels(open_image(encoded(image, "TIFF")))[0, :, 0].tolist() == greys

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_floats_that_are_no_numbers(self, value):
        with pytest.raises(ImageError, match="NaN or infinite"):
            open_image(Image.fromarray(np.array([[0, value]], np.float32)))

    @pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF"])
    def test_the_first_frame_of_animations(self, format):
        frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "lime", "blue")]
        data = encoded(frames[0], format, save_all=True, append_images=frames[1:])
        assert getattr(Image.open(io.BytesIO(data)), "n_frames", 1) == 3
        assert_same(open_image(data), frames[0], tolerance=3)


def stored_as(upright: np.ndarray, orientation: int) -> np.ndarray:
    """How a camera stores a picture under each EXIF orientation, by where its first row and column belong."""
    swapped = upright.transpose(1, 0, 2)
    return {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: swapped,
        6: swapped[::-1],
        7: swapped[::-1, ::-1],
        8: swapped[:, ::-1],
    }[orientation]


class TestOrientation:
    @pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_pictures_come_out_upright(self, format, orientation):
        upright = flags((64, 32))
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored = Image.fromarray(np.ascontiguousarray(stored_as(np.asarray(upright), orientation)))
        options = {"JPEG": {"quality": 95, "subsampling": 0}}.get(format) or LOSSLESS[format]
        data = encoded(stored, format, exif=exif, **options)
        opened = open_image(data)
        assert_same(opened, upright, tolerance=8 if format == "JPEG" else 0)
        assert_same(open_image(opened), opened)
        assert_same(open_image(Image.open(io.BytesIO(data))), opened)
        loaded = Image.open(io.BytesIO(data))
        loaded.load()
        assert_same(open_image(loaded), opened)

    @pytest.mark.parametrize("orientation", [0, 9, 65535])
    def test_an_orientation_that_does_not_exist_is_ignored(self, orientation):
        exif = Image.Exif()
        exif[0x0112] = orientation
        assert_same(open_image(encoded(flags(), "PNG", exif=exif)), flags())

    @given(st.binary(max_size=60))
    def test_broken_exif_never_stops_a_picture(self, junk):
        assert_same(open_image(encoded(flags(), "PNG", exif=b"Exif\0\0" + junk)), flags())

    def test_metadata_is_left_behind(self):
        assert open_image(encoded(flags(), "PNG", exif=Image.Exif(), dpi=(72, 72))).info == {}
