"""The command line, as scripts and people meet it. The engine is replaced where only the command line matters."""

from __future__ import annotations

import io
import json
import os
import types
from pathlib import Path

import pytest
from PIL import Image
from quick_command import engine_fixture, pictures_fixture  # noqa: F401
from unrender.cli import main
from unrender.core.errors import Cancelled, ModelError

# What is printed


def test_one_picture_prints_the_prompt_alone(engine, pictures, capsys):
    assert main(["interrogate", pictures[0]]) == 0
    out, err = capsys.readouterr()
    assert out == "a red (square:1.2), by José\n"
    assert err == ""


def test_several_pictures_print_path_and_prompt(engine, pictures, capsys):
    red, _, dark = pictures
    assert main(["interrogate", red, dark]) == 0
    assert capsys.readouterr().out == (f"{red}\ta red (square:1.2), by José\n{dark}\ta dark (square:1.2), by José\n")


def test_json_is_one_object_per_picture(engine, pictures, capsys):
    red, _, dark = pictures
    assert main(["interrogate", "--json", "--mode", "fast", red, dark]) == 0
    out, err = capsys.readouterr()
    first, second = (json.loads(line) for line in out.splitlines())
    expected = {
        "image": red,
        "mode": "fast",
        "prompt": "a red (square:1.2), by José",
        "similarity": 0.25,
        "caption": "a square",
        "phrases": [
            {
                **{"text": "by José", "category": "artists", "gain": 0.01, "likelihood": None, "support": None},
                **{"family": "", "runner_up": "", "instead_of": ""},
            }
        ],
        "model": "fake",
        "seconds": 0.5,
    }
    assert {**first, **expected} == first
    assert second["image"] == dark
    assert err == ""


def test_escaping_leaves_the_raw_prompt_available(engine, pictures, capsys):
    assert main(["interrogate", "--escape", "webui", pictures[0]]) == 0
    escaped = capsys.readouterr().out.rstrip("\n")
    assert escaped != "a red (square:1.2), by José"
    assert main(["interrogate", "--escape", "webui", "--json", pictures[0]]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["prompt"] == "a red (square:1.2), by José"
    assert values["escaped"] == escaped


def test_a_terminal_gets_a_block_that_copies_as_one_line(engine, pictures, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "20")
    assert main(["interrogate", pictures[0]]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert pictures[0] in lines[0]
    assert "a red (square:1.2), by José" in lines[1]
    assert "0.250" in lines[2]


# Failures


def test_a_broken_picture_is_a_line_and_the_others_are_done(engine, pictures, capsys):
    assert main(["interrogate", *pictures]) == 1
    out, err = capsys.readouterr()
    assert [line.split("\t")[0] for line in out.splitlines()] == [pictures[0], pictures[2]]
    assert err.count("\n") == 1
    assert "broken.png" in err


def test_a_missing_picture_is_a_line(engine, tmp_path, capsys):
    assert main(["interrogate", "--json", str(tmp_path / "absent.png")]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "absent.png" in err


def test_an_unexpected_failure_concerns_its_picture_only(engine, pictures, capsys, monkeypatch):
    answer = engine.interrogate

    def fail_once(self, image, **options):
        if not self.calls:
            self.calls.append("failed")
            raise RuntimeError("odd\nthing")
        return answer(self, image, **options)

    monkeypatch.setattr(engine, "interrogate", fail_once)
    assert main(["interrogate", pictures[0], pictures[2]]) == 1
    out, err = capsys.readouterr()
    assert out.startswith(pictures[2])
    assert err.count("\n") == 1
    assert pictures[0] in err and "odd thing" in err


def test_what_concerns_every_picture_is_said_once(engine, pictures, capsys, monkeypatch):
    def fail(self, image, **options):
        raise ModelError("There is no model of that name.")

    monkeypatch.setattr(engine, "interrogate", fail)
    assert main(["interrogate", pictures[0], pictures[2]]) == 1
    assert capsys.readouterr() == ("", "unrender: There is no model of that name.\n")


@pytest.mark.parametrize("error", [KeyboardInterrupt, Cancelled])
def test_stopping_is_status_130_and_a_line(engine, pictures, capsys, monkeypatch, error):
    def stop(self, image, **options):
        raise error

    monkeypatch.setattr(engine, "interrogate", stop)
    assert main(["interrogate", pictures[0]]) == 130
    assert capsys.readouterr() == ("", "unrender: stopped.\n")


@pytest.mark.parametrize("wrapper", [ImportError, ModelError])
def test_stopping_while_a_library_loads_is_no_failure(engine, pictures, capsys, monkeypatch, wrapper):
    def stop(self, image, **options):
        try:
            raise KeyboardInterrupt
        finally:
            raise wrapper("cannot be loaded")

    monkeypatch.setattr(engine, "interrogate", stop)
    assert main(["interrogate", pictures[0], pictures[2]]) == 130
    assert capsys.readouterr() == ("", "unrender: stopped.\n")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["interrogate"],
        ["interrogate", "--mode", "better", "x.png"],
        ["interrogate", "--max", "artists", "x.png"],
        ["interrogate", "--for", "sd9", "x.png"],
        ["demo", "--count", "0"],
    ],
)
def test_bad_usage_is_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--min-phrases", "9", "--max-phrases", "3"], "--max-phrases"),
        (["--token-limit", "1"], "--token-limit"),
        (["--beams", "0"], "beams"),
        (["--exclude", "@/no/such/file"], "no/such/file"),
    ],
)
def test_settings_that_make_no_sense_are_status_2(engine, pictures, capsys, arguments, named):
    assert main(["interrogate", *arguments, pictures[0]]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert named.replace("/", os.sep) in err


# Where pictures come from


def test_a_dash_reads_standard_input(engine, capsys, monkeypatch):
    data = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(data, "PNG")
    monkeypatch.setattr("sys.stdin", types.SimpleNamespace(buffer=io.BytesIO(data.getvalue())))
    assert main(["interrogate", "--json", "-"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["image"] == "-"
    assert values["prompt"].startswith("a red")


def test_empty_standard_input_is_a_failure_with_a_name(engine, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", types.SimpleNamespace(buffer=io.BytesIO()))
    assert main(["interrogate", "-"]) == 1
    assert "standard input" in capsys.readouterr().err


def test_patterns_are_expanded_where_the_shell_did_not(engine, pictures, capsys):
    folder = Path(pictures[0]).parent
    assert main(["interrogate", str(folder / "*e.png")]) == 0
    assert capsys.readouterr().out == "a red (square:1.2), by José\n"


def test_a_file_whose_name_looks_like_a_pattern_is_itself(engine, tmp_path, capsys):
    Image.new("RGB", (8, 8), "red").save(tmp_path / "a[1].png")
    Image.new("RGB", (8, 8), "black").save(tmp_path / "a1.png")
    assert main(["interrogate", str(tmp_path / "a[1].png")]) == 0
    assert capsys.readouterr().out.startswith("a red")


# Options become settings


def settings_of(engine, pictures, *arguments):
    assert main(["interrogate", *arguments, pictures[0]]) == 0
    return engine.made[-1].settings


def test_every_option_reaches_the_engine(engine, pictures, tmp_path):
    (tmp_path / "excluded.txt").write_text("\ufeffblurry\n\n  greg \n", encoding="utf-8")
    settings = settings_of(
        engine,
        pictures,
        *("--clip", "micro", "--captioner", "blip-base", "--phrases", "peer", "--device", "cpu"),
        *("--precision", "exact", "--fit", "pad", "--no", "artists", "--max", "flavors=3"),
        *("--search", "beam", "--pool", "100"),
        *("--exclude", "4k", "--exclude", f"@{tmp_path / 'excluded.txt'}"),
        *("--prefix", "p", "--suffix", "s", "--trigger", "t", "--instruction", "Describe.", "--beams", "3"),
        *("--caption-length", "40", "--min-phrases", "1", "--max-phrases", "5", "--token-limit", "60"),
        *("--cache", str(tmp_path)),
    )
    assert (settings.clip, settings.captioner, settings.phrases) == ("micro", "blip-base", "peer")
    assert (settings.device, settings.precision, settings.fit) == ("cpu", "exact", "pad")
    assert (settings.search, settings.pool) == ("beam", 100)
    assert dict(settings.limits) == {"artists": 0, "flavors": 3}
    assert settings.exclude == ("4k", "blurry", "greg")
    assert (settings.prefix, settings.suffix, settings.trigger) == ("p", "s", "t")
    captioning = settings.captioning
    assert (captioning.instruction, captioning.max_length, captioning.beams) == ("Describe.", 40, 3)
    assert (settings.min_phrases, settings.max_phrases, settings.token_limit) == (1, 5, 60)
    assert settings.cache == tmp_path


def test_the_toy_clip_brings_its_own_captioner(engine, pictures):
    assert settings_of(engine, pictures, "--clip", "micro").captioner == "micro"
    assert settings_of(engine, pictures, "--clip", "micro", "--captioner", "none").captioner is None


def test_no_captioner_and_a_caption_of_ones_own(engine, pictures):
    settings = settings_of(engine, pictures, "--captioner", "none", "--caption", "my cat")
    assert settings.captioner is None
    assert engine.made[-1].calls == [("best", "my cat")]


def test_a_target_picks_the_clip_and_explicit_options_win(engine, pictures):
    assert settings_of(engine, pictures, "--for", "sd2").clip == "ViT-H-14/laion2b_s32b_b79k"
    assert settings_of(engine, pictures, "--for", "sd2", "--clip", "micro").clip == "micro"
    flux = settings_of(engine, pictures, "--for", "flux", "--token-limit", "50")
    assert flux.token_limit == 50
    assert flux.max_phrases < 32
    assert flux.captioning.max_length > 32


def test_one_end_of_the_number_of_phrases_is_enough(engine, pictures):
    few = settings_of(engine, pictures, "--max-phrases", "3")
    assert (few.min_phrases, few.max_phrases) == (3, 3)
    many = settings_of(engine, pictures, "--min-phrases", "40")
    assert (many.min_phrases, many.max_phrases) == (40, 40)
