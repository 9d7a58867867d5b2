"""The page alone, in a real browser, under every gradio there is (see `page_server`)."""

from __future__ import annotations

import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from page_server import (
    PageServer,
    browser_fixture,  # noqa: F401
    chromium_fixture,  # noqa: F401
    gradio_pythons,
    in_a_browser,
    page_served,
    photograph_fixture,  # noqa: F401
)
from unrender.core.embed import PromptEmbedding
from unrender.core.engine import Engine, Settings
from unrender.server.choices import ABOUT_QUALITIES

pytestmark = in_a_browser()


@pytest.fixture(scope="module", params=gradio_pythons())
def server(request, tmp_path_factory):
    base = tmp_path_factory.mktemp("page")
    with page_served(request.param, base, "--allow", str(base.parent)) as server:
        yield server


@pytest.fixture(scope="module")
def broken(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "broken.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n and nothing that belongs there")
    return path


@pytest.fixture(scope="module")
def engine():
    with Engine(Settings(clip="micro", captioner="micro")) as engine:
        yield engine


def test_a_photograph_becomes_a_prompt(browser, photograph, engine):
    browser.open()
    browser.put("unrender_picture", photograph)
    browser.page.locator("#unrender_mode label", has_text="fast").click()
    assert browser.press("unrender").endswith("s with micro.")
    found = engine.interrogate(photograph, "fast")
    assert browser.value("unrender_prompt") == found.prompt
    assert float(browser.value("unrender_similarity")) == pytest.approx(found.similarity, abs=2e-4)


def test_no_picture_and_a_broken_one_are_told_in_a_sentence(browser, broken):
    browser.open()
    assert "There is no picture" in browser.press("unrender")
    browser.put("unrender_picture", broken, shown=False)
    line = browser.press("unrender")
    assert "is damaged" in line and line.endswith("."), line
    assert browser.value("unrender_prompt") == ""
    assert browser.page.is_visible("#unrender_status .unrender-fault")


def test_a_photograph_is_analyzed(browser, photograph, engine):
    browser.open("Analyze")
    browser.put("unrender_analyze_picture", photograph)
    assert browser.press("unrender_analyze").startswith("Seen by micro. Micro is a toy")
    labels = browser.text("unrender_analyze_labels")
    for found in engine.analyze(photograph)[0].categories:
        assert found.category in labels and found.top[0].phrase in labels
        assert f"{found.top[0].likelihood:.1%}" in labels
    browser.page.wait_for_selector("#unrender_analyze_chart img")
    full = browser.page.locator("#unrender_analyze_labels .unrender-bar").first.bounding_box()["width"]
    share = browser.page.locator("#unrender_analyze_labels .unrender-bar span").first.bounding_box()["width"] / full
    assert share == pytest.approx(engine.analyze(photograph)[0].categories[0].top[0].likelihood, abs=0.01)


def test_own_phrases_are_matched_and_looked_for(browser, photograph, engine):
    browser.open("Analyze")
    browser.put("unrender_analyze_picture", photograph)
    browser.choose_tab("Own phrases")
    assert "no phrases" in browser.press("unrender_match")
    phrases = ["a blue square", "a red circle, seen from above", "two green stars"]
    browser.fill("unrender_match_phrases", "\n".join(phrases))
    assert browser.press("unrender_match").startswith("Seen by micro. Micro is a toy")
    best = phrases[engine.match(photograph, phrases).ranked_phrases(0)[0].index]
    assert browser.text("unrender_match_labels").startswith(best)
    browser.choose_tab("Heat map")
    browser.fill("unrender_locate_phrase", "a red circle")
    assert "Seen by micro. Micro is a toy" in browser.press("unrender_locate")
    browser.page.wait_for_selector("#unrender_locate_heat img")


def test_what_was_seen_in_one_picture_goes_with_it(browser, photograph, broken):
    browser.open("Analyze")
    browser.put("unrender_analyze_picture", photograph)
    browser.press("unrender_analyze")
    browser.page.wait_for_selector("#unrender_analyze_chart img")
    browser.choose_tab("Own phrases")
    browser.fill("unrender_match_phrases", "a red circle\na boat")
    browser.press("unrender_match")
    browser.choose_tab("Heat map")
    browser.fill("unrender_locate_phrase", "a red circle")
    browser.press("unrender_locate")
    browser.page.wait_for_selector("#unrender_locate_heat img")
    browser.put("unrender_analyze_picture", broken, shown=False)
    browser.page.wait_for_selector("#unrender_locate_heat img", state="detached")
    for name in ("unrender_analyze_labels", "unrender_match_labels", "unrender_locate_status"):
        browser.wait_for_no_text(name)
    browser.page.wait_for_selector("#unrender_analyze_chart img", state="detached")


def test_pictures_become_an_embedding_that_is_saved_and_loaded(browser, server, photograph, engine):
    browser.open("Embedding")
    browser.put("unrender_embedding_picture1", photograph)
    browser.choose("unrender_embedding_family", "micro")
    browser.choose("unrender_embedding_quality", "quick")
    browser.wait_for_text("unrender_embedding_quality_about", ABOUT_QUALITIES["quick"])
    assert browser.press("unrender_embedding").startswith("Made")
    assert "1 picture, pinv" in browser.text("unrender_embedding_summary")
    assert "nearest" in browser.press("unrender_preview")
    browser.fill("unrender_embedding_name", "../../coffee")
    browser.page.click("#unrender_embedding_save")
    browser.wait_for_text("unrender_embedding_files_status", "is no name")
    browser.fill("unrender_embedding_name", "coffee")
    browser.page.click("#unrender_embedding_save")
    browser.wait_for_text("unrender_embedding_files_status", "Saved as")
    saved_file = server.cache / "prompt_embeddings" / "coffee.safetensors"
    saved = PromptEmbedding.load(saved_file)
    expected = engine.embed(photograph, "micro", "pinv")
    assert saved.states is not None and expected.states is not None
    assert (saved.states - expected.states).abs().max() < 1e-3 * expected.states.abs().max()
    written = saved_file.stat().st_mtime_ns
    browser.page.click("#unrender_embedding_save")
    browser.wait_for_text("unrender_embedding_files_status", "press Replace")
    browser.page.wait_for_selector("#unrender_embedding_save:text-is('Replace')")
    browser.fill("unrender_embedding_name", "coffee ")
    browser.page.wait_for_selector("#unrender_embedding_save:text-is('Save')")
    browser.page.click("#unrender_embedding_save")
    browser.page.wait_for_selector("#unrender_embedding_save:text-is('Replace')")
    assert saved_file.stat().st_mtime_ns == written
    browser.page.click("#unrender_embedding_save")
    browser.wait_for_text("unrender_embedding_files_status", "Saved as")
    browser.page.wait_for_selector("#unrender_embedding_save:text-is('Save')")
    assert saved_file.stat().st_mtime_ns != written
    browser.open("Embedding")
    browser.choose("unrender_embedding_saved", "coffee")
    browser.page.click("#unrender_embedding_load")
    browser.wait_for_text("unrender_embedding_summary", "1 picture, pinv")
    assert "name a checkpoint" in browser.press("unrender_preview")


def test_a_folder_is_described(browser, photograph, broken, engine, tmp_path):
    browser.open("Batch")
    assert "no folder" in browser.press("unrender_batch")
    for name, source in (("coffee.png", photograph), ("broken.png", broken)):
        (tmp_path / name).write_bytes(source.read_bytes())
    browser.fill("unrender_batch_folder", str(tmp_path))
    assert browser.press("unrender_batch").startswith("1 pictures in")
    assert (tmp_path / "coffee.txt").read_text(encoding="utf-8").strip() == engine.interrogate(
        photograph, "fast"
    ).prompt
    assert "broken.png" in (tmp_path / "errors.csv").read_text(encoding="utf-8")


def test_stop_goes_with_a_run_that_ends_at_once(browser):
    """It is brought in when it is first shown, which takes longer than the run."""
    runs = {"Analyze": "unrender_analyze", "Embedding": "unrender_embedding", "Batch": "unrender_batch"}
    for tab, name in (runs | {"Models": "unrender_models_download"}).items():
        browser.open(tab)
        assert browser.press(name).endswith(".")
        browser.page.wait_for_timeout(1_000)
        assert not browser.page.is_visible(f"#{name}_stop") and browser.page.is_enabled(f"#{name}_start")


def test_models_are_shown_and_unloaded(browser, photograph):
    browser.open("Analyze")
    browser.put("unrender_analyze_picture", photograph)
    browser.press("unrender_analyze")
    browser.choose_tab("Models")
    browser.wait_for_text("unrender_models_memory", "micro")
    assert "MB" in browser.text("unrender_models_memory")
    assert "phrases" in browser.text("unrender_models_vocabularies")
    browser.fill("unrender_models_name", "ViT-L-15")
    browser.page.keyboard.press("Enter")
    assert "There is no model" in browser.press("unrender_models_download")
    browser.page.click("#unrender_models_unload")
    browser.wait_for_text("unrender_models_memory", "No model is in memory")


@pytest.mark.full
@pytest.mark.parametrize("python", gradio_pythons())
def test_with_a_token_nothing_is_shown_before_it_is_given_and_ctrl_c_ends_it(python, tmp_path):
    server = PageServer(python, tmp_path, "--token", "secret")
    try:
        server.wait()
        jar = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with pytest.raises(urllib.error.HTTPError, match="401"):
            jar.open(f"{server.url}/config")
        login = urllib.parse.urlencode({"username": "unrender", "password": "secret"}).encode()
        jar.open(f"{server.url}/login", login)
        assert b"unrender_picture" in jar.open(f"{server.url}/config").read()
        assert server.interrupt() == 130
    finally:
        server.stop()
