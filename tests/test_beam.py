"""The beam search: deterministic, within its limits, and worth its name."""

from __future__ import annotations

import itertools

import pytest
import torch
from unrender.core.phrases import load_vocabulary
from unrender.core.phrases.table import PhraseTable
from unrender.core.phrases.vocabulary import Category, Vocabulary
from unrender.core.progress import SILENT
from unrender.core.prompt.beam import BeamRules, Guides, _refined, beam_search
from unrender.core.prompt.interrogate import Interrogator, Subject
from unrender.core.prompt.search import Candidate, ChainRules, Scorer, greedy_chain
from unrender.core.settings import Settings


def picture(seed):
    torch.manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(48), dim=0)


@pytest.fixture(scope="module")
def words():
    return [Candidate(text, "flavors") for text in load_vocabulary().phrases("flavors")[::6]]


START = Candidate("a cat", "caption")


def test_a_beam_over_everything_is_a_whole_search(clip):
    """Wide enough to drop nothing, it must find the best of all prompts of up to two of six phrases."""
    words = [Candidate(text, "flavors") for text in ("red", "fog", "neon", "rain", "dust", "85mm")]
    for seed in range(5):
        scorer = Scorer(clip, picture(seed))
        rules = ChainRules(0, 2, 77, {})
        found = beam_search(scorer, words, scorer.trail([START]), rules, BeamRules(100, 100, 1), SILENT)
        texts = [word.text for word in words]
        prompts = ["a cat", *(", ".join(["a cat", *some]) for n in (1, 2) for some in itertools.permutations(texts, n))]
        assert found.similarity == pytest.approx(scorer.similarities(prompts).max(), abs=1e-5)
        assert sum(phrase.gain for phrase in found.phrases) == pytest.approx(found.similarity, abs=1e-5)


def test_better_than_greedy_and_the_same_every_time(clip, words):
    """With the default rules, and as many phrases to choose from as a search has."""
    for seed in range(4):
        scorer = Scorer(clip, picture(seed))
        start, rules = scorer.trail([START]), ChainRules(8, 32, 77, {})
        greedy = greedy_chain(scorer, words, start, rules, SILENT)
        beam = beam_search(scorer, words, start, rules, BeamRules(), SILENT)
        clip.text.forget()
        again = beam_search(scorer, words, start, rules, BeamRules(), SILENT)
        assert beam.prompt == again.prompt
        clip.text.forget()
        assert beam_search(scorer, words, start, rules, BeamRules(), SILENT) == again
        assert beam.similarity > greedy.similarity + 1e-4


def test_with_a_greedy_chain_beside_it_the_beam_is_never_worse(clip, words):
    """The guides' prompts grow beside its own; their shortlists are those of the rounds that were computed anyway."""
    for seed in range(4):
        scorer = Scorer(clip, picture(seed))
        start, rules = scorer.trail([START]), ChainRules(2, 6, 77, {})
        guides = Guides(64)
        greedy = greedy_chain(scorer, words, start, rules, SILENT, guides.watch)
        assert guides.found[0].trail == start
        first = scorer.continuations(start.prompt, [word.text for word in words])
        assert [word.text for word in guides.found[0].shortlist[:5]] == [
            words[row].text for row in (-first).argsort()[:5]
        ]
        beam = beam_search(scorer, words, start, rules, BeamRules(width=1), SILENT, guides.found)
        assert beam.similarity >= greedy.similarity - 1e-6


def test_a_phrase_in_the_way_is_exchanged_or_taken_out(clip):
    """Grown with one choice only, the beam ends with a poor phrase, and mends it once there are others."""
    texts = ("red", "fog", "neon", "rain", "dust", "85mm")
    for seed in range(6):
        scorer = Scorer(clip, picture(seed))
        start = scorer.trail([START])
        worst = texts[int(scorer.continuations("a cat", texts).argmin())]
        forced = scorer.trail([START, Candidate(worst, "flavors"), Candidate("bokeh", "flavors")])
        choice = [Candidate(text, "flavors") for text in texts]
        mended = _refined(scorer, forced, len(start.phrases), [choice, choice], ChainRules(0, 4, 77, {}))
        assert mended.similarity > forced.similarity
        assert worst not in [phrase.text for phrase in mended.phrases]
        assert scorer.similarity(mended.prompt) == pytest.approx(mended.similarity, abs=1e-6)
        # of a category that is full only an exchange within it is possible
        kept = _refined(scorer, forced, 1, [[], []], ChainRules(0, 4, 77, {"flavors": 2}))
        assert {phrase.text for phrase in kept.phrases} <= {phrase.text for phrase in forced.phrases}


def test_limits_hold_and_no_phrase_is_repeated(clip, words):
    mixed = [Candidate(word.text, ("mediums", "flavors")[row % 2]) for row, word in enumerate(words)]
    scorer = Scorer(clip, picture(1))
    rules = ChainRules(0, 12, 40, {"mediums": 1})
    found = beam_search(scorer, mixed, scorer.trail([START]), rules, BeamRules(), SILENT)
    texts = [phrase.text for phrase in found.phrases]
    assert sum(phrase.category == "mediums" for phrase in found.phrases) <= 1
    assert len(set(texts)) == len(texts)
    assert scorer.length(found.prompt) <= 40


def test_best_takes_the_better_of_greedy_and_beam(clip, tmp_path):
    lists = {
        "flavors": load_vocabulary().phrases("flavors")[::60],
        "mediums": ("an oil painting", "a photo", "an etching"),
    }
    vocabulary = Vocabulary("test", {name: Category(name, phrases) for name, phrases in lists.items()})
    table = PhraseTable.load(clip, vocabulary.positive(), tmp_path, SILENT)
    for seed in range(3):
        found = {}
        for search in ("peer", "beam"):
            settings = Settings(search=search, max_phrases=8, min_phrases=4)
            interrogator = Interrogator(clip, vocabulary, lambda: table, settings, SILENT)
            found[search] = interrogator.run("best", Subject(picture(seed), "a cat"))
        assert found["beam"].similarity >= found["peer"].similarity


def test_no_candidates_give_the_start(clip):
    scorer = Scorer(clip, picture(0))
    start = scorer.trail([START])
    assert beam_search(scorer, [], start, ChainRules(0, 4, 77, {}), BeamRules(), SILENT) == start
