"""`unrender embed` on the toy model."""

from __future__ import annotations

import pytest
import torch
from PIL import Image
from unrender.cli import embed as command
from unrender.cli import main
from unrender.core.embed import PromptEmbedding
from unrender.core.embed.families import FAMILIES
from unrender.core.micro.pictures import render


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for number, pixels in enumerate(render("test", 9).pixels):
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(folder / f"{number}.png")
    (folder / "broken.png").write_bytes(b"not a picture")
    return folder


@pytest.fixture(autouse=True)
def _there(folder, monkeypatch):
    monkeypatch.chdir(folder)


def embedded(capsys, *arguments, status=0):
    """The embedding and what was said on standard error."""
    found = main(["embed", *arguments, "-o", "out.safetensors", "--for", "micro", "--device", "cpu"])
    out, error = capsys.readouterr()
    assert found == status and out == ""
    return (PromptEmbedding.load("out.safetensors") if status == 0 else None), error


def test_a_file_is_written(capsys):
    made, error = embedded(capsys, "0.png")
    assert made.states.shape == (77, 128) and made.projection == "pinv" and error == ""


def test_two_with_weights_and_a_text(capsys):
    one, _ = embedded(capsys, "0.png")
    two, _ = embedded(capsys, "1.png")
    both, _ = embedded(capsys, "0.png", "1.png", "--weights", "3,1")
    assert torch.allclose(both.states, 0.75 * one.states + 0.25 * two.states, atol=1e-5)
    changed, _ = embedded(capsys, "0.png", "--text", "a red star", "--alpha", "0.9")
    assert (changed.states - one.states).abs().max() > 0.1
    assert both.picture == f"{one.picture}+{two.picture}"


def test_ridge_says_whether_the_gap_is_corrected(capsys):
    ridge = ("--projection", "ridge", "--prompts", "64")
    made, error = embedded(capsys, "0.png", *ridge)
    assert not made.gap_corrected and "--gap-pictures" in error
    made, error = embedded(capsys, "0.png", *ridge, "--gap-pictures", *(f"{number}.png" for number in range(9)))
    assert made.gap_corrected and error == ""


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["broken.png"], 1, "broken.png"),
        (["0.png", "--alpha", "-1"], 2, "alpha is -1"),
        (["0.png", "--strength", "3"], 2, "strength is 3"),
        (["0.png", "--weights", "1,2"], 2, "2 weights for 1"),
        (["0.png", "--projection", "ridge", "--gap-pictures", "1.png"], 2, "about 40"),
        (["0.png", "--projection", "ridge", "--prompts", "3"], 2, "16 or more"),
        (["0.png", "--gap-pictures", "1.png"], 2, "--projection ridge"),
    ],
)
def test_one_sentence_for_what_cannot_be(capsys, arguments, status, says):
    _, error = embedded(capsys, *arguments, status=status)
    assert says in error and error.count("\n") == 1


def test_a_place_that_cannot_be_written(capsys):
    assert main(["embed", "0.png", "-o", "absent/out.safetensors", "--for", "micro"]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_every_family_offered_has_its_clip():
    assert set(command._FAMILIES) <= {family.name for family in FAMILIES.values() if family.clip}
