"""The webuis' "parameters": whatever a webui writes is read back, and read as sd-parsers reads it where that can."""

from __future__ import annotations

import json
import re
import string
import time

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from metadata_graphs import made
from PIL import Image
from unrender.core.metadata.generation import MOST_LETTERS_OF_SETTING
from unrender.core.metadata.parameters import read_parameters

COMMON = {"Steps": "20", "Sampler": "Euler a", "CFG scale": "7", "Seed": "77", "Size": "512x512", "Model": "dream"}


def quoted(value: str) -> str:
    """As the webui puts a value into its line: as it is, or, with a mark in it that the line lives by, as JSON."""
    return json.dumps(value, ensure_ascii=False) if any(mark in value for mark in ",:\n") else value


def written(prompt: str, negative: str, values: dict[str, str]) -> str:
    line = ", ".join(name if name == value else f"{name}: {quoted(value)}" for name, value in values.items())
    return f"{prompt}\nNegative prompt: {negative}\n{line}" if negative else f"{prompt}\n{line}"


def of(text: str) -> tuple[str, str, str]:
    found = read_parameters(text)
    assert found is not None
    return found.prompt, found.negative_prompt, found.seed


NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9 \-/]{1,20}[A-Za-z0-9]", fullmatch=True)
VALUES = st.text(max_size=60).filter(
    lambda text: text == text.strip() and text and text[0] not in '"{[' and "\r" not in text
)
LINES = st.text(max_size=80).filter(lambda text: "\r" not in text and "Negative prompt:" not in text)


def settled(text: str) -> bool:
    """Whether a text has no line breaks but those that every program takes for one."""
    return text.splitlines() == text.split("\n") or not text


@settings(max_examples=150, deadline=None)
@given(prompt=LINES, negative=LINES, extra=st.dictionaries(NAMES, VALUES, max_size=6))
@example("a sign that says Seed: 3, Size: 1x1, Steps", "", {"ADetailer prompt": "a face, Steps: 3, Seed: 999"})
@example('{"a": 1}', "x", {"Lora hashes": 'one: 01, Model: 23"', "Hires prompt": "a\nNegative prompt: b\nSteps: 1"})
@example("", "", {"ControlNet 0": 'a "quoted, word": b\\', "Version": "f2.0.1v1.10.1"})
def test_what_a_webui_writes_is_read_back(prompt, negative, extra):
    assume(all(settled(text) for text in (prompt, negative, *extra.values())))
    extra = {
        name: value for name, value in extra.items() if name not in COMMON and name not in ("Model hash", "Version")
    }
    found = read_parameters(written(prompt, negative, {**COMMON, **extra}))
    assert found is not None
    assert (found.prompt, found.negative_prompt) == (prompt.strip(), negative.strip())
    assert (found.seed, found.model) == ("77", "dream")
    shown = dict(found.settings)
    renamed = {"Schedule type": "scheduler", "ENSD": "ensd"}
    for name, value in extra.items():
        assert shown[renamed.get(name, name)] == value


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.sampled_from(' ":,{}[]\\\nStepsNgativeprom: 1')), st.text(max_size=20))
def test_any_text_is_read_or_left(text, prompt):
    for each in (text, f"{prompt}\nSteps: 1, Seed: 2, {text}"):
        found = read_parameters(each)
        assert found is None or isinstance(found.prompt, str)


PLAIN = (
    st.text(alphabet=string.ascii_letters + string.digits + " ()<>'", min_size=1, max_size=30)
    .map(str.strip)
    .filter(bool)
)


@settings(max_examples=100, deadline=None)
@given(
    prompt=st.lists(PLAIN, min_size=1, max_size=3).map("\n".join),
    negative=st.one_of(st.just(""), PLAIN),
    seed=st.integers(0, 2**32),
)
def test_what_sd_parsers_understands_is_read_alike(prompt, negative, seed):
    sd_parsers = pytest.importorskip("sd_parsers")
    text = written(prompt, negative, {**COMMON, "Seed": str(seed), "Model hash": "6ce0161689", "Version": "v1.9.4"})
    image = Image.new("RGB", (1, 1))
    image.format = "PNG"
    image.info["parameters"] = text
    theirs = sd_parsers.ParserManager().parse(image)
    assert theirs is not None
    sampler, ours = theirs.samplers[0], read_parameters(text)
    assert ours is not None
    assert [part.value for part in theirs.prompts] == [ours.prompt]
    assert [part.value for part in theirs.negative_prompts] == [ours.negative_prompt] * bool(ours.negative_prompt)
    assert (sampler.model.name, sampler.parameters["seed"]) == (ours.model, ours.seed)
    shown = dict(ours.settings)
    assert shown["sampler"] == sampler.name and shown["Size"] == theirs.metadata["Size"]
    assert {name: shown[name] for name in ("steps", "cfg_scale")} == {
        name: sampler.parameters[name] for name in ("steps", "cfg_scale")
    }


LINE = "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 77, Size: 512x512, Model: dream"


@pytest.mark.parametrize(
    ("text", "prompt", "negative"),
    [
        (f"a castle\r\nNegative prompt: fog\r\n{LINE}", "a castle", "fog"),
        (f"a castle\nNegative prompt: fog\nrain\n{LINE}", "a castle", "fog\nrain"),
        (f"Negative prompt: fog\n{LINE}", "", "fog"),
        (LINE, "", ""),
        (f"a castle\n{LINE}", "a castle", ""),
        (f"a castle\n\n{LINE}\n", "a castle", ""),
        (f"Steps: 3 to the door, a castle\n{LINE}", "Steps: 3 to the door, a castle", ""),
        (f"Steps: 20, Seed: 4, Size: 1x1\n{LINE}", "Steps: 20, Seed: 4, Size: 1x1", ""),
        (f'a 12" ruler\nNegative prompt: 5" nails\n{LINE}', 'a 12" ruler', '5" nails'),
        (
            f'says "\nNegative prompt: none" on a wall\nNegative prompt: fog\n{LINE}',
            'says "\nNegative prompt: none" on a wall',
            "fog",
        ),
        (f"a castle Negative prompt: fog {LINE}", "a castle", "fog"),
        (f"a castle, Negative prompt: fog, {LINE}", "a castle", "fog"),
        (f"a castle. {LINE}", "a castle", ""),
        (f"a castle\nnegative Prompt: fog\n{LINE}", "a castle", "fog"),
        (f"a castle\\nNegative prompt: fog\\n{LINE}", "a castle", "fog"),
        (f'says "Negative prompt: no" here. Negative prompt: fog. {LINE}', 'says "Negative prompt: no" here', "fog"),
        (f'[{{"a": "b, c"}}]\nNegative prompt: {{}}\n{LINE}', '[{"a": "b, c"}]', "{}"),
    ],
)
def test_where_a_prompt_ends(text, prompt, negative):
    assert of(text) == (prompt, negative, "77")


@pytest.mark.parametrize(
    ("more", "name", "value"),
    [
        (', Hashes: {"model": "a, b", "lora:x": "1"}, Version: v1', "Hashes", '{"model": "a, b", "lora:x": "1"}'),
        (', Civitai resources: [{"type": "lora", "Seed": 3}], Civitai metadata: {}', "Civitai metadata", "{}"),
        ("\nTemplate: {a|b}, castle, Seed: 3\nNegative Template: x", "Template", "{a|b}, castle, Seed: 3"),
        (', Hires prompt: "a, Seed: 3\\nSteps: 1", Hires steps: 4', "Hires steps", "4"),
        (', ADetailer prompt: "a \\"quoted\\", word", ADetailer x: 1', "ADetailer prompt", 'a "quoted", word'),
        (", Tiling, Version: f2.0.1v1.10.1-previous-605", "Tiling", "Tiling"),
        (', RP Ratios: "1,1", Seed: 999, Model: other', "RP Ratios", "1,1"),
        (', Broken: "never closed, Version: v1', "Version", "v1"),
        (', TI hashes: "a: 1, b: 2"', "TI hashes", "a: 1, b: 2"),
        (", Module 1: ae, App: SD.Next", "App", "SD.Next"),
    ],
)
def test_what_extensions_and_sites_add(more, name, value):
    found = read_parameters(f"a castle\nNegative prompt: fog\n{LINE}{more}")
    assert found is not None
    assert (found.prompt, found.negative_prompt, found.seed, found.model) == ("a castle", "fog", "77", "dream")
    assert dict(found.settings)[name] == value


START = "Steps: 20, Sampler: Euler a, CFG scale: 7"
END = "Seed: 77, Size: 512x512, Model: dream"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Cutoff targets", "[red, Seed: 3, Model: other]"),
        ("Regions", "{'one': {'Seed': 3, Model: other}}"),
        ("Wildcards", "'a fox, Seed: 3, Model: other'"),
        ("Extension", '"a fox\nNegative prompt: hare\nSteps: 3, Sampler: Heun, Seed: 3, Size: 1x1, Model: other"'),
    ],
)
@pytest.mark.parametrize("order", [(START, END), (f"{START}, {END}",)])
def test_what_stands_within_a_value_is_no_setting(name, value, order):
    found = read_parameters(f"a castle\nNegative prompt: fog\n{f', {name}: {value}, '.join((*order, '')[:2])}")
    assert found is not None
    assert (found.prompt, found.negative_prompt, found.seed, found.model) == ("a castle", "fog", "77", "dream")
    assert dict(found.settings)["steps"] == "20" and dict(found.settings)[name] == value.strip("\"'")


def test_settings_that_begin_with_something_else():
    assert of("a castle\nNegative prompt: fog\nSampler: Euler, Seed: 77, Size: 1x1, Steps: 3") == (
        "a castle",
        "fog",
        "77",
    )


@pytest.mark.parametrize(
    "text", ["Steps: 3 to a better life", "a: b, c: d", "Ingredients:\nSteps: 4, knead it", "Size: small"]
)
def test_a_caption_is_no_parameters(text):
    assert read_parameters(text) is None
    assert dict(made(None, parameters=text).texts) == {"parameters": text}


def test_a_seed_that_is_none_is_shown_as_it_stands():
    found = read_parameters("x\nSteps: 1, Seed: random, Size: 1x1")
    assert found is not None and found.seed == "" and dict(found.settings)["Seed"] == "random"
    found = read_parameters(f"x\nSteps: 1, Size: 1x1, Note: {'9' * 60_000}")
    assert found is not None and len(dict(found.settings)["Note"]) == MOST_LETTERS_OF_SETTING


@pytest.mark.parametrize(
    "text",
    [
        "x\n" + 'Steps: 1, Seed: 1, A: {"a": ' * 9000,
        "x\nSteps: 1, Seed: 1, " + 'A: ["\\", ' * 20_000,
        "x\nSteps: 1, Seed: 1, " + 'A: "b\\' * 30_000,
        "x\n" + "Steps: 1\n" * 25_000,
        'Negative prompt: "\n' * 12_000 + "\nSteps: 1, Seed: 1",
        "x Steps: 1, A: " * 15_000,
        "x\nSteps: 1, Seed: 1" + " " * 200_000 + ",",
        "x\nSteps: 1, Seed: 1, " + "[" * 200_000,
        "Steps:" + " " * 250_000,
    ],
    ids=range(9),
)
def test_texts_made_to_be_slow(text):
    started = time.process_time()
    read_parameters(text)
    read_parameters(re.sub(r"\n", " ", text))
    assert time.process_time() - started < 3
