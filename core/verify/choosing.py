"""Several prompts of one picture, and which of them renders nearest to it in the eyes of a network that searched none.

A search is judged by the CLIP that it climbs, and finds what that one overrates; what a prompt renders is the only
witness of what it does. So each search and mode has its say, and the checkpoint and another network decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..errors import SettingsError
from ..images import Picture, open_image
from ..results import Interrogation, Rendered
from ..settings import BY_EVIDENCE, Mode, Search, Settings
from ..variation.sampling import Sampling
from .asked import SEEDS, STEPS, check_choice, check_seeds

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..engine import Engine
    from ..variation.checkpoint import Checkpoint
    from .fidelity import Judge

WAYS: Mapping[str, tuple[Mode, Search | None]] = MappingProxyType(
    {
        "honest": ("best", "honest"),
        "peer": ("best", "peer"),
        "classic": ("classic", None),
        "caption": ("caption", None),
        "fast": ("fast", None),
        "beam": ("best", "beam"),
    }
)
"""What may find a prompt, in the order in which they are asked: those that differ most first."""


@dataclass(frozen=True)
class Candidate:
    """A prompt, and the way that found it; of further captions also which, "peer, caption 2"."""

    way: str
    found: Interrogation


@dataclass(frozen=True)
class Looked:
    """A candidate's renderings, one for each seed, and how near they come to the picture on the mean."""

    candidate: Candidate
    likeness: float
    renderings: tuple[Image, ...] = ()


@dataclass(frozen=True)
class Choice:
    """looked: the best first. judge, checkpoint: by name."""

    looked: tuple[Looked, ...]
    judge: str
    checkpoint: str

    @property
    def found(self) -> Interrogation:
        """What was chosen."""
        return self.looked[0].candidate.found

    @property
    def rendered(self) -> tuple[Rendered, ...]:
        return tuple(Rendered(each.candidate.found.prompt, each.candidate.way, each.likeness) for each in self.looked)

    def to_dict(self) -> dict[str, Any]:
        """The chosen prompt as plain JSON-ready values, and beside it every prompt that was rendered."""
        rendered = [asdict(each) for each in self.rendered]
        return {**self.found.to_dict(), "rendered": rendered, "judge": self.judge, "checkpoint": self.checkpoint}


def find_candidates(engine: Engine, picture: Picture, count: int, caption: str | None = None) -> list[Candidate]:
    """As many prompts as asked for that differ, or as there are: one of each way, first of the search that the settings
    name; then of that search on each further caption, where describers wrote several.

    caption: in the captioner's place, "" for none. Raises what `Engine.interrogate` does.
    """
    check_choice(count)
    image, found = open_image(picture), dict[str, Candidate]()
    with engine.progress.task("Searching prompts", count, "prompts") as task:
        told = _told(engine, image, caption)
        for way, mode, search, text in _asked(engine.settings, told):
            if len(found) == count:
                break
            known = mode == "caption" and told is not None
            by_itself = caption is None and told is not None and text == told.caption and search in BY_EVIDENCE
            # who asks the captioner for more than a caption asks it itself
            result = told if known else _searched(engine, image, mode, search, None if by_itself else text)
            if result is not None and result.prompt and result.prompt not in found:
                found[result.prompt] = Candidate(way, result)
                task.advance()
    return list(found.values())


def choose_by_rendering(
    engine: Engine,
    checkpoint: Checkpoint,
    judge: Judge,
    picture: Picture,
    candidates: Sequence[Candidate],
    sampling: Sampling | None = None,
    seeds: Sequence[int] = SEEDS,
    keep: bool = False,
    together: int = 1,
) -> Choice:
    """Renders each candidate with the same seeds, and ranks them by what the judge sees, equals in their order.

    engine: writes the prompts' embeddings for the checkpoint's text encoders; any CLIP will do. judge: sees the picture
    and the renderings; who searched is no judge of its own work. sampling: its seed is passed over. keep: the
    renderings are kept. together: how many are rendered at a time, which takes as much more memory.
    Raises SettingsError for no candidates or seeds, what `core.variation.render.render` does, or Cancelled.
    """
    if not candidates:
        raise SettingsError("There is no prompt to render", "give one or more")
    check_seeds(seeds)
    from ..variation.render import render_together
    from ..variation.variations import negative_embedding

    image, family = open_image(picture), checkpoint.family.name
    texts = [each.found.prompt for each in candidates]
    made = [engine.embed_text(text, family, encoders=checkpoint.encoders) for text in texts]
    negative = negative_embedding(engine, checkpoint)
    if not checkpoint.whole:
        engine.unload()  # which leaves the room to what renders
    asked = [(number, seed) for number in range(len(made)) for seed in seeds]
    renderings: list[Image] = []
    sampling = sampling or Sampling(STEPS)
    with engine.progress.task("Rendering", len(asked), "pictures") as task:
        for first in range(0, len(asked), together):
            some = asked[first : first + together]
            embeddings = [made[number] for number, _ in some]
            renderings += render_together(checkpoint, embeddings, negative, sampling, [seed for _, seed in some])
            task.advance(len(some))
    own = [tuple(renderings[first : first + len(seeds)]) for first in range(0, len(renderings), len(seeds))]
    likeness = likenesses(judge, image, own)
    looked = [
        Looked(each, value, some if keep else ()) for each, value, some in zip(candidates, likeness, own, strict=True)
    ]
    return Choice(tuple(sorted(looked, key=lambda each: -each.likeness)), judge.name, checkpoint.name)


def likenesses(judge: Judge, picture: Image, renderings: Sequence[Sequence[Image]]) -> list[float]:
    """Of several prompts' renderings, each prompt's mean cosine to the picture in the judge's eyes."""
    seen = judge.encode_images([picture, *(one for some in renderings for one in some)])
    values = iter((seen[1:] @ seen[0]).tolist())
    return [sum(next(values) for _ in some) / len(some) for some in renderings]


def _told(engine: Engine, image: Image, caption: str | None) -> Interrogation | None:
    """What is said of the picture, once for all that search; None where nothing is."""
    if caption == "" or (caption is None and engine.settings.captioner is None):
        return None
    return engine.interrogate(image, "caption", caption)


def _asked(settings: Settings, told: Interrogation | None) -> Iterator[tuple[str, Mode, Search | None, str]]:
    """Ways with mode, search and caption."""
    caption = "" if told is None else told.caption
    first = settings.searched if settings.searched in WAYS else next(iter(WAYS))
    for way in dict.fromkeys((first, *WAYS)):
        if settings.peer_defects and way == "honest":
            continue  # it has none of them
        yield way, *WAYS[way], caption
    further = () if told is None else told.contenders[1:]
    for number, contender in enumerate(further, 2):
        yield f"{first}, caption {number}", *WAYS[first], contender.text


def _searched(
    engine: Engine, image: Image, mode: Mode, search: Search | None, caption: str | None
) -> Interrogation | None:
    """None where the mode needs a caption and there is none."""
    if mode == "caption":
        return None
    if search is None or search == engine.settings.searched:
        return engine.interrogate(image, mode, caption)
    with engine.searching(search) as other:
        return other.interrogate(image, mode, caption)
