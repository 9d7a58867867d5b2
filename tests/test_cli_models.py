"""The command `models`: what can be named, what is on disk, and what is removed or downloaded."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest
from unrender.cli import main


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A cache folder that holds one downloaded CLIP, away from the user's own, with the hub out of reach."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "shared"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    cache = tmp_path / "own"
    monkeypatch.setenv("UNRENDER_CACHE", str(cache))
    snapshot = cache / "models" / "models--openai--clip-vit-large-patch14" / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").write_bytes(bytes(2_500_000))
    (snapshot / "config.json").write_text("{}")
    return cache


HERE = ["openai/clip-vit-large-patch14", "2.5", "MB", "ViT-L-14/openai"]


@pytest.mark.parametrize("width", [40, 80])
def test_a_terminal_has_room_for_what_stands_last(width, store, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(width))
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    named = [line for line in lines if line.startswith("  ViT") or line.startswith("    ")]
    assert "prompts for Stable Diffusion 1" in " ".join(" ".join(lines).split())
    assert all(len(line) <= width for line in named if line.startswith("    ")), named
    assert max(map(len, lines)) < 100


def test_advice_is_typed_as_this_was(store, capsys, monkeypatch):
    monkeypatch.setenv("UNRENDER_COMMAND", "python3 run.py")
    assert main(["models"]) == 0
    out = capsys.readouterr().out
    assert "python3 run.py models --all" in out and "unrender models" not in out


def test_models_recommends_a_few_with_their_sizes(store, capsys):
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < 18 and max(map(len, lines)) < 130
    rows = {line.split()[0]: line for line in lines[1:11]}
    assert "1.7 GB" in rows["ViT-L-14/openai"] and "on disk" in rows["ViT-L-14/openai"]
    assert "on disk" not in rows["blip-large"] and "the usual one" in rows["blip-large"]
    assert "no download" in rows["micro"]
    assert HERE in [line.split() for line in lines]
    assert any("--all" in line for line in lines)


def test_every_recommended_model_has_a_size_unless_it_is_asked_for(store):
    from unrender.core.catalogue import recommended
    from unrender.core.hub import Hub

    told = {model.name: model for model in recommended(Hub())}
    assert {"ViT-L-14/openai", "blip-large", "blip-base", "micro"} <= set(told)
    assert all(model.bytes or "florence" in name or name == "micro" for name, model in told.items())
    assert all(model.use for model in told.values())


def test_the_short_list_reads_no_torch_and_takes_a_fraction_of_importing_it(store):
    program = (
        "import sys, time\n"
        "from unrender.cli import main\n"
        "assert main(['models']) == 0\n"
        "ours = time.process_time()\n"
        "assert not {'torch', 'open_clip', 'transformers', 'diffusers'} & set(sys.modules)\n"
        "import torch\n"
        "print(ours, time.process_time() - ours, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    ours, torch = map(float, done.stderr.split())
    assert ours < torch


def test_all_models_are_listed_with_what_is_here(store, capsys):
    assert main(["models", "--all"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert HERE in [line.split() for line in lines]
    assert any("ViT-L-14/openai" in line and line.endswith("on disk") for line in lines)
    assert any(line.split()[:1] == ["blip-large"] and "1.9 GB" in line for line in lines)
    assert any(line.split()[:1] == ["micro"] and "toy" in line for line in lines)
    assert len(lines) > 60


def test_models_as_json(store, capsys):
    assert main(["models", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["cache"] == str(store)
    clips = {model["name"]: model for model in values["clip"]}
    assert clips["ViT-L-14/openai"]["on_disk"] and clips["ViT-L-14/openai"]["safetensors"]
    assert not clips["ViT-H-14/laion2b_s32b_b79k"]["on_disk"]
    assert [one["repo"] for one in values["on_disk"]] == ["openai/clip-vit-large-patch14"]


def test_models_that_exist_as_pickles_only_are_marked_and_refused(store, capsys):
    assert main(["models", "--json"]) == 0
    clips = json.loads(capsys.readouterr().out)["clip"]
    refused = [model["name"] for model in clips if not model["safetensors"]]
    assert refused
    assert main(["models", "download", refused[0], "--yes"]) == 1
    assert "never opened" in capsys.readouterr().err


def test_removing_asks_and_frees_the_disk(store, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert main(["models", "remove", "ViT-L-14/openai"]) == 1  # nobody there to ask
    assert "--yes" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    assert main(["models", "remove", "ViT-L-14/openai"]) == 0
    captured = capsys.readouterr()
    assert "2.5 MB" in captured.err and "[y/N]" in captured.err
    assert not list(store.rglob("*.safetensors"))
    assert main(["models", "remove", "ViT-L-14/openai", "--yes"]) == 1
    assert "nothing" in capsys.readouterr().err


def test_no_is_no(store, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    assert main(["models", "remove", "openai/clip-vit-large-patch14"]) == 1
    assert list(store.rglob("*.safetensors"))


def test_downloading_without_a_network_is_a_sentence(store, capsys):
    assert main(["models", "download", "ViT-H-14/laion2b_s32b_b79k", "--yes"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1 and "HF_HUB_OFFLINE" in err


@pytest.mark.parametrize("name", ["ViT-L-14/opena", "blip-larg", "ViT-L-14"])
def test_a_misspelt_model_gets_the_nearest_names(store, capsys, name):
    assert main(["models", "download", name, "--yes"]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "nearest" in err and ("blip-large" in err or "ViT-L-14" in err)


def test_micro_is_neither_downloaded_nor_removed(capsys):
    assert main(["models", "download", "micro"]) == 0
    assert main(["models", "remove", "micro"]) == 1
    assert "part of the package" in capsys.readouterr().err


def test_a_chat_model_is_called_one(store, capsys):
    assert main(["models", "--all"]) == 0
    kinds = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.startswith("  ")}
    assert "chat model" in kinds["joycaption"] and "chat model" in kinds["micro-chat"]
    assert "captioner" in kinds["blip-large"] and "tagger" in kinds["wd-vit"]
