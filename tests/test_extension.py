"""The extension for webuis, without a webui."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
import textwrap
import threading
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
import unrender.server.service
from page_server import gradio_pythons
from PIL import Image
from unrender.core.cures import Choose
from unrender.core.engine import Engine
from unrender.core.errors import Cancelled, ImageError, ModelError
from unrender.core.images import open_image
from unrender.core.prompt_syntax import escape
from unrender.core.results import Interrogation
from unrender.core.settings import Settings
from unrender.server import choices
from unrender.server.choices import Preferences, Request, inserted, known_mode, picture_of, vocabularies
from unrender.server.host import Host, alone
from unrender.server.jobs import Job, Jobs, reports
from unrender.server.models import WORKING_MEMORY, Models
from unrender.server.service import Service, run
from unrender.server.work import interrogation

ROOT = Path(__file__).parents[1]
STANDIN = Path(__file__).parent / "webui_standin"
FOUND = Interrogation("a (red) boat", 0.3, "best", "", (), "micro", 1.0)


def request(picture=None, **values):
    return Request(picture, **{"mode": "fast", "clip": "micro", "captioner": "micro", **values})


def service(monkeypatch, interrogate):
    """One whose interrogation is the given one."""
    monkeypatch.setattr(unrender.server.service, "interrogation", lambda host, request, job: interrogate(request))
    return Service(alone(Settings()), lambda prompt: escape(prompt, "webui"), [], [])


# --- jobs


def test_a_job_reports_each_line_and_returns_the_result():
    seen = threading.Semaphore(0)

    def work(job):
        with job.task("Downloading", 2_000_000, "B") as task:
            seen.acquire(timeout=10)
            task.advance(1_500_000)
            seen.acquire(timeout=10)
        return 7

    lines = reports(Job(), work)
    assert next(lines) == "Downloading: 0 of 2 MB"
    seen.release()
    assert next(lines) == "Downloading: 2 of 2 MB"
    seen.release()
    with pytest.raises(StopIteration) as ended:
        while True:
            next(lines)
    assert ended.value.value == 7


def test_a_job_passes_errors_on():
    def work(job):
        raise ModelError("There is no such model.")

    with pytest.raises(ModelError, match="no such model"):
        list(reports(Job(), work))


@pytest.mark.parametrize("by", ["button", "host", "reader"])
def test_a_job_stops_at_its_next_step(by):
    host, begun, ended = threading.Event(), threading.Event(), threading.Event()

    def work(job):
        try:
            with job.task("Searching", 10**9, "phrases") as task:
                begun.set()
                while True:
                    task.advance()
        finally:
            ended.set()

    jobs, job = Jobs(), Job(host.is_set)
    lines = reports(job, work)
    with jobs.running(job) as key:
        assert next(lines).startswith("Searching: ")
        assert begun.wait(10)
        if by == "reader":
            lines.close()
        else:
            jobs.stop(key) if by == "button" else host.set()
            with pytest.raises(Cancelled):
                list(lines)
    assert ended.wait(10)
    jobs.stop(key)  # one that is over


# --- what a run tells the person


def test_a_run_ends_with_what_was_found(monkeypatch, photographs):
    *before, last = run(service(monkeypatch, lambda request: FOUND), request(photographs[0]))
    assert {report.kind for report in before} == {"wait"}
    assert (last.kind, last.found) == ("done", FOUND)


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (ModelError("x is not here", Choose("clip", ("micro",))), "fault", "x is not here; choose micro as the CLIP."),
        (Cancelled("Stopped."), "done", "Stopped."),
        (ImportError("No module named 'transformers'", name="transformers"), "fault", "pip install transformers"),
        (RuntimeError("CUDA out of memory."), "fault", "memory is used up"),
        (KeyError("<b>"), "fault", "KeyError: '<b>'"),
    ],
)
def test_errors_are_told_and_never_found(monkeypatch, photographs, error, kind, text):
    def interrogate(request):
        raise error

    last = list(run(service(monkeypatch, interrogate), request(photographs[0])))[-1]
    assert (last.kind, last.found) == (kind, None)
    assert text in last.text
    assert "<b>" not in last.line


def test_a_run_without_a_picture_says_so(monkeypatch):
    (report,) = run(service(monkeypatch, lambda request: FOUND), request(None))
    assert report.kind == "fault" and "no picture" in report.text


# --- choices


def test_a_request_becomes_settings(tmp_path):
    (tmp_path / "phrases" / "mine").mkdir(parents=True)
    (tmp_path / "phrases" / "empty").mkdir()
    (tmp_path / "phrases" / "mine" / "flavors.txt").write_text("soft light\n", encoding="utf-8")
    asked = request(
        vocabulary="phrases/mine", categories=["flavors", "mediums"], exclude="grainy, Ada\nBob ", clip=" a "
    )
    made = asked.settings(Settings(device="cpu", cache=tmp_path, limits={"sites": 3}, exclude=("rain",)))
    assert made.phrases == tmp_path / "phrases" / "mine"
    assert made.limits == {"artists": 0, "movements": 0, "sites": 0}
    assert made.exclude == ("rain", "grainy", "Ada", "Bob")
    assert (made.clip, made.device, made.cache) == ("a", "cpu", tmp_path)
    assert request(captioner="none").settings(Settings()).captioner is None
    assert request(vocabulary=' "phrases/mine" ').settings(Settings(cache=tmp_path)).phrases == made.phrases
    for nothing in (None, "", " "):
        assert request(vocabulary=nothing).settings(Settings(cache=tmp_path)).phrases is None
    assert vocabularies(tmp_path) == [*choices.VOCABULARIES, "phrases/mine"]


def test_the_preferred_models_are_the_engines_own():
    assert (Preferences().clip, Preferences().captioner) == (Settings().clip, Settings().captioner)
    assert known_mode("negative") == "negative" and known_mode("gone") == "best"


@pytest.mark.parametrize(
    ("typed", "insertion", "expected"),
    [
        ("old", "replace", "new"),
        ("", "append", "new"),
        ("old", "append", "old, new"),
        ("old, \n", "append", "old, new"),
    ],
)
def test_the_prompt_field_is_replaced_or_continued(typed, insertion, expected):
    assert inserted("new", typed, insertion) == expected


def test_a_picture_is_found_in_what_any_webui_hands_over(photographs):
    picture = photographs[0]
    png = io.BytesIO()
    picture.resize((8, 8)).save(png, "PNG")
    url = "data:image/png;base64," + base64.b64encode(png.getvalue()).decode()
    assert picture_of(picture) is picture
    assert picture_of({"image": picture, "mask": None}) is picture
    assert picture_of({"background": None, "layers": [], "composite": picture}) is picture
    assert Image.open(picture_of(url)).size == (8, 8)
    assert Image.open(picture_of({"image": url})).size == (8, 8)
    for nothing in (None, {"image": None}, "", "/etc/passwd", {"image": "/etc/passwd"}):
        assert picture_of(nothing) is None
    for broken in ("data:image/png;base64,!", "data:image/png;base64,", "data:text/html;base64,eA==", "data:"):
        with pytest.raises(ImageError):
            open_image(picture_of(broken))


# --- models


@contextmanager
def asked_room(log, needed):
    log.append(needed)
    yield
    log.append("given back")


def test_models_find_what_the_engine_finds_and_leave_the_device(tmp_path, photographs):
    models, log = Models(), []
    keeping = [choices.LEAVE_IN_RAM]
    usual = Settings(device="cpu", cache=tmp_path)
    host = Host(
        models,
        lambda: usual,
        lambda: Preferences(keeping=keeping[0]),
        lambda job: nullcontext(),
        lambda needed: asked_room(log, needed),
        lambda: False,
    )
    found = interrogation(host, request(photographs[0]), Job())
    with Engine(request(photographs[0]).settings(usual)) as engine:
        expected = engine.interrogate(photographs[0], "fast")
    assert (found.prompt, found.similarity) == (expected.prompt, pytest.approx(expected.similarity, abs=1e-6))
    assert log[0] > WORKING_MEMORY and log[1:] == ["given back"]
    kept = models._clip
    keeping[0] = choices.UNLOAD
    interrogation(host, request(photographs[1]), Job())
    assert kept is not None and models._clip is None and not models._describers


def test_no_model_is_loaded_for_a_picture_that_cannot_be_read(tmp_path):
    host = alone(Settings(device="cpu", cache=tmp_path))
    for broken in (io.BytesIO(b"no picture"), b"no picture", None):
        with pytest.raises(ImageError):
            interrogation(host, request(broken, clip="not/there"), Job())


# --- what a webui loads


def in_a_webui(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs code in a new Python where the stand-in for a webui can be imported."""
    paths = os.pathsep.join([str(STANDIN), *environment.pop("paths", "").split(os.pathsep)])
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": paths, **environment},
        cwd=STANDIN,
    )


SHIM = """
    import json, runpy, sys
    from modules import script_callbacks
    shim = {shim!r}
    def load():
        script_callbacks.registered.clear()
        runpy.run_path(shim)
        return dict(script_callbacks.registered)
"""


def test_the_script_loads_beside_extensions_that_own_its_names(tmp_path):
    for name in ("core", "extension", "nodes", "cli", "scripts"):
        (tmp_path / "decoy" / name).mkdir(parents=True)
        (tmp_path / "decoy" / name / "__init__.py").write_text("OWNER = 'decoy'\n", encoding="utf-8")
    home = tmp_path / "extensions" / "un-render v1.0 of mine"
    home.parent.mkdir()
    home.symlink_to(ROOT, target_is_directory=True)
    code = textwrap.dedent(SHIM.format(shim=str(home / "scripts" / "unrender_webui.py"))) + textwrap.dedent("""
        import core, extension, nodes, cli, scripts
        path = list(sys.path)
        first = load()
        second = load()
        assert {m.OWNER for m in (core, extension, nodes, cli, scripts)} == {"decoy"}
        assert sys.path == path
        assert first["ui_tabs"].__func__ is not second["ui_tabs"].__func__, "Reload UI got the old code"
        ours = {name.split(".")[0] for name in sys.modules if name.endswith(".extension.webui")}
        heavy = sorted({"torch", "transformers", "open_clip", "gradio", "rich"} & set(sys.modules))
        print(json.dumps([sorted(second), len(ours), heavy]))
    """)
    done = in_a_webui(code, paths=str(tmp_path / "decoy"))
    assert done.returncode == 0, done.stderr
    registered, packages, heavy = json.loads(done.stdout)
    assert registered == [
        *("after_component", "app_started", "before_ui", "cfg_denoiser", "script_unloaded", "ui_settings", "ui_tabs")
    ]
    assert packages == 1 and heavy == []


def test_a_tab_that_cannot_be_built_says_why_and_how_to_mend_it(tmp_path):
    """Here with a gradio that has no more than a tab, and a package that is broken."""
    little = """
        import contextlib
        said = []
        Blocks = lambda **options: contextlib.nullcontext("blocks")
        HTML = said.append
    """
    (tmp_path / "gradio.py").write_text(textwrap.dedent(little), encoding="utf-8")
    code = textwrap.dedent(SHIM.format(shim=str(ROOT / "scripts" / "unrender_webui.py"))) + textwrap.dedent("""
        import gradio
        callbacks = load()

        class Broken:
            def find_spec(self, wanted, path=None, target=None):
                if wanted.endswith(".server.gradio_versions"):
                    raise ImportError("safetensors is <broken>", name="safetensors")

        sys.meta_path.insert(0, Broken())
        for elem_id in ("txt2img_prompt", "deepbooru", "img2img_prompt"):
            callbacks["after_component"](object(), elem_id=elem_id)
        ((blocks, title, elem_id),) = callbacks["ui_tabs"]()
        print(json.dumps([title, gradio.said]))
    """)
    done = in_a_webui(code, paths=str(tmp_path))
    assert done.returncode == 0, done.stderr
    title, said = json.loads(done.stdout)
    assert title == "Unrender"
    assert "safetensors is &lt;broken&gt;" in said[0] and "-m pip install safetensors" in said[0]
    assert done.stderr.count("No button in img2img") == 1


ROOM = """
    import sys
    from modules import devices, sd_models
    from unrender.core import devices as ours
    from unrender.extension import webui_host
    sd_models.model_data.sd_model = "checkpoint"
    ours.free_memory = lambda device: {free}
    try:
        with webui_host.room("cuda", 2_000):
            assert sd_models.moves == {away}, sd_models.moves
            raise ValueError("the search failed")
    except ValueError:
        pass
    assert sd_models.moves == {away} + {back}, sd_models.moves
    assert devices.collections >= 2
"""


@pytest.mark.parametrize(
    ("free", "away", "back"),
    [
        ("1_999", ["checkpoint to cpu"], ["checkpoint to device"]),
        ("2_000", [], []),
        ("None", [], []),
    ],
)
def test_a_checkpoint_makes_room_where_memory_is_short_and_returns(free, away, back):
    done = in_a_webui(ROOM.format(free=free, away=away, back=back))
    assert done.returncode == 0, done.stderr


def test_a_memory_manager_is_asked_for_room_instead(tmp_path):
    """Forge's, or the one that reForge has."""
    (tmp_path / "backend").mkdir()
    manager = "asked = []\ndef free_memory(needed, device): asked.append((needed, device))\n"
    manager += "def soft_empty_cache(): asked.append('given back')\n"
    (tmp_path / "backend" / "memory_management.py").write_text(manager, encoding="utf-8")
    code = """
        from backend import memory_management
        from modules import sd_models
        from unrender.extension import webui_host
        with webui_host.room("cuda", 5):
            assert memory_management.asked == [(5, "cuda")]
        assert memory_management.asked[1:] == ["given back"] and not sd_models.moves
    """
    done = in_a_webui(code, paths=str(tmp_path))
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not gradio_pythons(), reason="install gradio, or name Pythons with it in UNRENDER_GRADIO_PYTHONS")
@pytest.mark.parametrize("python", gradio_pythons())
def test_the_page_is_built_by_gradio(python):
    done = subprocess.run(
        [python, "-W", "ignore", str(Path(__file__).parent / "build_page.py")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    page = json.loads(done.stdout.splitlines()[-1])
    assert {"unrender_picture", "unrender_send_txt2img", "unrender_send_img2img"} <= set(page["elements"])
    assert page["heavy"] == []
    button = next(event for event in page["events"] if event["on"] == ["unrender_img2img_start"])
    pictures = ["img2img_image", "img2img_sketch", "img2maskimg", "inpaint_sketch", "img_inpaint_base"]
    assert button["inputs"] == ["unrender_img2img_tab", "unrender_img2img_picture", *pictures]
    assert "get_tab_index('mode_img2img')" in button["js"]
    assert not any("img2img_prompt" in event["outputs"] for event in page["events"]), "undo would forget what was there"
    putting = [event["inputs"] for event in page["events"] if "put('img2img_prompt'" in event["js"]]
    assert putting == [["unrender_img2img_written"]]
    stops = [event for event in page["events"] if "stop" in str(event["on"])]
    assert stops and all(event["inputs"] == ["state"] for event in stops)
    assert page["values"]["unrender_clip_model"] == "micro"
    section = {name.removeprefix("unrender_txt2img_image_as_prompt_") for name in page["elements"]}
    assert {"picture", "files", "saved", "refresh", "way", "strength", "start", "end"} <= section
    assert page["values"]["unrender_txt2img_image_as_prompt_saved"] == "none"
