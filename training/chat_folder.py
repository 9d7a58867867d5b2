"""The chat model's folder: its sizes, configuration, tokenizer and chat template, and how its weights are written.

The class is LLaVA's: CLIP's vision tower, a projector, Llama. Files and names of weights are written by hand as the
first transformers that knows this class reads them, which newer ones read too.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlavaConfig, LlavaForConditionalGeneration, PreTrainedTokenizerFast
from unrender.core.describe.styles import STYLES
from unrender.core.micro.drawing import SIZE
from unrender.core.micro.world import random_scene

from .chat_questions import SYSTEMS, random_turn
from .folders import CLIP_VISION_LAYERS, IMAGE_PROCESSOR, PATCH, TEXT_WIDTH, vision_config, write_json

PAD, START, END, UNKNOWN, IMAGE = "<pad>", "<s>", "</s>", "<unk>", "<image>"
SPECIAL = (PAD, START, END, UNKNOWN, IMAGE)
WIDTH, HEADS, MLP, LAYERS = 128, 4, 256, 3
POSITIONS = 1024
VOCABULARY = 800
TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}USER: {% elif message['role'] == 'assistant' %} ASSISTANT: {% endif %}"
    "{% if message['content'] is string %}{{ message['content'] | trim }}{% else %}"
    "{% for part in message['content'] if part['type'] == 'image' %}<image>{{ '\\n' }}{% endfor %}"
    "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] | trim }}{% endfor %}"
    "{% endif %}"
    "{% if message['role'] == 'system' %}{{ '\\n' }}{% elif message['role'] == 'assistant' %}{{ eos_token }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %} ASSISTANT:{% endif %}"
)
_BEFORE, _AFTER = "USER: ", " ASSISTANT:"
_OLD_NAMES = {
    "model.vision_tower.": "vision_tower.vision_model.",
    "model.multi_modal_projector.": "multi_modal_projector.",
    "model.language_model.": "language_model.model.",
    "lm_head.": "language_model.lm_head.",
}


def beginning(system: str) -> str:
    """What the template writes before a picture; a system message on a line of its own, if there is one."""
    return START + (f"{system}\n" if system else "") + _BEFORE


def question_after_picture(question: str) -> str:
    return f"\n{question}{_AFTER}"


def answer_after_question(text: str) -> str:
    return f" {text}{END}"


def write_chat_files(folder: Path) -> None:
    """Writes everything of the folder but the weights."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer(_example_texts())
    write_json(folder / "tokenizer.json", tokenizer)
    special = {"bos_token": START, "eos_token": END, "unk_token": UNKNOWN, "pad_token": PAD}
    write_json(folder / "special_tokens_map.json", special)
    write_json(
        folder / "tokenizer_config.json",
        {
            **special,
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": POSITIONS,
            "padding_side": "left",
            "clean_up_tokenization_spaces": False,
            "model_input_names": ["input_ids", "attention_mask"],
            "chat_template": TEMPLATE,
        },
    )
    write_json(folder / "chat_template.json", {"chat_template": TEMPLATE})
    write_json(
        folder / "processor_config.json",
        {
            "processor_class": "LlavaProcessor",
            "image_token": IMAGE,
            "patch_size": PATCH,
            "vision_feature_select_strategy": "full",
            "num_additional_image_tokens": 1,
        },
    )
    write_json(
        folder / "preprocessor_config.json",
        {
            **IMAGE_PROCESSOR,
            "image_processor_type": "CLIPImageProcessor",
            "processor_class": "LlavaProcessor",
            "size": {"shortest_edge": SIZE},
            "do_center_crop": True,
            "crop_size": {"height": SIZE, "width": SIZE},
        },
    )
    write_json(
        folder / "generation_config.json",
        {"bos_token_id": SPECIAL.index(START), "eos_token_id": SPECIAL.index(END), "pad_token_id": SPECIAL.index(PAD)},
    )
    write_json(folder / "config.json", _config(len(tokenizer["model"]["vocab"])))


def new_chat(folder: Path, device: torch.device) -> tuple[LlavaForConditionalGeneration, PreTrainedTokenizerFast]:
    """An untrained model as `folder` describes it, and its tokenizer."""
    config = LlavaConfig.from_pretrained(folder)
    parts: list[Any] = [config, config.vision_config, config.text_config]
    for part in parts:
        part._attn_implementation = "eager"  # its backward pass is much faster on a CPU at this size
    with device:
        return LlavaForConditionalGeneration(config), PreTrainedTokenizerFast.from_pretrained(folder)


def save_chat_weights(model: torch.nn.Module, folder: Path) -> None:
    """Writes the weights in half precision, under the names that every transformers with this class reads."""
    half = {
        _old_name(name): value.detach().to("cpu", torch.float16, copy=True).contiguous()
        for name, value in model.state_dict().items()
        if value.is_floating_point()
    }
    (folder / "model.safetensors").write_bytes(save(half, metadata={"format": "pt"}))


def _old_name(name: str) -> str:
    for new, old in _OLD_NAMES.items():
        if name.startswith(new):
            return old + name.removeprefix(new)
    raise ValueError(name)


def _config(vocabulary_size: int) -> dict[str, Any]:
    return {
        "architectures": ["LlavaForConditionalGeneration"],
        "model_type": "llava",
        "torch_dtype": "float32",
        "image_token_index": SPECIAL.index(IMAGE),
        "ignore_index": -100,
        "pad_token_id": SPECIAL.index(PAD),
        "projector_hidden_act": "gelu",
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": "full",
        "image_seq_length": (SIZE // PATCH) ** 2 + 1,
        "tie_word_embeddings": False,
        "vocab_size": vocabulary_size,
        "text_config": {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "vocab_size": vocabulary_size,
            "hidden_size": WIDTH,
            "intermediate_size": MLP,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "num_key_value_heads": HEADS,
            "hidden_act": "silu",
            "max_position_embeddings": POSITIONS,
            "rms_norm_eps": 1e-5,
            "rope_theta": 10000.0,
            "tie_word_embeddings": False,
            "bos_token_id": SPECIAL.index(START),
            "eos_token_id": SPECIAL.index(END),
            "pad_token_id": SPECIAL.index(PAD),
        },
        "vision_config": {
            "model_type": "clip_vision_model",
            "projection_dim": TEXT_WIDTH,
            "layer_norm_eps": 1e-5,
            **vision_config(CLIP_VISION_LAYERS),
        },
    }


def _example_texts() -> list[str]:
    """Questions and answers, from which the vocabulary is made."""
    rng = random.Random("chat vocabulary")
    texts = [*SYSTEMS * 20, *(ask.instruction for ask in STYLES.values() for _ in range(20))]
    for _ in range(12_000):
        turn = random_turn(random_scene(rng, "train"), rng)
        texts += [question_after_picture(turn.question), " " + turn.answer]
    return texts


def _tokenizer(texts: Iterable[str]) -> dict[str, Any]:
    """A byte-pair encoding as Llama 3's, of ASCII alone; whatever else is asked is one unknown token a byte. It puts
    the start token first, as Llama's does; so does the template."""
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    letters = [chr(code) for code in range(33, 127)] + ["\u0120", "\u010a"]  # blank and new line, as bytes are written
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=list(SPECIAL), initial_alphabet=letters, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    trained = json.loads(tokenizer.to_str())["model"]
    pairs = [merge if isinstance(merge, str) else " ".join(merge) for merge in trained["merges"]]
    start = {"id": START, "ids": [SPECIAL.index(START)], "tokens": [START]}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    piece = {"SpecialToken": {"id": START, "type_id": 0}}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": number, "content": token, **flags} for number, token in enumerate(SPECIAL)],
        "normalizer": None,
        "pre_tokenizer": level,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [piece, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [piece, {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
            "special_tokens": {START: start},
        },
        "decoder": level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": UNKNOWN,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": trained["vocab"],
            "merges": pairs,
        },
    }
