"""Names and numbers of describers in `Settings`, whatever is given."""

from __future__ import annotations

from typing import Any

import pytest
from unrender.core.errors import ModelError, SettingsError
from unrender.core.settings import MOST_CANDIDATES, Settings


@pytest.mark.parametrize("name", ["", " ", "\t"])
@pytest.mark.parametrize("control", ["captioner", "tagger", "rivals"])
def test_no_name_is_no_folder(control: str, name: str) -> None:
    values: dict[str, Any] = {control: (name,) if control == "rivals" else name}
    with pytest.raises(SettingsError, match="is empty"):
        Settings(**values)


def test_a_text_is_no_list_of_names() -> None:
    text: Any = "micro"
    with pytest.raises(SettingsError, match="list of names"):
        Settings(rivals=text)


@pytest.mark.parametrize("written", ["micro", "MICRO", "Micro-Chat", "micro-TAGGER"])
def test_what_is_built_in_has_one_name(written: str) -> None:
    made = Settings(captioner=written, tagger=written, rivals=(written,))
    assert (made.captioner, made.tagger, *made.rivals) == (written.lower(),) * 3


def test_none_among_rivals_is_nobody() -> None:
    assert Settings(rivals=("none", "micro", "None")).rivals == ("micro",)


@pytest.mark.parametrize("count", [0, -1, MOST_CANDIDATES + 1, 10**9])
def test_candidates_have_bounds(count: int) -> None:
    with pytest.raises(SettingsError, match=f"candidates is {count}"):
        Settings(candidates=count)


MISSPELLED = [("wd-vitt", "wd-vit"), ("wd-swin", "wd-swinv2"), ("micro-tager", "micro-tagger")]


@pytest.mark.parametrize("wrong, meant", MISSPELLED)
def test_a_misspelled_tagger_is_told_its_name(wrong: str, meant: str) -> None:
    from unrender.core.describe import check_describer

    with pytest.raises(ModelError) as error:
        check_describer(wrong)
    assert meant in str(error.value).split("give any of")[0]
