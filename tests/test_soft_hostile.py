"""Soft prompts from what is broken, too much or interrupted: a sentence, or they go on."""

from __future__ import annotations

import gc
import weakref
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from small_towers import Words, random_weights
from soft_setting import few_steps, into_micros_space, lent
from unrender.core.clip.soft_tower import SoftTower
from unrender.core.clip.weights import map_tensors
from unrender.core.embed.blend import Blend
from unrender.core.embed.families import CLIP_L, SD1
from unrender.core.embed.seen import Seen
from unrender.core.embed.soft import softener as softener_module
from unrender.core.embed.text_side import TextSide
from unrender.core.engine import Engine
from unrender.core.errors import Cancelled, EmbeddingError, ModelError, SettingsError
from unrender.core.progress import Progress

pytest_plugins = ["embed_fixtures"]

ANCHORED = Blend(anchor="a red star")


@pytest.fixture(autouse=True)
def _few(monkeypatch):
    few_steps(monkeypatch)


def one_sentence(error):
    text = str(error)
    assert text.count(". ") == 0 and len(text) < 250 and "Traceback" not in text
    return text


# --- what is no number, or fits nothing


def test_features_that_are_no_number(engine):
    engine.text_features([""])
    for spoilt in (torch.full((1, 128), float("nan")), torch.zeros(1, 128), torch.full((1, 128), float("inf"))):
        with pytest.raises(EmbeddingError, match="zero or no number"):
            engine.embed(Seen(spoilt, ("key",)), "micro", "soft", ANCHORED)


def test_pictures_that_another_clip_saw(engine):
    seen = Seen.of(torch.randn(1, 96))
    with pytest.raises(ModelError, match=r"seen by another CLIP than micro: in 96 numbers each, not 128") as caught:
        engine.embed(seen, "micro", "soft", ANCHORED)
    one_sentence(caught.value)


@pytest.mark.parametrize("part", ["positions", "embedding", "up"])
def test_weights_that_are_no_number(engine, photographs, part):
    weights = random_weights(768, 768, 1, 12)
    if part == "up":
        weights.blocks[0].up[3, 5] = float("nan")
    else:
        getattr(weights, part)[:] = float("nan")
    sides = {CLIP_L: TextSide(weights, Words())}
    with pytest.raises(ModelError, match="gives NaN, and no soft prompt can be found through it") as caught:
        engine.embed(photographs[0], "sd15", "soft", ANCHORED, encoders=sides, text_projection=into_micros_space(SD1))
    one_sentence(caught.value)


def test_the_wrong_clip_for_a_family(engine, photographs):
    with pytest.raises(ModelError, match="768 wide, but this one is 128 wide"):
        engine.embed(photographs[0], "sd15", "soft", ANCHORED)
    with pytest.raises(ModelError, match="text projection of the shape 128 x 128 instead of 128 x 768"):
        engine.embed(photographs[0], "sd15", "soft", ANCHORED, encoders=lent(SD1, layers=1))


# --- too little and too much


@pytest.mark.parametrize("tokens", [0, 1, 75])
@pytest.mark.parametrize("anchor", ["", "a red star", "a red star, " * 60, "?!, ... ;;", " , ,"])
def test_any_number_of_tokens_after_any_words(engine, photographs, anchor, tokens):
    made = engine.embed(photographs[0], "micro", "soft", Blend(anchor=anchor, tokens=tokens))
    assert made.states.shape[1] == 128 and len(made.states) % 77 == 0 and bool(torch.isfinite(made.states).all())
    own = engine.embed_text(anchor, "micro")
    assert len(made.states) >= len(own.states)


def test_a_number_of_tokens_that_no_text_has_room_for():
    for wrong in (-1, 76):
        with pytest.raises(SettingsError, match="give a number from 0 to 75"):
            Blend(tokens=wrong)


def test_a_text_beside_what_is_seen_and_swaps(engine, photographs):
    plain = engine.embed(photographs[0], "micro", "soft")
    beside = engine.embed(photographs[0], "micro", "soft", Blend(text="a mosaic"))
    assert beside.states.shape[0] % 77 == 0 and not torch.equal(beside.states, plain.states)
    anchor, swap = "an oil painting of a red star", {"mediums": "a mosaic"}
    swapped = engine.embed(photographs[0], "micro", "soft", Blend(anchor=anchor, swaps=swap))
    said = engine.embed(photographs[0], "micro", "soft", Blend(anchor=anchor, text="a mosaic of a red star"))
    assert torch.equal(swapped.states, said.states)


def test_a_vocabulary_without_a_comma(engine, photographs):
    class Mute(Words):
        def encode(self, text):
            return super().encode(text.replace(",", ""))

    sides = {CLIP_L: TextSide(random_weights(768, 768, 1, 12), Mute())}
    made = engine.embed(
        photographs[0], "sd15", "soft", ANCHORED, encoders=sides, text_projection=into_micros_space(SD1)
    )
    assert bool(torch.isfinite(made.states).all())


# --- memory


@pytest.mark.parametrize(
    "error", [torch.cuda.OutOfMemoryError("Allocation on device"), RuntimeError("CUDA out of memory. Tried to")]
)
def test_a_gradient_without_memory_goes_on_in_main_memory(engine, photographs, monkeypatch, error):
    wanted = engine.embed(photographs[0], "micro", "soft", ANCHORED)
    true, held, refused = softener_module._descended, [], []

    def short(weights, *rest):
        if refused:
            assert weights.device.type == "cpu" and weights.embedding.dtype == torch.float32
            return true(weights, *rest)
        refused.append(error)
        kept = torch.ones(4)
        held.append(weakref.ref(kept))
        raise error

    monkeypatch.setattr(softener_module, "_descended", short)
    monkeypatch.setattr(softener_module, "_is_elsewhere", lambda _: True)
    made = engine.embed(photographs[0], "micro", "soft", ANCHORED)
    assert torch.equal(made.states, wanted.states) and refused
    assert held[0]() is None, "what the failed descent held is free"


@pytest.mark.parametrize("error", [torch.cuda.OutOfMemoryError("out of memory"), MemoryError()])
def test_a_gradient_without_main_memory_is_told(engine, photographs, monkeypatch, error):
    held = []

    def short(tower, moved):
        held.append(weakref.ref(moved))
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(SoftTower, "ends", short)
        with pytest.raises(ModelError, match="No memory is left to find a soft prompt for micro") as caught:
            engine.embed(photographs[0], "micro", "soft", ANCHORED)
        one_sentence(caught.value)
    del caught
    gc.collect()
    assert held[0]() is None
    assert engine.embed(photographs[0], "micro", "soft", ANCHORED).states is not None, "and goes on afterwards"


def test_other_errors_are_their_own(engine, photographs, monkeypatch):
    monkeypatch.setattr(SoftTower, "ends", lambda *_: (_ for _ in ()).throw(RuntimeError("a bug")))
    with pytest.raises(RuntimeError, match="a bug"):
        engine.embed(photographs[0], "micro", "soft", ANCHORED)


# --- modes of PyTorch's, and interruption


def test_a_host_that_runs_all_in_inference_mode(engine, photographs):
    """And made its weights in it: every part is new there."""
    wanted = engine.embed(photographs[0], "micro", "soft", ANCHORED)
    own = TextSide.of(engine.clip)
    with torch.inference_mode(), Engine(replace(engine.settings), load_clip=lambda _: engine.clip) as host:
        inside = host.embed(photographs[0], "micro", "soft", ANCHORED)
        sides = {"micro": TextSide(map_tensors(own.weights, torch.clone), own.tokenizer)}
        turned = own.weights.projection.clone()
        lent = host.embed(photographs[0], "micro", "soft", encoders=sides, text_projection=turned)
    assert torch.equal(inside.states, wanted.states) and bool(torch.isfinite(lent.states).all())
    # outside it, from what was made inside
    again = engine.embed(photographs[0], "micro", "soft", encoders=sides, text_projection=turned)
    assert torch.equal(again.states, lent.states)
    assert not torch.is_inference_mode_enabled()


class Stopping(Progress):
    """Stops at the given step of the descent."""

    def __init__(self, at):
        self.at, self.taken = at, 0

    @contextmanager
    def task(self, label, total=None, unit=""):
        progress = self

        class Task:
            def advance(self, amount=1):
                if label == "Moving the soft prompt":
                    progress.taken += amount
                    if progress.taken == progress.at:
                        raise Cancelled

        yield Task()


@pytest.mark.parametrize("at", [1, 2, 3])
def test_is_stopped_within_a_step(engine, photographs, monkeypatch, at):
    stopping, runs = Stopping(at), []
    true = SoftTower.ends
    monkeypatch.setattr(SoftTower, "ends", lambda tower, moved: (runs.append(1), true(tower, moved))[1])
    with Engine(engine.settings, load_clip=lambda _: engine.clip, progress=stopping) as host:
        with pytest.raises(Cancelled):
            host.embed(photographs[0], "micro", "soft", ANCHORED)
        assert len(runs) == at and torch.is_grad_enabled()
        stopping.at = 0
        made = host.embed(photographs[0], "micro", "soft", ANCHORED)
    assert torch.equal(made.states, engine.embed(photographs[0], "micro", "soft", ANCHORED).states)
