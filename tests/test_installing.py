"""The command that installs what is missing is for the environment that runs, and can be typed as it stands."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from unrender.cli import main
from unrender.cli.wording import WORDS
from unrender.core.cures import PYTHON, Install
from unrender.core.installing import install_command
from unrender.nodes.wording import WORDS as NODES
from unrender.server.wording import API, PAGE

POSIX = pytest.mark.skipif(os.name == "nt", reason="a POSIX shell reads the command")


def test_pip_is_that_of_the_python_that_runs():
    assert install_command(("matplotlib",)) == f"{shlex.quote(sys.executable)} -m pip install matplotlib"
    assert install_command(("a", "b"), "--upgrade").endswith(" -m pip install --upgrade a b")


@pytest.mark.parametrize("words", [PYTHON, WORDS, NODES, PAGE])
def test_every_door_on_this_machine_names_it(words):
    assert f"`{install_command(('matplotlib',))}`" in words.cure(Install(("matplotlib",)))


def test_who_asks_over_http_gets_no_path_of_this_machine():
    said = API.cure(Install(("matplotlib",)))
    assert "`pip install matplotlib`" in said and sys.prefix not in said and "--" not in said


@POSIX
def test_it_works_as_typed_from_anywhere(tmp_path, monkeypatch):
    """Also where the path has a space in it; a stand-in for Python writes down what it is asked."""
    python = tmp_path / "my environments" / "python"
    python.parent.mkdir()
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > "$0.asked"\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    subprocess.run(install_command(("'transformers>=4.56'",), "--upgrade"), shell=True, cwd="/", check=True)
    asked = Path(f"{python}.asked").read_text().splitlines()
    assert asked == ["-m", "pip", "install", "--upgrade", "transformers>=4.56"]


def test_in_comfyuis_own_python_on_windows(monkeypatch):
    embedded = r"C:\ComfyUI_windows_portable\python_embeded\python.exe"
    monkeypatch.setattr(sys, "executable", embedded)
    monkeypatch.setattr("unrender.core.installing.os", SimpleNamespace(name="nt"))
    assert f"{embedded} -m pip install matplotlib" in NODES.cure(Install(("matplotlib",)))


def test_in_an_environment_of_pipx(tmp_path, monkeypatch):
    place = tmp_path / "venvs" / "unrender"
    place.mkdir(parents=True)
    (place / "pipx_metadata.json").write_text("{}")
    monkeypatch.setattr(sys, "prefix", str(place))
    assert install_command(("matplotlib",)) == "pipx runpip unrender install matplotlib"


def test_in_an_environment_that_uv_made_without_pip(tmp_path, monkeypatch):
    (tmp_path / "pyvenv.cfg").write_text("uv = 0.9\n")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr("unrender.core.installing.importlib.util.find_spec", lambda name: None)
    python = shlex.quote(sys.executable)
    assert install_command(("matplotlib",)) == f"uv pip install --python {python} matplotlib"


COMMANDS = [
    *("interrogate", "batch", "analyze", "match", "locate", "embed", "vary", "metadata", "index", "search", "curate"),
    *("animate", "optimise", "models", "verify", "serve", "ui", "demo", "doctor"),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_commands_as_they_are_typed_here(command, monkeypatch, capsys):
    monkeypatch.setenv("UNRENDER_COMMAND", "python3 run.py")
    with pytest.raises(SystemExit):
        main([command, "--help"])
    said = capsys.readouterr().out
    assert "python3 run.py" in said
    assert not re.findall(rf"\bunrender (?:{'|'.join(COMMANDS)})\b", said)


def test_so_do_remarks(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("UNRENDER_COMMAND", "python3 run.py")
    assert main(["models", "--cache", str(tmp_path)]) == 0
    assert "python3 run.py models --all" in capsys.readouterr().out
    main([str(tmp_path), "--clip", "nobody"])
    assert "this is `python3 run.py batch`" in capsys.readouterr().err
