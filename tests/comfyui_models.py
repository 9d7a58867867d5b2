"""Writes a checkpoint with random weights that ComfyUI takes for one of SD 1.5, run by ComfyUI's own Python:

    COMFYUI_PYTHON comfyui_models.py COMFYUI_DIR MODELS_DIR

checkpoints/random.safetensors: a denoiser of one level, a whole CLIP-L without its text projection, as real
checkpoints are, and a small decoder.
text_encoders/clip_l.safetensors: that CLIP-L's text encoder, as published: without its text projection.
clip_vision/clip-vit-large-patch14.safetensors: what tells that CLIP-L's text projection, as the whole model does.
text_encoders/scaled_fp8.safetensors: that CLIP-L in eight bits.
loras/text.safetensors: a LoRA on that CLIP-L.
"""

from __future__ import annotations

import sys
from pathlib import Path

comfyui, models = sys.argv[1], Path(sys.argv[2])
sys.path.insert(0, comfyui)
sys.argv = [sys.argv[0], "--cpu"]

import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()

import comfy.ops  # noqa: E402
import comfy.sd1_clip  # noqa: E402
import comfy.taesd.taesd  # noqa: E402
import torch  # noqa: E402
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel  # noqa: E402
from safetensors.torch import save_file  # noqa: E402


def random_weights(module, prefix, spread=1.0):
    """Shapes come from modules on the meta device, values from the seed; they neither fade nor swell from layer to
    layer."""
    weights = {}
    for name, tensor in module.state_dict().items():
        if tensor.ndim < 2:
            values = torch.ones(tensor.shape) if name.endswith(("weight", "scale")) else torch.zeros(tensor.shape)
        else:
            values = torch.randn(tensor.shape) * min(spread, tensor[0].numel() ** -0.5)
        weights[prefix + name] = values.half().contiguous()
    return weights


torch.manual_seed(0)
denoiser = UNetModel(
    image_size=32,
    in_channels=4,
    out_channels=4,
    model_channels=320,
    num_res_blocks=[1],
    channel_mult=[1],
    transformer_depth=[1],
    transformer_depth_output=[1, 1],
    transformer_depth_middle=1,
    num_heads=8,
    num_head_channels=-1,
    context_dim=768,
    use_spatial_transformer=True,
    use_linear_in_transformer=False,
    legacy=False,
    adm_in_channels=None,
    dtype=torch.float16,
    device="meta",
    operations=comfy.ops.disable_weight_init,
)
checkpoint = random_weights(denoiser, "model.diffusion_model.")
with torch.device("meta"):
    decoder = comfy.taesd.taesd.TAESD(latent_channels=4)
checkpoint |= random_weights(decoder, "first_stage_model.")
for name, tensor in checkpoint.items():
    if name.startswith("first_stage_model.") and tensor.shape == (3,):
        tensor.fill_(0.5)  # grey, so that pictures are neither black nor white
text = comfy.sd1_clip.SDClipModel(device="meta", dtype=torch.float16)
encoder = random_weights(text.transformer, "", 0.02)
projection = encoder.pop("text_projection.weight")
checkpoint |= {f"cond_stage_model.transformer.{name}": tensor for name, tensor in encoder.items()}
for folder in ("checkpoints", "text_encoders", "clip_vision", "loras"):
    (models / folder).mkdir(parents=True, exist_ok=True)
save_file(checkpoint, str(models / "checkpoints" / "random.safetensors"))
positions = "text_model.embeddings.position_embedding.weight"
save_file(
    {positions: encoder[positions], "text_projection.weight": projection},
    str(models / "clip_vision" / "clip-vit-large-patch14.safetensors"),
)
save_file(encoder, str(models / "text_encoders" / "clip_l.safetensors"))
eight_bits = {"scaled_fp8": torch.empty(0, dtype=torch.float8_e4m3fn)}
for name, tensor in {**encoder, "text_projection.weight": projection}.items():
    if tensor.ndim == 2 and "embedding" not in name:
        scale = tensor.abs().max().float() / 448  # the greatest number of the type
        eight_bits[name] = (tensor / scale).to(torch.float8_e4m3fn)
        eight_bits[name.removesuffix("weight") + "scale_weight"] = scale
    else:
        eight_bits[name] = tensor
save_file(eight_bits, str(models / "text_encoders" / "scaled_fp8.safetensors"))
layer = "lora_te_text_model_encoder_layers_3_mlp_fc1"
norm = "text_encoders.clip_l.transformer.text_model.encoder.layers.5.layer_norm2"
save_file(
    {
        f"{layer}.lora_down.weight": torch.randn(4, 768) * 0.1,
        f"{layer}.lora_up.weight": torch.randn(3072, 4) * 0.1,
        f"{layer}.alpha": torch.tensor(4.0),
        f"{norm}.w_norm": torch.randn(768) * 0.1,
        f"{norm}.b_norm": torch.randn(768) * 0.1,
    },
    str(models / "loras" / "text.safetensors"),
)
