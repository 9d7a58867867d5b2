"""The chain and the modes on a model whose answers are known beforehand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from unrender.core.errors import Cancelled, SettingsError
from unrender.core.phrases.table import PhraseTable
from unrender.core.phrases.vocabulary import Category, Vocabulary
from unrender.core.progress import SILENT, Progress
from unrender.core.prompt.framing import framed
from unrender.core.prompt.interrogate import Interrogator, Subject
from unrender.core.prompt.search import EMPTY, Candidate, ChainRules, Scorer, greedy_chain
from unrender.core.settings import Settings

FLAVORS = ("red", "blue", "fog", "neon", "85mm", "bokeh", "grain", "rain", "snow", "dust")


def vocabulary(**categories):
    return Vocabulary("test", {name: Category(name, tuple(phrases)) for name, phrases in categories.items()})


@pytest.fixture
def interrogate(clip, tmp_path):
    """Runs a mode with a vocabulary towards a text: the picture is the text's own embedding."""

    def run(mode, target, words, caption="", **values):
        table = PhraseTable.load(clip, words.positive(), tmp_path, SILENT)
        interrogator = Interrogator(clip, words, lambda: table, Settings(**values), SILENT)
        return interrogator.run(mode, Subject(clip.encode_texts([target])[0], caption))

    return run


def test_the_chain_finds_its_target(interrogate):
    trail = interrogate("best", "a cat, neon", vocabulary(flavors=FLAVORS), "a cat", min_phrases=0)
    assert trail.prompt == "a cat, neon"
    assert trail.similarity == pytest.approx(1, abs=1e-5)


def test_gains_sum_to_the_similarity(interrogate):
    words = vocabulary(flavors=FLAVORS, artists=("by Bo",), mediums=("a photo",), movements=("cubism",))
    for mode in ("best", "classic", "fast", "caption"):
        trail = interrogate(mode, "a cat, red, neon", words, "a cat, sleeping")
        assert sum(phrase.gain for phrase in trail.phrases) == pytest.approx(trail.similarity, abs=1e-5)
        assert ", ".join(phrase.text for phrase in trail.phrases) == trail.prompt
        assert trail.phrases[0].category == "caption"


@pytest.mark.parametrize("mode", ["best", "classic", "fast"])
def test_limits_and_exclusions_hold(interrogate, mode):
    words = vocabulary(
        artists=("by Ada", "inspired by Ada", "by Bo"), flavors=FLAVORS, mediums=("a photo", "an etching")
    )
    target = "a cat, red, neon, by Ada, an etching"
    trail = interrogate(
        mode, target, words, "a cat", limits={"artists": 0, "flavors": 2}, exclude=("RED ", "an etching")
    )
    used = [phrase.text for phrase in trail.phrases]
    assert not any("Ada" in text or "Bo" in text for text in used)
    assert "red" not in used and "an etching" not in used
    assert sum(phrase.category == "flavors" for phrase in trail.phrases) <= 2


def test_excluding_an_artist_needs_no_by(interrogate):
    words = vocabulary(artists=("by Ada", "inspired by Ada", "by Bo"))
    assert interrogate("fast", "by Ada", words, exclude=("ada",)).prompt == "by Bo"


def test_singular_and_plural_of_a_limits_name_are_the_same(interrogate):
    words = vocabulary(sites=("on my site",), flavors=("red",))
    assert interrogate("fast", "x", words, limits={"trending": 0}).prompt == "red"


def test_classic_has_the_peers_order(interrogate):
    words = vocabulary(
        artists=("by Ada",),
        flavors=FLAVORS,
        mediums=("a photo",),
        movements=("cubism",),
        sites=("flickr",),
        lenses=("50mm",),
    )
    prompt = interrogate("classic", "a cat", words, "a cat").prompt
    head = "a cat, a photo by Ada, flickr, cubism, 50mm, "
    assert prompt.startswith(head)
    assert len(prompt.removeprefix(head).split(", ")) == 3
    assert interrogate("classic", "x", words, "a photo of a cat").prompt.startswith("a photo of a cat by Ada, flickr")


def test_top_n_of_a_webui_folder_decides_how_many(interrogate):
    words = Vocabulary("webui", {"flavors": Category("flavors", FLAVORS, per_prompt=2)})
    assert len(interrogate("classic", "x", words).phrases) == 2


def test_a_caption_is_needed_in_caption_mode_only(interrogate):
    words = vocabulary(flavors=FLAVORS)
    with pytest.raises(SettingsError, match="captioner"):
        interrogate("caption", "x", words)
    for mode in ("best", "fast", "classic"):
        prompt = interrogate(mode, "neon, fog", words).prompt
        assert prompt and not prompt.startswith(",")


def test_words_around_the_prompt_take_their_tokens(clip, interrogate):
    settings = {"prefix": "masterpiece,", "suffix": "8k", "trigger": "ohwx", "token_limit": 20}
    trail = interrogate("fast", "fog", vocabulary(flavors=FLAVORS), "a cat", **settings)
    prompt = framed(trail.prompt, Settings(**settings))
    assert prompt.startswith("ohwx, masterpiece, a cat, ") and prompt.endswith(", 8k")
    assert clip.text.length(prompt) <= 20
    with pytest.raises(SettingsError, match="leave no room"):
        interrogate("fast", "fog", vocabulary(flavors=FLAVORS), prefix=" ".join(["word"] * 80))


def test_words_around_the_prompt_take_no_more_than_their_tokens(clip, tmp_path):
    chosen, words = Settings(prefix="masterpiece,", suffix="8k", token_limit=20), vocabulary(flavors=FLAVORS)
    table = PhraseTable.load(clip, words.positive(), tmp_path, SILENT)
    around = clip.text.length(framed("a cat", chosen)) - clip.text.length("a cat")
    assert Interrogator(clip, words, lambda: table, chosen, SILENT).token_limit() == 20 - around


@pytest.mark.parametrize("limit", [10, 15, 40])
@pytest.mark.parametrize("mode", ["best", "fast", "classic"])
def test_a_smaller_budget_is_never_exceeded(clip, interrogate, mode, limit):
    words = vocabulary(flavors=[f"{a} {b}" for a in FLAVORS for b in FLAVORS], mediums=("a photo",))
    assert clip.text.length(interrogate(mode, "red fog", words, "a cat", token_limit=limit).prompt) <= limit


def test_stopping_between_rounds(clip, tmp_path):
    class Stop(Progress):
        rounds = 0

        def check(self):
            self.rounds += 1
            if self.rounds == 3:
                raise Cancelled("stop")

    words = vocabulary(flavors=FLAVORS)
    table = PhraseTable.load(clip, words.positive(), tmp_path, SILENT)
    stop = Stop()
    with pytest.raises(Cancelled):
        Interrogator(clip, words, lambda: table, Settings(), stop).run("best", Subject(table.embeddings[0], ""))
    assert stop.rounds == 3


def brute_force(clip, features, phrases, start, least, most):
    """The chain as the peer describes it: every candidate's whole text encoded anew, no shared beginning."""
    prompt, left = start, list(phrases)

    def score(text):
        return float(clip.encode_texts([text])[0] @ features)

    current = best = score(prompt)
    best_prompt = prompt
    for taken in range(most):
        if not left:
            break
        scores = [score(f"{prompt}, {phrase}") for phrase in left]
        winner = int(np.argmax(scores))
        longer = f"{prompt}, {left[winner]}"
        if clip.text.length(longer) > 77:  # where the peer would let the model cut it
            break
        if scores[winner] > best:
            best, best_prompt = scores[winner], longer
        if scores[winner] <= current and taken >= least:
            break
        prompt, current = longer, scores[winner]
        if clip.text.length(prompt) >= 77:
            break
        del left[winner]
    return best_prompt


@settings(max_examples=15, deadline=None)
@given(
    phrases=st.lists(
        st.one_of(st.sampled_from([*FLAVORS, "", "naïve", "猫", "a b c", "R&B", "x" * 40]), st.text(max_size=12)),
        min_size=1,
        max_size=8,
    ),
    start=st.sampled_from(["a cat", "word " * 60, "naïve art!", "word " * 74]),
    seed=st.integers(0, 5),
)
def test_the_chain_equals_encoding_everything_anew(clip, phrases, start, seed):
    torch.manual_seed(seed)
    features = torch.nn.functional.normalize(torch.randn(48), dim=0)
    scorer = Scorer(clip, features)
    trail = scorer.trail([Candidate(start.strip(), "caption")])
    found = greedy_chain(
        scorer, [Candidate(phrase, "flavors") for phrase in phrases], trail, ChainRules(2, 6, 77, {}), SILENT
    )
    expected = brute_force(clip, features, phrases, start.strip(), 2, 6)
    if found.prompt != expected:
        # equal scores, as of two texts that are the same once cut to 77 tokens
        both = clip.encode_texts([found.prompt, expected]) @ features
        assert abs(float(both[0] - both[1])) < 1e-6


def test_nothing_to_say_gives_an_empty_prompt(clip):
    scorer = Scorer(clip, clip.encode_texts(["x"])[0])
    assert greedy_chain(scorer, [], EMPTY, ChainRules(1, 3, 77, {}), SILENT) == EMPTY


@pytest.mark.parametrize("mode", ["best", "fast", "classic"])
def test_phrases_behind_a_sentence_take_its_full_stop_and_what_stays_alone_keeps_it(interrogate, mode):
    words = vocabulary(flavors=FLAVORS)
    trail = interrogate(mode, "A cat sleeps, neon", words, "A cat sleeps.", min_phrases=1)
    assert trail.prompt.startswith("A cat sleeps, ") and trail.phrases[0].text == "A cat sleeps"
    alone = interrogate(mode, "A cat sleeps", words, "A cat sleeps.", min_phrases=0, limits={"flavors": 0})
    assert alone.prompt == "A cat sleeps."
