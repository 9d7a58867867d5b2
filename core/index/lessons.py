"""What ridge's maps learn from of a folder: its pictures as the CLIP sees them, and the prompts found for some hundred
of them, each looked at and interrogated once; a run that was stopped goes on."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..embed.learning import check_pictures
from ..errors import ImageError
from ..files import replace_whole
from ..places import check_folder
from .bank import banks_folder, digest_of, files_in, index_of, model_as_it_is, source_of, spread

if TYPE_CHECKING:
    from ..engine import Engine
    from .file import PictureIndex

MOST_PICTURES = 400
_AT_ONCE = 32


def check_lessons(folder: str | os.PathLike[str], engine: Engine, family: str = "sd15") -> None:
    """Raises SettingsError (no such folder, too few pictures, a family that ridge does not serve, no room to keep it)
    and whatever else is known to be wrong before a model is loaded."""
    check_pictures(sum(1 for _ in files_in(Path(folder))))
    engine.check_embedding(1, family, "ridge")
    engine.check("best")
    check_folder(banks_folder(engine.settings))


def learn_from_folder(folder: str | os.PathLike[str], engine: Engine, family: str = "sd15") -> int:
    """How many pictures were learned from, MOST_PICTURES at most, spread over the folder and those below it. Raises
    what `check_lessons` does, then what looking at pictures, searching prompts and `Engine.learn_maps` raise."""
    import torch

    check_lessons(folder, engine, family)
    settings = engine.settings
    index = index_of(source_of(Path(folder), settings), engine)
    models = [model_as_it_is(name) for name in (settings.clip, settings.captioner, settings.tagger) if name]
    key = digest_of([str(Path(folder).resolve()), repr(settings), models])
    known = _Prompts(banks_folder(settings) / f"prompts-{key[:32]}.json")
    prompts = _prompts(index, engine, spread(len(index), MOST_PICTURES), known)
    check_pictures(len(prompts))
    engine.learn_maps(torch.from_numpy(index.features[list(prompts)]), list(prompts.values()), family)
    return len(prompts)


class _Prompts:
    """Those that are found already, by their pictures' digests, in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.found: dict[str, str] = {}
        with contextlib.suppress(OSError, ValueError):
            told = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(told, dict) and all(isinstance(each, str) for each in told.values()):
                self.found = told

    def add(self, more: dict[str, str]) -> None:
        """A folder that cannot be written costs the next run the time."""
        self.found |= more
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            replace_whole(self._path, json.dumps(self.found).encode())


def _prompts(index: PictureIndex, engine: Engine, rows: Sequence[int], known: _Prompts) -> dict[int, str]:
    """By row; without those of pictures that are gone, and of those nobody has words for."""
    digests = {row: index.entries[row].digest for row in rows}
    fresh = [row for row in rows if digests[row] not in known.found]
    with engine.progress.task("Finding prompts for the folder's pictures", len(rows), "pictures") as task:
        task.advance(len(rows) - len(fresh))
        for start in range(0, len(fresh), _AT_ONCE):
            some = fresh[start : start + _AT_ONCE]
            known.add({digests[row]: prompt for row, prompt in _found(index, engine, some).items()})
            task.advance(len(some))
    return {row: known.found[digest] for row, digest in digests.items() if digest in known.found}


def _found(index: PictureIndex, engine: Engine, rows: Sequence[int]) -> dict[int, str]:
    import torch

    from ..images import open_image

    opened, pictures, wordless = [], [], set()
    for row in rows:
        with contextlib.suppress(ImageError):
            pictures.append(open_image(index.path(row)))
            opened.append(row)
    if not pictures:
        return {}
    features = torch.from_numpy(index.features[opened])
    each = engine.interrogate_each(pictures, "best", features=features, failed=lambda place, _: wordless.add(place))
    prompts = [one.prompt for one in each]
    told = [row for place, row in enumerate(opened) if place not in wordless]
    return dict(zip(told, prompts, strict=True))
