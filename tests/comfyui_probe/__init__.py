"""A pack for tests alone: tells what is loaded, and makes small vision models of any width."""

import json
import tempfile
from pathlib import Path

import comfy.clip_vision
import comfy.model_management
import torch
from aiohttp import web
from server import PromptServer


@PromptServer.instance.routes.get("/probe/loaded")
async def loaded(_request):
    models = comfy.model_management.loaded_models()
    return web.json_response([type(model.model).__name__ for model in models])


class SmallVision:
    """A CLIP_VISION of two layers with random weights, whose features have the given width."""

    RETURN_TYPES = ("CLIP_VISION",)
    FUNCTION = "make"
    CATEGORY = "probe"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"width": ("INT", {"default": 768, "max": 4096})}}

    def make(self, width):
        config = {
            "model_type": "clip_vision_model",
            "hidden_act": "quick_gelu",
            "hidden_size": 64,
            "image_size": 56,
            "intermediate_size": 128,
            "num_attention_heads": 2,
            "num_channels": 3,
            "num_hidden_layers": 2,
            "patch_size": 14,
            "projection_dim": width,
        }
        path = Path(tempfile.mkdtemp()) / "config.json"
        path.write_text(json.dumps(config))
        vision = comfy.clip_vision.ClipVisionModel(str(path))
        generator = torch.Generator().manual_seed(0)
        state = {
            name: torch.randn(tensor.shape, generator=generator) * 0.05
            + name.endswith(("norm1.weight", "norm2.weight"))
            for name, tensor in vision.get_sd().items()
        }
        vision.load_sd(state)
        return (vision,)


NODE_CLASS_MAPPINGS = {"ProbeSmallVision": SmallVision}
