"""A real ComfyUI started with the options of its command line that people use, and with our folder under the names that
people have it by."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pytest
import torch
from comfyui_graphs import one_picture
from comfyui_nodes import node_schemas
from comfyui_server import FOLDER_NAME, ROOT, Server, needs_comfyui
from test_comfyui_daily import CHAINS, CLIP, embedded, sampled
from torch import Tensor
from unrender.core.embed import PromptEmbedding

pytest_plugins = ["comfyui_fixtures"]
pytestmark = [needs_comfyui, pytest.mark.full]

NOTHING_KEPT = "--cache-none"
STARTS = {
    "nothing kept": (
        *(NOTHING_KEPT, "--disable-metadata", "--force-fp32", "--fp32-text-enc", "--fp32-unet", "--fp32-vae"),
        *("--use-split-cross-attention", "--force-upcast-attention", "--disable-smart-memory", "--multi-user"),
        *("--verbose DEBUG", "--disable-mmap", "--force-channels-last"),
    ),
    "the last five kept": (
        *("--cache-lru 5", "--force-fp16", "--fp16-text-enc", "--fp16-vae", "--use-quad-cross-attention"),
        *("--dont-upcast-attention", "--preview-method auto", "--preview-size 64", "--log-stdout", "--reserve-vram 1"),
        *("--enable-compress-response-body", "--enable-cors-header", "--default-hashing-function md5"),
    ),
    "eight bits": (
        *("--cache-classic", "--fp8_e4m3fn-text-enc", "--fp8_e4m3fn-unet", "--supports-fp8-compute", "--deterministic"),
        *("--use-pytorch-cross-attention", "--preview-method latent2rgb", "--mmap-torch-files", "--disable-xformers"),
        *("--force-non-blocking", "--async-offload", "--dont-print-server", "--max-upload-size 1"),
    ),
    "fast": (
        *("--fast", "--bf16-text-enc", "--bf16-unet", "--bf16-vae", "--cpu-vae", "--default-device 0"),
        *("--disable-cuda-malloc", "--windows-standalone-build --disable-auto-launch", "--verbose WARNING"),
        "--database-url sqlite:///:memory:",
    ),
    "elsewhere": (
        *("--fp8_e5m2-text-enc", "--fp8_e5m2-unet", "--preview-method taesd"),
        *(f"--{name}-directory '{{base}}/else where/{name}'" for name in ("input", "output", "temp", "user")),
    ),
    "ours alone": (f"--disable-all-custom-nodes --whitelist-custom-nodes '{FOLDER_NAME}' probe", "--fp64-unet"),
}
"""Many at once, as far as ComfyUI lets them: those that say what is to be on a GPU exclude --cpu, which all have."""

FOLDERS = (
    *("ComfyUI-Unrender", "unrender-main", "unrender.git", ".unrender", "my nodes (1)", "2026-unrender", "UNRENDER"),
    *(
        "Größe",
        "画像からプロンプト",
        "🎨",
        'it\'s "mine"',
        "u" * 200,
        "json",
        "core",
        "nodes",
        "server",
        "a,b;c&d=e+f%20#g",
    ),
)

CLOSE = 0.98
"""The least cosine of an embedding for a text encoder in eight bits and the one for the encoder as it is."""


class Told(NamedTuple):
    """What a start has of ours: its nodes, what is wrong in its log, a prompt, and an embedding's states."""

    nodes: frozenset[str]
    complaints: tuple[str, ...]
    script: bytes
    templates: tuple[str, ...]
    prompt: str
    cached: bool
    states: Tensor


@pytest.fixture(scope="module")
def server(furnished, tmp_path_factory) -> Iterator[Server]:
    made = furnished(tmp_path_factory.mktemp("starts"))
    for name in ("output", "temp", "user"):
        (made.base / "else where" / name).mkdir(parents=True)
    (made.base / "else where" / "input").symlink_to(made.base / "input", target_is_directory=True)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def usual(server) -> Told:
    return told(server, ())


def told(server: Server, options: Sequence[str]) -> Told:
    server.stop()
    server.start(*(word.format(base=server.base) for option in options for word in shlex.split(option)))
    graph = one_picture("coffee.png", mode="fast")
    prompt = server.run(graph).text("3")[0]
    cached = "3" in server.run(graph).cached
    run = server.run(embedded(CLIP))
    assert run.succeeded, run.error
    states = PromptEmbedding.load(server.shared / "prompt_embeddings" / "daily.safetensors").states
    assert states is not None
    run = sampled(server, CHAINS[0])
    assert run.succeeded, run.error
    return Told(
        frozenset(name for name in server.get("/object_info") if name.startswith("Unrender")),
        tuple(complaints(server)),
        server.get("/extensions/unrender/unrender.js"),
        tuple(server.get("/workflow_templates")[FOLDER_NAME]),
        prompt,
        cached,
        states,
    )


SAID_OF_US = ('File "', "FAILED", "Cannot import", "comfy_entrypoint", "Warning")


def complaints(server: Server, *folders: str) -> list[str]:
    """What the log says of our files in tracebacks, in what ComfyUI's loader says, and in Python's warnings."""
    lines = server.log.read_text(encoding="utf-8", errors="replace").splitlines()
    ours = [f"custom_nodes/{folder}" for folder in (FOLDER_NAME, *folders)]
    return [line for line in lines if any(part in line for part in SAID_OF_US) and any(each in line for each in ours)]


def faults(server: Server, options: Sequence[str], usual: Told) -> list[str]:
    """What is otherwise than in a start without options."""
    try:
        found = told(server, options)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told with the option
        return [repr(error)]
    close = float(torch.cosine_similarity(found.states.flatten(), usual.states.flatten(), dim=0))
    expected = usual._replace(cached=NOTHING_KEPT not in options)
    names = [name for name in Told._fields if name != "states" and getattr(found, name) != getattr(expected, name)]
    return [*names, *([f"cosine {close:.3f}"] if close < CLOSE else [])]


def test_a_usual_start_has_all_that_is_ours(usual):
    assert usual.nodes == set(node_schemas()) and not usual.complaints and usual.cached
    assert b"registerExtension" in usual.script
    assert sorted(usual.templates) == sorted(path.stem for path in (ROOT / "workflows").glob("*.json"))


@pytest.mark.parametrize("start", STARTS)
def test_comfyui_started_with_other_options_has_the_same(server, usual, start):
    """Which of them makes the difference is found by each alone."""
    if faults(server, STARTS[start], usual):
        alone = {option: faults(server, [option], usual) for option in STARTS[start]}
        pytest.fail(f"{ {option: found for option, found in alone.items() if found} or 'all together' }")


def test_comfyui_runs_the_nodes_from_a_folder_of_any_name(server):
    """Of all that lie beside each other the one is in use that was loaded last."""
    for name in FOLDERS:
        (server.base / "custom_nodes" / name).symlink_to(ROOT, target_is_directory=True)
    server.stop()
    server.start()
    log = server.log.read_text(encoding="utf-8", errors="replace")
    assert not complaints(server, *FOLDERS)
    for number, name in enumerate(FOLDERS):
        assert f"{name}\n" in log, "among the import times"
        assert server.post("/probe/use", name) is True
        known = server.get("/object_info")
        ours = {node: info["python_module"] for node, info in known.items() if node.startswith("Unrender")}
        assert ours.keys() == set(node_schemas()) and set(ours.values()) == {f"custom_nodes.{name}"}
        run = server.run(one_picture("coffee.png", mode="fast", prefix=f"number {number}"))
        assert run.text("3")[0].startswith(f"number {number}, ")
        run = server.run(embedded(CLIP, correction=number / 100))
        assert run.succeeded, (name, run.error)
    assert b"registerExtension" in server.get("/extensions/unrender/unrender.js")
