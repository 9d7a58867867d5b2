"""`--for` on micro, from the command line to the words: a drawing's tags in a family's order."""

from __future__ import annotations

import random

import pytest
from unrender.cli import main
from unrender.core.describe.style_grammar import accepts
from unrender.core.micro.drawing import draw
from unrender.core.micro.world import random_scene
from unrender.core.targets import TARGETS

RATINGS = ("general", "sensitive", "questionable", "explicit")


@pytest.fixture(scope="module")
def drawing(tmp_path_factory):
    path = tmp_path_factory.mktemp("drawn") / "drawing.png"
    draw(random_scene(random.Random(1), "test"), 1).picture.save(path)
    return str(path)


def words(capsys, *arguments):
    assert main(["interrogate", *arguments]) == 0
    out, error = capsys.readouterr()
    return out.rstrip("\n").split(", "), error


@pytest.mark.parametrize("name", [name for name, target in TARGETS.items() if target.form == "tags"])
def test_a_drawing_s_tags_are_a_prompt_for_the_family(name, drawing, capsys):
    target = TARGETS[name]
    told, error = words(capsys, drawing, "--for", name, "--clip", "micro", "--rating")
    assert f"Chose micro-tagger for {name}: it is a toy that comes along." in error
    quality = [word for word in told if word in target.quality]
    assert tuple(quality) == target.quality == tuple(told[: len(quality)])
    assert told[len(quality)] in {target.ratings[rating] for rating in RATINGS}
    rest = told[len(quality) + 1 :]
    assert len(rest) > 2 and not any("_" in word for word in rest)
    counted = [word.endswith(" shapes") or word in ("solo", "2shapes", "3shapes") for word in rest]
    assert counted == sorted(counted, reverse=True), "what counts comes first"


def test_a_tagger_that_is_named_as_the_captioner_tags_without_a_clip(drawing, capsys):
    told, error = words(capsys, drawing, "--for", "pony", "--captioner", "micro-tagger")
    assert told[0] == "score_9" and "Chose" not in error


def test_a_search_goes_on_from_the_tags_with_style_words_alone(drawing, capsys):
    micro = ("--clip", "micro", "--device", "cpu")
    tags, _ = words(capsys, drawing, "--for", "anima", *micro)
    told, _ = words(capsys, drawing, "--for", "anima", "--mode", "best", *micro)
    assert told[: len(tags)] == tags


@pytest.mark.parametrize("name", ["qwen-image", "flux"])
def test_a_chat_model_answers_in_the_family_s_style(name, drawing, capsys):
    pytest.importorskip("transformers", minversion="4.46", reason="the micro chat model needs transformers 4.46")
    assert main(["interrogate", drawing, "--for", name, "--clip", "micro"]) == 0
    out, error = capsys.readouterr()
    assert f"Chose micro-chat for {name}: it is a toy that comes along." in error
    assert accepts(TARGETS[name].style, out.rstrip("\n")), out
