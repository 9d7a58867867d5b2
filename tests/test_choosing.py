"""Choice by rendering: who finds prompts, what renders them, who is nearest, and what is refused."""

from __future__ import annotations

import json
import random
import sys

import pytest
import torch
from PIL import Image
from unrender.cli import main
from unrender.core.engine import Engine
from unrender.core.errors import Cancelled, SettingsError
from unrender.core.micro.drawing import draw
from unrender.core.micro.world import random_scene
from unrender.core.progress import Progress
from unrender.core.results import Interrogation
from unrender.core.settings import Settings
from unrender.core.variation.checkpoint import Checkpoint
from unrender.core.variation.sampling import Sampling
from unrender.core.verify.asked import check_choice
from unrender.core.verify.choosing import WAYS, Candidate, choose_by_rendering, find_candidates
from unrender.core.verify.eyes import check_judge, load_judge, usual_judge

pytest.importorskip("diffusers", reason="rendering needs diffusers")

FAST = Sampling(steps=2, guidance=3.0)
MICRO = Settings(clip="micro", captioner="micro", device="cpu", search="peer", max_phrases=3, min_phrases=0)


class Judge:
    """Sees no picture: likens each rendering, in their order, as it is told."""

    name = "stand-in"

    def __init__(self, *likeness: float) -> None:
        self.likeness = likeness
        self.seen: list[Image.Image] = []

    def encode_images(self, images):
        self.seen = list(images)
        values = torch.tensor([1.0, *self.likeness])
        return torch.stack([values, (1 - values**2).sqrt()], dim=1)


@pytest.fixture(scope="module")
def picture():
    return draw(random_scene(random.Random(3), "validation"), 3).picture


@pytest.fixture(scope="module")
def checkpoint():
    return Checkpoint.load("micro", "cpu")


@pytest.fixture(scope="module")
def engine():
    with Engine(MICRO) as one:
        yield one


def candidate(prompt, way="peer"):
    return Candidate(way, Interrogation(prompt, 0.5, "best", "", (), "micro", 0.1))


def prompts(found):
    return [each.found.prompt for each in found]


# --- who finds prompts ---


def test_each_way_has_its_say_and_no_prompt_is_there_twice(engine, picture):
    found = find_candidates(engine, picture, 16)
    assert len(set(prompts(found))) == len(found) >= 3
    order = ["peer", *(way for way in WAYS if way != "peer")]  # the engine's own search first
    assert [each.way for each in found] == [way for way in order if way in {each.way for each in found}]
    assert prompts(found)[0] == engine.interrogate(picture).prompt
    caption = engine.interrogate(picture, "caption").prompt
    assert [each.way for each in found if each.found.prompt == caption] == ["caption"]


def test_as_many_as_asked_for_and_the_search_that_is_named_first(picture):
    with Engine(Settings(**{**vars(MICRO), "search": "beam"})) as engine:
        found = find_candidates(engine, picture, 2, "a red star")
        assert found[0].way == "beam" and len(found) == 2
        assert prompts(found)[0] == engine.interrogate(picture, "best", "a red star").prompt


def test_without_a_caption_none_is_asked_for(engine, picture):
    found = find_candidates(engine, picture, 16, "")
    assert "caption" not in {each.way for each in found} and not any(each.found.caption for each in found)


def test_further_captions_come_after_all_ways(picture):
    with Engine(Settings(**{**vars(MICRO), "rivals": ("micro-chat",)})) as engine:
        further = engine.interrogate(picture, "caption").contenders[1]
        found = find_candidates(engine, picture, 16)
    assert found[-1].way == "peer, caption 2" and found[-1].found.caption == further.text


def test_another_search_has_the_engines_models(engine, picture):
    engine.interrogate(picture, "fast")
    with engine.searching("beam") as other:
        assert other.interrogate(picture).caption and other.clip is engine.clip
        assert other.settings.search == "beam"
    assert engine.clip is not None, "who borrowed it frees nothing"


# --- who is nearest ---


def test_the_nearest_on_the_mean_is_chosen_and_all_are_told(engine, checkpoint, picture):
    judge = Judge(0.9, 0.1, 0.6, 0.6, 0.2, 0.3)
    three = [candidate("a red star"), candidate("a blue moon", "beam"), candidate("the sea", "caption")]
    found = choose_by_rendering(engine, checkpoint, judge, picture, three, FAST)
    assert [each.way for each in found.rendered] == ["beam", "peer", "caption"]
    assert [each.likeness for each in found.rendered] == pytest.approx([0.6, 0.5, 0.25])
    assert found.found is three[1].found and (found.judge, found.checkpoint) == ("stand-in", "micro")
    values = json.loads(json.dumps(found.to_dict()))
    assert values["prompt"] == "a blue moon" and values["judge"] == "stand-in" and values["checkpoint"] == "micro"
    assert [each["prompt"] for each in values["rendered"]] == ["a blue moon", "a red star", "the sea"]
    assert judge.seen[0].size == picture.size and len(judge.seen) == 7


def test_of_equals_the_earlier_one(engine, checkpoint, picture):
    two = [candidate("a red star"), candidate("a blue moon")]
    found = choose_by_rendering(engine, checkpoint, Judge(0.5, 0.5), picture, two, FAST, seeds=[0])
    assert found.found is two[0].found


def test_all_are_rendered_with_the_same_seeds(engine, checkpoint, picture):
    same = [candidate("a red star"), candidate("a red star")]
    found = choose_by_rendering(engine, checkpoint, Judge(*[0.5] * 4), picture, same, FAST, seeds=(4, 5), keep=True)
    first, second = (each.renderings for each in found.looked)
    assert [a.tobytes() for a in first] == [b.tobytes() for b in second]
    assert first[0].tobytes() != first[1].tobytes()


def test_it_stops_between_two_renderings(engine, checkpoint, picture, monkeypatch):
    class Impatient(Progress):
        done = 0

        def check(self):
            if sys._getframe(1).f_code.co_name == "advance":
                self.done += 1
            if self.done == 2:
                raise Cancelled

    progress, judge = Impatient(), Judge(0.1, 0.2, 0.3)
    monkeypatch.setattr(engine, "progress", progress)
    three = [candidate("a red star"), candidate("a blue moon"), candidate("the sea")]
    with pytest.raises(Cancelled):
        choose_by_rendering(engine, checkpoint, judge, picture, three, FAST, [0])
    assert progress.done == 2 and not judge.seen


@pytest.mark.parametrize(("found", "seeds"), [([], (0,)), ([candidate("a")], ())])
def test_nothing_to_render_is_refused(engine, checkpoint, picture, found, seeds):
    with pytest.raises(SettingsError):
        choose_by_rendering(engine, checkpoint, Judge(), picture, found, FAST, seeds)


@pytest.mark.parametrize("count", [-1, 0, 1, 17])
def test_one_prompt_is_no_choice(count):
    with pytest.raises(SettingsError, match="from 2 to 16"):
        check_choice(count)


# --- eyes ---


def test_micros_tagger_sees_pictures_as_unit_vectors(picture):
    eye = load_judge(usual_judge("micro"), MICRO)
    assert eye.name == "micro-tagger"
    other = draw(random_scene(random.Random(9), "validation"), 9).picture
    seen = eye.encode_images([picture, other, picture])
    assert torch.allclose(seen.norm(dim=1), torch.ones(3), atol=1e-5)
    assert float(seen[0] @ seen[2]) > float(seen[0] @ seen[1])


def test_a_clip_judges_too_but_not_its_own_search(picture):
    assert load_judge("micro", MICRO).encode_images([picture]).shape[0] == 1
    with pytest.raises(SettingsError, match="searched"):
        check_judge("micro", "micro")
    check_judge("micro", "ViT-L-14/openai")


# --- the command line ---


def test_the_command_line_chooses(picture, tmp_path, capsys, monkeypatch):
    picture.save(tmp_path / "one.png")
    line = ["interrogate", str(tmp_path / "one.png"), "--clip", "micro", "--device", "cpu", "--max-phrases", "3"]
    line += ["--judge-by-rendering", "3", "--checkpoint", "micro", "--steps", "2", "--cache", str(tmp_path / "cache")]
    assert main([*line, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["rendered"]) == 3 and found["prompt"] == found["rendered"][0]["prompt"]
    assert (found["judge"], found["checkpoint"]) == ("micro-tagger", "micro")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert main(line) == 0
    shown = capsys.readouterr().out
    assert "prompts rendered by micro" in shown and all(each["prompt"] in shown for each in found["rendered"])
