"""Small random models of the real architectures, in every form a CLIP comes in, and real photographs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

# two cores share the machine with whatever else runs: one thread each wastes nothing on waiting
torch.set_num_threads(1)


os.environ.pop("UNRENDER_COMMAND", None)  # run.py names itself so, and tests expect the command's usual name


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    """No test reads or writes the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNRENDER_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def random_open_clip(width=64, heads=2, layers=2, joint=48, quick_gelu=False, seed=0):
    """An open_clip model whose text tower has the given shape and whose vision tower is tiny."""
    import open_clip

    torch.manual_seed(seed)
    model = open_clip.CLIP(
        joint,
        vision_cfg={"image_size": 64, "layers": 2, "width": 32, "patch_size": 16, "head_width": 16},
        text_cfg={"context_length": 77, "vocab_size": 49408, "width": width, "heads": heads, "layers": layers},
        quick_gelu=quick_gelu,
    )
    with torch.no_grad():
        # fresh biases are zero: a forgotten one would go unseen
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(std=0.1)
    return model.eval()


@pytest.fixture(scope="session")
def open_clip_model():
    return random_open_clip()


@pytest.fixture(scope="session")
def open_clip_tokenizer():
    import open_clip

    return open_clip.get_tokenizer("ViT-B-32")


@pytest.fixture(scope="session")
def open_clip_transform():
    import open_clip

    return open_clip.image_transform(64, is_train=False)


@pytest.fixture(scope="session")
def clip(open_clip_model, open_clip_transform, open_clip_tokenizer):
    from unrender.core.clip import Clip

    return Clip.from_open_clip(open_clip_model, open_clip_transform, open_clip_tokenizer)


@pytest.fixture(scope="session")
def transformers_folder(tmp_path_factory) -> Path:
    """A CLIPModel saved as the hub has them, with OpenAI's byte pair encoding."""
    from transformers import CLIPConfig, CLIPModel

    folder = tmp_path_factory.mktemp("transformers") / "clip"
    folder.mkdir()
    write_clip_tokenizer(folder)
    config = CLIPConfig(
        text_config={
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "bos_token_id": 49406,
            "eos_token_id": 49407,
            "pad_token_id": 49407,
        },
        vision_config={
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 64,
            "patch_size": 16,
        },
        projection_dim=48,
    )
    torch.manual_seed(1)
    model = CLIPModel(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(std=0.1)
    model.save_pretrained(str(folder), safe_serialization=True)
    (folder / "preprocessor_config.json").write_text(
        json.dumps(
            {
                "image_processor_type": "CLIPImageProcessor",
                "feature_extractor_type": "CLIPFeatureExtractor",
                "do_center_crop": True,
                "crop_size": {"height": 64, "width": 64},
                "do_resize": True,
                "size": {"shortest_edge": 64},
                "do_normalize": True,
                "do_rescale": True,
                "rescale_factor": 1 / 255,
                "do_convert_rgb": True,
                "image_mean": [0.48145466, 0.4578275, 0.40821073],
                "image_std": [0.26862954, 0.26130258, 0.27577711],
                "resample": 3,
            }
        )
    )
    return folder


def write_clip_tokenizer(folder: Path) -> None:
    """OpenAI's vocabulary and merges, from the installed open_clip, as transformers reads them."""
    from open_clip.tokenizer import SimpleTokenizer

    source = SimpleTokenizer()
    names = {source.encoder[name]: name for name in source.encoder}
    names[49406], names[49407] = "<|startoftext|>", "<|endoftext|>"
    (folder / "vocab.json").write_text(json.dumps({name: number for number, name in names.items()}))
    merges = [" ".join(pair) for pair in source.bpe_ranks if pair]
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(
        json.dumps(
            {
                "tokenizer_class": "CLIPTokenizer",
                "model_max_length": 77,
                "do_lower_case": True,
                "bos_token": "<|startoftext|>",
                "eos_token": "<|endoftext|>",
                "pad_token": "<|endoftext|>",
                "unk_token": "<|endoftext|>",
            }
        )
    )


@pytest.fixture(scope="session")
def photographs():
    """Real photographs that scikit-image and scikit-learn ship in their packages."""
    from PIL import Image
    from skimage import data
    from sklearn.datasets import load_sample_images

    arrays = [getattr(data, name)() for name in ("astronaut", "coffee", "cat", "rocket")]
    return [Image.fromarray(array).convert("RGB") for array in (*arrays, *load_sample_images().images)]
