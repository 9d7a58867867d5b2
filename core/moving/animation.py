"""A text as moving pictures: its lines' embeddings walked from one to the next, each frame rendered with one seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from PIL import Image

from ..drawing.subtitle import Band
from ..embed import PromptEmbedding
from ..embed.blend import check_quality
from ..embed.kinds import Quality
from ..images import image_key, open_image
from ..variation.checkpoint import Checkpoint
from ..variation.render import render, usual_size
from ..variation.sampling import Sampling
from ..variation.variations import negative_embedding
from .film import Film
from .script import Line
from .walk import Ease, Place, Walk, between

if TYPE_CHECKING:
    from ..engine import Engine


@dataclass(frozen=True)
class Animation:
    """What is asked for.

    lines: prompts and pictures. frames, ease: see `Walk`. negative: a prompt that guidance leads away from. sampling:
    of every frame, with its seed. lettered: whether each line stands below its frames. quality: of the pictures'
    embeddings (see `Engine.embed`). Raises SettingsError where that does not go together.
    """

    lines: Sequence[Line]
    frames: int = 24
    ease: Ease = "smooth"
    negative: str = ""
    sampling: Sampling = field(default_factory=Sampling)
    lettered: bool = True
    quality: Quality | None = None

    def __post_init__(self) -> None:
        check_quality(self.quality)
        _ = self.walk

    @property
    def walk(self) -> Walk:
        return Walk(len(self.lines), self.frames, self.ease)

    def asked(self, checkpoint: str) -> dict[str, Any]:
        """All that the frames depend on, as JSON has it; by which a film is known again. Raises ImageError."""
        pictures = {line.text: image_key(open_image(line.picture)) for line in self.lines if line.picture}
        return {
            "lines": [pictures.get(line.text, line.text) for line in self.lines],
            "checkpoint": checkpoint,
            "frames": self.frames,
            "ease": self.ease,
            "negative": self.negative,
            "sampling": asdict(self.sampling) | {"size": list(self.sampling.size or ())},
            "lettered": self.lettered,
            "quality": self.quality,
        }


def animate(engine: Engine, checkpoint: Checkpoint, animation: Animation, film: Film) -> int:
    """Renders the frames that are not there yet, each kept when it is done, then makes the film of them. Returns how
    many were rendered.

    engine: of the CLIP whose text encoder the checkpoint's family listens to, as for `variations`.
    Raises what embedding and rendering raise, UnrenderError where a frame or the film cannot be written, and Cancelled,
    after which the same call goes on.
    """
    film.check()
    frames, count = film.frames, len(animation.walk)
    frames.begin(animation.asked(checkpoint.name))
    missing = frames.missing(count)
    if missing:
        embeddings = _embedded(engine, checkpoint, animation.lines, animation.quality)
        negative = negative_embedding(engine, checkpoint, animation.negative)
        if not checkpoint.whole:
            engine.unload()  # which leaves the room to what renders
        lettered = partial(_lettered, animation, _band(checkpoint, animation))
        with engine.progress.task("Rendering the film", count, "frames") as task:
            task.advance(count - len(missing))
            for frame in missing:
                place = animation.walk.place(frame)
                made = render(checkpoint, between(embeddings, place), negative, animation.sampling)
                frames.put(frame, lettered(made, place))
                task.advance()
    film.make([frames.place(frame) for frame in range(count)])
    if film.is_file:
        frames.remove()
    return len(missing)


def _embedded(
    engine: Engine, checkpoint: Checkpoint, lines: Sequence[Line], quality: Quality | None
) -> list[PromptEmbedding]:
    """Of every line, each text and picture once."""
    family, encoders = checkpoint.family.name, checkpoint.encoders
    known: dict[Line, PromptEmbedding] = {}
    for line in engine.progress.track(lines, "Reading the lines", len(lines)):
        if line not in known and line.picture is None:
            known[line] = engine.embed_text(line.text, family, encoders=encoders)
        elif line not in known:
            known[line] = engine.embed(str(line.picture), family, quality=quality, encoders=encoders)
    return [known[line] for line in lines]


def _band(checkpoint: Checkpoint, animation: Animation) -> Band | None:
    """None where the frames are bare pictures."""
    if not animation.lettered:
        return None
    size = animation.sampling.size or usual_size(checkpoint)
    return Band.under(size, [line.lettering for line in animation.lines])


def _lettered(animation: Animation, band: Band | None, picture: Image.Image, place: Place) -> Image.Image:
    """Half way the line that is left has faded away, and the next one begins to show."""
    if band is None:
        return picture
    near = [(animation.lines[place.line].lettering, 1 - 2 * place.share)]
    if place.share:
        near.append((animation.lines[place.line + 1].lettering, 2 * place.share - 1))
    return band.below(picture, near)
