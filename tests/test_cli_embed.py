"""`unrender embed` on the toy model."""

from __future__ import annotations

import pytest
import torch
from PIL import Image
from unrender.cli import main
from unrender.core.embed import PromptEmbedding
from unrender.core.embed.blend import Blend
from unrender.core.embed.embedder import Embedder
from unrender.core.embed.kinds import Way
from unrender.core.embed.recommended import recommend
from unrender.core.engine import Engine, Settings
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


QUICK = ("--quality", "quick")
WRITTEN = "unrender: written to out.safetensors.\n"


def embedded(capsys, *arguments, status=0):
    """The embedding and what was said on standard error."""
    found = main(["embed", *arguments, "-o", "out.safetensors", "--for", "micro", "--device", "cpu"])
    out, error = capsys.readouterr()
    assert found == status and out == ""
    return (PromptEmbedding.load("out.safetensors") if status == 0 else None), error


def test_a_file_is_written(capsys):
    made, error = embedded(capsys, "0.png")
    assert made.states.shape == (77, 128) and made.projection == "soft" and made.gap_corrected
    assert error == WRITTEN


def test_a_search_and_its_captioner_are_of_the_best_alone(capsys, monkeypatch):
    prompts = []
    found = Engine._described
    monkeypatch.setattr(Engine, "_described", lambda *given: prompts.append(found(*given)) or prompts[-1])
    best, _ = embedded(capsys, "0.png", "--quality", "best")
    ((prompt,),) = prompts
    with Engine(Settings(clip="micro", captioner="micro", device="cpu")) as engine:
        assert prompt == engine.interrogate("0.png").prompt
    mute, _ = embedded(capsys, "0.png", "--captioner", "none")
    assert len(prompts) == 2 and prompts[0] != prompts[1]
    described, _ = embedded(capsys, "0.png", "--anchor", prompt)
    good, _ = embedded(capsys, "0.png", "--quality", "good")
    assert len(prompts) == 2
    with Engine(Settings(clip="micro", captioner=None, device="cpu")) as engine:
        given = engine.embed("0.png", "micro", "soft", Blend(anchor=prompt))
    assert torch.allclose(described.states, given.states, atol=1e-5)
    assert not torch.allclose(mute.states, best.states, atol=1e-2)
    with Engine(Settings(clip="micro", captioner=None, device="cpu")) as engine:
        expected = engine.embed("0.png", "micro", quality="good")
    assert torch.allclose(good.states, expected.states, atol=1e-5)


def test_quick_is_the_closed_form_and_tokens_are_as_many_as_asked(capsys):
    quick, _ = embedded(capsys, "0.png", *QUICK)
    named, _ = embedded(capsys, "0.png", "--projection", "pinv")
    assert quick.projection == "pinv" and torch.equal(quick.states, named.states)
    none, two = (embedded(capsys, "0.png", "--anchor", "a red star", "--tokens", count)[0] for count in ("0", "2"))
    assert (none.states - two.states).abs().max() > 0.1


def test_a_bank_says_where_pictures_lie(capsys, monkeypatch, folder):
    several = folder / "several"
    several.mkdir()
    for number, pixels in enumerate(render("train", 40).pixels):
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(several / f"{number}.png")
    monkeypatch.setattr("unrender.core.embed.gap.shipped_gap", lambda _: None)
    good = ("0.png", "--quality", "good")
    plain, _ = embedded(capsys, *good)
    with_bank, _ = embedded(capsys, *good, "--bank", "several")
    assert not plain.gap_corrected and with_bank.gap_corrected
    assert (with_bank.states - plain.states).abs().max() > 0.1


def test_two_with_weights_and_a_text(capsys):
    one, _ = embedded(capsys, "0.png", *QUICK)
    two, _ = embedded(capsys, "1.png", *QUICK)
    both, _ = embedded(capsys, "0.png", "1.png", "--weights", "3,1", *QUICK)
    assert torch.allclose(both.states, 0.75 * one.states + 0.25 * two.states, atol=1e-5)
    changed, _ = embedded(capsys, "0.png", "--text", "a red star", "--alpha", "0.9", *QUICK)
    assert (changed.states - one.states).abs().max() > 0.1
    assert both.picture == f"{one.picture}+{two.picture}"


def test_what_verify_recommended_is_the_default(capsys, tmp_path, monkeypatch):
    cache = ("--cache", str(tmp_path))
    made, _ = embedded(capsys, "0.png", *cache, *QUICK)
    monkeypatch.setattr(Embedder, "embed", lambda self, features, keys, way, *_: pytest.fail(f"chosen: {way}"))

    def chosen(*options):
        with pytest.raises(pytest.fail.Exception) as found:
            embedded(capsys, "0.png", *cache, *options)
        return str(found.value).removeprefix("chosen: ")

    for recommended, way in (("bank", Way("bank")), ("good", Way("soft"))):
        recommend(tmp_path / "embed", made.fingerprint, recommended)
        assert chosen() == str(way)
        assert chosen("--projection", "pinv") == chosen(*QUICK) == str(Way("pinv"))


@pytest.mark.parametrize("projection", ["ridge", "bank", "anchored"])
def test_what_learned_says_whether_the_gap_is_corrected(capsys, projection, monkeypatch):
    anchor = ("--anchor", "a red star") if projection == "anchored" else ()
    learned = ("--projection", projection, "--prompts", "64", *anchor)
    made, error = embedded(capsys, "0.png", *learned)
    assert made.gap_corrected and made.projection == projection and error == WRITTEN
    monkeypatch.setattr("unrender.core.embed.gap.shipped_gap", lambda _: None)
    made, error = embedded(capsys, "0.png", *learned)
    remark = error.removeprefix(WRITTEN)
    assert not made.gap_corrected and "40 varied pictures" in remark and remark.count("\n") == 1 and remark != error
    made, error = embedded(capsys, "0.png", *learned, "--gap-pictures", *(f"{number}.png" for number in range(9)))
    assert made.gap_corrected and error == WRITTEN


@pytest.mark.parametrize("way", [("--projection", "anchored", "--prompts", "64"), ("--quality", "good"), ()])
def test_an_edit_by_the_anchor(capsys, way):
    anchored = (*way, "--anchor", "a red star")
    same, _ = embedded(capsys, "0.png", *anchored)
    changed, _ = embedded(capsys, "0.png", *anchored, "--text", "a blue star")
    assert (changed.states - same.states).abs().max() > 0.1


def test_minus_a_text_or_a_picture(capsys):
    plain, _ = embedded(capsys, "0.png", *QUICK)
    less_text, _ = embedded(capsys, "0.png", "--minus", "a red star", *QUICK)
    less_picture, _ = embedded(capsys, "0.png", "--minus", "1.png", *QUICK)
    assert len({float(each.states.sum()) for each in (plain, less_text, less_picture)}) == 3


def test_a_part_of_the_picture(capsys):
    picture = Image.open("0.png")
    picture.crop((10, 20, 50, 60)).save("part.png")
    mask = Image.new("L", picture.size)
    mask.paste(255, (10, 20, 50, 60))
    mask.save("mask.png")
    part, _ = embedded(capsys, "part.png", *QUICK)
    for option in (("--crop", "10,20,40,40"), ("--mask", "mask.png")):
        assert torch.equal(embedded(capsys, "0.png", *option, *QUICK)[0].states, part.states)


def test_files_are_mixed_and_listed(capsys):
    for number in (0, 1):
        made, _ = embedded(capsys, f"{number}.png", *QUICK)
        made.save(f"e{number}.safetensors")
    assert main(["embed", "e0.safetensors", "e1.safetensors", "-o", "both.safetensors", "--weights", "3,1"]) == 0
    both, _ = embedded(capsys, "0.png", "1.png", "--weights", "3,1", *QUICK)
    assert torch.allclose(PromptEmbedding.load("both.safetensors").states, both.states, atol=1e-5)
    capsys.readouterr()
    assert main(["embed", "--list", "e0.safetensors", "both.safetensors"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == "e0.safetensors\tthe micro model (micro), states 77 x 128, pooled 128, 1 picture, pinv"
    assert "2 pictures" in second
