"""Hidden states at every position against open_clip's and transformers' own."""

from __future__ import annotations

import pytest
import torch
from conftest import random_open_clip
from unrender.core.clip import weights as tower_weights
from unrender.core.clip.hidden_states import hidden_states, padded_ids
from unrender.core.clip.layers import LAST, SECOND_TO_LAST, SECOND_TO_LAST_NORMED, Layer

SOT, EOT = 49406, 49407
TEXTS = ["", "a", "an oil painting of a harbour at dawn, by Monet", "word " * 100]
LAYERS = (LAST, SECOND_TO_LAST, SECOND_TO_LAST_NORMED, Layer(2, False))


@pytest.fixture(scope="module")
def transformers_model(transformers_folder):
    from transformers import CLIPModel, CLIPTokenizer

    folder = str(transformers_folder)
    return CLIPModel.from_pretrained(folder).eval(), CLIPTokenizer.from_pretrained(folder)


def test_equal_to_transformers_at_every_layer(transformers_model):
    model, tokenizer = transformers_model
    weights = tower_weights.from_transformers(model, SOT, EOT)
    batch = tokenizer(TEXTS, padding="max_length", truncation=True, max_length=77, return_tensors="pt").input_ids
    with torch.no_grad():
        out = model.text_model(input_ids=batch, output_hidden_states=True)
        norm = model.text_model.final_layer_norm
        expected = (
            out.last_hidden_state,
            out.hidden_states[-2],
            norm(out.hidden_states[-2]),
            out.hidden_states[0],
        )
    found = hidden_states(weights, batch, LAYERS)
    for states, wanted in zip(found, expected, strict=True):
        assert states.shape == (len(TEXTS), 77, 64)
        assert (states - wanted).abs().max() < 1e-5


@pytest.mark.parametrize("quick_gelu", [False, True])
def test_equal_to_open_clip_at_every_layer(quick_gelu, open_clip_tokenizer):
    model = random_open_clip(width=64, heads=4, layers=3, quick_gelu=quick_gelu)
    weights = tower_weights.from_open_clip(model, SOT, EOT)
    ids = open_clip_tokenizer(TEXTS)
    outputs = [None] * 3

    def keep(index):
        def hook(_module, _inputs, output):
            outputs[index] = output

        return hook

    hooks = [block.register_forward_hook(keep(i)) for i, block in enumerate(model.transformer.resblocks)]
    final = []
    hooks.append(model.ln_final.register_forward_hook(lambda _m, _i, output: final.append(output)))
    with torch.no_grad():
        pooled = model.encode_text(ids)
        second = _batch_first(outputs[1])
        expected = (_batch_first(final[0]), second, model.ln_final(second), _batch_first(outputs[0]))
    for hook in hooks:
        hook.remove()
    found = hidden_states(weights, ids, (*LAYERS[:3], Layer(2, False)))
    for states, wanted in zip(found, expected, strict=True):
        assert (states - wanted).abs().max() < 1e-5
    ends = ids.argmax(dim=-1)
    assert (found[0][range(len(TEXTS)), ends] @ weights.projection.T - pooled).abs().max() < 1e-5


def _batch_first(states):
    """open_clip 2's blocks work position first."""
    return states.transpose(0, 1) if states.shape[0] == 77 else states


def test_the_embedding_layer_counts_as_a_layer(transformers_model):
    model, tokenizer = transformers_model
    weights = tower_weights.from_transformers(model, SOT, EOT)
    batch = tokenizer(["a cat"], padding="max_length", max_length=77, return_tensors="pt").input_ids
    (states,) = hidden_states(weights, batch, [Layer(2, False)])
    assert (states - model.text_model.embeddings(batch)).abs().max() < 1e-6


def test_half_precision_is_only_how_weights_are_stored(transformers_model):
    model, tokenizer = transformers_model
    stored = tower_weights.from_transformers(model, SOT, EOT).to("cpu", torch.float16)
    batch = tokenizer(["a cat"], padding="max_length", max_length=77, return_tensors="pt").input_ids
    found = hidden_states(stored, batch, LAYERS)
    for states, wanted in zip(found, hidden_states(stored.to("cpu", torch.float32), batch, LAYERS), strict=True):
        assert states.dtype == torch.float32 and torch.equal(states, wanted)


def test_ids_are_padded_as_the_tokenizers_do(transformers_model, open_clip_tokenizer):
    model, tokenizer = transformers_model
    weights = tower_weights.from_transformers(model, SOT, EOT)
    bare = [tokenizer(text, add_special_tokens=False, verbose=False).input_ids for text in TEXTS]
    ids, ends = padded_ids(weights, bare, "end")
    whole = tokenizer(TEXTS, padding="max_length", truncation=True, max_length=77, return_tensors="pt").input_ids
    assert torch.equal(ids, whole)
    assert torch.equal(padded_ids(weights, bare, "zero")[0], open_clip_tokenizer(TEXTS))
    assert ends.tolist() == [1, 2, len(bare[2]) + 1, 76]


def test_a_text_ends_at_its_own_end_token(transformers_model):
    weights = tower_weights.from_transformers(transformers_model[0], SOT, EOT)
    ids, ends = padded_ids(weights, [(5, EOT, 6)], "zero")
    assert ids[0, :4].tolist() == [SOT, 5, EOT, 0]
    assert ends.tolist() == [2]
