"""The hub, against a small server: what it fetches, keeps, lists and removes."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hub_server import (  # noqa: F401
    BRANCH_COMMIT,
    COMMIT,
    LARGE,
    REPO,
    FakeHub,
    Recorder,
    hasty_fixture,
    hub_fixture,
    is_one_sentence,
    no_settings_of_this_machine_fixture,
    put_into_shared_cache,
    server_fixture,
)
from unrender.core.errors import Cancelled, ModelError
from unrender.core.hub import Hub
from unrender.core.hub.names import check_weights

PATIENCE = 4.0

pytestmark = pytest.mark.usefixtures("no_settings_of_this_machine")


# --- fetching ---


def test_a_download_arrives_whole_with_its_progress(server: FakeHub, hub: Hub) -> None:
    progress = Recorder()
    folder = hub.fetch(REPO, ["config.json", "model.safetensors"], progress, optional=["vocab.txt", "merges.txt"])
    assert (folder / "model.safetensors").read_bytes() == LARGE
    assert (folder / "vocab.txt").read_bytes() == server.repos[REPO]["vocab.txt"]
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors", "vocab.txt"]
    expected = sum(len(server.repos[REPO][name]) for name in ("config.json", "model.safetensors", "vocab.txt"))
    assert (progress.total, progress.seen, progress.unit) == (expected, expected, "B")
    assert REPO in progress.label
    assert progress.threads == {threading.get_ident()}
    assert not list(hub.folder.rglob("*.incomplete"))


def test_what_is_there_is_not_asked_for_again(server: FakeHub, hub: Hub) -> None:
    wanted = (REPO, ["config.json", "model.safetensors"])
    first = hub.fetch(*wanted, optional=["vocab.txt", "merges.txt"])
    server.requests.clear()
    assert hub.fetch(*wanted, optional=["vocab.txt", "merges.txt"]) == first
    assert hub.find(REPO, ["config.json", "model.safetensors"]) == first
    assert server.requests == []
    assert hub.find(REPO, ["config.json", "tokenizer.json"]) is None


def test_the_library_itself_reads_what_was_fetched(server: FakeHub, hub: Hub) -> None:
    """The layout is huggingface_hub's: its own look-up finds the files, and knows which do not exist."""
    from huggingface_hub import _CACHED_NO_EXIST, scan_cache_dir, try_to_load_from_cache

    folder = hub.fetch(REPO, ["config.json"], optional=["merges.txt"])
    found = try_to_load_from_cache(REPO, "config.json", cache_dir=str(hub.models))
    assert isinstance(found, str) and Path(found) == folder / "config.json"
    assert try_to_load_from_cache(REPO, "merges.txt", cache_dir=str(hub.models)) is _CACHED_NO_EXIST
    scanned = scan_cache_dir(hub.models)
    assert [repo.repo_id for repo in scanned.repos] == [REPO] and not scanned.warnings


def test_a_model_is_fetched_with_all_it_needs(server: FakeHub, hub: Hub) -> None:
    folder = hub.fetch_model(REPO)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors", "vocab.txt"]
    server.requests.clear()
    assert hub.fetch_model(REPO) == folder == hub.find_model(REPO)
    assert server.requests == []


def test_a_model_in_several_files_is_fetched_by_its_index(server: FakeHub, hub: Hub) -> None:
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    files = server.repos[REPO]
    del files["model.safetensors"]
    files["model-00001-of-00002.safetensors"] = b"one"
    files["model.safetensors.index.json"] = json.dumps(index).encode()
    with pytest.raises(ModelError, match="00002-of-00002"):
        hub.fetch_model(REPO)
    assert hub.find_model(REPO) is None
    files["model-00002-of-00002.safetensors"] = b"two!"
    assert hub.missing_model_files(REPO)["model-00002-of-00002.safetensors"] == 4
    folder = hub.fetch_model(REPO)
    assert set(check_weights(folder)) == {name for name in files if "safetensors" in name}
    assert hub.missing_model_files(REPO) == {}


def test_an_index_may_only_name_safetensors_inside_the_repository(server: FakeHub, hub: Hub) -> None:
    del server.repos[REPO]["model.safetensors"]
    for name in ("../../evil.safetensors", "/etc/evil.safetensors", "pytorch_model.bin"):
        index = json.dumps({"weight_map": {"a": name}}).encode()
        server.repos["someone/other"] = {"config.json": b"{}", "model.safetensors.index.json": index}
        with pytest.raises(ModelError, match="never fetched"):
            hub.fetch_model("someone/other")
        hub.remove("someone/other")


def test_the_size_is_known_before(server: FakeHub, hub: Hub) -> None:
    assert hub.list_files(REPO) == {name: len(data) for name, data in server.repos[REPO].items()}
    assert hub.missing_model_files(REPO) == {
        "config.json": 22,
        "model.safetensors": len(LARGE),
        "vocab.txt": 12,
    }
    hub.fetch(REPO, ["config.json"])
    assert set(hub.missing_model_files(REPO)) == {"model.safetensors", "vocab.txt"}
    assert not server.asked("GET", "model.safetensors")


def test_another_revision_is_kept_apart(server: FakeHub, hub: Hub) -> None:
    server.branches["refs/pr/7"] = {"config.json": b"{}", "model.safetensors": b"converted"}
    del server.repos[REPO]["model.safetensors"]
    folder = hub.fetch_model(REPO, revision="refs/pr/7")
    assert (folder / "model.safetensors").read_bytes() == b"converted"
    server.requests.clear()
    assert hub.fetch_model(REPO, revision="refs/pr/7") == folder
    assert hub.fetch_model(REPO, revision=BRANCH_COMMIT) == folder
    assert server.requests == []
    assert hub.find(REPO, ["config.json"], revision=COMMIT) is None


# --- interruptions ---


def test_a_broken_connection_is_taken_up_again(server: FakeHub, hub: Hub) -> None:
    server.break_after = [11 << 20, 11 << 20]
    progress = Recorder()
    folder = hub.fetch(REPO, ["model.safetensors"], progress)
    assert (folder / "model.safetensors").read_bytes() == LARGE
    ranges = [asked[2] for asked in server.asked("GET", "model.safetensors")]
    assert any(wanted not in ("", "bytes=0-0", "bytes=0-") for wanted in ranges)
    assert progress.seen == len(LARGE)


def test_what_came_before_a_breakdown_is_kept_and_does_not_look_complete(server: FakeHub, hasty: Hub, hub: Hub) -> None:
    server.break_after = [11 << 20] + [0] * 20
    with pytest.raises(ModelError, match=r"after \d+ MB.*next attempt goes on") as error:
        hasty.fetch(REPO, ["model.safetensors"])
    assert is_one_sentence(error)
    assert hub.find(REPO, ["model.safetensors"]) is None and hub.find_model(REPO) is None
    (part,) = hub.folder.rglob("*.incomplete")
    kept = part.stat().st_size
    assert 0 < kept < len(LARGE)
    (entry,) = hub.on_disk()
    assert entry.bytes == kept and not entry.usable
    server.break_after = []
    server.requests.clear()
    folder = hub.fetch(REPO, ["model.safetensors"])
    assert (folder / "model.safetensors").read_bytes() == LARGE
    assert f"bytes={kept}-" in [asked[2] for asked in server.asked("GET")]


def test_a_server_that_cannot_resume_starts_over(server: FakeHub, hasty: Hub, hub: Hub) -> None:
    server.break_after = [11 << 20] + [0] * 20
    with pytest.raises(ModelError):
        hasty.fetch(REPO, ["model.safetensors"])
    server.break_after, server.ignores_ranges = [], True
    folder = hub.fetch(REPO, ["model.safetensors"])
    assert (folder / "model.safetensors").read_bytes() == LARGE


def test_wrong_bytes_from_an_earlier_attempt_are_noticed(server: FakeHub, hub: Hub) -> None:
    etag = hashlib.sha256(LARGE).hexdigest()
    part = hub.models / "models--someone--some-model" / "blobs" / f"{etag}.incomplete"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"\0" * (5 << 20))
    folder = hub.fetch(REPO, ["model.safetensors"])
    assert (folder / "model.safetensors").read_bytes() == LARGE


def test_cancelling_stops_soon_and_keeps_what_came(server: FakeHub, hub: Hub) -> None:
    server.slowness = 0.1
    started = time.monotonic()
    with pytest.raises(Cancelled):
        hub.fetch(REPO, ["model.safetensors"], Recorder(cancel_after=1))
    assert time.monotonic() - started < 2.4 + 1.5
    assert hub.find(REPO, ["model.safetensors"]) is None
    server.slowness = 0.0
    assert (hub.fetch(REPO, ["model.safetensors"]) / "model.safetensors").read_bytes() == LARGE


def test_two_processes_may_fetch_the_same(server: FakeHub, hub: Hub, tmp_path: Path) -> None:
    server.slowness = 0.02
    code = (
        f"import sys; from unrender.core.hub import Hub; print(Hub(sys.argv[1]).fetch({REPO!r}, ['model.safetensors']))"
    )
    command = [sys.executable, "-c", code, str(hub.folder)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    folders = {process.communicate(timeout=60)[0].strip() for process in processes}
    assert [process.returncode for process in processes] == [0, 0]
    (folder,) = folders
    assert (Path(folder) / "model.safetensors").read_bytes() == LARGE
    whole = [asked for asked in server.asked("GET", "model.safetensors") if asked[2] in ("", "bytes=0-")]
    assert len(whole) == 1


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_bytes_that_are_not_those_of_the_hash_are_never_kept(server: FakeHub, hub: Hub, name: str) -> None:
    """Of a first attempt as of one that was taken up again; and asked for once more before it is given up."""
    assert hub.fetch(REPO, ["vocab.txt"])
    data = server.repos[REPO][name]
    server.swapped = {name: bytes([data[0] ^ 1]) + data[1:]}
    with pytest.raises(ModelError, match="not those of the file") as error:
        hub.fetch(REPO, [name])
    assert is_one_sentence(error)
    assert not [path.name for path in hub.models.rglob("*") if path.is_file() and path.stat().st_size == len(data)]
    server.swapped = {}
    assert (hub.fetch(REPO, [name]) / name).read_bytes() == data


# --- the shared cache ---


def test_the_shared_cache_is_used_in_place(server: FakeHub, hub: Hub, tmp_path: Path) -> None:
    files = {"config.json": b"{}", "vocab.txt": b"x", "model.safetensors": b"weights"}
    snapshot = put_into_shared_cache(tmp_path, files)
    assert hub.fetch(REPO, ["config.json", "model.safetensors"]) == snapshot
    assert hub.find_model(REPO) == snapshot
    assert server.requests == [] and not hub.models.exists()


@pytest.mark.parametrize("variable", ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"])
def test_the_shared_cache_may_lie_elsewhere(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    put_into_shared_cache(tmp_path, {"config.json": b"{}"})
    (tmp_path / "hf-home" / "hub").rename(tmp_path / "elsewhere")
    assert hub.find(REPO, ["config.json"]) is None
    monkeypatch.setenv(variable, str(tmp_path / "elsewhere"))
    assert hub.find(REPO, ["config.json"]) is not None


def test_only_what_the_shared_cache_lacks_is_downloaded(server: FakeHub, hub: Hub, tmp_path: Path) -> None:
    snapshot = put_into_shared_cache(tmp_path, {"model.safetensors": LARGE})
    before = sorted(path for path in (tmp_path / "hf-home").rglob("*"))
    progress = Recorder()
    folder = hub.fetch_model(REPO, progress)
    assert folder != snapshot and (folder / "model.safetensors").read_bytes() == LARGE
    assert (folder / "vocab.txt").is_file()
    assert not server.asked("GET", "model.safetensors") and progress.total == 22 + 12
    assert sorted(path for path in (tmp_path / "hf-home").rglob("*")) == before
    own = next(entry for entry in hub.on_disk() if not entry.shared)
    assert own.bytes < 10_000


def test_an_older_commit_in_the_shared_cache_is_not_mixed_with_the_newest(
    server: FakeHub, hub: Hub, tmp_path: Path
) -> None:
    old = "0" * 40
    snapshot = put_into_shared_cache(tmp_path, {"config.json": b"{}", "model.safetensors": b"old"}, old)
    assert hub.fetch(REPO, ["config.json", "model.safetensors"], optional=["vocab.txt"]) == snapshot


def test_without_a_network_what_is_there_will_do(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    snapshot = put_into_shared_cache(tmp_path, {"config.json": b"{}", "model.safetensors": b"weights"})
    assert hub.fetch_model(REPO) == snapshot


# --- listing and removing ---


def test_the_list_of_what_is_on_disk(server: FakeHub, hub: Hub, tmp_path: Path) -> None:
    assert hub.on_disk() == []
    folder = hub.fetch_model(REPO)
    put_into_shared_cache(tmp_path, {"pytorch_model.bin": b"p", "sub/config.json": b"{}"}, repo="else/where")
    own, shared = hub.on_disk()
    assert (own.repo, own.shared, own.usable) == (REPO, False, True)
    assert own.folder in folder.parents
    assert own.files == {"config.json": 22, "model.safetensors": len(LARGE), "vocab.txt": 12}
    assert own.bytes >= sum(own.files.values()) and own.bytes < sum(own.files.values()) + 1000
    assert (shared.repo, shared.shared, shared.usable) == ("else/where", True, False)
    assert shared.files == {"pytorch_model.bin": 1, "sub/config.json": 2}


def test_removing_frees_our_own_files_only(server: FakeHub, hub: Hub, tmp_path: Path) -> None:
    hub.fetch_model(REPO)
    shared = put_into_shared_cache(tmp_path, {"config.json": b"{}", "model.safetensors": b"theirs"})
    assert hub.remove(REPO) > len(LARGE)
    assert [entry.shared for entry in hub.on_disk()] == [True]
    with pytest.raises(ModelError, match="other programs") as error:
        hub.remove(REPO)
    assert is_one_sentence(error) and (shared / "model.safetensors").read_bytes() == b"theirs"
    with pytest.raises(ModelError, match="nothing of no/such"):
        hub.remove("no/such")


def test_removing_links_leaves_what_they_point_to(server: FakeHub, hub: Hub, tmp_path: Path) -> None:
    shared = put_into_shared_cache(tmp_path, {"model.safetensors": LARGE})
    hub.fetch_model(REPO)
    hub.remove(REPO)
    assert (shared / "model.safetensors").read_bytes() == LARGE


def test_a_cache_that_is_the_shared_one_is_left_alone(
    server: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = Hub(tmp_path / "cache")
    hub.fetch(REPO, ["config.json"])
    monkeypatch.setenv("HF_HUB_CACHE", str(hub.models))
    assert [entry.shared for entry in hub.on_disk()] == [True]
    with pytest.raises(ModelError, match="other programs"):
        hub.remove(REPO)


def test_links_are_not_needed(server: FakeHub, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows forbids them to most users."""

    def forbidden(self: Path, target: object, target_is_directory: bool = False) -> None:
        raise OSError("not permitted")

    put_into_shared_cache(tmp_path, {"vocab.txt": b"[PAD]\n[UNK]\n"})
    monkeypatch.setattr(Path, "symlink_to", forbidden)
    folder = hub.fetch_model(REPO)
    assert not (folder / "model.safetensors").is_symlink()
    assert (folder / "model.safetensors").read_bytes() == LARGE
    assert (folder / "vocab.txt").read_bytes() == b"[PAD]\n[UNK]\n"
    server.requests.clear()
    assert hub.fetch_model(REPO) == folder and server.requests == []
    assert next(iter(hub.on_disk())).files["model.safetensors"] == len(LARGE)


# --- where files land ---


def test_the_cache_folder_can_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNRENDER_CACHE", str(tmp_path / "from-env"))
    assert Hub().folder == tmp_path / "from-env"
    assert Hub(tmp_path / "given").folder == tmp_path / "given"
    assert Hub(tmp_path / "given").models == tmp_path / "given" / "models"


def test_the_platform_decides_where_the_cache_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import platformdirs

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert Hub().folder == Path(platformdirs.user_cache_dir("unrender", appauthor=False))
    if sys.platform == "linux":
        assert Hub().folder == tmp_path / "unrender"


def test_a_cache_that_cannot_be_written_gets_a_sentence(server: FakeHub, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ModelError, match="give another folder as cache") as error:
        Hub(tmp_path / "file").fetch(REPO, ["config.json"])
    assert is_one_sentence(error)


def test_a_full_disk_is_noticed_before(server: FakeHub, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    full = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    with pytest.raises(ModelError, match="make room"):
        hub.fetch_model(REPO)
    assert not server.asked("GET", "model.safetensors")


# --- local folders ---


def test_the_weights_of_a_local_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"holds no model\.safetensors"):
        check_weights(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ModelError, match=r"only as pytorch_model\.bin"):
        check_weights(tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-1.safetensors"}}')
    with pytest.raises(ModelError, match="lacks model-1"):
        check_weights(tmp_path)
    (tmp_path / "model-1.safetensors").write_bytes(b"")
    assert check_weights(tmp_path) == ("model.safetensors.index.json", "model-1.safetensors")
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert check_weights(tmp_path) == ("model.safetensors",)
