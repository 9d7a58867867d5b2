"""What a real ComfyUI's pictures say of how they were made, and captions it writes beside pictures."""

from __future__ import annotations

from comfyui_graphs import NAMES, micro, node, one_picture, shipped
from comfyui_server import needs_comfyui
from unrender.core.metadata import read_metadata

pytest_plugins = ["comfyui_fixtures"]
pytestmark = needs_comfyui


def test_comfyui_reads_the_prompt_in_a_picture_it_made(comfyui):
    graph = shipped("Interrogate and render again")
    graph["4"]["inputs"]["text"] = "a lighthouse, (oil on canvas:1.2)"
    graph["9"] = node("SaveImage", images=["8", 0], filename_prefix="made")
    made = comfyui.run(graph).outputs["9"]["images"][0]["filename"]
    (comfyui.base / "output" / made).rename(comfyui.base / "input" / made)
    graph = {
        "1": node("UnrenderReadImagePrompt", image=made),
        "2": node("PreviewAny", source=["1", 0]),
        "3": node("PreviewAny", source=["1", 2]),
    }
    run = comfyui.run(graph)
    assert run.text("2") == ["a lighthouse, (oil on canvas:1.2)"]
    assert run.text("3") == ["1"]
    graph["1"]["inputs"]["image"] = "coffee.png"
    assert comfyui.run(graph).text("1") == ["The file says nothing of how it was made."]


def test_comfyui_keeps_the_prompt_that_was_found_in_the_pictures_it_saves(comfyui):
    graph = shipped("Interrogate and render again")
    graph["9"] = node("SaveImage", images=["8", 0], filename_prefix="kept")
    run = comfyui.run(graph)
    found = read_metadata(comfyui.base / "output" / run.outputs["9"]["images"][0]["filename"])
    assert [found.prompt] == run.text("3")
    assert "Interrogate Picture" in found.notes[0]


def test_comfyui_captions_a_folder(comfyui):
    """With the prompts that Interrogate Picture finds, which come out escaped."""
    folder = comfyui.base / "input" / "training"
    folder.mkdir()
    for name in NAMES:
        (folder / name).write_bytes((comfyui.base / "input" / name).read_bytes())
    (folder / "broken.png").write_bytes(b"no picture")
    settings = {"mode": "fast", "existing": "skip", "recursive": False, "prefix": "", "suffix": ""}
    graph = {"2": micro(), "3": node("UnrenderCaptionFolder", folder="training", interrogator=["2", 0], **settings)}
    (report,) = comfyui.run(graph).text("3")
    assert report.startswith("3 texts written") and "1 failed" in report
    assert "3" in comfyui.run(graph).cached
    for name in NAMES:
        expected = comfyui.run(one_picture(name, mode="fast", escape=False)).text("3")[0]
        assert (folder / name).with_suffix(".txt").read_text(encoding="utf-8").strip() == expected
    (folder / "broken.png").unlink()
    assert "3 skipped" in comfyui.run(graph).text("3")[0]
    graph["3"]["inputs"]["folder"] = "nowhere"
    assert comfyui.run(graph).error.startswith("There is no folder")
