"""A pipeline of diffusers as one state under the original names, in which webuis and ComfyUI hold checkpoints.

The names are those of the original code's modules (CompVis/stable-diffusion's `openaimodel.py` and `model.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

_RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0", "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
}  # fmt: skip
_OUTER = {
    "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2",
}  # fmt: skip
_OUTER |= {"add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2"}
_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def original_state(pipeline: Any, family: str = "sd15") -> dict[str, Tensor]:
    """Of a Stable Diffusion 1, 2 or XL, with what published files hold beside the weights."""
    state = {f"model.diffusion_model.{name}": tensor for name, tensor in _unet(pipeline.unet)}
    state |= {f"first_stage_model.{name}": tensor for name, tensor in _autoencoder(pipeline.vae)}
    if family == "sd2":
        state |= _open_clip(pipeline.text_encoder, "cond_stage_model.model.", spare_block=True)
    elif family == "sdxl":
        state |= _clip(pipeline.text_encoder, "conditioner.embedders.0.transformer.")
        state |= _open_clip(pipeline.text_encoder_2, "conditioner.embedders.1.model.")
    else:
        state |= _clip(pipeline.text_encoder, "cond_stage_model.transformer.")
        state["alphas_cumprod"] = torch.linspace(1, 0, 1000)
    return {name: tensor.clone().contiguous() for name, tensor in state.items()}


def _clip(encoder: Any, prefix: str) -> dict[str, Tensor]:
    states = {name.removeprefix("text_model."): tensor for name, tensor in encoder.state_dict().items()}
    positions = torch.arange(states["embeddings.position_embedding.weight"].shape[0])[None]
    return {f"{prefix}text_model.{name}": each for name, each in states.items()} | {
        f"{prefix}text_model.embeddings.position_ids": positions
    }


_OPEN_CLIP = {
    "embeddings.token_embedding.weight": "token_embedding.weight",
    "embeddings.position_embedding.weight": "positional_embedding",
    "final_layer_norm": "ln_final", "encoder.layers": "transformer.resblocks", "layer_norm1": "ln_1",
    "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj", "self_attn.out_proj": "attn.out_proj",
}  # fmt: skip


def _open_clip(encoder: Any, prefix: str, spare_block: bool = False) -> dict[str, Tensor]:
    """spare_block: a last block that nothing uses, which diffusers' format leaves out."""
    found = {name.removeprefix("text_model."): tensor for name, tensor in encoder.state_dict().items()}
    projection = found.pop("text_projection.weight", None)
    state: dict[str, Tensor] = {}
    for name, tensor in found.items():
        for ours, theirs in _OPEN_CLIP.items():
            name = name.replace(ours, theirs)
        if ".self_attn.q_proj." in name:
            keys = [name.replace("q_proj", letter) for letter in ("q_proj", "k_proj", "v_proj")]
            originals = [key.replace("transformer.resblocks", "encoder.layers") for key in keys]
            name = name.replace("self_attn.q_proj.", "attn.in_proj_")
            tensor = torch.cat([found[key] for key in originals])
        if "self_attn" not in name:
            state[prefix + name] = tensor
    width = found["final_layer_norm.weight"].shape[0]
    state[f"{prefix}text_projection"] = torch.eye(width) if projection is None else projection.T
    state[f"{prefix}logit_scale"] = torch.tensor(4.6052)
    if spare_block:
        blocks = encoder.config.num_hidden_layers
        last = f"{prefix}transformer.resblocks.{blocks - 1}."
        spare = {name.replace(f".{blocks - 1}.", f".{blocks}."): each for name, each in state.items() if last in name}
        state |= spare
    return state


def _unet(unet: Any) -> Iterator[tuple[str, Tensor]]:
    layers = unet.config.layers_per_block
    for name, tensor in unet.state_dict().items():
        where, _, rest = name.partition(".")
        outer = next((key for key in _OUTER if name.startswith(f"{key}.")), None)
        if outer is not None:
            yield _OUTER[outer] + name.removeprefix(outer), tensor
        elif where == "mid_block":
            kind, number, rest = rest.split(".", 2)
            yield f"middle_block.{1 if kind == 'attentions' else 2 * int(number)}.{_inside(kind, rest)}", tensor
        else:
            block, kind, number, rest = rest.split(".", 3)
            down = where == "down_blocks"
            first = 1 + int(block) * (layers + 1) if down else int(block) * (layers + 1)
            side = "input_blocks" if down else "output_blocks"
            if kind == "downsamplers":
                yield f"{side}.{first + layers}.0.op{rest.removeprefix('conv')}", tensor
            elif kind == "upsamplers":
                yield f"{side}.{first + layers}.2.{rest}", tensor
            else:
                yield f"{side}.{first + int(number)}.{int(kind == 'attentions')}.{_inside(kind, rest)}", tensor


def _inside(kind: str, rest: str) -> str:
    part, _, end = rest.partition(".")
    return f"{_RESNET[part]}.{end}" if kind == "resnets" else rest


def _autoencoder(vae: Any) -> Iterator[tuple[str, Tensor]]:
    blocks = len(vae.config.block_out_channels)
    for name, tensor in vae.state_dict().items():
        name = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
        name = re.sub(r"down_blocks\.(\d+)\.resnets\.", r"down.\1.block.", name)
        name = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0\.", r"down.\1.downsample.", name)
        # the original counts the decoder's blocks from the output
        name = re.sub(r"up_blocks\.(\d+)\.", lambda found: f"up.{blocks - 1 - int(found[1])}.", name)
        name = re.sub(r"(up\.\d+)\.resnets\.", r"\1.block.", name)
        name = re.sub(r"(up\.\d+)\.upsamplers\.0\.", r"\1.upsample.", name)
        name = re.sub(r"mid_block\.resnets\.(\d)", lambda found: f"mid.block_{int(found[1]) + 1}", name)
        if "mid_block.attentions.0." in name:
            side, _, part = name.partition("mid_block.attentions.0.")
            module, _, end = part.rpartition(".")
            name = f"{side}mid.attn_1.{_ATTENTION[module]}.{end}"
            tensor = tensor[:, :, None, None] if end == "weight" and tensor.ndim == 2 else tensor
        yield name, tensor.clone()
