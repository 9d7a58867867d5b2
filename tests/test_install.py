"""What install.py adds to a webui's environment, and what it leaves alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from unrender import install

WANTED = "# a remark\ntransformers>=4.30\nfilelock>=3.4\nplatformdirs>=3.0\n\nPillow>=9.5\n"
A1111 = {"transformers": "4.30.2", "pillow": "9.5.0"}


def test_only_what_is_absent_is_added():
    assert install.absent(WANTED, A1111) == ["filelock>=3.4", "platformdirs>=3.0"]
    assert install.absent(WANTED, {**A1111, "filelock": "0.1", "platformdirs": "1"}) == []


def test_a_package_that_is_too_old_is_left_alone():
    assert install.absent("transformers>=4.30\n", {"transformers": "4.20.0"}) == []


def test_nothing_in_the_list_could_replace_the_hosts_torch():
    names = install.absent(install.REQUIREMENTS.read_text(encoding="utf-8"), {})
    assert "safetensors>=0.3.2" in names
    assert not [name for name in names if name.startswith(("torch", "open_clip", "open-clip", "xformers"))]


def test_every_installed_package_is_pinned(tmp_path):
    found = install.installed_packages()
    assert "torch" in found and "pytest" in found and "hypothesis" in found
    command = install.command(["platformdirs>=3.0"], tmp_path / "installed.txt")
    assert command[:4] == [sys.executable, "-m", "pip", "install"]
    assert command[command.index("--constraint") + 1] == str(tmp_path / "installed.txt")
    assert not {"-U", "--upgrade", "--force-reinstall"} & set(command)


@pytest.mark.parametrize("code", [0, 1])
def test_pip_is_asked_once_and_its_failure_told(monkeypatch, capsys, code):
    asked = []

    def pip(command, **options):
        constraints = Path(command[command.index("--constraint") + 1]).read_text(encoding="utf-8")
        asked.append((command[-1], "pillow==9.5.0\n" in constraints))
        return subprocess.CompletedProcess(command, code, "", "hint\nERROR: no such thing\n")

    monkeypatch.setattr(install, "installed_packages", lambda: dict.fromkeys(names_wanted(), "1") | {"pillow": "9.5.0"})
    monkeypatch.setattr(install.subprocess, "run", pip)
    assert install.main() == code
    assert asked == [("platformdirs>=3.0", True)]
    assert ("could not install platformdirs>=3.0: ERROR: no such thing" in capsys.readouterr().err) == bool(code)


def test_pip_is_not_asked_when_nothing_is_absent(monkeypatch):
    monkeypatch.setattr(install, "installed_packages", lambda: dict.fromkeys([*names_wanted(), "platformdirs"], "1"))
    monkeypatch.setattr(install.subprocess, "run", lambda *args, **options: pytest.fail("pip was asked"))
    assert install.main() == 0


def names_wanted() -> list[str]:
    lines = install.REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    names = [line.partition(">")[0].replace("_", "-") for line in lines if line and not line.startswith("#")]
    return [name for name in names if name != "platformdirs"]
