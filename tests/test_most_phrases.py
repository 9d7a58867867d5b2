"""The most phrases of a prompt are obeyed in every mode that adds any, by every door."""

from __future__ import annotations

import base64
import io
import json

import pytest
from comfyui_graphs import INTERROGATE
from nodes_setting import as_batch, micro_setup, models_fixture, server_fixture  # noqa: F401
from unrender import Engine, Settings
from unrender.core.phrases.table import PhraseTable
from unrender.core.phrases.vocabulary import Category, Vocabulary
from unrender.core.progress import SILENT
from unrender.core.prompt.interrogate import CAPTION, Interrogator, Subject
from unrender.core.settings import MODES as ALL_MODES
from unrender.core.settings import SEARCHES, UNSEARCHED

MODES = tuple(mode for mode in ALL_MODES if mode not in UNSEARCHED)
LISTS = {
    "artists": ("by Ada", "by Bo"),
    "flavors": ("red", "blue", "fog", "neon", "85mm", "bokeh", "grain", "rain", "snow", "dust"),
    "mediums": ("a photo", "an etching"),
    "movements": ("cubism", "op art"),
    "sites": ("flickr",),
    "negative": ("lowres", "text"),
    "lenses": ("a wide lens",),
}


def added(result) -> int:
    return sum(phrase.category != CAPTION for phrase in result.phrases)


@pytest.mark.parametrize("most", [1, 2, 4, 7])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("search", ["peer", "beam"])
def test_a_mode_adds_no_more_phrases_than_asked(clip, tmp_path, mode, most, search):
    words = Vocabulary("test", {name: Category(name, phrases) for name, phrases in LISTS.items()})
    table = PhraseTable.load(clip, words.positive(), tmp_path, SILENT)
    settings = Settings(min_phrases=0, max_phrases=most, search=search)
    interrogator = Interrogator(clip, words, lambda: table, settings, SILENT)
    target = clip.encode_texts(["a cat, red, neon, by Ada, an etching, rain, snow, dust, fog, bokeh, grain, flickr"])[0]
    for caption in ("", "a cat", "an etching of a cat"):
        trail = interrogator.run(mode, Subject(target, caption))
        assert 0 < added(trail) <= most or (caption and added(trail) == 0)
        if caption.startswith("an etching") and mode == "classic":  # the artist stands in the caption
            assert added(trail) <= most - 1 and trail.phrases[0].text.startswith("an etching of a cat by ")


@pytest.mark.parametrize("mode", MODES)
def test_honest_and_written_searches_and_all_modes_obey_on_micro(photographs, mode, tmp_path):
    picture = photographs[0].resize((96, 96))
    for search in SEARCHES if mode == "best" else ("peer",):
        settings = Settings("micro", "micro", search=search, cache=tmp_path, min_phrases=0, max_phrases=1)
        with Engine(settings) as engine:
            assert added(engine.interrogate(picture, mode)) <= 1, search


def test_what_is_not_asked_for_is_as_ever(photographs, tmp_path):
    """Fast: the 32 that suit best, as many as there is room for; classic: three flavors beside the others."""
    picture = photographs[0].resize((96, 96))
    with Engine(Settings("micro", "micro", search="peer", cache=tmp_path)) as engine:
        fast, classic = engine.interrogate(picture, "fast"), engine.interrogate(picture, "classic")
    assert added(fast) > 8
    assert sum(phrase.category == "flavors" for phrase in classic.phrases) == 3


@pytest.mark.parametrize("mode", MODES)
def test_every_door_obeys(models, server, photographs, mode, tmp_path, capsys):
    picture = photographs[0].resize((96, 96))
    picture.save(tmp_path / "picture.png")
    assert by_node(picture, mode) <= 1
    assert by_command_line(tmp_path, mode, capsys) <= 1
    assert by_page_and_api(picture, mode) <= 1


def by_node(picture, mode) -> int:
    from unrender.nodes.interrogate import Interrogate

    inputs = {name: [value] for name, value in {**INTERROGATE, "mode": mode, "max_phrases": 1}.items()}
    out = Interrogate.execute(image=[as_batch([picture])], interrogator=[micro_setup()], **inputs)
    return sum(phrase["category"] != CAPTION for phrase in json.loads(out.args[4][0])["phrases"])


def by_command_line(folder, mode, capsys) -> int:
    from unrender.cli import main

    asked = ["--clip", "micro", "--mode", mode, "--max-phrases", "1", "--json", "--cache", str(folder / "cache")]
    assert not main(["interrogate", str(folder / "picture.png"), *asked])
    return sum(phrase["category"] != CAPTION for phrase in json.loads(capsys.readouterr().out)["phrases"])


def by_page_and_api(picture, mode) -> int:
    """Both ask with a `Request`."""
    from unrender.server.choices import Request

    file = io.BytesIO()
    picture.save(file, "PNG")
    request = Request(base64.b64encode(file.getvalue()), mode, "micro", "micro", most=1)
    with Engine(request.settings(Settings())) as engine:
        return added(engine.interrogate(picture, mode))
