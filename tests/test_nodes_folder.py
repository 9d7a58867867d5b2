"""Caption Folder with the stand-in for ComfyUI."""

from __future__ import annotations

import os

import pytest
from comfyui_graphs import MICRO
from comfyui_nodes import use_standin

use_standin()

import comfy.model_management as standin_memory  # noqa: E402
import folder_paths  # noqa: E402
from unrender.core.errors import SettingsError  # noqa: E402
from unrender.nodes import host  # noqa: E402
from unrender.nodes.folder import CaptionFolder  # noqa: E402
from unrender.nodes.loading import LoadInterrogator  # noqa: E402

from server import PromptServer  # noqa: E402

FOLDER = {"folder": "pictures", "mode": "fast", "existing": "skip", "recursive": False, "prefix": "", "suffix": ""}


@pytest.fixture
def pictures(tmp_path, monkeypatch, photographs):
    """A folder in ComfyUI's input folder, with two pictures and a broken one."""
    monkeypatch.setattr(folder_paths, "models_dir", str(tmp_path / "models"))
    monkeypatch.setattr(folder_paths, "folder_names_and_paths", {})
    monkeypatch.setattr(folder_paths, "input_directory", str(tmp_path / "input"))
    monkeypatch.setattr(standin_memory, "loaded", [])
    monkeypatch.setattr(PromptServer, "instance", PromptServer())
    host.register_folder()
    folder = tmp_path / "input" / "pictures"
    (folder / "below").mkdir(parents=True)
    for name, photograph in zip(("one.png", "two.png", "below/three.png"), photographs, strict=False):
        photograph.resize((96, 96)).save(folder / name)
    (folder / "broken.png").write_bytes(b"no picture")
    yield folder
    standin_memory.interrupt_current_processing(False)


@pytest.fixture
def micro(pictures):
    return LoadInterrogator.execute(**MICRO).args[0]


def test_each_picture_gets_a_text(pictures, micro):
    out = CaptionFolder.execute(**{**FOLDER, "prefix": "mine"}, interrogator=micro)
    written, failed, report = out.args
    assert (written, failed) == (2, 1) and out.ui == {"text": [report]}
    assert report.startswith("2 texts written in ") and str(pictures / "errors.csv") in report
    texts = {path.stem: path.read_text(encoding="utf-8") for path in pictures.rglob("*.txt")}
    assert set(texts) == {"one", "two"} and texts["one"] != texts["two"]
    assert all(text.startswith("mine, ") for text in texts.values())
    again = CaptionFolder.execute(**FOLDER, interrogator=micro)
    assert again.args[0] == 0 and "2 skipped" in again.args[2]
    deeper = CaptionFolder.execute(**{**FOLDER, "recursive": True, "existing": "append"}, interrogator=micro)
    assert deeper.args[0] == 3
    assert (pictures / "one.txt").read_text(encoding="utf-8").startswith(texts["one"].strip())
    assert (pictures / "below" / "three.txt").is_file()


def test_models_stay_where_comfyui_has_them(pictures, micro, monkeypatch):
    """The captioner, the CLIP beside it, both in ComfyUI's care: the engine parks nothing."""
    brought: list[int] = []
    monkeypatch.setattr(standin_memory, "load_models_gpu", lambda models, **_: brought.append(len(models)))
    CaptionFolder.execute(**FOLDER, interrogator=micro)
    assert brought == [1, 2], "the CLIP; then the captioner with the CLIP"


def test_interrupt_keeps_what_was_written(pictures, micro, monkeypatch):
    def pressed(self, value, total=None):
        standin_memory.interrupt_current_processing(True)

    with monkeypatch.context() as patch:
        patch.setattr(host.ProgressBar, "update_absolute", pressed)
        with pytest.raises(standin_memory.InterruptProcessingException):
            CaptionFolder.execute(**FOLDER, interrogator=micro)
    assert len(list(pictures.glob("*.txt"))) == 1
    CaptionFolder.execute(**FOLDER, interrogator=micro)
    assert len(list(pictures.glob("*.txt"))) == 2


def test_a_folder_runs_again_when_its_pictures_change(pictures):
    before = CaptionFolder.fingerprint_inputs(**FOLDER)
    (pictures / "one.txt").write_text("a text is none")
    assert CaptionFolder.fingerprint_inputs(**FOLDER) == before
    os.utime(pictures / "one.png", (1, 1))
    assert CaptionFolder.fingerprint_inputs(**FOLDER) != before
    assert CaptionFolder.fingerprint_inputs(**{**FOLDER, "folder": "nowhere"}) is None


@pytest.mark.parametrize("name", ["", "  ", "nowhere"])
def test_an_absent_folder_is_said(pictures, micro, name):
    with pytest.raises(SettingsError, match="no folder"):
        CaptionFolder.execute(**{**FOLDER, "folder": name}, interrogator=micro)


def test_what_was_written_and_is_gone_is_written_again(pictures, micro):
    """ComfyUI runs a node again where its fingerprint has changed, and else shows what it gave before."""
    first = CaptionFolder.fingerprint_inputs(**FOLDER)
    CaptionFolder.execute(**FOLDER, interrogator=micro)
    assert CaptionFolder.fingerprint_inputs(**FOLDER) == first, "its own texts are no reason to run again"
    (pictures / "one.txt").write_text("mended by hand")
    assert CaptionFolder.fingerprint_inputs(**FOLDER) == first, "nor is a text that a person has changed"
    (pictures / "two.txt").unlink()
    gone = CaptionFolder.fingerprint_inputs(**FOLDER)
    assert gone != first and CaptionFolder.fingerprint_inputs(**FOLDER) == gone
    assert CaptionFolder.execute(**FOLDER, interrogator=micro).args[0] == 1
    assert CaptionFolder.fingerprint_inputs(**FOLDER) == gone, "nor what was written again"
    (pictures / "errors.csv").unlink()
    assert CaptionFolder.fingerprint_inputs(**FOLDER) != gone


def test_a_prompt_is_not_appended_again_and_again(pictures, micro):
    """Where two nodes write into one folder, and one of them into those below it too."""
    appending = [{**FOLDER, "existing": "append", "recursive": deep} for deep in (True, False)]
    before = [CaptionFolder.fingerprint_inputs(**each) for each in appending]
    for each in appending:
        CaptionFolder.execute(**each, interrogator=micro)
    assert [CaptionFolder.fingerprint_inputs(**each) for each in appending] == before
