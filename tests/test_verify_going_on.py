"""A comparison that was ended in the middle goes on to the same report; and what it renders, of how many pictures."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from hashlib import sha256
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from unrender.core.embed.families import MICRO_FAMILY
from unrender.core.errors import SettingsError
from unrender.core.progress import SILENT
from unrender.core.settings import Settings
from unrender.core.variation.sampling import Sampling
from unrender.core.verify import fidelity
from unrender.core.verify.asked import TELLING
from unrender.core.verify.fidelity import Plan, measure_fidelity
from unrender.core.verify.notes import NAME, Notes, noted_in
from unrender.core.verify.ways import Said

COUNT = 13
PICTURES = [Image.effect_noise((64, 48), 20 + number).convert("RGB") for number in range(COUNT)]
SAID = Said(
    {"honest": [f"prompt {number}" for number in range(COUNT)], "peer": [f"other {number}" for number in range(COUNT)]},
    "honest",
    [f"caption {number}" for number in range(COUNT)],
)
PER_RUN = 6 + (3 + 2) * COUNT * 2 + 6 * 2 + 6
"""Renderings: the empty prompt's; three qualities' and two searches' with two seeds; captions'; another picture's."""


class Engine:
    """Embeds as a name for what it was asked."""

    progress = SILENT
    settings = Settings(clip="micro")

    def embed(self, picture, family, projection, blend, gap, *, quality, encoders):
        return SimpleNamespace(of=f"{quality or projection} {blend.anchor} {picture.tobytes()[:30]}", fingerprint="f")

    def embed_text(self, text, family="", *, encoders=None):
        return SimpleNamespace(of=f"text {text}", fingerprint="f")


class Judge:
    """Sees mean colours."""

    name = "colours"

    def encode_images(self, images):
        means = torch.tensor(np.array([np.asarray(each, float).mean(axis=(0, 1)) + 1 for each in images]))
        return torch.nn.functional.normalize(means.float(), dim=-1)


@pytest.fixture
def rendered(monkeypatch):
    """What was rendered; `after` so many a kill comes."""
    seen = SimpleNamespace(embeddings=[], seeds=[], after=10**6)

    def render(checkpoint, embedding, negative, sampling):
        if len(seen.embeddings) == seen.after:
            raise KeyboardInterrupt
        seen.embeddings.append(embedding.of)
        seen.seeds.append(sampling.seed)
        digest = sha256(f"{embedding.of} {sampling.seed}".encode()).digest()
        return Image.new("RGB", (64, 64), tuple(digest[:3]))

    monkeypatch.setattr(fidelity, "render", render)
    monkeypatch.setattr(fidelity, "negative_embedding", lambda engine, checkpoint: None)
    return seen


def measured(notes=None, plan=None, said=SAID, pictures=PICTURES):
    checkpoint = SimpleNamespace(family=MICRO_FAMILY, encoders={})
    return measure_fidelity(Engine(), checkpoint, [Judge()], pictures, said, plan, None, notes)


def without_times(found):
    ways = {name: replace(way, seconds=0.0) for name, way in found.ways.items()}
    return replace(found, ways=ways, seconds=0.0, renderings={})


@pytest.mark.parametrize("after", [1, 2, 40, PER_RUN - 1])
def test_a_killed_run_goes_on_to_the_same_report(rendered, tmp_path, after):
    whole = measured()
    assert len(rendered.embeddings) == PER_RUN
    rendered.embeddings.clear()
    rendered.after = after
    with pytest.raises(KeyboardInterrupt), noted_in(tmp_path, "1") as notes:
        measured(notes)
    rendered.after = 10**6
    with (tmp_path / ".unrender" / NAME).open("ab") as file:
        file.write(b'{"of": "torn')
    with noted_in(tmp_path, "1") as notes:
        again = measured(notes)
    assert len(rendered.embeddings) == PER_RUN
    assert without_times(again) == without_times(whole)


def test_a_finished_run_renders_nothing_again(rendered, tmp_path):
    for _ in range(2):
        with noted_in(tmp_path, "1") as notes:
            measured(notes)
    assert len(rendered.embeddings) == PER_RUN


@pytest.mark.parametrize(
    "changed",
    [
        {"plan": Plan(sampling=Sampling(3))},
        {"plan": Plan(seeds=(7, 8))},
        {"said": replace(SAID, prompts={name: [f"{each}!" for each in SAID.prompts[name]] for name in SAID.prompts})},
        {"pictures": [picture.rotate(180) for picture in PICTURES]},
    ],
)
def test_what_something_else_decides_is_rendered_anew(rendered, changed):
    notes = Notes()
    measured(notes)
    before = len(rendered.embeddings)
    measured(notes, **changed)
    assert len(rendered.embeddings) - before > PER_RUN // 2


def test_a_planted_score_is_looked_for_again(rendered, tmp_path):
    with noted_in(tmp_path, "1") as notes:
        whole = measured(notes)
    path = tmp_path / ".unrender" / NAME
    head, *rows = path.read_text().splitlines()
    rows[:4] = [row[: row.index('"found"')] + f'"found": {bad}}}' for row, bad in zip(rows, BAD_SCORES, strict=False)]
    path.write_text("\n".join([head, *rows, ""]))
    with noted_in(tmp_path, "1") as notes:
        again = measured(notes)
    assert len(rendered.embeddings) == PER_RUN + 4
    assert without_times(again) == without_times(whole)


BAD_SCORES = ("7", "[NaN, 1, 1, [1]]", '["a", 1, 1, [1]]', "[1, 1]")


def test_what_nobody_would_choose_is_shown_fewer_pictures(rendered):
    found = measured()
    assert {name: way.pictures for name, way in found.ways.items()} == {
        "empty prompt": 6,
        **dict.fromkeys(("quick", "good", "best", "words, honest", "words, peer"), COUNT),
        "caption": 6,
        "another's": 6,
    }
    assert set(rendered.seeds) == {0, 1}


def test_best_stands_on_the_usual_search(rendered):
    measured()
    asked = Counter(" ".join(each.split()[:3]) for each in rendered.embeddings if each.startswith("best"))
    assert asked == {f"best prompt {number}": 2 for number in range(COUNT)}


def test_too_few_pictures_recommend_no_search(rendered):
    assert measured().search in SAID.prompts
    assert measured(pictures=PICTURES[: TELLING - 1]).search is None


def test_only_what_is_shown_is_kept_also_where_all_is_known(rendered):
    notes = Notes()
    assert measured(notes).renderings == {}
    kept = measured(notes, Plan(shown=2)).renderings
    assert {len(images) for images in kept.values()} == {2}
    assert len(rendered.embeddings) == PER_RUN + 2 * len(kept)


def test_the_time_is_foreseen_from_the_second_rendering_on(rendered):
    told = []
    measured(plan=Plan(foresee=lambda renderings, seconds: told.append((len(rendered.embeddings), renderings))))
    assert told == [(2, PER_RUN)]


def test_no_seed_is_refused():
    with pytest.raises(SettingsError, match="no seed to render with"):
        measured(plan=Plan(seeds=()))
