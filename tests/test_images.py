"""Any source becomes the same RGB picture; how it is fitted to a square, and known again."""

import io
import os
import subprocess
import sys

import numpy as np
import pytest
from image_files import LOSSLESS, assert_same, data_folder, encoded, flags, pixels
from PIL import Image, features
from unrender.core import images
from unrender.core.images import PAD_COLOR, fit_image, image_key, open_image

PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "retina.jpg", "hubble_deep_field.jpg")
HAS_AVIF = "avif" in features.modules and features.check("avif")


class TestSources:
    @pytest.fixture
    def file(self, tmp_path):
        path = tmp_path / "flags.png"
        flags().save(path)
        return path

    @pytest.mark.parametrize(
        "given_as",
        [
            str,
            lambda path: path,
            lambda path: path.read_bytes(),
            lambda path: bytearray(path.read_bytes()),
            lambda path: memoryview(path.read_bytes()),
            lambda path: memoryview(np.repeat(np.frombuffer(path.read_bytes(), np.uint8), 2))[::2],
            lambda path: io.BytesIO(path.read_bytes()),
            Image.open,
            lambda path: np.asarray(Image.open(path)),
        ],
    )
    def test_every_kind_of_source_gives_the_same_picture(self, file, given_as):
        assert_same(open_image(given_as(file)), flags())

    def test_an_open_file_is_read_from_its_beginning_and_stays_open(self, file):
        with file.open("rb") as stream:
            stream.read(10)
            assert_same(open_image(stream), flags())
            assert not stream.closed

    def test_a_stream_that_cannot_seek(self, file):
        reading, writing = os.pipe()
        with os.fdopen(writing, "wb") as writer:
            writer.write(file.read_bytes())
        with os.fdopen(reading, "rb") as stream:
            assert_same(open_image(stream), flags())

    def test_the_content_decides_the_format(self, file, tmp_path):
        misnamed = tmp_path / "flags.jpg"
        misnamed.write_bytes(file.read_bytes())
        assert_same(open_image(misnamed), flags())

    @pytest.mark.parametrize("photo", PHOTOS)
    def test_photographs(self, photo):
        path = data_folder() / photo
        assert_same(open_image(path), Image.open(path).convert("RGB"))

    @pytest.mark.parametrize("format", LOSSLESS)
    def test_formats(self, format):
        image = flags().quantize(8, dither=Image.Dither.NONE) if format == "GIF" else flags()
        assert_same(open_image(encoded(image, format, **LOSSLESS[format])), flags())

    @pytest.mark.skipif(not HAS_AVIF, reason="this Pillow has no AVIF")
    def test_avif(self):
        assert_same(open_image(encoded(flags(), "AVIF", quality=95, subsampling="4:4:4")), flags(), tolerance=12)

    def test_heic(self):
        heif = pytest.importorskip("pillow_heif")
        buffer = io.BytesIO()
        heif.from_pillow(flags((64, 64))).save(buffer, quality=95)
        assert_same(open_image(buffer), flags((64, 64)), tolerance=40)

    def test_the_result_is_a_copy(self):
        image = flags()
        opened = open_image(image)
        opened.putpixel((0, 0), (9, 9, 9))
        assert image.getpixel((0, 0)) == (255, 0, 0)
        array = np.asarray(flags()).copy()
        opened = open_image(array)
        array[:] = 7
        assert_same(opened, flags())

    def test_it_needs_no_torch(self):
        program = "import sys, unrender.core.images; sys.exit('torch' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


class TestFit:
    def test_crop_changes_nothing(self):
        image = flags((30, 20))
        assert fit_image(image, "crop") is image

    @pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
    def test_squares_stay_as_they_are(self, fit):
        image = flags()
        assert fit_image(image, fit) is image

    @pytest.mark.parametrize("size", [(30, 20), (20, 30), (31, 20), (1, 9)])
    def test_pad_keeps_every_pixel_in_the_middle(self, size):
        padded = pixels(fit_image(flags(size), "pad"))
        width, height = size
        side = max(size)
        assert padded.shape == (side, side, 3)
        left, top = (side - width) // 2, (side - height) // 2
        inner = padded[top : top + height, left : left + width]
        assert (inner == np.asarray(flags(size))).all()
        outer = np.ones((side, side), bool)
        outer[top : top + height, left : left + width] = False
        assert (padded[outer] == PAD_COLOR).all()

    def test_squash_shows_everything(self):
        squashed = fit_image(flags((60, 20)), "squash")
        assert_same(
            squashed.resize((2, 2), Image.Resampling.BOX),
            flags((60, 60)).resize((2, 2), Image.Resampling.BOX),
            3,
        )
        assert squashed.size == (60, 60)

    @pytest.mark.parametrize("fit", ["pad", "squash"])
    def test_a_long_strip_does_not_become_a_giant(self, fit, monkeypatch):
        monkeypatch.setattr(images.strips, "MOST_KEPT", 50 * 50)
        assert fit_image(flags((1000, 2)), fit).size == (50, 50)

    def test_the_bars_are_about_zero_to_clip(self):
        mean, deviation = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
        assert np.allclose((np.array(PAD_COLOR) / 255 - mean) / deviation, 0, atol=0.01)


class TestKey:
    def test_equal_pictures_have_equal_keys_in_every_process(self):
        assert image_key(flags()) == image_key(open_image(encoded(flags(), "PNG")))
        assert image_key(flags((2, 2))) == "a7a329f226764a90b903fe49cea4181c87432ae54f32dd629ed839466561d590"

    def test_pixels_size_and_mode_matter(self):
        grey = Image.frombytes("L", (12, 1), bytes(range(12)))
        pictures = [
            grey,
            Image.frombytes("L", (6, 2), bytes(range(12))),
            Image.frombytes("L", (1, 12), bytes(range(12))),
            Image.frombytes("RGB", (4, 1), bytes(range(12))),
            Image.frombytes("L", (12, 1), bytes(range(11)) + b"\0"),
        ]
        assert len({image_key(picture) for picture in pictures}) == len(pictures)
