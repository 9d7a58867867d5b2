"""What a describer's language model would write next: the captioner's own words, and transformers' beam search, come
out of it where nothing else decides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny_captioners as tiny
import torch
from PIL import Image
from torch import Tensor
from unrender.core.clip import Clip
from unrender.core.describe import Captioner, Tagger
from unrender.core.describe.next_words import Chosen, NextWords
from unrender.core.errors import Cancelled, ModelError
from unrender.core.prompt.written import WritingRules, WrittenText, written_texts
from unrender.core.settings import CaptionSettings

pytest_plugins = ["captioner_fixtures"]

KINDS = [*tiny.ALL, "micro"]
MOST = 9
ASKED = ["", "a red circle"]
CONTINUING = ("blip", "git", "micro")


@pytest.fixture(scope="module")
def captioners(folders: dict[str, Path]) -> dict[str, Captioner]:
    names = {**{kind: str(folder) for kind, folder in folders.items()}, "micro": "micro"}
    return {kind: Captioner.load(name, "cpu", torch.float32) for kind, name in names.items()}


def words_of(captioner: Captioner, image: Image.Image, settings: CaptionSettings) -> NextWords:
    words = captioner.next_words(captioner.seen(image), settings)
    assert words is not None
    return words


def written(clip: Clip, words: NextWords, beams: int, most: int = MOST) -> tuple[WrittenText, ...]:
    """By the language model alone. Twice as many continuations of each text as there are texts hold the best ones."""
    rules = WritingRules(1, 0, 0, beams, continuations=2 * beams * beams, most=most)
    features = torch.zeros(48)
    return written_texts(clip, features, words, features[None][:0], lambda text: 0.0, rules)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("instruction", ASKED)
def test_one_text_by_the_model_alone_is_its_caption(
    clip: Clip, captioners: dict[str, Captioner], images: list[Image.Image], kind: str, instruction: str
) -> None:
    settings = CaptionSettings(instruction, max_length=MOST)
    if kind == "florence" and instruction:
        pytest.skip("takes tasks")
    captioner = captioners[kind]
    captions = captioner.caption(images, settings)
    ours = [written(clip, words_of(captioner, image, settings), 1) for image in images]
    for texts, caption in zip(ours, captions, strict=True):
        assert _same(texts[0] if texts else WrittenText(""), caption, kind)
    assert any(captions)
    if kind in CONTINUING:
        assert all(caption.startswith(instruction) for caption in captions)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("beams", [2, 5])
def test_several_texts_by_the_model_alone_are_the_beam_search_of_transformers(
    clip: Clip,
    captioners: dict[str, Captioner],
    images: list[Image.Image],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    beams: int,
) -> None:
    """By sums of logarithms, which it is told to divide by no length; it ranks what is cut off among what has ended."""
    captioner = captioners[kind]
    settings = CaptionSettings(max_length=40 if kind == "micro" else 12, beams=beams)
    by_transformers = _by_transformers(captioner)
    for module in by_transformers.modules():
        if getattr(module, "generation_config", None) is not None:
            monkeypatch.setattr(module.generation_config, "length_penalty", 0.0)
            monkeypatch.setattr(module.generation_config, "_from_model_config", False, raising=False)
    captions = captioner.caption(images, settings)
    for image, caption in zip(images, captions, strict=True):
        texts = written(clip, words_of(captioner, image, settings), beams, most=100)
        best = max(texts, key=lambda text: text.score, default=WrittenText(""))
        assert not caption or _same(best, caption, kind)  # no prompt is empty


def _same(written: WrittenText, caption: str, kind: str) -> bool:
    """A chat model's answer that is cut off loses its last sentence afterwards."""
    cut_off = kind == "llava" and not written.finished
    return written.text.startswith(caption) if cut_off else written.text == caption


def _by_transformers(captioner: Captioner) -> Any:
    """The module that a beam search is asked of."""
    if captioner.name != "micro":
        return captioner.module
    captioner.caption([Image.new("RGB", (64, 64))], CaptionSettings(beams=2))
    model: Any = captioner._model
    return model._library.module


@pytest.mark.parametrize("kind", KINDS)
def test_texts_go_on_from_the_rows_that_were_chosen(
    captioners: dict[str, Captioner], images: list[Image.Image], kind: str
) -> None:
    """Whatever order and number they are chosen in, each has the next words that it has by itself."""
    words = words_of(captioners[kind], images[0], CaptionSettings(max_length=MOST))
    plan = [[(0, 11), (0, 12), (0, 13)], [(2, 14), (0, 15), (0, 16), (1, 17)], [(3, 18), (1, 19)]]
    seen: list[Tensor] = []

    def choose(likely: Tensor) -> Chosen:
        seen.append(likely.clone())
        return plan[len(seen) - 1] if len(seen) <= len(plan) else ()

    words.write(choose, 4)
    assert [len(each) for each in seen] == [1, 3, 4, 2]
    for line, likely in zip([[12, 17, 18], [11, 15, 19]], seen[-1], strict=True):
        alone: list[Tensor] = []

        def follow(found: Tensor, alone: list[Tensor] = alone, line: list[int] = line) -> Chosen:
            alone.append(found[0].clone())
            return [(0, line[len(alone) - 1])] if len(alone) <= len(line) else ()

        words.write(follow, 1)
        assert torch.allclose(alone[-1].exp(), likely.exp(), atol=1e-5)
        assert alone[-1].exp().sum() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_what_stops_a_choice_comes_out_as_it_is(
    captioners: dict[str, Captioner], images: list[Image.Image], kind: str
) -> None:
    words = words_of(captioners[kind], images[0], CaptionSettings(max_length=MOST))
    for error in (Cancelled(), ValueError("of who chooses"), RuntimeError("out of memory")):

        def choose(likely: Tensor, error: Exception = error) -> Chosen:
            raise error

        with pytest.raises(type(error)) as raised:
            words.write(choose, 3)
        assert raised.value is error
    settings = CaptionSettings(max_length=MOST)
    assert captioners[kind].caption(images[:1], settings), "asked as ever afterwards"


@pytest.mark.parametrize("kind", ["git", "blip"])
def test_no_numbers_are_refused(clip: Clip, folders: dict[str, Path], images: list[Image.Image], kind: str) -> None:
    captioner = Captioner.load(str(folders[kind]), "cpu", torch.float32)
    for parameter in captioner.module.parameters():
        parameter.data.fill_(torch.nan)
    with pytest.raises(ModelError, match="no numbers"):
        written(clip, words_of(captioner, images[0], CaptionSettings(max_length=3)), 2)


def test_what_has_no_language_model_says_so() -> None:
    tagger = Tagger.load("micro-tagger", "cpu")
    assert tagger.next_words(tagger.seen(Image.new("RGB", (64, 64)))) is None
