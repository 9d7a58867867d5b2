"""A pack for tests alone: small models of any width, pictures, and what is compared in a graph."""

import copy
import json
import tempfile
import types
from pathlib import Path

import comfy.clip_vision
import comfy.model_management
import comfy.model_patcher
import comfy.sd
import comfy.sdxl_clip
import folder_paths
import torch
from comfy.text_encoders import flux, sd2_clip
from safetensors.torch import load_file

from . import routes  # noqa: F401


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


class LargeVision:
    """A CLIP_VISION of ViT-L/14's architecture with random weights."""

    RETURN_TYPES = ("CLIP_VISION",)
    FUNCTION = "make"
    CATEGORY = "probe"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}

    def make(self):
        vision = comfy.clip_vision.ClipVisionModel(
            str(Path(comfy.clip_vision.__file__).with_name("clip_vision_config_vitl.json"))
        )
        generator = torch.Generator().manual_seed(0)
        state = {
            name: torch.randn(tensor.shape, generator=generator) * 0.02 + (tensor.ndim == 1 and name.endswith("weight"))
            for name, tensor in vision.get_sd().items()
        }
        vision.load_sd(state)
        return (vision,)


class SmallSdxl:
    """A CLIP as SDXL's checkpoints have it, both text encoders of three layers with random weights: clip_g of the given
    width, clip_l twice as wide unless told otherwise."""

    RETURN_TYPES = ("CLIP",)
    FUNCTION = "make"
    CATEGORY = "probe"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {"width": ("INT", {"default": 64, "max": 4096})},
            "optional": {"other_width": ("INT", {"default": 0, "max": 4096})},
        }

    def make(self, width, other_width=0):
        options = {
            "clip_g_model_config": {**SMALL, "hidden_size": width},
            "clip_l_model_config": {**SMALL, "hidden_size": other_width or 2 * width},
        }
        return (random_clip(comfy.sdxl_clip.SDXLClipModel, comfy.sdxl_clip.SDXLTokenizer, options),)


class SmallSd2:
    """A CLIP as Stable Diffusion 2's checkpoints have it, of three layers with random weights."""

    RETURN_TYPES = ("CLIP",)
    FUNCTION = "make"
    CATEGORY = "probe"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}

    def make(self):
        options = {"clip_h_model_config": {**SMALL, "hidden_size": 1024}, "model_name": "clip_h"}
        return (random_clip(sd2_clip.SD2ClipModel, sd2_clip.SD2Tokenizer, options),)


class SmallFlux:
    """A CLIP as FLUX has it: the given one's CLIP-L, and a small T5 with random weights."""

    RETURN_TYPES = ("CLIP",)
    FUNCTION = "make"
    CATEGORY = "probe"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"clip": ("CLIP",)}}

    def make(self, clip):
        small = {"num_layers": 1, "d_model": 64, "d_ff": 128, "num_heads": 2}
        made = random_clip(flux.flux_clip(), flux.FluxTokenizer, {"t5xxl_model_config": small})
        made.cond_stage_model.clip_l.load_state_dict(clip.cond_stage_model.clip_l.state_dict())
        return (made,)


SMALL = {"num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 128}


def random_clip(model, tokenizer, options):
    clip = comfy.sd.CLIP(types.SimpleNamespace(params={}, clip=model, tokenizer=tokenizer), model_options=options)
    generator = torch.Generator().manual_seed(1)
    weights = {
        name: torch.randn(tensor.shape, generator=generator) * 0.05 + ("norm" in name and name.endswith("weight"))
        for name, tensor in clip.cond_stage_model.state_dict().items()
        if not name.endswith("logit_scale")
    }
    clip.cond_stage_model.load_state_dict(weights, strict=False)
    return clip


class PartlyUnloaded:
    """The CLIP, a half of which ComfyUI has moved to main memory to make room for others."""

    RETURN_TYPES = ("CLIP",)
    FUNCTION = "unload"
    CATEGORY = "probe"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"clip": ("CLIP",)}}

    def unload(self, clip):
        patcher = clip.load_model()
        patcher.partially_unload(patcher.offload_device, patcher.model_size() // 2)
        return (clip,)


class SmallLora:
    """A CLIP of three layers with a LoRA on the first one of each of its text encoders."""

    RETURN_TYPES = ("CLIP",)
    FUNCTION = "patch"
    CATEGORY = "probe"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"clip": ("CLIP",), "strength": ("FLOAT", {"default": 1.0})}}

    def patch(self, clip, strength):
        patched, generator = clip.clone(), torch.Generator().manual_seed(2)
        differences = {
            name: ("diff", (torch.randn(tensor.shape, generator=generator) * 0.02,))
            for name, tensor in clip.cond_stage_model.state_dict().items()
            if name.endswith("layers.0.mlp.fc1.weight")
        }
        assert len(patched.add_patches(differences, strength)) == len(differences) > 0
        return (patched,)


class PatchedInUse:
    """The CLIP as newer ComfyUIs hold one on an NVIDIA GPU: small weights patched in place, the others only while in
    use. The patcher is the real one; on the CPU, where it has no buffers, nothing but reading weights works."""

    RETURN_TYPES = ("CLIP",)
    FUNCTION = "hold"
    CATEGORY = "probe"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"clip": ("CLIP",)}}

    def hold(self, clip):
        class OnCpu(comfy.model_patcher.ModelPatcherDynamic):
            def __new__(cls, *_):
                return object.__new__(cls)

            def __del__(self):
                pass

        buffer = types.SimpleNamespace(size=0, truncate=lambda *_, **__: None)
        comfy.model_patcher.comfy_aimdo.host_buffer.HostBuffer = lambda *_: buffer
        comfy.model_management.pinned_hostbuf_size = lambda _: 0
        comfy.model_management.unload_all_models()
        held = clip.clone()
        held.cond_stage_model = copy.deepcopy(clip.cond_stage_model)
        held.patcher = OnCpu(held.cond_stage_model, clip.patcher.load_device, clip.patcher.offload_device)
        held.patcher.patches, held.patcher.is_clip = clip.patcher.patches, True
        return (held,)


class Noise:
    """A batch of pictures of noise, each about a colour of its own."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "make"
    CATEGORY = "probe"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"pictures": ("INT", {"default": 8}), "size": ("INT", {"default": 56})}}

    def make(self, pictures, size):
        generator = torch.Generator().manual_seed(2)
        colours = torch.rand(pictures, 1, 1, 3, generator=generator)
        return ((colours + torch.rand(pictures, size, size, 3, generator=generator)) / 2,)


class Picture:
    """A picture and a mask of any shape, of noise or full of one number: "1,64,64,3" or "1,64,64,3 nan"."""

    RETURN_TYPES = ("IMAGE", "MASK")
    FUNCTION = "make"
    CATEGORY = "probe"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"shape": ("STRING", {"default": "1,64,64,3"})}}

    def make(self, shape):
        sides, *filling = shape.split()
        size = [int(side) for side in sides.split(",")]
        generator = torch.Generator().manual_seed(3)
        made = torch.full(size, float(filling[0])) if filling else torch.rand(size, generator=generator)
        return made, made


class Similarity:
    """What ComfyUI itself makes of a text and a picture: the cosine of their embeddings."""

    RETURN_TYPES = ("FLOAT",)
    FUNCTION = "compare"
    CATEGORY = "probe"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "clip": ("CLIP",),
                "clip_vision": ("CLIP_VISION",),
                "image": ("IMAGE",),
                "text": ("STRING", {"default": ""}),
                "projected": ("BOOLEAN", {"default": False, "tooltip": "The CLIP has its text projection."}),
            }
        }

    def compare(self, clip, clip_vision, image, text, projected):
        pooled = clip.encode_from_tokens(clip.tokenize(text), return_pooled=True if projected else "unprojected")[1]
        pooled = pooled.float()
        if not projected:
            file = folder_paths.get_full_path_or_raise("clip_vision", "clip-vit-large-patch14.safetensors")
            pooled = pooled @ load_file(file)["text_projection.weight"].float().T
        seen = clip_vision.encode_image(image)["image_embeds"].float()
        return (float(torch.nn.functional.cosine_similarity(pooled, seen)[0]),)


class Distance:
    """The greatest difference between two conditionings' states, and the greatest of states and pooled vectors as a
    share of the second's greatest value."""

    RETURN_TYPES = ("FLOAT", "FLOAT")
    FUNCTION = "compare"
    CATEGORY = "probe"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"first": ("CONDITIONING",), "second": ("CONDITIONING",)}}

    def compare(self, first, second):
        (states, options), (others, other_options) = first[0], second[0]
        pairs = [(states, others)]
        if "pooled_output" in options:
            pairs.append((options["pooled_output"], other_options["pooled_output"]))
        shares = [float((mine - theirs).abs().max() / theirs.abs().max()) for mine, theirs in pairs]
        return (float((states - others).abs().max()), max(shares))


class Everything(str):
    """A type that goes with every other, as switches of many packs have it."""

    def __ne__(self, other):
        return False


class Anything:
    """Gives what stands in its JSON."""

    RETURN_TYPES = (Everything("*"),)
    FUNCTION = "give"
    CATEGORY = "probe"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("STRING", {"default": "null"})}}

    def give(self, value):
        return (json.loads(value),)


NODE_CLASS_MAPPINGS = {
    "ProbeAnything": Anything,
    "ProbeDistance": Distance,
    "ProbeLargeVision": LargeVision,
    "ProbeNoise": Noise,
    "ProbePartlyUnloaded": PartlyUnloaded,
    "ProbePatchedInUse": PatchedInUse,
    "ProbePicture": Picture,
    "ProbeSmallFlux": SmallFlux,
    "ProbeSmallLora": SmallLora,
    "ProbeSmallSd2": SmallSd2,
    "ProbeSmallVision": SmallVision,
    "ProbeSimilarity": Similarity,
    "ProbeSmallSdxl": SmallSdxl,
}
