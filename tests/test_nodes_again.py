"""Which nodes run again: those whose files changed. Of an input that is linked ComfyUI gives no value before the graph
runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from comfyui_graphs import MICRO
from comfyui_nodes import use_standin

use_standin()

import folder_paths  # noqa: E402
from nodes_setting import micro_setup, models_fixture, server_fixture  # noqa: E402, F401
from unrender.core.embed import PromptEmbedding  # noqa: E402
from unrender.core.errors import UnrenderError  # noqa: E402
from unrender.nodes import tuning  # noqa: E402
from unrender.nodes.again import Again, stamp  # noqa: E402
from unrender.nodes.embedding import ImageToPromptEmbedding  # noqa: E402
from unrender.nodes.embedding_files import LoadPromptEmbedding, SavePromptEmbedding  # noqa: E402
from unrender.nodes.folder import CaptionFolder  # noqa: E402
from unrender.nodes.loading import InterrogatorFromGraph, LoadInterrogator  # noqa: E402
from unrender.nodes.reading import ReadImagePrompt  # noqa: E402
from unrender.nodes.tuning import TuneOnPictures  # noqa: E402

EMBEDDING = PromptEmbedding("sd15", torch.zeros(77, 768))
FOLDER = {"folder": "pictures", "mode": "fast", "existing": "append", "recursive": False, "prefix": "", "suffix": ""}


@pytest.fixture(name="setting")
def setting_fixture(models, server, monkeypatch, photographs) -> Path:
    """An input folder with a picture and a folder of two, phrases, and a saved embedding, in ComfyUI's folders."""
    pictures = models / "input" / "pictures"
    pictures.mkdir(parents=True)
    monkeypatch.setattr(folder_paths, "input_directory", str(models / "input"))
    for place in (pictures / "one.png", pictures / "two.png", models / "input" / "one.png"):
        photographs[0].resize((96, 96)).save(place)
    phrases = models / "unrender" / "phrases" / "mine"
    phrases.mkdir(parents=True)
    (phrases / "flavors.txt").write_text("one\n")
    SavePromptEmbedding.execute(EMBEDDING, "there")
    return models


def touch(path: Path) -> None:
    os.utime(path, (1, 1))


def captioned() -> None:
    CaptionFolder.execute(**FOLDER, interrogator=micro_setup())


KINDS: dict[str, tuple[Any, str, Any, str]] = {
    "pictures": (CaptionFolder, "folder", captioned, "input/pictures/one.png"),
    "a picture": (ReadImagePrompt, "image", lambda: ReadImagePrompt.execute("one.png"), "input/one.png"),
    "a saved embedding": (
        *(LoadPromptEmbedding, "name", lambda: LoadPromptEmbedding.execute("there.safetensors")),
        "unrender/prompt_embeddings/there.safetensors",
    ),
    "phrases": (
        *(LoadInterrogator, "vocabulary", lambda: LoadInterrogator.execute(**{**MICRO, "vocabulary": "phrases/mine"})),
        "unrender/phrases/mine/flavors.txt",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_node_whose_file_is_named_by_a_link_runs_again_when_that_changes_and_only_then(setting, kind):
    """ComfyUI's graph has None in the place of the link's value then."""
    node, name, run, file = KINDS[kind]
    before = node.fingerprint_inputs(**{name: None})
    run()
    assert node.fingerprint_inputs(**{name: None}) == before, "nothing was changed"
    if kind == "phrases":
        (setting / file).write_text("two\n")
    else:
        touch(setting / file)
    changed = node.fingerprint_inputs(**{name: None})
    assert changed != before and node.fingerprint_inputs(**{name: None}) == changed
    run()
    assert node.fingerprint_inputs(**{name: None}) == changed


def test_what_was_saved_by_a_linked_name_and_is_gone_is_saved_again(setting):
    before = SavePromptEmbedding.fingerprint_inputs(name=None)
    path = Path(SavePromptEmbedding.execute(EMBEDDING, "linked").args[0])
    assert SavePromptEmbedding.fingerprint_inputs(name=None, embedding=None) == before
    path.unlink()
    assert SavePromptEmbedding.fingerprint_inputs(name=None) != before


def test_a_linked_name_is_none_before_the_graph_runs(setting):
    assert LoadPromptEmbedding.validate_inputs(None) is True and ReadImagePrompt.validate_inputs(None) is True
    for node in (LoadPromptEmbedding, ReadImagePrompt):
        with pytest.raises(UnrenderError, match="takes a text, and None stands there"):
            node.execute(None)
        with pytest.raises(UnrenderError, match=r"There is no .*gone.*; choose another"):
            node.execute("gone")


def test_a_lora_that_is_gone_is_learned_again(setting, monkeypatch):
    before = TuneOnPictures.fingerprint_inputs(name="mine", steps=1)
    path = tuning._place("mine")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    tuning.LEFT.wrote(path)
    assert TuneOnPictures.fingerprint_inputs(name="mine") == before
    path.unlink()
    gone = TuneOnPictures.fingerprint_inputs(name="mine")
    assert gone != before and TuneOnPictures.fingerprint_inputs(name="mine") == gone
    assert TuneOnPictures.fingerprint_inputs(name="a/b") is None


def test_a_projection_that_was_tuned_anew_and_what_verify_found_count(setting):
    tuned = setting / "unrender" / "tuned" / "mine.safetensors"
    tuned.parent.mkdir(parents=True)
    tuned.write_bytes(b"one")
    for asked, file in (
        ({"projection": "tuned:mine", "quality": "usual"}, tuned),
        ({"projection": "usual", "quality": "usual"}, setting / "unrender" / "embed" / "recommended-abc.txt"),
    ):
        before = ImageToPromptEmbedding.fingerprint_inputs(**asked, strength=1.0)
        assert ImageToPromptEmbedding.fingerprint_inputs(**asked) == before
        file.parent.mkdir(exist_ok=True)
        file.write_text("ridge")
        assert ImageToPromptEmbedding.fingerprint_inputs(**asked) != before
    named = {"projection": "pinv", "quality": "usual"}
    assert ImageToPromptEmbedding.fingerprint_inputs(**named) is None
    assert ImageToPromptEmbedding.fingerprint_inputs(projection="tuned:gone", quality="usual") is None


@pytest.mark.parametrize("node", [LoadInterrogator, InterrogatorFromGraph])
@pytest.mark.parametrize("name", ["FLAVORS.TXT", "families/mood.txt"])
def test_every_file_that_is_read_of_a_folder_of_phrases_counts(setting, node, name):
    folder = setting / "unrender" / "phrases" / "mine"
    before = node.fingerprint_inputs(vocabulary="phrases/mine")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("two\n")
    assert node.fingerprint_inputs(vocabulary="phrases/mine") != before
    (folder / "folder.txt").mkdir()
    node.fingerprint_inputs(vocabulary="phrases/mine")


def test_phrases_in_capital_letters_are_offered(setting):
    from unrender.nodes.files import vocabulary_folders

    (setting / "unrender" / "phrases" / "loud").mkdir()
    (setting / "unrender" / "phrases" / "loud" / "FLAVORS.TXT").write_text("one\n")
    assert "phrases/loud" in vocabulary_folders()


def test_a_link_that_leads_nowhere_hides_no_change(setting):
    folder = setting / "input" / "pictures"
    (folder / "broken.png").symlink_to(folder / "nowhere.png")
    before = CaptionFolder.fingerprint_inputs(**FOLDER)
    assert before is not None
    touch(folder / "two.png")
    assert CaptionFolder.fingerprint_inputs(**FOLDER) != before


def test_what_was_given_longest_ago_is_forgotten(tmp_path):
    again = Again(lambda name: stamp(tmp_path / name))
    for number in range(70):
        (tmp_path / str(number)).write_text("one")
        again.given(str(number))
    again.given({"no": "text"})
    before = again.fingerprint(None)
    (tmp_path / "1").unlink()
    assert again.fingerprint(None) == before
    (tmp_path / "69").unlink()
    assert again.fingerprint(None) != before
