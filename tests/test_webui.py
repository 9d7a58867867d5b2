"""The extension in a real webui and browser, which webui_server tells how to name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_captioners
from hub_server import serving
from webui_server import needs_webui, opened, started

pytestmark = needs_webui

MICRO = {"clip": "micro", "captioner": "micro", "vocabulary": "built-in", "insertion": "replace", "mode": "best"}
PICTURES = ("img2img_image", "img2img_sketch", "img2maskimg", "inpaint_sketch", "img_inpaint_base")
TABS = dict(zip(("img2img", "Sketch", "Inpaint", "Inpaint sketch", "Inpaint upload"), PICTURES, strict=True))


@pytest.fixture(scope="module")
def hub():
    with serving() as hub:
        yield hub


@pytest.fixture(scope="module")
def webui(tmp_path_factory, hub):
    with started(tmp_path_factory.mktemp("webui"), hub.url) as server:
        yield server


@pytest.fixture(scope="module")
def browser(webui):
    with opened(webui) as page:
        yield page


@pytest.fixture(name="micro")
def micro_fixture(webui):
    webui.set_options(**MICRO)


@pytest.fixture(scope="module")
def tiny_phrases(webui) -> str:
    folder = webui.models / "phrases" / "few"
    folder.mkdir(parents=True)
    for name in ("artists", "mediums", "movements", "sites"):
        (folder / f"{name}.txt").write_text(f"one of the {name}\n", encoding="utf-8")
    (folder / "flavors.txt").write_text("soft light (indoors)\n", encoding="utf-8")
    return "phrases/few"


@pytest.fixture(scope="module")
def files(tmp_path_factory, photographs) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    paths = [folder / f"{number}.png" for number in range(3)]
    for path, photograph in zip(paths, photographs, strict=False):
        photograph.save(path)
    return paths


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """What `unrender interrogate` finds for a picture, written for a webui."""
    found: dict[tuple[Path, str], dict] = {}
    cache = tmp_path_factory.mktemp("command-line")

    def ask(picture: Path, mode: str = "best") -> dict:
        if (picture, mode) not in found:
            command = [sys.executable, "-m", "unrender", "interrogate", str(picture), "--json", "--cache", str(cache)]
            options = ["--clip", "micro", "--captioner", "micro", "--escape", "webui", "--mode", mode]
            one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
            done = subprocess.run([*command, *options], capture_output=True, text=True, check=True, env=one_thread)
            found[picture, mode] = json.loads(done.stdout)
        return found[picture, mode]

    return ask


def test_webui_loads_the_extension_beside_a_decoy_without_a_word_of_complaint(webui, browser):
    browser.open()
    browser.choose_tab("Unrender")
    assert browser.page.is_visible("#unrender_picture")
    log = webui.log.read_text(encoding="utf-8", errors="replace")
    # in AUTOMATIC1111's words
    for complaint in ("Error loading script", "Error executing callback", "Error running install", "No button in"):
        assert complaint not in log, log


def test_webui_button_tells_how_far_it_is(webui, browser, micro, files):
    folder = webui.models / "phrases" / "many"  # that have still to be read, which takes a while
    folder.mkdir(parents=True)
    (folder / "flavors.txt").write_text("".join(f"lamp number {each}\n" for each in range(8_000)), encoding="utf-8")
    webui.set_options(vocabulary="phrases/many")
    browser.open_img2img()
    browser.put("img2img_image", files[0])
    lines = browser.press_start()
    assert any(step in line for line in lines for step in ("Reading", "Embedding", "Searching")), lines


def test_webui_button_puts_the_prompt_into_the_field(browser, micro, files, expected):
    browser.open_img2img()
    browser.put("img2img_image", files[0])
    browser.fill("img2img_prompt", "words typed before")
    lines = browser.press_start()
    assert lines[-1].endswith("s with micro.")
    browser.wait_for_text("img2img_prompt", expected(files[0])["prompt"])
    assert not browser.page.is_visible("#unrender_img2img_stop")
    browser.page.wait_for_function(
        "!['0/75', ''].includes(document.querySelector('#img2img_token_counter').innerText.trim())", timeout=10_000
    )


def test_webui_has_typed_words_back_and_no_old_line_beside_a_new_picture(browser, micro, files, expected):
    browser.open_img2img()
    browser.put("img2img_image", files[0])
    browser.page.locator("#img2img_prompt textarea").press_sequentially("typed")
    assert not browser.page.is_visible("#unrender_img2img_undo")
    browser.press_start()
    browser.wait_for_text("img2img_prompt", expected(files[0])["prompt"])
    browser.page.click("#unrender_img2img_undo")
    browser.wait_for_text("img2img_prompt", "typed")
    assert not browser.page.is_visible("#unrender_img2img_undo")
    browser.page.focus("#img2img_prompt textarea")
    browser.page.keyboard.press("Control+z")
    browser.wait_for_text("img2img_prompt", expected(files[0])["prompt"])
    browser.page.keyboard.press("Control+z")
    browser.wait_for_text("img2img_prompt", "typed")
    assert browser.status("unrender_img2img_status").endswith("s with micro.")
    browser.choose_tab("Inpaint", "mode_img2img")
    browser.wait_for_no_status("unrender_img2img_status")


def test_webui_button_continues_the_field_if_set_so(webui, browser, micro, files, expected):
    webui.set_options(insertion="append", mode="fast")
    browser.open_img2img()
    browser.put("img2img_image", files[1])
    browser.fill("img2img_prompt", "words typed before, ")
    browser.press_start()
    browser.wait_for_text("img2img_prompt", "words typed before, " + expected(files[1], "fast")["prompt"])


@pytest.mark.parametrize("tab", TABS)
def test_webui_button_takes_the_picture_of_the_tab_that_is_open(webui, browser, micro, files, expected, tab):
    webui.set_options(mode="fast")
    browser.open_img2img()
    other = next(name for name in TABS if name != tab)
    for name, picture in ((other, files[0]), (tab, files[2])):
        browser.choose_tab(name, "mode_img2img")
        browser.put(TABS[name], picture)
    browser.press_start()
    browser.wait_for_text("img2img_prompt", expected(files[2], "fast")["prompt"])


def test_webui_shows_errors_beside_the_button_and_leaves_the_field_alone(webui, browser, micro, files):
    browser.open_img2img()
    browser.fill("img2img_prompt", "words typed before")
    assert browser.press_start() == ["There is no picture; put one in first."]
    browser.put("img2img_image", files[0])
    webui.set_options(clip="ViT-L-14/openai", captioner="blip-large")
    said = browser.press_start()[-1]  # the hub of this test has nothing
    assert (said.endswith(".") and "ViT-L-14" in said) or "vit_large" in said
    assert "--" not in said
    browser.choose_tab("Batch", "mode_img2img")
    assert "one picture" in browser.press_start()[-1]
    assert browser.text("img2img_prompt") == "words typed before"


def test_webui_downloads_what_a_picture_alone_needs(
    webui, browser, hub, files, transformers_folder, tmp_path, tiny_phrases
):
    """The models have random weights. With open_clip installed the usual CLIP comes in its format, for which there is
    no small stand-in; so the same is named as transformers has it."""
    captioner = tiny_captioners.blip(tmp_path / "blip")
    for repo, folder in {
        "openai/clip-vit-large-patch14": transformers_folder,
        "Salesforce/blip-image-captioning-large": captioner,
    }.items():
        hub.repos[repo] = {path.name: path.read_bytes() for path in folder.iterdir()}
    hub.slowness = 0.2
    webui.set_options(clip="openai/clip-vit-large-patch14", captioner="blip-large", mode="fast", insertion="replace")
    webui.set_options(vocabulary=tiny_phrases)
    browser.open_img2img()
    browser.put("img2img_image", files[0])
    lines = browser.press_start()
    hub.slowness = 0
    assert lines[-1].endswith("s with openai/clip-vit-large-patch14."), lines
    assert any(" of " in line and " MB" in line for line in lines), lines
    browser.wait_for_other_text("img2img_prompt", "")
    assert "soft light" in browser.text("img2img_prompt")
    for repo in ("openai--clip-vit-large-patch14", "Salesforce--blip-image-captioning-large"):
        assert list((webui.models / "models" / f"models--{repo}").rglob("model.safetensors"))


def test_webui_prompt_syntax_is_escaped(webui, browser, micro, files, tiny_phrases):
    webui.set_options(vocabulary=tiny_phrases, captioner="none", mode="fast")
    browser.open_img2img()
    browser.put("img2img_image", files[0])
    lines = browser.press_start()
    browser.wait_for_other_text("img2img_prompt", "")
    assert r"soft light \(indoors\)" in browser.text("img2img_prompt"), lines


def test_webui_stop_ends_a_run(webui, browser, hub, micro, files, transformers_folder):
    """A download that takes its time, so that it is not the run that ends first."""
    hub.repos["someone/slow-clip"] = {path.name: path.read_bytes() for path in transformers_folder.iterdir()}
    hub.slowness = 2
    webui.set_options(clip="someone/slow-clip")
    browser.open_img2img()
    browser.put("img2img_image", files[0])
    browser.fill("img2img_prompt", "words typed before")
    browser.page.click("#unrender_img2img_start")
    browser.wait_for_status("unrender_img2img_status", " MB …")
    browser.page.click("#unrender_img2img_stop")
    browser.wait_for_status("unrender_img2img_status", "Stopped.")
    hub.slowness = 0
    assert browser.text("img2img_prompt") == "words typed before"
    webui.set_options(clip="micro")
    assert browser.press_start()[-1].endswith("s with micro.")


def test_webui_tab_finds_a_prompt_and_sends_it_on(browser, micro, files, expected):
    browser.open()
    browser.choose_tab("Unrender")
    browser.put("unrender_picture", files[0])
    browser.press("unrender_start", "unrender_status")
    found = expected(files[0])
    browser.wait_for_text("unrender_prompt", found["prompt"])
    assert float(browser.text("unrender_similarity")) == pytest.approx(found["similarity"], abs=2e-4)
    browser.page.click("#unrender_send_txt2img")
    browser.wait_for_text("txt2img_prompt", found["prompt"])
    browser.page.wait_for_selector("#txt2img_prompt", state="visible")
    browser.choose_tab("Unrender")
    browser.page.click("#unrender_send_img2img")
    browser.wait_for_text("img2img_prompt", found["prompt"])
    browser.wait_for_picture("img2img_image")
    assert browser.press_start()[-1].endswith("s with micro.")


def test_webui_tab_sends_to_inpaint_and_extras(webui, browser, micro, files, expected):
    webui.set_options(mode="fast")
    browser.open()
    browser.choose_tab("Unrender")
    browser.put("unrender_picture", files[0])
    browser.fill("unrender_prompt", "a red boat")
    browser.page.click("#unrender_send_inpaint")
    browser.wait_for_text("img2img_prompt", "a red boat")
    browser.wait_for_picture("img2maskimg")
    browser.press_start()
    browser.wait_for_text("img2img_prompt", expected(files[0], "fast")["prompt"])
    browser.choose_tab("Unrender")
    browser.page.click("#unrender_send_extras")
    browser.wait_for_picture("extras_image")


def test_webui_tab_has_the_other_pages(browser, micro, files):
    browser.open()
    browser.choose_tab("Unrender")
    pages = browser.page.locator("#unrender_pages > .tab-nav > button")
    assert [name.strip() for name in pages.all_inner_texts()] == ["Prompt", "Analyze", "Embedding", "Batch", "Models"]
    pages.nth(1).click()
    browser.put("unrender_analyze_picture", files[0])
    assert browser.press("unrender_analyze_start", "unrender_analyze_status")[-1].startswith("Seen by micro. ")
    assert browser.page.is_visible("#unrender_analyze_labels .unrender-bar")
    pages.nth(4).click()
    browser.page.wait_for_selector("#unrender_models_memory td:text-is('micro')", timeout=20_000)
    browser.page.click("#unrender_models_unload")
    browser.page.wait_for_selector("#unrender_models_memory :text('No model is in memory')", timeout=20_000)


def test_webui_tab_heeds_what_is_chosen_in_it(browser, micro, files):
    browser.open()
    browser.choose_tab("Unrender")
    browser.put("unrender_picture", files[0])
    browser.page.click("#unrender_mode label:has-text('fast')")
    for name in ("artists", "mediums", "movements", "sites"):
        browser.page.click(f"#unrender_categories label:has-text('{name}')")
    browser.press("unrender_start", "unrender_status")
    with_all = browser.text("unrender_prompt")
    excluded = with_all.split(", ")[1]
    browser.fill("unrender_exclude", excluded)
    browser.page.click("#unrender_start")
    browser.wait_for_other_text("unrender_prompt", with_all)  # the status may end as it was
    assert " by " not in f" {with_all}".replace(with_all.split(", ")[0], "")
    assert excluded not in browser.text("unrender_prompt").split(", ")[1:]


def test_webui_tab_takes_a_phrase_out_of_the_prompt_and_weighs_it(browser, micro, files):
    browser.open()
    browser.choose_tab("Unrender")
    browser.put("unrender_picture", files[0])
    browser.press("unrender_start", "unrender_status")
    whole, keep = browser.text("unrender_prompt"), browser.page.locator(".unrender-chip-keep")
    keep.last.click()
    browser.wait_for_other_text("unrender_prompt", whole)
    assert keep.last.get_attribute("aria-pressed") == "false" and whole.startswith(browser.text("unrender_prompt"))
    browser.page.wait_for_selector("#unrender_changed_status :text('than as found')", timeout=20_000)
    keep.last.click()
    browser.page.wait_for_selector("#unrender_changed_status :text('as it was found')", timeout=20_000)
    assert browser.text("unrender_prompt") == whole


def test_webui_settings_page_offers_the_preferences(browser):
    browser.open()
    browser.choose_tab("Settings")
    browser.choose_tab("Unrender", "settings")
    for name in ("clip", "captioner", "vocabulary", "mode", "insertion", "keeping"):
        assert browser.page.is_visible(f"#setting_unrender_{name}")


def test_webui_reload_keeps_the_button(webui, browser, micro, files, expected):
    browser.open()
    browser.choose_tab("Settings")
    browser.page.click("#settings_restart_gradio")
    browser.page.wait_for_function("document.body.innerText.includes('Reloading')", timeout=10_000)
    browser.page.wait_for_selector("#txt2img_prompt textarea", timeout=60_000)
    browser.open_img2img()
    browser.put("img2img_image", files[0])
    browser.press_start()
    browser.wait_for_text("img2img_prompt", expected(files[0])["prompt"])
