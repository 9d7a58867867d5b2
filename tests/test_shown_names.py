"""Names that hold what steers a terminal or turns a text's direction: written out wherever they are shown."""

from __future__ import annotations

import ast
import io
import json
import os
import sys
from pathlib import Path

import pytest
import unrender
from batch_setting import folder_fixture, run  # noqa: F401
from PIL import Image
from unrender import cli
from unrender.cli import wording as cli_wording
from unrender.core.cures import PYTHON
from unrender.core.errors import ImageError
from unrender.core.printable import visible
from unrender.nodes import wording as node_wording
from unrender.server import wording as server_wording

ROOT = Path(str(unrender.__file__)).parent
HOSTILE = "a\x1b[2J\x1b]0;owned\x07\u202egnp\r\x9b31m\u2066\ufeff.png"
SHOWN = r"a\x1b[2J\x1b]0;owned\x07\u202egnp\r\x9b31m\u2066\ufeff.png"
STEERING = frozenset("\x1b\x07\x9b\u202e\u2066\r\ufeff")
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such names")


@pytest.fixture(name="hostile")
def hostile_fixture(tmp_path, monkeypatch):
    """A picture and a file that is none, in the working folder, with such names."""
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (32, 32), "red").save(tmp_path / HOSTILE)
    (tmp_path / f"broken{HOSTILE}").write_bytes(b"no picture")
    return tmp_path


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("a café, 猫 🏳️‍🌈.png", "a café, 猫 🏳️‍🌈.png"),
        ("a\nb\tc", r"a\nb\tc"),
        ("\u2028\u2029\x85\x7f\0", r"\u2028\u2029\x85\x7f\x00"),
        (os.fsdecode(b"caf\xe9") if os.name != "nt" else "caf\udce9", "caf\udce9"),
        ("\udc9b31m\udc1b\ud800", r"\x9b31m\udc1b\ud800"),
        (HOSTILE, SHOWN),
    ],
)
def test_what_is_seen_stays_and_all_else_is_written_out(text, seen):
    assert visible(text) == seen and visible(seen) == seen
    assert visible("a\n\tb", "\n\t") == "a\n\tb"


@pytest.mark.parametrize(
    "words", [PYTHON, cli_wording.WORDS, node_wording.WORDS, server_wording.PAGE, server_wording.API]
)
def test_every_door_tells_an_error_s_name_written_out(words):
    assert SHOWN in ImageError(f"{HOSTILE} is damaged", f"look at {HOSTILE}").said(words)
    assert not STEERING & {*ImageError(f"{HOSTILE} is damaged", f"look at {HOSTILE}").said(words)}


COMMANDS = {
    "interrogate": ["interrogate", "NAME", "BROKEN", "--mode", "fast", "--captioner", "micro"],
    "analyze": ["analyze", "NAME", "BROKEN", "--categories", "mediums"],
    "match": ["match", "NAME", "a \x1b[31mred square"],
    "locate": ["locate", "NAME", "a \x1b[31mred square"],
    "metadata": ["metadata", "NAME", "BROKEN"],
    "index": ["index", "."],
    "batch": ["batch", ".", "--mode", "fast", "--captioner", "micro", "--dry-run", "--output", "rename"],
    "absent": ["interrogate", "absent\x1b[2J\u202e.png"],
    "embed": ["embed", "NAME", "-o", "\x1b[2J/absent.safetensors", "--for", "sd15"],
    "csv": ["search", ".", "a red square", "--csv"],
}


@POSIX
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("on_a_terminal", [False, True])
def test_no_command_lets_a_name_steer_the_terminal(hostile, command, on_a_terminal, capsys, monkeypatch):
    if command == "csv":
        assert cli.main(["index", ".", "--clip", "micro"]) == 1
    given = [{"NAME": HOSTILE, "BROKEN": f"broken{HOSTILE}"}.get(word, word) for word in COMMANDS[command]]
    capsys.readouterr()
    if on_a_terminal:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
        monkeypatch.setenv("TERM", "dumb")  # rich's own colours apart
    elif command == "csv":
        pytest.skip("a table is exact where a program reads it")
    cli.main([*given, *([] if command == "metadata" else ["--clip", "micro"])])
    said = capsys.readouterr()
    assert not STEERING & {*said.out, *said.err}, ascii(said.out + said.err)
    if command not in ("absent", "embed", "locate", "index"):
        assert SHOWN in said.out


@POSIX
def test_progress_does_not_either(monkeypatch):
    from rich.console import Console
    from unrender.cli.progress import TerminalProgress

    monkeypatch.setattr("unrender.cli.progress.SHOWN_AFTER_SECONDS", 0.0)
    screen = io.StringIO()
    console = Console(file=screen, width=300, force_terminal=True, legacy_windows=False)
    with TerminalProgress(console).task(f"Interrogating {HOSTILE}", 3):
        pass
    said = screen.getvalue()
    assert SHOWN in said and not any(each in said for each in ("\x1b[2J", "\x1b]0;", "\u202e", "\x9b"))


@POSIX
def test_json_stays_exact(hostile, capsys):
    assert cli.main(["metadata", HOSTILE, "--json"]) == 0
    out = capsys.readouterr().out
    assert json.loads(out)["image"] == HOSTILE and not STEERING & {*out}


def test_json_has_no_delete_either(capsys):
    from unrender.cli.streams import write_json

    write_json({"image": "a\x7f.png"})
    out = capsys.readouterr().out
    assert json.loads(out) == {"image": "a\x7f.png"} and "\x7f" not in out


def test_pages_and_nodes_show_them_written_out(tmp_path):
    from unrender.core.curate.findings import Report
    from unrender.core.curate.page import write_page
    from unrender.server.jobs import Job
    from unrender.server.service import DONE
    from unrender.server.service import Report as Line

    report = Report(tmp_path, HOSTILE, 0, (), (HOSTILE,), {})
    write_page(report, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count(SHOWN) == 2 and not STEERING & {*page}
    assert SHOWN in Line[None](HOSTILE, DONE).line
    job = Job()
    with job.task(HOSTILE):
        assert job.text == SHOWN


@pytest.mark.parametrize("module", sorted((ROOT / "cli").glob("*.py")), ids=lambda path: path.stem)
def test_every_line_goes_one_way(module):
    """To standard output by `streams`, or by rich with what it is given written out."""
    if module.stem == "streams":
        return
    calls = [node for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    for call in calls:
        said = ast.unparse(call)
        if ast.unparse(call.func) in ("sys.stdout.write", "sys.stderr.write", "console.print", "print"):
            assert "visible(" in said or (call.args and isinstance(call.args[0], ast.JoinedStr) and "label" in said), (
                said
            )
