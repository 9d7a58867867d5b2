"""The one table of what others publish: nothing else names it, and a hub can be asked whether it still holds."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import unrender
from hub_server import (
    FakeHub,
    hub_fixture,  # noqa: F401
    no_settings_of_this_machine_fixture,  # noqa: F401
    server_fixture,  # noqa: F401
)
from unrender.cli import main
from unrender.core import published
from unrender.core.choices import CLIPS
from unrender.core.errors import ModelError
from unrender.core.hub import Hub
from unrender.core.hub import check as checking
from unrender.core.hub.transfer import Listed, Listing
from unrender.core.publication import WEIGHTS_INDEX
from unrender.core.published import ALL, CAPTIONERS, TAGGERS, Published

pytestmark = pytest.mark.usefixtures("no_settings_of_this_machine")
ROOT = Path(unrender.__path__[0])
ROOMS = ("core", "cli", "server", "nodes", "extension")
NO_REPOSITORY = re.compile(
    r"owner/name|organisation/repo|name/tag|ViT-[\w]+/\d\d|.*\.(py|json)|(benchmarks|docs|tests|refs|blobs|prompt|image|text)/.*",
    re.I,
)
"""What looks like one in core, and is a form, an architecture's title, or a path."""


def texts(*rooms: str) -> Iterator[tuple[Path, str]]:
    for room in rooms:
        for path in sorted((ROOT / room).rglob("*.py")):
            if not path.name.startswith("published"):
                tree = ast.parse(path.read_text(encoding="utf-8"))
                found = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
                yield from ((path, text) for text in found if isinstance(text, str))


def test_core_names_no_repository_and_no_model_outside_the_table() -> None:
    name = re.compile(r"(?<![\w./:@<-])[A-Za-z][\w.-]+/\w[\w.-]*\w(?![\w/])")
    found = [(path.name, each) for path, text in texts("core") for each in name.findall(text)]
    assert len(found) > 5
    assert [each for each in found if not NO_REPOSITORY.fullmatch(each[1])] == []


def test_no_door_names_a_repository() -> None:
    owners = "|".join(sorted({re.escape(row.repo.partition("/")[0]) for row in ALL}))
    named = re.compile(rf"(?<![\w./-])({owners})/\w")
    assert [(path.name, text) for path, text in texts(*ROOMS) if named.search(text)] == []


def test_the_table_says_each_thing_once_and_where_it_was_seen() -> None:
    assert len({(row.kind, row.name) for row in ALL}) == len(ALL)
    for row in ALL:
        assert row.seen and row.files and re.fullmatch(r"[\w-]+/[\w.-]+", row.repo), row
        assert row.sure != "seen" or any(row.files.values()) or row is published.TOKENIZER, row


def test_what_hosts_are_offered_has_safetensors() -> None:
    assert CLIPS[0] == published.VIT_L and CLIPS[-1] == "micro"
    assert "ViT-L-14-336/openai" not in CLIPS
    small = published.in_transformers_format("ViT-B-32/openai")
    assert small is not None and re.fullmatch("[0-9a-f]{40}", small.revision)


# --- asked at a hub ---

ROWS = tuple(
    Published("captioner", name, f"someone/{name}", {"config.json": 0, "model.safetensors": 5}, "seen", "here")
    for name in ("well", "gone", "renamed", "other-size", "gated", "pickled", "branch")
)
FILES = {"config.json": b"{}", "model.safetensors": b"12345", "README.md": b""}


@pytest.fixture(name="asked")
def asked_fixture(server: FakeHub, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    rows = (*ROWS[:-1], Published(**{**vars(ROWS[-1]), "revision": "refs/pr/7"}))
    monkeypatch.setattr(checking, "ALL", rows)
    monkeypatch.setattr(checking.check_published, "__defaults__", (rows, *checking.check_published.__defaults__[1:]))
    server.repos = {row.repo: dict(FILES) for row in rows if row.name != "gone"}
    server.renamed = {"someone/renamed": "else/renamed"}
    server.repos["else/renamed"] = server.repos.pop("someone/renamed")
    server.repos["someone/other-size"]["model.safetensors"] = b"123456"
    server.gated["someone/gated"] = {"hf_token"}
    server.repos["someone/pickled"] = {"config.json": b"{}", "pytorch_model.bin": b"12345"}
    return server


def test_what_changed_on_the_hub_is_said(asked: FakeHub, hub: Hub) -> None:
    told = {finding.row.name: "; ".join(finding.changes) for finding in checking.check_published(hub)}
    assert told["well"] == ""
    assert told["gone"].startswith("is gone or private")
    assert told["renamed"] == "is called else/renamed now"
    assert told["other-size"] == "has model.safetensors with 6 bytes instead of 5"
    assert told["gated"].startswith("is gated")
    assert told["pickled"] == "has no model.safetensors, but pytorch_model.bin"
    assert told["branch"] == "has no revision refs/pr/7 any more"


def test_a_counted_size_may_be_off_by_a_little() -> None:
    row = Published("CLIP", "a", "a/b", {"model.safetensors": 1_000_000}, "told", "here")
    assert not list(checking._other_files(row, of_size(1_020_000)))
    assert list(checking._other_files(row, of_size(500_000)))


def of_size(size: int) -> Listing:
    return Listing("c" * 40, {"model.safetensors": Listed(size)})


def test_a_hub_out_of_reach_is_one_sentence(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match="The hub cannot be asked: the connection was refused"):
        checking.check_published(Hub(hub.folder, patience=1))


def test_the_command_says_what_changed_by_its_status(
    asked: FakeHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = ["--cache", str(tmp_path / "cache")]
    assert main(["models", "--check", *cache]) == 1
    out = capsys.readouterr().out
    assert "else/renamed" in out and "someone/gone" in out and out.count("\n") < 20
    assert main(["models", "--check", "--json", *cache]) == 1
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["name"] for row in rows if not row["changes"]] == ["well"]
    asked.repos = {row.repo: dict(FILES) for row in ROWS}
    asked.renamed, asked.gated = {}, {}
    asked.branches["refs/pr/7"] = dict(FILES)
    assert main(["models", "--check", *cache]) == 0
    assert "as expected" in capsys.readouterr().out


def test_every_row_is_asked_for_as_it_is_published(server: FakeHub, hub: Hub) -> None:
    """A hub that holds what the table says has nothing to report, whatever the revision."""
    server.repos = {row.repo: {} for row in ALL}
    for row in ALL:
        small = dict.fromkeys(row.files, b"")
        server.repos[row.repo] |= small
        if row.revision != "main":
            server.branches[row.revision] = small
    rows = [Published(**{**vars(row), "files": dict.fromkeys(row.files, 0), "bytes": None}) for row in ALL]
    assert [finding for finding in checking.check_published(hub, rows) if finding.changes] == []


def test_captioners_known_by_name_are_the_tables() -> None:
    from unrender.core.describe import KNOWN_CAPTIONERS

    assert list(KNOWN_CAPTIONERS.values()) == list(CAPTIONERS)


def test_every_address_on_a_hub_that_is_shipped_is_in_the_table() -> None:
    known = {f"{row.repo}/resolve/{row.revision}/{name}" for row in ALL for name in row.files}
    address = re.compile(r"huggingface\.co/([\w.-]+/[\w.-]+/[\w./-]+)")
    pages = [path for folder in ("workflows", "docs", "web", "locales") for path in (ROOT / folder).rglob("*.*")]
    texts_of = [path.read_text("utf-8") for path in pages if path.suffix in (".json", ".md")]
    named = {found for text in texts_of for found in address.findall(text)}
    assert named and named <= known


def test_the_documentation_names_repositories_of_the_table_alone() -> None:
    owners = "|".join(sorted({re.escape(row.repo.partition("/")[0]) for row in ALL}))
    named = re.compile(rf"(?<![\w./-])(?:{owners})/[\w.-]*\w")
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "web").rglob("*.md")]
    found = {each for page in pages for each in named.findall(page.read_text("utf-8"))}
    assert found and found <= {row.repo for row in ALL}


def test_the_documentation_has_the_tables_sizes() -> None:
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    for row in (*CAPTIONERS, *TAGGERS):
        size = "shown first" if row.bytes is None else f"{row.bytes / 1e9:.1f} GB"
        assert re.search(rf"^\| `{re.escape(row.name)}` \| .* \| {size} \|$", page, re.M), row.name


def test_every_recommended_model_can_be_downloaded_by_the_name_in_the_list(
    server: FakeHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from unrender.core.catalogue import recommended

    for row in ALL:
        server.repos.setdefault(row.repo, {}).update(dict.fromkeys(row.files, b"{}"))
        if row.revision != "main":
            server.branches[row.revision] = dict.fromkeys(row.files, b"{}")
        if WEIGHTS_INDEX in row.files:
            parts = {WEIGHTS_INDEX: b'{"weight_map": {"a": "model-1.safetensors"}}', "model-1.safetensors": b"{}"}
            server.repos[row.repo].update(parts)
    cache = tmp_path / "cache"
    for model in recommended(Hub(cache)):
        assert main(["models", "download", model.name, "--yes", "--cache", str(cache)]) == 0, model.name
    assert all(model.on_disk for model in recommended(Hub(cache)))
