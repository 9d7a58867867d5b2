"""What the real ComfyUI makes of a LoRA, run by its own Python:

    COMFYUI_PYTHON comfyui_lora_probe.py COMFYUI_DIR CHECKPOINT LORA OUT

OUT gets the weights of the checkpoint's UNet that the LoRA changes, under the names that diffusers has for them, before
(`base.`) and after (`patched.`).
"""

from __future__ import annotations

import sys

comfyui, checkpoint, lora, out = sys.argv[1:5]
sys.path.insert(0, comfyui)
sys.argv = [sys.argv[0], "--cpu"]

import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()

import comfy.lora  # noqa: E402
import comfy.sd  # noqa: E402
import comfy.utils  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

model = comfy.sd.load_checkpoint_guess_config(checkpoint, output_vae=False, output_clip=False)[0]
patched, _ = comfy.sd.load_lora_for_models(model, None, comfy.utils.load_torch_file(lora), 1.0, 0.0)
names = comfy.utils.unet_to_diffusers(model.model.model_config.unet_config)
ours = {f"diffusion_model.{theirs}": name for name, theirs in names.items()}
weights = model.model.state_dict()
found = {}
for key, patches in patched.patches.items():
    own = weights[key].float()
    found[f"base.{ours[key]}"] = own.clone()
    found[f"patched.{ours[key]}"] = comfy.lora.calculate_weight(patches, own.clone(), key)
save_file({name: tensor.contiguous() for name, tensor in found.items()}, out)
