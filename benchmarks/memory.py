"""The most memory that one `best` takes, loading included, beside one round of the real clip-interrogator 0.6.0.

    python benchmarks/memory.py [--model ViT-L-14] [--memory 2.2GB] [--peer] [--out FOLDER]

A random model of the architecture is written as an open_clip folder in half precision; each side runs in a process of
its own. On a GPU the figure is PyTorch's max_memory_allocated, otherwise the peak resident memory less what there was
after the imports. The caption is given, since a captioner leaves the device before the search. The peer is given one
round of 2,048 candidates (a whole `best` has the same peak and takes an hour on a CPU) and a table of the same size.
Not a test: nothing is asserted.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unrender.core.settings import Search

CANDIDATES = 2048
PEER = "clip-interrogator"
GIGABYTE = 10**9


def make_model(name: str, folder: Path) -> None:
    """The same weights each time. name: of open_clip's architectures, or "small"."""
    import open_clip
    import torch
    from safetensors.torch import save_file
    from search import SMALL

    torch.manual_seed(0)
    config = SMALL if name == "small" else open_clip.get_model_config(name)
    folder.mkdir(parents=True, exist_ok=True)
    state = {key: tensor.half().contiguous() for key, tensor in open_clip.CLIP(**config).state_dict().items()}
    save_file(state, str(folder / "open_clip_model.safetensors"))
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {}}))


def model_folder(name: str, kept: Path) -> str:
    """The model in it, made where it is not."""
    folder = kept / f"random-{name}"
    if not (folder / "open_clip_config.json").is_file():
        make_model(name, folder)
    return str(folder)


def run_ours(folder: str, search: Search, memory: int | None, precision: str) -> dict[str, object]:
    """The tables are beside the model's folder."""
    import open_clip  # noqa: F401
    from skimage import data
    from unrender.core.engine import Engine, Settings
    from unrender.core.phrases.table import PhraseTable  # noqa: F401

    meter = Meter()
    settings = Settings(
        clip=folder,
        captioner=None,
        phrases="peer",
        search=search,
        precision=precision,
        memory=memory,
        cache=Path(folder).parent,
    )
    with Engine(settings) as engine:
        started = time.perf_counter()
        found = engine.interrogate(data.astronaut(), caption="a painting of a woman")
        return {"gigabytes": meter.peak(), "phrases": len(found.phrases), "seconds": time.perf_counter() - started}


def run_peer(folder: str) -> dict[str, object]:
    import open_clip
    import torch
    from clip_interrogator import clip_interrogator as peer
    from safetensors.torch import load_file

    meter = Meter()
    config = json.loads((Path(folder) / "open_clip_config.json").read_text())["model_cfg"]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = open_clip.CLIP(**config).eval()
    model.load_state_dict(load_file(str(Path(folder) / "open_clip_model.safetensors")))
    # what it does itself: half precision on a GPU, float32 otherwise
    model = model.to(device).half() if device == "cuda" else model.float()
    ranker = peer.Interrogator.__new__(peer.Interrogator)
    ranker.config = type("Config", (), {"clip_offload": False, "caption_offload": False})
    ranker.clip_offloaded, ranker.caption_offloaded = False, True
    ranker.clip_model, ranker.tokenize, ranker.device = model, open_clip.get_tokenizer("ViT-B-32"), device
    width = int(config["embed_dim"])
    embeds = list(torch.zeros(111_867, width).numpy() + 1)
    texts = [f"a painting of a woman, number {row}" for row in range(CANDIDATES)]
    with torch.no_grad():
        ranker.rank_top(torch.zeros(1, width, dtype=next(model.parameters()).dtype, device=device), texts)
    return {"gigabytes": meter.peak(), "table rows": len(embeds)}


class Meter:
    """The most memory since it was made or reset, in gigabytes."""

    def __init__(self) -> None:
        import torch

        self._cuda = torch.cuda.is_available()
        self._before = 0 if self._cuda else status("VmRSS")
        self.reset()

    def reset(self) -> None:
        if self._cuda:
            import torch

            torch.cuda.reset_peak_memory_stats()
        else:
            Path("/proc/self/clear_refs").write_text("5")

    def peak(self) -> float:
        if self._cuda:
            import torch

            return round(torch.cuda.max_memory_allocated() / GIGABYTE, 2)
        return round((status("VmHWM") - self._before) / GIGABYTE, 2)


def status(field: str) -> int:
    """Bytes, of the process itself."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {field}")


def child(side: str, folder: str) -> dict[str, object]:
    environment = {**os.environ, "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64"}  # as the command line sets it
    command = [sys.executable, __file__, *sys.argv[1:], "--child", side, folder]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--model", default="ViT-L-14")
    parser.add_argument("--memory", type=float, metavar="GB", help="the engine's budget")
    parser.add_argument("--precision", default="bfloat16", help="auto on a GPU is half precision where it can be")
    parser.add_argument("--searches", nargs="+", default=["peer", "honest"], help="of ours")
    parser.add_argument("--kept", type=Path, help="where the model and its tables are kept between runs")
    parser.add_argument("--peer", action="store_true", help="measure the peer, too")
    parser.add_argument("--out", type=Path, default=Path("runs"))
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    memory = options.memory and int(options.memory * GIGABYTE)
    if options.child:
        side, folder = options.child
        result = run_peer(folder) if side == PEER else run_ours(folder, side, memory, options.precision)
        print(json.dumps(result))
        return
    with tempfile.TemporaryDirectory() as temporary:
        kept = options.kept or Path(temporary)
        folder = model_folder(options.model, kept)
        report: dict[str, object] = {"model": options.model, "budget": memory, "precision": options.precision}
        for run in ("tables built where there are none", "tables from disk"):
            report |= {f"{search}, {run}": child(search, folder) for search in options.searches}
        if options.peer:
            report[PEER] = child(PEER, folder)
    print(json.dumps(report, indent=1))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / f"memory-{options.model}.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
