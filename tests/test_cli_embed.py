"""`unrender embed` on the toy model."""

from __future__ import annotations

import pytest
import torch
from PIL import Image
from unrender.cli import main
from unrender.core.embed import PromptEmbedding
from unrender.core.micro.pictures import render


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for number, pixels in enumerate(render("test", 9).pixels):
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(folder / f"{number}.png")
    (folder / "broken.png").write_bytes(b"not a picture")
    (folder / "broken.safetensors").write_bytes(b"no embedding either")
    Image.new("L", (9, 9)).save(folder / "black.png")
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


@pytest.mark.parametrize("projection", ["ridge", "bank", "anchored"])
def test_what_learned_says_whether_the_gap_is_corrected(capsys, projection, monkeypatch):
    learned = ("--projection", projection, "--prompts", "64", "--anchor", "a red star")
    made, error = embedded(capsys, "0.png", *learned)
    assert made.gap_corrected and made.projection == projection and error == ""
    monkeypatch.setattr("unrender.core.embed.gap.shipped_gap", lambda _: None)
    made, error = embedded(capsys, "0.png", *learned)
    assert not made.gap_corrected and "40 varied pictures" in error and error.count("\n") == 1
    made, error = embedded(capsys, "0.png", *learned, "--gap-pictures", *(f"{number}.png" for number in range(9)))
    assert made.gap_corrected and error == ""


def test_an_edit_by_the_anchor(capsys):
    anchored = ("--projection", "anchored", "--prompts", "64", "--anchor", "a red star")
    same, _ = embedded(capsys, "0.png", *anchored)
    changed, _ = embedded(capsys, "0.png", *anchored, "--text", "a blue star")
    assert (changed.states - same.states).abs().max() > 0.1


def test_minus_a_text_or_a_picture(capsys):
    plain, _ = embedded(capsys, "0.png")
    less_text, _ = embedded(capsys, "0.png", "--minus", "a red star")
    less_picture, _ = embedded(capsys, "0.png", "--minus", "1.png")
    assert len({float(each.states.sum()) for each in (plain, less_text, less_picture)}) == 3


def test_a_part_of_the_picture(capsys):
    picture = Image.open("0.png")
    picture.crop((10, 20, 50, 60)).save("part.png")
    mask = Image.new("L", picture.size)
    mask.paste(255, (10, 20, 50, 60))
    mask.save("mask.png")
    part, _ = embedded(capsys, "part.png")
    for option in (("--crop", "10,20,40,40"), ("--mask", "mask.png")):
        assert torch.equal(embedded(capsys, "0.png", *option)[0].states, part.states)


def test_files_are_mixed_and_listed(capsys):
    for number in (0, 1):
        made, _ = embedded(capsys, f"{number}.png")
        made.save(f"e{number}.safetensors")
    assert main(["embed", "e0.safetensors", "e1.safetensors", "-o", "both.safetensors", "--weights", "3,1"]) == 0
    both, _ = embedded(capsys, "0.png", "1.png", "--weights", "3,1")
    assert torch.allclose(PromptEmbedding.load("both.safetensors").states, both.states, atol=1e-5)
    capsys.readouterr()
    assert main(["embed", "--list", "e0.safetensors", "both.safetensors"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == "e0.safetensors\tthe micro model (micro), states 77 x 128, 1 picture, pinv"
    assert "2 pictures" in second


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
        (["0.png", "--projection", "ridge", "--text", "a red star"], 2, "strength below 1"),
        (["0.png", "--crop", "90,90,10,10"], 1, "leaves nothing"),
        (["0.png", "--crop", "9,9"], 2, "left, top, width and height"),
        (["0.png", "--crop", "0,0,9,9", "--mask", "1.png"], 2, "give one of them"),
        (["0.png", "--mask", "black.png"], 1, "black all over"),
        (["0.png", "--list"], 2, "can be listed"),
        (["broken.safetensors"], 1, "cannot be read as a prompt embedding"),
    ],
)
def test_one_sentence_for_what_cannot_be(capsys, arguments, status, says):
    _, error = embedded(capsys, *arguments, status=status)
    assert says in error and error.count("\n") == 1


def test_a_place_that_cannot_be_written(capsys):
    assert main(["embed", "0.png", "-o", "absent/out.safetensors", "--for", "micro"]) == 1
    assert "cannot be written" in capsys.readouterr().err
