"""The states of a text whose soft part is empty, against transformers' own encoders, fed as the hosts feed them."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from soft_setting import untouched
from test_embed_families import TEXTS, side, text_model, tokenizers  # noqa: F401
from unrender.core.embed.families import CLIP_G, CLIP_H, CLIP_L, SD1, SD1_CLIP_SKIP, SD2, SDXL
from unrender.core.embed.soft.softener import Softener

START, END = 49406, 49407


class Host(NamedTuple):
    """model: as the host has it. layer: of its hidden states. normed: whether the final norm comes after."""

    model: torch.nn.Module
    layer: int
    normed: bool
    filler: int

    def run(self, tokens):
        rows = [tokens[start : start + 75] for start in range(0, len(tokens), 75)] or [()]
        ids = torch.tensor([[START, *row, END, *[self.filler] * (75 - len(row))] for row in rows])
        with torch.no_grad():
            out = self.model(input_ids=ids, output_hidden_states=True)
            states = out.last_hidden_state if self.layer == -1 else out.hidden_states[self.layer]
            if self.normed and self.layer != -1:
                states = getattr(self.model, "text_model", self.model).final_layer_norm(states)
        return states.flatten(0, 1), out


def shortened(whole):
    """As Stable Diffusion 2's checkpoints hold it: without the last block, which nothing uses."""
    shorter = text_model(1024, 16, 2, "gelu")
    shorter.load_state_dict({name: t for name, t in whole.state_dict().items() if name in shorter.state_dict()})
    return shorter


@pytest.fixture(scope="module")
def families(tokenizers):  # noqa: F811
    """By name: the family, its encoders, and what a host makes of them."""
    first, second = tokenizers
    small, middle = text_model(768, 12), text_model(1024, 16, 3, "gelu")
    large = text_model(1280, 20, 2, "gelu", projected=True)
    clip_l, clip_g = side(small, first), side(large, second).padded("zero")
    of_sdxl = {CLIP_L: Host(small, -2, False, END), CLIP_G: Host(large, -2, False, 0)}
    return {
        "sd15": (SD1, {CLIP_L: clip_l}, {CLIP_L: Host(small, -1, True, END)}),
        "sd15-skip2": (SD1_CLIP_SKIP, {CLIP_L: clip_l}, {CLIP_L: Host(small, -2, True, END)}),
        "sd2": (SD2, {CLIP_H: side(middle, second)}, {CLIP_H: Host(shortened(middle), -1, True, 0)}),
        "sdxl": (SDXL, {CLIP_L: clip_l, CLIP_G: clip_g}, of_sdxl),
    }


@pytest.mark.parametrize("prompt", TEXTS)
@pytest.mark.parametrize("name", ["sd15", "sd15-skip2", "sd2", "sdxl"])
def test_an_empty_soft_part_leaves_what_the_host_makes(families, name, prompt):
    family, sides, hosts = families[name]
    tokens = {encoder: each.tokenizer.encode(prompt) for encoder, each in sides.items()}
    soft = {encoder: untouched(tokens[encoder], each.width) for encoder, each in sides.items()}
    states, ends = Softener(family, sides, lambda _: pytest.fail("nothing is looked for")).states(prompt, soft)
    for encoder, host in hosts.items():
        wanted, out = host.run(tokens[encoder])
        assert states[encoder].shape == wanted.shape == (154 if prompt == TEXTS[2] else 77, sides[encoder].width)
        assert (states[encoder] - wanted).abs().max() < 1e-5
        if name == "sdxl" and encoder == CLIP_G:
            pooled = ends[encoder] @ sides[encoder].weights.projection.T
            assert (pooled - out.text_embeds[0]).abs().max() < 1e-5
        place = min(len(tokens[encoder]), 75) + 1
        assert name.startswith("sd2") or (ends[encoder] - out.last_hidden_state[0, place]).abs().max() < 1e-5
