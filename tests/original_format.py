"""A pipeline of diffusers as one state under the original names, in which webuis and ComfyUI hold checkpoints.

The names are those of the original code's modules (CompVis/stable-diffusion's `openaimodel.py` and `model.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from torch import Tensor

_RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0", "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
}  # fmt: skip
_OUTER = {
    "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2",
}  # fmt: skip
_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def original_state(pipeline: Any) -> dict[str, Tensor]:
    """Of a Stable Diffusion 1."""
    return {
        **{f"model.diffusion_model.{name}": tensor for name, tensor in _unet(pipeline.unet)},
        **{f"first_stage_model.{name}": tensor for name, tensor in _autoencoder(pipeline.vae)},
        **{
            f"cond_stage_model.transformer.text_model.{name.removeprefix('text_model.')}": tensor.clone()
            for name, tensor in pipeline.text_encoder.state_dict().items()
        },
    }


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
