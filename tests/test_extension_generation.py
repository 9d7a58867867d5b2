"""Image as prompt without a webui: the arithmetic, what is asked, the text encoders, and how it fails."""

from __future__ import annotations

import base64
import copy
import io
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from unrender.core.embed.kinds import PROJECTIONS
from unrender.core.errors import Cancelled, EmbeddingError, ImageError, SettingsError
from unrender.extension.conditioning import Conditioning, Steering
from unrender.extension.generation import Asked, embedding_of, keys_of
from unrender.extension.sampling import GenerationError, failing, steer
from unrender.extension.ways import WAYS
from unrender.server.wording import sentence_for


def steering(way, strength=1.0, width=8, stretches=1, pooled=None, **values):
    generator = torch.Generator().manual_seed(1)
    picture = Conditioning(torch.randn(77 * stretches, width, generator=generator), pooled and torch.randn(pooled))
    empty = Conditioning(torch.randn(77, width, generator=generator), pooled and torch.randn(pooled))
    return Steering(picture, empty, way, strength, **values)


def attended(states):
    """What a query gets from attending to states, which is all a diffusion model does with them."""
    query = torch.linspace(-1, 1, states.shape[-1])
    return torch.softmax(states @ query, dim=-1) @ states


@pytest.mark.parametrize("stretches", [1, 2])
@pytest.mark.parametrize("rows", [1, 3])
def test_typed_words_are_replaced_blended_or_joined(rows, stretches):
    typed = torch.randn(rows, 154, 8)
    before = typed.clone()
    made = {way: steering(way, stretches=stretches) for way in WAYS}
    found = {way: each.steered(typed) for way, each in made.items()}
    for row in range(rows):
        picture = made["replace"].picture.states
        assert torch.allclose(attended(found["replace"][row]), attended(picture), atol=1e-5)
        assert torch.allclose(attended(found["blend"][row]), attended(picture), atol=1e-5)
        assert torch.equal(found["compose"][row, :154], typed[row])
        assert torch.equal(found["compose"][row, 154:], found["replace"][row])
    assert torch.equal(typed, before)
    assert torch.allclose(steering("blend", 0).steered(typed), typed)
    assert torch.equal(steering("replace", 0).steered(typed)[0], steering("replace").empty.states)
    half = steering("blend", 0.5).steered(typed[:, :77])
    assert torch.allclose(half, (typed[:, :77] + steering("blend").picture.states) / 2, atol=1e-6)


@pytest.mark.parametrize("way", WAYS)
def test_numbers_of_size_and_crop_stay(way):
    class Shaped(dict):
        """As the webui's own, which cannot be made without knowing its shape."""

        def __init__(self, values, shape):
            super().__init__(values)

    vector = torch.arange(2 * 12.0).reshape(2, 12)
    cond = Shaped({"crossattn": torch.randn(2, 77, 8).half(), "vector": vector}, None)
    made = steering(way, pooled=5)
    found = made.steered(cond)
    assert type(found) is Shaped and found["crossattn"].dtype == torch.float16
    assert torch.equal(cond["vector"], torch.arange(2 * 12.0).reshape(2, 12))
    assert torch.equal(found["vector"][:, 5:], vector[:, 5:])
    expected = (vector[:, :5] + made.picture.pooled) / 2 if way == "compose" else made.picture.pooled.expand(2, -1)
    assert torch.allclose(found["vector"][:, :5], expected)


def test_a_picture_holds_for_its_part_of_the_steps():
    made = steering("replace", start=0.25, end=0.5)
    assert [step for step in range(8) if made.holds(step / 8)] == [2, 3]
    assert steering("replace").holds(1.2)  # samplers of higher order count more steps than were announced


def model(name):
    return SimpleNamespace(sd_checkpoint_info=SimpleNamespace(filename=name))


def denoised(steering, cond, step=0, checkpoint="base"):
    p = SimpleNamespace(unrender_steering=steering, sd_model=model(checkpoint))
    denoiser = SimpleNamespace(p=p, step=step, total_steps=4)
    params = SimpleNamespace(denoiser=denoiser, text_cond=cond, sampling_step=0, total_sampling_steps=4)
    steer(params)
    return params.text_cond


def test_a_step_is_steered_only_while_the_picture_holds():
    cond = torch.zeros(1, 77, 8)
    made = steering("replace", end=0.5, checkpoint="base")
    assert torch.equal(denoised(made, cond)[0], made.picture.states)
    assert denoised(made, cond, step=2) is cond
    assert denoised(None, cond) is cond
    assert denoised(made, cond, checkpoint="a refiner of the same width") is cond


@pytest.mark.parametrize(
    ("error", "status"),
    [(ImageError("No picture."), 422), (RuntimeError("CUDA out of memory."), 503), (KeyError("x"), 500)],
)
def test_a_generation_fails_with_the_sentence(error, status):
    p = SimpleNamespace(setup_conds=lambda: None)
    with failing(p):
        raise error
    with pytest.raises(GenerationError) as told:
        p.setup_conds()
    assert told.value.status_code == status and told.value.detail == sentence_for(error)


def test_a_generation_that_is_stopped_says_nothing():
    p = SimpleNamespace(setup_conds=lambda: None)
    with failing(p):
        raise Cancelled("Stopped.")
    p.setup_conds()


def test_what_is_asked_of_a_generation(photographs):
    from unrender.core.embed import PromptEmbedding

    saved = PromptEmbedding("micro", torch.ones(77, 128)).to_bytes()
    png = io.BytesIO()
    photographs[0].resize((8, 8)).save(png, "PNG")
    text = base64.b64encode(png.getvalue()).decode()
    asked = Asked.of(photographs[0], [saved, png.getvalue()], "blend", 0.5)
    assert (len(asked.pictures), len(asked.embeddings)) == (2, 1)
    asked = Asked.of(f"data:image/png;base64,{text}", text)
    assert asked.pictures == [png.getvalue()] * 2
    assert not Asked.of() and not Asked.of("", []) and asked
    for wrong in (
        ("/etc/passwd",),
        (None, None, "swap"),
        (None, None, "blend", "much"),
        (None, None, "blend", 1, 1, 1),
    ):
        with pytest.raises((ImageError, SettingsError), match=r"\.$"):
            Asked.of(*wrong)


def test_arguments_of_another_kind_are_refused_and_not_repeated(photographs, tmp_path):
    """A request can hold anything JSON can, and pictures in the wrong places; no text is the name of a file."""
    photographs[0].resize((8, 8)).save(tmp_path / "of another person.png")
    usual = (None, None, "replace", 1, 0, 1, "none", "by quality", "", 0.6, "", None, "usual")
    odd = (
        5,
        True,
        ["x"],
        {"image": str(tmp_path / "of another person.png")},
        {"x": 1},
        10**400,
        "data:," + "A" * 9_000,
    )
    numbers, texts = [(3, True), (5, True), (9, True), (9, 5)], [(at, odd[-1]) for at in (6, 8, 10)]
    for at, value in [(at, value) for at in range(len(usual)) for value in odd]:
        if (at, value) in [*numbers, *texts]:
            continue
        with pytest.raises((ImageError, SettingsError), match=r"^.{20,200}\.$"):
            Asked.of(*usual[:at], value, *usual[at + 1 :])


@pytest.fixture(scope="module")
def webui():
    """The stand-in for a webui, which is imported in the place of a real one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent / "webui_standin"))
        from modules import scripts
        from unrender.extension import image_as_prompt

        yield SimpleNamespace(scripts=scripts, image_as_prompt=image_as_prompt)


def test_a_plot_varies_the_numbers_of_each_of_its_pictures(webui):
    def option(label, type, apply, confirm, choices=None):
        return SimpleNamespace(label=label, type=type, apply=apply, confirm=confirm, choices=choices)

    plot = SimpleNamespace(AxisOption=option, axis_options=[])
    webui.scripts.scripts_data[:] = [
        SimpleNamespace(path="scripts/loopback.py", module=SimpleNamespace()),
        SimpleNamespace(path="scripts/xyz_grid.py", module=plot),
    ]
    webui.image_as_prompt.add_axes()
    axes = {axis.label.removeprefix("Image as prompt "): axis for axis in plot.axis_options}
    assert {name: axis.type for name, axis in axes.items()} == {
        **dict.fromkeys(("strength", "start", "end", "alpha"), float),
        **dict.fromkeys(("quality", "projection"), str),
    }
    assert axes["projection"].choices() == ["by quality", *PROJECTIONS]
    assert axes["quality"].choices() == ["usual", "quick", "good", "best"]

    p = SimpleNamespace()
    axes["strength"].apply(p, 0.25, [0.25, 0.5])
    one = copy.copy(p)
    axes["start"].apply(one, 0.75, [0.75])
    axes["projection"].apply(one, "ridge", ["pinv", "ridge"])
    asked = webui.image_as_prompt._asked(one, (None, None, "blend", 1, 0.5, 1))
    assert (asked.way, asked.strength, asked.start, asked.end) == ("blend", 0.25, 0.75, 1)
    assert asked.projection == "ridge" and webui.image_as_prompt._asked(p, ()).projection == "by quality"
    section = (None, None, "blend", 1, 0, 1, "none", "bank", "", 0.6, "", None, "quick")
    axes["quality"].apply(p, "good", ["good", "best"])
    asked = webui.image_as_prompt._asked(p, section)
    assert (asked.quality, asked.projection) == ("good", "by quality"), "the section's projection hides what is varied"
    axes["projection"].apply(p, "ridge", ["ridge"])
    assert webui.image_as_prompt._asked(p, section).projection == "ridge"
    assert webui.image_as_prompt._asked(p, ()).start == 0
    with pytest.raises(SettingsError, match="end it later"):
        webui.image_as_prompt._asked(one, (None, None, "blend", 1, 0, 0.5))
    axes["end"].confirm(p, [0, 1])
    axes["alpha"].confirm(p, [0, 2, 10])
    for name, values in (("end", [0.5, 1.5]), ("alpha", [11]), ("projection", ["pinv", "x"]), ("quality", ["x"])):
        with pytest.raises(GenerationError, match=f"The picture's {name} is|no projection|no quality") as refused:
            axes[name].confirm(p, values)
        assert refused.value.status_code == 422


def test_a_saved_embedding_is_named(webui, tmp_path, monkeypatch):
    from modules import paths
    from unrender.core.embed import PromptEmbedding
    from unrender.core.embed.folder import FOLDER, save_as

    monkeypatch.setattr(paths, "models_path", str(tmp_path))
    assert webui.image_as_prompt._saved_embeddings() == []
    folder = tmp_path / "unrender" / FOLDER
    saved = save_as(PromptEmbedding("micro", torch.ones(77, 128)), folder, "animals/cat")
    save_as(PromptEmbedding("micro", torch.ones(77, 128)), tmp_path, "not in the folder")
    assert webui.image_as_prompt._saved_embeddings() == ["animals/cat.safetensors"]

    def asked(*values):
        return webui.image_as_prompt._asked(SimpleNamespace(), values)

    numbers = (1, 0, 1)
    found = asked(None, None, "blend", *numbers, "animals/cat.safetensors")
    assert found and list(found.embeddings) == [saved.read_bytes()] and not found.pictures
    assert found.infotext(keys_of(found))["Image as prompt embedding"] == "animals/cat.safetensors"
    with_a_file = asked(None, [saved.read_bytes()], "blend", *numbers, "animals/cat.safetensors")
    assert len(with_a_file.embeddings) == 2
    for nothing in (None, "", "none"):
        assert not asked(None, None, "blend", *numbers, nothing)
    for wrong in ("dog.safetensors", "../../not in the folder.safetensors", str(saved)):
        with pytest.raises(EmbeddingError, match="choose one of the list"):
            asked(None, None, "blend", *numbers, wrong)


def test_pictures_and_saved_embeddings_count_alike(photographs):
    from unrender.core.embed import PromptEmbedding
    from unrender.core.embed.families import MICRO_FAMILY

    saved = PromptEmbedding("micro", torch.full((77, 128), 4.0)).to_bytes()
    asked = Asked.of(photographs[0], [photographs[1], saved])
    made = embedding_of(asked, MICRO_FAMILY, lambda pictures: PromptEmbedding("micro", torch.ones(77, 128)))
    assert torch.allclose(made.states, torch.full((77, 128), 2.0))
    assert len(set(keys_of(asked))) == 3
    with pytest.raises(EmbeddingError, match="for Stable Diffusion 1, but"):
        other = PromptEmbedding("sd15", torch.ones(77, 768)).to_bytes()
        embedding_of(Asked.of(None, other), MICRO_FAMILY, lambda pictures: made)


def test_the_webuis_logins_hold_for_the_api_too(webui, tmp_path, monkeypatch):
    """In the words of AUTOMATIC1111's webui and of SD.Next."""
    pytest.importorskip("fastapi", reason="without it there is no API")
    from modules import shared
    from unrender.extension import webui_host
    from unrender.server.api_route import logins_in

    (tmp_path / "logins").write_text("ada:a b\nbob:c\n", encoding="utf-8")
    for options, expected in (
        ({"api_auth": "ada:secret,bob:x"}, {"ada": "secret", "bob": "x"}),
        ({"api_auth": None, "auth": "ada:secret"}, {"ada": "secret"}),
        ({"auth_file": str(tmp_path / "logins")}, {"ada": "a b", "bob": "c"}),
        ({}, {}),
    ):
        monkeypatch.setattr(shared, "cmd_opts", SimpleNamespace(**options))
        assert logins_in(webui_host.logins()) == expected


def test_the_section_is_shown_where_the_sampler_asks_for_a_generation_alone(webui, monkeypatch):
    from modules import script_callbacks

    section = webui.image_as_prompt.ImageAsPrompt()
    assert section.show(False) is webui.scripts.AlwaysVisible

    class SdNexts:
        def __init__(self, x, text_cond):
            self.x, self.text_cond = x, text_cond

    monkeypatch.setattr(script_callbacks, "CFGDenoiserParams", SdNexts)
    assert section.show(False) is False
