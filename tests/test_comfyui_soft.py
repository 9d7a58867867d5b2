"""Soft prompts in a real ComfyUI: through its text encoders as they are held, patched and partly unloaded."""

from __future__ import annotations

import pytest
from comfyui_graphs import CAPTIONING, SEARCHING, Graph, embedding, node, picture, shipped
from comfyui_server import needs_comfyui, rendered
from test_comfyui_embedding import LORA, family_graph, of_family, shares

pytest_plugins = ["comfyui_fixtures"]
pytestmark = needs_comfyui

SAME = 1e-5
"""As a share of the greatest value."""


@pytest.fixture(autouse=True)
def few_words(comfyui):
    """Of families and composed texts, which take a whole text encoder its time."""
    comfyui.post("/probe/few_words", {})


SMALL = pytest.mark.parametrize("family", ["sd2", "sdxl"])
"""Of three layers. That of Stable Diffusion 1 is whole, and takes part below."""


@SMALL
def test_comfyui_moves_a_soft_prompt_for_every_family(comfyui, family):
    graph = family_graph(family) | {
        "30": of_family(family, quality="good"),
        "31": of_family(family, quality="good", image=["102", 0]),
        "32": of_family(family, quality="best", anchor=["22", 0]),
        "33": of_family(family, quality="good", strength=0.0, text="a cup of coffee"),
        "34": of_family(family, quality="good", tokens=8),
        "35": of_family(family, quality="good", text="a cup of coffee"),
    }
    found = shares(
        comfyui,
        graph,
        {
            "seen elsewhere": ("31", "30"),
            "the text alone": ("33", "21"),
            "nothing said": ("30", "20"),
            "words": ("32", "21"),
            "tokens": ("34", "30"),
            "text": ("35", "30"),
        },
    )
    assert found["seen elsewhere"] < 3e-3 and found["the text alone"] < 1e-3, found
    assert all(1e-3 < found[name] < 1e3 for name in ("nothing said", "words", "tokens", "text")), found
    assert "UnrenderModel" not in comfyui.get("/probe/loaded")


@SMALL
def test_comfyui_makes_the_same_of_a_text_whose_soft_part_is_empty(comfyui, family):
    """quick asks nothing, so that no words stand there but the text's."""
    graph = family_graph(family) | {
        "30": of_family(family, quality="quick", tokens=0),
        "31": of_family(family, quality="quick", tokens=0, text="a cup of coffee"),
        "32": of_family(family, quality="quick", text="a cup of coffee"),
    }
    found = shares(comfyui, graph, {"nothing": ("30", "20"), "text": ("31", "21"), "soft": ("32", "21")})
    assert found["nothing"] < SAME and found["text"] < SAME and found["soft"] > 1e-3, found


def test_comfyui_searches_with_what_the_graph_holds(comfyui):
    """best, without a captioner, by the vocabulary of an Interrogator From CLIP."""
    options = {**CAPTIONING, **SEARCHING, "captioner": "none", "vocabulary": "phrases/few", "search": "honest"}
    graph = family_graph("sd2") | {
        "5": node("UnrenderInterrogatorFromClip", clip=["2", 0], clip_vision=["101", 0], **options),
        "30": of_family("sd2", quality="best", image=["10", 0], interrogator=["5", 0]),
    }
    assert 1e-3 < shares(comfyui, graph, {"found": ("30", "20")})["found"] < 1e3


def test_comfyui_finds_a_soft_prompt_through_loras_and_partly_unloaded(comfyui):
    """The same wherever ComfyUI has the weights and whenever it patches them; and its own text encoder is as before."""
    before = _encoded(comfyui)
    graph = embedding(["2", 1], clip_vision=["101", 0], quality="good") | {
        "21": LORA,
        "22": node("ProbePartlyUnloaded", clip=["21", 1]),
        "30": embedding(["21", 1], clip_vision=["101", 0], quality="good")["3"],
        "31": embedding(["22", 0], clip_vision=["101", 0], quality="good")["3"],
    }
    found = shares(comfyui, graph, {"a LoRA": ("30", "3"), "partly unloaded": ("31", "30")})
    assert found["partly unloaded"] < 1e-3 < 0.01 < found["a LoRA"], found
    assert _encoded(comfyui) == before


def test_comfyui_learns_once_where_sdxls_second_encoder_has_texts(comfyui):
    """Whatever strength a LoRA has on it; of each is kept how it differs, which is little."""
    folder = comfyui.shared / "embed"
    before = set(folder.glob("*"))

    def at_strength(strength: float) -> float:
        comfyui.post("/free", {"unload_models": True, "free_memory": True})
        plain = of_family("sdxl", quality="good")
        graph = family_graph("sdxl") | {
            "29": node("ProbeSmallLora", clip=["2", 0], strength=strength),
            "30": plain,
            "31": {**plain, "inputs": {**plain["inputs"], "clip": ["29", 0]}},
        }
        return shares(comfyui, graph, {"a LoRA": ("31", "30")})["a LoRA"]

    found = [at_strength(strength) for strength in (0.25, 0.5)]
    assert min(found) > 1e-3 and abs(found[0] - found[1]) > 1e-3, found
    new = set(folder.glob("*")) - before
    crossings = set(folder.glob("crossing-*"))
    corrections = [path for path in new if path.name.startswith("correction-")]
    assert len(corrections) == 2 and len(crossings - before) <= 1, new
    assert max(path.stat().st_size for path in corrections) < min(path.stat().st_size for path in crossings) / 10
    assert abs(at_strength(0.5) - found[1]) < SAME
    assert set(folder.glob("*")) - before == new


def _encoded(comfyui) -> float:
    """Of ComfyUI's own text encoder, without our nodes."""
    comfyui.post("/free", {"unload_models": True, "free_memory": True})
    graph: Graph = {
        "2": node("CheckpointLoaderSimple", ckpt_name="random.safetensors"),
        "3": node("CLIPTextEncode", text="a cup of coffee", clip=["2", 1]),
        "4": node("CLIPTextEncode", text="", clip=["2", 1]),
        "5": node("ProbeDistance", first=["3", 0], second=["4", 0]),
        "6": node("PreviewAny", source=["5", 0]),
    }
    return float(comfyui.run(graph).text("6")[0])


def test_comfyui_draws_a_soft_prompt_again_and_the_next_plain_run_as_ever(comfyui):
    soft = shipped("Image variation without text")
    assert soft["3"]["inputs"]["quality"] == "good"
    plain = {**soft, "7": {**soft["7"], "inputs": {**soft["7"]["inputs"], "positive": ["5", 0]}}}
    del plain["3"]
    before = rendered(comfyui, plain)
    image = rendered(comfyui, soft)
    again = {**soft, "3": {**soft["3"], "inputs": {**soft["3"]["inputs"], "weights": "1"}}}
    assert (rendered(comfyui, again) == image).all()
    assert (rendered(comfyui, {**soft, "2": picture("cat.png")}) != image).any()
    later = {**plain, "5": node("CLIPTextEncode", text=" ", clip=["1", 1])}
    assert (image != before).any() and (rendered(comfyui, later) == before).all()
