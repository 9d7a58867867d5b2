"""Pictures that would exhaust a machine: each is a picture or a sentence, for little time and memory."""

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from picture_costs import Cost, costs_of
from picture_seeds import picture_seeds, png_chunk, with_png_chunks
from PIL import Image
from unrender.core.images import open_image
from unrender.core.images.sieve import sifted

pytest.importorskip("resource")

SIDE = 13_377
"""A square of it has as many pixels as are taken."""


def png_of(width: int, height: int, bits: int, colours: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """One colour, all zeros."""
    row = b"\0" * (1 + (width * bits + 7) // 8)
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(row * 64) for _ in range(height // 64))
    data += packer.compress(row * (height % 64)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*part) for part in parts)


def tiff_of(width: int, height: int, *tags: tuple[int, int, int, int], more: bytes = b"") -> bytes:
    """tags: number, type, count, value."""
    usual = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (277, 3, 1, 1)]
    given = {tag[0] for tag in tags}
    entries = sorted([*(tag for tag in usual if tag[0] not in given), *tags])
    block = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    return b"II*\0\x08\0\0\0" + block + more


def webp_canvas(width: int, height: int) -> bytes:
    """An animation that says it is larger than its one frame."""
    seed = picture_seeds()["webp animated"]
    at = seed.index(b"VP8X") + 12
    return seed[:at] + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little") + seed[at + 6 :]


def jpeg_of_many_scans() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (2048, 2048), (10, 200, 30)).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * 20_000 + data[-2:]


def gif_of_comments() -> bytes:
    seed = picture_seeds()["gif"]
    at = 13 + (3 << ((seed[10] & 7) + 1) if seed[10] & 0x80 else 0)
    return seed[:at] + b"!\xfe" + (b"\xff" + b"c" * 255) * 60_000 + b"\0" + seed[at:]


def overstated_tags(count: int, size: int) -> bytes:
    """Each tag claims all of the block."""
    entries = b"".join(struct.pack("<HHII", 0x9000 + number, 7, size, 8) for number in range(count))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", count) + entries + bytes(max(0, size - 12 * count))


def jpeg_of_tags() -> bytes:
    seed = picture_seeds()["jpeg grey"]
    tags = b"Exif\0\0" + overstated_tags(5000, 60_000)
    bare = seed[:2] + seed[seed.index(b"\xff\xdb") :]  # without JFIF's resolution Pillow looks for EXIF's
    return bare[:2] + b"\xff\xe1" + struct.pack(">H", len(tags) + 2) + tags + bare[2:]


TEXTS = [(b"tEXt", b"key\0" + b"a" * 60_000)] * 1200
PICTURES = {
    "palette": png_of(SIDE, SIDE, 1, 3, (b"PLTE", bytes(range(6)))),
    "clear palette": png_of(SIDE, SIDE, 1, 3, (b"PLTE", bytes(range(6))), (b"tRNS", b"\0\x80")),
    "grey": png_of(SIDE, SIDE, 1, 0),
    "colour text": with_png_chunks(picture_seeds()["png"], [(b"zTXt", b"key\0\0" + zlib.compress(bytes(3_000_000)))]),
    "profile": with_png_chunks(picture_seeds()["png"], [(b"iCCP", b"key\0\0" + zlib.compress(bytes(3_000_000)))]),
    "texts": with_png_chunks(picture_seeds()["png"], TEXTS),
    "comments": gif_of_comments(),
    "tags": jpeg_of_tags(),
    "progressive": Image.new("RGB", (9000, 9000), "teal"),
}
"""What is read. The pictures beyond the usual size are read smaller."""

REFUSED = {
    "one strip of many": tiff_of(20, 8_000_000, (258, 3, 1, 32), (273, 4, 1, 8), (278, 4, 1, 24), (279, 4, 1, 99)),
    "strips of nothing": tiff_of(13_000, 13_000, (273, 4, 1, 8), (278, 4, 1, 13_000), (279, 4, 1, 169_000_000)),
    "tags of everything": b"II*\0" + overstated_tags(4000, 300_000)[4:],
    "one great tile": tiff_of(
        1000, 1000, (259, 3, 1, 8), (322, 4, 1, 60_000), (323, 4, 1, 60_000), (324, 4, 1, 8), (325, 4, 1, 99)
    ),
    "canvas": webp_canvas(6_750_228, 24),
    "square canvas": webp_canvas(13_000, 13_000),
    "one by one": b"qoif" + struct.pack(">IIBB", 1, 1 << 27, 3, 0) + bytes(15),
    "bits without bytes": b"P4\n13000 13000\n",
    "runs without bytes": b"\x0a\x05\x01\x08"
    + struct.pack("<HHHH", 0, 0, 12_999, 12_999)
    + bytes(53)
    + b"\1"
    + struct.pack("<H", 13_000)
    + bytes(60),
    "many scans": jpeg_of_many_scans(),
    "many parts": with_png_chunks(picture_seeds()["png"], [(b"zzZz", b"")] * 300_000),
    "one column": png_of(1, 40_000_000, 1, 0),
    "comment before the size": b"P6\n#" + b"x" * 12_000_000 + b"\n4 4 255\n" + bytes(48),
    "blanks before the size": b"P5" + b" " * 12_000_000 + b"4 4 255\n" + bytes(16),
    "comment before the last number": b"P6 4 4\n#" + b"x" * 12_000_000 + b"\n255\n" + bytes(48),
    "pieces of deflate": b"\x89PNG\r\n\x1a\n"
    + png_chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 16, 6, 0, 0, 0))
    + png_chunk(b"IDAT", zlib.compress(bytes(9999)))
    + png_chunk(b"IEND", b""),
}


@pytest.fixture(scope="module")
def costs(tmp_path_factory) -> dict[str, Cost]:
    folder, files = tmp_path_factory.mktemp("costly"), []
    for name, data in {**PICTURES, **REFUSED}.items():
        files.append(folder / name)
        if isinstance(data, Image.Image):
            data.save(files[-1], "JPEG", progressive=True)
        else:
            files[-1].write_bytes(data)
    return dict(zip([*PICTURES, *REFUSED], costs_of(files), strict=True))


def is_cheap(cost: Cost, own: float = 0) -> bool:
    return cost.seconds < 2 and cost.megabytes < 300 + own


@pytest.mark.parametrize("name", PICTURES)
def test_a_sound_picture_is_read(name, costs):
    assert costs[name].size is not None, costs[name]
    assert is_cheap(costs[name], own=243 if name == "progressive" else 0), costs[name]


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_exhaust_is_a_sentence(name, costs):
    assert costs[name].said.startswith("ImageError: "), costs[name]
    assert is_cheap(costs[name]), costs[name]


def test_sixteen_bits_cost_their_own_size(tmp_path):
    (tmp_path / "deep").write_bytes(png_of(SIDE, SIDE, 16, 0))
    (cost,) = costs_of([tmp_path / "deep"])
    assert cost.size is not None
    assert cost.seconds < 4
    own = SIDE * SIDE * (2 if _deep_as_two_bytes() else 4)
    assert cost.megabytes < own / 1e6 + 100


def _deep_as_two_bytes() -> bool:
    """Older versions of Pillow keep them in four."""
    return Image.open(io.BytesIO(picture_seeds()["png deep"])).mode.startswith("I;16")


def test_the_seeds_are_all_read(tmp_path):
    for number, data in enumerate(picture_seeds().values()):
        (tmp_path / f"{number:03}").write_bytes(data)
    for name, cost in zip(picture_seeds(), costs_of(sorted(tmp_path.iterdir())), strict=True):
        assert cost.size is not None, (name, cost)
        assert cost.megabytes < 60, (name, cost)


def test_texts_and_profiles_say_nothing_about_the_pixels():
    from unrender.core.images import open_image

    plain = np.asarray(open_image(picture_seeds()["png"]))
    for name in ("colour text", "profile", "texts"):
        assert np.array_equal(np.asarray(open_image(PICTURES[name])), plain)
    turned = np.asarray(open_image(picture_seeds()["png with texts"]))
    assert np.array_equal(turned, plain)  # its EXIF comes before its XMP


def test_what_a_jpeg_s_applications_left_is_not_held():
    seed = picture_seeds()["jpeg grey"]
    xmp = b"http://ns.adobe.com/xap/1.0/\0" + bytes(65_000)
    stream = io.BytesIO(seed[:2] + (b"\xff\xe1" + struct.pack(">H", len(xmp) + 2) + xmp) * 500 + seed[2:])
    tracemalloc.start()
    try:
        assert len(sifted(stream, seed[:3], "It").read()) < 3 * 65_536 + len(seed)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("beginning", [b"P6 # (\n4 4\n#\n255\n", b"P6\n4 4 255\n", b"P6\r\n# a\r4\t4 255 "])
def test_usual_comments_in_front_of_a_size_are_read(beginning):
    assert open_image(beginning + bytes(48)).size == (4, 4)
    assert open_image(beginning + bytes(48 + 70_000)).size == (4, 4)
