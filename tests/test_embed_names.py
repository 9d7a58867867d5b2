"""The names that embeddings are saved under: legal wherever the file may be carried, and never written over unasked."""

from __future__ import annotations

import re

import pytest
import torch
from unrender.core.embed import PromptEmbedding
from unrender.core.embed.folder import path_for, save_as, saved_embeddings
from unrender.core.embed.kinds import is_plain_name
from unrender.core.embed.tuned_places import place_of
from unrender.core.errors import EmbeddingError, SettingsError
from unrender.core.file_names import NAME_BYTES
from unrender.core.settings import Settings
from unrender.server.embeddings import Kept, is_taken, save
from unrender.server.host import alone

LEGAL = (
    "a boat",
    "a boat.safetensors",
    "a boat.SafeTensors",
    " kept ",
    "animals/cat",
    "München",
    "猫",
    "v1.5",
    "a-",
    "(1)",
    "x" * 130,
    "console",
)
ILLEGAL = (
    *(
        "",
        " ",
        ".",
        "..",
        "../up",
        "/etc/here",
        "a//b",
        "animals/",
        "a\\b",
        "C:\\cat",
        "a:b",
        "a|b",
        'a"b',
        "<a>",
        "a?",
    ),
    *("CON", "con", "nul.txt", "LPT1", "com¹", "aux", "animals/NUL", "NUL/cat", "CONOUT$"),
    *("cat.", "cat .", ".cat", "dogs./cat", "dogs /cat", "dogs/ cat"),
    *("a\nb", "a\tb", "a\0b", "a\x7fb", "a\u202eb", "a\u200bb", "\udc80"),
    *("x" * 144, "é" * 72, "a/" + "猫" * 48),
)


@pytest.fixture(scope="module")
def embedding() -> PromptEmbedding:
    return PromptEmbedding("micro", torch.ones(77, 128))


@pytest.mark.parametrize("name", LEGAL)
def test_a_legal_name_is_kept_to_the_letter(tmp_path, embedding, name):
    path = save_as(embedding, tmp_path, name)
    wanted = re.sub(r"\.safetensors$", "", name.strip(), flags=re.IGNORECASE) + ".safetensors"
    assert list(saved_embeddings(tmp_path)) == [wanted] and path == tmp_path / wanted
    assert all(len(part.encode()) <= NAME_BYTES for part in wanted.split("/"))


@pytest.mark.parametrize("name", ILLEGAL)
def test_an_illegal_name_is_refused_and_a_legal_one_told(tmp_path, embedding, name):
    with pytest.raises(EmbeddingError, match="no name") as refused:
        save_as(embedding, tmp_path / "in", name)
    assert not list(tmp_path.rglob("*")), "something was made"
    told = refused.value.cures[0]
    assert isinstance(told, str) and told.startswith("call it ")
    save_as(embedding, tmp_path / "in", told.removeprefix("call it "))


def test_no_link_in_the_folder_leads_out_of_it_or_goes_in_a_circle(tmp_path, embedding):
    folder, outside = tmp_path / "in", tmp_path / "out"
    for place in (folder, outside):
        place.mkdir()
    links = {"out": outside, "circle": folder / "circle", "away.safetensors": outside / "away.safetensors"}
    for name, target in {**links, "round.safetensors": folder / "round.safetensors"}.items():
        (folder / name).symlink_to(target)
    for name in ("out/x", "circle/x"):
        with pytest.raises(EmbeddingError, match=r"links at .* lead out of .*, or in a circle; choose another name"):
            save_as(embedding, folder, name)
    with pytest.raises(EmbeddingError, match="cannot be written"):
        save_as(embedding, folder, "round")
    assert save_as(embedding, folder, "away") == folder / "away.safetensors"
    assert not list(outside.iterdir()) and not (folder / "away.safetensors").is_symlink()


def test_a_used_name_is_asked_about(tmp_path, embedding):
    host = alone(Settings(clip="micro", cache=tmp_path))
    kept, other = Kept(embedding), Kept(PromptEmbedding("micro", torch.zeros(77, 128)))
    assert not is_taken(host, "cat")
    path = save(host, kept, "cat")
    for same in ("cat", " cat ", "cat.safetensors", "cat.SAFETENSORS"):
        assert is_taken(host, same) and path_for(path.parent, same) == path
    for another in ("cat 2", "animals/cat"):
        assert not is_taken(host, another)
    save(host, other, "cat")
    assert torch.equal(PromptEmbedding.load(path).states, torch.zeros(77, 128))
    with pytest.raises(EmbeddingError, match="no name"):
        is_taken(host, "../cat")


@pytest.mark.parametrize("name", ["x" * 5000, "a/" * 2500, "~nobody/x", "x\0y", "\ud800", ".", "/", "con"])
def test_a_tuned_projection_of_no_such_name_is_not_there(tmp_path, name):
    assert not is_plain_name(name)
    with pytest.raises(SettingsError, match="There is no tuned projection") as caught:
        place_of(f"tuned:{name}", tmp_path)
    str(caught.value).encode()
    assert len(str(caught.value)) < 300
