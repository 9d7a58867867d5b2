"""From a text to a picture that is optimised for it, in each way there is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageOps

from ..clip.sight import Sight
from ..cures import Give
from ..errors import SettingsError
from ..images import image_key
from ..variation.checkpoint import Checkpoint
from ..variation.render import render, usual_size
from ..variation.sampling import Sampling
from ..variation.variations import negative_embedding
from .frames import Frames
from .latents import Hold, Latents
from .optimise import WAYS, By, Plan, Shown, optimise
from .painters import Cppn, Painter, Pixels

if TYPE_CHECKING:
    from ..engine import Engine


@dataclass(frozen=True)
class Optimisation:
    """What is asked for.

    text: what the picture is to show. by: what is moved, one of `WAYS`. plan: how often, and how. sampling: with
    "latent" of the picture that it begins with, and its guidance is that of the hold; of the others its size and seed
    alone count, the size being the CLIP's own where there is none. init: the picture to begin with instead, not for
    "cppn". hold: with "latent" the weight of the diffusion model beside the CLIP. Raises SettingsError.
    """

    text: str
    by: By = "latent"
    plan: Plan = field(default_factory=Plan)
    sampling: Sampling = field(default_factory=Sampling)
    init: Image.Image | None = None
    hold: float = 1.0

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise SettingsError("There is no text to optimise a picture for", "give one")
        if self.by not in WAYS:
            raise SettingsError(f"No picture is optimised by {self.by!r}", f"choose one of {', '.join(WAYS)}")
        if self.by == "cppn" and self.init is not None:
            raise SettingsError(
                "A CPPN begins with a network, which cannot be made of a picture", "choose latent or pixels for that"
            )

    def told(self, clip: str, checkpoint: str) -> dict[str, Any]:
        """All that decides the picture, as JSON has it; by which frames are known again. clip, checkpoint: by name."""
        return {
            "text": self.text,
            "by": self.by,
            "plan": asdict(self.plan),
            "sampling": asdict(self.sampling) | {"size": list(self.sampling.size or ())},
            "init": None if self.init is None else image_key(self.init),
            "hold": self.hold,
            "clip": clip,
            "checkpoint": checkpoint if self.by == "latent" else "",
        }


def optimised(
    engine: Engine,
    checkpoint: Checkpoint | None,
    asked: Optimisation,
    frames: Frames,
    shown: Callable[[Shown], None] = lambda _: None,
) -> list[tuple[int, float]]:
    """Optimises the picture, its steps kept in the frames; a call that was stopped goes on. Returns the steps that are
    kept, each with the picture's similarity to the text.

    engine: whose CLIP looks at the picture. checkpoint: what "latent" needs. shown: is told of each picture that is
    kept. Raises what `optimise`, rendering and loading do, and SettingsError without a checkpoint where one is needed.
    """
    if asked.by == "latent" and checkpoint is None:
        raise SettingsError("Latents are those of a checkpoint's VAE", Give("checkpoint", "one"))
    target = engine.text_features([asked.text])[0]
    clip = engine.clip
    assert clip is not None
    frames.begin(asked.told(engine.settings.clip, checkpoint.name if checkpoint else ""))
    sight = Sight.of(clip)
    painter = _painter(engine, checkpoint, asked, sight)
    return optimise(sight, painter, target, asked.plan, frames, shown, engine.progress)


def _painter(engine: Engine, checkpoint: Checkpoint | None, asked: Optimisation, sight: Sight) -> Painter:
    if checkpoint is not None and asked.by == "latent":
        return _latents(engine, checkpoint, asked)
    height, width = sight.size
    size, seed, device = asked.sampling.size or (width, height), asked.plan.seed, sight.clip.device
    return Cppn(size, seed, device) if asked.by == "cppn" else Pixels(size, asked.init, seed, device)


def _latents(engine: Engine, checkpoint: Checkpoint, asked: Optimisation) -> Latents:
    """Of the picture to begin with, at the size that is asked for, else of what is rendered of the text."""
    embedding = engine.embed_text(asked.text, checkpoint.family.name, encoders=checkpoint.encoders)
    negative = negative_embedding(engine, checkpoint)
    if asked.init is None:
        begun = render(checkpoint, embedding, negative, asked.sampling, None, engine.progress)
    else:
        size = asked.sampling.size or usual_size(checkpoint)
        begun = ImageOps.fit(asked.init.convert("RGB"), size, Image.Resampling.LANCZOS)
    hold = Hold(embedding, negative, asked.sampling.guidance, asked.hold)
    return Latents(checkpoint, begun, hold, is_near=asked.init is None)
