"""The doors, where the device does not mix with main memory and webuis leave out its index."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import torch
from comfyui_graphs import EMBED, INTERROGATE
from comfyui_nodes import use_standin
from PIL import Image

use_standin()

import comfy.model_management as standin_memory  # noqa: E402
from comfyui_small_models import small_clip, small_vision  # noqa: E402
from nodes_setting import as_batch, micro_setup, models_fixture, server_fixture  # noqa: E402, F401
from pretended_cuda import REAL, device_fixture  # noqa: E402, F401
from safetensors.torch import save_file  # noqa: E402
from test_extension import in_a_webui  # noqa: E402
from unrender.cli import main  # noqa: E402
from unrender.core.settings import Settings  # noqa: E402


@pytest.fixture
def picture(photographs: list[Image.Image], tmp_path: Path) -> Path:
    photographs[0].resize((96, 72)).save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


# --- the command line


def commands(picture: Path, folder: Path) -> dict[str, list[str]]:
    one = str(picture)
    return {
        "interrogate": ["interrogate", one, "--mode", "fast", "--max-phrases", "2"],
        "analyze": ["analyze", one],
        "match": ["match", one, "a circle", "a square"],
        "locate": ["locate", one, "a circle", "--plot", str(folder / "heat.png")],
        "embed": ["embed", one, "-o", str(folder / "embedding.safetensors"), "--for", "micro"],
        "vary": ["vary", one, "-o", str(folder / "varied.png"), "--checkpoint", "micro", "--steps", "2"],
        "batch": ["batch", str(folder), "--mode", "fast", "--max-phrases", "2", "--output", "csv"],
        "index": ["index", str(folder)],
    }


@pytest.mark.parametrize("command", commands(Path(), Path()))
def test_commands(picture: Path, tmp_path: Path, device: str, command: str, capsys: Any) -> None:
    if command == "vary":
        pytest.importorskip("diffusers", reason="rendering needs diffusers")
    options = ["--device", device, "--cache", str(tmp_path / "cache")]
    clip = [] if command == "vary" else ["--clip", "micro"]
    assert main([*commands(picture, tmp_path)[command], *clip, *options]) == 0, capsys.readouterr().err


# --- ComfyUI's nodes


@pytest.fixture
def comfyui(monkeypatch: pytest.MonkeyPatch, models: Path, server: Any, device: str) -> torch.device:
    """It knows its device with the index, and brings models there itself."""
    place = torch.device(REAL or "cuda:0")
    load = standin_memory.load_models_gpu

    def bring(patchers: list[Any], memory_required: int = 0) -> None:
        load(patchers, memory_required)
        for patcher in patchers:
            patcher.model.to(patcher.load_device)

    monkeypatch.setattr(standin_memory, "get_torch_device", lambda: place)
    monkeypatch.setattr(standin_memory, "load_models_gpu", bring)
    return place


@pytest.mark.parametrize("mode", ["best", "negative"])
def test_interrogate_in_a_graph(comfyui: torch.device, photographs: list[Image.Image], mode: str) -> None:
    from unrender.nodes.interrogate import Interrogate

    asked = {**INTERROGATE, "mode": mode, "max_phrases": 2, "interrogator": micro_setup()}
    words = {name: value if isinstance(value, list) else [value] for name, value in asked.items()}
    assert Interrogate.execute(image=[as_batch(photographs[:2])], **words).args[0]


def test_the_other_nodes(comfyui: torch.device, photographs: list[Image.Image]) -> None:
    from unrender.nodes import study

    setup, pictures = micro_setup(), as_batch(photographs[:2])
    assert study.Analyze.execute(image=pictures, categories="", top=3, dark=False, interrogator=setup).args
    assert study.MatchPhrases.execute(
        image=pictures, phrases="a circle\na square", templates="", interrogator=setup
    ).args
    assert study.Locate.execute(image=pictures[:1], phrase="a circle", threshold=0.0, interrogator=setup).args


@pytest.mark.parametrize("projection", ["pinv", "ridge"])
def test_a_graphs_own_models(
    comfyui: torch.device, models: Path, transformers_folder: Path, monkeypatch: pytest.MonkeyPatch, projection: str
) -> None:
    from transformers import CLIPTokenizer
    from unrender.core.embed.ridge import RidgeFit
    from unrender.nodes.embedding import ImageToPromptEmbedding

    monkeypatch.setattr(RidgeFit.__init__, "__defaults__", (16, *RidgeFit.__init__.__defaults__[1:]))
    clip, vision = small_clip(CLIPTokenizer.from_pretrained(transformers_folder)), small_vision()
    text = clip.cond_stage_model.clip_l.transformer
    positions = "text_model.embeddings.position_embedding.weight"
    (models / "text_encoders").mkdir()
    kept = {positions: text.state_dict()[positions], "text_projection.weight": text.text_projection.weight}
    save_file(kept, str(models / "text_encoders" / "clip_l.safetensors"))
    clip.patcher.load_device = vision.patcher.load_device = vision.load_device = comfyui
    pixels = torch.rand(2, 16, 16, 3, generator=torch.Generator().manual_seed(0))
    inputs = {**EMBED, "image": pixels, "clip": clip, "clip_vision": vision, "projection": projection}
    made = ImageToPromptEmbedding.execute(**inputs).args
    assert made[1].states.isfinite().all()


# --- API and webuis


def test_the_api(device: str, picture: Path, tmp_path: Path) -> None:
    pytest.importorskip("fastapi", reason="pip install fastapi httpx uvicorn")
    pytest.importorskip("httpx", reason="pip install httpx")
    from test_api import client_of, host

    settings = Settings(clip="micro", captioner="micro", device=device, cache=tmp_path, max_phrases=2, min_phrases=1)
    client = client_of(host(settings=settings))
    image = base64.b64encode(picture.read_bytes()).decode()
    for path, asked in {
        "interrogate": {"image": image, "mode": "fast"},
        "analyze": {"image": image},
        "match": {"images": [image], "phrases": ["a circle", "a square"]},
    }.items():
        answer = client.post(f"/unrender/v1/{path}", json=asked)
        assert answer.status_code == 200, answer.text
    assert client.get("/unrender/v1/status").json()


WEBUI = """
    import sys
    sys.path += [{tests!r}, {shims!r}]
    import torch
    from modules import devices, paths, sd_models, shared
    from PIL import Image
    from pretended_cuda import pretended
    from unrender.extension import webui, webui_host
    from unrender.server.choices import Request
    from unrender.server.jobs import Job
    from unrender.server.models import Models
    from unrender.server.work import interrogation

    devices.get_device_for = lambda task: torch.device("cuda")
    sd_models.model_data.sd_model = "checkpoint"
    with pretended(total={total}) as cuda:
        host = webui._host(Models())
        job = Job()
        asked = Request(Image.new("RGB", (64, 64), "red"), mode="fast", clip="micro", captioner="micro")
        print(interrogation(host, asked, job).prompt, sd_models.moves, cuda.most > 0)
"""


@pytest.mark.parametrize(
    ("total", "moves"), [("8 * 10**9", "[]"), ("10**9", "['checkpoint to cpu', 'checkpoint to device']")]
)
def test_a_webui_that_leaves_out_the_index(tmp_path: Path, total: str, moves: str) -> None:
    """As AUTOMATIC1111 does, with a torch that wants one to tell its free memory."""
    import unrender

    shims = str(Path(unrender.__path__[0]).parent)
    code = WEBUI.format(tests=str(Path(__file__).parent), shims=shims, total=total)
    done = in_a_webui(code)
    assert done.returncode == 0, done.stderr
    assert f"{moves} True" in done.stdout
