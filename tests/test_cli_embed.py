"""`unrender embed` on the toy model."""

from __future__ import annotations

import pytest
import torch
from PIL import Image
from unrender.cli import main
from unrender.core.embed import PromptEmbedding
from unrender.core.embed.embedder import Embedder
from unrender.core.embed.recommended import recommend
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


WRITTEN = "unrender: written to out.safetensors.\n"


def embedded(capsys, *arguments, status=0):
    """The embedding and what was said on standard error."""
    found = main(["embed", *arguments, "-o", "out.safetensors", "--for", "micro", "--device", "cpu"])
    out, error = capsys.readouterr()
    assert found == status and out == ""
    return (PromptEmbedding.load("out.safetensors") if status == 0 else None), error


def test_a_file_is_written(capsys):
    made, error = embedded(capsys, "0.png")
    assert made.states.shape == (77, 128) and made.projection == "pinv"
    assert error == WRITTEN


def test_two_with_weights_and_a_text(capsys):
    one, _ = embedded(capsys, "0.png")
    two, _ = embedded(capsys, "1.png")
    both, _ = embedded(capsys, "0.png", "1.png", "--weights", "3,1")
    assert torch.allclose(both.states, 0.75 * one.states + 0.25 * two.states, atol=1e-5)
    changed, _ = embedded(capsys, "0.png", "--text", "a red star", "--alpha", "0.9")
    assert (changed.states - one.states).abs().max() > 0.1
    assert both.picture == f"{one.picture}+{two.picture}"


def test_what_verify_recommended_is_the_default(capsys, tmp_path, monkeypatch):
    cache = ("--cache", str(tmp_path))
    made, _ = embedded(capsys, "0.png", *cache)
    recommend(tmp_path / "embed", made.fingerprint, "bank")
    monkeypatch.setattr(Embedder, "embed", lambda self, features, keys, chosen, *_: pytest.fail(f"chosen: {chosen}"))
    with pytest.raises(pytest.fail.Exception, match="chosen: bank"):
        embedded(capsys, "0.png", *cache)
    with pytest.raises(pytest.fail.Exception, match="chosen: pinv"):
        embedded(capsys, "0.png", *cache, "--projection", "pinv")


@pytest.mark.parametrize("projection", ["ridge", "bank", "anchored"])
def test_what_learned_says_whether_the_gap_is_corrected(capsys, projection, monkeypatch):
    learned = ("--projection", projection, "--prompts", "64", "--anchor", "a red star")
    made, error = embedded(capsys, "0.png", *learned)
    assert made.gap_corrected and made.projection == projection and error == WRITTEN
    monkeypatch.setattr("unrender.core.embed.gap.shipped_gap", lambda _: None)
    made, error = embedded(capsys, "0.png", *learned)
    remark = error.removeprefix(WRITTEN)
    assert not made.gap_corrected and "40 varied pictures" in remark and remark.count("\n") == 1 and remark != error
    made, error = embedded(capsys, "0.png", *learned, "--gap-pictures", *(f"{number}.png" for number in range(9)))
    assert made.gap_corrected and error == WRITTEN


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
