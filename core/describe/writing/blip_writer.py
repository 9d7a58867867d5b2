"""BLIP's decoder writing for many pictures at once, the likeliest word each time.

It computes what transformers' class does, by the modules of that class, with less work. Keys and values of what was
written are kept, and a caption that has ended leaves the others. Keys and values of a picture are never made: its some
hundred patches would go through two matrices a layer for a dozen words that look at them. The words' questions go
through the keys' matrix instead, the other way round, and what they found through the values': (q W) x in place of
q (W x). Biases of keys add the same to all scores of a question, and fall out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Cache = list[tuple[Tensor, Tensor]]
"""Keys and values of what is written [captions, heads, words, width of a head], by layer."""

_FINALISTS = 16
"""Words whose scores in half precision are computed again from all digits, since the half's would often be equal."""


def write(decoder: Any, seen: Tensor, begun: Tensor, most: int, end: int, filler: int) -> tuple[Tensor, Tensor]:
    """What is begun and written [captions, words], and whether a score was no number.

    seen: of the pictures [captions, patches, width]. begun: the words that each caption starts with. most: words
    written at most. end: the word that ends a caption, after which it has fillers.
    """
    writer = _Writer(decoder)
    lines = torch.full((len(begun), begun.shape[1] + most), filler, dtype=begun.dtype, device=begun.device)
    lines[:, : begun.shape[1]] = begun
    at, open_ = begun.shape[1], torch.arange(len(begun), device=begun.device)
    new, cache, odd = begun, [], torch.zeros((), dtype=torch.bool, device=begun.device)
    for at in range(begun.shape[1], lines.shape[1]):
        scores, hidden = writer.scores(new, cache, seen)
        odd |= torch.isnan(scores).any()
        words = writer.likeliest(scores, hidden)
        lines[open_, at] = words
        goes_on = words != end
        if not bool(goes_on.all()):
            open_, words, seen = open_[goes_on], words[goes_on], seen[goes_on]
            cache = [(keys[goes_on], values[goes_on]) for keys, values in cache]
            if not len(open_):
                break
        new = words[:, None]
    return lines[:, : at + 1], odd


class Branches:
    """Texts of one picture, written side by side.

    seen: of the picture [1, patches, width]. begun: the words that all begin with [1, words]."""

    def __init__(self, decoder: Any, seen: Tensor, begun: Tensor) -> None:
        self._writer, self._seen, self._cache = _Writer(decoder), seen, []
        self.next = self._shares(begun)

    def follow(self, rows: Sequence[int], words: Sequence[int]) -> Tensor:
        """Each of the rows, with a word behind it, in place of what was written. Returns the logarithms of what each
        word is likely to be the next [texts, vocabulary]."""
        device = self._seen.device
        kept = torch.tensor(rows, device=device)
        self._cache[:] = [(keys[kept], values[kept]) for keys, values in self._cache]
        return self._shares(torch.tensor(words, device=device)[:, None])

    def _shares(self, words: Tensor) -> Tensor:
        scores, hidden = self._writer.scores(words, self._cache, self._seen)
        return self._writer.sharpened(scores, hidden).log_softmax(-1)


class _Writer:
    def __init__(self, decoder: Any) -> None:
        self._embeddings = decoder.bert.embeddings
        self._layers = list(decoder.bert.encoder.layer)
        self._predictions = decoder.cls.predictions

    def scores(self, words: Tensor, cache: Cache, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Of the word that follows the words, which follow those in the cache, to which they are added; and the state
        that they come from. seen: of each caption's picture, or of the one that all captions are of."""
        start = cache[0][0].shape[2] if cache else 0
        places = self._embeddings.position_embeddings.weight[start : start + words.shape[1]]
        x = _normed(self._embeddings.LayerNorm, self._embeddings.word_embeddings(words).float() + places.float())
        for index, layer in enumerate(self._layers):
            x, known = _read_back(layer.attention, x, cache[index] if start else None)
            cache[index : index + 1] = [known]
            x = _look(layer.crossattention, x.view(len(seen), -1, x.shape[-1]), seen).view_as(x)
            x = _added(layer.output, layer.intermediate.intermediate_act_fn(_through(layer.intermediate.dense, x)), x)
        transform = self._predictions.transform
        hidden = _normed(transform.LayerNorm, transform.transform_act_fn(_through(transform.dense, x[:, -1])))
        return _through(self._predictions.decoder, hidden), hidden

    def likeliest(self, scores: Tensor, hidden: Tensor) -> Tensor:
        if self._is_whole:
            return scores.argmax(-1)
        finalists, again = self._again(scores, hidden)
        return finalists.gather(1, again.argmax(-1, keepdim=True))[:, 0]

    def sharpened(self, scores: Tensor, hidden: Tensor) -> Tensor:
        """With those of the likeliest words from all digits."""
        return scores if self._is_whole else scores.scatter(1, *self._again(scores, hidden))

    @property
    def _is_whole(self) -> bool:
        return self._predictions.decoder.weight.dtype is torch.float32

    def _again(self, scores: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """The likeliest words and their scores."""
        decoder: nn.Linear = self._predictions.decoder
        finalists = scores.topk(min(_FINALISTS, scores.shape[-1])).indices
        again = torch.einsum("cw,cfw->cf", hidden, decoder.weight[finalists].float())
        if decoder.bias is not None:
            again += decoder.bias[finalists].float()
        return finalists, again


def _read_back(attention: Any, x: Tensor, known: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """What the words take from themselves and those before; and keys and values of them all."""
    parts = attention.self
    heads = parts.num_attention_heads
    q, keys, values = (
        _through(part, x).unflatten(-1, (heads, -1)).transpose(1, 2) for part in (parts.query, parts.key, parts.value)
    )
    if known is not None:
        keys, values = torch.cat([known[0], keys], 2), torch.cat([known[1], values], 2)
    found = F.scaled_dot_product_attention(q, keys, values, is_causal=known is None)
    return _added(attention.output, found.transpose(1, 2).flatten(2), x), (keys, values)


def _look(attention: Any, x: Tensor, seen: Tensor) -> Tensor:
    """What the words [captions, words, width] take from the pictures [captions, patches, width]."""
    parts = attention.self
    heads, (captions, words, _) = parts.num_attention_heads, x.shape
    q = _through(parts.query, x).unflatten(-1, (heads, -1))
    q = (q * q.shape[-1] ** -0.5).to(seen.dtype).flatten(0, 1).transpose(0, 1)
    keys = parts.key.weight.unflatten(0, (heads, -1))  # [heads, width of a head, width of the picture]
    values = parts.value.weight.unflatten(0, (heads, -1))
    asked = torch.bmm(q, keys).transpose(0, 1).reshape(captions, words * heads, -1)
    shares = torch.bmm(asked, seen.transpose(1, 2)).softmax(-1)
    found = torch.bmm(shares, seen).view(captions * words, heads, -1).transpose(0, 1)
    found = torch.bmm(found, values.transpose(1, 2)).transpose(0, 1).reshape(captions, words, -1).float()
    if parts.value.bias is not None:
        found = found + parts.value.bias.float()
    return _added(attention.output, found, x)


def _added(output: Any, found: Tensor, x: Tensor) -> Tensor:
    return _normed(output.LayerNorm, _through(output.dense, found) + x)


def _through(layer: nn.Linear, x: Tensor) -> Tensor:
    """In the weights' precision; what is added up is kept in float32."""
    return layer(x.to(layer.weight.dtype)).float()


def _normed(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    return F.layer_norm(x, norm.normalized_shape, norm.weight.float(), norm.bias.float(), norm.eps)
