"""Image as prompt's qualities with real models, through all that a webui's generation calls, without a webui."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from unrender.core.clip.weights import map_tensors
from unrender.core.embed.blend import Blend
from unrender.core.embed.recommended import recommend
from unrender.core.embed.text_side import TextSide
from unrender.core.engine import Engine
from unrender.core.settings import Settings
from unrender.extension.sampling import steer
from unrender.server.choices import UNLOAD
from unrender.server.models import Models

WIDTH = 128


class Generation:
    """Of a checkpoint whose text encoder is micro's."""

    width = height = 64
    is_hr_pass = False

    def __init__(self):
        embedders = [SimpleNamespace(wrapped=None)]
        info = SimpleNamespace(filename="micro.safetensors")
        conditioner = SimpleNamespace(embedders=embedders)
        self.sd_model = SimpleNamespace(is_micro=True, sd_checkpoint_info=info, conditioner=conditioner)
        self.extra_network_data, self.extra_generation_params, self.comments = {}, {}, []

    def comment(self, text):
        self.comments.append(text)

    def setup_conds(self):
        pass

    def drawn(self):
        """The states of a step."""
        params = SimpleNamespace(denoiser=SimpleNamespace(p=self, step=0, total_steps=4), total_sampling_steps=4)
        params.sampling_step, params.text_cond = 0, torch.zeros(1, 77, WIDTH)
        steer(params)
        return params.text_cond[0]


@pytest.fixture(scope="module")
def engine():
    with Engine(Settings(clip="micro", captioner="micro", device="cpu")) as engine:
        yield engine


@pytest.fixture(scope="module")
def side(engine):
    engine.picture_features([torch.zeros(8, 8, 3)])
    return TextSide.of(engine.clip)


@pytest.fixture
def webui(monkeypatch, tmp_path, side):
    """The script on models of its own, in a webui whose checkpoint has micro's text encoder."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "webui_standin"))
    from modules import paths, shared
    from unrender.extension import embeddings, image_as_prompt, text_encoders, webui_host

    monkeypatch.setattr(paths, "models_path", str(tmp_path))
    monkeypatch.setattr(shared.opts, "unrender_captioner", "micro", raising=False)
    monkeypatch.setattr(shared, "state", shared.State())
    monkeypatch.setattr(webui_host, "encoded", lambda *_: torch.zeros(1, 77, WIDTH))
    monkeypatch.setattr(text_encoders, "text_sides", lambda *_: {"micro": side})
    script, models = image_as_prompt.ImageAsPrompt(), Models()
    script.embeddings = embeddings.Embeddings(models)
    return SimpleNamespace(script=script, models=models, shared=shared, folder=tmp_path / "unrender")


def drawn(webui, picture, quality="usual", text="", anchor=""):
    p = Generation()
    values = (picture, None, "replace", 1, 0, 1, "none", None, text, 0.6, anchor, None, quality)
    webui.script.process(p, *values)
    webui.script.process_batch(p, *values)
    p.setup_conds()
    return p


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_best_is_the_engines_in_whichever_mode_a_webui_draws(webui, engine, side, photographs, monkeypatch, mode):
    """Forge loads and draws in inference mode."""
    from unrender.extension import text_encoders

    expected = engine.embed(photographs[0], "micro").states
    with mode():
        loaded = replace(side, weights=map_tensors(side.weights, torch.clone))
        monkeypatch.setattr(text_encoders, "text_sides", lambda *_: {"micro": loaded})
        p = drawn(webui, photographs[0])
        again = drawn(webui, photographs[0], "best").drawn()
    assert (p.drawn() - expected).abs().max() < 1e-3 and torch.equal(p.drawn(), again)
    assert not p.comments and {each.device for each in webui.models.loaded} == {"cpu"}
    assert {each.kind for each in webui.models.loaded} == {"clip", "captioner"}


@pytest.mark.parametrize(("quality", "words"), [("quick", {}), ("good", {}), ("good", {"text": "a red circle"})])
def test_other_qualities_are_the_engines_too_and_need_no_captioner(webui, engine, photographs, quality, words):
    expected = engine.embed(photographs[0], "micro", blend=Blend(**words), quality=quality).states
    assert (drawn(webui, photographs[0], quality, **words).drawn() - expected).abs().max() < 1e-3
    assert [each.kind for each in webui.models.loaded] == ["clip"]


def test_an_anchor_spares_the_search_and_models_are_let_go_of(webui, engine, photographs, monkeypatch):
    monkeypatch.setattr(webui.shared.opts, "unrender_keeping", UNLOAD, raising=False)
    expected = engine.embed(photographs[0], "micro", blend=Blend(anchor="a red circle")).states
    assert (drawn(webui, photographs[0], anchor="a red circle").drawn() - expected).abs().max() < 1e-3
    assert webui.models.loaded == []


def test_usual_is_what_verify_found_for_the_text_encoders(webui, side, photographs):
    best = drawn(webui, photographs[0]).drawn()
    recommend(webui.folder / "embed", side.fingerprint, "quick")
    quick = drawn(webui, photographs[0]).drawn()
    assert torch.equal(quick, drawn(webui, photographs[0], "quick").drawn()) and not torch.equal(quick, best)


def test_interrupt_ends_the_soft_prompts_steps(webui, photographs, monkeypatch):
    steps: list[int] = []

    class Interrupted(torch.optim.Adam):
        def step(self, closure=None):
            steps.append(1)
            webui.shared.state.interrupted = len(steps) == 3
            return super().step(closure)

    monkeypatch.setattr(torch.optim, "Adam", Interrupted)
    p = drawn(webui, photographs[0], "good")
    assert len(steps) == 3 and p.unrender_steering is None and webui.shared.state.textinfo is None
    webui.shared.state.interrupted = False
    assert drawn(webui, photographs[0], "good").unrender_steering is not None, "what was stopped is kept as if whole"
