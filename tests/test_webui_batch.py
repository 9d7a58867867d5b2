"""Interrogate each picture in a real webui: through its API, and in img2img's Batch tab in a browser."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hub_server import serving
from PIL import Image
from unrender.core.engine import Engine
from unrender.core.prompt_syntax import escape
from unrender.core.settings import Settings
from webui_drawing import base64_png, draw, refusal, write_models
from webui_server import needs_webui, opened, started

pytestmark = needs_webui

MICRO = {"clip": "micro", "captioner": "micro", "vocabulary": "built-in", "mode": "fast"}
TITLE = "Interrogate each picture"
LEFT_OUT = "is left out"


@pytest.fixture(scope="module")
def hub():
    with serving() as hub:
        yield hub


@pytest.fixture(scope="module")
def webui(tmp_path_factory, hub):
    write_models(tmp_path_factory.mktemp("clips"))
    with started(tmp_path_factory.mktemp("webui"), hub.url) as server:
        server.wait_for_checkpoint()
        server.ask("/sdapi/v1/options", {"sd_model_checkpoint": "tiny15.safetensors", "samples_save": True})
        server.set_options(**MICRO)
        yield server


@pytest.fixture(scope="module")
def pictures(photographs) -> list[Image.Image]:
    return [photograph.resize((64, 64)) for photograph in photographs[:2]]


@pytest.fixture(scope="module")
def words(pictures) -> list[str]:
    """What the engine finds for each, as the webui's field takes it."""
    with Engine(Settings(clip="micro", captioner="micro", device="cpu", precision="exact")) as engine:
        return [escape(engine.interrogate(picture, "fast").prompt, "webui") for picture in pictures]


def drawn(webui, picture, *args):
    asked: dict[str, Any] = {"init_images": [base64_png(picture)], "denoising_strength": 0.5}
    if args:
        asked["alwayson_scripts"] = {TITLE: {"args": list(args)}}
    return draw(webui, route="img2img", **asked)


def prompt_of(infotext: str) -> str:
    return infotext.partition("\nSteps: ")[0].partition("\nNegative prompt: ")[0]


@pytest.mark.parametrize("prompt", ["a cat", "", "a dog, " * 30])
def test_webui_has_a_checkpoint_that_draws(webui, prompt):
    """And no numbers that are none, which are black."""
    (image, *_), _ = draw(webui, prompt=prompt)
    assert np.ptp(image) > 0


def test_webui_draws_with_words_of_the_picture_at_hand(webui, pictures, words):
    for picture, found in zip(pictures, words, strict=True):
        assert prompt_of(drawn(webui, picture, "replace", "fast")[1]) == found
        assert prompt_of(drawn(webui, picture, "append")[1]) == f"a cat, {found}"
    for args in ((), ("off",)):
        assert prompt_of(drawn(webui, pictures[0], *args)[1]) == "a cat"


def test_webui_refuses_what_has_no_sense(webui, pictures):
    asked = {"init_images": [base64_png(pictures[0])], "route": "img2img"}
    code, said = refusal(webui, **asked, alwayson_scripts={TITLE: {"args": ["throw"]}})
    assert code == 422 and "choose one of off, replace, append" in said


def test_webui_batch_tab_finds_words_for_each_picture(webui, pictures, words, tmp_path):
    with opened(webui, height=1600) as browser:
        made = batch(browser, pictures, tmp_path, "append")
        files = wait_for(made, len(pictures))
        browser.page.wait_for_selector("#img2img_gallery img", timeout=120_000)
        assert LEFT_OUT not in browser.page.inner_text("#html_log_img2img")
    assert [prompt_of(Image.open(path).info["parameters"]) for path in files] == [f"a cat, {each}" for each in words]


def test_webui_batch_tab_leaves_out_what_fails_and_says_so(webui, pictures, tmp_path):
    webui.set_options(clip="not/there")
    with opened(webui, height=1600) as browser:
        made = batch(browser, pictures, tmp_path, "replace")
        said = browser.page.locator("#html_log_img2img").first  # gradio 3 has two of a name, one in the other
        said.locator(f":text('Picture 2 of 2 {LEFT_OUT}')").first.wait_for(timeout=120_000)
        assert f"Picture 1 of 2 {LEFT_OUT}" in said.inner_text()
    webui.set_options(**MICRO)
    assert not list(made.iterdir())


def test_webui_batch_tab_says_what_was_skipped(webui, hub, pictures, transformers_folder, tmp_path):
    """While its model comes, which takes its time."""
    hub.repos["someone/slow-clip"] = {path.name: path.read_bytes() for path in transformers_folder.iterdir()}
    hub.slowness = 2
    webui.set_options(clip="someone/slow-clip")
    with opened(webui, height=1600) as browser:
        made = batch(browser, pictures[:1], tmp_path, "replace")
        browser.page.wait_for_selector("#img2img_skip", state="visible")
        wait_until(lambda: " MB" in (webui.ask("/sdapi/v1/progress")["textinfo"] or ""))
        browser.page.click("#img2img_skip")
        line = browser.page.locator("#html_log_img2img").first.locator(f":text('Picture 1 of 1 {LEFT_OUT}')").first
        line.wait_for(timeout=120_000)
        assert "It was skipped" in line.inner_text()
    hub.slowness = 0
    webui.set_options(**MICRO)
    assert not list(made.iterdir())


def batch(browser, pictures, folder: Path, way: str) -> Path:
    """Begins one of the pictures, and returns where they will lie."""
    given, made = folder / "given", folder / "made"
    given.mkdir()
    made.mkdir()
    for number, picture in enumerate(pictures):
        picture.save(given / f"{number}.png")
    browser.open_img2img("Batch")
    if browser.page.locator("#img2img_batch_source").count():
        browser.choose_tab("From directory", "img2img_batch_source")
    browser.fill("img2img_prompt", "a cat")
    browser.fill("img2img_batch_input_dir", str(given))
    browser.fill("img2img_batch_output_dir", str(made))
    small(browser)
    browser.page.click("#unrender_each > .label-wrap")
    browser.page.click(f"#unrender_each_way label:has-text('{way}')")
    browser.page.click("#img2img_generate")
    return made


def small(browser) -> None:
    """As few steps and pixels as these pages let one choose."""
    for name, value in (("steps", 1), ("width", 64), ("height", 64)):
        field = browser.page.locator(f"#img2img_{name} input[type=number]")
        field.fill(str(value))
        field.blur()


def wait_until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.1)


def wait_for(folder: Path, count: int) -> list[Path]:
    end = time.monotonic() + 120
    while len(found := sorted(folder.glob("*.png"))) < count and time.monotonic() < end:
        time.sleep(0.3)
    time.sleep(1)  # the last may not be written whole
    return found
