"""The command line as a process of its own: how fast it answers, its streams, and the demo."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image
from quick_command import pictures_fixture  # noqa: F401
from unrender.core.settings import MODES

HEAVY = ("torch", "open_clip", "transformers", "numpy", "PIL", "rich", "huggingface_hub")
REPOSITORY = Path(__file__).parents[1]


def run_process(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "unrender", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=REPOSITORY.parent,
        **options,
    )


# Speed of help


@pytest.mark.parametrize("command", ["", "interrogate", "models", "demo"])
def test_help_imports_nothing_heavy(command):
    script = (
        "import sys\n"
        "from unrender.cli import main\n"
        "try:\n"
        f"    main([*{command.split()!r}, '--help'])\n"
        "except SystemExit as end:\n"
        "    assert end.code == 0\n"
        f"print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "HEAVY []", done.stdout + done.stderr


def test_help_is_quick():
    times = []
    for _ in range(3):
        started = time.perf_counter()
        assert run_process("--help").returncode == 0
        times.append(time.perf_counter() - started)
    assert min(times) < 1.0  # the goal is 0.3 s; a busy machine gets leave


# Whole processes


def test_a_reader_that_leaves_ends_the_program_quietly(pictures):
    script = (
        "import sys, types\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from quick_command import FakeEngine\n"
        "sys.modules['unrender.core.engine'] = types.SimpleNamespace(Engine=FakeEngine)\n"
        "from unrender.cli import main\n"
        f"sys.exit(main(['interrogate', *[{pictures[0]!r}] * 50]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.wait(timeout=60) == 141
    assert process.stderr.read() == ""


def test_standard_output_is_utf8_whatever_the_locale(pictures):
    script = (
        "import sys, types\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from quick_command import FakeEngine\n"
        "sys.modules['unrender.core.engine'] = types.SimpleNamespace(Engine=FakeEngine)\n"
        "from unrender.cli import main\n"
        f"sys.exit(main(['interrogate', {pictures[0]!r}]))"
    )
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, env=environment)
    assert done.stdout.decode("utf-8").strip() == "a red (square:1.2), by José"


def test_the_demo_runs_offline_and_leaves_a_contact_sheet(tmp_path):
    environment = {
        **os.environ,
        "UNRENDER_CACHE": str(tmp_path / "cache"),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    done = run_process("demo", "--count", "1", "-o", str(tmp_path / "sheets"), env=environment)
    assert done.returncode == 0, done.stderr
    slow = r"unrender: .* of [\d,]+ texts, .* left\n"  # said every half minute
    # where transformers is older, or there is no diffusers
    lacking = r"unrender: (?:micro-chat needs transformers|Rendering needs the package diffusers).*\n"
    assert re.fullmatch(f"({slow}|{lacking})*", done.stderr)
    renders = "needs the package diffusers" not in done.stderr
    assert "toy" in done.stdout and ("as micro-tagger sees it" in done.stdout) == renders
    for word in ("truth", *MODES, *(() if "micro-chat needs" in done.stderr else ("sentence", "keywords"))):
        assert f"{word} " in done.stdout
    with Image.open(tmp_path / "sheets" / "sheet.png") as sheet:
        assert sheet.width >= 800
    picture = str(tmp_path / "sheets" / "picture-1.png")

    done = run_process("interrogate", "--json", "--clip", "micro", picture, "absent.png", env=environment)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and "absent.png" in done.stderr
    values = json.loads(done.stdout)
    assert {"image", "mode", "prompt", "similarity", "caption", "phrases", "model", "seconds"} <= set(values)
    assert values["model"] == "micro" and values["prompt"] and values["caption"] in values["prompt"]
    assert all({"text", "gain"} <= set(phrase) for phrase in values["phrases"])


def test_an_unknown_clip_names_its_neighbours(pictures, tmp_path):
    environment = {**os.environ, "UNRENDER_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    arguments = ("interrogate", pictures[0], pictures[2], "--clip", "ViT-L-14/opennai", "--captioner", "none")
    done = run_process(*arguments, env=environment)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1 and "ViT-L-14/openai" in done.stderr
