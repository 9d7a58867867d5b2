"""What a command imports before it says its first word: the rest are seconds that somebody waits for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

HEAVY = ("torch", "torch._dynamo", "transformers", "open_clip", "torchvision", "sklearn", "scipy", "gradio")
_PROGRAM = f"""
import sys
from unrender.cli import main
try:
    status = main(sys.argv[1:])
except SystemExit as error:
    status = error.code
print(status, *(name for name in {HEAVY} if sys.modules.get(name) is not None), file=sys.stderr)
"""

REFUSED = """\
interrogate nothing.png
interrogate bad.png
interrogate pictures/a.png nothing.png --clip micro --together
interrogate pictures/a.png --clip ViT-X-99/none
interrogate pictures/a.png --clip nobody
interrogate pictures/a.png --clip ./nowhere
interrogate pictures/a.png --clip empty
interrogate pictures/a.png --captioner nobody
interrogate pictures/a.png --clip micro --no nothing
interrogate pictures/a.png --clip micro --phrases nowhere
interrogate pictures/a.png --mode caption --captioner none
analyze nothing.png --clip micro
analyze pictures/a.png --clip nobody
analyze pictures/a.png --clip micro --categories nothing
analyze pictures/a.png --clip micro --plot chart.bad
match pictures/a.png
match pictures/a.png cat --clip nobody
locate nothing.png cat
locate pictures/a.png cat --clip nobody
locate pictures/a.png cat --plot out.bad --clip micro
batch nowhere
batch pictures --clip nobody
batch pictures --output csv --columns nothing
index nowhere
index pictures --clip nobody
search pictures cat --clip micro
curate pictures --clip micro
curate nowhere
embed nothing.png -o x.safetensors --for sd15
embed pictures/a.png -o x.safetensors --for sd15 --clip nobody
vary nothing.png -o out --checkpoint pictures
vary pictures/a.png -o out --clip nobody --checkpoint pictures
vary pictures/a.png -o out --checkpoint nofile
vary pictures/a.png -o out --checkpoint nofile.safetensors
vary pictures/a.png -o out --checkpoint bad.png
vary pictures/a.png -o out --checkpoint pictures
vary pictures/a.png -o out --checkpoint inpainting
vary pictures/a.png -o out --checkpoint micro --steps 0
vary pictures/a.png -o out.png --checkpoint micro --count 2
verify --clip nobody
verify --count 0
verify --steps 0
verify --ways rigde
verify --checkpoint micro --pictures pictures --sheet
verify --checkpoint nofile
verify --checkpoint bad.png
verify --pictures nowhere --count 1
verify --pictures empty
verify --checkpoint micro --pictures pictures
verify -o bad.png --checkpoint micro
metadata nothing.png
models download nothing
models remove nothing
serve --phrases nowhere
""".splitlines()


@pytest.fixture(scope="module", name="place")
def place_fixture(tmp_path_factory):
    place = tmp_path_factory.mktemp("place")
    for folder in ("pictures", "empty", "home"):
        (place / folder).mkdir()
    Image.new("RGB", (64, 64), "red").save(place / "pictures" / "a.png")
    (place / "bad.png").write_bytes(b"not a picture")
    (place / "inpainting").mkdir()
    (place / "inpainting" / "model_index.json").write_text('{"_class_name": "StableDiffusionInpaintPipeline"}')
    return place


def ran(place: Path, *arguments: str) -> tuple[str, list[str], str]:
    """Exit status, which of HEAVY were imported, and what was said before."""
    env = {**os.environ, "XDG_CACHE_HOME": str(place / "home"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *arguments], cwd=place, env=env, capture_output=True, text=True
    )
    *said, last = done.stderr.strip().splitlines()
    status, *imported = last.split()
    return status, imported, done.stdout + "\n".join(said)


@pytest.mark.parametrize("line", REFUSED)
def test_a_refusal_waits_for_no_library(place, line):
    status, imported, said = ran(place, *line.split())
    assert status in ("1", "2") and said.startswith("unrender: "), said
    assert imported == []


def test_the_list_of_models_waits_for_no_library(place):
    status, imported, said = ran(place, "models", "--json")
    assert status == "0" and "ViT-L-14/openai" in said
    assert imported == []


def test_a_picture_on_micro_waits_for_torch_alone(place):
    status, imported, said = ran(place, "interrogate", "pictures/a.png", "--clip", "micro", "--device", "cpu")
    assert status == "0" and said
    assert imported == ["torch"]


def test_a_name_on_the_hub_is_told_from_open_clips_without_it(place):
    program = (
        "import sys\nfrom unrender.core.clip.names import find_known, known_models\n"
        "assert find_known('openai/clip-vit-large-patch14') is None and find_known('vit-l-14/OpenAI').file\n"
        "assert not {'torch', 'open_clip'} & {*sys.modules}\n"
        "cheap = known_models()\nimport open_clip.pretrained\nassert cheap == known_models() and len(cheap) > 40\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
