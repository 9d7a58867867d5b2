"""Small random models of the real captioner classes, saved as the hub has them, with tokenizers made on the spot."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

TRANSFORMERS = tuple(int(part) for part in transformers.__version__.split(".")[:2])
NEW = TRANSFORMERS >= (5, 0)
FLOOR = TRANSFORMERS < (4, 40)
SIDE = 32
IMAGE_SETTINGS = {
    "do_resize": True,
    "do_rescale": True,
    "do_normalize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.25, 0.25, 0.25],
    "rescale_factor": 1 / 255,
    "resample": 3,
    "do_convert_rgb": True,
    "size": {"height": SIDE, "width": SIDE},
}
SENTENCES = [
    "a red circle on a blue ground",
    "a photography of two cats sleeping",
    "an oil painting of a quiet house by the lake at night",
    "describe this picture in one sentence . what does the image describe ?",
    "question : what is it ? answer : a drawing of a green tree",
]


def bert_tokenizer(folder: Path) -> Any:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]"]
    tokenizer.train_from_iterator(
        SENTENCES * 3, trainers.WordPieceTrainer(vocab_size=160, special_tokens=special, show_progress=False)
    )
    vocabulary = tokenizer.get_vocab()
    words = sorted(vocabulary, key=lambda word: vocabulary[word])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    if TRANSFORMERS >= (5, 0):
        return transformers.BertTokenizer(vocab=vocabulary)
    return transformers.BertTokenizerFast(vocab_file=str(folder / "vocab.txt"))


def word_tokenizer(*extra: str, **special: Any) -> Any:
    """Whole words, with the special tokens a language model wants."""
    tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    names = ["<pad>", "<s>", "</s>", "<unk>", *extra]
    tokenizer.train_from_iterator(SENTENCES, trainers.WordLevelTrainer(special_tokens=names, show_progress=False))
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_input_names=["input_ids", "attention_mask"],
        **{"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", **special},
    )


def randomise(model: Any, seed: int) -> Any:
    """Weights large enough that what is written depends on the picture."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "norm" not in name.lower() or not name.endswith("weight"):
                value.normal_(std=0.3 if value.dim() > 1 else 0.1)
        if hasattr(model, "query_tokens"):
            model.query_tokens.normal_()
    return model.eval()


def save(folder: Path, model: Any, tokenizer: Any, images: dict[str, Any], **processor: Any) -> Path:
    model.save_pretrained(str(folder), **({} if TRANSFORMERS >= (5, 0) else {"safe_serialization": True}))
    tokenizer.save_pretrained(str(folder))
    (folder / "preprocessor_config.json").write_text(json.dumps({**IMAGE_SETTINGS, **images}))
    if processor:
        (folder / "processor_config.json").write_text(json.dumps(processor))
    return folder


def blip(folder: Path) -> Path:
    tokenizer = bert_tokenizer(folder)
    ids = tokenizer.convert_tokens_to_ids
    config = transformers.BlipConfig(
        text_config={
            **{"vocab_size": len(tokenizer), "hidden_size": 32, "encoder_hidden_size": 32, "intermediate_size": 64},
            **{"num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 40, "projection_dim": 32},
            **{"bos_token_id": ids("[DEC]"), "eos_token_id": ids("[SEP]"), "sep_token_id": ids("[SEP]")},
            "pad_token_id": ids("[PAD]"),
        },
        vision_config={
            **{"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2},
            **{"image_size": SIDE, "patch_size": 8},
        },
        projection_dim=32,
    )
    model = randomise(transformers.BlipForConditionalGeneration(config), 3)
    return save(
        folder, model, tokenizer, {"image_processor_type": "BlipImageProcessor", "processor_class": "BlipProcessor"}
    )


def git(folder: Path) -> Path:
    tokenizer = bert_tokenizer(folder)
    ids = tokenizer.convert_tokens_to_ids
    config = transformers.GitConfig(
        vision_config={
            **{"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2},
            **{"image_size": SIDE, "patch_size": 8},
        },
        **{"vocab_size": len(tokenizer), "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2},
        **{"num_attention_heads": 2, "max_position_embeddings": 64},
        **{"bos_token_id": ids("[CLS]"), "eos_token_id": ids("[SEP]"), "pad_token_id": ids("[PAD]")},
    )
    model = randomise(transformers.GitForCausalLM(config), 4)
    clip = {
        **{"image_processor_type": "CLIPImageProcessor", "processor_class": "GitProcessor"},
        **{"size": {"shortest_edge": SIDE}, "do_center_crop": True, "crop_size": {"height": SIDE, "width": SIDE}},
    }
    return save(folder, model, tokenizer, clip)


def _blip2(folder: Path, text: dict[str, Any], seed: int, image_token: bool) -> Path:
    marks = TRANSFORMERS >= (4, 47) and image_token
    tokenizer = word_tokenizer(*(["<image>"] if marks else []))
    ids = tokenizer.convert_tokens_to_ids
    specials = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "decoder_start_token_id": 0}
    config = transformers.Blip2Config(
        vision_config={
            **{"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2},
            **{"image_size": SIDE, "patch_size": 8},
        },
        qformer_config={
            **{"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2},
            **{"encoder_hidden_size": 32, "vocab_size": 10},
        },
        text_config={"vocab_size": len(tokenizer), **specials, **text},
        num_query_tokens=6,
        **({"image_token_index": ids("<image>")} if marks else {}),
    )
    model = randomise(transformers.Blip2ForConditionalGeneration(config), seed)
    images = {"image_processor_type": "BlipImageProcessor", "processor_class": "Blip2Processor"}
    described = {"processor_class": "Blip2Processor", "num_query_tokens": 6} if marks else {}
    return save(folder, model, tokenizer, images, **described)


def blip2_opt(folder: Path, image_token: bool = True) -> Path:
    opt = {"model_type": "opt", "hidden_size": 32, "ffn_dim": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    return _blip2(folder, {**opt, "word_embed_proj_dim": 32, "max_position_embeddings": 64}, 5, image_token)


def blip2_t5(folder: Path) -> Path:
    t5 = {"model_type": "t5", "d_model": 32, "d_ff": 64, "d_kv": 16, "num_layers": 2, "num_heads": 2}
    return _blip2(folder, {**t5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}, 6, True)


def florence(folder: Path) -> Path:
    names_image = TRANSFORMERS < (5, 0)
    tokenizer = word_tokenizer(
        "<image>", **({"extra_special_tokens": {"image_token": "<image>"}} if names_image else {})
    )
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    config = transformers.Florence2Config(
        vision_config={
            **{"depths": [1, 1], "patch_size": [7, 3], "patch_stride": [4, 2], "patch_padding": [3, 1]},
            **{"patch_prenorm": [False, True], "embed_dim": [16, 32], "num_heads": [2, 2], "num_groups": [2, 2]},
            **{"window_size": 4, "projection_dim": 32},
        },
        text_config={
            **{"model_type": "bart", "vocab_size": len(tokenizer), "d_model": 32, "encoder_layers": 2},
            **{"decoder_layers": 2, "encoder_attention_heads": 2, "decoder_attention_heads": 2},
            **{"encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "max_position_embeddings": 128},
            **{"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "decoder_start_token_id": 2},
            **{"forced_eos_token_id": None, "forced_bos_token_id": None},
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    model = randomise(transformers.Florence2ForConditionalGeneration(config), 7)
    tokenizer.init_kwargs["image_token"] = "<image>"
    clip = {
        **{"image_processor_type": "CLIPImageProcessor", "processor_class": "Florence2Processor"},
        **{"image_seq_length": 17, "do_center_crop": False},
    }
    rules = {"pure_text": {}}
    return save(folder, model, tokenizer, clip, processor_class="Florence2Processor", post_processor_config=rules)


def llava(folder: Path) -> Path:
    tokenizer = word_tokenizer("<image>")
    config = transformers.LlavaConfig(
        vision_config={
            **{"model_type": "clip_vision_model", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2},
            **{"num_attention_heads": 2, "image_size": SIDE, "patch_size": 8, "projection_dim": 32},
        },
        text_config={
            **{"model_type": "llama", "vocab_size": len(tokenizer), "hidden_size": 32, "intermediate_size": 64},
            **{"num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2},
            **{"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0},
        },
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    model = randomise(transformers.LlavaForConditionalGeneration(config), 8)
    model.generation_config.do_sample = True
    model.generation_config.temperature = 0.7
    template = (
        "{% for message in messages %}question : {% for part in message['content'] %}"
        "{% if part['type'] == 'image' %}<image> {% else %}{{ part['text'] }}{% endif %}{% endfor %} answer :"
        "{% endfor %}"
    )
    (folder).mkdir(parents=True, exist_ok=True)
    (folder / "chat_template.jinja").write_text(template)
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": template}))
    clip = {
        **{"image_processor_type": "CLIPImageProcessor", "processor_class": "LlavaProcessor"},
        **{"size": {"shortest_edge": SIDE}, "do_center_crop": True, "crop_size": {"height": SIDE, "width": SIDE}},
    }
    described = {"processor_class": "LlavaProcessor", "patch_size": 8, "vision_feature_select_strategy": "default"}
    return save(folder, model, tokenizer, clip, **described, num_additional_image_tokens=1)


MAKERS: dict[str, Callable[[Path], Path]] = {
    "blip": blip,
    "git": git,
    "blip2_opt": blip2_opt,
    "blip2_t5": blip2_t5,
}
if hasattr(transformers, "Florence2ForConditionalGeneration"):
    MAKERS["florence"] = florence
if hasattr(transformers, "LlavaProcessor") and TRANSFORMERS >= (4, 49):
    MAKERS["llava"] = llava


def paligemma(folder: Path) -> Path:
    """No chat template; the picture's place is marked in the text."""
    tokenizer = word_tokenizer("<image>")
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    ids = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    text = {"model_type": "gemma", "vocab_size": len(tokenizer) + 1200, "num_key_value_heads": 1, "head_dim": 16}
    config = transformers.PaliGemmaConfig(
        text_config={**text, **small, **ids},
        vision_config={"model_type": "siglip_vision_model", "image_size": SIDE, "patch_size": 8, **small},
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        projection_dim=32,
        hidden_size=32,
    )
    model = randomise(transformers.PaliGemmaForConditionalGeneration(config), 9)
    images = {"image_processor_type": "SiglipImageProcessor", "image_seq_length": 16}
    return save(folder, model, tokenizer, images, processor_class="PaliGemmaProcessor")


def encoder_decoder(folder: Path) -> Path:
    """Any vision tower with any language model; no processor class joins the two."""
    tokenizer = word_tokenizer()
    small = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 32}
    config = transformers.VisionEncoderDecoderConfig.from_encoder_decoder_configs(
        transformers.ViTConfig(intermediate_size=64, image_size=SIDE, patch_size=8, **small),
        transformers.GPT2Config(
            **{"vocab_size": len(tokenizer), "n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 40},
            **{"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "add_cross_attention": True},
            is_decoder=True,
        ),
    )
    config.decoder_start_token_id, config.pad_token_id, config.eos_token_id = 1, 0, 2
    model = randomise(transformers.VisionEncoderDecoderModel(config=config), 10)
    model.generation_config.decoder_start_token_id, model.generation_config.pad_token_id = 1, 0
    return save(folder, model, tokenizer, {"image_processor_type": "ViTImageProcessor"})


OTHERS: dict[str, Callable[[Path], Path]] = {}
if TRANSFORMERS >= (5, 0):
    OTHERS = {"paligemma": paligemma, "encoder_decoder": encoder_decoder}
ALL = sorted(MAKERS)


def direct(folder: Path) -> tuple[Any, Any]:
    """Model and processor, loaded as transformers' documentation does it."""
    config = json.loads((folder / "config.json").read_text())
    model = getattr(transformers, config["architectures"][0]).from_pretrained(str(folder)).eval()
    processor = transformers.AutoProcessor.from_pretrained(str(folder))
    if NEW:
        processor.image_processor = transformers.AutoImageProcessor.from_pretrained(str(folder), backend="pil")
    return model, processor


def words(text: str) -> str:
    return " ".join(text.split())


def sentence(error: pytest.ExceptionInfo[Exception]) -> str:
    text = str(error.value)
    assert text.endswith(".") and "\n" not in text and len(text) < 600
    return text


def change_config(folder: Path, **values: Any) -> None:
    change_json(folder / "config.json", **values)


def change_json(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
