import functools
import io
import os
import pathlib
import re
import struct
import subprocess
import sys
import threading
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, features
from unrender.core import images
from unrender.core.errors import ImageError
from unrender.core.images import PAD_COLOR, fit_image, formats, image_key, open_image

PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "retina.jpg", "hubble_deep_field.jpg")
HAS_AVIF = "avif" in features.modules and features.check("avif")
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


def png_header(width: int, height: int) -> bytes:
    """A PNG file that ends where its pixels should begin."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    checksum = struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + checksum + struct.pack(">I", 9) + b"IDAT"


def icon_with(picture: bytes) -> bytes:
    """An ICO file which says 16 x 16 in its directory, whatever the picture in it says."""
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, len(picture), 22) + picture


def no_plugins(monkeypatch) -> None:
    """As on a machine without the optional decoders, nor AVIF in Pillow."""
    for module in ("pillow_heif", "pillow_avif"):
        monkeypatch.setitem(sys.modules, module, None)
    for format in ("AVIF", "HEIF"):
        monkeypatch.delitem(Image.OPEN, format, raising=False)
    monkeypatch.setattr(features, "check", lambda feature: False)


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


class TestArrays:
    @settings(deadline=None)
    @given(hnp.arrays(np.uint8, st.tuples(st.integers(5, 9), st.integers(5, 9), st.sampled_from([1, 3, 4]))))
    def test_all_layouts_and_types_agree(self, array):
        torch = pytest.importorskip("torch")
        expected = open_image(array)
        chw = np.moveaxis(array, 2, 0)
        unit = array / 255
        same = [
            chw,
            array[None],
            chw[None],
            unit,
            unit.astype(np.float32),
            unit.astype(np.float16),
            chw / 255,
        ]
        tensors = [
            torch.from_numpy(array),
            torch.from_numpy(unit),
            torch.from_numpy(unit).permute(2, 0, 1)[None],
        ]
        if array.shape[2] == 1:
            same += [array[:, :, 0], unit[:, :, 0]]
        for source in same + tensors:
            assert_same(open_image(source), expected)
        if array.shape[2] == 3:
            assert_same(expected, array)
        elif array.shape[2] == 1:
            assert_same(expected, array.repeat(3, axis=2))
        else:
            assert_same(expected, over_white(array), tolerance=1)

    def test_tensors_with_gradients_and_short_floats(self):
        torch = pytest.importorskip("torch")
        tensor = torch.full((8, 8, 3), 0.5, requires_grad=True)
        assert open_image(tensor).getpixel((0, 0)) == (128, 128, 128)
        assert open_image(tensor.to(torch.bfloat16)).getpixel((0, 0)) == (128, 128, 128)

    def test_a_shape_that_fits_both_layouts_has_its_channels_last(self):
        assert open_image(np.zeros((3, 7, 3), np.uint8)).size == (7, 3)

    def test_the_overshoot_of_resizing_is_clipped(self):
        array = np.array([[-0.1, 0, 1, 1.1]], np.float32).repeat(5, axis=0)
        assert pixels(open_image(array))[0, :, 0].tolist() == [0, 0, 255, 255]

    @pytest.mark.parametrize(
        "array, cause",
        [
            (np.full((5, 5, 3), np.nan), "NaN"),
            (np.full((5, 5, 3), np.inf), "infinite"),
            (np.full((5, 5, 3), 200.0), "divide it by 255"),
            (np.linspace(-1, 1, 75).reshape(5, 5, 3), "from -1 to 1.*scale it to 0 to 1"),
            (np.zeros((5, 5, 3), np.int64), "int64"),
            (np.zeros((5, 5, 3), bool), "bool"),
            (np.zeros((5, 5, 3), np.complex64), "complex64"),
            (np.array([["a"]], object), "object"),
            (np.zeros((2, 5, 5, 3), np.uint8), "batch of 2.*one at a time"),
            (np.zeros((0, 5, 5, 3), np.uint8), "batch of 0"),
            (np.zeros((5, 5, 2), np.uint8), r"shape \(5, 5, 2\)"),
            (np.zeros((5, 5, 5), np.uint8), r"shape \(5, 5, 5\)"),
            (np.zeros(5, np.uint8), r"shape \(5,\)"),
            (np.zeros((1, 1, 5, 5, 3), np.uint8), "shape"),
            (np.zeros((0, 5, 3), np.uint8), "without values"),
            (np.float32(3), r"shape \(\)"),
        ],
    )
    def test_arrays_that_are_no_pictures(self, array, cause):
        with pytest.raises(ImageError, match=cause):
            open_image(array)

    def test_tensors_that_are_no_pictures(self):
        torch = pytest.importorskip("torch")
        for tensor in (torch.zeros(5, 5, 3).to_sparse(), torch.zeros(5, 5, 3, device="meta")):
            with pytest.raises(ImageError):
                open_image(tensor)


class TestErrors:
    @pytest.mark.parametrize(
        "data, cause",
        [
            (b"", r"is empty \(0 bytes\)"),
            (b"just some words", "is text"),
            (
                b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
                "SVG drawing.*export it as PNG",
            ),
            (b"<!DOCTYPE html><html></html>", "web page"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
            (b"8BPS" + bytes(40), "Photoshop"),
            (b"%PDF-1.7\n", "PDF"),
            (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PostScript"),
            (b"gimp xcf v011\0", "GIMP"),
            (b"PK\x03\x04" + bytes(30), "zip"),
            (b"\xff\x0a" + bytes(30), "JPEG XL"),
            (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", "video"),
            (b"RIFF\0\0\0\0AVI LIST", "video"),
            (b"\x89PNG\r\n\x1a\n", "begins like a PNG"),
            (b"\xff\xd8\xff\xe0", "begins like a JPEG"),
            (b"II*\0\x08\0\0\0", "begins like a TIFF|cannot be decoded"),
            (bytes(range(200, 256)), "not a picture"),
        ],
    )
    @pytest.mark.filterwarnings("ignore:Corrupt EXIF")
    def test_what_is_no_picture_is_named(self, data, cause, tmp_path):
        path = tmp_path / "thing.png"
        path.write_bytes(data)
        with pytest.raises(ImageError, match=cause) as caught:
            open_image(path)
        assert str(caught.value).startswith(f'"{path}" ')
        with pytest.raises(ImageError, match=cause) as caught:
            open_image(data)
        assert str(caught.value).startswith("The picture ")
        with pytest.raises(ImageError, match=cause) as caught:
            open_image(io.BytesIO(data), name="upload 3")
        assert str(caught.value).startswith('"upload 3" ')
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("brand, package", [(b"heic", "pillow-heif"), (b"avif", "pillow-avif-plugin")])
    def test_a_missing_decoder_is_named_with_its_command(self, brand, package, monkeypatch):
        no_plugins(monkeypatch)
        head = b"\0\0\0\x18ftypmif1\0\0\0\0mif1" + brand + bytes(100)
        with pytest.raises(ImageError, match=f"needs the package {package}; run `pip install {package}`"):
            open_image(head)

    def test_a_decoder_is_loaded_when_it_is_needed(self, monkeypatch):
        no_plugins(monkeypatch)
        data = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)

        class Plugin:
            @staticmethod
            def register_heif_opener():
                accept = lambda head: head[4:12] == b"ftypheic"  # noqa: E731
                Image.register_open("HEIF", lambda stream, name: flags(), accept)

        monkeypatch.setitem(sys.modules, "pillow_heif", Plugin)
        try:
            assert_same(open_image(data), flags())
        finally:
            Image.OPEN.pop("HEIF", None)
            Image.ID.remove("HEIF")

    def test_a_damaged_file_is_not_blamed_on_a_missing_decoder(self, monkeypatch):
        class Plugin:
            register_heif_opener = staticmethod(lambda: None)

        monkeypatch.setitem(sys.modules, "pillow_heif", Plugin)
        with pytest.raises(ImageError, match="damaged"):
            open_image(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))

    def test_paths(self, tmp_path):
        for source, cause in [
            (tmp_path / "absent.png", "does not exist"),
            (tmp_path, "is a folder"),
            ("", "empty path"),
            ("nul\0byte.png", "does not exist"),
            ("x" * 5000, "cannot be opened"),
            ("https://example.com/cat.png", "web address"),
        ]:
            with pytest.raises(ImageError, match=cause):
                open_image(source)
        (tmp_path / "file").write_bytes(b"1")
        with pytest.raises(ImageError, match="does not exist"):
            open_image(tmp_path / "file" / "inner.png")

    def test_a_name_that_cannot_be_printed(self):
        with pytest.raises(ImageError) as caught:
            open_image(b"/no/such/\xff.png".decode(errors="surrogateescape"))
        str(caught.value).encode()

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
    def test_a_pipe_is_refused_instead_of_waited_for(self, tmp_path):
        os.mkfifo(tmp_path / "pipe.png")
        errors = []

        def read():
            try:
                open_image(tmp_path / "pipe.png")
            except ImageError as error:
                errors.append(str(error))

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        reader.join(10)
        assert errors and "not a regular file" in errors[0]

    def test_a_file_that_may_not_be_read(self, tmp_path, monkeypatch):
        path = tmp_path / "secret.png"
        flags().save(path)

        def refuse(*_):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(pathlib.Path, "open", refuse)  # root could read any file
        with pytest.raises(ImageError, match="may not be read"):
            open_image(path)

    @pytest.mark.parametrize("source", [None, 3, ["a.png"], object(), (1, 2)])
    def test_other_types(self, source):
        with pytest.raises(ImageError, match=f"of the type {type(source).__name__}"):
            open_image(source)

    def test_a_text_file_object_and_a_closed_one(self, tmp_path):
        with pytest.raises(ImageError, match="mode 'rb'"):
            open_image(io.StringIO("text"))
        closed = io.BytesIO(b"abc")
        closed.close()
        with pytest.raises(ImageError, match="closed"):
            open_image(closed)

    @pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF"])
    def test_cut_off_files(self, format, tmp_path):
        photo = Image.open(data_folder() / "chelsea.png").convert("RGB").resize((90, 60))
        data = encoded(photo, format)
        path = tmp_path / "half"
        path.write_bytes(data[: len(data) // 2])
        with pytest.raises(ImageError, match=r"cut off|damaged") as caught:
            open_image(path)
        assert str(path) in str(caught.value)
        assert caught.value.__cause__ is not None

    def test_a_cut_off_file_given_as_a_pil_image(self):
        data = encoded(flags((200, 200)), "JPEG")
        with pytest.raises(ImageError, match="cut off"):
            open_image(Image.open(io.BytesIO(data[:-200])))

    def test_pictures_without_pixels(self):
        with pytest.raises(ImageError, match=r"no pixels \(0 x 5\)"):
            open_image(Image.new("RGB", (0, 5)))

    def test_memory_errors_are_not_hidden(self, monkeypatch):
        def exhausted(*_):
            raise MemoryError

        monkeypatch.setattr(Image.Image, "convert", exhausted)
        with pytest.raises(MemoryError):
            open_image(flags())


class TestSizeLimit:
    @pytest.mark.parametrize("pillow_limit", [None, 89_478_485, 10**12])
    @pytest.mark.parametrize("wrap", [bytes, icon_with])
    def test_giants_are_refused_by_their_header(self, pillow_limit, wrap, monkeypatch):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pillow_limit)
        with pytest.raises(ImageError, match="make it smaller"):
            open_image(wrap(png_header(60_000, 60_000)))

    def test_a_giant_bitmap_in_an_icon(self, monkeypatch):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
        bitmap = struct.pack("<IiiHHIIiiII", 40, 60_000, 120_000, 1, 32, 0, 0, 0, 0, 0, 0)
        with pytest.raises(ImageError, match="60000 x 60000, more than"):
            open_image(icon_with(bitmap))

    def test_the_limit_is_on_pixels(self, monkeypatch):
        monkeypatch.setattr(images.reading, "MAX_PIXELS", 24 * 24)
        assert open_image(flags()).size == (24, 24)
        with pytest.raises(ImageError, match="25 x 24"):
            open_image(flags((25, 24)))
        with pytest.raises(ImageError, match="25 x 24"):
            open_image(np.zeros((24, 25, 3), np.uint8))

    def test_a_stricter_limit_of_the_host_is_an_image_error(self, monkeypatch):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
        with pytest.raises(ImageError, match="make it smaller"):
            open_image(encoded(flags(), "PNG"))

    def test_a_warning_made_an_error_by_the_host_is_an_image_error(self, monkeypatch):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 24 * 24 - 1)
        data = encoded(flags(), "PNG")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(ImageError, match="make it smaller"):
                open_image(data)

    def test_global_state_is_left_alone(self):
        before = (Image.MAX_IMAGE_PIXELS, list(warnings.filters))
        open_image(encoded(flags(), "PNG"))
        with pytest.raises(ImageError):
            open_image(png_header(60_000, 60_000))
        assert (Image.MAX_IMAGE_PIXELS, list(warnings.filters)) == before


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
        monkeypatch.setattr(images.reading, "MAX_PIXELS", 1_000_000)
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
        monkeypatch.setattr(images.reading, "MAX_PIXELS", 50 * 50)
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
