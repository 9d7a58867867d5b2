"""The programs that write one object or a few texts: each as it writes, beside sd-parsers where that reads it too."""

from __future__ import annotations

import io
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metadata_files import chunk, png, png_with, with_exif
from PIL import Image
from unrender.core.metadata import read_metadata
from unrender.core.metadata.interpretation import interpret

INVOKE = {"positive_prompt": "a fox", "negative_prompt": "photo", "seed": 7, "steps": 30, "cfg_scale": 5.5}
INVOKE |= {"scheduler": "dpmpp_3m_k", "width": 1024, "height": 1024, "loras": [], "app_version": "5.6.0"}
SWARM = {
    "sui_image_params": {
        **{"prompt": "a fox", "negativeprompt": "photo", "model": "flux", "seed": 7, "steps": 30, "cfgscale": 5.5},
        "swarm_version": "0.9.6",
    },
    "sui_extra_data": {"date": "2025-01-01", "generation_time": "1.00 sec"},
    "sui_models": [{"name": "flux.safetensors", "param": "model", "hash": "0x1"}],
}
FOOOCUS = {"prompt": "a fox", "negative_prompt": "photo", "base_model": "jugger", "base_model_hash": "ab", "seed": "7"}
FOOOCUS |= {"full_prompt": ["a fox", "cinematic"], "guidance_scale": 4, "steps": 30, "sampler": "euler"}
OLD_FOOOCUS = {"Prompt": "a fox", "Negative Prompt": "photo", "Base Model": "jugger", "Seed": 7, "Steps": 30}
NOVELAI = {"prompt": "a fox", "uc": "photo", "seed": 7, "steps": 30, "scale": 5.5, "sampler": "k_euler"}
V4 = {
    **NOVELAI,
    "v4_prompt": {"caption": {"base_caption": "a fox", "char_captions": [{"char_caption": "a girl"}]}},
    "v4_negative_prompt": {"caption": {"base_caption": "photo", "char_captions": [{"char_caption": "hat"}]}},
}
EASY = {"prompt": "a fox", "negative_prompt": "photo", "seed": 7, "use_stable_diffusion_model": "sd"}
EASY |= {"num_inference_steps": 30, "guidance_scale": 5.5, "sampler_name": "euler_a", "width": 512}
OLD_EASY = {"Prompt": "a fox", "Negative Prompt": "photo", "Seed": "7", "Stable Diffusion model": "sd", "Steps": "30"}
DRAWN = {"c": "a fox", "uc": "photo", "seed": 7, "model": "sdxl.ckpt", "steps": 30, "scale": 5.5, "sampler": "UniPC"}
SD_METADATA = {
    **{"model": "stable diffusion", "model_weights": "sd-1.5", "model_hash": "ab", "app_version": "2.3.5"},
    "image": {"prompt": [{"prompt": "a fox [photo]", "weight": 1}], "seed": 7, "steps": 30, "sampler": "k_euler"},
}
SOURCE = {"Description": "a fox", "Software": "NovelAI", "Source": "NovelAI Diffusion V4 37442FCA"}
V4_SAID = ("NovelAI", "NovelAI Diffusion V4")


def commented(values):
    return with_exif("JPEG", {}, b"UNICODE\0" + json.dumps(values).encode("utf-16-be"))


def invoked(model):
    return png(invokeai_metadata=json.dumps({**INVOKE, "model": model}))


def drawn():
    comment = json.dumps(DRAWN).replace('"', "&quot;")
    packet = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:exif="http://ns.adobe.com/exif/1.0/" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:description><rdf:Alt><rdf:li>a fox -photo Steps</rdf:li>'
        f"</rdf:Alt></dc:description><exif:UserComment><rdf:Alt><rdf:li>{comment}</rdf:li></rdf:Alt>"
        "</exif:UserComment></rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    return png_with(chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet.encode()))


def texts(values):
    return {name: str(value) for name, value in values.items()}


FILES = {
    "InvokeAI 2": (png(**{"sd-metadata": json.dumps(SD_METADATA)}), "InvokeAI", "sd-1.5"),
    "InvokeAI 1": (png(Dream='"a fox [photo]" -s 30 -S 7 -W 512 -H 512 -C 7.5 -A k_euler'), "InvokeAI", ""),
    "InvokeAI 3": (invoked({"model_name": "jugger", "base_model": "sd-1"}), "InvokeAI", "jugger"),
    "InvokeAI 4": (invoked({"key": "k", "hash": "h", "name": "jugger"}), "InvokeAI", "jugger"),
    "InvokeAI, a name": (invoked("jugger"), "InvokeAI", "jugger"),
    "SwarmUI": (png(parameters=json.dumps(SWARM)), "SwarmUI", "flux"),
    "SwarmUI, JPEG": (commented(SWARM), "SwarmUI", "flux"),
    "Fooocus": (png(parameters=json.dumps(FOOOCUS), fooocus_scheme="fooocus"), "Fooocus", "jugger"),
    "Fooocus, JPEG": (commented(FOOOCUS), "Fooocus", "jugger"),
    "Fooocus, older": (png(parameters=json.dumps(OLD_FOOOCUS), fooocus_scheme="fooocus"), "Fooocus", "jugger"),
    "NovelAI": (png(**SOURCE, Comment=json.dumps(NOVELAI)), "NovelAI", "NovelAI Diffusion V4"),
    "NovelAI, V4": (png(**SOURCE, Comment=json.dumps(V4)), "NovelAI", "NovelAI Diffusion V4"),
    "NovelAI, V4 alone": (
        png(**SOURCE | {"Description": " "}, Comment=json.dumps(V4 | {"prompt": "", "uc": ""})),
        *V4_SAID,
    ),
    "Easy Diffusion": (png(**texts(EASY)), "Easy Diffusion", "sd"),
    "Easy Diffusion, older": (png(**OLD_EASY), "Easy Diffusion", "sd"),
    "Easy Diffusion, JPEG": (commented(EASY), "Easy Diffusion", "sd"),
    "Draw Things": (drawn(), "Draw Things", "sdxl.ckpt"),
}


@pytest.mark.parametrize("name", FILES)
def test_each_program(name):
    data, generator, model = FILES[name]
    found = read_metadata(data)
    assert (found.generator, found.prompt, found.negative_prompt) == (generator, "a fox", "photo")
    assert (found.seed, found.model, found.notes) == ("7", model, ())
    assert dict(found.settings)["steps"] == "30"


def test_what_each_figure_of_a_picture_is():
    shown = dict(read_metadata(FILES["NovelAI, V4"][0]).settings)
    assert (shown["character 1"], shown["negative character 1"]) == ("a girl", "hat")


@pytest.mark.parametrize("name", ["InvokeAI 1", "InvokeAI 2", "InvokeAI 3", "Fooocus", "NovelAI"])
def test_what_sd_parsers_understands_is_read_alike(name):
    sd_parsers = pytest.importorskip("sd_parsers")
    found = read_metadata(FILES[name][0])
    image = Image.open(io.BytesIO(FILES[name][0]))
    theirs = sd_parsers.ParserManager().parse(image)
    sampler = theirs.samplers[0]
    assert [part.value for part in sampler.prompts] == [found.prompt]
    assert [part.value for part in sampler.negative_prompts] == [found.negative_prompt]
    assert str(sampler.parameters["seed"]) == found.seed
    if sampler.model is not None:
        assert sampler.model.name == found.model


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = [*{*INVOKE, *FOOOCUS, *V4, *EASY, *DRAWN, *SD_METADATA, *SWARM, *SWARM["sui_image_params"], "image", "model"}]
PLACES = ("parameters", "UserComment", "invokeai_metadata", "sd-metadata", "Comment", "prompt", "workflow", "comment")


@settings(max_examples=120, deadline=None)
@given(
    place=st.sampled_from(PLACES),
    values=st.dictionaries(
        st.sampled_from(NAMES), JSON | st.dictionaries(st.sampled_from(NAMES), JSON, max_size=4), max_size=8
    ),
)
def test_objects_of_any_form_are_read_or_left(place, values):
    given = {**SOURCE, place: json.dumps(values)}
    found = interpret(given)
    assert found is None or all(isinstance(text, str) for text in (found.prompt, found.seed, found.model))
    json.dumps(read_metadata(png(**{key: (text, "i") for key, text in given.items()})).to_dict()).encode()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        '{"a":' * 100_000,
        "9" * 500_000,
        '{"seed": ' + "9" * 500_000 + "}",
        "NaN",
        '{"prompt": "\\ud800"}',
    ],
    ids=["deep", "deep objects", "digits", "a long seed", "no number", "half a letter"],
)
def test_json_made_to_be_slow_or_deep(place, text):
    data = png(**{place: (text, "z"), "Software": "NovelAI", "Description": "x"})
    started = time.process_time()
    found = read_metadata(data)
    assert time.process_time() - started < 3
    assert found.seed == ""
    json.dumps(found.to_dict()).encode()


@pytest.mark.parametrize("text", ['"' + "a" * 16_000, '"' + " " * 8000 + '"' + " -" * 4000, '"' + "[" * 16_000 + '"'])
def test_commands_made_to_be_slow(text):
    started = time.process_time()
    read_metadata(png(Dream=text))
    assert time.process_time() - started < 1
