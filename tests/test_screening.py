"""Two precisions, one answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import random_open_clip
from hypothesis import given, settings
from hypothesis import strategies as st
from unrender.core.clip import Clip
from unrender.core.devices import Arithmetic
from unrender.core.progress import SILENT
from unrender.core.prompt.screening import FEWEST_SAMPLES, LARGEST_RISK, Screening
from unrender.core.prompt.search import Candidate, ChainRules, Scorer, greedy_chain


def noisy(count, deviation, seed, offset=0.0):
    random = np.random.default_rng(seed)
    exact = (random.normal(size=count) * 0.03 + 0.2).astype(np.float32)
    return exact, (exact + random.normal(size=count) * deviation + offset).astype(np.float32)


@settings(max_examples=60)
@given(st.integers(1, 3000), st.floats(1e-6, 0.1), st.floats(-0.1, 0.1), st.integers(0, 10**6))
def test_the_winner_is_that_of_float32(count, deviation, offset, seed):
    exact, rough = noisy(count, deviation, seed, offset)
    screening = Screening()
    for _ in range(3):
        row, value = screening.best(rough, lambda rows: exact[rows])
        assert row == exact.argmax() and value == exact.max()
    assert screening.risk <= LARGEST_RISK


def test_few_are_scored_again_and_the_samples_are_enough():
    screening = Screening()
    for round_number in range(10):
        exact, rough = noisy(2048, 5e-4, round_number, offset=1e-4)
        asked = []
        screening.best(rough, lambda rows, exact=exact, asked=asked: asked.append(len(rows)) or exact[rows])
        if round_number == 0:
            assert sum(asked) >= FEWEST_SAMPLES
    assert screening.redone == 0
    assert screening.rescored < 0.05 * screening.scored


def test_an_outlier_makes_the_round_exact():
    """Errors that are not as the samples say: the true winner is rated far too low and would be missed."""
    exact, rough = noisy(2048, 5e-4, 0)
    winner = int(exact.argmax())
    front = int(np.argsort(-rough)[1 if np.argsort(-rough)[0] == winner else 0])
    rough[front] += 0.01
    screening = Screening()
    assert screening.best(rough, lambda rows: exact[rows])[0] == winner
    assert screening.redone == 1 and screening.rescored >= 2048


def test_scores_too_close_for_half_precision_are_all_computed_exactly():
    exact, rough = noisy(2048, 0.02, 1)
    screening = Screening()
    assert screening.best(rough, lambda rows: exact[rows])[0] == exact.argmax()
    assert screening.redone == 1


def test_the_risk_bounds_students_tail():
    stats = pytest.importorskip("scipy.stats", reason="SciPy is not installed")
    screening = Screening()
    screening._errors = np.random.default_rng(0).normal(size=64).tolist()
    for deviations in (0.5, 1.0, 2.0, 4.0, 8.0, 20.0):
        true = stats.t.sf(deviations / np.sqrt(1 + 1 / 64), 63)
        bound = screening._risk_of(np.array([deviations]))
        assert true <= bound <= max(2 * true, true + 1e-12) or deviations < 2


@pytest.fixture(scope="module")
def two_precisions(open_clip_transform, open_clip_tokenizer):
    """The same model with and without a half-precision tower, whatever this machine's own choice would be."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("unrender.core.devices.fast_half", lambda device: torch.bfloat16)
        fast = Clip.from_open_clip(random_open_clip(), open_clip_transform, open_clip_tokenizer, precision="auto")
    exact = Clip.from_open_clip(random_open_clip(), open_clip_transform, open_clip_tokenizer, precision="exact")
    assert fast.text.has_rough and not exact.text.has_rough
    return fast, exact


@pytest.mark.parametrize("away", [False, True])
def test_the_chain_is_the_same_in_two_precisions(two_precisions, away):
    from unrender.core.phrases import load_vocabulary

    fast, exact = two_precisions
    words = [Candidate(text, "flavors") for text in load_vocabulary().phrases("flavors")[::25]]
    start = Candidate("a cat", "caption")
    rules = ChainRules(3, 5, 77, {}, away)
    for seed in range(4):
        torch.manual_seed(seed)
        features = torch.nn.functional.normalize(torch.randn(48), dim=0)
        scorers = [Scorer(clip, features) for clip in (fast, exact)]
        found = [greedy_chain(scorer, words, scorer.trail([start]), rules, SILENT) for scorer in scorers]
        assert found[0].prompt == found[1].prompt
        assert found[0].similarity == pytest.approx(found[1].similarity, abs=2e-6)
        screening = scorers[0].screening
        assert 0 < screening.rescored < screening.scored
        assert scorers[1].screening.scored == 0


def test_precisions_by_name():
    from unrender.core.devices import pick_arithmetic

    cpu = torch.device("cpu")
    assert pick_arithmetic("exact", cpu) == Arithmetic(torch.float32, torch.float32, None)
    assert pick_arithmetic("bfloat16", cpu) == Arithmetic(torch.bfloat16, torch.bfloat16, None)
    assert pick_arithmetic("auto", cpu).text == torch.float32
    assert pick_arithmetic("auto", torch.device("cuda")) == Arithmetic(torch.float16, torch.float32, torch.float16)
