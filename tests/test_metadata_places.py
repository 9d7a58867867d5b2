"""Where in a file the texts stand and in which encoding: EXIF, XMP, comments, and the pixels themselves."""

from __future__ import annotations

import gzip
import io
import json
import struct
import time
import zlib

import numpy as np
import pytest
from metadata_files import chunk, exif_block, png, png_with, with_exif
from PIL import Image, TiffImagePlugin, TiffTags, features
from unrender.core.batch.xmp import with_description
from unrender.core.images import open_image
from unrender.core.metadata import read_metadata
from unrender.core.metadata.exif import user_comment
from unrender.core.metadata.file_texts import read_texts
from unrender.core.metadata.xmp import xmp_packet, xmp_texts

TEXT = "a castle at dawn\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, Seed: 77, Size: 512x512, Model: dream"
JAPANESE = "城の絵, 朝焼け"
XMP_START = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
XMP_END = "</rdf:RDF></x:xmpmeta>"
SPACES = (
    'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:exif="http://ns.adobe.com/exif/1.0/" '
    'xmlns:tiff="http://ns.adobe.com/tiff/1.0/"'
)


def understood(data):
    found = read_metadata(data)
    return found.prompt, found.negative_prompt, found.seed, found.notes


RIGHT = ("a castle at dawn", "blurry", "77", ())


# EXIF


@pytest.mark.parametrize("text", [TEXT, TEXT.replace("dawn", "dämmerung"), TEXT.replace("a castle at dawn", JAPANESE)])
@pytest.mark.parametrize(
    ("code", "encoding"),
    [
        *(("UNICODE\0", name) for name in ("utf-8", "utf-8-sig", "utf-16-be", "utf-16-le", "utf-16", "utf-32")),
        *(("ASCII\0\0\0", name) for name in ("utf-8", "utf-8-sig")),
        *(("\0" * 8, name) for name in ("utf-8", "utf-8-sig", "utf-16")),
        *(("", name) for name in ("utf-8", "utf-8-sig", "utf-16")),
    ],
)
@pytest.mark.parametrize("ending", ["", "\0"])
def test_user_comments_are_read_in_the_encoding_they_have(text, code, encoding, ending):
    assert user_comment(code.encode() + (text + ending).encode(encoding)) == text


@pytest.mark.parametrize("encoding", ["utf-16-be", "utf-16-le", "utf-8"])
def test_comments_without_a_letter_of_english(encoding):
    assert user_comment(b"UNICODE\0" + JAPANESE.replace(", ", "、").encode(encoding)) == JAPANESE.replace(", ", "、")


def test_comments_in_jis_and_latin():
    assert user_comment(b"JIS\0\0\0\0\0" + JAPANESE.encode("iso2022_jp")) == JAPANESE
    assert user_comment(b"ASCII\0\0\0" + "dämmerung".encode("latin-1")) == "dämmerung"


@pytest.mark.parametrize("order", [b"II", b"MM"])
def test_both_orders_of_bytes(order):
    exif = Image.Exif()
    exif.endian = "<" if order == b"II" else ">"
    exif[0x010E] = TEXT
    data = io.BytesIO()
    Image.new("RGB", (8, 8)).save(data, "JPEG", exif=exif)
    assert understood(data.getvalue()) == RIGHT


def windows_text(tag, text):
    """A tag as Windows writes it: bytes, in UTF-16."""
    value = text.encode("utf-16-le") + b"\0\0"
    entry = struct.pack("<HHII", tag, 1, len(value), 26)
    return b"Exif\0\0" + struct.pack("<2sHIH", b"II", 42, 8, 1) + entry + bytes(4) + value


@pytest.mark.parametrize("tag", [0x9C9B, 0x9C9C, 0x9C9F])
def test_titles_and_comments_of_windows(tag):
    data = io.BytesIO()
    Image.new("RGB", (8, 8)).save(data, "JPEG", exif=windows_text(tag, TEXT))
    assert understood(data.getvalue()) == RIGHT


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "TIFF", "AVIF"])
def test_kinds_of_files(kind):
    if kind == "AVIF" and not (
        features.check("avif") if "avif" in features.features or "avif" in features.modules else 0
    ):
        pytest.skip("this Pillow has no AVIF")
    assert understood(with_exif(kind, {0x010E: TEXT})) == RIGHT


def test_descriptions_in_utf8_are_not_taken_for_latin():
    assert dict(read_texts(with_exif("JPEG", {0x010E: JAPANESE}))) == {"ImageDescription": JAPANESE}


def test_comments_of_gif_and_jpeg():
    for kind in ("GIF", "JPEG"):
        data = io.BytesIO()
        Image.new("RGB", (8, 8)).save(data, kind, comment=TEXT.encode())
        assert understood(data.getvalue()) == RIGHT


# XMP


def packet(body):
    return f"{XMP_START}<rdf:Description rdf:about='' {SPACES}{body}{XMP_END}"


ALTERNATIVES = "<rdf:Alt><rdf:li xml:lang='x-default'>{}</rdf:li><rdf:li xml:lang='de'>anders</rdf:li></rdf:Alt>"


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (f"><dc:description>{ALTERNATIVES}</dc:description></rdf:Description>", "XMP description"),
        (f"><exif:UserComment>{ALTERNATIVES}</exif:UserComment></rdf:Description>", "XMP user comment"),
        (f"><dc:title>{ALTERNATIVES}</dc:title></rdf:Description>", "XMP title"),
        ("><tiff:ImageDescription>{}</tiff:ImageDescription></rdf:Description>", "XMP image description"),
        (" exif:UserComment='{}'/>", "XMP user comment"),
    ],
)
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_texts_of_xmp(body, name, kind):
    whole = packet(body.replace("{}", TEXT.replace("\n", "&#10;"))).encode()
    if kind == "PNG":
        data = png_with(chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + whole))
    else:
        stream = io.BytesIO()
        options = {"tiffinfo": {700: whole}} if kind == "TIFF" else {"xmp": whole}
        Image.new("RGB", (8, 8)).save(stream, kind, **options)
        data = stream.getvalue()
    texts = read_texts(data)
    if kind == "JPEG" and name not in texts:
        pytest.skip("this Pillow writes no XMP into JPEGs")
    assert texts == {name: TEXT}
    assert understood(data) == RIGHT


def tiff_with(packet: object, kind: int) -> bytes:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags.tagtype[700] = kind
    tags[700] = packet
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "TIFF", tiffinfo=tags)
    return stream.getvalue()


@pytest.mark.parametrize("kind", [TiffTags.BYTE, TiffTags.UNDEFINED, TiffTags.ASCII])
def test_xmp_of_a_tiff_in_any_type_of_tag(kind):
    bytes_of_tag = tiff_with(xmp_packet("a cöstle"), TiffTags.UNDEFINED)
    data = bytes_of_tag.replace(struct.pack("<HH", 700, TiffTags.UNDEFINED), struct.pack("<HH", 700, kind))
    assert read_metadata(data).prompt == "a cöstle" and open_image(data).size == (8, 8)


@pytest.mark.parametrize(("kind", "value"), [(TiffTags.SHORT, 7), (TiffTags.DOUBLE, 1.5), (TiffTags.RATIONAL, 0.5)])
def test_a_number_in_the_place_of_xmp_is_left(kind, value):
    data = tiff_with(value, kind)
    assert read_metadata(data).texts == () and open_image(data).size == (8, 8)


@pytest.mark.parametrize("text", ['a castle, <b>oil</b> & "ink"', JAPANESE, "a\nb"])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_what_we_write_ourselves_is_read_back_and_told_apart(text, kind):
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, kind)
    described = with_description(stream.getvalue(), text)
    assert described is not None
    found = read_metadata(described)
    assert (found.generator, found.prompt) == ("", text)
    assert "found by Unrender" in found.notes[0]
    # what made the picture goes before what was found in it
    if kind == "PNG":
        made = with_description(png(parameters=TEXT), text)
        assert understood(made) == RIGHT and dict(read_metadata(made).texts)["Unrender description"] == text


def test_what_we_write_beside_a_picture_is_read_too(tmp_path):
    picture = tmp_path / "a.webp"
    Image.new("RGB", (8, 8)).save(picture)
    (tmp_path / "a.webp.xmp").write_bytes(xmp_packet("a castle"))
    assert read_metadata(picture).prompt == "a castle"
    assert read_metadata(picture.read_bytes()).prompt == ""
    (tmp_path / "a.webp.xmp").write_bytes(b"\xff" * 100)
    assert read_metadata(picture).prompt == ""
    (tmp_path / "a.webp.xmp").unlink()
    (tmp_path / "a.webp.xmp").mkdir()
    assert read_metadata(picture).prompt == ""


def test_another_programs_description_is_no_prompt():
    data = png_with(
        chunk(
            b"iTXt",
            b"XML:com.adobe.xmp\0\0\0\0\0"
            + packet("><dc:description>A harbour</dc:description></rdf:Description>").encode(),
        )
    )
    found = read_metadata(data)
    assert (found.prompt, dict(found.texts)) == ("", {"XMP description": "A harbour"})


def test_a_packet_of_which_nothing_is_known_is_shown():
    data = png_with(chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet("></rdf:Description>").encode()))
    assert "rdf:Description" in read_texts(data)["XML:com.adobe.xmp"]


ENTITIES = "".join(f'<!ENTITY e{at} "{f"&e{at - 1};" * 10}">' for at in range(1, 9))
SAYS_ENTITY = packet("><dc:description>&e8;</dc:description></rdf:Description>")


@pytest.mark.parametrize(
    "whole",
    [
        f'<!DOCTYPE a [<!ENTITY e0 "{"x" * 1000}">{ENTITIES}]>{SAYS_ENTITY}',
        f'<!DOCTYPE a [<!ENTITY e8 SYSTEM "file:///etc/hostname">]>{SAYS_ENTITY}',
        packet("><dc:description>" + "<a>" * 200_000),
        packet("><dc:description>" + "a&amp;" * 300_000),
        "<" * 1_000_000,
        packet("".join(f" exif:a{at}='1'" for at in range(50_000)) + "/>"),
    ],
    ids=["entities", "file", "deep", "long", "no xml", "attributes"],
)
def test_hostile_packets(whole):
    started = time.process_time()
    texts = dict(xmp_texts(whole.encode()))
    assert time.process_time() - started < 3
    assert all(len(text) <= 2 * 2**20 for text in texts.values())
    assert (texts.keys() <= {"XMP description"} and "DOCTYPE" not in whole) or not texts


# Pixels


def hidden(text, mark, size=(64, 64), more=b""):
    """A picture with a text in its lowest bits, column after column."""
    data = gzip.compress(text.encode()) if mark.endswith(b"comp") else text.encode()
    bits = np.unpackbits(np.frombuffer(mark + struct.pack(">I", 8 * len(data)) + data + more, np.uint8))
    channels = 3 if b"rgb" in mark else 1
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (size[1], size[0], 3 if channels == 3 else 4), dtype=np.uint8)
    columns = pixels.transpose(1, 0, 2).reshape(-1, pixels.shape[2])
    places = columns[:, :3] if channels == 3 else columns[:, 3:]
    flat = places.reshape(-1) & 254
    flat[: len(bits)] |= bits
    flat[len(bits) :] |= 1
    places[:] = flat.reshape(places.shape)
    pixels = np.ascontiguousarray(columns.reshape(size[0], size[1], -1).transpose(1, 0, 2))
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize("size", [(64, 64), (40, 200), (600, 30)])
@pytest.mark.parametrize("mark", [b"stealth_pnginfo", b"stealth_pngcomp", b"stealth_rgbinfo", b"stealth_rgbcomp"])
def test_parameters_hidden_in_pixels(mark, size):
    found = read_metadata(hidden(TEXT, mark, size))
    assert (found.prompt, found.negative_prompt, found.seed, found.generator) == (*RIGHT[:3], "AUTOMATIC1111")


def test_what_novelai_hides():
    comment = {"prompt": "a girl", "uc": "bad hands", "seed": 4711, "steps": 28, "sampler": "k_euler", "scale": 5}
    values = {"Description": "a girl", "Software": "NovelAI", "Source": "NovelAI Diffusion V4 37442FCA"}
    found = read_metadata(
        hidden(json.dumps({**values, "Comment": json.dumps(comment)}), b"stealth_pngcomp", (100, 100))
    )
    assert (found.generator, found.prompt, found.negative_prompt) == ("NovelAI", "a girl", "bad hands")
    assert (found.seed, found.model, found.notes) == ("4711", "NovelAI Diffusion V4", ())


def test_texts_that_stand_in_the_file_go_before_hidden_ones():
    data = hidden("other\nSteps: 1, Seed: 5", b"stealth_pnginfo")
    with_text = data[:33] + chunk(b"tEXt", b"parameters\0" + TEXT.encode()) + data[33:]
    assert understood(with_text) == RIGHT


@pytest.mark.parametrize("mark", [b"stealth_pnginfo", b"stealth_pngcomp", b"stealth_rgbcomp"])
def test_hidden_texts_that_are_cut_or_lie_are_none(mark):
    whole = hidden(TEXT, mark)
    for data in (
        whole[: len(whole) // 2],
        hidden("", mark),
        hidden("x" * 4, mark.replace(b"info", b"comp"), more=b"z"),
    ):
        assert read_metadata(data).prompt == ""


def test_a_hidden_bomb_is_cut():
    found = read_texts(hidden("a" * 50 * 2**20, b"stealth_pngcomp", (700, 700)))
    assert len(found["parameters"]) == 2 * 2**20


def test_looking_for_hidden_texts_decodes_no_picture(monkeypatch):
    """A few rows of the data tell; the rest is not even unpacked."""
    from unrender.core.metadata import stealth

    large = io.BytesIO()
    Image.effect_noise((3000, 3000), 50).convert("RGBA").save(large, "PNG", compress_level=1)
    monkeypatch.setattr(stealth.Image, "open", lambda *args, **options: pytest.fail("the picture was opened"))
    started = time.process_time()
    assert read_texts(large.getvalue()) == {}
    assert time.process_time() - started < 0.5


# Files made to be slow


def test_a_chunk_after_another_is_no_matter():
    many = b"".join(chunk(b"tEXt", b"k%d\0v" % at) for at in range(100_000))
    started = time.process_time()
    assert len(read_texts(png_with(many))) == 200
    assert time.process_time() - started < 3


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt"])
def test_a_flood_of_one_text_is_unpacked_no_further_than_the_limit(kind):
    bomb = zlib.compress(bytes(4 * 2**20), 9)
    flags = b"\0\0" if kind == b"zTXt" else b"\0\1\0\0\0"
    for names in (["same"] * 2000, ["XML:com.adobe.xmp"] * 2000):
        data = png_with(b"".join(chunk(kind, name.encode() + flags + bomb) for name in names))
        started = time.process_time()
        read_texts(data)
        assert time.process_time() - started < 3


def test_a_flood_of_blocks_of_exif():
    block = chunk(b"eXIf", exif_block({0x010E: TEXT})[6:])
    started = time.process_time()
    assert read_texts(png_with(block * 20_000)) == {"ImageDescription": TEXT}
    assert time.process_time() - started < 3


def test_parameters_beside_a_graph_that_says_the_same_are_enough():
    graph = {
        "3": {
            "class_type": "KSampler",
            "inputs": {"seed": 77, "positive": ["6", 0], "negative": ["7", 0], "latent_image": 0},
        },
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a castle at dawn", "clip": 0}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry", "clip": 0}},
    }
    found = read_metadata(png(parameters=TEXT, prompt=json.dumps(graph), workflow="{}"))
    assert (found.generator, found.prompt, found.texts) == ("AUTOMATIC1111", "a castle at dawn", ())
    graph["6"]["inputs"]["text"] = "another"
    found = read_metadata(png(parameters=TEXT, prompt=json.dumps(graph), workflow="{}"))
    assert found.prompt == "a castle at dawn" and "another" in dict(found.texts)["prompt"]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_exif_of_another_form_says_nothing():
    block = exif_block({0x010E: TEXT})
    for at in range(6, len(block), 3):
        data = png_with(chunk(b"eXIf", block[6:at] + b"\xff" * 4 + block[at + 4 :]))
        assert isinstance(read_texts(data), dict)
