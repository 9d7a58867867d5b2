"""`unrender doctor` on machines of all kinds, told by what they lack."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import unrender
from hub_server import FakeHub, no_settings_of_this_machine_fixture, server_fixture  # noqa: F401
from pretended_cuda import NAME, PretendedCuda, cuda_fixture  # noqa: F401
from unrender.cli import main
from unrender.core import machine
from unrender.core.installing import install_command

ROOT = Path(unrender.__path__[0]).resolve()
TITLES = ["Program", "Packages", "Devices", "Environment", "Models", "Hosts", "Extras"]


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # where nothing answers


def told(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert main(["doctor", *options]) == 0
    return capsys.readouterr().out


def row(text: str, name: str) -> str:
    found = re.search(rf"^  {re.escape(name)} +(.+)$", text, re.MULTILINE)
    assert found, f"{name} is not in:\n{text}"
    return found[1]


def test_all_in_one_paste(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    text = told(capsys, "--cache", str(tmp_path))
    assert [line for line in text.splitlines() if not line.startswith(" ")] == TITLES
    assert row(text, "unrender").startswith(unrender.__version__)
    for package in ("torch", "transformers", "numpy"):
        assert row(text, package) == importlib.metadata.version(package)
    assert "computes in float32" in row(text, "cpu")
    assert row(text, "hub").startswith("not reached: ")
    assert "GB free" in row(text, "folder")


def test_devices_are_tried(capsys: pytest.CaptureFixture[str], cuda: PretendedCuda) -> None:
    text = told(capsys)
    said = row(text, "cuda:0")
    assert NAME in said and "8.0 GB of 8.0 GB are free" in said and "computes in float32 and float16" in said
    assert row(text, "auto").startswith("takes cuda:0, with the picture encoder in float16")


def test_a_device_that_does_not_compute(capsys: pytest.CaptureFixture[str], cuda: PretendedCuda) -> None:
    def kernel(function: object, arguments: object) -> None:
        raise RuntimeError("CUDA error: no kernel image is available for execution on the device")

    cuda.kernel = kernel
    text = told(capsys)
    assert "no kernel image is available" in row(text, "cuda")
    assert row(text, "auto").startswith("takes cpu")


@pytest.mark.usefixtures("no_settings_of_this_machine")
def test_whether_the_hub_answers(capsys: pytest.CaptureFixture[str], server: FakeHub, tmp_path: Path) -> None:
    server.repos[machine._ASKED] = {"config.json": b"{}"}
    assert row(told(capsys, "--cache", str(tmp_path)), "hub").startswith("answers within ")
    del server.repos[machine._ASKED]
    assert row(told(capsys, "--cache", str(tmp_path)), "hub").startswith("not reached: ")


def test_nothing_that_is_a_secret(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_verysecret")
    monkeypatch.setenv("UNRENDER_TOKEN", "alsosecret")
    monkeypatch.setenv("HTTPS_PROXY", "http://joan:passw0rd@proxy.example:3128")
    monkeypatch.setenv("HF_ENDPOINT", "https://user:word@mirror.example/hub")
    monkeypatch.setenv("HOME", "/home/joan.of.arc")
    monkeypatch.setenv("UNRENDER_CACHE", "/home/joan.of.arc/models")
    text = told(capsys)
    for secret in ("verysecret", "alsosecret", "passw0rd", "word@", "joan"):
        assert secret not in text
    assert row(text, "HTTPS_PROXY") == "http://***@proxy.example:3128"
    assert row(text, "HF_TOKEN") == "set" and row(text, "folder").startswith("~/models")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("http://joan:p@ssw/rd@proxy.example:3128", "http://***@proxy.example:3128"),
        ("joan:passw0rd@proxy.example:3128", "***@proxy.example:3128"),
        ("socks5h://joan@proxy.example", "socks5h://***@proxy.example"),
        ("/srv/teams/@vision/models", "/srv/teams/@vision/models"),
        ("/home/jo/models and /home/john/models", "~/models and /home/john/models"),
    ],
)
def test_logins_of_all_forms_are_hidden_and_other_homes_are_not_cut(
    monkeypatch: pytest.MonkeyPatch, said: str, shown: str
) -> None:
    monkeypatch.setenv("HOME", "/home/jo")
    assert machine.discreet(said) == shown


def test_a_user_without_a_home(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as in a container, for a number without a name
    text = told(capsys, "--cache", "/tmp/models")
    assert [line for line in text.splitlines() if not line.startswith(" ")] == TITLES


def test_a_part_that_fails_hides_no_other(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def torn() -> str:
        raise PermissionError("Permission denied: '/proc'")

    monkeypatch.setattr(machine, "_main_memory", torn)
    text = told(capsys)
    assert row(text, "the rest") == "cannot be told (PermissionError: Permission denied: '/proc')"
    assert row(text, "python") and "computes in float32" in row(text, "cpu")


@pytest.mark.parametrize("kind", ["loose", "packed", "worktree", "packed worktree", "detached", "submodule"])
def test_the_commit_of_a_checkout_of_any_kind(tmp_path: Path, kind: str) -> None:
    def git(*arguments: str, place: Path = tmp_path / "first") -> str:
        known = ("-c", "user.name=a", "-c", "user.email=a@b.example", "-c", "protocol.file.allow=always")
        return subprocess.check_output(["git", "-C", str(place), *known, *arguments], text=True).strip()

    place = tmp_path / "first"
    place.mkdir()
    git("init", "-q", "-b", "feature/one")
    git("commit", "-q", "--allow-empty", "-m", "first")
    if "worktree" in kind:
        place = tmp_path / "second"
        git("worktree", "add", "-q", "-b", "other", str(place))
    if kind == "submodule":
        git("init", "-q", str(tmp_path / "outer"), place=tmp_path)
        git("submodule", "add", "-q", str(tmp_path / "first"), "inner", place=tmp_path / "outer")
        place = tmp_path / "outer" / "inner"
    if "packed" in kind:
        git("pack-refs", "--all")
    if kind == "detached":
        git("checkout", "-q", "--detach")
    assert machine.commit(place) == f" at {git('rev-parse', 'HEAD', place=place)[:9]}"


BROKEN = {
    "half removed": ("raise ModuleNotFoundError('torch is gone', name='torch')", "torch is gone"),
    "broken": ("raise OSError('libcudart.so.13: cannot open it')", "OSError: libcudart.so.13: cannot open it"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_without_pytorch_and_with_a_broken_one(tmp_path: Path, kind: str) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(BROKEN[kind][0], encoding="utf-8")
    shims = str(Path(unrender.__path__[0]).parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), shims])}
    command = [sys.executable, "-m", "unrender", "doctor", "--cache", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if not line.startswith(" ")] == TITLES
    assert "PyTorch is absent or broken" in done.stdout
    assert row(done.stdout, "import torch").endswith(BROKEN[kind][1])


# --- hosts


HOSTS = {
    "ComfyUI": ("custom_nodes", {"comfyui_version.py": '__version__ = "0.33.0"\n'}, "0.33.0"),
    "Forge": (
        "extensions",
        {"modules_forge/forge_version.py": "version = 'f2.0.1'\n", "CHANGELOG.md": "# Changes\n\n## 1.10.1\n"},
        "1.10.1",
    ),
    "AUTOMATIC1111": ("extensions", {"modules/processing.py": "", "CHANGELOG.md": "## 1.10.1\n"}, "1.10.1"),
    "SD.Next": (
        "extensions",
        {"html/locale_en.json": "{}", "CHANGELOG.md": "# Change Log\n\n## Update for 2026-10-01\n"},
        "2026-10-01",
    ),
}


@pytest.mark.parametrize("name", HOSTS)
def test_the_host_around_a_checkout(tmp_path: Path, name: str) -> None:
    folder, files, version = HOSTS[name]
    for file, text in files.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text, encoding="utf-8")
    (tmp_path / ".git" / "refs").mkdir(parents=True)
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/main\n", encoding="utf-8")
    (tmp_path / ".git" / "refs" / "main").write_text("0123456789abcdef\n", encoding="utf-8")
    (found,) = machine.hosts(tmp_path / folder / "unrender")
    assert found == (name, f"{version} at 012345678, with another Python than this, it seems")


def test_no_host(tmp_path: Path) -> None:
    assert list(machine.hosts(tmp_path / "unrender")) == [("none", "this is no folder of a host's")]


# --- extras


def test_extras_are_those_of_the_project() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    section = text.partition("[project.optional-dependencies]")[2].partition("[project.scripts]")[0]
    written = {
        name: re.findall(r'"([\w.-]+(?:\[\w+\])?)', packages)
        for name, packages in re.findall(r"^(\w+) = \[([^\n]*)\](?:  #.*)?$", section, re.MULTILINE)
    }
    written.pop("docs")
    assert {name: [pip for pip, _ in packages] for name, packages in machine.EXTRAS.items()} == written


def test_what_is_lacking_comes_with_its_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = machine.installed
    here = {"gradio": None, "matplotlib": None, "pyarrow": "20.0"}
    monkeypatch.setattr(machine, "installed", lambda name: here[name] if name in here else known(name))
    text = told(capsys)
    assert row(text, "ui") == machine.discreet(f"absent: run `{install_command(('gradio', 'matplotlib'))}`")
    assert row(text, "parquet") == "installed"


def test_a_driver_that_does_not_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed because it could not communicate'\nexit 9\n")
    program.chmod(0o755)
    monkeypatch.setattr(machine.shutil, "which", lambda name: str(program))
    assert machine._driver().startswith("nvidia-smi fails: NVIDIA-SMI has failed")
    program.write_text("#!/bin/sh\necho 'NVIDIA GeForce RTX 3060, 550.54.14, 12288 MiB'\n")
    assert machine._driver() == "NVIDIA GeForce RTX 3060, 550.54.14, 12288 MiB"
