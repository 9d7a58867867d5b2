"""From the joint space to where a second encoder's texts lie, learned from texts: what is kept of it, and that a soft
prompt found that way is the picture's."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from unrender.core.clip.weights import map_tensors
from unrender.core.embed.families import MICRO_FAMILY
from unrender.core.embed.gap import shipped_gap
from unrender.core.embed.soft import crossing as crossing_module
from unrender.core.embed.soft.crossing import load_or_learn
from unrender.core.embed.soft.descent import Descent
from unrender.core.embed.soft.softener import Softener, Wanted
from unrender.core.embed.soft.space import Placing
from unrender.core.embed.text_side import TextSide
from unrender.core.errors import ModelError
from unrender.core.evidence.of_engine import bank_of_texts
from unrender.core.micro.pictures import render
from unrender.core.phrases.composed import composed_prompts

pytest_plugins = ["embed_fixtures"]

PARTS = ("matrix", "origin", "centre", "covariance", "vectors")


@pytest.fixture(scope="module")
def known(engine):
    """Micro, and its own text tower in another's place: the states of its ends, as if nobody knew the projection."""
    engine.text_features(["micro"])
    texts = composed_prompts(engine.read_vocabulary(), 256)
    return engine.clip, TextSide.of(engine.clip), engine.evidence(), texts


def learned(known, folder, **other):
    clip, side, evidence, texts = known
    return load_or_learn(folder, clip, other.get("side", side), evidence, other.get("texts", texts))


def same(one, other):
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in PARTS)


def test_is_learned_once_and_kept(known, tmp_path, monkeypatch):
    first = learned(known, tmp_path / "embed")
    (file,) = (tmp_path / "embed").iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(crossing_module, "_ends", lambda *_: pytest.fail("learned again"))
        again = learned(known, tmp_path / "embed")
    assert same(first, again)
    # in the same order in memory, as well: products of another round otherwise
    assert all(getattr(again, name).stride() == getattr(first, name).stride() for name in PARTS)
    learned(known, tmp_path / "embed", texts=known[3][:40])
    tuned = replace(known[1].weights, embedding=known[1].weights.embedding * 1.1)
    learned(known, tmp_path / "embed", side=replace(known[1], weights=tuned, known_fingerprint=""))
    assert len(list((tmp_path / "embed").iterdir())) == 3 and file.is_file(), "other texts and weights have their own"


def test_a_damaged_file_is_learned_again(known, tmp_path):
    from safetensors.torch import load_file, save

    first = learned(known, tmp_path)
    (file,) = tmp_path.iterdir()
    whole, tensors = file.read_bytes(), load_file(file)
    nan = {**tensors, "centre": tensors["centre"] * float("nan")}
    short = {**tensors, "centre": tensors["centre"][:-1].contiguous()}
    thin = {**tensors, "covariance": tensors["covariance"][:-1].contiguous()}
    less = {name: tensor for name, tensor in tensors.items() if name != "matrix"}
    for damaged in (b"", whole[: len(whole) // 2], b"x" * 100, save(nan), save(short), save(thin), save(less)):
        file.write_bytes(damaged)
        assert same(learned(known, tmp_path), first)
        assert file.read_bytes() == whole, "and put there whole"


def test_a_folder_that_cannot_be_written_costs_the_time_alone(known, tmp_path):
    (tmp_path / "embed").write_text("a file")
    assert same(learned(known, tmp_path / "embed"), learned(known, tmp_path / "other"))
    assert (tmp_path / "embed").read_text() == "a file"
    # the same of where texts lie, which every soft prompt asks for
    assert bank_of_texts(known[0], known[3], tmp_path / "embed").count == len(known[3])
    assert bank_of_texts(known[0], known[3], tmp_path / "new").count == len(known[3])
    assert len(list((tmp_path / "new").iterdir())) == 1


def test_weights_without_numbers_are_told_and_nothing_is_kept(known, tmp_path):
    spoilt = replace(known[1].weights, positions=known[1].weights.positions * float("nan"))
    with pytest.raises(ModelError, match=r"The second text encoder gives NaN; check the model's weights"):
        learned(known, tmp_path, side=replace(known[1], weights=spoilt))
    assert not list(tmp_path.iterdir())


def test_weights_in_several_precisions_and_texts_that_are_too_long(known, tmp_path):
    own = known[1].weights
    mixed = replace(own, blocks=tuple(map_tensors(block, torch.Tensor.half) for block in own.blocks))
    texts = [*known[3], "a red star, " * 40]
    exact = learned(known, tmp_path, texts=texts)
    found = learned(known, tmp_path, side=replace(known[1], weights=mixed), texts=texts)
    assert (found.matrix - exact.matrix).norm() < 0.1 * exact.matrix.norm()


def test_a_soft_prompt_found_through_it_is_the_pictures(known, engine, tmp_path):
    """Measured in the joint space, of which the descent knows nothing: each picture's prompt lies nearer to it than
    the empty prompt does, and of all pictures nearest to its own."""
    clip, side, _, texts = known
    crossing = learned(known, tmp_path)
    placing = Placing(bank_of_texts(clip, texts, tmp_path), shipped_gap("micro"))
    softener = Softener(MICRO_FAMILY, {"micro": side}, lambda _: crossing.space(placing, None))
    pictures = [each.permute(1, 2, 0).numpy() for each in render("test", 6).pixels]
    features = engine.picture_features(pictures)
    found = []
    for joint in features:
        soft = softener.soft(Wanted(joint), "", Descent(tokens=4, steps=30))
        found.append(softener.states("", soft)[1]["micro"])
    projection = side.weights.projection
    made = torch.nn.functional.normalize(torch.stack(found) @ projection.T, dim=-1)
    targets = torch.stack([placing.placed(joint) for joint in features])
    cosines = made @ targets.T
    empty = clip.encode_texts([""])[0] @ targets.T
    own = cosines.diagonal()
    assert bool((own > empty + 0.15).all()), (own, empty)
    assert torch.equal(cosines.argmax(dim=0), torch.arange(6)), cosines
    assert torch.equal(cosines.argmax(dim=1), torch.arange(6)), cosines
