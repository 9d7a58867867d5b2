"""Where a CLIP's text projection comes from when the model itself is not loaded."""

from __future__ import annotations

import json

import pytest
import torch
from hub_server import (  # noqa: F401
    FakeHub,
    hub_fixture,
    is_one_sentence,
    no_settings_of_this_machine_fixture,
    put_into_shared_cache,
    server_fixture,
)
from safetensors.torch import load_file, save
from unrender.core.embed import text_projection
from unrender.core.embed.text_projection import projection_file, projection_fingerprint, projection_of
from unrender.core.errors import ModelError
from unrender.core.hub import Hub

pytestmark = pytest.mark.usefixtures("no_settings_of_this_machine")

NAME = "ViT-L-14/openai"
REPO, FILE = "openai/clip-vit-large-patch14", "model.safetensors"
OPEN_CLIP_REPO, OPEN_CLIP_FILE = "timm/vit_large_patch14_clip_224.openai", "open_clip_model.safetensors"
POSITIONS = "text_model.embeddings.position_embedding.weight"
PROJECTION = torch.randn(48, 64, generator=torch.Generator().manual_seed(0)) / 8


def whole(projection: torch.Tensor = PROJECTION) -> bytes:
    """What stands for a whole CLIP in transformers' layout."""
    tensors = {
        "text_projection.weight": projection,
        POSITIONS: torch.ones(77, 64),
        "text_model.embeddings.token_embedding.weight": torch.zeros(1 << 18, 16),
        "vision_model.embeddings.patch_embedding.weight": torch.zeros(1 << 18, 16),
    }
    return save(tensors)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_it_alone_is_downloaded_and_kept(server: FakeHub, hub: Hub, dtype: torch.dtype) -> None:
    server.repos[REPO] = {FILE: whole(PROJECTION.to(dtype))}
    assert torch.equal(projection_of(NAME, hub), PROJECTION.to(dtype).float())
    assert sum(server.sent) < 50_000 < len(server.repos[REPO][FILE]) // 100
    kept = projection_file(NAME, hub)
    assert load_file(kept).keys() == {"text_projection.weight", POSITIONS}
    assert kept.is_relative_to(hub.folder) and list(kept.parent.iterdir()) == [kept]
    server.requests.clear()
    assert torch.equal(projection_of(NAME.upper(), hub), PROJECTION.to(dtype).float()) and server.requests == []


def test_the_whole_model_on_this_disk_will_do(server: FakeHub, hub: Hub, tmp_path) -> None:
    snapshot = put_into_shared_cache(tmp_path, {FILE: whole()}, repo=REPO)
    assert projection_file(NAME, hub) == snapshot / FILE
    assert torch.equal(projection_of(NAME, hub), PROJECTION)
    assert server.requests == [] and not hub.folder.exists()


def test_so_will_the_one_in_open_clips_format(server: FakeHub, hub: Hub, tmp_path) -> None:
    content = save({"text_projection": PROJECTION.T.contiguous(), "positional_embedding": torch.ones(77, 64)})
    put_into_shared_cache(tmp_path, {OPEN_CLIP_FILE: content}, repo=OPEN_CLIP_REPO)
    assert torch.equal(projection_of(NAME, hub), PROJECTION)
    assert server.requests == []


@pytest.mark.parametrize("garbage", [torch.zeros(48, 64), torch.full((48, 64), float("nan")), torch.zeros(48)])
def test_what_is_no_projection_is_not_kept(server: FakeHub, hub: Hub, garbage: torch.Tensor) -> None:
    server.repos[REPO] = {FILE: whole(garbage)}
    with pytest.raises(ModelError, match=rf"{FILE} of {REPO} has a text projection") as error:
        projection_of(NAME, hub)
    assert is_one_sentence(error)
    assert [path for path in hub.folder.rglob("*") if path.is_file()] == []
    server.repos[REPO] = {FILE: whole()}
    assert torch.equal(projection_of(NAME, hub), PROJECTION)


def test_a_fingerprint_that_is_known_is_compared(server: FakeHub, hub: Hub, monkeypatch) -> None:
    server.repos[REPO] = {FILE: whole()}
    monkeypatch.setattr(text_projection, "_FINGERPRINTS", {NAME: "0" * 64})
    with pytest.raises(ModelError, match="another text projection"):
        projection_of(NAME, hub)
    monkeypatch.setattr(text_projection, "_FINGERPRINTS", {NAME: projection_fingerprint(PROJECTION)})
    assert torch.equal(projection_of(NAME, hub), PROJECTION)


def test_lies_about_the_bytes_are_noticed(server: FakeHub, hub: Hub) -> None:
    content = whole()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["text_projection.weight"]["shape"] = [480, 64]
    lie = json.dumps(header).encode()
    server.repos[REPO] = {FILE: len(lie).to_bytes(8, "little") + lie + content[8 + length :]}
    with pytest.raises(ModelError, match="cannot be read as safetensors") as error:
        projection_of(NAME, hub)
    assert is_one_sentence(error) and REPO in str(error.value)


def test_without_a_hub_it_is_a_sentence(server: FakeHub, hub: Hub, monkeypatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match=r"text_projection\.weight in model\.safetensors of openai/.*OFFLINE") as error:
        projection_of(NAME, hub)
    assert is_one_sentence(error) and server.requests == []


@pytest.mark.parametrize("name", ["no such model", "RN50/yfcc15m"])
def test_a_model_that_has_none_to_give(hub: Hub, name: str) -> None:
    with pytest.raises(ModelError, match="by the name"):
        projection_of(name, hub)


def test_a_cache_that_cannot_be_written(server: FakeHub, tmp_path) -> None:
    server.repos[REPO] = {FILE: whole()}
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ModelError, match="give another folder as cache") as error:
        projection_of(NAME, Hub(tmp_path / "file"))
    assert is_one_sentence(error)
