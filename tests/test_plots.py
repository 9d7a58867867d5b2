"""The figures of the documentation come from the benchmarks' logs by one command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]


def test_one_command_draws_them_from_the_logs(tmp_path):
    pytest.importorskip("matplotlib")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.plots", "--out", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    for name in ("plots-read.png", "plots-time.png"):
        with Image.open(tmp_path / name) as made, Image.open(ROOT / "docs" / name) as shown:
            assert made.width == shown.width > 600


def test_they_show_what_the_logs_say(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks.plots import LOGS, embeddings, moving, times

    fidelity = json.loads((LOGS / "fidelity" / "fidelity.json").read_text())
    soft = json.loads((LOGS / "soft_prompts.json").read_text())
    bars = {bar.name: bar for bar in embeddings(fidelity, soft)}
    assert bars["pinv"].mean == fidelity["pinv"]["mean"][0] and all(
        bar.low <= bar.mean <= bar.high for bar in bars.values()
    )
    moved = {bar.name: bar for bar in moving(json.loads((LOGS / "moving.json").read_text()))}
    assert moved["animate: a line's own frame"].mean >= 0.8
    found = {time.name: time for time in times((LOGS / "searches.log").read_text(), fidelity, soft)}
    assert found["peer"].seconds > 10 * found["honest"].seconds and found["peer"].texts > 10 * found["honest"].texts
