"""How near whole prompts come to their pictures, moved to where texts are: what tells a soft prompt how much its words
lack."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ..embed.gap import gap_of, shipped_gap
from ..embed.soft.space import Placing
from ..evidence.of_engine import TEXTS, bank_of_texts
from ..evidence.trust import Nearness
from ..phrases.composed import composed_prompts
from ..phrases.table import PhraseTable
from ..progress import SILENT, Progress
from ..prompt.interrogate import Interrogator
from ..settings import Settings

if TYPE_CHECKING:
    from torch import Tensor

    from ..clip import Clip
    from ..evidence.likelihoods import Evidence
    from ..phrases import Vocabulary

MOST_PROMPTED = 40
"""Pictures that prompts are found for: the deviation is then known to a ninth, and a large CLIP takes seconds each."""


def learned_nearness(
    clip: Clip,
    evidence: Evidence,
    vocabulary: Vocabulary,
    features: Tensor,
    captions: Sequence[str],
    tables: Path,
    progress: Progress = SILENT,
) -> Nearness | None:
    """Of the prompts that the honest search finds for pictures [pictures, joint width] with their captions; None where
    they do not differ. evidence: with the trust that the pictures taught. tables: where phrase tables are kept. Raises
    what a search does."""

    def load_table() -> PhraseTable:
        return PhraseTable.load(clip, vocabulary.positive(), tables, progress, 0)

    search = Interrogator(clip, vocabulary, load_table, Settings(search="honest"), progress, lambda: evidence)
    search.prepare("best")
    prompts = []
    with progress.task("Finding prompts for some of the bank's pictures", len(captions), "pictures") as task:
        for subject in search.subjects("best", features.to(clip.device), captions):
            prompts.append(search.run("best", subject).prompt)
            task.advance()
    where_texts_lie = bank_of_texts(clip, composed_prompts(vocabulary, TEXTS), tables, progress)
    placing = Placing(where_texts_lie, shipped_gap(clip.name) or gap_of(evidence.bank))
    near = placing.nearness(features, clip.encode_texts(prompts, progress).cpu())
    mean, deviation = float(near.mean()), float(torch.std(near, correction=0))
    return Nearness(mean, deviation) if deviation > 0 else None
