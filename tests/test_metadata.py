"""What files say of themselves: every format, written here as its generator writes it, and hostile files."""

from __future__ import annotations

import json
import sys
import time
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metadata_files import chunk, exif_block, png, png_with, with_exif
from PIL import Image
from unrender.cli import main
from unrender.core.errors import ImageError
from unrender.core.metadata import prompt_in_file, read_metadata
from unrender.core.metadata.file_texts import MOST_BYTES_OF_ONE, read_texts
from unrender.core.printable import printable

A1111 = (
    "a castle at dawn, (oil painting:1.2), by José\nsecond line\n"
    "Negative prompt: blurry, lowres\n"
    "Steps: 28, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 1234567890, Size: 512x768, "
    "Model hash: 6ce0161689, Model: v1-5-pruned, Version: v1.9.4"
)
GRAPH = {
    "3": {
        "class_type": "KSampler",
        "inputs": {
            **{"seed": 42, "steps": 20, "cfg": 8.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0},
            **{"model": ["10", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0]},
        },
    },
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd_xl_base.safetensors"}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 512, "batch_size": 1}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a glass bottle, galaxy", "clip": ["10", 1]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "text, watermark", "clip": ["10", 1]}},
    "10": {"class_type": "LoraLoader", "inputs": {"lora_name": "l", "model": ["4", 0], "clip": ["4", 1]}},
}
INVOKE = {
    **{"positive_prompt": "a fox, ink", "negative_prompt": "photo", "seed": 7, "steps": 30, "cfg_scale": 7.5},
    **{"scheduler": "euler", "width": 512, "model": {"model_name": "dreamshaper", "base_model": "sd-1"}},
}
FOOOCUS = {
    **{"prompt": "a lighthouse", "negative_prompt": "fog", "base_model": "jugger", "base_model_hash": "abc"},
    **{"sampler": "dpmpp_2m", "scheduler": "karras", "seed": "99", "guidance_scale": 4, "steps": 30, "sharpness": 2},
    "version": "Fooocus v2.5.0",
}
NOVELAI = {
    "steps": 28,
    "sampler": "k_euler",
    "seed": 4711,
    "strength": 0.7,
    "noise": 0.2,
    "scale": 11,
    "uc": "bad hands",
}


# Formats


@pytest.mark.parametrize(
    "data",
    [
        png(parameters=A1111),
        png(parameters=(A1111, "z")),
        png(parameters=(A1111, "i")),
        png_with(chunk(b"tEXt", b"parameters\0" + A1111.encode())),
        with_exif("JPEG", {}, b"UNICODE\0" + A1111.encode("utf-16-be")),
        with_exif("JPEG", {}, b"UNICODE\0" + A1111.encode("utf-16-le")),
        with_exif("WEBP", {}, b"UNICODE\0" + A1111.encode("utf-16-be")),
        with_exif("JPEG", {}, b"ASCII\0\0\0" + A1111.encode()),
    ],
    ids=["text", "compressed", "international", "utf8", "jpeg", "little-endian", "webp", "ascii"],
)
def test_the_webui(data):
    found = read_metadata(data)
    assert found.generator == "AUTOMATIC1111"
    assert found.prompt == "a castle at dawn, (oil painting:1.2), by José\nsecond line"
    assert found.negative_prompt == "blurry, lowres"
    assert (found.seed, found.model) == ("1234567890", "v1-5-pruned")
    assert dict(found.settings)["steps"] == "28" and dict(found.settings)["sampler"] == "DPM++ 2M"
    assert found.texts == ()
    assert json.loads(json.dumps(found.to_dict())) == found.to_dict()


@pytest.mark.parametrize(
    "parameters",
    [
        "a cat\nSteps: 4, Seed: 5",
        "a cat\nNegative prompt: dog\nNegative prompt: bird\nSteps: 4, Sampler: x, Seed: 5, CFG scale: 1",
    ],
)
def test_unusual_parameters_of_the_webui(parameters):
    found = read_metadata(png(parameters=parameters))
    assert (found.prompt, found.seed, found.generator) == ("a cat", "5", "AUTOMATIC1111")


@pytest.mark.parametrize(
    "data",
    [
        png(prompt=json.dumps(GRAPH), workflow=json.dumps({"nodes": [], "links": []})),
        png(prompt=json.dumps(GRAPH)),
        with_exif("WEBP", {0x0110: f"prompt:{json.dumps(GRAPH)}", 0x010F: "workflow:{}"}),
    ],
    ids=["both", "no workflow", "webp"],
)
def test_comfyui(data):
    found = read_metadata(data)
    assert found.generator == "ComfyUI"
    assert (found.prompt, found.negative_prompt) == ("a glass bottle, galaxy", "text, watermark")
    assert (found.seed, found.model) == ("42", "sd_xl_base.safetensors")
    assert dict(found.settings)["cfg_scale"] == "8.0"


def test_invokeai():
    found = read_metadata(png(invokeai_metadata=json.dumps(INVOKE)))
    assert (found.generator, found.prompt, found.negative_prompt) == ("InvokeAI", "a fox, ink", "photo")
    assert (found.seed, found.model) == ("7", "dreamshaper")
    old = read_metadata(png(Dream='"a fox [photo]" -s 30 -S 7 -W 512 -H 512 -C 7.5 -A k_euler'))
    assert (old.generator, old.prompt, old.negative_prompt, old.seed) == ("InvokeAI", "a fox", "photo", "7")


def test_novelai():
    texts = {"Title": "AI generated image", "Software": "NovelAI", "Source": "Stable Diffusion 1D44365E"}
    found = read_metadata(png(**texts, Description="a girl with a hat", Comment=json.dumps(NOVELAI)))
    assert (found.generator, found.prompt, found.negative_prompt) == ("NovelAI", "a girl with a hat", "bad hands")
    assert (found.seed, found.model) == ("4711", "Stable Diffusion")


@pytest.mark.parametrize(
    "data",
    [
        png(parameters=json.dumps(FOOOCUS), fooocus_scheme="fooocus"),
        with_exif("JPEG", {}, b"UNICODE\0" + json.dumps(FOOOCUS).encode("utf-16-be")),
    ],
)
def test_fooocus(data):
    found = read_metadata(data)
    assert (found.generator, found.prompt, found.negative_prompt) == ("Fooocus", "a lighthouse", "fog")
    assert (found.seed, found.model) == ("99", "jugger")


def test_fooocus_in_the_webuis_words():
    assert read_metadata(png(parameters=A1111, fooocus_scheme="a1111")).generator == "Fooocus"


def test_photographs_and_drawings_tell_their_texts():
    data = with_exif("JPEG", {0x010E: "A harbour", 0x0110: "Camera 5", 0x013B: "Ann"}, b"ASCII\0\0\0nice")
    found = read_metadata(data)
    texts = {"ImageDescription": "A harbour", "Model": "Camera 5", "Artist": "Ann", "UserComment": "nice"}
    assert dict(found.texts) == texts
    assert not found.tells_prompt
    assert dict(read_metadata(png(Author="me", Comment="hello")).texts) == {"Author": "me", "Comment": "hello"}
    assert read_metadata(png()) == type(found)()


def test_text_after_the_pixels_is_read():
    plain = png()
    late = plain[:-12] + chunk(b"tEXt", b"parameters\0" + A1111.encode("latin-1")) + plain[-12:]
    assert read_metadata(late).seed == "1234567890"


def test_exif_in_a_png():
    block = exif_block({0x010E: "described"})[6:]
    assert dict(read_metadata(png_with(chunk(b"eXIf", block))).texts) == {"ImageDescription": "described"}


# Hostile files


def timed(data):
    started = time.perf_counter()
    found = read_metadata(data)
    assert time.perf_counter() - started < 5  # far above what is taken; two cores may be busy
    return found


def test_a_compressed_bomb_is_cut():
    bomb = b"".join(_bomb(300))
    data = png_with(chunk(b"zTXt", b"bomb\0\0" + bomb), chunk(b"iTXt", b"bomb2\0\1\0\0\0" + bomb))
    texts = read_texts(data)
    assert {key: len(text) for key, text in texts.items()} == {"bomb": MOST_BYTES_OF_ONE, "bomb2": MOST_BYTES_OF_ONE}
    found = timed(data)
    assert all(len(text) <= 20_000 for _, text in found.texts)


def _bomb(megabytes):
    packer = zlib.compressobj(9)
    for _ in range(megabytes):
        yield packer.compress(bytes([97]) * 2**20)
    yield packer.flush()


def test_many_bombs_are_cut_together():
    bomb = b"".join(_bomb(4))
    data = png_with(*(chunk(b"zTXt", b"bomb%d\0\0" % number + bomb) for number in range(100)))
    assert sum(map(len, read_texts(data).values())) <= 16 * 2**20


@pytest.mark.parametrize(
    "parameters",
    [
        "x\nSteps: 1, Seed: " + "9" * 60_000,
        "Hashes: {" * 7000,
        "Negative prompt:" * 4000,
        "a, " * 20_000 + "\nSteps: 1",
        "[" * 65_000,
        '{"a":' * 13_000,
        "Steps:" * 10_000,
        "\nSteps: " + "A " * 30_000,
    ],
)
def test_parameters_made_to_be_slow_or_deep(parameters):
    timed(png(parameters=parameters))
    timed(png(Dream='"' + " " * 8000 + '"' + " " * 8000))


@pytest.mark.parametrize(
    "prompt",
    [
        "[" * 500_000,
        '{"1":' * 100_000,
        json.dumps({str(at): {"class_type": "x", "inputs": {"a": [str(at + 1), 0]}} for at in range(20_000)}),
        json.dumps(
            {
                str(at): {
                    "class_type": "KSampler",
                    "inputs": {
                        **{"sampler_name": "e", "steps": 1, "cfg": 1, "seed": 1},
                        **{name: [str((at + 1) % 500), 0] for name in ("model", "positive", "negative")},
                    },
                }
                for at in range(32)
            }
            | {str(at): {"class_type": "x", "inputs": {"a": [str((at + 1) % 500), 0]}} for at in range(32, 500)}
        ),
        json.dumps({"1": {"class_type": "KSampler", "inputs": {"model": ["1", 0], "positive": ["1", 0]}}}),
        json.dumps({"1": {"class_type": "KSampler", "inputs": {"sampler_name": [], "steps": {}, "cfg": None}}}),
        '{"1": {"class_type": "a", "inputs": {"seed": ' + "9" * 100_000 + "}}}",
        "null",
        "NaN",
    ],
    ids=["deep", "deep objects", "long chain", "ring of samplers", "itself", "odd types", "digits", "null", "nan"],
)
def test_graphs_made_to_be_slow_or_deep(prompt):
    assert timed(png(prompt=(prompt, "z"))).prompt == ""


def test_what_steers_a_terminal_is_not_shown(capsys, tmp_path):
    evil = "a cat\x1b[2J\x1b]0;title\x07 \x9b31m\u202egnp.exe\nSteps: 2, Sampler: e, Seed: 1, CFG scale: 2"
    path = tmp_path / "evil.png"
    path.write_bytes(png(parameters=(evil, "i"), note=("\x1b[31mred\r\nnext", "i"), **{"k\x1be\x08y": "v"}))
    assert main(["metadata", str(path)]) == 0
    out = capsys.readouterr().out
    assert "a cat[2J" in out
    assert "\n    next" in out
    assert not set(out) & {"\x1b", "\x07", "\x9b", "\u202e", "\r", "\x08"}
    assert main(["metadata", "--json", str(path)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["prompt"] == "a cat[2J]0;title 31mgnp.exe"


@settings(max_examples=100, deadline=None)
@given(st.text())
def test_printable_text_is_printable(text):
    shown = printable(text)
    assert all(letter in "\n\t" or ord(letter) >= 32 for letter in shown)
    assert printable(shown) == shown
    shown.encode("utf-8")


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_files_are_read_or_refused_in_a_sentence(data):
    whole = data.draw(st.sampled_from([png(parameters=(A1111, "i"), prompt=json.dumps(GRAPH)), WEBP, JPEG]))
    at = data.draw(st.integers(0, len(whole) - 1))
    damaged = whole[:at] + data.draw(st.binary(max_size=12)) + whole[at + data.draw(st.integers(0, 40)) :]
    try:
        read_metadata(damaged)
    except ImageError as error:
        assert str(error).count(".") >= 1 and "\n" not in str(error)


WEBP = with_exif("WEBP", {0x0110: f"prompt:{json.dumps(GRAPH)}"})
JPEG = with_exif("JPEG", {0x010E: "x"}, b"UNICODE\0" + A1111.encode("utf-16-be"))


def test_what_is_no_picture_is_a_sentence(tmp_path):
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "empty.png").write_bytes(b"")
    for source in (tmp_path / "absent.png", tmp_path / "text.png", tmp_path / "empty.png", tmp_path):
        with pytest.raises(ImageError, match=source.name):
            read_metadata(source)
        assert prompt_in_file(source) is None
    with pytest.raises(ImageError):
        read_metadata(Image.new("RGB", (2, 2)))


def test_no_package_but_pillow_is_asked(monkeypatch):
    monkeypatch.setitem(sys.modules, "sd_parsers", None)
    assert read_metadata(png(parameters=A1111)).seed == "1234567890"


# The commands


@pytest.fixture
def made(tmp_path):
    path = tmp_path / "made.png"
    path.write_bytes(png(parameters=A1111))
    return str(path)


def test_metadata_of_several_files(made, tmp_path, capsys):
    plain = tmp_path / "plain.png"
    plain.write_bytes(png())
    assert main(["metadata", made, str(tmp_path / "absent.png"), str(plain)]) == 1
    out, err = capsys.readouterr()
    assert err.count("\n") == 1 and "absent.png" in err
    assert "negative prompt: blurry, lowres" in out
    assert f"{plain}\n  the file says nothing" in out


def test_interrogate_shows_the_files_own_prompt_beside_its_answer(made, capsys, monkeypatch):
    arguments = ["interrogate", made, "--clip", "micro", "--captioner", "none", "--mode", "fast", "--device", "cpu"]
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["file"]["prompt"].startswith("a castle at dawn") and found["file"]["seed"] == "1234567890"
    assert "castle" not in found["prompt"]
    assert main(arguments) == 0
    assert capsys.readouterr().out == f"{found['prompt']}\n"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "dumb")
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert found["prompt"] in out
    assert "the file's own prompt (made with AUTOMATIC1111): a castle at dawn, (oil painting:1.2), by José" in out
    assert "the file's own negative prompt: blurry, lowres" in out
    assert "seed 1234567890, model v1-5-pruned" in out
