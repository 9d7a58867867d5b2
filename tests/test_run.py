"""The bootstrap: what it installs and when, without installing anything."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

RUN = Path(__file__).parents[1] / "run.py"


@pytest.fixture
def bootstrap(tmp_path, monkeypatch):
    """run.py as a module of a checkout of its own; `calls` receives the commands it would run."""
    checkout = tmp_path / "some checkout"
    checkout.mkdir()
    shutil.copy(RUN, checkout)
    shutil.copy(RUN.with_name("pyproject.toml"), checkout)
    spec = importlib.util.spec_from_file_location("bootstrap", checkout / "run.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.calls = []

    def run(*command, quiet=False):
        module.calls.append([str(part) for part in command])
        if "venv" in command:
            module.PYTHON.parent.mkdir(parents=True)
            module.PYTHON.touch()
        return 0

    monkeypatch.setattr(module, "run", run)
    monkeypatch.setattr(module, "reachable", lambda url: False)
    return module


def editable_installs(module):
    return [call[call.index("--editable") + 1] for call in module.calls if "--editable" in call]


def test_the_first_run_makes_an_environment_and_installs_the_second_does_nothing(bootstrap):
    bootstrap.install(set())
    assert "venv" in bootstrap.calls[0]
    assert editable_installs(bootstrap) == ["."]
    bootstrap.calls.clear()
    bootstrap.install(set())
    assert bootstrap.calls == []


def test_a_changed_pyproject_installs_again(bootstrap):
    bootstrap.install(set())
    with (bootstrap.ROOT / "pyproject.toml").open("a") as file:
        file.write("\n# changed\n")
    bootstrap.install(set())
    assert editable_installs(bootstrap) == [".", "."]


def test_what_the_tests_need_stays_installed_for_other_commands(bootstrap):
    bootstrap.install(set())
    bootstrap.install({"test"})
    bootstrap.install(set())
    assert editable_installs(bootstrap) == [".", ".[test]"]
    (bootstrap.ROOT / "pyproject.toml").write_text("[project]")
    bootstrap.install(set())
    assert editable_installs(bootstrap)[-1] == ".[test]"


def test_an_environment_of_another_python_is_made_anew(bootstrap):
    bootstrap.install(set())
    bootstrap.STAMP.write_text(bootstrap.STAMP.read_text().replace(bootstrap.VERSION, "3.9"))
    shutil.rmtree(bootstrap.PYTHON.parent)
    bootstrap.install(set())
    assert "--clear" in next(call for call in reversed(bootstrap.calls) if "venv" in call)


def test_an_environment_of_someone_else_is_left_alone(bootstrap):
    bootstrap.VENV.mkdir()
    precious = bootstrap.VENV / "precious"
    precious.touch()
    with pytest.raises(SystemExit, match="move it away"):
        bootstrap.install(set())
    assert precious.exists()
    assert bootstrap.calls == []


def test_a_failed_installation_is_a_sentence_and_is_tried_again(bootstrap, monkeypatch):
    succeed = bootstrap.run
    monkeypatch.setattr(bootstrap, "run", lambda *c, **k: 1 if "--editable" in c else succeed(*c, **k))
    with pytest.raises(SystemExit, match="pip could not install"):
        bootstrap.install(set())
    monkeypatch.setattr(bootstrap, "run", succeed)
    bootstrap.install(set())
    assert editable_installs(bootstrap) == ["."]


@pytest.mark.parametrize(("gpu", "expected"), [(False, True), (True, False)])
def test_the_cpu_build_of_torch_is_for_linux_without_a_gpu(bootstrap, monkeypatch, gpu, expected):
    monkeypatch.setattr(bootstrap.platform, "system", lambda: "Linux")
    monkeypatch.setattr(bootstrap.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(bootstrap, "has_nvidia", lambda: gpu)
    monkeypatch.setattr(bootstrap, "reachable", lambda url: True)
    bootstrap.install(set())
    assert any(bootstrap.CPU_TORCH in call for call in bootstrap.calls) is expected
    assert editable_installs(bootstrap) == ["."]


def test_a_server_that_never_answers_costs_no_more_than_the_limit(bootstrap, monkeypatch):
    monkeypatch.undo()
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        started = time.monotonic()
        assert not bootstrap.reachable(f"http://127.0.0.1:{silent.getsockname()[1]}", seconds=0.5)
        assert time.monotonic() - started < 3


def test_an_old_python_gets_a_sentence():
    script = (
        "import sys, runpy; sys.version_info = (3, 8, 1, 'final', 0); "
        f"runpy.run_path({str(RUN)!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.strip() == "run.py: Unrender needs Python 3.10 or newer, this is Python 3.8."


@pytest.mark.parametrize(
    ("typed", "extras"),
    [
        ("interrogate photo.jpg", set()),
        ("analyze photo.jpg --plot chart.png", {"plot"}),
        ("analyze photo.jpg --plot=chart.png", {"plot"}),
        ("batch photos --output parquet", {"parquet"}),
        ("batch photos --output=parquet", {"parquet"}),
        ("batch list.parquet", {"parquet"}),
        ("batch s3://bucket/photos", {"parquet"}),
        ("batch photos --engine ray", {"ray"}),
        ("interrogate photo.jpg --phrases peer", {"lists"}),
        ("analyze photo.HEIC --phrases clip-gaze --plot c.svg", {"lists", "plot", "heif"}),
        ("photo.heic", {"heif"}),
        ("vary photo.jpg -o out", {"render"}),
        ("ui", {"ui"}),
        ("interrogate photo.jpg --captioner http://127.0.0.1:11434/v1#qwen2.5vl:7b", {"endpoint"}),
        ("interrogate photo.jpg --captioner=HTTPS://api.example.com/v1#m", {"endpoint"}),
        ("ui --captioner http://127.0.0.1:1234/v1", {"ui", "endpoint"}),
        ("interrogate photo.jpg --captioner owner/name", set()),
        ("models --endpoint http://127.0.0.1:1234/v1", {"endpoint"}),
        ("test -k ray", {"test"}),
    ],
)
def test_what_a_command_line_needs_is_installed(bootstrap, typed, extras):
    assert bootstrap.extras_for(typed.split()) == extras


def test_every_extra_of_the_bootstrap_is_there_and_the_page_can_draw_charts(bootstrap):
    tomllib = pytest.importorskip("tomllib", reason="Python 3.11 brings it")

    known = tomllib.loads(RUN.with_name("pyproject.toml").read_text())["project"]["optional-dependencies"]
    commands = set().union(*bootstrap.EXTRAS.values())
    named = commands | {*bootstrap.EXTRAS_OF_OPTIONS.values()} | {*bootstrap.EXTRAS_OF_ENDINGS.values()}
    named |= {"endpoint"}
    assert named <= {*known} and {"plot", "parquet", "lists", "ray"} <= named
    assert {*known["plot"]} <= {*known["ui"]}
