"""A language model of the captions of micro's world, trained apart from all that writes or searches: how likely is a
text as something that a person of that world would write?

It reads words and marks, not a model's tokens, and a text's score is shared out among its words, so that texts of other
wording and length compare. It knows training captions in known words, of any of the six factors, and no prompts.
"""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from unrender.core.micro.captions import caption
from unrender.core.micro.world import random_scene

CAPTIONS, EPOCHS, BATCH, RATE = 60_000, 3, 64, 4e-3
PADDING, END, UNKNOWN = 0, 1, 2
UNKNOWN_SHARE = 0.002  # of words, in training: so that a word that is not known costs much, and not without end

log = logging.getLogger(__name__)


class WorldLanguage(nn.Module):
    def __init__(self, words: Sequence[str]) -> None:
        super().__init__()
        self.words = list(words)
        self.ids = {word: number for number, word in enumerate(words, 3)}
        self.embedding = nn.Embedding(len(words) + 3, 64)
        self.states = nn.GRU(64, 160, batch_first=True)
        self.output = nn.Linear(160, len(words) + 3)

    def forward(self, ids: Tensor) -> Tensor:
        return self.output(self.states(self.embedding(ids))[0])

    def losses(self, texts: Sequence[str], forget: random.Random | None = None) -> Tensor:
        """-log p of each text's parts and its end, [texts, longest], zero where there are none."""
        rows = [[self.ids.get(part, UNKNOWN) for part in parts_of(text)] for text in texts]
        if forget is not None:
            rows = [[UNKNOWN if forget.random() < UNKNOWN_SHARE else each for each in row] for row in rows]
        longest = max(map(len, rows)) + 2
        ids = torch.tensor([[END, *row, END, *[PADDING] * (longest - len(row) - 2)] for row in rows])
        logits = self(ids[:, :-1])
        return cross_entropy(logits.transpose(1, 2), ids[:, 1:], ignore_index=PADDING, reduction="none")

    @torch.inference_mode()
    def surprise(self, texts: Sequence[str]) -> np.ndarray:
        """-log p of each whole text, [texts]; over all their words and exponentiated that is their perplexity."""
        parts = [self.losses(texts[first : first + 256]).sum(dim=1) for first in range(0, len(texts), 256)]
        return torch.cat(parts).numpy().astype(float)


def parts_of(text: str) -> list[str]:
    return re.findall(r"\w+|[^\w\s]", text.lower())


def words_in(text: str) -> int:
    return len(re.findall(r"\w+", text))


def load_language(path: Path) -> WorldLanguage:
    """From the file, or trained in about a minute and kept there."""
    if not path.exists():
        model = _trained()
        words = torch.tensor(list("\n".join(model.words).encode()), dtype=torch.uint8)
        save_file({**model.state_dict(), "words": words}, path)
    kept = load_file(path)
    model = WorldLanguage(bytes(kept.pop("words").tolist()).decode().split("\n"))
    model.load_state_dict(kept)
    return model.eval()


def _trained() -> WorldLanguage:
    rng, started = random.Random("language"), time.monotonic()
    captions = [caption(random_scene(rng, "train"), rng).text for _ in range(CAPTIONS)]
    torch.manual_seed(0)
    model = WorldLanguage(sorted({part for text in captions for part in parts_of(text)}))
    optimizer = torch.optim.AdamW(model.parameters(), RATE)
    steps = EPOCHS * CAPTIONS // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, steps)
    for step in range(steps):
        losses = model.losses(rng.sample(captions, BATCH), rng)
        loss = losses.sum() / (losses > 0).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 500 == 0:
            log.info("language model, step %d of %d, %.0f s: %.3f", step, steps, time.monotonic() - started, loss)
    return model
