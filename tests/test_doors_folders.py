"""What a visitor of the page may name: files and folders where the program was started, or that were allowed."""

from __future__ import annotations

import json
import os
import time
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from unrender.core.errors import ModelError, SettingsError
from unrender.core.settings import Settings
from unrender.server.batches import BatchRequest, described
from unrender.server.choices import Request, Study
from unrender.server.describing import Describing
from unrender.server.embeddings import Kept, previewed
from unrender.server.folders import Folders, allowed
from unrender.server.host import alone
from unrender.server.jobs import Job
from unrender.server.stores import downloaded
from unrender.server.work import analysis, found_prompt

OUTSIDE = "in no folder that this page may use"


@pytest.fixture
def here(tmp_path, monkeypatch, photographs):
    """A folder that is open, with pictures, and one beside it that is not."""
    for name in ("open", "open/below", "open/.hidden", "shut"):
        (tmp_path / name).mkdir()
        photographs[0].resize((48, 48)).save(tmp_path / name / "one.png")
    monkeypatch.chdir(tmp_path / "open")
    return tmp_path


@pytest.fixture
def host(here):
    settings = Settings(clip="micro", captioner="micro", device="cpu", cache=here / "cache")
    return alone(settings, folders=allowed([], for_strangers=False))


def batch(folder: object, place: object = "", **more: Any) -> BatchRequest:
    return BatchRequest(str(folder), Request(None, "fast", "micro", "none"), place=str(place), **more)


def files(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_the_folder_it_was_started_in_is_open(host, here):
    for folder in (".", "../open/below"):
        assert described(host, batch(folder, resume=False), Job()).startswith("1 pictures in ")
    described(host, batch(".", "below/texts.csv", output="csv"), Job())
    assert (here / "open/below/texts.csv").is_file()
    assert not (here / "shut/one.txt").exists()


@pytest.mark.parametrize(
    "folder",
    ["../shut", "/", "/etc", "/dev", "/proc/self", "~", "below/../../shut", ".hidden", "link", "link/", "../open/link"],
)
def test_no_other_folder_is_described(host, here, folder):
    (here / "open/link").symlink_to(here / "shut")
    before = files(here)
    with pytest.raises(SettingsError, match=OUTSIDE):
        described(host, batch(folder), Job())
    assert files(here) == before


@pytest.mark.parametrize(
    "place", ["../shut/a.csv", "/dev/shm/a.csv", "~/.bashrc", ".hidden/a.csv", ".bashrc", "link", "link/a.csv", "loose"]
)
def test_nothing_is_written_elsewhere(host, here, place):
    (here / "open/link").symlink_to(here / "shut")
    (here / "open/loose").symlink_to(here / "shut/not there yet.csv")
    before = files(here)
    with pytest.raises(SettingsError, match=OUTSIDE):
        described(host, batch(".", place, output="csv"), Job())
    assert files(here) == before


def test_what_is_no_path_or_leads_in_a_circle_is_told(host, here):
    (here / "open/circle").symlink_to(here / "open/circle")
    for wrong in ("a\0b", "circle", "x" * 5000, "~nobody-here/x", "\ud800"):
        with pytest.raises(SettingsError):
            described(host, batch(wrong), Job())


def test_devices_and_pipes_are_not_opened(here, monkeypatch):
    os.mkfifo(here / "open/pipe.png")
    (here / "open/zero.png").symlink_to("/dev/zero")
    (here / "open/stolen.png").symlink_to(here / "shut/one.png")
    settings = Settings(clip="micro", captioner="micro", device="cpu", cache=here / "cache")
    everywhere = alone(settings, folders=Folders.of([Path("/")]))
    with pytest.raises(SettingsError, match="neither a file nor a folder"):
        described(everywhere, batch(".", "/dev/zero", output="csv"), Job())
    inside = alone(settings, folders=allowed([], for_strangers=False))
    assert described(inside, batch("."), Job()).startswith("1 pictures in ")
    assert sorted(path.name for path in (here / "open").glob("*.txt")) == ["one.txt"]


def test_models_and_vocabularies_are_not_opened_elsewhere(host, here, photographs):
    (here / "shut/flavors.txt").write_text("a secret\n", encoding="utf-8")
    for name in (str(here / "shut"), "../shut", "/dev/zero", "~/.cache"):
        for study in (
            Study(photographs[0], name),
            Study(photographs[0], "micro", name),
            Study(photographs[0], "micro", tagger=name),
        ):
            with pytest.raises(SettingsError, match=OUTSIDE):
                analysis(host, study, [], False, Job())
        for asked in (
            Request(photographs[0], "caption", "micro", name),
            Request(photographs[0], "tags", "micro", "none", describing=Describing(tagger=name)),
        ):
            with pytest.raises(SettingsError, match=OUTSIDE):
                found_prompt(host, asked, Job())
        with pytest.raises(SettingsError, match=OUTSIDE):
            previewed(host, Kept(_embedding(host)), name, Job())
        with pytest.raises(SettingsError, match=OUTSIDE):
            downloaded(host, name, Job())
    with pytest.raises(ModelError):
        analysis(host, Study(photographs[0], "below"), [], False, Job())
    (here / "open/words").mkdir()
    (here / "open/words/flavors.txt").write_text("soft light\nhard light\n", encoding="utf-8")
    assert analysis(host, Study(photographs[0], "micro", "words"), [], False, Job()).analysis.categories


def _embedding(host):
    import torch
    from unrender.core.embed.embedding import PromptEmbedding

    return PromptEmbedding("sd15", states=torch.zeros(1, 77, 768))


def test_strangers_have_no_folder_but_those_allowed_by_name(here):
    settings = Settings(clip="micro", captioner="micro", device="cpu", cache=here / "cache")
    none = alone(settings, folders=allowed([], for_strangers=True))
    for folder in (".", here / "open", here / "cache"):
        with pytest.raises(SettingsError, match="--allow"):
            described(none, batch(folder), Job())
    one = alone(settings, folders=allowed([str(here / "shut")], for_strangers=True))
    assert described(one, batch(here / "shut"), Job()).startswith("1 pictures in ")
    with pytest.raises(SettingsError, match=OUTSIDE):
        described(one, batch("."), Job())
    with pytest.raises(SettingsError, match="There is no folder"):
        allowed([str(here / "gone")], for_strangers=False)


# --- the page itself


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    pytest.importorskip("gradio", minversion="6", reason="pip install gradio")
    from door_server import running

    base = tmp_path_factory.mktemp("page")
    with running("ui", base) as command:
        yield command.port, base


def pressed(port: int, button: str, cookie: str = "", **values: Any) -> str:
    """All that the page answers when a button is pressed with these values of the inputs before it, step by step and
    at the end."""
    url, known = f"http://127.0.0.1:{port}", {"Content-Type": "application/json", "Cookie": cookie}
    with urllib.request.urlopen(urllib.request.Request(f"{url}/config", headers=known), timeout=30) as answer:
        config = json.load(answer)
    names = {each["id"]: each["props"].get("elem_id") for each in config["components"]}
    chosen = next(
        each for each in config["dependencies"] if any(names.get(target[0]) == button for target in each["targets"])
    )
    usual = {each["id"]: each["props"].get("value") for each in config["components"]}
    data = [values.get(names[number], usual[number]) for number in chosen["inputs"]]
    session = f"s{time.monotonic_ns()}"
    asked = {"data": data, "fn_index": chosen["id"], "session_hash": session, "trigger_id": None, "event_data": None}
    request = urllib.request.Request(f"{url}/gradio_api/queue/join", json.dumps(asked).encode(), known)
    urllib.request.urlopen(request, timeout=30).close()
    listening = urllib.request.Request(f"{url}/gradio_api/queue/data?session_hash={session}", headers=known)
    with urllib.request.urlopen(listening, timeout=60) as steps:
        told = steps.read().decode()
    (end,) = (each for each in config["dependencies"] if each["trigger_after"] == chosen["id"])
    asked |= {"data": [None] * len(end["inputs"]), "fn_index": end["id"]}
    request = urllib.request.Request(f"{url}/gradio_api/run/predict", json.dumps(asked).encode(), known)
    with urllib.request.urlopen(request, timeout=30) as ended:
        return told + ended.read().decode()


def test_a_picture_is_read_from_what_was_uploaded_alone(page, photographs):
    port, base = page
    (base / "uploads").mkdir(exist_ok=True)
    photographs[0].resize((48, 48)).save(base / "uploads/mine.png")
    photographs[0].resize((48, 48)).save(base / "other.png")
    (base / "uploads/link.png").symlink_to(base / "other.png")

    def tried(path: object, **more: Any) -> str:
        picture = {"path": str(path), "meta": {"_type": "gradio.FileData"}, **more}
        return pressed(port, "unrender_start", unrender_picture=picture, unrender_mode="fast")

    assert "s with micro." in tried(base / "uploads/mine.png")
    wrong = (base / "other.png", base / "uploads/link.png", base / "uploads/../other.png", "/dev/zero", "/etc/passwd")
    for path in wrong:
        for more in ({}, {"url": "http://127.0.0.1/x.png"}, {"meta": None}, {"is_stream": True}):
            assert "s with micro." not in tried(path, **more), (path, more)


def test_a_picture_s_path_is_not_left_to_gradio(tmp_path, photographs):
    """Which has read any path of a payload that lacked a mark."""
    gr = pytest.importorskip("gradio", minversion="4", reason="pip install gradio")
    from unrender.server.gradio_versions import image_input

    with gr.Blocks():
        picture = image_input(label="Picture")
    picture.GRADIO_CACHE = str(tmp_path / "uploads")
    (tmp_path / "uploads").mkdir()
    photographs[0].resize((48, 48)).save(tmp_path / "uploads/mine.png")
    photographs[0].resize((48, 48)).save(tmp_path / "other.png")
    (tmp_path / "uploads/link.png").symlink_to(tmp_path / "other.png")
    (tmp_path / "uploads/zero.png").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "uploads/pipe.png")
    assert picture.preprocess(SimpleNamespace(path=str(tmp_path / "uploads/mine.png"), url=None)).size == (48, 48)
    for name in (
        "other.png",
        "uploads/link.png",
        "uploads/zero.png",
        "uploads/pipe.png",
        "uploads",
        "uploads/../other.png",
    ):
        with pytest.raises(gr.Error, match="uploaded"):
            picture.preprocess(SimpleNamespace(path=str(tmp_path / name), url=None))


def test_a_batch_asked_for_by_hand_stays_inside(page, photographs):
    port, base = page
    (base / "inside").mkdir()
    photographs[0].resize((48, 48)).save(base / "inside/one.png")
    told = pressed(port, "unrender_batch_start", unrender_batch_folder=str(base.parent))
    assert OUTSIDE in told
    told = pressed(
        port,
        "unrender_batch_start",
        unrender_batch_folder="inside",
        unrender_batch_output="csv: one CSV file",
        unrender_batch_place="/dev/shm/unrender-attack.csv",
    )
    assert OUTSIDE in told and not Path("/dev/shm/unrender-attack.csv").exists()
    assert "1 pictures in" in pressed(port, "unrender_batch_start", unrender_batch_folder="inside")


def test_files_are_given_out_that_were_uploaded_alone(page):
    from door_server import ask

    port, base = page
    (base / "uploads").mkdir(exist_ok=True)
    (base / "uploads/kept.txt").write_text("kept", encoding="utf-8")
    (base / "beside.txt").write_text("beside", encoding="utf-8")
    for route in ("/gradio_api/file=", "/file=", "/gradio_api/file/", "/file/"):
        for path in (base / "beside.txt", "beside.txt", base / "uploads/../beside.txt", "/etc/passwd", "http://a.b/c"):
            assert ask(port, f"GET {route}{path}").status == 403, (route, path)
        assert ask(port, f"GET {route}%2Fetc%2Fpasswd").status == 403
    assert ask(port, "GET /gradio_api/proxy=http://127.0.0.1:1/").status == 403
    assert ask(port, f"GET /gradio_api/file={base}/uploads/kept.txt").body == b"kept"


def test_what_the_help_says_a_visitor_can_do(capsys):
    from unrender.cli import main

    with pytest.raises(SystemExit):
        main(["ui", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "what a visitor of the page can do" in said and "--allow FOLDER" in said
