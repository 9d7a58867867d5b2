"""What is no picture is a sentence that names it; giants are refused by their header."""

import io
import os
import pathlib
import struct
import sys
import threading
import warnings
import zlib

import numpy as np
import pytest
from image_files import assert_same, data_folder, encoded, flags
from PIL import Image, features
from unrender.core import images
from unrender.core.errors import ImageError
from unrender.core.images import open_image


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
        with pytest.raises(ImageError, match=f"needs the package {package}; run `.+ -m pip install {package}`"):
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

    def test_too_little_memory_is_a_sentence(self, monkeypatch):
        def exhausted(*_):
            raise MemoryError

        monkeypatch.setattr(Image.Image, "copy", exhausted)
        with pytest.raises(ImageError, match="takes more memory than there is; make it smaller"):
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
        monkeypatch.setattr(images.limits, "MAX_PIXELS", 24 * 24)
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
