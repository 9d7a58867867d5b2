"""The ways that `unrender verify` compares: which there are, what is recommended, the second measure, and the page."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from unrender.core.embed.families import MICRO_FAMILY, SD1, SDXL
from unrender.core.embed.kinds import QUALITIES
from unrender.core.errors import SettingsError
from unrender.core.verify.about import About, public_name, without_places
from unrender.core.verify.asked import TELLING, check_ways
from unrender.core.verify.coarse import FIELDS, coarse_distance
from unrender.core.verify.fidelity import Fidelity, Way, recommended
from unrender.core.verify.page import page
from unrender.core.verify.statistics import Estimate
from unrender.core.verify.ways import chosen_ways, needs_learning
from unrender.core.verify.weights import Finding


class TestWhichThereAre:
    def test_the_qualities_are_the_usual_ones(self):
        assert list(chosen_ways(SD1, QUALITIES)) == ["quick", "good", "best"]

    @pytest.mark.parametrize(("family", "own"), [(SD1, "pinv"), (MICRO_FAMILY, "pinv")])
    def test_a_projection_that_is_a_quality_is_not_shown_twice(self, family, own):
        assert list(chosen_ways(family, [own, "soft", "good"])) == ["quick", "good"]
        assert list(chosen_ways(family, ["all"])) == ["quick", "good", "best", "ridge", "bank", "anchored"]

    def test_quick_is_always_there_to_compare_with(self):
        assert list(chosen_ways(SD1, ["ridge"])) == ["quick", "ridge"]

    def test_all_are_those_that_serve_the_family(self):
        assert list(chosen_ways(SDXL, ["all"])) == ["quick", "good", "best", "ridge", "bank", "anchored"]
        with pytest.raises(SettingsError, match="pinv cannot reach what SDXL listens to"):
            chosen_ways(SDXL, ["pinv"])

    def test_what_is_no_way_is_refused(self):
        check_ways(["all", "ridge", "best"])
        with pytest.raises(SettingsError, match="'rigde' is no way to embed a picture; choose from all, quick, good"):
            check_ways(["best", "rigde"])

    @pytest.mark.parametrize(("names", "learns"), [(QUALITIES, False), (["all"], True), (["quick", "bank"], True)])
    def test_those_that_learn_for_minutes_are_known(self, names, learns):
        assert needs_learning(names) is learns


def way(name, mean, over=(0.0, 0.0, 0.0), pictures=40, over_words=(0.0, 0.0, 0.0)):
    near = Estimate(mean, mean - 0.01, mean + 0.01)
    return Way(name, pictures, near, Estimate(0.1, 0.09, 0.11), Estimate(*over), Estimate(*over_words), 0.5)


QUICK = way("quick", 0.5)
SURELY_BETTER = (0.02, 0.01, 0.03)
PERHAPS_BETTER = (0.2, -0.01, 0.41)


class TestWhatIsRecommended:
    @pytest.mark.parametrize(
        ("others", "expected"),
        [
            ([way("good", 0.7, PERHAPS_BETTER), way("best", 0.6, SURELY_BETTER)], "best"),
            ([way("good", 0.52, SURELY_BETTER), way("ridge", 0.6, (0.1, 0.05, 0.15))], "ridge"),
            ([way("good", 0.7, PERHAPS_BETTER), way("best", 0.4, (-0.1, -0.2, -0.01))], "quick"),
            ([way("words, honest", 0.9, (0.4, 0.3, 0.5))], "quick"),
        ],
    )
    def test_the_best_of_what_surely_beats_quick(self, others, expected):
        assert recommended({each.name: each for each in (QUICK, *others)}) == expected

    def test_nothing_by_too_few_pictures(self):
        few = [way("quick", 0.5, pictures=TELLING - 1), way("best", 0.9, SURELY_BETTER, TELLING - 1)]
        assert recommended({each.name: each for each in few}) is None


def noise(seed, size=(64, 64)):
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(values)


class TestColoursOff:
    def test_are_the_mean_difference_of_mean_colours(self):
        one, other = noise(1), noise(2)
        fields = [np.asarray(each, float).reshape(FIELDS, 8, FIELDS, 8, 3).mean(axis=(1, 3)) for each in (one, other)]
        expected = np.abs(fields[0] - fields[1]).mean() / 255
        assert coarse_distance(one, other) == pytest.approx(expected, abs=1 / 255)

    def test_run_from_none_to_black_against_white(self):
        black, white = (Image.new("RGB", (64, 64), colour) for colour in ("black", "white"))
        assert (coarse_distance(black, black), coarse_distance(black, white)) == (0, 1)

    def test_see_where_a_colour_lies(self):
        left = Image.new("RGB", (64, 64), "navy")
        left.paste("gold", (0, 0, 32, 64))
        moved = left.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        assert coarse_distance(left, moved) > 0.4
        assert coarse_distance(left.resize((512, 512)), left) < 0.02

    def test_are_of_the_middle_that_has_the_renderings_shape(self):
        wide = Image.new("RGB", (128, 64), "white")
        wide.paste("teal", (32, 0, 96, 64))
        assert coarse_distance(wide, Image.new("RGB", (64, 64), "teal")) == 0


MODELS = (("checkpoint", "sd15", "0123456789ab"), ("judge", "other|clip", ""))
ABOUT = About("sd15", "other|clip", MODELS, (("device", "cuda:0 (a card)"),), ("/home/me/sd15.safetensors",))
GAINED = way("best", 0.6, SURELY_BETTER, over_words=(0.01, 0.004, 0.02))


def told(*others, best="best", about=ABOUT, findings=()):
    ways = {each.name: each for each in (QUICK, *others, way("words, honest", 0.55))}
    return page(about, Fidelity(ways, best, "f" * 64, "honest", 2.5), findings)


class TestThePage:
    def test_says_what_is_recommended_and_why(self):
        text = told(GAINED)
        assert "**Recommended: best** (the prompt that a search finds, and a soft prompt for what it lacks)." in text
        assert "surely nearer to the pictures than quick's, by 0.020 (0.010 to 0.030)" in text
        assert "Best is surely above the words it stands on: 0.010 (0.004 to 0.020)." in text

    @pytest.mark.parametrize(
        ("over_words", "expected"),
        [((0.0, -0.1, 0.1), "cannot be told from the words"), ((-0.2, -0.3, -0.1), "is surely below the words")],
    )
    def test_does_not_hide_that_the_words_alone_are_as_good(self, over_words, expected):
        assert f"Best {expected}" in told(way("best", 0.6, SURELY_BETTER, over_words=over_words))

    def test_says_that_nothing_beats_quick(self):
        text = told(best="quick")
        assert "**Recommended: quick**" in text
        assert "No other way comes surely nearer" in text

    def test_says_that_pictures_are_too_few(self):
        text = told(best=None)
        assert "**Nothing is recommended**: 40 pictures are too few to tell" in text
        assert "takes what is recommended" not in text

    def test_has_a_row_for_every_way_the_nearest_first(self):
        rows = [line for line in told(GAINED).splitlines() if line.startswith("|")]
        names = [row.split("|")[1].strip() for row in rows]
        assert names[2:5] == ["**best**", "words, honest", "quick"]
        assert "| +0.020 (+0.010 to +0.030) |" in rows[2]

    def test_names_models_and_fingerprints_and_breaks_no_table(self):
        text = told(GAINED)
        assert "| checkpoint | sd15 | 0123456789ab |" in text
        assert r"| judge | other\|clip |  |" in text

    def test_holds_no_place_on_a_disk(self):
        found = Finding("text projection", False, "The text projection of /home/me/sd15.safetensors is zeros")
        text = told(GAINED, findings=[found])
        assert "| text projection | **failed** | The text projection of sd15 is zeros |" in text
        assert "/home/me" not in text

    def test_says_what_it_does_not_say(self):
        assert "Anything of real models" not in told(GAINED)
        assert "Anything of real models" in told(GAINED, about=About("micro", "a", (), (), ()))

    def test_fits_a_page(self):
        assert len(told(GAINED).split()) < 500


def test_a_place_is_called_by_its_last_part(tmp_path):
    file = tmp_path / "dream.v2.safetensors"
    file.touch()
    assert [public_name(name) for name in (str(file), str(tmp_path), "ViT-L-14/openai")] == [
        "dream.v2",
        tmp_path.name,
        "ViT-L-14/openai",
    ]
    assert without_places(f"{file} and {tmp_path}", [str(tmp_path), str(file)]) == f"dream.v2 and {tmp_path.name}"
