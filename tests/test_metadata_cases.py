"""Files that were once understood in part, and what is right for each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from unrender.cli import main
from unrender.core.metadata import read_metadata

FOLDER = Path(__file__).parent / "data" / "metadata"
WEBUI = {"prompt": "a castle at dawn", "negative_prompt": "blurry", "seed": "77", "steps": "20", "model": "dream"}
GRAPH = {
    **{"prompt": "a glass bottle", "negative_prompt": "watermark", "seed": "42"},
    "model": "sd_xl_base.safetensors",
}
RIGHT = {
    "q_adetailer.png": {**WEBUI, "prompt": "a castle", "model": "dreamshaper_8"},
    "q_lora_hashes.png": {**WEBUI, "prompt": "a castle", "model": "dreamshaper_8"},
    "p_one_line.png": WEBUI,
    "p_neg_in_prompt.png": {**WEBUI, "prompt": 'sign that says "Negative prompt: none" on a wall'},
    "p_json_in_prompt.png": {**WEBUI, "prompt": '{"a": 1}, a castle'},
    "c_plain.png": GRAPH,
    "c_text_linked_primitive.png": GRAPH,
    "c_string_concat.png": {**GRAPH, "prompt": "a glass bottle, galaxy"},
    "c_sdxl_encode.png": {**GRAPH, "prompt": "a glass bottle\ngalaxy"},
    "c_zero_out_negative.png": {**GRAPH, "negative_prompt": ""},
    "c_cfgguider.png": {
        **GRAPH,
        **{"seed": "777", "cfg_scale": "4.0", "sampler": "euler", "model": "qwen_image.safetensors"},
    },
    "c_easy.png": {**GRAPH, "seed": "", "model": "x.safetensors"},
    "c_seed_linked.png": {**GRAPH, "seed": "4242"},
    "cm_controlnet.png": GRAPH,
    "cm_own_node.png": {**GRAPH, "prompt": ""},
    "uc_utf8_behind_UNICODE.jpg": WEBUI,
    "uc_utf16_bom_be.jpg": WEBUI,
    "a1111_comment.gif": WEBUI,
    "desc_params.jpg": WEBUI,
    "invoke5.png": {"prompt": "a fox", "negative_prompt": "photo", "seed": "7", "model": "Juggernaut XL v9"},
    "own_xmp.jpg": {"generator": "", "prompt": "a castle at dawn, oil painting", "negative_prompt": ""},
    "ztxt_1.5MB.png": WEBUI,
    "iccp_2MB.png": WEBUI,
}


def test_each_file_is_here():
    assert {path.name for path in FOLDER.iterdir()} == RIGHT.keys()


@pytest.mark.parametrize("name", RIGHT)
def test_a_file_is_understood_as_a_whole(name, capsys):
    assert main(["metadata", str(FOLDER / name), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    found = {**found, **found["texts"], **found["settings"]} if not found["notes"] else {**found, **found["settings"]}
    assert {key: found[key] for key in RIGHT[name]} == RIGHT[name]


def test_what_was_not_understood_is_said_and_shown(capsys):
    path = FOLDER / "cm_own_node.png"
    found = read_metadata(path)
    assert len(found.notes) == 1 and "Interrogate Picture" in found.notes[0] and "ran" in found.notes[0]
    assert "UnrenderInterrogate" in dict(found.texts)["prompt"]
    assert main(["metadata", str(path)]) == 0
    out = capsys.readouterr().out
    assert "note: prompt: Interrogate Picture" in out and "class_type" in out


def test_interrogate_says_so_too(capsys):
    arguments = ["interrogate", str(FOLDER / "cm_own_node.png"), "--clip", "micro", "--captioner", "none"]
    assert main([*arguments, "--mode", "fast", "--device", "cpu", "--json"]) == 0
    file = json.loads(capsys.readouterr().out)["file"]
    assert file["negative_prompt"] == "watermark" and "Interrogate Picture" in file["notes"][0]
