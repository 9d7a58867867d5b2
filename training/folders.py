"""The two model folders: their sizes, their configuration files and tokenizers, and how weights are written.

The files are written here, not by `save_pretrained`, because they have to be readable by transformers 4.30 and 5.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import (
    BertTokenizer,
    BlipConfig,
    BlipForConditionalGeneration,
    CLIPConfig,
    CLIPModel,
    CLIPTokenizer,
)
from unrender.core.micro.captions import caption, long_caption
from unrender.core.micro.drawing import SIZE
from unrender.core.micro.pictures import CLIP_MEAN, CLIP_STD
from unrender.core.micro.wordings import HELD_OUT_WORDS, WORDS
from unrender.core.micro.world import random_scene

CONTEXT_LENGTH = 77
START, END = "<|startoftext|>", "<|endoftext|>"
PAD, UNKNOWN, CLASSIFY, SEPARATOR, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
CAPTION_LENGTH = 48

VISION_WIDTH, VISION_HEADS, VISION_MLP, PATCH = 192, 3, 512, 8
TEXT_WIDTH, TEXT_HEADS, TEXT_MLP = 128, 2, 512
CLIP_VISION_LAYERS, CLIP_TEXT_LAYERS = 6, 4
CAPTIONER_VISION_LAYERS, CAPTIONER_TEXT_LAYERS = 6, 2

IMAGE_PROCESSOR = {
    "do_resize": True,
    "resample": 3,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": CLIP_MEAN,
    "image_std": CLIP_STD,
    "do_convert_rgb": True,
}


def write_clip_files(folder: Path) -> None:
    """Writes everything of the CLIP folder but the weights."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary, merges = _byte_pairs(_example_captions())
    write_json(folder / "vocab.json", vocabulary)
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n", encoding="utf-8")
    special = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": END}
    write_json(folder / "special_tokens_map.json", special)
    write_json(
        folder / "tokenizer_config.json",
        {
            **special,
            "tokenizer_class": "CLIPTokenizer",
            "model_max_length": CONTEXT_LENGTH,
            "do_lower_case": True,
            "errors": "replace",
            "add_prefix_space": False,
        },
    )
    write_json(
        folder / "preprocessor_config.json",
        {
            **IMAGE_PROCESSOR,
            "image_processor_type": "CLIPImageProcessor",
            "feature_extractor_type": "CLIPFeatureExtractor",
            "size": {"shortest_edge": SIZE},
            "do_center_crop": True,
            "crop_size": {"height": SIZE, "width": SIZE},
        },
    )
    write_json(folder / "config.json", _clip_config(len(vocabulary)))


def write_captioner_files(folder: Path) -> None:
    """Writes everything of the captioner's folder but the weights."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = _whole_words(_example_captions())
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    special = {
        "pad_token": PAD,
        "unk_token": UNKNOWN,
        "cls_token": CLASSIFY,
        "sep_token": SEPARATOR,
        "mask_token": MASK,
    }
    write_json(folder / "special_tokens_map.json", special)
    write_json(
        folder / "tokenizer_config.json",
        {
            **special,
            "tokenizer_class": "BertTokenizer",
            "model_max_length": CAPTION_LENGTH,
            "do_lower_case": True,
        },
    )
    write_json(
        folder / "preprocessor_config.json",
        {
            **IMAGE_PROCESSOR,
            "image_processor_type": "BlipImageProcessor",
            "processor_class": "BlipProcessor",
            "size": {"height": SIZE, "width": SIZE},
        },
    )
    write_json(folder / "config.json", _captioner_config(vocabulary))


def new_clip(folder: Path, device: torch.device) -> tuple[CLIPModel, CLIPTokenizer]:
    """An untrained CLIP as `folder` describes it, and its tokenizer."""
    config = CLIPConfig.from_pretrained(folder)
    config._attn_implementation = "eager"  # its backward pass is much faster on a CPU at this size
    with device:
        return CLIPModel(config), CLIPTokenizer.from_pretrained(folder)


def new_captioner(folder: Path, device: torch.device) -> tuple[BlipForConditionalGeneration, BertTokenizer]:
    """An untrained captioner as `folder` describes it, and its tokenizer."""
    config = BlipConfig.from_pretrained(folder)
    config._attn_implementation = "eager"
    with device:
        return BlipForConditionalGeneration(config), BertTokenizer.from_pretrained(folder)


def save_weights(model: torch.nn.Module, folder: Path) -> None:
    """Writes the weights in half precision, also those that share memory: transformers 4.30 does not tie them. Of what
    are no fractions it takes the counts that timm's networks keep."""
    kept = {
        name: value.detach().to("cpu", torch.float16 if value.is_floating_point() else value.dtype, copy=True)
        for name, value in model.state_dict().items()
        if value.is_floating_point() or name.endswith(".num_batches_tracked")
    }
    whole = {name: value.contiguous() for name, value in kept.items()}
    (folder / "model.safetensors").write_bytes(save(whole, metadata={"format": "pt"}))


def _clip_config(vocabulary_size: int) -> dict[str, Any]:
    return {
        "architectures": ["CLIPModel"],
        "model_type": "clip",
        "torch_dtype": "float32",
        "projection_dim": TEXT_WIDTH,
        "logit_scale_init_value": 2.6592,
        "initializer_factor": 1.0,
        "text_config": {
            "model_type": "clip_text_model",
            "vocab_size": vocabulary_size,
            "hidden_size": TEXT_WIDTH,
            "intermediate_size": TEXT_MLP,
            "num_hidden_layers": CLIP_TEXT_LAYERS,
            "num_attention_heads": TEXT_HEADS,
            "max_position_embeddings": CONTEXT_LENGTH,
            "projection_dim": TEXT_WIDTH,
            "hidden_act": "quick_gelu",
            "layer_norm_eps": 1e-5,
            "bos_token_id": vocabulary_size - 2,
            "eos_token_id": vocabulary_size - 1,
            "pad_token_id": vocabulary_size - 1,
        },
        "vision_config": {
            "model_type": "clip_vision_model",
            "projection_dim": TEXT_WIDTH,
            "layer_norm_eps": 1e-5,
            **vision_config(CLIP_VISION_LAYERS),
        },
    }


def _captioner_config(vocabulary: list[str]) -> dict[str, Any]:
    return {
        "architectures": ["BlipForConditionalGeneration"],
        "model_type": "blip",
        "torch_dtype": "float32",
        "projection_dim": TEXT_WIDTH,
        "text_config": {
            "model_type": "blip_text_model",
            "vocab_size": len(vocabulary),
            "hidden_size": TEXT_WIDTH,
            "encoder_hidden_size": VISION_WIDTH,
            "intermediate_size": TEXT_MLP,
            "projection_dim": TEXT_WIDTH,
            "num_hidden_layers": CAPTIONER_TEXT_LAYERS,
            "num_attention_heads": TEXT_HEADS,
            "max_position_embeddings": CAPTION_LENGTH,
            "hidden_act": "gelu",
            "is_decoder": True,
            "label_smoothing": 0.0,
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
            "pad_token_id": vocabulary.index(PAD),
            "bos_token_id": vocabulary.index(CLASSIFY),
            "eos_token_id": vocabulary.index(SEPARATOR),
            "sep_token_id": vocabulary.index(SEPARATOR),
        },
        "vision_config": {
            "model_type": "blip_vision_model",
            "layer_norm_eps": 1e-5,
            **vision_config(CAPTIONER_VISION_LAYERS),
        },
    }


def vision_config(layers: int) -> dict[str, Any]:
    return {
        "hidden_size": VISION_WIDTH,
        "intermediate_size": VISION_MLP,
        "num_hidden_layers": layers,
        "num_attention_heads": VISION_HEADS,
        "image_size": SIZE,
        "patch_size": PATCH,
        "hidden_act": "quick_gelu",
    }


def _example_captions() -> list[str]:
    """Captions in training wordings, from which both vocabularies are made."""
    rng = random.Random("vocabulary")
    texts = []
    for _ in range(6000):
        scene = random_scene(rng, "train")
        texts += [caption(scene, rng).text, long_caption(scene, rng, phrases=5).text]
    return texts


def _byte_pairs(texts: Iterable[str]) -> tuple[dict[str, int], list[str]]:
    """Vocabulary and merges of a byte-pair encoding in CLIP's format; the two special tokens come last."""
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>", continuing_subword_prefix=""))
    tokenizer.normalizer = normalizers.Lowercase()
    words = Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(words, behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=1000,
        special_tokens=[],
        initial_alphabet=alphabet,
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    pairs = [
        tuple(merge.split(" ")) if isinstance(merge, str) else tuple(merge)
        for merge in json.loads(tokenizer.to_str())["model"]["merges"]
    ]
    tokens = [*alphabet, *(letter + "</w>" for letter in alphabet), *("".join(pair) for pair in pairs)]
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys([*tokens, START, END]))}
    return vocabulary, [" ".join(pair) for pair in pairs]


def _whole_words(texts: Iterable[str]) -> list[str]:
    """A WordPiece vocabulary: special tokens, letters for unknown words, every word of the grammar."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    known = sorted({word for text in texts for word in text.replace(",", " , ").split()})
    specials = (PAD, UNKNOWN, CLASSIFY, SEPARATOR, MASK)
    return list(dict.fromkeys([*specials, *known, *letters, *(f"##{letter}" for letter in letters)]))


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


assert HELD_OUT_WORDS.keys() == WORDS.keys()
