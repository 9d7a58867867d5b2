"""Likelihoods per category and of any phrases: against clip-gaze, against plain formulas, and on micro's own world."""

from __future__ import annotations

import itertools
import json
import random

import numpy as np
import pytest
import torch
from unrender.core.clip import Clip
from unrender.core.describe.together import Words, Written
from unrender.core.engine import Engine, Settings
from unrender.core.errors import ImageError, PhraseError, SettingsError
from unrender.core.micro import CLIP_FOLDER, MEASURES_FILE
from unrender.core.micro.captions import ALL_FACTORS, bare_phrases, caption
from unrender.core.micro.pictures import render
from unrender.core.micro.world import FACTORS
from unrender.core.prompt.together import shared_features
from unrender.core.study.analyze import ARTIST_NOTE, softmax


@pytest.fixture(scope="module")
def drawn():
    return render("test", 300)


@pytest.fixture(scope="module")
def pictures(drawn):
    return [picture.permute(1, 2, 0).numpy() for picture in drawn.pixels]


@pytest.fixture(scope="module")
def factors(tmp_path_factory):
    """A folder with a category for each factor of micro's world, and what each phrase means."""
    folder = tmp_path_factory.mktemp("factors")
    meaning = {}
    for factor, values in FACTORS.items():
        meaning[f"the {factor}"] = {text: value for value in values for text in bare_phrases(factor, value)}
        (folder / f"the {factor}.txt").write_text("\n".join(meaning[f"the {factor}"]), encoding="utf-8")
    return folder, meaning


@pytest.fixture(scope="module")
def micro(factors):
    with Engine(Settings(clip="micro", captioner=None, device="cpu", phrases=factors[0])) as engine:
        yield engine


@pytest.fixture(scope="module")
def gaze():
    """The real clip-gaze, and a model, a processor and this project's Clip of the same weights."""
    return pytest.importorskip("clip_gaze.gaze", reason="clip-gaze is not installed")


def same_weights(folder, gaze, monkeypatch, logit_scale=None):
    """Puts the model in `folder` in the place of the one clip-gaze would download, and returns it as a Clip."""
    from transformers import CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizer

    model = CLIPModel.from_pretrained(folder).eval()
    if logit_scale is not None:
        model.logit_scale.data.fill_(np.log(logit_scale))
    processor = CLIPProcessor(CLIPImageProcessor.from_pretrained(folder), CLIPTokenizer.from_pretrained(folder))
    monkeypatch.setattr(gaze, "model_and_processor", lambda device: (model, processor))
    return Clip.from_transformers(model, processor)


def fits_the_model(photograph):
    """64 x 64, so that the processor's resampling, which differs between versions of transformers, has no part."""
    edge = min(photograph.size)
    return photograph.crop((0, 0, edge, edge)).resize((64, 64))


@pytest.mark.parametrize("logit_scale", [None, 100.0])
@pytest.mark.parametrize("weights", ["micro", "random"])
@pytest.mark.filterwarnings("ignore")
def test_the_same_as_clip_gaze(gaze, weights, logit_scale, transformers_folder, photographs, monkeypatch, tmp_path):
    import clip_gaze

    folder = CLIP_FOLDER if weights == "micro" else transformers_folder
    clip = same_weights(folder, gaze, monkeypatch, logit_scale)
    engine = Engine(Settings(phrases="clip-gaze", captioner=None, cache=tmp_path), clip=clip)
    lists = {"movements": clip_gaze.MOVEMENTS, "surfaces": clip_gaze.SURFACES}
    for photograph in photographs[:3]:
        picture = fits_the_model(photograph)
        (analysis,) = engine.analyze(picture, list(lists), top=1000)
        for category, phrases in lists.items():
            theirs = dict(gaze.probabilities(picture, list(dict.fromkeys(phrases)), device="cpu"))
            ours = {entry.phrase: entry.likelihood for entry in analysis[category].top}
            assert ours.keys() == theirs.keys()
            assert max(abs(ours[phrase] - theirs[phrase]) for phrase in ours) < 1e-4
            in_order = [theirs[phrase] for phrase in ours]
            for entry in engine.analyze(picture, [category])[0][category].top:
                assert entry.likelihood == pytest.approx(theirs[entry.phrase], abs=1e-4)
            # phrases nearer to each other than float32 resolves may change places
            assert all(one >= other - 1e-6 * one for one, other in itertools.pairwise(in_order))


def test_five_of_many_equal_the_softmax_over_all_in_float32(clip, photographs, tmp_path):
    """The table is kept in float16; what is reported must not show it."""
    clip_at_100 = Clip(clip.name, clip._vision, clip._preprocess, clip.text, 100.0, clip.device, clip.dtype)
    engine = Engine(Settings(captioner=None, cache=tmp_path), clip=clip_at_100)
    from unrender.core.phrases import MOVEMENTS

    for photograph in photographs[:2]:
        (found,) = engine.analyze(photograph, ["movement"])[0].categories
        exact = (clip.encode_texts(MOVEMENTS) @ clip.encode_images([photograph])[0]).double()
        shares = torch.softmax(exact * 100, dim=0)
        expected = exact.argsort(descending=True, stable=True)[:5].tolist()
        assert [entry.phrase for entry in found.top] == [MOVEMENTS[row] for row in expected]
        for entry, row in zip(found.top, expected, strict=True):
            assert entry.similarity == pytest.approx(float(exact[row]), abs=1e-6)
            assert entry.likelihood == pytest.approx(float(shares[row]), abs=1e-5)
        assert found.phrases == len(MOVEMENTS) == sum(found.spread.counts)


def test_the_likelihoods_of_a_category_sum_to_one(micro, pictures):
    for category in micro.analyze(pictures[0], top=10**6)[0].categories:
        assert len(category.top) == category.phrases
        assert sum(entry.likelihood for entry in category.top) == pytest.approx(1, abs=1e-9)


def test_softmax_survives_large_logits():
    assert softmax(np.array([[1.0, 1.0], [5.0, -5.0]]), 1000.0) == pytest.approx(np.array([[0.5, 0.5], [1.0, 0.0]]))


def test_batches_of_any_size_give_the_same_numbers(micro, pictures):
    together = micro.analyze(pictures[:20])
    alone = [micro.analyze(picture)[0] for picture in pictures[:20]]
    pairs = [pair for start in range(0, 20, 2) for pair in micro.analyze(pictures[start : start + 2])]
    for analyses in (alone, pairs):
        for one, other in zip(together, analyses, strict=True):
            for row, expected in zip(one.rows(), other.rows(), strict=True):
                assert row["phrase"] == expected["phrase"]
                assert row["likelihood"] == pytest.approx(expected["likelihood"], abs=1e-5)


def test_micros_true_factors_are_the_top_answers(micro, pictures, drawn, factors):
    """As often as the model was measured to name them, give or take three standard errors of 300 pictures."""
    measured = json.loads(MEASURES_FILE.read_text(encoding="utf-8"))["test"]["clip"]["zero_shot"]
    analyses = micro.analyze(pictures, list(factors[1]), top=1)
    for factor, accuracy in measured.items():
        meaning = factors[1][f"the {factor}"]
        right = sum(
            meaning[analysis[f"the {factor}"].top[0].phrase] == scene.value(factor)
            for analysis, scene in zip(analyses, drawn.scenes, strict=True)
        )
        margin = 3 * (max(accuracy * (1 - accuracy), 0.005) / len(pictures)) ** 0.5
        assert right / len(pictures) >= accuracy - margin, factor


def test_match_puts_the_true_caption_before_its_neighbours(micro, pictures, drawn):
    count = 60
    first = 0
    for number, scene in enumerate(drawn.scenes[:count]):
        captions = [caption(one, random.Random(number), ALL_FACTORS).text for one in (scene, *scene.neighbours())]
        first += micro.match(pictures[number], captions).ranked_phrases(0)[0].index == 0
    assert first / count >= 0.65


def test_a_match_ranks_both_ways(micro, pictures):
    phrases = ["a red star", "a blue moon", "a green heart", "three shapes"]
    found = micro.match(pictures[:3], phrases)
    features = micro.clip.encode_images([_image(picture) for picture in pictures[:3]])
    similarities = (features @ micro.clip.encode_texts(phrases).T).numpy()
    assert np.array(found.similarities) == pytest.approx(similarities, abs=1e-6)
    logits = torch.tensor(similarities) * micro.clip.logit_scale
    assert np.array(found.phrase_likelihoods) == pytest.approx(torch.softmax(logits, 1).numpy(), abs=1e-5)
    assert np.array(found.image_likelihoods) == pytest.approx(torch.softmax(logits, 0).numpy(), abs=1e-5)
    assert [entry.index for entry in found.ranked_phrases(1)] == np.argsort(-similarities[1]).tolist()
    assert [entry.index for entry in found.ranked_images(2)] == np.argsort(-similarities[:, 2]).tolist()
    assert json.loads(json.dumps(found.to_dict()))["phrases"] == phrases


def test_templates_are_averaged_in_the_embedding_space(micro, pictures):
    templates = ["a {} star", "{} moons at night"]
    found = micro.match(pictures[0], ["red", "blue"], templates)
    for phrase, similarity in zip(("red", "blue"), found.similarities[0], strict=True):
        texts = [template.replace("{}", phrase) for template in templates]
        mean = torch.stack([micro.clip.encode_texts([text, "x"])[0] for text in texts]).mean(0)
        expected = float(mean / mean.norm() @ micro.clip.encode_images([_image(pictures[0])])[0])
        assert similarity == pytest.approx(expected, abs=1e-6)


def test_braces_in_a_phrase_stay_as_they_are(micro, pictures):
    assert micro.match(pictures[0], ["{0} {x} {}"], ["a {} star"]).phrases == ("{0} {x} {}",)


def test_what_pictures_share(micro, pictures):
    one, other = micro.clip.encode_images([_image(picture) for picture in pictures[:2]])
    middle = torch.nn.functional.normalize(one * 0.75 + other * 0.25, dim=0)
    assert shared_features(torch.stack([one, other]), [3, 1]) == pytest.approx(middle, abs=1e-6)
    assert torch.equal(shared_features(one[None]), one)
    weighted = micro.analyze_together(pictures[:2], weights=[1, 0])
    (first,) = micro.analyze(pictures[0])
    assert [row["phrase"] for row in weighted.rows()] == [row["phrase"] for row in first.rows()]
    assert weighted.pictures == 2 and first.pictures == 1


def test_one_prompt_for_several_pictures(micro, pictures):
    one, other = (micro.interrogate(picture, "fast", "").prompt for picture in pictures[:2])
    assert micro.interrogate_together(pictures[:2], "fast", "", [1, 0]).prompt == one
    shared = micro.interrogate_together(pictures[:2], "best", "")
    assert shared.prompt not in (one, other)
    features = shared_features(micro.clip.encode_images([_image(picture) for picture in pictures[:2]]))
    expected = float(micro.clip.encode_texts([shared.prompt])[0] @ features)
    assert shared.similarity == pytest.approx(expected, abs=1e-5)


def test_pictures_together_take_the_caption_that_suits_them_all(monkeypatch, pictures):
    with Engine(Settings(clip="micro", captioner="micro", device="cpu")) as engine:
        texts = ["a green heart", "three red crosses at night"]
        words = [Words((Written(text, "micro", 0),)) for text in texts]
        monkeypatch.setattr(engine._models, "words", lambda pictures, mode, captions: words)
        assert engine.interrogate_together([pictures[0]] * 2, "caption").caption == "three red crosses at night"


@pytest.mark.parametrize("weights", [[1], [1, -1], [0, 0], [1, float("nan")]])
def test_senseless_weights_are_refused(micro, pictures, weights):
    with pytest.raises(SettingsError, match="weight"):
        micro.analyze_together(pictures[:2], weights=weights)


def test_pictures_that_cancel_out_are_refused():
    opposite = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    with pytest.raises(SettingsError, match="nothing in common"):
        shared_features(opposite)


def test_wrong_input_gets_one_sentence(micro, pictures, tmp_path):
    with pytest.raises(PhraseError, match=r"no category 'artits'.*emotions.*the artist"):
        micro.analyze(pictures[0], ["artits"])
    with pytest.raises(PhraseError, match="No category is named"):
        micro.analyze(pictures[0], [])
    for top in (0, -1):
        with pytest.raises(SettingsError, match="give 1 or more"):
            micro.analyze(pictures[0], top=top)
    for images in ([], ()):
        with pytest.raises(SettingsError, match="no picture"):
            micro.analyze(images)
    with pytest.raises(ImageError, match="absent"):
        micro.analyze([pictures[0], tmp_path / "absent.png"])
    with pytest.raises(SettingsError, match="no phrases"):
        micro.match(pictures[0], [])
    with pytest.raises(SettingsError, match="empty"):
        micro.match(pictures[0], ["a", " "])
    with pytest.raises(SettingsError, match="give a list"):
        micro.match(pictures[0], "a cat")
    with pytest.raises(SettingsError, match=r"'a photo' has no \{\}"):
        micro.match(pictures[0], ["a cat"], ["a photo of {}", "a photo"])


def test_artists_are_asked_for_once_and_with_a_note(clip, photographs, tmp_path):
    (tmp_path / "artists.txt").write_text("Ada\nBo\ninspired by Cy\n", encoding="utf-8")
    engine = Engine(Settings(phrases=tmp_path, captioner=None, cache=tmp_path / "cache"), clip=clip)
    (artists,) = engine.analyze(photographs[0], ["artist"], top=9)[0].categories
    assert {entry.phrase for entry in artists.top} == {"by Ada", "by Bo", "inspired by Cy"}
    assert artists.note == ARTIST_NOTE
    assert engine.analyze(photographs[0], ["surfaces"])[0]["surfaces"].note == ""


def test_values_are_plain_json(micro, pictures):
    (analysis,) = micro.analyze(pictures[0], ["the shape"], top=2)
    values = json.loads(json.dumps(analysis.to_dict()))
    assert values["model"] == "micro"
    assert values["categories"][0]["top"][1]["likelihood"] == analysis["the shape"].top[1].likelihood
    assert [row["rank"] for row in analysis.rows()] == [1, 2]
    with pytest.raises(KeyError):
        analysis["the colour"]


def test_unload_frees_the_tables(factors, pictures):
    with Engine(Settings(clip="micro", captioner=None, device="cpu", phrases=factors[0])) as engine:
        before = engine.analyze(pictures[0])
        engine.unload()
        assert engine.clip is None
        assert engine.analyze(pictures[0]) == before


def _image(array):
    from PIL import Image

    return Image.fromarray(array)
