"""The life of a button's work in a webui: waiting, stopping, the line beside it, and the words it replaces."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from unrender.core.errors import Cancelled
from unrender.core.results import Interrogation
from unrender.core.settings import Settings
from unrender.server.host import alone
from unrender.server.jobs import Job, reports
from unrender.server.service import Service, follow
from unrender.server.waiting import held

ROOT = Path(__file__).parents[1]
STANDIN = Path(__file__).parent / "webui_standin"
FIELD = ROOT / "javascript" / "unrender_button.js"
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
FOUND = Interrogation("a boat", 0.3, "best", "", (), "micro", 1.0)


def fifo_lock():
    code = (STANDIN / "modules" / "call_queue.py").read_text(encoding="utf-8")
    made: dict = {}
    exec(code, made)
    return made["FifoLock"]()


LOCKS = {"plain": threading.Lock, "of a webui": fifo_lock}


def stop_at_once():
    raise Cancelled("Stopped.")


@pytest.mark.parametrize("kind", LOCKS)
def test_a_lock_is_left_by_who_is_told_to_stop_and_free_for_the_next(kind):
    lock = LOCKS[kind]()
    lock.acquire()
    with pytest.raises(Cancelled), held(lock, stop_at_once):
        pytest.fail("it was not free")
    entered = threading.Event()

    def next_one():
        with held(lock, lambda: None):
            entered.set()

    thread = threading.Thread(target=next_one, daemon=True)
    thread.start()
    assert not entered.wait(0.3), "two have it"
    lock.release()
    assert entered.wait(10), "who left still has its place"
    thread.join(10)
    assert lock.acquire(False), "it was not given back"


@pytest.mark.parametrize("kind", LOCKS)
def test_a_free_lock_is_had_without_asking_and_given_back(kind):
    lock = LOCKS[kind]()
    with held(lock, stop_at_once):
        assert not lock.acquire(False)
    assert lock.acquire(False)


def test_who_waits_keeps_its_place_in_the_webuis_order():
    lock, order = fifo_lock(), []
    lock.acquire()

    def enter(name):
        with held(lock, lambda: None):
            order.append(name)

    threads = [threading.Thread(target=enter, args=(name,), daemon=True) for name in "abc"]
    for number, thread in enumerate(threads, 1):
        thread.start()
        end = time.monotonic() + 10
        while len(lock._waiting) < number and time.monotonic() < end:
            time.sleep(0.01)
    lock.release()
    for thread in threads:
        thread.join(10)
    assert order == ["a", "b", "c"]


STOP = """
    import threading, time
    from modules import call_queue, sd_models
    from unrender.core.settings import Settings
    from unrender.extension import webui_host
    from unrender.server.host import Host
    from unrender.server.models import Models
    from unrender.server.needs import SIGHT
    from unrender.server.choices import Preferences
    from unrender.server.service import Service, follow
    from contextlib import nullcontext
    sd_models.model_data.lock = threading.Lock()
    lock = {lock}
    lock.acquire()  # the webui draws, or a checkpoint loads
    turn, interrupted = webui_host.turn, webui_host.interrupted_in_turn
    host = Host(Models(), Settings, Preferences, turn, lambda _: nullcontext(), interrupted)
    service = Service(host, str, [], [])

    def work(job):
        with host.lent(job, Settings(clip="micro", device="cpu"), SIGHT):
            raise AssertionError("it is not its turn")

    lines = []
    for report in follow(service, work, str):
        lines.append(report.text)
        if "Waiting" in report.text:
            service.jobs.stop(report.key)
    assert lines[-1] == "Stopped.", lines
    assert any("Waiting for the webui" in line for line in lines), lines
    assert not lock.acquire(False), "the webui's lock was taken from it"
    lock.release()
    time.sleep(0.2)
    assert call_queue.queue_lock.acquire(False) and sd_models.model_data.lock.acquire(False)
"""


@pytest.mark.parametrize("lock", ["call_queue.queue_lock", "sd_models.model_data.lock"])
def test_stop_works_while_the_webui_is_waited_for(lock):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(STOP.format(lock=lock))],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(STANDIN), os.environ.get("PYTHONPATH", "")])},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def test_the_line_says_that_the_work_is_being_stopped():
    told, may_end = [], threading.Event()

    def work(job):
        with job.task("Searching", 100, "phrases"):
            may_end.wait(10)
            job.check()

    job = Job()
    with pytest.raises(Cancelled):
        for line in reports(job, work):
            told.append(line)
            job.stop()
            if line == "Stopping":
                may_end.set()
    assert told == ["Searching: 0 of 100 phrases", "Stopping"]


def service() -> Service:
    return Service(alone(Settings()), str, [], [])


@pytest.mark.parametrize("changes", [True, False])
def test_a_line_that_is_of_the_picture_before_says_so(changes):
    made, may_end = service(), threading.Event()

    def work(job):
        may_end.wait(10)
        return FOUND

    last = None
    for last in follow(made, work, lambda found: "1.0 s with micro."):
        if last.key and changes:
            assert made.jobs.outdate(last.key)
        may_end.set()
    assert last is not None
    assert last.text == ("Of the picture before: 1.0 s with micro." if changes else "1.0 s with micro.")


def test_a_line_of_what_is_over_may_go_with_its_picture():
    made = service()
    assert not made.jobs.outdate("") and not made.jobs.outdate("1")
    with made.jobs.running(Job()) as key:
        assert made.jobs.outdate(key)
    assert not made.jobs.outdate(key)


@pytest.mark.parametrize("held", ["data:image/png;base64,bm8gcGljdHVyZQ==", "data:image/avif;base64,!", "data:,x"])
def test_what_is_no_picture_is_said_to_be_none(held):
    """Not that there is none."""
    pytest.importorskip("gradio", reason="pip install gradio")
    from unrender.extension.toolbar import Toolbar

    bar = Toolbar(service(), lambda **_: None)
    bar._pictures = {"img2img_image": None}
    last = list(bar._found(0, held))[-1]
    assert last.kind == "fault" and "There is no picture" not in last.text and "picture" in last.text.lower()
    assert "There is no picture" in list(bar._found(0, ""))[-1].text


# --- the words in the field

PAGE = """
<button id="unrender_img2img_undo">back</button><input id="other">
<div id="img2img_prompt"><textarea></textarea></div>
<script>window.heard = []; const gradioApp = () => document;
document.querySelector("textarea").addEventListener("input", (event) => window.heard.push(event.target.value));
</script>"""


@pytest.fixture(scope="module")
def chromium():
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    if CHROMIUM is None:
        pytest.skip("no Chromium on the PATH, nor named in CHROMIUM")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(name="field")
def field_fixture(chromium):
    page = chromium.new_page()
    page.set_content(PAGE)
    page.add_script_tag(content=FIELD.read_text(encoding="utf-8"))
    words = page.locator("textarea")

    def put(text):
        page.evaluate("text => window.unrender.put('img2img_prompt', text)", text)

    yield SimpleNamespace(
        page=page, words=words, put=put, undo=lambda: page.evaluate("unrender.undo('img2img_prompt')")
    )
    page.close()


def can_undo(field) -> bool:
    return field.page.evaluate("'ready' in document.getElementById('unrender_img2img_undo').dataset")


def test_the_browsers_undo_has_typed_words_back(field):
    field.words.press_sequentially("words typed before")
    field.put("a boat,\non (water:1.2)")
    assert field.words.input_value() == "a boat,\non (water:1.2)"
    assert field.page.evaluate("heard.at(-1)") == "a boat,\non (water:1.2)", "the page does not know of it"
    field.words.focus()
    field.page.keyboard.press("Control+z")
    assert field.words.input_value() == "words typed before"
    field.page.keyboard.press("Control+Shift+z")
    assert field.words.input_value() == "a boat,\non (water:1.2)"


def test_the_button_has_typed_words_back_one_after_the_other(field):
    assert not can_undo(field)
    field.words.fill("first")
    field.put("second")
    field.put("third")
    assert can_undo(field)
    field.undo()
    assert field.words.input_value() == "second" and can_undo(field)
    field.undo()
    assert field.words.input_value() == "first" and not can_undo(field)
    field.undo()
    assert field.words.input_value() == "first"
    field.words.focus()
    field.page.keyboard.press("Control+z")
    assert field.words.input_value() == "second"


def test_nothing_is_to_be_had_back_of_an_empty_field_or_where_nothing_was_found(field):
    field.put("a boat")
    assert field.words.input_value() == "a boat" and not can_undo(field)
    field.put("")
    field.put("a boat")
    assert field.words.input_value() == "a boat" and not can_undo(field)


def test_who_types_elsewhere_goes_on_typing_there(field):
    other = field.page.locator("#other")
    other.press_sequentially("half a se")
    field.put("a boat")
    field.page.keyboard.type("ntence")
    assert other.input_value() == "half a sentence" and field.words.input_value() == "a boat"


def test_words_reach_a_field_that_is_not_shown_and_no_other(field):
    field.words.fill("before")
    field.page.evaluate("document.getElementById('img2img_prompt').style.display = 'none'")
    other = field.page.locator("#other")
    other.press_sequentially("mine")
    field.put("a boat")
    assert field.words.input_value() == "a boat" and other.input_value() == "mine"
    assert field.page.evaluate("heard.at(-1)") == "a boat"
    field.page.evaluate("document.getElementById('img2img_prompt').style.display = ''")
    field.undo()
    assert field.words.input_value() == "before"


def test_a_picture_is_another_one_once(field):
    def is_other(held, name="img2img_image"):
        return field.page.evaluate("([name, held]) => unrender.isOther(name, held)", [name, held])

    assert not is_other(None) and not is_other("")
    for each in ("data:a", {"image": "data:b", "mask": "data:m"}, {"path": "/c", "url": "x"}, None):
        assert is_other(each) and not is_other(each)
    assert is_other({"image": "data:b", "mask": None}) and not is_other({"image": "data:b", "mask": "data:n"})
    assert not is_other("data:b"), "it is in the same field, not painted upon"
    assert is_other("data:b", "inpaint_sketch")


def test_words_wait_for_a_field_that_is_about_to_be_shown(field):
    field.words.press_sequentially("before")
    field.page.evaluate("""
        const shown = document.getElementById('img2img_prompt').style;
        shown.display = 'none';
        setTimeout(() => { shown.display = ''; }, 300);
    """)
    field.put("a boat")
    field.words.focus()
    field.page.keyboard.press("Control+z")
    assert field.words.input_value() == "before"
