"""What a search has found of a picture, as it is told."""

from __future__ import annotations

import time

from ..clip import Clip
from ..results import Interrogation
from ..settings import Mode, Settings
from .framing import framed
from .judging import Told, likeness
from .search import Trail
from .subject import Subject


def interrogation(
    clip: Clip, trail: Trail, mode: Mode, subject: Subject, told: Told, settings: Settings, started: float
) -> Interrogation:
    """With the words that are put around the prompt. started: when, by `time.perf_counter`."""
    prompt, similarity = trail.prompt, trail.similarity
    if mode != "negative" and framed(prompt, settings) != prompt:
        prompt = framed(prompt, settings)
        (similarity,) = likeness(clip, subject.features, [prompt])
    seconds = time.perf_counter() - started
    return Interrogation(
        prompt,
        similarity,
        mode,
        told.caption,
        trail.phrases,
        clip.name,
        seconds,
        trail.risk,
        told.tags,
        told.contenders,
        rejected=trail.rejected,
    )
