"""The ways to embed beside each other, for `unrender verify`: what is loaded for it, said meanwhile, and kept of it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..core.embed.kinds import QUALITIES
from ..core.embed.recommended import recommend
from ..core.errors import SettingsError
from ..core.prompt.recommended import recommend_search
from ..core.variation.checkpoint import Checkpoint
from ..core.verify.about import About, about, rendering_decides
from ..core.verify.dino import Dino
from ..core.verify.eyes import load_judge
from ..core.verify.fidelity import Fidelity, Judge, Plan, measure_fidelity
from ..core.verify.searches import Compared, captions_of
from ..core.verify.ways import Said
from .streams import complain

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..core.clip import Clip
    from ..core.engine import Engine
    from ..core.hub import Hub
    from ..core.variation.sampling import Sampling
    from ..core.verify.notes import Notes

_FOR_GAP = 40
_SHOWN = 6


class Asked(NamedTuple):
    """judge: by name. pictures: to render from. others: more, that say where pictures lie. version: of the program."""

    options: argparse.Namespace
    judge: str
    sampling: Sampling
    pictures: Sequence[Image]
    others: Sequence[Image]
    hub: Hub
    version: str


def compare_ways(
    asked: Asked, engine: Engine, clip: Clip, checkpoint: Checkpoint, compared: Compared, notes: Notes
) -> tuple[Fidelity, About]:
    """Keeps what it recommends. clip: the engine's. compared: the prompts of the usual search, and of others. notes:
    under what these prompts depend on. Raises what `measure_fidelity` does."""
    options, hub, usual = asked.options, asked.hub, engine.usual_search()
    if usual in compared.failed:
        raise SettingsError(f"The search {usual} cannot be run ({compared.failed[usual]})", "name another captioner")
    said = Said(compared.prompts, usual, captions_of(engine, asked.pictures, notes))
    engine.unload()  # the captioner, whose room the rendering needs
    judges: list[Judge] = [load_judge(asked.judge, engine.settings, hub, engine.progress)]
    if options.dino != "none":
        judges.append(Dino.load(options.dino, engine.settings.device, hub, engine.progress))
    gap = engine.measure_gap(asked.others) if len(asked.others) >= _FOR_GAP else None
    plan = Plan(
        options.ways or QUALITIES, range(options.seeds), asked.sampling, _SHOWN if options.sheet else 0, _foresee
    )
    under = notes.under(*rendering_decides(checkpoint, gap))
    fidelity = measure_fidelity(engine, checkpoint, judges, asked.pictures, said, plan, gap, under)
    if fidelity.recommended is not None:
        recommend(Path(hub.folder) / "embed", fidelity.fingerprint, fidelity.recommended)
    if fidelity.search is not None:
        recommend_search(Path(hub.folder), engine.settings, fidelity.search)
    return fidelity, about(asked.version, engine, clip, checkpoint, judges, plan, gap)


def _foresee(renderings: int, seconds: float) -> None:
    minutes = max(1, round(renderings * seconds / 60))
    complain(
        f"{renderings} renderings of {seconds:.1f} s each take about {minutes} "
        f"{'minute' if minutes == 1 else 'minutes'}, and embeddings are made beside them; fewer --count, --seeds or "
        "--steps take less. Whenever it is ended, the same command goes on."
    )
