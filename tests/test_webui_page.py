"""In the page of a real webui: Image as prompt's advanced part, its axes in a plot, and a prompt saved as a style."""

from __future__ import annotations

import csv
import urllib.error
from pathlib import Path

import pytest
from hub_server import serving
from webui_drawing import base64_png, draw, few_words, plotted, print_of, write_models
from webui_server import needs_webui, opened, started

pytestmark = needs_webui

PREFIX = "unrender_txt2img_image_as_prompt"
ADVANCED = (None, "replace", 1, 0, 1, "none", "pinv", "in winter")


@pytest.fixture(scope="module")
def webui(tmp_path_factory):
    clips = write_models(tmp_path_factory.mktemp("clips"))
    with serving() as hub, started(tmp_path_factory.mktemp("webui"), hub.url) as server:
        server.wait_for_checkpoint()
        server.ask("/sdapi/v1/options", {"sd_model_checkpoint": "tiny15.safetensors", "CLIP_stop_at_last_layers": 1})
        server.set_options(seeing=str(clips / "clip-l"))
        yield server


@pytest.fixture(scope="module")
def browser(webui):
    with opened(webui, height=1600) as page:
        yield page


@pytest.fixture(scope="module")
def file(tmp_path_factory, photographs) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "picture.png"
    photographs[0].resize((96, 96)).save(path)
    return path


@pytest.fixture(scope="module")
def picture(photographs) -> str:
    return base64_png(photographs[0].resize((96, 96)))


def test_webui_page_draws_with_the_advanced_part_and_pastes_it(browser, file):
    browser.open()
    page = browser.page
    for name, value in (("width", "64"), ("height", "64"), ("steps", "2")):
        page.fill(f"#txt2img_{name} input[type=number]", value)
    page.click(f"#{PREFIX} > .label-wrap")
    browser.put(f"{PREFIX}_picture", file)
    page.click(f"#{PREFIX}_advanced > .label-wrap")
    page.click(f"#{PREFIX}_projection input")
    page.locator("ul.options li", has_text="pinv").click()
    browser.fill(f"{PREFIX}_words", "in winter, at night")
    page.fill(f"#{PREFIX}_alpha input[type=number]", "0.35")
    page.click("#txt2img_generate")
    page.wait_for_selector("#html_info_txt2img :text('Image as prompt: replace')")
    infotext = page.inner_text("#html_info_txt2img").replace("\n\n", "\n")
    for part in ("projection: pinv", 'words: "in winter, at night"', "alpha: 0.35"):
        assert f"Image as prompt {part}" in infotext
    browser.open()
    for section in (PREFIX, f"{PREFIX}_advanced"):
        page.click(f"#{section} > .label-wrap")
    browser.fill(f"{PREFIX}_anchor", "words of before")
    browser.fill("txt2img_prompt", infotext)
    page.click("#paste")
    browser.wait_for_text(f"{PREFIX}_words", "in winter, at night")
    browser.wait_for_text(f"{PREFIX}_anchor", "")
    assert page.input_value(f"#{PREFIX}_alpha input[type=number]") == "0.35"
    assert page.input_value(f"#{PREFIX}_projection input") == "pinv"


def test_webui_page_asks_for_a_quality_and_says_what_words_were_found_without(webui, browser, file, picture):
    """The captioner of the settings is on no disk here, and is not fetched in the middle of a generation."""
    webui.set_options(vocabulary=few_words(webui), captioner="blip-large")
    plain, _ = draw(webui)
    browser.open()
    page = browser.page
    for name, value in (("width", "64"), ("height", "64"), ("steps", "4")):
        page.fill(f"#txt2img_{name} input[type=number]", value)
    page.click(f"#{PREFIX} > .label-wrap")
    browser.put(f"{PREFIX}_picture", file)
    page.click(f"#{PREFIX}_quality input")
    page.locator("ul.options li", has_text="best").click()
    page.click("#txt2img_generate")
    page.wait_for_selector("#html_info_txt2img :text('Image as prompt quality: best')", timeout=600_000)
    assert "found without blip-large" in page.inner_text("#html_log_txt2img")
    assert not [path for path in webui.models.rglob("*") if "blip" in path.name]
    infotext = page.inner_text("#html_info_txt2img").replace("\n\n", "\n")
    browser.open()
    page.click(f"#{PREFIX} > .label-wrap")
    browser.fill("txt2img_prompt", infotext)
    page.click("#paste")
    quality = f"document.querySelector('#{PREFIX}_quality input').value"
    page.wait_for_function(f"{quality} === 'best'", timeout=20_000)
    named = plotted(webui, picture, ("Image as prompt quality", "quick, best"), ("Nothing", ""), timeout=600)
    expected = [draw(webui, picture, quality=quality)[0] for quality in ("quick", "best")]
    assert [print_of([each]) for each in named] == [print_of(each) for each in expected]
    assert print_of(draw(webui)[0]) == print_of(plain) not in [print_of(each) for each in expected]


def test_webui_plots_alpha_and_projection(webui, picture):
    alphas = plotted(webui, picture, ("Image as prompt alpha", "0, 0.5, 1"), ("Nothing", ""), *ADVANCED)
    expected = [draw(webui, picture, *ADVANCED, alpha)[0][0] for alpha in (0, 0.5, 1)]
    assert [print_of([each]) for each in alphas] == [print_of([each]) for each in expected]
    assert len({print_of([each]) for each in alphas}) == 3
    named = plotted(
        webui, picture, ("Image as prompt projection", "by quality, pinv"), ("Nothing", ""), None, "blend", 0.5
    )
    expected = draw(webui, picture, None, "blend", 0.5)[0]
    assert [print_of([each]) for each in named] == [print_of(expected)] * 2
    with pytest.raises(urllib.error.HTTPError) as refused:
        plotted(webui, picture, ("Image as prompt projection", "pinv, x"), ("Nothing", ""))
    assert refused.value.code == 422


def test_webui_tab_saves_a_prompt_as_a_style_and_asks_before_it_replaces_one(webui, browser):
    browser.open()
    browser.choose_tab("Unrender")
    for prompt, lines in (("a red boat", 1), ("a blue boat", 2)):
        browser.fill("unrender_prompt", prompt)
        browser.fill("unrender_style_name", "boats")
        told = [browser.press("unrender_style_save", "unrender_style_status")[-1] for _ in range(lines)]
        assert told[-1] == "Saved as the style boats."
        assert all("a style boats already" in each for each in told[:-1])
    styles = {each["name"]: each["prompt"] for each in webui.ask("/sdapi/v1/prompt-styles")}
    assert styles["boats"] == "a blue boat"
    with (webui.base / "styles.csv").open(encoding="utf-8-sig", newline="") as written:
        assert {each["name"]: each["prompt"] for each in csv.DictReader(written)}["boats"] == "a blue boat"
    browser.choose_tab("txt2img")
    browser.page.click("#txt2img_styles input")
    browser.page.locator("ul.options li", has_text="boats").wait_for()
