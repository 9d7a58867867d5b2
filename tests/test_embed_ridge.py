"""The map learned from text: against ridge regression written out whole, its files, and how well it reconstructs."""

from __future__ import annotations

import pytest
import torch
from small_towers import Words, random_weights
from unrender.core.clip.layers import LAST, SECOND_TO_LAST
from unrender.core.clip.text_tower import TextTower
from unrender.core.embed.gap import GapCorrection
from unrender.core.embed.map_files import load_or_fit, map_key, maps_as_bytes, read_maps
from unrender.core.embed.ridge import RidgeFit, SequenceMap, fit_maps
from unrender.core.embed.text_side import TextSide
from unrender.core.errors import EmbeddingError, ModelError, SettingsError
from unrender.core.phrases import Category, Vocabulary
from unrender.core.phrases.composed import composed_prompts
from unrender.core.phrases.vocabulary import load_vocabulary

WORDS = ("red", "boat", "by the sea", "at night", "oil", "a cat", "dog", "wide angle", "fog", "gold")
VOCABULARY = Vocabulary("words", {"flavors": Category("flavors", WORDS), "negative": Category("negative", ("ugly",))})
PROMPTS = composed_prompts(VOCABULARY, 150)


@pytest.fixture(scope="module")
def side():
    return TextSide(random_weights(32, 24, heads=2), Words())


def encode(side, texts):
    tower = TextTower(side.weights)
    start = tower.prefix([Words.start_of_text])
    features = tower.encode(start, [Words().encode(text) for text in texts])
    return features / features.norm(dim=-1, keepdim=True)


def test_one_run_gives_states_and_embeddings(side):
    texts = [*PROMPTS[:9], "", "by the sea " * 20]
    for layers in ((LAST,), (SECOND_TO_LAST,), (SECOND_TO_LAST, LAST)):
        states, joint = side.states_and_embeddings(texts, layers)
        assert len(states) == len(layers)
        assert all(torch.equal(*pair) for pair in zip(states, side.states(texts, layers)[0], strict=True))
        assert (joint - encode(side, texts)).abs().max() < 1e-5
    own = fit_maps(None, side, (SECOND_TO_LAST,), PROMPTS)[SECOND_TO_LAST]
    other = fitted(side, layers=(SECOND_TO_LAST,))[SECOND_TO_LAST]
    features = encode(side, PROMPTS[:9])
    assert (own.states(features) - other.states(features)).abs().max() < 1e-3


def fitted(side, fit=None, prompts=PROMPTS, layers=(LAST, SECOND_TO_LAST)):
    return fit_maps(lambda texts: encode(side, texts), side, layers, prompts, fit)


def whole_ridge(x, y, strength):
    """Ridge on centred data, all at once, in float64."""
    x, y = x.double(), y.double().flatten(1)
    centred, covariance = x - x.mean(0), torch.cov(x.T, correction=0)
    penalty = strength * covariance.trace() * torch.eye(x.shape[1])
    weights = torch.linalg.solve(covariance + penalty, centred.T @ (y - y.mean(0)) / len(x))
    return lambda new: (new.double() - x.mean(0)) @ weights + y.mean(0)


@pytest.mark.parametrize("layer", [LAST, SECOND_TO_LAST])
def test_full_rank_equals_ridge_regression_over_all_texts(side, layer):
    x, y = encode(side, PROMPTS), side.states(PROMPTS, (layer,))[0][0]
    new = encode(side, ["a red dog at night", "fog"])
    expected = whole_ridge(x, y, 3e-3)(new).view(2, 77, 32)
    found = fitted(side)[layer].states(new)
    assert (found - expected).abs().max() < 1e-4
    one = fitted(side)[layer].states(new[0])
    assert one.shape == (77, 32) and torch.allclose(one, found[0], atol=1e-5)


def test_low_rank_is_the_best_of_its_rank(side):
    """Against the truncated SVD of what the whole map makes of the texts, penalty included: an independent route."""
    x, y = encode(side, PROMPTS).double(), side.states(PROMPTS)[0][0].double().flatten(1)
    centre, strength, rank = x.mean(0), 3e-3, 5
    covariance = torch.cov(x.T, correction=0)
    penalty = strength * covariance.trace()
    augmented = torch.cat([(x - centre) / len(x) ** 0.5, penalty.sqrt() * torch.eye(24)])
    targets = torch.cat([(y - y.mean(0)) / len(x) ** 0.5, torch.zeros(24, y.shape[1])])
    whole = torch.linalg.lstsq(augmented, targets).solution
    leading = torch.linalg.svd(augmented @ whole, full_matrices=False).Vh[:rank]
    best = (x - centre) @ whole @ leading.T @ leading + y.mean(0)
    found = fitted(side, RidgeFit(len(PROMPTS), strength, rank))[LAST].states(x.float()).flatten(1)
    assert (found - best).abs().max() < 1e-3


def test_a_map_of_more_rank_reconstructs_its_texts_better(side):
    x, y = encode(side, PROMPTS), side.states(PROMPTS)[0][0]
    errors = [(fitted(side, RidgeFit(150, 3e-3, rank))[LAST].states(x) - y).pow(2).mean() for rank in (1, 6, 24)]
    assert errors[0] > errors[1] > errors[2]


def test_the_start_tokens_state_is_exact(side):
    (states,), _ = side.states(["anything"])
    found = fitted(side)[LAST].states(encode(side, ["dog"])[0])
    assert (found[0] - states[0, 0]).abs().max() < 1e-4


def test_padding_changes_what_is_learned(side):
    other = TextSide(side.weights, side.tokenizer, "zero")
    assert (fitted(side)[LAST].mean - fitted(other)[LAST].mean).abs().max() > 1e-2


def test_chunks_do_not_matter(side, monkeypatch):
    from unrender.core.embed import learning

    expected = fitted(side)[LAST].states(encode(side, ["dog"]))
    monkeypatch.setattr(learning, "TEXTS_AT_ONCE", 7)
    assert (fitted(side)[LAST].states(encode(side, ["dog"])) - expected).abs().max() < 1e-4


class TestGap:
    def test_moves_pictures_to_where_texts_are(self, side):
        fit = fitted(side)[LAST]
        x = encode(side, PROMPTS)
        offset = torch.randn(24)
        pictures = offset + 0.3 * (x - x.mean(0))  # texts' own directions elsewhere and closer together
        gap = GapCorrection.measured(pictures)
        assert gap.pictures == 150
        assert (fit.states(pictures, gap) - fit.states(x)).abs().max() < 1e-3
        assert (fit.states(pictures) - fit.states(x)).abs().max() > 0.1

    def test_refuses_few_or_equal_pictures(self):
        with pytest.raises(SettingsError, match="about 40"):
            GapCorrection.measured(torch.randn(7, 4))
        with pytest.raises(SettingsError, match="all the same"):
            GapCorrection.measured(torch.ones(9, 4))


class TestFiles:
    def test_the_second_time_nothing_is_fitted(self, side, tmp_path):
        key = map_key("clip", side, (LAST,), PROMPTS, RidgeFit(150))
        first = load_or_fit(tmp_path, key, (LAST,), lambda: fitted(side, layers=(LAST,)))
        again = load_or_fit(tmp_path, key, (LAST,), lambda: pytest.fail("fitted twice"))
        x = encode(side, ["dog", "gold"])
        assert torch.equal(first[LAST].states(x), again[LAST].states(x))
        exact = fitted(side, layers=(LAST,))[LAST].states(x)
        assert (again[LAST].states(x) - exact).abs().max() < 1e-2 * exact.std()
        assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]

    def test_a_damaged_or_foreign_file_is_fitted_anew(self, side, tmp_path):
        key = map_key("clip", side, (LAST,), PROMPTS, RidgeFit(150))
        load_or_fit(tmp_path, key, (LAST,), lambda: fitted(side, layers=(LAST,)))
        (path,) = tmp_path.iterdir()
        assert read_maps(path, "another", (LAST,)) is None
        path.write_bytes(path.read_bytes()[:100])
        assert read_maps(path, key, (LAST,)) is None
        load_or_fit(tmp_path, key, (LAST,), lambda: fitted(side, layers=(LAST,)))
        assert read_maps(path, key, (LAST,)) is not None

    def test_a_folder_that_cannot_be_written(self, side, tmp_path, caplog):
        (tmp_path / "file").write_text("")
        load_or_fit(tmp_path / "file" / "x", "key", (LAST,), lambda: fitted(side, layers=(LAST,)))
        assert "cannot be kept" in caplog.text

    def test_the_key_follows_all_that_matters(self, side):
        other = TextSide(random_weights(32, 24, seed=1), Words())
        keys = {
            map_key("clip", side, (LAST,), PROMPTS, RidgeFit()),
            map_key("other", side, (LAST,), PROMPTS, RidgeFit()),
            map_key("clip", other, (LAST,), PROMPTS, RidgeFit()),
            map_key("clip", TextSide(side.weights, side.tokenizer, "zero"), (LAST,), PROMPTS, RidgeFit()),
            map_key("clip", side, (SECOND_TO_LAST,), PROMPTS, RidgeFit()),
            map_key("clip", side, (LAST,), PROMPTS[1:], RidgeFit()),
            map_key("clip", side, (LAST,), PROMPTS, RidgeFit(strength=0.1)),
        }
        assert len(keys) == 7

    @pytest.mark.parametrize(("joint", "width"), [(768, 768), (1024, 1024), (1280, 1280), (1280, 768)])
    def test_an_encoders_file_stays_under_50_mb(self, joint, width):
        outputs, fit = 77 * width, RidgeFit()
        for layers in (1, 2):
            rank = fit.rank_for(joint, outputs, layers)
            assert rank >= 100
            maps = {
                layer: SequenceMap(
                    torch.zeros(joint, rank),
                    torch.zeros(rank, 77, width),
                    torch.zeros(77, width),
                    torch.zeros(joint),
                    1.0,
                )
                for layer in (LAST, SECOND_TO_LAST)[:layers]
            }
            assert len(maps_as_bytes(maps, "key")) < 50e6


class TestRefusals:
    def test_another_clips_picture(self, side):
        with pytest.raises(EmbeddingError, match="25 wide"):
            fitted(side)[LAST].states(torch.randn(25))

    def test_too_few_prompts(self, side):
        with pytest.raises(SettingsError, match="16 or more"):
            fitted(side, prompts=PROMPTS[:3])

    def test_a_broken_encoder(self):
        weights = random_weights(32, 24)
        weights.embedding[42] = float("nan")
        with pytest.raises(ModelError, match="NaN"):
            fitted(TextSide(weights, Words()))

    @pytest.mark.parametrize("wrong", [{"prompts": 3}, {"strength": 0.0}, {"strength": float("nan")}, {"rank": 0}])
    def test_settings(self, wrong):
        with pytest.raises(SettingsError):
            RidgeFit(**wrong)


class TestPrompts:
    def test_are_the_same_in_every_process(self):
        assert composed_prompts(VOCABULARY, 150) == PROMPTS
        assert composed_prompts(VOCABULARY, 150, "other") != PROMPTS

    def test_of_the_built_in_lists_are_varied_and_long_enough(self):
        prompts = composed_prompts(load_vocabulary(), 2000)
        assert len(set(prompts)) > 1900
        assert any(len(prompt) > 300 for prompt in prompts) and any(len(prompt) < 20 for prompt in prompts)

    def test_hold_nothing_negative(self):
        assert not any("ugly" in prompt for prompt in PROMPTS)

    def test_need_a_vocabulary(self):
        with pytest.raises(SettingsError, match="no phrase"):
            composed_prompts(Vocabulary("empty", {}), 3)
        with pytest.raises(SettingsError, match="1 or more"):
            composed_prompts(VOCABULARY, 0)
