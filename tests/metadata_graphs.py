"""ComfyUI graphs to be read back, put together from a plain one."""

from __future__ import annotations

import io
import json
from typing import Any

from comfyui_graphs import Graph, node
from PIL import Image, PngImagePlugin
from unrender.core.metadata import FileMetadata, read_metadata

CHECKPOINT = {"4": node("CheckpointLoaderSimple", ckpt_name="sd_xl_base.safetensors")}
TEXTS = {
    "6": node("CLIPTextEncode", text="a glass bottle", clip=["4", 1]),
    "7": node("CLIPTextEncode", text="watermark", clip=["4", 1]),
}
EMPTY = {"5": node("EmptyLatentImage", width=512, height=512, batch_size=1)}
SAVED = {
    "8": node("VAEDecode", samples=["3", 0], vae=["4", 2]),
    "9": node("SaveImage", images=["8", 0], filename_prefix="x"),
}
SAMPLING = {
    **{"seed": 42, "steps": 20, "cfg": 8.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0},
    **{"model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0]},
}


def sampler(**inputs: Any) -> dict[str, Any]:
    return node("KSampler", **{**SAMPLING, **inputs})


def graph(changed: Graph | None = None, **inputs: Any) -> Graph:
    """A plain graph with other nodes, and other inputs of its sampler."""
    return {**CHECKPOINT, **TEXTS, **EMPTY, **SAVED, "3": sampler(**inputs), **(changed or {})}


def made(prompt: Any, name: str | None = None, **texts: Any) -> FileMetadata:
    """What is read in a picture with such texts; a graph may be one or be JSON."""
    info, data = PngImagePlugin.PngInfo(), io.BytesIO()
    for key, value in {"prompt": prompt, **texts}.items():
        if value is not None:
            info.add_text(key, value if isinstance(value, str) else json.dumps(value), zip=True)
    Image.new("RGB", (8, 8)).save(data, "PNG", pnginfo=info)
    return read_metadata(data.getvalue(), name)


def prompts(prompt: Any, name: str | None = None) -> tuple[str, str]:
    found = made(prompt, name)
    assert found.notes == ()
    return found.prompt, found.negative_prompt
