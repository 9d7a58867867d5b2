"""The rooms that a picture passes through in four walks, and the climbs among the calls on the way.

`python benchmarks/walks.py` runs them with micro and prints for each: the rooms in the order of their first call, how
many calls lead from a room to another, and every climb, a call into a room of a higher layer (see tests/house.py). What
was handed down is called without a climb: a function, an object or an iterator of a higher room that the caller's file
does not import, such as Progress. Calls while modules are imported count for nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "tests"
sys.path.insert(0, str(TESTS))

import house  # noqa: E402

Call = tuple[str, str, str, str]
"""The caller's module and function, and those of what it calls."""


class Walk:
    """Hears of every call between rooms."""

    def __init__(self, package: Path) -> None:
        self._package = f"{package}{os.sep}"
        self._modules: dict[str, str] = {}
        self.calls: Counter[Call] = Counter()
        self.order: list[str] = []

    @contextlib.contextmanager
    def recorded(self) -> Iterator[None]:
        threading.setprofile(self._hear)
        sys.setprofile(self._hear)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    def _hear(self, frame: FrameType, event: str, argument: Any) -> None:
        if event != "call" or frame.f_code.co_name == "<module>" or not (module := self._module(frame)):
            return
        caller = frame.f_back  # libraries in between pass a call on
        while caller is not None and not self._module(caller):
            caller = caller.f_back
        if caller is not None and caller.f_code.co_name == "<module>":
            return
        room = house.room_of(module)
        if room is not None and room not in self.order:
            self.order.append(room)
        if caller is not None and house.room_of(self._module(caller)) != room:
            self.calls[self._module(caller), caller.f_code.co_name, module, frame.f_code.co_name] += 1

    def _module(self, frame: FrameType) -> str:
        """Its name, where it is in a room."""
        path = frame.f_code.co_filename
        if path not in self._modules:
            inside = os.path.realpath(path).removeprefix(self._package) if path.endswith(".py") else path
            dotted = inside.removesuffix(".py").replace(os.sep, ".").removesuffix(".__init__")
            known = inside != path and house.room_of(f"unrender.{dotted}")
            self._modules[path] = f"unrender.{dotted}" if known else ""
        return self._modules[path]

    def climbs(self, found: house.House) -> Iterator[tuple[Call, int, bool]]:
        """Each upward call, how often, and whether what is called was handed down."""
        for call, times in sorted(self.calls.items()):
            caller, _, called, _ = call
            if house.climbs(house.room_of(caller) or "", house.room_of(called) or ""):
                imported = any(house.room_of(each) == house.room_of(called) for each in found.files[caller])
                yield call, times, not imported

    def lines(self, found: house.House) -> Iterator[str]:
        climbs = list(self.climbs(found))
        by_import = [climb for climb in climbs if not climb[2]]
        yield f"  rooms: {', '.join(self.order)}"
        yield f"  {sum(self.calls.values())} calls between rooms of {len(self.calls)} kinds, {len(by_import)} climbs"
        for (caller, function, called, method), times, handed in climbs:
            how = "handed down" if handed else "CLIMB"
            yield f"    {how}: {caller[9:]}.{function} calls {called[9:]}.{method} ({times} times)"


def interrogating(place: Path) -> Callable[[], object]:
    """`unrender interrogate PICTURE`."""
    from unrender.cli import main

    micro = ["--clip", "micro", "--captioner", "micro", "--cache", str(place / "cache")]
    return lambda: main(["interrogate", str(place / "pictures" / "0.png"), *micro])


def embedding(place: Path) -> Callable[[], object]:
    """`unrender embed PICTURE PICTURE`."""
    from unrender.cli import main

    pictures = [str(place / "pictures" / f"{number}.png") for number in range(2)]
    options = ["-o", str(place / "embedding.safetensors"), "--for", "micro", "--cache", str(place / "cache")]
    return lambda: main(["embed", *pictures, *options, "--projection", "pinv"])


def in_a_graph(place: Path) -> Callable[[], object]:
    """The node Interrogate Picture, in a stand-in for ComfyUI."""
    from comfyui_graphs import INTERROGATE, MICRO
    from comfyui_nodes import use_standin

    use_standin()
    import folder_paths
    from PIL import Image

    folder_paths.models_dir = str(place / "models")
    from unrender.nodes import host
    from unrender.nodes.interrogate import Interrogate
    from unrender.nodes.loading import LoadInterrogator
    from unrender.nodes.pictures import as_batch, as_image

    host.register_folder()
    setup = LoadInterrogator.execute(**MICRO).args[0]
    with Image.open(place / "pictures" / "0.png") as picture:
        image = as_batch([as_image(picture.convert("RGB"))])
    inputs = {name: [value] for name, value in INTERROGATE.items()}
    return lambda: Interrogate.execute(image=[image], interrogator=[setup], **inputs)


def in_a_batch(place: Path) -> Callable[[], object]:
    """`unrender batch FOLDER`."""
    from unrender.cli import main

    micro = ["--clip", "micro", "--captioner", "micro", "--cache", str(place / "cache")]
    return lambda: main(["batch", str(place / "pictures"), "--mode", "fast", *micro])


WALKS = {"interrogate": interrogating, "embed": embedding, "node": in_a_graph, "batch": in_a_batch}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("walks", nargs="*", metavar="WALK", help=f"some of {', '.join(WALKS)}; otherwise all")
    names = parser.parse_args().walks or list(WALKS)
    if len(names) > 1:  # a process each, so that none finds what another has loaded
        for name in names:
            subprocess.run([sys.executable, __file__, name], check=True)
        return
    import unrender
    from PIL import Image
    from unrender.core.micro.pictures import render

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "pictures").mkdir()
        for number, pixels in enumerate(render("validation", 2).pixels):
            Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(place / "pictures" / f"{number}.png")
        walk = Walk(Path(unrender.__file__).resolve().parent)
        step = WALKS[names[0]](place)
        with walk.recorded(), contextlib.redirect_stdout(sys.stderr):
            step()
        print(f"{names[0]}: {WALKS[names[0]].__doc__}", *walk.lines(house.house()), sep="\n")


if __name__ == "__main__":
    main()
