"""What assemblies make of a text, against diffusers' own `encode_prompt`: real widths, two blocks, random weights."""

from __future__ import annotations

import sys

import pytest
import torch
from conftest import write_clip_tokenizer
from unrender.core.clip.tokenizers import TransformersTokenizer
from unrender.core.clip.weights import from_transformers
from unrender.core.embed.embedder import Embedder
from unrender.core.embed.families import CLIP_G, CLIP_H, CLIP_L, SD1, SD1_CLIP_SKIP, SD2, SDXL
from unrender.core.embed.kinds import way_by
from unrender.core.embed.ridge import RidgeFit
from unrender.core.embed.text_side import TextSide
from unrender.core.phrases import Category, Vocabulary
from unrender.core.phrases.composed import composed_prompts

diffusers = pytest.importorskip("diffusers")

TEXTS = ["", "an oil painting of a harbour at dawn, by Monet", "word " * 100]
WORDS = Vocabulary("words", {"flavors": Category("flavors", ("red", "a boat", "by the sea", "at night", "fog"))})


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory):
    """CLIP-L's, which pads with end-of-text, and OpenCLIP's in diffusers' form, which pads with "!", token 0."""
    from transformers import CLIPTokenizer

    folder = tmp_path_factory.mktemp("tokenizer")
    write_clip_tokenizer(folder)
    return CLIPTokenizer.from_pretrained(str(folder)), CLIPTokenizer.from_pretrained(str(folder), pad_token="!")


def text_model(width, heads, layers=2, activation="quick_gelu", projected=False):
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    torch.manual_seed(width)
    config = CLIPTextConfig(
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        projection_dim=width,
        hidden_act=activation,
        eos_token_id=49407,
        bos_token_id=49406,
    )
    return (CLIPTextModelWithProjection if projected else CLIPTextModel)(config).eval()


def side(model, tokenizer):
    weights = from_transformers(model, 49406, 49407)
    assert weights is not None
    return TextSide(weights, TransformersTokenizer(tokenizer, 77))


def text(family, sides, prompt, tmp_path):
    return Embedder(None, family, sides, lambda: WORDS, tmp_path).text(prompt)  # type: ignore[arg-type]


def pipeline(model, tokenizer):
    """With nothing but what encode_prompt needs."""
    return diffusers.StableDiffusionPipeline(
        vae=None, text_encoder=model, tokenizer=tokenizer, unet=None, scheduler=None, safety_checker=None,
        feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip


@pytest.mark.parametrize("prompt", TEXTS)
def test_stable_diffusion_1(prompt, tokenizers, tmp_path):
    model = text_model(768, 12)
    wanted, _ = pipeline(model, tokenizers[0]).encode_prompt(prompt, "cpu", 1, False)
    states = text(SD1, {CLIP_L: side(model, tokenizers[0])}, prompt, tmp_path).states
    assert states.shape[1:] == wanted[0].shape[1:] == (768,) and states.dtype == wanted.dtype
    assert (states[:77] - wanted[0]).abs().max() < 1e-4
    # diffusers cuts a long prompt, this project goes on with a second stretch
    assert len(states) == (154 if prompt == TEXTS[2] else 77)


def test_clip_skip(tokenizers, tmp_path):
    """Against the second-to-last states through the final norm, which is what diffusers' `clip_skip=1` computes."""
    model = text_model(768, 12)
    ids = tokenizers[0](TEXTS[1], padding="max_length", max_length=77, return_tensors="pt").input_ids
    with torch.no_grad():
        hidden = model(ids, output_hidden_states=True).hidden_states[-2]
        wanted = getattr(model, "text_model", model).final_layer_norm(hidden)[0]
    made = text(SD1_CLIP_SKIP, {CLIP_L: side(model, tokenizers[0])}, TEXTS[1], tmp_path).states
    assert (made - wanted).abs().max() < 1e-4


@pytest.mark.parametrize("prompt", TEXTS[:2])
def test_stable_diffusion_2(prompt, tokenizers, tmp_path):
    """Whose checkpoint holds the encoder without its last block, where the CLIP has it whole."""
    whole = text_model(1024, 16, 3, "gelu")
    shorter = text_model(1024, 16, 2, "gelu")
    shorter.load_state_dict({name: t for name, t in whole.state_dict().items() if name in shorter.state_dict()})
    wanted, _ = pipeline(shorter, tokenizers[1]).encode_prompt(prompt, "cpu", 1, False)
    made = text(SD2, {CLIP_H: side(whole, tokenizers[1])}, prompt, tmp_path).states
    assert made.shape == wanted[0].shape == (77, 1024) and made.dtype == wanted.dtype
    assert (made - wanted[0]).abs().max() < 1e-4


@pytest.mark.parametrize("prompt", TEXTS[:2])
def test_sdxl(prompt, tokenizers, tmp_path):
    small, large = text_model(768, 12), text_model(1280, 20, 2, "gelu", projected=True)
    pipe = diffusers.StableDiffusionXLPipeline(
        vae=None, text_encoder=small, text_encoder_2=large, tokenizer=tokenizers[0], tokenizer_2=tokenizers[1],
        unet=None, scheduler=None, add_watermarker=False,
    )  # fmt: skip
    wanted, _, pooled, _ = pipe.encode_prompt(prompt, device="cpu", do_classifier_free_guidance=False)
    sides = {CLIP_L: side(small, tokenizers[0]), CLIP_G: side(large, tokenizers[1])}
    made = text(SDXL, sides, prompt, tmp_path)
    assert made.states.shape == wanted[0].shape == (77, 2048) and made.states.dtype == wanted.dtype
    assert made.pooled.shape == pooled[0].shape == (1280,)
    assert (made.states - wanted[0]).abs().max() < 1e-4 and (made.pooled - pooled[0]).abs().max() < 1e-4


class Clip:
    """As much of one as a fit needs: the embeddings of a whole text encoder with its projection."""

    fingerprint = "random"
    text = None

    def __init__(self, whole, side):
        self._projection, self._side = whole.text_projection.weight.detach(), side

    def encode_texts(self, texts, progress=None):
        (states,), ends = self._side.states(texts)
        return torch.nn.functional.normalize(states[torch.arange(len(texts)), ends] @ self._projection.T, dim=-1)


def for_sd1(tokenizers):
    whole = text_model(768, 12, 1, projected=True)
    encoder = side(whole, tokenizers[0])
    pipe = pipeline(text_model_of(whole), tokenizers[0])
    return SD1, Clip(whole, encoder), {CLIP_L: encoder}, lambda text: pipe.encode_prompt(text, "cpu", 1, False)[0]


def for_sd2(tokenizers):
    """The checkpoint's encoder lacks the last block, which the CLIP has."""
    whole = text_model(1024, 16, 2, "gelu", projected=True)
    encoder = side(whole, tokenizers[1])
    pipe = pipeline(text_model_of(whole, layers=1), tokenizers[1])
    return SD2, Clip(whole, encoder), {CLIP_H: encoder}, lambda text: pipe.encode_prompt(text, "cpu", 1, False)[0]


def for_sdxl(tokenizers):
    """Both encoders' states from bigG's embedding alone."""
    small, large = text_model(768, 12), text_model(1280, 20, 2, "gelu", projected=True)
    pipe = diffusers.StableDiffusionXLPipeline(
        vae=None, text_encoder=small, text_encoder_2=large, tokenizer=tokenizers[0], tokenizer_2=tokenizers[1],
        unet=None, scheduler=None, add_watermarker=False,
    )  # fmt: skip
    sides = {CLIP_L: side(small, tokenizers[0]), CLIP_G: side(large, tokenizers[1])}

    def encoded(text):
        return pipe.encode_prompt(text, device="cpu", do_classifier_free_guidance=False)[0]

    return SDXL, Clip(large, sides[CLIP_G]), sides, encoded


@pytest.mark.parametrize(
    "case", [for_sd1, *(pytest.param(case, marks=pytest.mark.full) for case in (for_sd2, for_sdxl))]
)
def test_a_map_meets_encode_prompt_for_a_texts_own_embedding(case, tokenizers, tmp_path):
    """Printed and bounded: the share of what texts differ in that ridge gives back of diffusers' own states."""
    family, clip, sides, encode_prompt = case(tokenizers)
    embedder = Embedder(clip, family, sides, lambda: WORDS, tmp_path, RidgeFit(192))
    texts = composed_prompts(WORDS, 12, "held out")
    made = [embedder.embed(clip.encode_texts([each]), ["text"], way_by("ridge")).states for each in texts]
    wanted = torch.cat([encode_prompt(each) for each in texts])
    error = (torch.stack(made) - wanted).pow(2).sum()
    explained = 1 - (error / (wanted - wanted.mean(0)).pow(2).sum()).item()
    sys.stdout.write(f"{family.title}: {explained:.3f} of the variance of unseen texts' states explained\n")
    assert explained > 0.5


def text_model_of(whole, layers=None):
    """Without the projection, and with the first layers alone."""
    from transformers import CLIPTextConfig, CLIPTextModel

    config = {**whole.config.to_dict(), "num_hidden_layers": layers or whole.config.num_hidden_layers}
    model = CLIPTextModel(CLIPTextConfig.from_dict(config)).eval()
    own = {name.removeprefix("text_model."): tensor for name, tensor in whole.state_dict().items()}
    wanted = model.state_dict()
    model.load_state_dict({name: own[name.removeprefix("text_model.")] for name in wanted})
    return model
