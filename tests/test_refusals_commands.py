"""What every command refuses before a model is loaded and before anything is written, in one line on standard error."""

from __future__ import annotations

import shlex
import sys

import pytest
from refusals import forbid_models, seal, unchanged, write_files
from unrender.cli import main

MICRO = "--clip micro --device cpu"
TO_TOY = "-o out.safetensors --for micro --device cpu"

INTERROGATE = [
    ("red.png blue.png --weights 1,1", 2, "--together"),
    ("red.png blue.png --together --weights 1", 2, "1 weight for 2"),
    ("red.png blue.png --together --weights 1,-1", 2, "weight is below zero"),
    ("red.png absent.png --together", 1, "absent.png"),
    ("absent.png", 1, "absent.png"),
    ("broken.png", 1, "broken.png"),
    ("red.png --mode caption --captioner none", 2, "caption mode has no caption"),
    ("red.png --mode caption --caption ' '", 2, "caption mode has no caption"),
    ("red.png --captioner blip", 1, "'blip'"),
    ("red.png --captioner nothing", 1, "nothing holds no model.safetensors"),
    ("red.png --phrases nowhere", 1, "nowhere"),
    ("red.png --phrases nothing", 1, "nothing holds no"),
    ("red.png --no moods", 1, "'moods'"),
    ("red.png --max moods=2", 1, "'moods'"),
    ("red.png --exclude @nowhere.txt", 2, "nowhere.txt"),
    ("red.png --min-phrases 9 --max-phrases 3", 2, "--max-phrases"),
    ("red.png --temperature 9", 2, "--temperature"),
    ("red.png --general-threshold 2", 2, "--general-threshold"),
    ("red.png --exclude-tags @nowhere.txt", 2, "nowhere.txt"),
    ("red.png --for flux2 --candidates 0", 2, "--candidates"),
    ("red.png --device abacus", 2, "'abacus'"),
    ("red.png --clip ViT-L-14/opnai", 1, "ViT-L-14/openai"),
    ("red.png --clip nothing", 1, "no CLIP folder"),
    ("red.png --judge-by-rendering 4", 2, "name what renders with --checkpoint"),
    ("red.png --judge-by-rendering 1 --checkpoint micro", 2, "--judge-by-rendering is 1; give a number from 2 to 16"),
    ("red.png --judge-by-rendering 99 --checkpoint micro", 2, "from 2 to 16"),
    ("red.png --judge-by-rendering 4 --checkpoint micro --steps 0", 2, "steps is 0"),
    ("red.png --judge-by-rendering 4 --checkpoint absent.safetensors", 1, "absent.safetensors"),
    ("red.png --judge-by-rendering 4 --checkpoint micro --judge ViT-L-14/opnai", 1, "ViT-L-14/openai"),
    ("red.png --judge-by-rendering 4 --checkpoint micro --clip micro --judge micro", 2, "which searched the prompts"),
    ("red.png blue.png --together --judge-by-rendering 4 --checkpoint micro", 2, "--together"),
    ("red.png --mode fast --judge-by-rendering 4 --checkpoint micro", 2, "give --mode best"),
    ("red.png --judge-by-rendering 4 --checkpoint micro --captioner blip", 1, "'blip'"),
    ("red.png --checkpoint micro", 2, "--checkpoint is of --judge-by-rendering"),
    ("red.png --judge micro-tagger", 2, "--judge is of --judge-by-rendering"),
]

BATCH = [
    ("", 2, "no source"),
    ("absent", 2, "absent"),
    ("pictures --template 'a {thing}'", 2, "unknown field"),
    ("pictures --template plain", 2, "same for all"),
    ("pictures --output copy", 2, "makes new files"),
    ("pictures --output txt -o out", 2, "where the pictures are"),
    ("pictures --columns mood --output jsonl", 2, "'mood'"),
    ("pictures --columns analysis", 2, "no columns"),
    ("pictures --existing prepend --output csv", 2, "no meaning"),
    ("pictures --jobs 0", 2, "jobs is 0"),
    ("pictures --shard 1/2 --output rename", 2, "chooses names"),
    ("pictures --mode caption --captioner none", 2, "caption mode has no caption"),
    ("pictures --phrases nowhere", 1, "nowhere"),
    ("pictures --no moods --output csv", 1, "'moods'"),
    ("pictures --captioner blip", 1, "'blip'"),
    ("pictures --most-tags 0", 2, "--most-tags"),
    ("pictures --device abacus", 2, "'abacus'"),
    ("--undo nowhere.jsonl", 1, "nowhere.jsonl"),
]

ANALYZE = [
    (f"red.png --top 0 {MICRO}", 2, "top is 0"),
    (f"red.png --categories moods {MICRO}", 1, "'moods'"),
    (f"red.png --phrases nowhere {MICRO}", 1, "nowhere"),
    (f"red.png blue.png --together --weights 1,2,3 {MICRO}", 2, "3 weights for 2"),
    (f"red.png --weights 1 {MICRO}", 2, "--together"),
    (f"broken.png {MICRO}", 1, "broken.png"),
    (f"red.png --plot out.bmp {MICRO}", 2, "'bmp'"),
    (f"red.png --plot nowhere/out.png {MICRO}", 2, "no folder nowhere"),
    (f"red.png --plot sealed/out.png {MICRO}", 2, "not permitted"),
    (f"red.png --plot note/out.png {MICRO}", 2, "no folder note"),
    (f"red.png --plot red.png {MICRO}", 2, "red.png is read itself"),
    (f"red.png --explain note {MICRO}", 2, "note is no folder"),
    (f"red.png --explain sealed/maps {MICRO}", 2, "sealed may not be"),
    (f"red.png --explain . {MICRO}", 2, "red.png is read itself"),
]

MATCH = [
    (f"red.png {MICRO}", 2, "no phrases"),
    (f"red.png ' ' {MICRO}", 2, "phrase to match is empty"),
    (f"'a cat' {MICRO}", 2, "name a picture"),
    (f"absent.png 'a cat' {MICRO}", 1, "absent.png"),
    (f"broken.png 'a cat' {MICRO}", 1, "broken.png"),
    (f"red.png 'a cat' --template plain {MICRO}", 2, "'plain'"),
    (f"red.png 'a cat' --top 0 {MICRO}", 2, "--top is 0"),
    (f"red.png --phrases nowhere.txt {MICRO}", 2, "nowhere.txt"),
]

LOCATE = [
    (f"absent.png 'a cat' {MICRO}", 1, "absent.png"),
    (f"red.png 'a cat' ' ' {MICRO}", 2, "no phrase"),
    (f"red.png 'a cat' --plot out.txt {MICRO}", 2, "out.txt has no name of a picture"),
    (f"red.png 'a cat' --plot nowhere/out.png {MICRO}", 2, "no folder nowhere"),
    (f"red.png 'a cat' --plot sealed/out.png {MICRO}", 2, "not permitted"),
    (f"red.png 'a cat' --plot nothing {MICRO}", 2, "nothing has no name of a picture"),
    (f"red.png 'a cat' --plot ./red.png {MICRO}", 2, "red.png is read itself"),
]

EMBED = [
    ("red.png", 2, "give --for and -o"),
    ("red.png -o out.safetensors", 2, "--for"),
    ("red.png -o nowhere/out.safetensors --for micro", 2, "no folder nowhere"),
    ("red.png -o sealed/out.safetensors --for micro", 2, "not permitted"),
    ("red.png -o red.png --for micro", 2, "red.png has no name of an embedding"),
    ("toy.safetensors toy.safetensors", 2, "no file to write"),
    ("toy.safetensors sd15.safetensors -o out.safetensors", 1, "for the same family"),
    ("toy.safetensors toy.safetensors -o out.safetensors --weights 1", 2, "1 weight for 2"),
    ("toy.safetensors -o nowhere/out.safetensors", 2, "no folder nowhere"),
    ("toy.safetensors red.png -o out.safetensors --for micro", 2, "embed the pictures first"),
    ("absent.safetensors -o out.safetensors", 1, "absent.safetensors"),
    ("torn.safetensors --list", 1, "torn.safetensors"),
    ("torn.safetensors -o out.safetensors", 1, "cannot be read as a prompt embedding"),
    ("red.png --list", 2, "can be listed"),
    (f"absent.png {TO_TOY}", 1, "absent.png"),
    (f"broken.png {TO_TOY}", 1, "broken.png"),
    (f"red.png --alpha -1 {TO_TOY}", 2, "alpha is -1"),
    (f"red.png --strength 3 {TO_TOY}", 2, "strength is 3"),
    (f"red.png --weights 1,2 {TO_TOY}", 2, "2 weights for 1"),
    (f"red.png --weights 1,2 --projection ridge --gap-pictures 'pictures/*.png' {TO_TOY}", 2, "2 weights for 1"),
    (f"red.png --projection ridge --gap-pictures blue.png {TO_TOY}", 2, "about 40"),
    (f"red.png --projection ridge --gap-pictures absent.png {TO_TOY}", 1, "absent.png"),
    (f"red.png --projection ridge --prompts 3 {TO_TOY}", 2, "16 or more"),
    (f"red.png --gap-pictures blue.png {TO_TOY}", 2, "about 40"),
    (f"red.png --projection pinv --gap-pictures 'pictures/*.png' {TO_TOY}", 2, "leave out --gap-pictures"),
    (f"red.png --quality quick --gap-pictures 'pictures/*.png' {TO_TOY}", 2, "give --quality good or best"),
    (f"red.png --prompts 99 {TO_TOY}", 2, "--projection ridge, bank or anchored"),
    (f"red.png --quality best --projection soft {TO_TOY}", 2, "leave out --projection, or leave out --quality"),
    (f"red.png --quality quick --anchor 'a star' {TO_TOY}", 2, "leave out --anchor, or give --quality good"),
    (f"red.png --projection ridge --anchor 'a star' {TO_TOY}", 2, "leave out --anchor"),
    (f"red.png --quality quick --tokens 2 {TO_TOY}", 2, "leave out --tokens"),
    (f"red.png --projection anchored --tokens 2 {TO_TOY}", 2, "leave out --tokens"),
    (f"red.png --tokens 99 {TO_TOY}", 2, "tokens"),
    (f"red.png --captioner blip {TO_TOY}", 1, "'blip'"),
    (f"red.png --quality good --phrases nowhere {TO_TOY}", 1, "nowhere"),
    (f"red.png --quality good --bank nowhere {TO_TOY}", 2, "no nowhere"),
    (f"red.png --quality good --bank one {TO_TOY}", 2, "give 40 varied ones"),
    (f"red.png --projection ridge --text 'a star' {TO_TOY}", 2, "less than 1 with --strength"),
    (f"red.png --crop 90,90,10,10 {TO_TOY}", 1, "leaves nothing"),
    (f"red.png --crop 9,9 {TO_TOY}", 2, "left, top, width and height"),
    (f"red.png --crop 0,0,9,9 --mask blue.png {TO_TOY}", 2, "give one of them"),
    (f"red.png --mask black.png {TO_TOY}", 1, "black all over"),
    (f"red.png --mask absent.png {TO_TOY}", 1, "absent.png"),
    (f"red.png --minus absent.png {TO_TOY}", 1, "absent.png"),
    (f"red.png --minus broken.png {TO_TOY}", 1, "broken.png"),
    ("red.png -o out.safetensors --for sdxl --projection pinv", 2, "SDXL"),
]

VARY = [
    ("absent.png -o out.png", 1, "absent.png"),
    ("red.png -o out.png --count 2", 2, "2 pictures are asked for"),
    ("red.png -o out --count 0", 2, "number of pictures is 0"),
    ("red.png -o nowhere/out.png", 2, "no folder nowhere"),
    ("red.png -o sealed/out.png", 2, "not permitted"),
    ("red.png -o note", 2, "note is no folder"),
    ("red.png -o sealed/out", 2, "sealed may not be"),
    ("red.png -o red.png", 2, "red.png is read itself"),
    ("red.png -o blue.png --init blue.png", 2, "blue.png is read itself"),
    ("red.png -o out.png --init absent.png", 1, "absent.png"),
    ("red.png -o out.png --steps 0", 2, "steps is 0"),
    ("red.png -o out.png --size 30x64", 2, "30 pixels"),
    ("red.png -o out.png --denoise 2", 2, "denoise is 2"),
    ("red.png -o out.png --strength 2", 2, "strength is 2"),
    ("red.png -o out.png --seed -1", 2, "seed is -1"),
    ("red.png blue.png -o out.png --weights 1", 2, "1 weight for 2"),
    ("red.png -o out.png --projection ridge --text 'a star'", 2, "less than 1 with --strength"),
    ("red.png -o out.png --projection ridge --swap mediums=mosaic", 2, "anchored"),
    ("red.png -o out.png --quality quick --swap mediums=mosaic", 2, "anchored"),
    ("red.png -o out.png --swap moods=calm", 2, "'moods'"),
    ("red.png -o out.png --quality best --projection soft", 2, "leave out --projection, or leave out --quality"),
    ("red.png -o out.png --quality quick --anchor 'a star'", 2, "leave out --anchor"),
    ("red.png -o out.png --projection pinv --gap-pictures 'pictures/*.png'", 2, "leave out --gap-pictures"),
    ("red.png -o out.png --checkpoint micro --captioner blip", 1, "'blip'"),
    ("red.png -o out.png --phrases nowhere", 1, "nowhere"),
    ("red.png -o out.png --bank nowhere", 2, "no nowhere"),
    ("red.png -o out.png --projection anchored --swap moods=calm", 2, "'moods'"),
    ("red.png -o out.png --gap-pictures blue.png", 2, "1 picture to measure the gap"),
    ("red.png -o out.png --gap-pictures absent.png", 1, "absent.png"),
    ("red.png -o out.png --clip ViT-L-14/opnai --checkpoint micro", 1, "ViT-L-14/openai"),
    ("red.png -o out --checkpoint absent.safetensors", 1, "absent.safetensors"),
    ("red.png -o out --checkpoint note", 1, "note is no safetensors file"),
    ("red.png -o out --checkpoint torn.safetensors", 1, "torn.safetensors"),
    ("red.png -o out --checkpoint micro --device abacus", 2, "'abacus'"),
]

DIRECTION = "--away 'a star' --toward 'a moon'"
VARY += [
    ("red.png -o out.png --away 'a star'", 2, "give --toward too"),
    ("red.png -o out.png --amount 1", 2, "give --away too"),
    ("red.png -o out.png --away 'a star' --toward 'a star'", 2, "both are the same"),
    ("red.png -o out.png --away ' ' --toward 'a star'", 2, "no text to move away from"),
    (f"red.png -o out.png {DIRECTION} --amount 99", 2, "amount of a direction is 99"),
    (f"red.png -o out.png {DIRECTION} --amount 1,nan", 2, "amount of a direction is nan"),
    (f"red.png -o out.png {DIRECTION} --text 'a moon'", 2, "leave out --text"),
    (f"red.png -o note {DIRECTION} --amount 0,1", 2, "note is no folder"),
    (f"red.png -o red.png {DIRECTION} --amount 0,1", 2, "red.png is read itself"),
]

ANIMATE = [
    ("absent.txt -o out.png", 1, "absent.txt"),
    ("empty.txt -o out.png", 1, "empty.txt says nothing"),
    ("long.txt -o out.png", 1, "Line 1 of long.txt has 2,000 letters"),
    ("gone.txt -o out.png", 1, "names the picture gone.png, which is not there"),
    ("red.png -o out.png", 1, "red.png"),
    ("lines.txt -o out.gif", 2, "no name of a film"),
    ("lines.txt -o nowhere/out.png", 2, "no folder nowhere"),
    ("lines.txt -o sealed/out.png", 2, "not permitted"),
    ("lines.txt -o sealed/out", 2, "sealed may not be"),
    ("lines.txt -o pictures", 2, "pictures holds other files"),
    ("lines.txt -o out.png --frames 0", 2, "frames from line to line are 0"),
    ("lines.txt -o out.png --fps 0", 2, "frames a second are 0"),
    ("lines.txt -o out.png --steps 0", 2, "steps is 0"),
    ("lines.txt -o out.png --size 30x64", 2, "30 pixels"),
    ("lines.txt -o out.png --clip ViT-L-14/opnai", 1, "ViT-L-14/openai"),
    ("lines.txt -o out.png --checkpoint absent.safetensors", 1, "absent.safetensors"),
    ("lines.txt -o out.png --bank nowhere", 2, "no nowhere"),
]

OPTIMISE = [
    ("' ' -o out.png", 2, "no text to optimise"),
    ("'a star' -o out.txt", 2, "out.txt has no name of a picture"),
    ("'a star' -o nowhere/out.png", 2, "no folder nowhere"),
    ("'a star' -o sealed/out.png", 2, "not permitted"),
    ("'a star' -o red.png --init red.png", 2, "red.png is read itself"),
    ("'a star' -o out.png --init absent.png", 1, "absent.png"),
    ("'a star' -o out.png --by cppn --init red.png", 2, "cannot be made of a picture"),
    ("'a star' -o out.png --moves 0", 2, "moves of the picture are 0"),
    ("'a star' -o out.png --views 0", 2, "views of a step are 0"),
    ("'a star' -o out.png --seed -1", 2, "seed is -1"),
    ("'a star' -o out.png --strip out.png", 2, "are one file"),
    ("'a star' -o out.png --film out.gif", 2, "no name of a film"),
    ("'a star' -o out.png --film film", 2, "no name of a film"),
    ("'a star' -o out.png --clip ViT-L-14/opnai", 1, "ViT-L-14/openai"),
    ("'a star' -o out.png --checkpoint absent.safetensors", 1, "absent.safetensors"),
]

LOCATE += [
    (f"red.png 'a cat' --pieces 0 {MICRO}", 2, "pieces along a side are 0"),
    (f"red.png 'a cat' --pieces 8,99 {MICRO}", 2, "pieces along a side are 8, 99"),
]

VERIFY = [
    (f"--scores nowhere {MICRO}", 2, "nowhere is no folder"),
    (f"--scores nothing {MICRO}", 2, "holds no pictures"),
    (f"--scores pictures --pictures nothing {MICRO}", 2, "holds no pictures"),
    (f"--scores pictures --dino someone/dino {MICRO}", 2, "--dino compares with references"),
    (f"--scores pictures -o note {MICRO}", 2, "note is no folder"),
    ("--scores pictures --clip ViT-L-14/opnai", 1, "ViT-L-14/openai"),
    ("--count 0", 2, "--count"),
    ("--seeds 0", 2, "--seeds"),
    ("--steps 0", 2, "steps is 0"),
    ("--pictures nowhere", 2, "nowhere is no folder"),
    ("--pictures nothing", 2, "holds no picture"),
    ("-o note", 2, "note is no folder"),
    ("-o sealed", 2, "sealed may not be"),
    (f"--phrases nowhere {MICRO}", 1, "nowhere"),
    (f"--captioner blip {MICRO}", 1, "'blip'"),
    ("--clip ViT-L-14/opnai", 1, "ViT-L-14/openai"),
    ("--checkpoint absent.safetensors", 1, "absent.safetensors"),
    ("--checkpoint micro --pictures one", 2, "1 picture to verify with"),
    ("--checkpoint micro --pictures pictures --judge ViT-L-14/opnai", 1, "ViT-L-14/openai"),
    ("--checkpoint micro --pictures pictures --judge micro", 2, "--judge is micro, which searched the prompts"),
    ("--checkpoint micro --pictures pictures --ways good,rigde", 2, "'rigde' is no way to embed a picture"),
    ("--pictures pictures --ways good", 2, "--ways is of what is rendered; give --checkpoint and --pictures too"),
    ("--checkpoint micro --judge micro-tagger", 2, "--judge is of what is rendered"),
    ("--checkpoint micro --pictures pictures --sheet", 2, "--sheet writes sheet.png beside the report"),
    ("--checkpoint micro --pictures pictures --dino not/a/name", 1, "not/a/name"),
    (f"--device abacus {MICRO.partition(' --device')[0]}", 2, "'abacus'"),
]

FOLDERS = [
    (f"index absent {MICRO}", 2, "absent"),
    (f"index pictures -o nothing {MICRO}", 1, "nothing is a folder"),
    ("search nothing 'a star'", 1, "no index"),
    ("search one 'a star'", 2, "holds no pictures"),
    ("search pictures 'a star' --top 0", 2, "--top is 0"),
    ("search pictures ' '", 2, "nothing to search"),
    ("search pictures 'a star' --fit pad", 1, "crop"),
    ("search pictures broken.png", 1, "broken.png"),
    ("search pictures absent.png", 1, "absent.png"),
    ("search pictures 'a star' --sheet out.txt", 2, "out.txt has no name of a picture"),
    ("search pictures 'a star' --sheet nowhere/out.png", 2, "no folder nowhere"),
    ("search pictures 'a star' --sheet sealed/out.png", 2, "not permitted"),
    ("search pictures red.png --sheet red.png", 2, "red.png is read itself"),
    ("search pictures 'a star' --sheet pictures/3.png", 2, "3.png is read itself"),
    ("curate nothing", 1, "no index"),
    ("curate one", 2, "holds no pictures"),
    ("curate pictures -o note", 2, "note is no folder"),
    ("curate pictures -o sealed/report", 2, "sealed may not be"),
    ("demo -o note", 2, "note is no folder"),
    ("demo -o sealed", 2, "sealed may not be"),
    ("metadata absent.png", 1, "absent.png"),
    ("models remove micro", 1, "part of the package"),
]

SERVING = [
    ("serve --host 0.0.0.0", 2, "anyone"),
    ("serve --port 0", 2, "--port is 0"),
    ("serve --phrases nowhere", 1, "nowhere"),
    ("serve --captioner blip", 1, "'blip'"),
    ("serve --clip ViT-L-14/opnai", 1, "ViT-L-14/openai"),
    ("ui --port 0", 2, "--port is 0"),
    ("ui --phrases nowhere", 1, "nowhere"),
    ("ui --no moods", 1, "'moods'"),
]

COMMANDS = {
    **{"interrogate": INTERROGATE, "batch": BATCH, "analyze": ANALYZE, "match": MATCH, "locate": LOCATE},
    **{
        "embed": EMBED,
        "vary": VARY,
        "animate": ANIMATE,
        "optimise": OPTIMISE,
        "verify": VERIFY,
        "": [*FOLDERS, *SERVING],
    },
}
CASES = [(f"{command} {rest}".strip(), *expected) for command, cases in COMMANDS.items() for rest, *expected in cases]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The folder that commands are called in."""
    monkeypatch.delenv("UNRENDER_TOKEN", raising=False)
    monkeypatch.setenv("UNRENDER_CACHE", str(tmp_path.parent / f"{tmp_path.name}-cache"))
    write_files(tmp_path)
    texts = {"empty": "\n \n", "long": "x" * 2000, "gone": "a star\ngone.png", "lines": "a star\na moon\n"}
    for name, text in texts.items():
        (tmp_path / f"{name}.txt").write_text(text)
    monkeypatch.chdir(tmp_path)
    seal(monkeypatch, tmp_path / "sealed")
    return tmp_path


@pytest.mark.parametrize(("line", "status", "says"), CASES, ids=[line for line, *_ in CASES])
def test_a_command_refuses(here, monkeypatch, capsys, line, status, says):
    if "--checkpoint absent" in line or says in ("note is no safetensors file", "torn.safetensors", "not/a/name"):
        pytest.importorskip("diffusers", reason="without diffusers it is that which is told")
    tried = forbid_models(monkeypatch)
    with unchanged(here):
        assert main(shlex.split(line)) == status
    out, error = capsys.readouterr()
    assert says in error and error.count("\n") == 1, error
    assert out == "" and tried == []


PACKAGES = [
    ("analyze red.png --plot out.png --clip micro", "matplotlib.figure", "matplotlib"),
    ("vary red.png -o out --checkpoint micro", "diffusers", "diffusers"),
    ("verify --checkpoint micro --clip micro", "diffusers", "diffusers"),
    ("serve --clip micro", "uvicorn", "uvicorn"),
    ("batch pictures --engine ray", "ray.data", "ray"),
]


@pytest.mark.parametrize(("line", "module", "says"), PACKAGES, ids=[module for _, module, _ in PACKAGES])
def test_a_package_is_missed_before_a_model_is_loaded(here, monkeypatch, capsys, line, module, says):
    monkeypatch.setitem(sys.modules, module, None)
    tried = forbid_models(monkeypatch)
    with unchanged(here):
        assert main(shlex.split(line)) == 1
    error = capsys.readouterr().err
    assert says in error and "pip install" in error and error.count("\n") == 1 and tried == []


def test_parquet_is_missed_before_a_model_is_loaded(here, monkeypatch, capsys):
    """In the folder that the run holds by then."""
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    tried = forbid_models(monkeypatch)
    assert main(["batch", "pictures", "--output", "parquet"]) == 1
    assert "pip install pyarrow" in capsys.readouterr().err and tried == []
