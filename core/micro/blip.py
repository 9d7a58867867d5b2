"""Micro's captioner, a BLIP (Li et al. 2022): a vision transformer, and a BERT that looks at what it saw and writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .modules import Encoder, attended

Scores = Callable[[Tensor, Tensor], Tensor]
Cache = list[tuple[Tensor, Tensor]]


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.qkv, self.projection = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self._heads = heads

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, -1)
        return self.projection(attended(q, k, v, self._heads))


class _PictureEmbeddings(nn.Module):
    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        width, patch = config["hidden_size"], config["patch_size"]
        self.class_embedding = nn.Parameter(torch.empty(1, 1, width))
        self.patch_embedding = nn.Conv2d(3, width, patch, patch)
        self.position_embedding = nn.Parameter(torch.empty(1, (config["image_size"] // patch) ** 2 + 1, width))

    def forward(self, pixels: Tensor) -> Tensor:
        patches = self.patch_embedding(pixels).flatten(2).transpose(1, 2)
        return torch.cat([self.class_embedding.expand(len(pixels), -1, -1), patches], 1) + self.position_embedding


class _PictureTower(nn.Module):
    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.embeddings = _PictureEmbeddings(config)
        self.encoder = Encoder(config, _Attention)
        self.post_layernorm = nn.LayerNorm(config["hidden_size"], config["layer_norm_eps"])

    def forward(self, pixels: Tensor) -> Tensor:
        return self.post_layernorm(self.encoder(self.embeddings(pixels)))


class _Parts(nn.Module):
    """Modules by name, for those of transformers' names that stand for no more than that."""

    def __init__(self, **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)


class _Read(nn.Module):
    """One of the decoder's attentions, with the norm after it."""

    def __init__(self, width: int, source: int, heads: int, epsilon: float) -> None:
        super().__init__()
        query, key, value = (nn.Linear(each, width) for each in (width, source, source))
        self.add_module("self", _Parts(query=query, key=key, value=value))
        self.output = _Parts(dense=nn.Linear(width, width), LayerNorm=nn.LayerNorm(width, epsilon))
        self._heads = heads

    def keys_and_values(self, source: Tensor) -> tuple[Tensor, Tensor]:
        parts: Any = self.get_submodule("self")
        return parts.key(source), parts.value(source)

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, causal: bool) -> Tensor:
        parts: Any = self.get_submodule("self")
        output: Any = self.output
        return output.LayerNorm(output.dense(attended(parts.query(x), keys, values, self._heads, causal)) + x)


class _WritingLayer(nn.Module):
    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        width, heads, epsilon = config["hidden_size"], config["num_attention_heads"], _EPSILON
        self.attention = _Read(width, width, heads, epsilon)
        self.crossattention = _Read(width, config["encoder_hidden_size"], heads, epsilon)
        self.intermediate = _Parts(dense=nn.Linear(width, config["intermediate_size"]))
        self.output = _Parts(
            dense=nn.Linear(config["intermediate_size"], width), LayerNorm=nn.LayerNorm(width, epsilon)
        )

    def forward(self, x: Tensor, written: tuple[Tensor, Tensor] | None, seen: tuple[Tensor, Tensor]) -> Any:
        """The new states, and keys and values of all that is written."""
        keys, values = self.attention.keys_and_values(x)
        if written is not None:
            keys, values = torch.cat([written[0], keys], 1), torch.cat([written[1], values], 1)
        x = self.attention(x, keys, values, causal=written is None)
        x = self.crossattention(x, *seen, causal=False)
        intermediate: Any = self.intermediate
        output: Any = self.output
        return output.LayerNorm(output.dense(F.gelu(intermediate.dense(x))) + x), (keys, values)


class _Decoder(nn.Module):
    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        width, words = config["hidden_size"], config["vocab_size"]
        self.bert = _Parts(
            embeddings=_Parts(
                word_embeddings=nn.Embedding(words, width),
                position_embeddings=nn.Embedding(config["max_position_embeddings"], width),
                LayerNorm=nn.LayerNorm(width, _EPSILON),
            ),
            encoder=_Parts(layer=nn.ModuleList(_WritingLayer(config) for _ in range(config["num_hidden_layers"]))),
        )
        predictions = _Parts(
            transform=_Parts(dense=nn.Linear(width, width), LayerNorm=nn.LayerNorm(width, _EPSILON)),
            decoder=nn.Linear(width, words),
        )
        predictions.register_parameter("bias", nn.Parameter(torch.empty(words)))  # the decoder's, once more
        self.cls = _Parts(predictions=predictions)

    def seen(self, picture: Tensor) -> Cache:
        bert: Any = self.bert
        return [layer.crossattention.keys_and_values(picture) for layer in bert.encoder.layer]

    def forward(self, ids: Tensor, written: Cache, seen: Cache) -> Tensor:
        """Scores of the word that follows the ids, which follow what `written` holds, to which theirs are added."""
        bert: Any = self.bert
        embeddings, predictions = bert.embeddings, self.cls.get_submodule("predictions")
        start = written[0][0].shape[1] if written else 0
        x = embeddings.word_embeddings(ids) + embeddings.position_embeddings.weight[start : start + ids.shape[1]]
        x = embeddings.LayerNorm(x)
        for index, layer in enumerate(bert.encoder.layer):
            x, known = layer(x, written[index] if start else None, seen[index])
            written[index : index + 1] = [known]
        transform: Any = predictions.get_submodule("transform")
        return predictions.get_submodule("decoder")(transform.LayerNorm(F.gelu(transform.dense(x[:, -1]))))


class MicroBlip(nn.Module):
    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.config = SimpleNamespace(
            model_type=config["model_type"], text_config=SimpleNamespace(**config["text_config"])
        )
        self.vision_model = _PictureTower(config["vision_config"])
        self.text_decoder = _Decoder(config["text_config"])

    @torch.inference_mode()
    def generate(
        self,
        pixel_values: Tensor,
        input_ids: Tensor | None = None,
        max_new_tokens: int = 20,
        logits_processor: Sequence[Scores] = (),
        **_: Any,
    ) -> Tensor:
        """Greedily, as transformers' BLIP has it: input_ids end with a token that is dropped, and the first is
        replaced by the one that writing starts with. Returns them and what was written."""
        config = self.config.text_config
        ids = torch.full((len(pixel_values), 1), config.bos_token_id, device=pixel_values.device)
        if input_ids is not None:
            ids = torch.cat([ids, input_ids[:, 1:-1]], 1)
        seen, written, new = self.text_decoder.seen(self.vision_model(pixel_values)), [], ids
        ended = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
        for _step in range(max_new_tokens):
            scores = self.text_decoder(new, written, seen).float()
            for process in logits_processor:
                scores = process(ids, scores)
            new = scores.argmax(-1).masked_fill(ended, config.pad_token_id)[:, None]
            ids = torch.cat([ids, new], 1)
            ended |= new[:, 0] == config.sep_token_id
            if bool(ended.all()):
                break
        return ids


class MicroBranches:
    """Texts of one picture [1, 3, height, width], written side by side; begun: the words that all begin with
    [1, words]. next, follow: as of `core.describe.writing.blip_writer.Branches`."""

    def __init__(self, model: MicroBlip, pixels: Tensor, begun: Tensor) -> None:
        self._decoder, self._written = model.text_decoder, []
        self._seen = self._decoder.seen(model.vision_model(pixels))
        self.next = self._shares(begun, self._seen)

    def follow(self, rows: Sequence[int], words: Sequence[int]) -> Tensor:
        kept = torch.tensor(rows, device=self.next.device)
        self._written[:] = [(keys[kept], values[kept]) for keys, values in self._written]
        seen = [(k.expand(len(rows), -1, -1), v.expand(len(rows), -1, -1)) for k, v in self._seen]
        return self._shares(torch.tensor(words, device=self.next.device)[:, None], seen)

    def _shares(self, words: Tensor, seen: Cache) -> Tensor:
        return self._decoder(words, self._written, seen).float().log_softmax(-1)


_EPSILON = 1e-12
"""Of BERT's norms, where a configuration does not say."""
