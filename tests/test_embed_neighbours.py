"""Embeddings from a bank of prompts, and anchored to a prompt, on the micro model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from embed_settings import FEW
from unrender.core.embed.blend import Blend
from unrender.core.embed.gap import shipped_gap
from unrender.core.embed.text_side import TextSide
from unrender.core.engine import Engine
from unrender.core.errors import ModelError, SettingsError
from unrender.core.micro import PHRASES_FOLDER
from unrender.core.phrases.composed import composed_prompts
from unrender.core.phrases.vocabulary import load_vocabulary

pytest_plugins = ["embed_fixtures"]
pytestmark = pytest.mark.usefixtures("quick_norms")


class TestBank:
    def test_is_the_weighted_mean_of_the_nearest_prompts_states(self, engine, photographs, tmp_path):
        """Written out over all prompts, in float64, with the whole bank's states in memory."""
        engine.embed(photographs[0], "micro", "bank", fit=FEW)
        clip, prompts = engine.clip, composed_prompts(load_vocabulary(None, PHRASES_FOLDER), FEW.prompts)
        x, y = clip.encode_texts(prompts).double(), TextSide.of(clip).states(prompts)[0][0].double()
        gap = shipped_gap("micro")
        picture = clip.encode_images(photographs[:1])[0].double() - gap.centre.double()
        away = x - x.mean(0)
        cosines = torch.nn.functional.cosine_similarity(away, picture[None])
        nearest = sorted(range(len(prompts)), key=lambda row: -float(cosines[row]))[:64]
        weights = torch.softmax(cosines[nearest] / 0.1, dim=0)
        expected = (weights[:, None, None] * y[nearest]).sum(0)
        found = engine.embed(photographs[0], "micro", "bank", Blend(temperature=0.1), fit=FEW)
        assert (found.states - expected).abs().max() < 5e-3
        assert found.projection == "bank" and found.gap_corrected

    def test_reads_no_more_than_the_neighbours(self, engine, photographs, monkeypatch):
        import safetensors

        engine.embed(photographs[0], "micro", "bank", fit=FEW)
        read, real = [], safetensors.safe_open

        class Watched:
            def __init__(self, *arguments, **names):
                self._file = real(*arguments, **names)

            def __enter__(self):
                self._file.__enter__()
                return self

            def __exit__(self, *error):
                self._file.__exit__(*error)

            def metadata(self):
                return self._file.metadata()

            def get_tensor(self, name):
                return self._file.get_tensor(name)

            def get_slice(self, name):
                whole = self._file.get_slice(name)
                return type("Rows", (), {"__getitem__": lambda _, rows: read.append(rows) or whole[rows]})()

        monkeypatch.setattr(safetensors, "safe_open", Watched)
        engine.embed(photographs[1], "micro", "bank", fit=FEW)
        assert len(read) == 64 and all(rows.stop - rows.start == 1 for rows in read)

    def test_a_cold_bank_gives_the_nearest_prompts_states(self, engine, photographs):
        prompts = composed_prompts(load_vocabulary(None, PHRASES_FOLDER), FEW.prompts)
        found = engine.embed(photographs[0], "micro", "bank", Blend(temperature=1e-5), fit=FEW).states
        states = TextSide.of(engine.clip).states(prompts)[0][0]
        assert float((states - found).abs().amax(dim=(1, 2)).min()) < 1e-2

    def test_a_damaged_file_is_made_anew(self, engine, photographs):
        made = engine.embed(photographs[0], "micro", "bank", fit=FEW)
        for path in Path(engine.settings.cache, "embed").glob("bank-*"):
            path.write_bytes(path.read_bytes()[:1000])
        engine.unload()
        assert torch.equal(engine.embed(photographs[0], "micro", "bank", fit=FEW).states, made.states)

    def test_a_folder_that_cannot_be_written(self, engine, photographs, tmp_path):
        (tmp_path / "embed").write_text("")
        refused = pytest.raises(ModelError, match=r"bank of 200 prompts takes 4 MB and cannot be kept")
        with Engine(replace(engine.settings, cache=tmp_path)) as other, refused:
            other.embed(photographs[0], "micro", "bank", fit=FEW)


class TestAnchored:
    def test_is_the_prompt_and_what_the_map_sees_beyond_it(self, engine, photographs):
        anchor, edit = "a red star", "a blue star"
        h = {text: engine.embed_text(text, "micro").states for text in (anchor, edit)}
        seen = engine.embed(photographs[0], "micro", "ridge", fit=FEW).states
        map_of_texts = engine._models.embedder("micro", FEW, None, None)._maps["micro"]
        said = map_of_texts.states(engine.clip.encode_texts([anchor])[0])
        plain = engine.embed(photographs[0], "micro", "anchored", Blend(anchor=anchor, correction=1), fit=FEW)
        assert torch.allclose(plain.states, h[anchor] + seen - said, atol=1e-4) and plain.gap_corrected
        half = Blend(anchor=anchor, text=edit, correction=0.5)
        found = engine.embed(photographs[0], "micro", "anchored", half, fit=FEW).states
        assert torch.allclose(found, h[edit] + 0.5 * (seen - said), atol=1e-4)
        none = Blend(anchor=anchor, correction=0)
        assert torch.allclose(engine.embed(photographs[0], "micro", "anchored", none, fit=FEW).states, h[anchor])

    def test_anchored_swaps_a_categorys_phrase(self, engine, photographs):
        anchor, text = "an oil painting of a red star", "a mosaic of a red star"
        swap = Blend(anchor=anchor, swaps={"mediums": "a mosaic"})
        found = engine.embed(photographs[0], "micro", "anchored", swap, fit=FEW)
        wanted = engine.embed(photographs[0], "micro", "anchored", Blend(anchor=anchor, text=text), fit=FEW)
        assert torch.equal(found.states, wanted.states)
        with pytest.raises(SettingsError, match=r"choose one of .*mediums"):
            engine.embed(photographs[0], "micro", "anchored", Blend(anchor=anchor, swaps={"none": "x"}), fit=FEW)
        with pytest.raises(SettingsError, match="only the projections soft and anchored"):
            engine.embed(photographs[0], "micro", "pinv", swap)

    def test_without_an_anchor_the_picture_is_interrogated(self, engine, photographs):
        prompts = [engine.interrogate(photo, "best").prompt for photo in photographs[:2]]
        both = engine.embed(photographs[:2], "micro", "anchored", fit=FEW).states
        each = [
            engine.embed(photo, "micro", "anchored", Blend(anchor=prompt), fit=FEW).states
            for photo, prompt in zip(photographs[:2], prompts, strict=True)
        ]
        assert torch.allclose(both, (each[0] + each[1]) / 2, atol=1e-5)

    def test_a_long_edit(self, engine, photographs):
        found = engine.embed(photographs[0], "micro", "anchored", Blend(anchor="", text="a red star, " * 40), fit=FEW)
        assert len(found.states) > 77 and len(found.states) % 77 == 0
