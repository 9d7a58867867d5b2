"""Which family a graph's CLIP belongs to, by its encoders and the layer they stop at."""

from __future__ import annotations

from dataclasses import replace

from comfyui_nodes import use_standin
from unrender.core.clip.layers import SECOND_TO_LAST
from unrender.core.embed.families import FAMILIES, SD1, SD1_CLIP_SKIP


def test_a_new_family_takes_no_clip_from_one_that_has_the_same_encoders(monkeypatch):
    use_standin()
    from unrender.nodes import text_encoders

    other = replace(SD1, name="other", model="other", encoders=(replace(SD1.encoders[0], layer=SECOND_TO_LAST),))
    monkeypatch.setattr(text_encoders, "FAMILIES", {**FAMILIES, "other": other})
    assert text_encoders._by_encoders()["clip_l",] == {None: SD1, -1: SD1, -2: SD1_CLIP_SKIP}
