"""Soft prompts through text encoders with LoRAs: what is learned without them is corrected by a few texts, and a soft
prompt still meets its picture."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from patched_towers import patched
from torch import Tensor
from torch.nn.functional import normalize
from unrender.core.clip.layers import LAST
from unrender.core.embed.correcting import CORRECTION, Difference, difference_map
from unrender.core.embed.families import MICRO_FAMILY
from unrender.core.embed.gap import shipped_gap
from unrender.core.embed.soft.crossing import Crossing, load_or_learn
from unrender.core.embed.soft.projection import SoftProjection, Words
from unrender.core.embed.soft.space import Placing
from unrender.core.embed.text_side import TextSide, at
from unrender.core.errors import Cancelled
from unrender.core.micro.pictures import render
from unrender.core.phrases.composed import composed_prompts
from unrender.core.progress import Progress

pytest_plugins = ["embed_fixtures"]


@pytest.fixture(scope="module")
def texts(engine):
    """Those to learn from, and others."""
    engine.text_features(["micro"])
    both = composed_prompts(engine.read_vocabulary(), 912)
    return both[:512], both[512:]


@pytest.fixture(scope="module")
def second(engine, texts):
    """Another encoder than the one whose joint space pictures are seen in: micro's without its last block."""
    own = TextSide.of(engine.clip)
    return TextSide(replace(own.weights, blocks=own.weights.blocks[:-1], projection=None), own.tokenizer)


@pytest.fixture(scope="module")
def learn(engine, texts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("crossings")

    def learn(side: TextSide, place=folder, progress=None) -> Crossing:
        return load_or_learn(place, engine.clip, side, engine.evidence(), texts[0], progress or Progress())

    return learn


def ends(side: TextSide, texts) -> Tensor:
    (states,), places = side.states(texts)
    return at(states, places)


@pytest.mark.parametrize("moved", [0.06, 0.12, 0.2])
def test_a_corrected_crossing_is_near_one_learned_anew(engine, texts, second, learn, moved):
    """By the share of the variance of others' ends that each explains: the figures in crossing.py."""
    others = texts[1]
    side = patched(second, moved, lambda each: ends(each, others[:100]))
    joint, found = engine.clip.encode_texts(others), ends(side, others)

    def explained(crossing: Crossing) -> float:
        left = found - crossing.centre - (joint - crossing.origin) @ crossing.matrix
        return 1 - float(left.pow(2).sum() / (found - found.mean(dim=0)).pow(2).sum())

    anew = learn(replace(side, plain=None))
    corrected, plain = learn(side), learn(second)
    shares = [explained(each) for each in (anew, corrected, plain)]
    assert shares[0] - shares[1] < 0.2 * (shares[0] - shares[2]), shares
    own = anew.vectors.norm()
    assert (corrected.vectors - anew.vectors).norm() < 0.8 * (plain.vectors - anew.vectors).norm() < 0.2 * own


def test_a_change_of_strength_reads_a_few_texts_and_keeps_little(second, texts, learn, tmp_path, monkeypatch):
    read, true = [], TextSide.states

    def counted(side, some, *rest):
        read.append(len(some))
        return true(side, some, *rest)

    monkeypatch.setattr(TextSide, "states", counted)
    plain = learn(second, tmp_path)
    (whole,) = tmp_path.iterdir()
    distances = []
    for number, moved in enumerate((0.05, 0.1), 1):
        side = patched(second, moved, lambda each: ends(each, texts[1][:50]))
        read.clear()
        found = learn(side, tmp_path)
        assert sum(read) == 2 * CORRECTION.prompts, "with the LoRA and without"
        corrections = list(tmp_path.glob("correction-*"))
        assert len(corrections) == number and set(tmp_path.iterdir()) == {whole, *corrections}
        read.clear()
        assert torch.equal(learn(side, tmp_path).matrix, found.matrix) and not read, "it is known"
        distances.append(float((found.matrix - plain.matrix).norm()))
        assert max(path.stat().st_size for path in corrections) < whole.stat().st_size / 2
    assert 0 < distances[0] < distances[1]


def test_what_is_learned_of_ends_is_not_taken_for_what_is_learned_of_all_positions(engine, second, texts, tmp_path):
    side = patched(second, 0.1, lambda each: ends(each, texts[1][:50]))

    def learned(ends_alone: bool):
        difference = Difference(side, second, ends_alone)
        return difference_map(tmp_path, "clip", engine.clip.encode_texts, difference, LAST, texts[0])

    assert [len(learned(ends_alone).mean) for ends_alone in (False, True, False)] == [77, 1, 77]


class Watching(Progress):
    """stop: at which check to end."""

    def __init__(self, stop: int | None = None) -> None:
        self.said: list[str] = []
        self.checks, self.stop = 0, stop

    def task(self, label, *rest):
        self.said.append(label)
        return super().task(label, *rest)

    def check(self):
        self.checks += 1
        if self.checks == self.stop:
            raise Cancelled


def test_correcting_is_told_and_can_be_stopped(second, texts, learn, tmp_path):
    side = patched(second, 0.1, lambda each: ends(each, texts[1][:50]))
    learn(second, tmp_path)
    whole, watching = list(tmp_path.iterdir()), Watching(stop=20)
    with pytest.raises(Cancelled):
        learn(side, tmp_path, watching)
    assert watching.said[0] == "Learning from 128 texts, 1 MB, timing the first 64"
    assert list(tmp_path.iterdir()) == whole
    watching = Watching()
    learn(side, tmp_path, watching)
    blocks = len(second.weights.blocks)
    assert watching.checks >= 2 * blocks * CORRECTION.prompts / 16, "between the blocks of each portion"


@pytest.mark.parametrize("count", [3, pytest.param(12, marks=pytest.mark.full)])
@pytest.mark.parametrize(("given", "asks"), [(None, True), ("a picture", False), (None, False)])
def test_through_the_encoder_whose_clip_sees_a_soft_prompt_comes_as_near(engine, texts, given, asks, count):
    """What soft knows is that CLIP's without LoRAs. The figures in projection.py are of 12."""
    own, gap = TextSide.of(engine.clip), shipped_gap("micro")
    known = engine._models.embedder("micro", None, None, None)._knowledge
    features = engine.picture_features([each.permute(1, 2, 0).numpy() for each in render("test", count).pixels])
    placing = Placing(known.where_texts_lie, gap)
    middle = known.where_texts_lie.mean
    wanted = torch.stack([placing.placed(each) for each in features]) - middle
    words = Words(given) if given else None

    def near(side: TextSide) -> Tensor:
        """Cosines about where texts lie of each picture's soft prompt with each picture."""
        soft = SoftProjection(MICRO_FAMILY, {"micro": side}, None, known)
        found = [soft.embedded(each, words, gap=gap, asks=asks)[1]["micro"] for each in features]
        made = normalize(torch.stack(found) @ side.weights.projection.T, dim=-1) - middle
        return normalize(made, dim=-1) @ normalize(wanted, dim=-1).T

    plain = near(own)
    assert plain.diagonal().mean() > 0.75
    for moved in (0.2,) if count == 3 else (0.06, 0.12, 0.2):
        with_lora = near(patched(own, moved, lambda each: ends(each, texts[1][:100])))
        assert with_lora.diagonal().mean() > plain.diagonal().mean() - 0.02
        assert torch.equal(with_lora.argmax(dim=0), torch.arange(count))
