"""Guided decoding: the best text by its own sum, the same every time, within its limits, and interruptible."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from unrender.core.clip import Clip
from unrender.core.describe import Captioner
from unrender.core.describe.next_words import Chooser, NextWords
from unrender.core.errors import Cancelled, ModelError
from unrender.core.evidence.likelihoods import Answer
from unrender.core.micro.captions import read
from unrender.core.micro.pictures import render
from unrender.core.phrases.families import Claims, Concept, Family
from unrender.core.progress import Progress
from unrender.core.prompt.written import WritingRules, WrittenText, truth_by, written_texts

WORDS = ("", "red", "blue", "cat", "at night", "in fog")
END = 0


class Speaker(NextWords):
    """Speaks by a table: what is likely to follow depends on the last word and on how many there are."""

    ends = frozenset({END})

    def __init__(self, seed: int = 0, room: int = 8) -> None:
        drawn = torch.randn(12, len(WORDS) + 1, len(WORDS), generator=torch.Generator().manual_seed(seed))
        self.table, self.room, self.calls = drawn.log_softmax(-1), room, 0

    def likely(self, tokens: Sequence[int]) -> Tensor:
        return self.table[len(tokens), tokens[-1] if tokens else -1]

    def text(self, tokens: Sequence[int]) -> str:
        return " ".join(WORDS[token] for token in tokens)

    def write(self, choose: Chooser, most: int) -> None:
        lines: list[tuple[int, ...]] = [()]
        for _ in range(self.room):
            self.calls += 1
            chosen = choose(torch.stack([self.likely(line) for line in lines]))
            assert len(chosen) <= most and END not in [token for _, token in chosen]
            if not chosen:
                return
            lines = [(*lines[row], token) for row, token in chosen]


def picture(seed: int) -> Tensor:
    return torch.nn.functional.normalize(torch.randn(48, generator=torch.Generator().manual_seed(seed)), dim=0)


def contrasts(clip: Clip) -> Tensor:
    return clip.encode_texts(["a dog", "two houses by the sea", "green"])


def dislikes_blue(text: str) -> float:
    return -2.0 * ("blue" in text)


WIDE = WritingRules(language=0.7, likeness=1.3, truth=0.9, beams=200, continuations=200 * 6, most=3)


@pytest.mark.parametrize("seed", range(2))
def test_a_beam_that_drops_nothing_finds_the_best_of_all_texts(clip: Clip, seed: int) -> None:
    speaker, features, others = Speaker(seed), picture(seed), contrasts(clip)
    found = written_texts(clip, features, speaker, others, dislikes_blue, WIDE)
    every = [line for n in range(1, 3) for line in itertools.product(range(1, len(WORDS)), repeat=n)]
    encoded = clip.encode_texts([speaker.text(line) for line in every])
    logits = clip.logit_scale * torch.cat(
        [(encoded @ features)[:, None], (others @ features).expand(len(every), -1)], 1
    )
    likeness = logits.log_softmax(1)[:, 0].tolist()
    wanted: dict[str, float] = {}
    for line, like in zip(every, likeness, strict=True):
        language = sum(float(speaker.likely(line[:n])[token]) for n, token in enumerate((*line, END)))
        wanted[speaker.text(line)] = 0.7 * language + 1.3 * like + 0.9 * dislikes_blue(speaker.text(line))
    best = sorted(wanted, key=lambda text: -wanted[text])
    finished = [text for text in found if text.finished]
    assert [text.text for text in finished[:30]] == best
    assert [text.score for text in finished[:30]] == pytest.approx([wanted[text] for text in best[:30]], abs=1e-4)
    assert found[0].similarity == pytest.approx(float(clip.encode_texts([found[0].text])[0] @ features), abs=1e-5)


def test_the_same_every_time_and_no_text_twice(clip: Clip) -> None:
    rules = WritingRules(beams=5, continuations=20, most=8)

    def once() -> tuple[WrittenText, ...]:
        return written_texts(clip, picture(3), Speaker(3), contrasts(clip), dislikes_blue, rules)

    first = once()
    written_texts(clip, picture(4), Speaker(4), contrasts(clip), dislikes_blue, rules)
    assert once() == first
    assert len({text.text for text in first}) == len(first)
    order = [(not text.finished, -text.score) for text in first]
    assert order == sorted(order)


def test_each_witness_counts_by_its_weight(clip: Clip) -> None:
    def best(**weights: float) -> WrittenText:
        rules = replace(WIDE, **{"language": 0.01, "likeness": 0.01, "truth": 0.0, **weights})
        return written_texts(clip, picture(1), Speaker(1), contrasts(clip), dislikes_blue, rules)[0]

    assert best(language=1.0).language > best(likeness=50.0).language
    assert best(likeness=50.0).likeness > best(language=1.0).likeness
    for seed in range(2):
        rules = replace(WIDE, truth=50.0)
        found = written_texts(clip, picture(seed), Speaker(seed), contrasts(clip), dislikes_blue, rules)
        assert "blue" not in found[0].text and found[0].truth == 0


def test_texts_stay_within_their_limits(clip: Clip) -> None:
    limit = clip.text.length("red blue")
    rules = replace(WIDE, token_limit=limit)
    found = written_texts(clip, picture(0), Speaker(), contrasts(clip), dislikes_blue, rules)
    assert found and all(clip.text.length(text.text) <= limit for text in found)
    long = written_texts(clip, picture(0), Speaker(), contrasts(clip), dislikes_blue, replace(WIDE, least=3))
    assert all(len(text.text.replace("at night", "x").replace("in fog", "x").split()) >= 3 for text in long)
    likely = written_texts(
        clip, picture(0), Speaker(), contrasts(clip), dislikes_blue, replace(WIDE, likeness=50.0, unlikely=-1e-9)
    )
    assert len(likely) == 1, "the likeliest words alone"


def test_what_is_cut_off_comes_last_and_is_better_than_nothing(clip: Clip) -> None:
    silent = Speaker()
    silent.table[:, :, END] = -torch.inf
    found = written_texts(clip, picture(0), silent, contrasts(clip), dislikes_blue, replace(WIDE, beams=3))
    assert found and not any(text.finished for text in found)
    cut = written_texts(clip, picture(0), Speaker(room=2), contrasts(clip), dislikes_blue, replace(WIDE, beams=3))
    assert [text.finished for text in cut] == sorted([text.finished for text in cut], reverse=True)
    assert not cut[-1].finished


def test_stops_within_a_step(clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    """At any time between the language model and the CLIP, without asking either again."""

    class Stopping(Progress):
        def __init__(self, after: int) -> None:
            self.left = after

        def check(self) -> None:
            self.left -= 1
            if self.left < 0:
                raise Cancelled()

    encoded: list[int] = []
    encode = clip.encode_texts
    monkeypatch.setattr(clip, "encode_texts", lambda texts: encoded.append(len(texts)) or encode(texts))
    others, counts = contrasts(clip), []
    for after in range(4):
        speaker = Speaker()
        encoded.clear()
        with pytest.raises(Cancelled):
            written_texts(clip, picture(0), speaker, others, dislikes_blue, WIDE, Stopping(after))
        counts.append((speaker.calls, len(encoded)))
    assert counts == [(1, 0), (1, 1), (2, 1), (2, 2)]


def test_no_numbers_are_refused(clip: Clip) -> None:
    speaker = Speaker()
    speaker.table[1] = torch.nan
    with pytest.raises(ModelError, match="no numbers"):
        written_texts(clip, picture(0), speaker, contrasts(clip), dislikes_blue, WIDE)


def family(name: str, excludes: bool, always: bool, *words: str) -> Family:
    return Family(name, "", excludes, always, tuple(Concept(word, (word,)) for word in words))


def test_what_a_text_states_is_held_against_the_likeliest() -> None:
    colour, time = (
        family("colour", True, True, "red", "blue", "green", "grey"),
        family("time", True, False, "dawn", "noon"),
    )
    things = family("things", False, False, "cat", "dog")
    shares = {"colour": [0.7, 0.1, 0.1, 0.1], "time": [0.2, 0.1], "things": [0.9, 0.2]}
    answers = {
        each.name: Answer(each, np.array(shares[each.name]), np.zeros(len(each.concepts)))
        for each in (colour, time, things)
    }
    truth = truth_by(Claims([colour, time, things]), answers, silence=0.5)
    silent = 0.5 * math.log(0.7 * 4)
    expected = {
        "red": 0.0,
        "a house": -silent,
        "blue": math.log(0.1 / 0.7),
        "blue and green, red": math.log(0.1 / 0.7),
        "red at dawn": math.log(0.2 / 0.7),  # where none of them is likelier
        "red cat": 0.0,
        "red dog": math.log(0.2 / 0.8),
        "blue dog at noon": math.log(0.1 / 0.7) + math.log(0.2 / 0.8) + math.log(0.1 / 0.7),
    }
    assert {text: truth(text) for text in expected} == pytest.approx(expected)
    assert truth_by(Claims([]), {})("red") == 0


def test_micro_writes_what_is_true() -> None:
    """The captioner's own caption, where its words are corrected by what the families tell of the scene."""
    from PIL import Image
    from unrender.core.micro import FAMILIES_FOLDER
    from unrender.core.phrases.families import read_families

    captioner, clip = Captioner.load("micro", "cpu"), Clip.load("micro", "cpu")
    pictures = render("validation", 5)
    images = [Image.fromarray(pixels.permute(1, 2, 0).numpy()) for pixels in pictures.pixels]
    features = clip.encode_images(images)
    families = read_families(FAMILIES_FOLDER)
    wrong = [0, 0]
    for image, seen, scene, caption in zip(images, features, pictures.scenes, captioner.caption(images), strict=True):
        names = {each.name: [concept.name for concept in each.concepts] for each in families}
        shares = {name: np.array([0.9 if one == scene.value(name) else 0.01 for one in names[name]]) for name in names}
        answers = {each.name: Answer(each, shares[each.name], shares[each.name]) for each in families}
        words = captioner.next_words(captioner.seen(image))
        assert words is not None
        texts = written_texts(clip, seen, words, seen[None][:0], truth_by(Claims(families), answers), WritingRules())
        for place, text in enumerate((caption, texts[0].text)):
            wrong[place] += sum(scene.value(factor) != value for factor, value in read(text).items())
        assert texts[0].finished and len(read(texts[0].text)) >= 5
    assert wrong[1] == 0 < wrong[0]
