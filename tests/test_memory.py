"""A search within a memory budget: the same prompt in smaller portions, or a sentence."""

from __future__ import annotations

import argparse

import pytest
import torch
from unrender.cli import engine_options
from unrender.core.clip import Clip
from unrender.core.clip.text_tower import FEWEST_NODES, TextTower
from unrender.core.engine import Engine, Settings
from unrender.core.errors import SettingsError
from unrender.core.phrases.table import PhraseTable
from unrender.core.phrases.vocabulary import Category, load_vocabulary
from unrender.core.progress import SILENT


@pytest.fixture
def tries(monkeypatch):
    """How many nodes are evaluated at once."""
    seen = []
    run = TextTower._run
    monkeypatch.setattr(
        TextTower, "_run", lambda tower, prefix, trie, *more: seen.append(len(trie)) or run(tower, prefix, trie, *more)
    )
    return seen


@pytest.fixture
def phrases(tmp_path):
    folder = tmp_path / "phrases"
    folder.mkdir()
    for name in ("flavors", "mediums", "artists", "movements", "sites"):
        lines = load_vocabulary().phrases(name)[: 1200 if name == "flavors" else 20]
        (folder / f"{name}.txt").write_text("\n".join(lines), encoding="utf-8")
    return str(folder)


def test_the_same_prompt_in_smaller_portions(
    open_clip_model, open_clip_transform, open_clip_tokenizer, photographs, phrases, tries
):
    found, largest = [], []
    for spare in (None, 0):
        clip = Clip.from_open_clip(open_clip_model, open_clip_transform, open_clip_tokenizer, precision="exact")
        memory = None if spare is None else clip.nbytes + clip.text.fewest_working_bytes + spare
        settings = Settings(phrases=phrases, captioner=None, memory=memory, min_phrases=2, max_phrases=3, search="peer")
        tries.clear()
        with Engine(settings, clip) as engine:
            found.append(engine.interrogate(photographs[0]))
        largest.append(max(tries))
    assert found[0].prompt == found[1].prompt
    assert largest[1] < FEWEST_NODES + 77 < largest[0]


def test_less_than_the_model_itself_is_refused(clip, photographs):
    with (
        Engine(Settings(captioner=None, memory=10**6), clip) as engine,
        pytest.raises(SettingsError, match=r"takes \d+\.\d\d MB at this precision, more than the 1\.00 MB"),
    ):
        engine.interrogate(photographs[0])


def test_a_table_without_room_on_the_device_is_ranked_in_slices(clip, tmp_path):
    category = Category("flavors", load_vocabulary().phrases("flavors")[:5000])
    roomy, narrow = (PhraseTable.load(clip, [category], tmp_path, SILENT, room) for room in (None, 1000))
    assert narrow.embeddings.dtype == torch.float16
    assert narrow.embeddings.nbytes * 2 == roomy.embeddings.nbytes
    features = torch.nn.functional.normalize(torch.randn(48, generator=torch.Generator().manual_seed(0)), dim=0)
    assert abs(narrow.similarities(features) - roomy.similarities(features)).max() < 1e-6


def test_what_a_model_holds_is_counted_once(open_clip_model, clip):
    own = sum(parameter.nbytes for parameter in open_clip_model.parameters())
    remembered = 12 * 77 * 2 * 2 * 64 * 4
    assert clip.nbytes == pytest.approx(own + remembered, rel=0.01)


def test_portions_follow_from_the_memory(clip):
    tower = clip.text._exact.tower
    tower.working_memory = 1000 * tower.bytes_per_node
    assert tower.nodes_at_once() == 1000
    tower.working_memory = 0
    assert tower.nodes_at_once() == FEWEST_NODES
    tower.working_memory = None


@pytest.mark.parametrize(("text", "size"), [("4GB", 4 * 10**9), ("1.5g", 15 * 10**8), ("800 MB", 8 * 10**8)])
def test_sizes_as_people_write_them(text, size):
    parser = argparse.ArgumentParser()
    engine_options.add_to(parser)
    assert engine_options.settings_from(parser.parse_args(["--memory", text])).memory == size


@pytest.mark.parametrize("text", ["lots", "-1GB", "4 apples", "2GiB", ""])
def test_what_is_no_size_is_refused(text, capsys):
    parser = argparse.ArgumentParser()
    engine_options.add_to(parser)
    with pytest.raises(SystemExit):
        parser.parse_args([f"--memory={text}"])
    assert "is not a size, such as 4GB" in capsys.readouterr().err
