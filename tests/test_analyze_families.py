"""An analysis by family: the likelihoods of the evidence, at every door."""

from __future__ import annotations

import csv
import io
import json

import pytest
from PIL import Image
from unrender import cli
from unrender.core.drawing.chart import chart_image
from unrender.core.engine import Engine
from unrender.core.errors import PhraseError
from unrender.core.micro.pictures import render
from unrender.core.settings import Settings
from unrender.core.study.families import ConceptLikelihood, FamilyAnalysis
from unrender.server.bars import analysis_bars, family_bars

FAMILIES = {"artist", "background", "colour", "layout", "shape", "style"}


@pytest.fixture(scope="module")
def drawn():
    return render("test", 60)


@pytest.fixture(scope="module")
def pictures(drawn):
    return [Image.fromarray(each.permute(1, 2, 0).numpy()) for each in drawn.pixels]


@pytest.fixture(scope="module")
def micro(tmp_path_factory):
    settings = Settings(clip="micro", captioner=None, device="cpu", cache=tmp_path_factory.mktemp("cache"))
    with Engine(settings) as engine:
        yield engine


@pytest.fixture(scope="module")
def analyses(micro, pictures):
    return micro.analyze(pictures)


def test_what_is_sure_is_true(analyses, drawn):
    said = [
        found.top[0].concept == getattr(scene, found.family)
        for analysis, scene in zip(analyses, drawn.scenes, strict=True)
        for found in analysis.families
        if found.sure
    ]
    assert len(said) > 0.95 * 6 * len(drawn.scenes)
    assert sum(said) > 0.95 * len(said)


def test_the_surest_family_comes_first_and_shares_are_shares(analyses):
    for analysis in analyses:
        assert {found.family for found in analysis.families} == FAMILIES
        surest = [found.top[0].likelihood for found in analysis.families]
        assert surest == sorted(surest, reverse=True)
        for found in analysis.families:
            likelihoods = [each.likelihood for each in found.top]
            assert likelihoods == sorted(likelihoods, reverse=True)
            assert sum(likelihoods) <= 1 + 1e-9
            assert found.none is None  # every scene has one of each


def test_families_are_asked_where_no_categories_are(micro, pictures):
    assert not micro.analyze(pictures[:1], ["mediums"])[0].families
    assert not micro.analyze(pictures[:1], families=False)[0].families
    (named,) = micro.analyze(pictures[:1], ["mediums"], families=["shape", "colour"])
    assert {each.family for each in named.families} == {"shape", "colour"}
    assert micro.analyze_together(pictures[:2], families=["shape"]).families
    with pytest.raises(PhraseError, match="no family 'shapes'; choose from artist"):
        micro.analyze(pictures[:1], families=["shapes"])


def test_the_user_s_own_family_says_that_none_is_true(tmp_path, pictures):
    (tmp_path / "families").mkdir()
    (tmp_path / "own.txt").write_text("a thing", encoding="utf-8")
    text = "about: what weather it is\nexcludes: yes\nalways: no\n\nsunset: at sunset\nbrick: brick wall\n"
    (tmp_path / "families" / "weather.txt").write_text(text, encoding="utf-8")
    settings = Settings(clip="micro", captioner=None, device="cpu", phrases=tmp_path, cache=tmp_path / "cache")
    with Engine(settings) as engine:
        (found,) = engine.analyze(pictures[:1], ["own"], families=["weather"])[0].families
    assert found.none == pytest.approx(1 - sum(each.likelihood for each in found.top))


def test_json_holds_them_only_where_they_were_asked(analyses, micro, pictures):
    values = json.loads(json.dumps(analyses[0].to_dict()))
    first = values["families"][0]
    assert first.keys() == {"family", "about", "excludes", "concepts", "top", "none"}
    assert first["top"][0].keys() == {"concept", "wording", "likelihood", "support"}
    assert "families" not in micro.analyze(pictures[:1], ["mediums"])[0].to_dict()


def of_family(likelihood, none=None):
    concept = ConceptLikelihood("<b>", "<b> here", likelihood, 2.0)
    return FamilyAnalysis("weather", "what weather it is", True, 3, (concept,), none)


def test_bars_fold_what_is_not_sure(analyses):
    html = analysis_bars(analyses[0])
    assert html.count("<section") == 3 + 6
    assert "<details" not in family_bars([of_family(0.9)])
    html = family_bars([of_family(0.9), of_family(0.2, 0.7)])
    assert html.index("90.0%") < html.index("<details") < html.index("none of these")
    assert "1 question that the picture does not answer surely" in html
    assert "<b>" not in html


def test_a_chart_has_a_row_for_what_is_sure(analyses, micro, pictures):
    pytest.importorskip("matplotlib", reason="charts need matplotlib")
    bare = chart_image(micro.analyze(pictures[:1], families=False)[0], None)
    sure = sum(found.sure for found in analyses[0].families)
    assert chart_image(analyses[0], None).height == pytest.approx(bare.height + 34 + 38 * sure + 30, abs=1)


def test_the_command_line_tells_them(tmp_path, pictures, capsys):
    path = tmp_path / "one.png"
    pictures[0].save(path)
    asked = ["analyze", str(path), "--clip", "micro", "--device", "cpu", "--cache", str(tmp_path / "cache")]
    assert cli.main(asked) == 0
    out = capsys.readouterr().out
    assert "background  where it is\n   99.9%    +2.7  at night\n" in out
    assert cli.main([*asked, "--families", "none"]) == 0
    assert "where it is" not in capsys.readouterr().out
    assert cli.main([*asked, "--csv", "--categories", "mediums", "--families", "shape", "--top", "2"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["category"] for row in rows] == ["mediums"] * 2 + ["family: shape"] * 2
    assert [bool(row["support"]) for row in rows] == [False, False, True, True]
    assert cli.main([*asked, "--families", "shapes"]) == 1
    assert "There is no family 'shapes'" in capsys.readouterr().err


def test_what_is_not_sure_is_named_alone(monkeypatch, capsys):
    from unrender.cli.analyze import _show_families
    from unrender.core.study.analyze import Analysis

    _show_families(Analysis((), "micro", families=(of_family(0.9), of_family(0.2))))
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "not sure  each with its likeliest",
        "  weather (<b> here 20%)",
    ]
