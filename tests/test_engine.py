"""The engine as the doors use it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from unrender.core.embed.seen import Seen
from unrender.core.engine import Engine, Settings
from unrender.core.errors import ImageError, ModelError, PhraseError, SettingsError
from unrender.core.settings import CaptionSettings


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    folder = tmp_path_factory.mktemp("words")
    lists = {
        "artists": ["Ada", "Bo"],
        "flavors": [f"{light} {thing}" for light in ("soft", "neon", "dim") for thing in ("fog", "rain", "sky", "sea")],
        "mediums": ["a photo", "an etching"],
        "movements": ["cubism"],
        "sites": ["flickr"],
        "negative": ["lowres", "blurry"],
    }
    for name, phrases in lists.items():
        (folder / f"{name}.txt").write_text("\n".join(phrases))
    return folder


@pytest.fixture
def engine(clip, words):
    return Engine(Settings(phrases=words, captioner=None), clip=clip)


@pytest.mark.parametrize("mode", ["best", "fast", "classic", "negative", "caption"])
def test_every_mode_answers(engine, photographs, mode):
    found = engine.interrogate(photographs[0], mode, caption="a woman in orange")
    assert found.mode == mode and found.prompt and -1 <= found.similarity <= 1
    assert found.caption == ("" if mode == "negative" else "a woman in orange") or mode == "negative"
    similarity = engine.clip.encode_texts([found.prompt])[0] @ engine.clip.encode_images([photographs[0]])[0]
    assert found.similarity == pytest.approx(float(similarity), abs=1e-5)
    assert json.loads(json.dumps(found.to_dict()))["prompt"] == found.prompt


def test_a_caption_alone_builds_no_tables(clip, photographs, monkeypatch):
    from unrender.core.phrases.table import PhraseTable

    monkeypatch.setattr(PhraseTable, "load", lambda *_: pytest.fail("tables were built"))
    found = Engine(Settings(captioner=None), clip=clip).interrogate(photographs[0], "caption", "a cat")
    assert found.prompt == "a cat"


def test_all_kinds_of_pictures_are_the_same_picture(engine, photographs, tmp_path):
    path = tmp_path / "photo.png"
    photographs[0].save(path)
    array = np.asarray(photographs[0])
    sources = [path, str(path), path.read_bytes(), photographs[0], array, torch.from_numpy(array.copy()) / 255]
    prompts = {engine.interrogate(source, "fast", caption="x").prompt for source in sources}
    assert len(prompts) == 1


def test_words_around_a_prompt(engine, clip, words, photographs):
    plain = engine.interrogate(photographs[0], "fast", caption="a woman")
    framing = Engine(Settings(phrases=words, captioner=None, trigger="ohwx", suffix="8k"), clip=clip)
    found = framing.interrogate(photographs[0], "fast", caption="a woman")
    assert found.prompt == f"ohwx, {plain.prompt}, 8k"
    expected = clip.encode_texts([found.prompt])[0] @ clip.encode_images([photographs[0]])[0]
    assert found.similarity == pytest.approx(float(expected), abs=1e-5)
    assert "ohwx" not in framing.interrogate(photographs[0], "negative").prompt


def test_the_fit_of_a_wide_picture_matters(clip, words, photographs):
    wide = photographs[1].resize((640, 160))
    features = {}
    for fit in ("crop", "pad", "squash"):
        found = Engine(Settings(phrases=words, captioner=None, fit=fit), clip=clip).interrogate(
            wide, "caption", "a cup"
        )
        features[fit] = found.similarity
    assert len(set(features.values())) == 3


def test_bad_input_gets_one_typed_sentence(engine, clip, photographs, tmp_path):
    with pytest.raises(ImageError, match="absent"):
        engine.interrogate(tmp_path / "absent.png")
    with pytest.raises(SettingsError, match="no mode"):
        engine.interrogate(photographs[0], "worst")
    with pytest.raises(PhraseError):
        Engine(Settings(phrases=tmp_path, captioner=None), clip=clip).interrogate(photographs[0])
    with pytest.raises(ModelError, match="ViT-L-14/openai"):
        Engine(Settings(clip="ViT-L-14/opnai")).interrogate(photographs[0])
    with pytest.raises(SettingsError, match="caption mode"):
        engine.interrogate(photographs[0], "caption")


@pytest.mark.parametrize(
    "values, named",
    [
        ({"search": "magic"}, "search"),
        ({"precision": "float8"}, "precision"),
        ({"fit": "stretch"}, "fit"),
        ({"min_phrases": 9, "max_phrases": 3}, "max_phrases"),
        ({"token_limit": 1}, "token_limit"),
        ({"pool": 0}, "pool"),
        ({"limits": {"artists": -1}}, "artists"),
    ],
)
def test_senseless_settings_are_refused_when_made(values, named):
    with pytest.raises(SettingsError, match=named):
        Settings(**values)
    with pytest.raises(SettingsError, match="beams"):
        CaptionSettings(beams=0)


def test_an_unknown_category_in_the_limits_is_named(clip, words, photographs):
    with pytest.raises(PhraseError, match=r"artits.*artists"):
        Engine(Settings(phrases=words, captioner=None, limits={"artits": 0}), clip=clip).interrogate(photographs[0])


def test_unload_frees_the_model_and_the_next_call_loads_it_again(transformers_folder, words, photographs):
    with Engine(Settings(clip=str(transformers_folder), phrases=words, captioner=None, device="cpu")) as engine:
        first = engine.interrogate(photographs[0], "fast", caption="x")
        loaded = engine.clip
        engine.unload()
        assert engine.clip is None and loaded is not None
        assert engine.interrogate(photographs[0], "fast", caption="x").prompt == first.prompt


def test_threads_wait_for_each_other(engine, photographs):
    expected = [engine.interrogate(photo, "best", caption="x").prompt for photo in photographs[:3]]
    found: dict[int, str] = {}

    def work(index):
        found[index] = engine.interrogate(photographs[index], "best", caption="x").prompt

    threads = [threading.Thread(target=work, args=(index,)) for index in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[index] for index in range(3)] == expected


_PROMPTS = """
import sys
from conftest import random_open_clip
import open_clip
from unrender.core.clip import Clip
from unrender.core.embed.seen import Seen
from unrender.core.engine import Engine, Settings
clip = Clip.from_open_clip(
    random_open_clip(width=32, heads=1),
    open_clip.image_transform(64, is_train=False),
    open_clip.get_tokenizer("ViT-B-32"),
)
engine = Engine(Settings(captioner=None, cache=sys.argv[2], phrases=sys.argv[3]), clip=clip)
for mode in ("best", "fast", "classic", "negative"):
    print(mode, engine.interrogate(sys.argv[1], mode, caption="a woman").prompt)
"""


def test_the_same_prompt_in_every_process(photographs, words, tmp_path):
    photographs[0].save(tmp_path / "photo.png")
    outputs = set()
    for seed in ("0", "1"):
        run = subprocess.run(
            [sys.executable, "-c", _PROMPTS, str(tmp_path / "photo.png"), str(tmp_path / "cache"), str(words)],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parent,
            env={"PYTHONHASHSEED": seed, "PATH": "", "UNRENDER_CACHE": str(tmp_path), "OMP_NUM_THREADS": "1"},
        )
        outputs.add(run.stdout)
    assert len(outputs) == 1 and outputs.pop().count("\n") == 4


def test_the_worth_of_a_finished_prompts_parts(engine, clip, photographs):
    prompt = "a woman, neon fog, an etching"
    worth = engine.worth(photographs[0], prompt)
    features = clip.encode_images([photographs[0]])[0]

    def similarity(text):
        return float(clip.encode_texts([text])[0] @ features)

    assert [part.text for part in worth] == ["a woman", "neon fog", "an etching"]
    expected = similarity(prompt) - similarity("a woman, an etching")
    assert worth[1].gain == pytest.approx(expected, abs=1e-5)
    with pytest.raises(SettingsError, match="no prompt"):
        engine.worth(photographs[0], " , ")


def test_the_similarity_of_any_prompt(engine, clip, photographs):
    """Of a picture, and the same of what was seen of it before."""
    found = engine.interrogate(photographs[0], "fast", caption="a woman")
    seen = Seen.of(engine.picture_features([photographs[0]]))
    for picture in (photographs[0], seen):
        whole, other = engine.similarity(picture, [found.prompt, "neon fog"])
        assert whole == pytest.approx(found.similarity, abs=1e-5)
        assert other == pytest.approx(float(clip.encode_texts(["neon fog"])[0] @ seen.features[0]), abs=1e-5)
    for nothing in ([], "a woman"):
        with pytest.raises(SettingsError, match="list of prompts"):
            engine.similarity(photographs[0], nothing)
