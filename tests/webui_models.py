"""Tiny random checkpoints with text encoders of the real widths, and the CLIPs that see pictures for them.

WEBUI_PYTHON tests/webui_models.py WEBUI_DIR FOLDER

Beside the tiny15 that is there already the webui gets wide-xl, whose second text encoder is as wide as SDXL's. Forge
and its kin, which know checkpoints by their shapes, get a tiny15 that is as small as they accept. FOLDER gets clip-l
and clip-g, in transformers' format: vision towers that are nearly nothing, for those encoders' widths.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from webui_hosts import HostFiles

_BIG = "tiny-bigG-14"
"""The name of an architecture that is added to those the webui's open_clip knows."""


def add_architecture() -> None:
    import open_clip

    text = {"context_length": 77, "vocab_size": 49408, "width": 1280, "heads": 20, "layers": 3}
    vision = {"image_size": 32, "layers": 1, "width": 64, "head_width": 32, "patch_size": 16}
    folder = Path(open_clip.__file__).parent / "model_configs"
    config = {"embed_dim": 1280, "vision_cfg": vision, "text_cfg": text}
    (folder / f"{_BIG}.json").write_text(json.dumps(config), encoding="utf-8")
    open_clip.add_model_config(folder)


def write_wide_xl(webui: Path) -> None:
    """tinyxl with another second encoder; the rest of the weights is made anew."""
    import torch
    import yaml
    from ldm.util import instantiate_from_config  # type: ignore[import-not-found]
    from omegaconf import OmegaConf  # type: ignore[import-not-found]
    from safetensors.torch import save_file

    folder = webui / "models" / "Stable-diffusion"
    config: Any = yaml.safe_load((folder / "tinyxl.yaml").read_text(encoding="utf-8"))
    parts = config["model"]["params"]
    parts["network_config"]["params"].update(context_dim=768 + 1280, adm_in_channels=1280 + 1536)
    parts["conditioner_config"]["params"]["emb_models"][1]["params"]["arch"] = _BIG
    (folder / "wide-xl.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    torch.manual_seed(3)
    model = instantiate_from_config(OmegaConf.create(config).model)
    for parameter in model.model.parameters():
        if parameter.requires_grad and float(parameter.abs().sum()) == 0 and parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.05)
    tensors = {name: tensor.contiguous().clone() for name, tensor in model.state_dict().items()}
    save_file(tensors, str(folder / "wide-xl.safetensors"))


def write_known15(webui: Path, backend: str) -> None:
    """For programs that know checkpoints by their shapes: the text encoder and the VAE have their real size, the UNet
    its real width but few layers."""
    import torch
    from safetensors.torch import save_file
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(0)
    unet, vae = _parts_of_backend(webui) if backend == "backend" else _parts_of_ldm()
    text = CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12)
    models = {
        "model.diffusion_model.": unet,
        "first_stage_model.": vae,
        "cond_stage_model.transformer.": CLIPTextModel(text),
    }
    tensors = {
        prefix + name: tensor.half().contiguous()
        for prefix, model in models.items()
        for name, tensor in model.state_dict().items()
    }
    save_file(tensors, str(webui / "models" / "Stable-diffusion" / "tiny15.safetensors"))


_LAST_NORMS = ("final_layer_norm.bias", "ln_final.bias")

_UNET: Mapping[str, Any] = {
    **{"in_channels": 4, "out_channels": 4, "model_channels": 320, "context_dim": 768, "num_heads": 8},
    **{"num_res_blocks": [1, 1], "channel_mult": [1, 1], "use_spatial_transformer": True},
    **{"transformer_depth": [1, 1], "transformer_depth_output": [1, 1, 1, 1], "transformer_depth_middle": 1},
}


def _parts_of_backend(webui: Path) -> tuple[Any, Any]:
    """Forge's and Forge Neo's."""
    from backend.nn.unet import IntegratedUNet2DConditionModel  # type: ignore[import-not-found]
    from backend.nn.vae import IntegratedAutoencoderKL  # type: ignore[import-not-found]

    vae = webui / "backend" / "huggingface" / "runwayml" / "stable-diffusion-v1-5" / "vae"
    unet = IntegratedUNet2DConditionModel(**_UNET)
    return unet, IntegratedAutoencoderKL.from_config(IntegratedAutoencoderKL.load_config(vae))


def _parts_of_ldm() -> tuple[Any, Any]:
    """reForge's."""
    from ldm_patched.modules import args_parser  # type: ignore[import-not-found]

    args_parser.args, _ = args_parser.parser.parse_known_args()  # as reForge does, or it looks for a GPU
    from ldm_patched.ldm.models.autoencoder import AutoencoderKL  # type: ignore[import-not-found]
    from ldm_patched.ldm.modules.diffusionmodules.openaimodel import UNetModel  # type: ignore[import-not-found]

    vae = {"double_z": True, "z_channels": 4, "resolution": 256, "in_channels": 3, "out_ch": 3, "ch": 128}
    vae |= {"ch_mult": [1, 2, 4, 4], "num_res_blocks": 2, "attn_resolutions": [], "dropout": 0.0}
    return UNetModel(image_size=32, **_UNET), AutoencoderKL(embed_dim=4, ddconfig=vae)


def give_a_mean(path: Path) -> None:
    """Has the text encoders' states differ from zero on the whole, as all trained ones do: webuis divide by their mean
    where words have weights, and random encoders now and then gave no numbers for a plain prompt."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(str(path))
    flat = [name for name in tensors if name.endswith(_LAST_NORMS) and not tensors[name].any()]
    if flat:
        tensors |= {name: tensors[name] + 0.1 for name in flat}
        beside = path.with_suffix(".part")
        save_file(tensors, str(beside))
        beside.replace(path)


def write_clip(folder: Path, joint: int, tokenizer: Path) -> None:
    import torch
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(joint)
    text = {"hidden_size": joint, "intermediate_size": 256, "num_hidden_layers": 1, "num_attention_heads": joint // 64}
    text |= {"bos_token_id": 49406, "eos_token_id": 49407, "pad_token_id": 49407}
    vision = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}
    vision |= {"image_size": 32, "patch_size": 8}
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=joint)).save_pretrained(
        str(folder), safe_serialization=True
    )
    for path in tokenizer.iterdir():
        if "token" in path.name or path.name in ("vocab.json", "merges.txt"):
            shutil.copy(path, folder)
    size = {"crop_size": {"height": 32, "width": 32}, "size": {"shortest_edge": 32}}
    steps = dict.fromkeys(("do_center_crop", "do_resize", "do_normalize", "do_rescale", "do_convert_rgb"), True)
    colours = {"image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28], "rescale_factor": 1 / 255}
    settings = {"image_processor_type": "CLIPImageProcessor", "resample": 3, **steps, **size, **colours}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings), encoding="utf-8")


_TOKENIZERS = {
    "backend": "backend/huggingface/runwayml/stable-diffusion-v1-5/tokenizer",
    "ldm_patched": "ldm_patched/modules/sd1_tokenizer",
    "": "models/tiny_clip_l",
}
_OWN_PACKAGES = (".", "packages_3rdparty", "modules_forge/packages", "repositories/huggingface_guess")


def main() -> None:
    webui, folder = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    host = HostFiles(webui)
    if host.backend:
        sys.argv[1:] = host.flags_for_the_cpu()[:1]
        sys.path[:0] = [str(webui / name) for name in _OWN_PACKAGES]
    else:
        repositories = webui / "repositories"
        sys.path[:0] = [str(repositories / name) for name in ("stable-diffusion-stability-ai", "generative-models")]
        add_architecture()
    for name, joint in (("clip-l", 768), ("clip-g", 1280)):
        if not (folder / name).exists():
            write_clip(folder / name, joint, webui / _TOKENIZERS[host.backend])
    checkpoints = webui / "models" / "Stable-diffusion"
    if host.backend and not (checkpoints / "tiny15.safetensors").exists():
        write_known15(webui, host.backend)
    if not host.backend and not (checkpoints / "wide-xl.safetensors").exists():
        write_wide_xl(webui)
    for path in checkpoints.glob("*.safetensors"):
        give_a_mean(path)


if __name__ == "__main__":
    main()
