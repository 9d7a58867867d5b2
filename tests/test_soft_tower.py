"""The text tower with free tokens: its numbers against the project's own tower and transformers, its gradients against
PyTorch's own through transformers and against finite differences in double precision."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_towers import Words, random_weights
from unrender.core.clip.hidden_states import hidden_states, padded_ids
from unrender.core.clip.layers import LAST, SECOND_TO_LAST, SECOND_TO_LAST_NORMED
from unrender.core.clip.soft_tower import SoftTower, soft_states
from unrender.core.clip.weights import TowerWeights, from_transformers, map_tensors
from unrender.core.embed.text_side import TextSide

TEXTS = ["", "boat", "a red star at night", "abc" * 20]


def ids_of(text: str) -> tuple[int, ...]:
    return Words().encode(text)


def end_states(weights: TowerWeights, texts: list[tuple[int, ...]]) -> torch.Tensor:
    ids, ends = padded_ids(weights, texts, "end")
    return hidden_states(weights, ids)[0][range(len(texts)), ends]


def embedded(weights: TowerWeights, texts: list[tuple[int, ...]]) -> torch.Tensor:
    return torch.stack([weights.embedding[list(text)] for text in texts]).float()


# --- the numbers


@pytest.mark.parametrize("quick_gelu", [False, True])
@pytest.mark.parametrize("free", [0, 1, 6])
def test_words_after_texts_of_any_length_are_the_towers_own(quick_gelu, free):
    weights = random_weights(quick_gelu=quick_gelu)
    first, last = [ids_of(text) for text in TEXTS], [ids_of("hidden")[:free], ids_of("garden")[:free]] * 2
    found = SoftTower(weights, first, free).ends(embedded(weights, last))
    assert (found - end_states(weights, [a + b for a, b in zip(first, last, strict=True)])).abs().max() < 1e-5
    # the other activation is told apart
    other = SoftTower(random_weights(quick_gelu=not quick_gelu), first, free).ends(embedded(weights, last))
    assert (found - other).abs().max() > 1e-3


@pytest.mark.parametrize("quick_gelu", [False, True])
def test_all_words_may_be_free(quick_gelu):
    weights, text = random_weights(quick_gelu=quick_gelu), ids_of("a red star at night")
    found = SoftTower(weights, [()], len(text)).ends(embedded(weights, [text]))
    assert (found - end_states(weights, [text])).abs().max() < 1e-5


def test_a_text_that_is_too_long_leaves_room_for_the_free_tokens():
    weights, long = random_weights(), ids_of("ab" * 60)
    tower = SoftTower(weights, [long, ids_of("boat")], 4)
    assert [len(words) for words in tower.words] == [71, 4]
    free = embedded(weights, [ids_of("star")] * 2)
    wanted = end_states(weights, [long[:71] + ids_of("star"), ids_of("boatstar")])
    assert (tower.ends(free) - wanted).abs().max() < 1e-5


def test_texts_do_not_move_one_another():
    weights = random_weights()
    first, free = [ids_of(text) for text in TEXTS], embedded(weights, [ids_of("star")] * len(TEXTS))
    together = SoftTower(weights, first, 4).ends(free)
    alone = torch.cat([SoftTower(weights, [text], 4).ends(free[:1]) for text in first])
    assert (together - alone).abs().max() < 1e-5


# --- the gradient


def weight_of(width: int) -> torch.Tensor:
    """A loss whose gradient no symmetry makes zero, as that of a sum after a normalisation nearly is."""
    return torch.sin(torch.arange(width).double())


def gradient(tower: SoftTower, free: torch.Tensor) -> torch.Tensor:
    moved = free.clone().requires_grad_()
    ends = tower.ends(moved)
    ((ends * weight_of(ends.shape[1]).to(ends)).sum() + ends.pow(3).sum()).backward()
    assert moved.grad is not None
    return moved.grad


class Transformers:
    """Its CLIP text model, with embeddings of one's own in the tokens' place."""

    def __init__(self, activation: str, width: int = 64) -> None:
        from transformers import CLIPTextConfig, CLIPTextModel

        torch.manual_seed(3)
        config = CLIPTextConfig(
            vocab_size=64,
            hidden_size=width,
            intermediate_size=96,
            num_hidden_layers=3,
            num_attention_heads=4,
            hidden_act=activation,
            bos_token_id=Words.start_of_text,
            eos_token_id=Words.end_of_text,
        )
        self.model = CLIPTextModel(config).eval()
        with torch.no_grad():
            for parameter in self.model.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.1)
        weights = from_transformers(self.model, Words.start_of_text, Words.end_of_text)
        assert weights is not None
        self.weights = weights
        self.exact = copy.deepcopy(self.model).double()

    def end(self, words: tuple[int, ...], free: torch.Tensor) -> torch.Tensor:
        """In double precision, [width]."""
        model, table = self.exact, self.weights.embedding.double()
        start, end = table[[Words.start_of_text, *words]], table[[Words.end_of_text]]
        whole = torch.cat([start, free, end])
        place = getattr(model, "text_model", model).embeddings.token_embedding
        hook = place.register_forward_hook(lambda *_: whole[None])
        try:
            ids = torch.tensor([[*[1] * (len(whole) - 1), Words.end_of_text]])
            return model(input_ids=ids).last_hidden_state[0, -1]
        finally:
            hook.remove()

    def loss(self, words: tuple[int, ...], free: torch.Tensor) -> torch.Tensor:
        end = self.end(words, free)
        return (end * weight_of(len(end))).sum() + end.pow(3).sum()


@pytest.fixture(scope="module", params=["gelu", "quick_gelu"])
def transformers(request):
    return Transformers(request.param)


@pytest.mark.parametrize("words", ["", "boat", "a red star at night"])
def test_equals_torchs_own_gradient_through_transformers(transformers, words):
    free = embedded(transformers.weights, [ids_of("star")]) + 0.05 * torch.randn(1, 4, 64)
    exact = free[0].double().requires_grad_()
    transformers.loss(ids_of(words), exact).backward()
    tower = SoftTower(transformers.weights, [ids_of(words)], 4)
    assert (tower.ends(free)[0] - transformers.end(ids_of(words), exact)).abs().max() < 1e-5
    assert_near(gradient(tower, free)[0], exact.grad, 1e-4)


def test_equals_finite_differences(transformers):
    """Central ones, in double precision, of some of the values."""
    words, step = ids_of("boat"), 1e-5
    free = embedded(transformers.weights, [ids_of("sea")])
    found = gradient(SoftTower(transformers.weights, [words], 3), free)[0]
    with torch.no_grad():
        for token, value in ((0, 0), (0, 63), (1, 17), (2, 5), (2, 40)):
            aside = torch.zeros(3, 64, dtype=torch.double)
            aside[token, value] = step
            ahead, behind = (transformers.loss(words, free[0].double() + sign * aside) for sign in (1, -1))
            wanted = float(ahead - behind) / (2 * step)
            assert float(found[token, value]) == pytest.approx(wanted, rel=1e-3, abs=1e-3 * float(found.abs().max()))


def assert_near(found: torch.Tensor, wanted: torch.Tensor, share: float) -> None:
    """By no more than a share of its length."""
    assert float((found.double() - wanted.double()).norm()) < share * float(wanted.double().norm())


@pytest.mark.parametrize(("dtype", "share"), [(torch.float16, 0.02), (torch.bfloat16, 0.1)])
def test_weights_in_half_precision(dtype, share):
    weights = random_weights(256, 256, 3, 4, quick_gelu=True)
    free = embedded(weights, [ids_of("star")])
    exact, half = SoftTower(weights, [ids_of("boat")], 4), SoftTower(weights.to("cpu", dtype), [ids_of("boat")], 4)
    found = gradient(half, free)
    assert found.dtype == torch.float32 and bool(torch.isfinite(found).all())
    assert_near(found, gradient(exact, free), share)
    rounded = SoftTower(weights.to("cpu", dtype).to("cpu", torch.float32), [ids_of("boat")], 4)
    assert torch.equal(found, gradient(rounded, free)), "half is only how weights are stored"


def test_half_precision_overflows_nowhere_on_the_way():
    weights = random_weights(64, 48)
    large = map_tensors(weights, lambda tensor: tensor * 30)
    found = gradient(SoftTower(large.to("cpu", torch.float16), [()], 4), embedded(weights, [ids_of("star")]) * 1e4)
    assert bool(torch.isfinite(found).all())


def test_weights_that_were_made_in_inference_mode():
    weights, words = random_weights(has_projection=False), [ids_of("boat"), ids_of("sea")]
    free = embedded(weights, [ids_of("star")] * 2)
    wanted = gradient(SoftTower(weights, words, 4), free)
    with torch.inference_mode():
        kept = map_tensors(weights, torch.clone)
        inside = SoftTower(kept, words, 4)
    assert kept.embedding.is_inference()
    for tower in (inside, SoftTower(kept, words, 4)):
        assert torch.equal(gradient(tower, free), wanted)
    with torch.inference_mode():
        assert torch.equal(inside.ends(free), SoftTower(weights, words, 4).ends(free))
        with torch.inference_mode(False):
            assert torch.equal(gradient(inside, free), wanted)


def test_no_weight_keeps_a_gradient():
    weights = random_weights()
    asking = map_tensors(weights, lambda tensor: tensor.clone().requires_grad_())
    free = embedded(weights, [ids_of("star")])
    assert torch.equal(gradient(SoftTower(asking, [()], 4), free.detach()), gradient(SoftTower(weights, [()], 4), free))
    map_tensors(asking, lambda tensor: pytest.fail("kept") if tensor.grad is not None else tensor)


# --- states


LAYERS = (LAST, SECOND_TO_LAST, SECOND_TO_LAST_NORMED)


@settings(max_examples=25, deadline=None)
@given(text=st.text("abcdefgh ,", max_size=170), padding=st.sampled_from(["end", "zero"]))
def test_nothing_moved_and_nothing_added_is_the_text_itself(text, padding):
    weights = random_weights(16, 16, 1, 2)
    words = ids_of(text)
    found, ends = soft_states(weights, words, torch.zeros(len(words), 16), torch.empty(0, 16), LAYERS, padding)
    side = TextSide(weights, Words(), padding)
    for layer, states in zip(LAYERS, found, strict=True):
        wanted, places = side.long_states(text, layer)
        assert torch.equal(states, wanted) and torch.equal(ends, places)


@pytest.mark.parametrize("padding", ["end", "zero"])
@pytest.mark.parametrize("added", [0, 4, 75])
@pytest.mark.parametrize("length", [0, 5, 71, 75, 76, 160])
def test_what_is_added_stands_where_its_words_would(added, length, padding):
    """Words' own embeddings, added: the states of the text that has those words."""
    weights = random_weights(16, 16, 1, 2)
    words, more = ids_of("ab" * 80)[:length], ids_of("star" * 19)[:added]
    room = 75 - added
    parts = [words[:room] + more, *(words[start : start + 75] for start in range(room, length, 75))]
    (found,), ends = soft_states(
        weights, words, torch.zeros(length, 16), weights.embedding[list(more)], (LAST,), padding
    )
    ids, places = padded_ids(weights, parts, padding)
    assert found.shape == (len(parts), 77, 16) and torch.equal(ends, places)
    assert torch.equal(found, hidden_states(weights, ids)[0])


def test_moved_words_are_moved_in_every_stretch():
    weights, words = random_weights(16, 16, 1, 2), ids_of("ab" * 60)
    moved = torch.zeros(len(words), 16)
    plain = soft_states(weights, words, moved, torch.empty(0, 16))[0][0]
    moved[100, :8] = 1
    found = soft_states(weights, words, moved, torch.empty(0, 16))[0][0]
    changed = (found - plain).abs().amax(dim=-1) > 1e-6
    assert not bool(changed[0].any()) and not bool(changed[1, : 1 + 25].any()) and bool(changed[1, 1 + 25])
