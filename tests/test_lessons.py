"""`unrender embed --learn`: a folder's pictures and their prompts teach ridge what to make of a picture."""

from __future__ import annotations

import pytest
import torch
from PIL import Image
from unrender.cli import main
from unrender.core.engine import Engine
from unrender.core.errors import Cancelled, SettingsError
from unrender.core.index import lessons
from unrender.core.index.lessons import learn_from_folder
from unrender.core.micro.pictures import render
from unrender.core.settings import Settings

COUNT = 42


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own") / "photographs"
    folder.mkdir()
    for number, pixels in enumerate(render("validation", COUNT).pixels):
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(folder / f"{number:02}.png")
    return folder


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return Settings(clip="micro", captioner="micro", device="cpu", cache=tmp_path_factory.mktemp("cache"))


def ridge(settings, picture):
    with Engine(settings) as engine:
        return engine.embed(picture, "micro", "ridge")


def test_ridge_takes_what_was_learned_and_a_stopped_run_goes_on(photographs, settings, monkeypatch):
    before = ridge(settings, photographs / "00.png")
    asked: list[int] = []
    found = Engine.interrogate_each

    def counted(engine, pictures, *others, **more):
        asked.append(len(pictures))
        if len(asked) == 2:
            raise Cancelled
        return found(engine, pictures, *others, **more)

    monkeypatch.setattr(Engine, "interrogate_each", counted)
    with Engine(settings) as engine:
        with pytest.raises(Cancelled):
            learn_from_folder(photographs, engine, "micro")
        assert torch.equal(ridge(settings, photographs / "00.png").states, before.states)
        assert learn_from_folder(photographs, engine, "micro") == COUNT
    assert asked == [32, COUNT - 32, COUNT - 32]
    after = ridge(settings, photographs / "00.png")
    assert not torch.allclose(after.states, before.states, atol=0.05)
    assert after.gap_corrected
    with Engine(settings) as engine:
        prompt = engine.embed_text(engine.interrogate(photographs / "00.png").prompt, "micro")
    assert torch.dist(after.states, prompt.states) < torch.dist(before.states, prompt.states)


def test_the_command_learns_and_says_so(photographs, settings, capsys, monkeypatch):
    monkeypatch.setenv("UNRENDER_CACHE", str(settings.cache))
    monkeypatch.setattr(Engine, "learn_maps", lambda *_: None)
    assert main(["embed", "--learn", str(photographs), "--for", "micro", "--device", "cpu"]) == 0
    assert f"Learned from {COUNT} pictures" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--learn", "absent", "--for", "micro"), "There is no folder absent"),
        (("--learn", "."), "give --for"),
        (("--learn", ".", "--for", "micro"), "0 pictures to learn from; give 40"),
        (("--learn", ".", "a.png", "--for", "micro"), "leave pictures, --list and -o out"),
        (("--for", "micro"), "There is no picture"),
    ],
)
def test_what_cannot_be_learned_from_is_refused_before_a_model_is_loaded(words, said, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Engine, "picture_features", None)
    assert main(["embed", *words]) != 0
    assert said in capsys.readouterr().err


def test_pictures_that_are_gone_teach_nothing(photographs, settings, tmp_path):
    for number, path in enumerate(sorted(photographs.glob("*.png"))):
        (tmp_path / path.name).write_bytes(path.read_bytes() if number < 39 else b"none")
    with Engine(settings) as engine, pytest.raises(SettingsError, match="39 pictures to learn from"):
        learn_from_folder(tmp_path, engine, "micro")


def test_damaged_prompts_are_found_again(tmp_path):
    path = tmp_path / "prompts.json"
    path.write_text('{"a": 1}')
    assert lessons._Prompts(path).found == {}
    lessons._Prompts(path).add({"a": "a boat"})
    assert lessons._Prompts(path).found == {"a": "a boat"}
