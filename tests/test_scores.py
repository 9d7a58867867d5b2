"""A folder of pictures in the measures that others publish, beside their formulas written with SciPy."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from unrender import cli
from unrender.core.clip import Clip
from unrender.core.errors import SettingsError
from unrender.core.images import open_image
from unrender.core.micro.captions import spoken_description
from unrender.core.micro.pictures import render
from unrender.core.variation.pictures import with_text
from unrender.core.verify.scores import frechet_distance, score, text_of


@pytest.fixture(scope="module")
def micro():
    return Clip.load("micro", "cpu")


def published(one, other):
    """As its authors' programs compute it."""
    from scipy.linalg import sqrtm

    means, covariances = zip(*((each.mean(axis=0), np.cov(each, rowvar=False)) for each in (one, other)), strict=True)
    root = np.real(sqrtm(covariances[0] @ covariances[1]))
    return ((means[0] - means[1]) ** 2).sum() + np.trace(covariances[0] + covariances[1] - 2 * root)


@pytest.mark.parametrize(("count", "width", "unit"), [(400, 32, False), (300, 64, True), (60, 96, True)])
def test_the_distance_is_the_published_one(count, width, unit):
    pytest.importorskip("scipy")
    rng = np.random.default_rng(count)
    mixing = rng.normal(size=(width, width))
    one = rng.normal(size=(count, width)) @ mixing
    other = rng.normal(size=(count + 20, width)) @ (mixing + 0.3 * rng.normal(size=(width, width))) + 0.2
    if unit:
        one, other = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (one, other))
    assert frechet_distance(one, other) == pytest.approx(published(one, other), rel=1e-5, abs=1e-5)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-6)


def test_the_distance_of_one_picture_is_refused():
    with pytest.raises(SettingsError, match="1 picture"):
        frechet_distance(np.ones((1, 4)), np.ones((5, 4)))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """made: with texts beside some and in the files of others; references: under the same names, other pictures."""
    import random

    root, rng, pictures = tmp_path_factory.mktemp("scores"), random.Random(0), render("validation", 24)
    for number, scene in enumerate(pictures.scenes):
        name = ("made", "references")[number % 2]
        path = root / name / f"{number // 2:02}.png"
        path.parent.mkdir(exist_ok=True)
        picture, text = (
            Image.fromarray(pictures.pixels[number].permute(1, 2, 0).numpy()),
            spoken_description(scene, rng),
        )
        in_file = number % 4 == 0
        picture.save(path, **(with_text(f"{text}\nSteps: 2, Sampler: DDIM, Seed: 1", path) if in_file else {}))
        if name == "made" and not in_file:
            path.with_suffix(".txt").write_text(text)
    (root / "made" / "torn.png").write_bytes(b"\x89PNG torn")
    return root


def test_clip_score_distance_and_pairs_are_those_of_the_features(micro, folders):
    made, references = (sorted((folders / name).glob("*.png")) for name in ("made", "references"))
    found, failed = score(micro, [micro], made, references)
    assert len(failed) == 1 and "torn.png" in str(failed[0])
    made = [path for path in made if path.name != "torn.png"]
    texts = [text_of(path) for path in made]
    assert all(texts) and found.texts == found.pictures == 12
    seen, theirs = (micro.encode_images(map(open_image, some)).numpy() for some in (made, references))
    wanted = np.maximum(100 * (seen * micro.encode_texts(texts).numpy()).sum(axis=1), 0)
    assert found.clip_score is not None and found.clip_score.mean == pytest.approx(wanted.mean(), abs=1e-3)
    likeness = found.likeness["micro"]
    assert likeness.fid == pytest.approx(frechet_distance(seen, theirs), abs=1e-6)
    assert likeness.are_named and likeness.pairs.mean == pytest.approx((seen * theirs).sum(axis=1).mean(), abs=1e-5)
    assert found.narrow == ("micro",)  # twelve pictures are fewer than its features


def test_pictures_of_other_names_are_each_compared_with_every_reference(micro, folders, tmp_path):
    for path in (folders / "references").glob("*.png"):
        (tmp_path / f"other-{path.name}").write_bytes(path.read_bytes())
    made, references = sorted((folders / "made").glob("0*.png")), sorted(tmp_path.glob("*.png"))
    likeness = score(micro, [micro], made, references)[0].likeness["micro"]
    seen, theirs = (micro.encode_images(map(open_image, some)).numpy() for some in (made, references))
    assert not likeness.are_named and likeness.pairs.mean == pytest.approx((seen @ theirs.T).mean(), abs=1e-5)


def test_the_command_prints_and_keeps_them(folders, tmp_path, capsys):
    common = ["verify", "--scores", str(folders / "made"), "--clip", "micro", "--device", "cpu"]
    assert cli.main([*common, "--pictures", str(folders / "references"), "-o", str(tmp_path / "out")]) == 0
    out, error = capsys.readouterr()
    assert [line.split("\t")[0] for line in out.splitlines()] == [
        "CLIP score",
        "FID with features of micro",
        "likeness by micro",
    ]
    assert "torn.png" in error and "more features than there are pictures" in error
    kept = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert out.splitlines()[1].split("\t")[1] == f"{kept['likeness']['micro']['fid']:.4f}"


def test_a_dino_compares_too(folders, tmp_path, capsys):
    transformers = pytest.importorskip("transformers")
    if not hasattr(transformers, "Dinov2Model"):
        pytest.skip("this transformers has no DINOv2")
    config = transformers.Dinov2Config(hidden_size=24, num_hidden_layers=1, num_attention_heads=2, image_size=224)
    transformers.Dinov2Model(config).save_pretrained(tmp_path / "dino")
    common = ["verify", "--scores", str(folders / "made"), "--pictures", str(folders / "references"), "--clip", "micro"]
    assert cli.main([*common, "--dino", str(tmp_path / "dino"), "--device", "cpu"]) == 0
    names = [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()]
    assert [name.rpartition("/")[2] for name in names[-2:]] == ["dino", "dino"]
