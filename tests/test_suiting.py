"""`--for` takes a describer that is on this disk, says which, and downloads none that nobody named or agreed to."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from quick_command import engine_fixture, pictures_fixture  # noqa: F401
from unrender.cli import main
from unrender.core.describe import kinds, known_describers
from unrender.core.hub import Hub
from unrender.core.published import CAPTIONERS, USUAL_TAGGER, Published
from unrender.core.suiting import Named, sort_of, suited, suited_models
from unrender.core.targets import TARGET_NAMES, TARGETS

CHAT = Published("captioner", "talker-2b", "someone/talker-2b", {}, "seen", "nowhere")


@pytest.fixture
def disk(tmp_path, monkeypatch):
    """A folder of downloads of this test alone, and what puts a known describer there; a chat model is known."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "shared"))
    last = kinds.KINDS[-1]
    monkeypatch.setattr(kinds, "KINDS", (*kinds.KINDS[:-1], replace(last, known={**last.known, CHAT.name: CHAT})))

    def put(*names):
        for name in names:
            folder = (
                tmp_path / "own/models" / f"models--{known_describers()[name].repo.replace('/', '--')}" / "snapshots/1"
            )
            folder.mkdir(parents=True)
            (folder / "model.safetensors").write_bytes(b"weights")
        return Hub(tmp_path / "own")

    return put


@pytest.mark.parametrize(
    ("target", "there", "taken", "mode"),
    [
        ("illustrious", ("wd-eva02-large", "blip-large"), "wd-eva02-large", "tags"),
        ("pony", ("talker-2b", "wd-vit"), "wd-vit", "tags"),
        ("anima", ("talker-2b", "blip-large"), "talker-2b", "tags"),
        ("qwen-image", ("wd-vit", "blip-base", "talker-2b"), "talker-2b", "caption"),
        ("qwen-image", ("wd-vit", "blip-base"), "blip-base", "caption"),
        ("flux", ("talker-2b", "blip-large"), "talker-2b", "caption"),
        ("flux", ("blip-large",), "blip-large", "best"),
        ("sd15", ("talker-2b", "blip-base", "blip-large", "git-large-coco"), "blip-large", "best"),
        ("sdxl", ("talker-2b",), "talker-2b", "best"),
    ],
)
def test_what_suits_is_taken_from_the_disk_and_said(disk, target, there, taken, mode):
    found = suited(TARGETS[target], Named(), disk(*there))
    assert (found.mode, found.tagger if mode == "tags" else found.captioner) == (mode, taken)
    assert found.told == f"Chose {taken} for {target}: it is on this disk." and found.lacking is None


@pytest.mark.parametrize("target", TARGET_NAMES)
def test_nothing_is_taken_that_is_not_there(disk, target):
    found = suited(TARGETS[target], Named(), disk())
    if TARGETS[target].mode == "tags":
        assert found.lacking is known_describers()[USUAL_TAGGER]
    else:
        assert (
            found.captioner is found.tagger is found.lacking is None and "blip-large, the usual captioner" in found.told
        )


@pytest.mark.parametrize(
    ("target", "named", "mode", "tagger"),
    [
        ("pony", Named(captioner="talker-2b"), "tags", "talker-2b"),
        ("pony", Named(captioner="talker-2b", asked=True), "caption", None),
        ("pony", Named(captioner="blip-base"), "best", None),
        ("pony", Named(captioner="micro-tagger"), "tags", "micro-tagger"),
        ("pony", Named(tagger="wd-vit"), "tags", None),
        ("pony", Named(captioned=True), "best", None),
        ("qwen-image", Named(captioner="wd-vit"), "caption", None),
        ("pony", Named("negative"), "negative", None),
        ("sd15", Named("caption", captioner="talker-2b"), "caption", None),
        ("sd15", Named(captioner="talker-2b"), "best", None),
        ("flux", Named(captioner="talker-2b"), "caption", None),
        ("flux", Named("best", captioner="talker-2b"), "best", None),
        ("flux", Named(captioner="blip-base"), "best", None),
    ],
)
def test_what_is_named_is_taken(disk, target, named, mode, tagger):
    found = suited(TARGETS[target], named, disk("wd-eva02-large", "blip-large", "talker-2b"))
    assert (found.mode, found.captioner, found.tagger, found.told) == (mode, None, tagger, "")


def test_none_is_no_describer(disk):
    here = disk("wd-vit", "blip-large", "talker-2b")
    found = suited(TARGETS["flux"], Named(captioner="none"), here)
    assert (found.mode, found.captioner, found.sort) == ("best", None, "captioner")
    found = suited(TARGETS["pony"], Named(captioner="none"), here)
    assert (found.mode, found.tagger) == ("tags", "wd-vit")


def test_a_search_for_tags_begins_with_tags(disk):
    found = suited(TARGETS["pony"], Named("best"), disk("wd-vit", "blip-large"))
    assert (found.mode, found.captioner, found.sort) == ("best", "wd-vit", "tagger")


def test_micro_brings_its_own(disk):
    found = suited(TARGETS["noobai"], Named(micro=True), disk("wd-vit"))
    assert (found.mode, found.tagger, found.lacking) == ("tags", "micro-tagger", None)
    assert suited(TARGETS["sd2"], Named(micro=True), disk()).captioner == "micro"


def test_a_server_s_models_are_those_that_lie_there(disk):
    found = suited_models(TARGETS["pony"], Named(), disk("wd-vit", "talker-2b"))
    assert (found.captioner, found.tagger) == ("wd-vit", None)
    found = suited_models(TARGETS["flux2"], Named(), disk("blip-base"))
    assert (found.captioner, found.tagger, found.lacking) == ("talker-2b", "wd-vit", None)


def test_a_describer_s_sort_is_told_by_its_kind_name_or_type(disk, tmp_path):
    hub = disk()
    for published in CAPTIONERS:
        words_of_its_own = published.name.split("-")[0] in ("blip", "blip2", "git", "florence")
        if words_of_its_own:
            assert sort_of(published.name, hub) == "captioner"
    assert sort_of("wd-vit", hub) == sort_of("micro-tagger", hub) == "tagger"
    assert sort_of("micro", hub) == "captioner" and sort_of("micro-chat", hub) == "chat"
    for model_type, sort in (("llava", "chat"), ("qwen3_vl", "chat"), ("blip-2", "captioner"), ("git", "captioner")):
        folder = tmp_path / model_type
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
        assert sort_of(str(folder), hub) == sort


# --- at the command line


def settings_of(engine, *options):
    assert main(["interrogate", *options]) == 0
    return engine.made[-1].settings, engine.made[-1].calls[-1][0]


def test_a_target_asks_in_its_mode_and_says_who_describes(engine, pictures, disk, tmp_path, capsys):
    disk("wd-vit")
    settings, mode = settings_of(engine, pictures[0], "--for", "anima", "--cache", str(tmp_path / "own"))
    assert (settings.tagger, mode, settings.captioning.tags.target) == ("wd-vit", "tags", "anima")
    assert capsys.readouterr().err == "unrender: Chose wd-vit for anima: it is on this disk.\n"
    settings, mode = settings_of(engine, pictures[0], "--for", "anima", "--mode", "fast", "--captioner", "none")
    assert (settings.captioner, settings.tagger, mode) == (None, None, "fast")


def test_a_chat_model_is_asked_in_the_target_s_style(engine, pictures, disk, tmp_path):
    disk("talker-2b")
    settings, mode = settings_of(engine, pictures[0], "--for", "z-image", "--cache", str(tmp_path / "own"))
    assert (settings.captioner, mode) == ("talker-2b", "caption")
    assert (settings.captioning.style, settings.captioning.max_length) == ("paragraph", None)
    settings, _ = settings_of(
        engine, pictures[0], "--for", "z-image", "--style", "sentence", "--captioner", "talker-2b"
    )
    assert settings.captioning.style == "sentence"


def test_no_tagger_is_downloaded_unasked(engine, pictures, disk, tmp_path, capsys, monkeypatch):
    arguments = ["interrogate", pictures[0], "--for", "pony", "--cache", str(tmp_path / "own")]
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert main(arguments) == 1 and not engine.made
    assert f"no tagger is on this disk; give {USUAL_TAGGER}, a download of " in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdin.readline", lambda: "n\n", raising=False)
    assert main(arguments) == 130 and not engine.made
    assert re.search(rf"Download [\d.]+ GB of {USUAL_TAGGER}\? \[y/N\]", capsys.readouterr().err)
    monkeypatch.setattr("sys.stdin.readline", lambda: "y\n", raising=False)
    assert main(arguments) == 0
    assert engine.made[-1].settings.tagger == USUAL_TAGGER


def test_whatever_is_given_wins_over_the_target(engine, pictures):
    given = ("--clip", "micro", "--mode", "fast", "--tag-order", "confidence", "--token-limit", "40")
    given += ("--max", "artists=1", "--style", "sentence", "--max-phrases", "2", "--captioner", "blip-base")
    settings, mode = settings_of(engine, pictures[0], "--for", "pony", *given)
    assert (settings.clip, mode, settings.captioner, settings.token_limit) == ("micro", "fast", "blip-base", 40)
    assert (settings.captioning.tags.order, settings.captioning.style) == ("confidence", "sentence")
    assert (settings.limits["artists"], settings.limits["sites"], settings.max_phrases) == (1, 0, 2)


OPTIONS = {
    "--tagger wd-vit": ("tagger", "wd-vit"),
    "--rival a/b --rival c": ("rivals", ("a/b", "c")),
    "--candidates 3": ("candidates", 3),
    "--quantization 4bit": ("quantization", "4bit"),
    "--style tags": ("captioning.style", "tags"),
    "--system Speak.": ("captioning.system", "Speak."),
    "--temperature .5": ("captioning.temperature", 0.5),
    "--top-p .9": ("captioning.top_p", 0.9),
    "--seed 7": ("captioning.seed", 7),
    "--repetition 1.2": ("captioning.repetition", 1.2),
    "--trim": ("captioning.trim", True),
    "--general-threshold .4": ("captioning.tags.general", 0.4),
    "--character-threshold .9": ("captioning.tags.character", 0.9),
    "--automatic-threshold": ("captioning.tags.automatic", True),
    "--most-tags 20": ("captioning.tags.most", 20),
    "--rating": ("captioning.tags.rating", True),
    "--exclude-tags simple_background,white_background --exclude-tags solo": (
        "captioning.tags.exclude",
        ("simple_background", "white_background", "solo"),
    ),
    "--tag-order alphabet": ("captioning.tags.order", "alphabet"),
    "--underscores": ("captioning.tags.underscores", True),
    "--implied": ("captioning.tags.implied", True),
    "--keep-alive 5m": ("captioning.endpoint.keep_alive", "5m"),
    "--thinking off": ("captioning.endpoint.thinking", False),
    "--longest-side 512": ("captioning.endpoint.longest_side", 512),
    "--timeout 9": ("captioning.endpoint.timeout", 9.0),
    "--retries 0": ("captioning.endpoint.retries", 0),
}


@pytest.mark.parametrize("given", OPTIONS)
def test_every_option_sets_what_it_says_and_nothing_else(engine, pictures, given):
    plain, _ = settings_of(engine, pictures[0])
    made, _ = settings_of(engine, pictures[0], *given.split())
    name, value = OPTIONS[given]
    holder, *path = made, *name.split(".")
    for each in path:
        holder = getattr(holder, each)
    assert holder == value
    *above, last = name.split(".")
    restored = made
    if not above:
        restored = replace(made, **{last: getattr(plain, last)})
    elif above == ["captioning"]:
        restored = replace(made, captioning=replace(made.captioning, **{last: getattr(plain.captioning, last)}))
    else:
        part = above[1]
        usual = getattr(plain.captioning, part)
        kept = replace(getattr(made.captioning, part), **{last: getattr(usual, last)})
        restored = replace(made, captioning=replace(made.captioning, **{part: kept}))
    assert restored == plain


def test_what_is_out_of_range_is_refused_in_the_option_s_name(engine, pictures, capsys):
    for given, said in (
        ("--temperature 9", "--temperature is 9.0; give a number from 0 to 5."),
        ("--general-threshold 2", "--general-threshold is 2.0; give a number from 0 to 1."),
        ("--candidates 0", "--candidates is 0; give 1 or more."),
    ):
        assert main(["interrogate", pictures[0], *given.split()]) == 2
        assert capsys.readouterr().err == f"unrender: {said}\n"


def test_excluded_tags_come_from_a_file_too(engine, pictures, tmp_path):
    (tmp_path / "never.txt").write_text("simple_background\n\nwhite background\n", encoding="utf-8")
    settings, _ = settings_of(engine, pictures[0], "--exclude-tags", f"@{tmp_path / 'never.txt'}")
    assert settings.captioning.tags.exclude == ("simple_background", "white background")


def test_what_takes_brackets_as_they_are_gets_no_backslashes(engine, pictures, disk, tmp_path, capsys):
    disk("talker-2b")
    asked = ("interrogate", pictures[0], "--escape", "comfyui", "--cache", str(tmp_path / "own"), "--for")
    for target in TARGET_NAMES:
        if TARGETS[target].mode != "tags":
            assert main([*asked, target]) == 0
            assert (r"\(" in capsys.readouterr().out) == TARGETS[target].weighted, target
