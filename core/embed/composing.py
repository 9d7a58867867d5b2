"""Several prompt embeddings as one, and one moved between others. Everything here is pure arithmetic on values."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor

from ..cures import Choose
from ..errors import EmbeddingError, SettingsError
from ..printable import quoted
from ..prompt.together import shares
from .embedding import PromptEmbedding
from .families import FAMILIES
from .kinds import MIXES, Mix

T = TypeVar("T", Tensor, "Tensor | None")

_STEPS = 30
_TINY = 1e-7


def mixed(
    embeddings: Sequence[PromptEmbedding], weights: Sequence[float] | None = None, how: Mix = "mean"
) -> PromptEmbedding:
    """One embedding of several for the same family and text encoders.

    weights: how much each counts, equally when absent; only their ratios matter.
    how: "mean" of the values; "spherical" mean of the directions, position by position, at the mean length (between two
    the usual slerp); "share" deals the positions out in proportion, evenly spread, the start token and the pooled
    vector being the mean's.
    Raises SettingsError for no embedding, unsuitable weights or an unknown way, EmbeddingError where they do not fit
    together.
    """
    check_mix(how)
    if not embeddings:
        raise SettingsError("There is no picture", "give one or more")
    factors = shares(len(embeddings), weights)
    first = embeddings[0]
    for other in embeddings[1:]:
        _check_alike(first, other)
    if len(embeddings) == 1:
        return first
    ways: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"mean": _mean, "spherical": _spherical, "share": _share}
    states = _combined(equally_long([each.states for each in embeddings]), factors, ways[how])
    pooled = _combined([each.pooled for each in embeddings], factors, _mean if how == "share" else ways[how])
    return replace(
        first,
        states=states,
        pooled=pooled,
        picture="+".join(each.picture for each in embeddings if each.picture),
        projection=" and ".join(dict.fromkeys(each.projection for each in embeddings)),
        gap_corrected=all(each.gap_corrected for each in embeddings),
    )


def blended(base: PromptEmbedding, embedding: PromptEmbedding, strength: float) -> PromptEmbedding:
    """From `base` (an empty prompt's embedding, or a text's) at strength 0 to `embedding` at 1, along the line between
    them. Raises SettingsError for a strength out of 0..1, EmbeddingError where they do not fit together."""
    check_strength(strength)
    _check_alike(base, embedding)
    if strength == 1:
        return embedding
    own, whole = equally_long([base.states, embedding.states])
    return replace(
        embedding,
        states=_pair(own, whole, lambda a, b: a + strength * (b - a)),
        pooled=_pair(base.pooled, embedding.pooled, lambda a, b: a + strength * (b - a)),
    )


def without(
    embedding: PromptEmbedding, unwanted: PromptEmbedding, neutral: PromptEmbedding, strength: float = 0.5
) -> PromptEmbedding:
    """An embedding less what another one (of a text or a picture) has more than `neutral`, an empty prompt's, has.

    Each position keeps its length, which the text encoder's final normalisation fixes within a few per cent.
    Raises SettingsError for a strength out of 0..1, EmbeddingError where they do not fit together.
    """
    check_strength(strength)
    _check_alike(embedding, unwanted)
    _check_alike(embedding, neutral)

    def less(own: Tensor | None, other: Tensor | None, empty: Tensor | None) -> Tensor | None:
        if own is None or other is None or empty is None:
            return own
        moved = own - strength * (other - empty)
        return moved * (own.norm(dim=-1, keepdim=True) / moved.norm(dim=-1, keepdim=True).clamp_min(_TINY))

    return replace(
        embedding,
        states=less(*equally_long([embedding.states, unwanted.states, neutral.states])),
        pooled=less(embedding.pooled, unwanted.pooled, neutral.pooled),
    )


def equally_long(all_states: Sequence[T]) -> list[T]:
    """States [77 n, width], or None, of one length: a shorter one is repeated, as the hosts do with an empty prompt
    beside a long one."""
    longest = max((len(states) for states in all_states if states is not None), default=0)
    return [_lengthened(states, longest) for states in all_states]


def _lengthened(states: T, length: int) -> T:
    return states if states is None else states.repeat(math.ceil(length / len(states)), 1)[:length]


def check_mix(how: str) -> None:
    if how not in MIXES:
        raise SettingsError(f"Pictures cannot be mixed by {quoted(how)}", Choose("mix", MIXES))


def check_strength(strength: float) -> None:
    if not (math.isfinite(strength) and 0 <= strength <= 1):
        raise SettingsError(f"is {strength:g}", "give a number from 0 to 1", control="strength")


def _check_alike(first: PromptEmbedding, other: PromptEmbedding) -> None:
    if first.family != other.family:
        raise EmbeddingError(
            f"One embedding is for {first.family} and another for {other.family}", "make both for the same family"
        )
    if first.fingerprint and other.fingerprint and first.fingerprint != other.fingerprint:
        raise EmbeddingError("The embeddings were made for different text encoders", "make them for the same one")
    parts = [(first.states, other.states)]
    if FAMILIES[first.family].takes_pooled:
        parts.append((first.pooled, other.pooled))
    for mine, theirs in parts:
        if (None if mine is None else mine.shape[-1]) != (None if theirs is None else theirs.shape[-1]):
            raise EmbeddingError("The embeddings have different widths or parts", "make them in the same way")


def _combined(
    parts: Sequence[Tensor | None], shares: Tensor, combine: Callable[[Tensor, Tensor], Tensor]
) -> Tensor | None:
    """combine gets the parts stacked [n, ..., width] in float64, and the shares. None where one of them is."""
    present = [part for part in parts if part is not None]
    if len(present) < len(parts):
        return None
    return combine(torch.stack([part.cpu() for part in present]).double(), shares).to(present[0])


def _pair(base: Tensor | None, other: Tensor | None, combine: Callable[[Tensor, Tensor], Tensor]) -> Tensor | None:
    return None if base is None or other is None else combine(base.to(other), other)


def _mean(parts: Tensor, shares: Tensor) -> Tensor:
    return torch.tensordot(shares, parts, dims=1)


def _spherical(parts: Tensor, shares: Tensor) -> Tensor:
    """The weighted Fréchet mean on the sphere (Buss and Fillmore 2001), times the mean length."""
    lengths = parts.norm(dim=-1, keepdim=True)
    directions = parts / lengths.clamp_min(_TINY)
    mean = _mean(directions, shares)
    if bool((mean.norm(dim=-1) < 1e-6).any()):
        raise SettingsError("These pictures are opposites and have no spherical mean", Choose("mix", ("mean",)))
    mean = mean / mean.norm(dim=-1, keepdim=True)
    for _ in range(_STEPS):
        cosine = (directions * mean).sum(dim=-1, keepdim=True).clamp(-1, 1)
        across = directions - cosine * mean
        sine = across.norm(dim=-1, keepdim=True)
        tangents = across * (torch.atan2(sine, cosine) / sine.clamp_min(_TINY))
        step = _mean(tangents, shares)
        angle = step.norm(dim=-1, keepdim=True)
        mean = torch.cos(angle) * mean + torch.sin(angle) * step / angle.clamp_min(_TINY)
        if float(angle.max()) < 1e-12:
            break
    return mean * _mean(lengths, shares)


def _share(parts: Tensor, shares: Tensor) -> Tensor:
    """Each position but the first goes to the picture that is most behind its share."""
    result = _mean(parts, shares)
    given = torch.zeros_like(shares)
    for position in range(1, parts.shape[1]):
        chosen = int((shares * position - given).argmax())
        given[chosen] += 1
        result[position] = parts[chosen, position]
    return result
