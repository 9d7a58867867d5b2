"""A real ComfyUI in daily use: chains of nodes, kinds of CLIP, calls that no page makes, folders, and what stays in its
memory."""

from __future__ import annotations

import time
from typing import Any

import pytest
from comfyui_graphs import Graph, embedding, micro, node, one_picture
from comfyui_server import Run, Server, needs_comfyui

pytest_plugins = ["comfyui_fixtures"]
pytestmark = [needs_comfyui, pytest.mark.full]

OURS, TEXT = ["3", 0], ["20", 0]
CLIP = ["2", 1]
AREA = {"width": 64, "height": 64, "x": 0, "y": 0, "strength": 1.0}
SHARE = {"width": 0.5, "height": 0.5, "x": 0.0, "y": 0.0, "strength": 1.0}


def changed(kind: str, **settings: Any) -> list[Any]:
    """By one of ComfyUI's nodes that take one conditioning."""
    return [(kind, {"conditioning": each, **settings}) for each in (OURS, ["4", 0])]


def mixed(kind: str, first: str, second: str, **settings: Any) -> list[Any]:
    pairs = ((OURS, TEXT), (TEXT, OURS), (OURS, ["4", 0]))
    return [(kind, {first: one, second: other, **settings}) for one, other in pairs]


CHAINS = [
    *mixed("ConditioningAverage", "conditioning_to", "conditioning_from", conditioning_to_strength=0.3),
    *mixed("ConditioningAverage", "conditioning_to", "conditioning_from", conditioning_to_strength=1.0),
    *mixed("ConditioningConcat", "conditioning_to", "conditioning_from"),
    *mixed("ConditioningCombine", "conditioning_1", "conditioning_2"),
    *changed("ConditioningSetArea", **AREA),
    *changed("ConditioningSetAreaPercentage", **SHARE),
    *changed("ConditioningSetAreaStrength", strength=0.7),
    *changed("ConditioningSetMask", mask=["21", 0], strength=0.8, set_cond_area="default"),
    *changed("ConditioningSetTimestepRange", start=0.0, end=0.6),
    *changed("ConditioningZeroOut"),
    ("ConditioningSetMask", {"conditioning": TEXT, "mask": ["21", 0], "strength": 1.0, "set_cond_area": "mask bounds"}),
    ("ConditioningCombine", {"conditioning_1": ["5", 0], "conditioning_2": OURS}),
    ("ConditioningAverage", {"conditioning_to": ["5", 0], "conditioning_from": OURS, "conditioning_to_strength": 0.5}),
]
"""What is sampled as the positive conditioning: 27 chains with an embedding of ours in each, or a blend."""


def sampled(comfyui: Server, chain: Any) -> Run:
    kind, inputs = chain
    graph: Graph = embedding(CLIP, projection="pinv", clip_vision=["101", 0]) | {
        "20": node("CLIPTextEncode", clip=CLIP, text="a cup of coffee"),
        "21": node("SolidMask", value=1.0, width=64, height=64),
        "4": node("UnrenderBlendPromptEmbeddings", first=["3", 1], second=["3", 1], share=0.4, mix="spherical"),
        "5": node("ConditioningConcat", conditioning_to=OURS, conditioning_from=TEXT),
        "6": node(kind, **inputs),
        "7": node("EmptyLatentImage", width=64, height=64, batch_size=1),
        "8": node(
            "KSampler",
            **{"model": ["2", 0], "positive": ["6", 0], "negative": TEXT, "latent_image": ["7", 0], "denoise": 1.0},
            **{"seed": 1, "steps": 1, "cfg": 4.0, "sampler_name": "euler", "scheduler": "normal"},
        ),
        "9": node("VAEDecode", samples=["8", 0], vae=["2", 2]),
        "10": node("PreviewImage", images=["9", 0]),
    }
    return comfyui.run(graph)


def test_comfyui_samples_every_chain_of_conditionings(comfyui):
    assert len(CHAINS) == 27
    failed = {}
    for number, chain in enumerate(CHAINS):
        run = sampled(comfyui, chain)
        if not run.succeeded:
            failed[number, chain[0]] = run.error
    assert not failed


def test_comfyui_averages_ours_and_a_text_without_a_word_in_the_log(comfyui):
    log = len(comfyui.log.read_text(errors="replace"))
    assert sampled(comfyui, CHAINS[0]).succeeded and sampled(comfyui, CHAINS[1]).succeeded
    assert "Traceback" not in comfyui.log.read_text(errors="replace")[log:]


def embedded(clip: list[Any], **more: Any) -> Graph:
    graph = embedding(clip, clip_vision=["101", 0], **{"projection": "pinv", **more})
    return graph | {"40": node("UnrenderSavePromptEmbedding", embedding=["3", 1], name="daily")}


@pytest.mark.parametrize("layer", [-1, -2, -3, -24])
@pytest.mark.parametrize("projection", ["usual", "pinv"])
def test_comfyui_embeds_for_the_layers_that_sd1_is_used_with(comfyui, layer, projection):
    graph = embedded(["30", 0], projection=projection, quality="quick")
    graph["30"] = node("CLIPSetLastLayer", clip=CLIP, stop_at_clip_layer=layer)
    run = comfyui.run(graph)
    if layer >= -2:
        assert run.succeeded, run.error
        saved = comfyui.shared / "prompt_embeddings" / "daily.safetensors"
        assert b'"projection":"pinv"' in saved.read_bytes().replace(b" ", b"")[:2000]
    else:
        assert run.error == (
            f"The CLIP is stopped at layer {layer}, for which no picture can be embedded; set -1 or -2 in CLIP Set "
            "Last Layer."
        )


def test_comfyui_embeds_for_every_kind_of_clip(comfyui):
    graph = embedded(CLIP) | {
        "50": node("CLIPLoader", clip_name="clip_l.safetensors", type="stable_diffusion"),
        "51": node("CLIPLoader", clip_name="scaled_fp8.safetensors", type="stable_diffusion"),
        "52": node(
            "LoraLoader", model=["2", 0], clip=CLIP, lora_name="text.safetensors", strength_model=0.0, strength_clip=0.8
        ),
        "53": node("CLIPMergeSimple", clip1=CLIP, clip2=["50", 0], ratio=0.5),
    }
    for number, clip in (("50", 0), ("51", 0), ("52", 1), ("53", 0)):
        graph["3"]["inputs"]["clip"] = [number, clip]
        run = comfyui.run(graph)
        assert run.succeeded, (number, run.error)


LITERALS = {"interrogator": "micro", "clip": "micro", "clip_vision": 5, "image": "p00.png", "embedding": "daily"}


def asked_of(kind: str, **settings: Any) -> Graph:
    return one_picture("coffee.png") | {"3": node(kind, image=["1", 0], interrogator=["2", 0], **settings)}


CALLS = {
    "interrogate": lambda: one_picture("coffee.png", mode="fast"),
    "analyze": lambda: asked_of("UnrenderAnalyze", categories="", top=2, dark=False),
    "several": lambda: asked_of("UnrenderSeveralPrompts", count=2),
    "embed": lambda: embedded(CLIP),
    "save": lambda: embedded(CLIP),
}
PLACES = {"interrogate": "3", "analyze": "3", "several": "3", "embed": "3", "save": "40"}


@pytest.mark.parametrize("call", CALLS)
def test_comfyui_says_in_a_sentence_what_no_link_can_be(comfyui, call):
    place, tried = PLACES[call], 0
    for name, literal in LITERALS.items():
        graph = CALLS[call]()
        if name in graph[place]["inputs"]:
            graph[place]["inputs"][name] = literal
            run = comfyui.run(graph)
            assert run.error.endswith(".") and name in run.error, (name, run.error)
            assert "Error" not in run.error and "object has no" not in run.error
            tried += 1
    assert tried


FOLDER = {"mode": "fast", "existing": "skip", "recursive": False, "prefix": "", "suffix": ""}


def captioned(folder: str) -> Graph:
    return {"2": micro(), "3": node("UnrenderCaptionFolder", folder=folder, interrogator=["2", 0], **FOLDER)}


NOWHERE = (
    *("~nobody/x", "a" * 5000, "b" * 400, "x\0y", "\ud800", "", " ", '"', "a:b", "nul", "a\nb", "/dev/null"),
    "../nowhere",
)


@pytest.mark.parametrize("folder", NOWHERE)
def test_comfyui_says_in_a_sentence_that_there_is_no_such_folder(comfyui, folder):
    run = comfyui.run(captioned(folder))
    assert run.error.startswith(("There is no folder", "There are no pictures")) and run.error.endswith("."), run.error
    assert len(run.error) < 1000


def test_comfyui_writes_again_what_was_deleted_and_nothing_twice(comfyui, photographs):
    folder = comfyui.base / "some where"
    folder.mkdir()
    for name, photograph in zip("ab", photographs, strict=False):
        photograph.resize((96, 96)).save(folder / f"{name}.png")
    graph = captioned(f'"{folder}"')
    assert comfyui.run(graph).text("3")[0].startswith("2 texts written")
    assert "3" in comfyui.run(graph).cached
    (folder / "a.txt").unlink()
    assert comfyui.run(graph).text("3")[0].startswith("1 text written") and (folder / "a.txt").is_file()
    assert "3" in comfyui.run(graph).cached
    graph["3"]["inputs"]["existing"] = "append"
    comfyui.run(graph)
    once = (folder / "a.txt").read_text()
    assert "3" in comfyui.run(graph).cached and (folder / "a.txt").read_text() == once
    saving = embedded(CLIP)
    path = comfyui.shared / "prompt_embeddings" / "daily.safetensors"
    comfyui.run(saving)
    path.unlink()
    assert comfyui.run(saving).succeeded and path.is_file()


def test_comfyui_obeys_the_most_phrases(comfyui):
    for mode in ("best", "fast", "classic", "negative"):
        run = comfyui.run(one_picture("coffee.png", mode=mode, max_phrases=1))
        caption = comfyui.run(one_picture("coffee.png", mode="caption")).text("3")[0] if mode != "negative" else ""
        added = run.text("3")[0].removeprefix(caption.rstrip(".")).strip(", ")
        assert added.count(",") == 0, (mode, run.text("3"))


def learn_from(comfyui: Server, texts: int) -> None:
    assert comfyui.run(embedded(CLIP)).succeeded, "after which the modules are loaded"
    comfyui.post(f"/probe/learn_from/{texts}", {})


def memory(comfyui: Server) -> float:
    """Of the server's process, in MB."""
    assert comfyui._process is not None
    status = open(f"/proc/{comfyui._process.pid}/status").read()  # noqa: SIM115, PTH123
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def test_comfyuis_memory_stays_as_it_is(comfyui):
    """While LoRAs change in strength, pictures and settings change, and nothing is repeated."""
    learn_from(comfyui, 16)

    def all_kinds(number: int) -> None:
        graph = embedded(["52", 1], projection="ridge", strength=0.9, correction=0.01 * number)
        graph["52"] = node(
            "LoraLoader",
            model=["2", 0],
            clip=CLIP,
            lora_name="text.safetensors",
            strength_model=0.0,
            strength_clip=0.1 * number,
        )
        assert comfyui.run(graph).succeeded
        assert comfyui.run(one_picture("coffee.png", mode="fast", prefix=f"number {number}")).succeeded

    for number in range(1, 4):
        all_kinds(number)
    before = memory(comfyui)
    for number in range(4, 10):
        all_kinds(number)
    grown = memory(comfyui) - before
    assert grown < 120, f"{grown:.0f} MB"
    kept = list((comfyui.shared / "embed").glob("correction-*"))
    assert len(kept) >= 9 and max(path.stat().st_size for path in kept) < 6e6
    assert len(list((comfyui.shared / "embed").glob("ridge-*"))) <= 2, "one for the encoder, whichever LoRAs are on"


@pytest.mark.parametrize("after", [1.0, 3.0])
@pytest.mark.parametrize("what", ["ridge", "good", "best"])
def test_comfyui_interrupts_what_learns_within_seconds(comfyui, what, after):
    """Of a whole CLIP-L with random weights, patched so that nothing is known of it."""
    learn_from(comfyui, 4000)
    settings = {"projection": "ridge"} if what == "ridge" else {"projection": "usual", "quality": what}
    graph = embedded(["52", 1], **settings)
    graph["52"] = node(
        "LoraLoader",
        model=["2", 0],
        clip=CLIP,
        lora_name="text.safetensors",
        strength_model=0.0,
        strength_clip=after + len(what) / 9,
    )
    for path in (comfyui.shared / "embed").glob("*-*.safetensors"):
        path.unlink()
    for path in (comfyui.shared / "tables").glob("*"):
        path.unlink()
    prompt = comfyui.submit(graph)
    time.sleep(after + 2)
    asked = time.monotonic()
    comfyui.post("/interrupt", {})
    run = comfyui.finished(prompt)
    assert run.interrupted, run.error
    assert time.monotonic() - asked < 4, "two seconds, and as many for a machine that is shared"


def test_comfyui_interrupts_the_reading_of_a_long_text_within_seconds(comfyui):
    assert comfyui.run(embedded(CLIP)).succeeded, "after which the models are loaded"
    prompt = comfyui.submit(embedded(CLIP, text="a cup of coffee, " * 5000))
    time.sleep(3)
    asked = time.monotonic()
    comfyui.post("/interrupt", {})
    assert comfyui.finished(prompt).interrupted
    assert time.monotonic() - asked < 4, "two seconds, and as many for a machine that is shared"
