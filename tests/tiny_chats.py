"""Small random models of the architectures that talk about pictures, each from its real configuration and processor
classes, with a template in the grammar of the published ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import transformers
from tiny_captioners import SIDE, TRANSFORMERS, randomise
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

WORDS = [
    "a red circle on blue ground and two cats sleeping",
    "an oil painting of quiet house by the lake at night",
    "describe this picture in one complete sentence of at most forty words you are helpful image captioner",
]
"""Without a full stop or comma, at which what was cut off would be cut."""
TEXT = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
LANGUAGE = {**TEXT, "num_key_value_heads": 2}
IDS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
PIXELS = {"image_mean": [0.5] * 3, "image_std": [0.25] * 3}


def tokenizer_with(*extra: str, start: bool = False, **named: str) -> Any:
    """Whole words. start: its start token is put before every text. named: special tokens, by their attributes."""
    inner = Tokenizer(models.WordLevel(unk_token="<unk>"))
    inner.normalizer = normalizers.Lowercase()
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    special = dict.fromkeys(["<pad>", "<s>", "</s>", "<unk>", *extra, *named.values()])
    inner.train_from_iterator(WORDS, trainers.WordLevelTrainer(special_tokens=[*special], show_progress=False))
    if start:
        inner.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner,
        model_input_names=["input_ids", "attention_mask"],
        **{"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
        **({"extra_special_tokens": named} if named else {}),
    )


def saved(folder: Path, model: Any, processor: Any, seed: int) -> Path:
    randomise(model, seed)
    model.save_pretrained(str(folder))
    processor.save_pretrained(str(folder))
    return folder


def _chatml(image: str, opening: str = "") -> str:
    """Turns between <|im_start|> and <|im_end|>. opening: what is written before them."""
    return (
        f"{opening}{{% for message in messages %}}<|im_start|>{{{{ message.role }}}}\n"
        "{% if message.content is string %}{{ message.content }}{% else %}{% for part in message.content %}"
        f"{{% if part.type == 'image' %}}{image}{{% else %}}{{{{ part.text }}}}{{% endif %}}"
        "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )


CHATML = ("<|im_start|>", "<|im_end|>")
TEXTS_ALONE = (
    "{{ bos_token }}{% for message in messages %}<|start_header_id|>{{ message.role }}<|end_header_id|>\n\n"
    "{% if message.role == 'user' %}<image>{% endif %}{{ message.content | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
"""As JoyCaption's: it knows texts, puts the picture's place before the question, and writes the start token."""
GEMMA = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{% set first = messages[0].content[0].text + '\n\n' %}"
    "{% set messages = messages[1:] %}{% else %}{% set first = '' %}{% endif %}"
    "{% for message in messages %}<start_of_turn>user\n{{ first }}{% for part in message.content %}"
    "{% if part.type == 'image' %}<start_of_image>{% else %}{{ part.text | trim }}{% endif %}{% endfor %}"
    "<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)


def joycaption(folder: Path) -> Path:
    """LLaVA over SigLIP and Llama."""
    turns = ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
    tokenizer = tokenizer_with(*turns, start=True, image_token="<image>")
    config = transformers.LlavaConfig(
        vision_config={"model_type": "siglip_vision_model", "image_size": SIDE, "patch_size": 8, **TEXT},
        text_config={"model_type": "llama", "vocab_size": len(tokenizer), **LANGUAGE, **IDS},
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_select_strategy="full",
        vision_feature_layer=-2,
        image_seq_length=16,
    )
    images = transformers.SiglipImageProcessor(size={"height": SIDE, "width": SIDE}, **PIXELS)
    processor = transformers.LlavaProcessor(
        images, tokenizer, patch_size=8, vision_feature_select_strategy="full", chat_template=TEXTS_ALONE
    )
    model = transformers.LlavaForConditionalGeneration(config)
    model.generation_config.eos_token_id = [2, tokenizer.convert_tokens_to_ids("<|eot_id|>")]
    return saved(folder, model, processor, 18)


def _qwen_processor(processor: Any, video: str, tokenizer: Any, patch: int) -> Any:
    size = {"shortest_edge": 4 * patch * patch, "longest_edge": 64 * patch * patch}
    images = transformers.Qwen2VLImageProcessor(patch_size=patch, merge_size=2, temporal_patch_size=2, size=size)
    videos = getattr(transformers, video)(patch_size=patch, merge_size=2, temporal_patch_size=2)
    template = _chatml("<|vision_start|><|image_pad|><|vision_end|>")
    return getattr(transformers, processor)(images, tokenizer, videos, chat_template=template)


_QWEN = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")


def _qwen_ids(tokenizer: Any) -> dict[str, int]:
    names = ("vision_start_token_id", "vision_end_token_id", "image_token_id", "video_token_id")
    return dict(zip(names, tokenizer.convert_tokens_to_ids(list(_QWEN)), strict=True))


def qwen25(folder: Path) -> Path:
    tokenizer = tokenizer_with(*CHATML, *_QWEN)
    tower = {"depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": 32}
    rope = {"rope_type": "default", "type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}
    config = transformers.Qwen2_5_VLConfig(
        vision_config={**tower, "patch_size": 14, "window_size": 56, "fullatt_block_indexes": [1]},
        text_config={"vocab_size": len(tokenizer), **LANGUAGE, **IDS, "rope_parameters": rope, "rope_scaling": rope}
        | {"max_window_layers": 2},
        **_qwen_ids(tokenizer),
    )
    processor = _qwen_processor("Qwen2_5_VLProcessor", "Qwen2VLVideoProcessor", tokenizer, 14)
    return saved(folder, transformers.Qwen2_5_VLForConditionalGeneration(config), processor, 19)


def qwen3(folder: Path) -> Path:
    tokenizer = tokenizer_with(*CHATML, *_QWEN)
    tower = {"depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": 32}
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "mrope_interleaved": True, "rope_theta": 10000.0}
    config = transformers.Qwen3VLConfig(
        vision_config={**tower, "patch_size": 16, "num_position_embeddings": 64, "deepstack_visual_indexes": [0]},
        text_config={
            **{"vocab_size": len(tokenizer), "head_dim": 16, "rope_parameters": rope, "rope_scaling": rope},
            **{**LANGUAGE, **IDS},
        },
        **_qwen_ids(tokenizer),
    )
    processor = _qwen_processor("Qwen3VLProcessor", "Qwen3VLVideoProcessor", tokenizer, 16)
    return saved(folder, transformers.Qwen3VLForConditionalGeneration(config), processor, 20)


def gemma3(folder: Path) -> Path:
    named = {"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"}
    tokenizer = tokenizer_with("<start_of_turn>", "<end_of_turn>", start=True, **named)
    ids = tokenizer.convert_tokens_to_ids
    config = transformers.Gemma3Config(
        text_config={
            **{"model_type": "gemma3_text", "vocab_size": len(tokenizer), "head_dim": 16, "sliding_window": 64},
            **{**LANGUAGE, **IDS},
        },
        vision_config={"model_type": "siglip_vision_model", "image_size": SIDE, "patch_size": 8, **TEXT},
        mm_tokens_per_image=4,
        tie_word_embeddings=False,
        boi_token_index=ids("<start_of_image>"),
        eoi_token_index=ids("<end_of_image>"),
        image_token_index=ids("<image_soft_token>"),
    )
    images = transformers.Gemma3ImageProcessor(size={"height": SIDE, "width": SIDE}, do_pan_and_scan=False, **PIXELS)
    processor = transformers.Gemma3Processor(images, tokenizer, chat_template=GEMMA, image_seq_length=4)
    model = transformers.Gemma3ForConditionalGeneration(config)
    model.generation_config.eos_token_id = [2, ids("<end_of_turn>")]
    return saved(folder, model, processor, 36)


def smolvlm(folder: Path) -> Path:
    tiles = [f"<row_{row}_col_{column}>" for row in (1, 2, 3, 4) for column in (1, 2, 3, 4)]
    named = {"fake_image_token": "<fake_token_around_image>", "image_token": "<image>"}
    named |= {"end_of_utterance_token": "<end_of_utterance>", "global_image_token": "<global-img>"}
    tokenizer = tokenizer_with("<|im_start|>", "<video>", *tiles, **named)
    template = (
        "<|im_start|>{% for message in messages %}{{ message.role | capitalize }}: {% for part in message.content %}"
        "{% if part.type == 'image' %}<image>{% else %}{{ part.text }}{% endif %}{% endfor %}<end_of_utterance>\n"
        "{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
    )
    config = transformers.SmolVLMConfig(
        vision_config={"image_size": SIDE, "patch_size": 8, **TEXT},
        text_config={"model_type": "llama", "vocab_size": len(tokenizer), **LANGUAGE, **IDS},
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        pad_token_id=0,
        scale_factor=2,
    )
    edge = {"size": {"longest_edge": 2 * SIDE}, "max_image_size": {"longest_edge": SIDE}}
    images = transformers.SmolVLMImageProcessor(**edge, **PIXELS)
    videos = transformers.SmolVLMVideoProcessor(**edge)
    processor = transformers.SmolVLMProcessor(images, tokenizer, videos, image_seq_len=4, chat_template=template)
    model = transformers.SmolVLMForConditionalGeneration(config)
    model.generation_config.eos_token_id = [2, tokenizer.convert_tokens_to_ids("<end_of_utterance>")]
    return saved(folder, model, processor, 22)


def internvl(folder: Path) -> Path:
    named = {"start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>"}
    tokenizer = tokenizer_with(*CHATML, **named, video_token="<video>")
    config = transformers.InternVLConfig(
        vision_config={"image_size": [SIDE, SIDE], "patch_size": [8, 8], **TEXT},
        text_config={"model_type": "qwen2", "vocab_size": len(tokenizer), **LANGUAGE, **IDS},
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
    )
    images = transformers.GotOcr2ImageProcessor(
        size={"height": SIDE, "width": SIDE}, crop_to_patches=True, min_patches=1, max_patches=4, **PIXELS
    )
    videos = transformers.InternVLVideoProcessor(size={"height": SIDE, "width": SIDE})
    template = _chatml("<IMG_CONTEXT>\n")
    processor = transformers.InternVLProcessor(images, tokenizer, videos, image_seq_length=4, chat_template=template)
    model = transformers.InternVLForConditionalGeneration(config)
    model.generation_config.eos_token_id = [2, tokenizer.convert_tokens_to_ids("<|im_end|>")]
    return saved(folder, model, processor, 23)


def onevision(folder: Path) -> Path:
    tokenizer = tokenizer_with(*CHATML, image_token="<image>", video_token="<video>")
    pins = [[SIDE, SIDE], [SIDE, 2 * SIDE], [2 * SIDE, SIDE], [2 * SIDE, 2 * SIDE]]
    config = transformers.LlavaOnevisionConfig(
        vision_config={"model_type": "siglip_vision_model", "image_size": SIDE, "patch_size": 8, **TEXT},
        text_config={"model_type": "qwen2", "vocab_size": len(tokenizer), **LANGUAGE, **IDS},
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_index=tokenizer.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=pins,
        vision_feature_layer=-1,
    )
    images = transformers.LlavaOnevisionImageProcessor(
        size={"height": SIDE, "width": SIDE}, image_grid_pinpoints=pins, **PIXELS
    )
    videos = transformers.LlavaOnevisionVideoProcessor(size={"height": SIDE, "width": SIDE})
    processor = transformers.LlavaOnevisionProcessor(
        *(images, tokenizer, videos),
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        chat_template=_chatml("<image>"),
    )
    model = transformers.LlavaOnevisionForConditionalGeneration(config)
    model.generation_config.eos_token_id = [2, tokenizer.convert_tokens_to_ids("<|im_end|>")]
    return saved(folder, model, processor, 24)


CHATS: dict[str, Callable[[Path], Path]] = {}
if TRANSFORMERS >= (5, 0):
    CHATS = {
        "joycaption": joycaption,
        "qwen2.5-vl": qwen25,
        "qwen3-vl": qwen3,
        "gemma3": gemma3,
        "smolvlm": smolvlm,
        "internvl": internvl,
        "llava-onevision": onevision,
    }
