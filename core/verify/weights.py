"""What can be checked of a CLIP, and of a checkpoint's text encoders, without rendering anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ..clip import Clip
from ..clip.hidden_states import padded_ids
from ..clip.text_encoder import TowerEncoder
from ..embed.embedding import CONTEXT, PromptEmbedding
from ..embed.projection import PUBLISHED_NORM, is_published_model
from ..embed.seen import Seen
from ..embed.text_projection import checked_projection, projection_fingerprint
from ..embed.text_side import TextSide
from ..engine import Engine
from ..errors import UnrenderError
from ..images import image_key
from ..phrases.composed import composed_prompts
from ..progress import SILENT, Progress
from ..settings import Settings
from ..variation.checkpoint import Checkpoint, parts_of
from .notes import Notes

NORM_TOLERANCE = 0.05
_UNSEEN_TEXTS = 64
_TEXTS = ("", "a", "a red boat on a lake, oil on canvas", "word " * 90, "naïve 猫 🐱, it's & <b>")


@dataclass(frozen=True)
class Finding:
    """One check. passed: None where there is nothing known to compare with. value: what was measured."""

    check: str
    passed: bool | None
    value: str


def check_clip(clip: Clip, prompts: Sequence[str]) -> list[Finding]:
    """Of a CLIP: own tower, text projection, norm of the end-of-text state over the prompts.

    Loading compares the own tower with the library's on 16 texts, so that only its outcome is reported.
    """
    tower = clip.text if isinstance(clip.text, TowerEncoder) else None
    findings = [Finding("own text tower equals the library's", tower is not None, "in use" if tower else "not in use")]
    if tower is None:
        return findings
    return [*findings, _projection(tower.weights.projection, clip), _norm(clip, prompts)]


def check_padding(checkpoint: Checkpoint) -> list[Finding]:
    """Of each text encoder of a checkpoint: the ids it is fed equal its own tokenizer's, padded by that."""
    pipeline, findings = checkpoint.pipeline, []
    for encoder, tokenizer in zip(checkpoint.family.encoders, parts_of(pipeline, "tokenizer"), strict=False):
        wrong = _wrongly_fed(checkpoint.encoders[encoder.name], tokenizer)
        said = "equal ids" if not wrong else f"other ids for {len(wrong)} of {len(_TEXTS)} texts"
        findings.append(Finding(f"padding of {encoder.name}", not wrong, said))
    return findings


def check_reconstruction(engine: Engine, clip: Clip, checkpoint: Checkpoint) -> Finding:
    """How much of the variance of the states of texts no map has seen "ridge" finds again from their joint embeddings
    alone. clip: the engine's."""
    family, encoders = checkpoint.family.name, checkpoint.encoders
    texts = composed_prompts(engine.read_vocabulary(), _UNSEEN_TEXTS, "unseen")
    joints = clip.encode_texts(texts)
    wanted = _states([engine.embed_text(text, family, encoders=encoders) for text in texts])
    found = _states([engine.embed(Seen(joint[None], ("",)), family, "ridge", encoders=encoders) for joint in joints])
    explained = 1 - float((found - wanted).square().sum() / (wanted - wanted.mean(dim=0)).square().sum())
    return Finding("unseen texts found again by ridge", None, f"{explained:.2f} of their variance")


def check_precisions(
    clip: Clip,
    settings: Settings,
    pictures: Sequence[Image.Image],
    progress: Progress = SILENT,
    notes: Notes | None = None,
) -> Finding:
    """Searches the pictures' prompts in two precisions and in float32 throughout: the prompts have to be the same.
    notes: under what the CLIP and the settings decide."""
    check = "searches in two precisions equal exact ones"
    if not clip.text.has_rough:
        return Finding(check, None, "this device searches in float32 alone")
    notes, keys = notes or Notes(), [image_key(each) for each in pictures]
    same = notes.known(int, check, *keys)
    if same is None:
        exact, rough = (
            _prompts(replace(settings, precision=precision, captioner=None), pictures, progress)
            for precision in ("exact", "auto")
        )
        same = sum(a == b for a, b in zip(exact, rough, strict=True))
        notes.keep(same, check, *keys)
    return Finding(check, same == len(pictures), f"{same} of {len(pictures)} prompts equal")


def _prompts(settings: Settings, pictures: Sequence[Image.Image], progress: Progress) -> list[str]:
    label = f"Searching, {settings.precision}"
    with Engine(settings, progress=progress) as engine:
        return [engine.interrogate(each, "best", "").prompt for each in progress.track(pictures, label, len(pictures))]


def _states(embeddings: Sequence[PromptEmbedding]) -> Tensor:
    """Of texts of up to one context's length, [embeddings, 77, width]."""
    return torch.stack([each.states[:CONTEXT] for each in embeddings if each.states is not None])


def _projection(projection: Tensor | None, clip: Clip) -> Finding:
    check = "text projection"
    try:
        projection = checked_projection(projection, _width(clip), source=clip.name)
    except UnrenderError as error:
        return Finding(check, False, str(error))
    shape = " x ".join(map(str, projection.shape))
    return Finding(check, True, f"{shape}, SHA-256 of its float16 values {projection_fingerprint(projection)}")


def _norm(clip: Clip, prompts: Sequence[str]) -> Finding:
    side = TextSide.of(clip)
    norm, _ = side.mean_norms(prompts)
    if not is_published_model(side.weights):
        return Finding("norm of the end-of-text state", None, f"{norm:.2f}; nothing is published for this model")
    near = abs(norm / PUBLISHED_NORM - 1) <= NORM_TOLERANCE
    return Finding("norm of the end-of-text state", near, f"{norm:.2f}; published: {PUBLISHED_NORM:g}")


def _width(clip: Clip) -> int:
    return TextSide.of(clip).width


def _wrongly_fed(side: TextSide, tokenizer: Any) -> list[str]:
    length = side.weights.positions.shape[0]
    theirs = tokenizer(
        list(_TEXTS), padding="max_length", truncation=True, max_length=length, return_tensors="pt"
    ).input_ids
    ours, _ = padded_ids(side.weights, [side.tokenizer.encode(text) for text in _TEXTS], side.padding)
    return [text for text, a, b in zip(_TEXTS, ours, theirs, strict=True) if not torch.equal(a, b)]
