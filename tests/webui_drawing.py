"""What a real webui draws through its API, and the tiny models it draws with."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import subprocess
import urllib.error
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from webui_server import PYTHON, WEBUI, Server

TITLE = "Image as prompt"
_ARGUMENTS = (None, None, "replace", 1, 0, 1, "none", "by quality", "", 0.6, "", None)
"""Of its script, ahead of the quality."""


def write_models(folder: Path) -> Path:
    """Checkpoints into the webui, and CLIPs that see pictures for them into the folder, which is returned."""
    assert WEBUI and PYTHON
    script = Path(__file__).parent / "webui_models.py"
    subprocess.run([PYTHON, "-W", "ignore", str(script), WEBUI, str(folder)], check=True, capture_output=True)
    return folder


def base64_png(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def few_words(webui: Server) -> str:
    """A vocabulary of a few phrases, which any CLIP knows at once."""
    folder = webui.models / "phrases" / "few"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("artists", "mediums", "movements", "sites", "flavors"):
        (folder / f"{name}.txt").write_text(f"one of the {name}\nanother of the {name}\n", encoding="utf-8")
    return "phrases/few"


def draw(
    webui: Server,
    *args: Any,
    route: str = "txt2img",
    timeout: float = 120,
    quality: str | None = "quick",
    **values: Any,
) -> tuple[list[np.ndarray], str]:
    """The decoded pictures, and the first one's infotext. args: of the script, which is left out without any. quality:
    behind them, None for none."""
    if args and quality is not None:
        args = (*args, *_ARGUMENTS[len(args) :], quality)
    asked = {"prompt": "a cat", "seed": 5, "steps": 4, "width": 64, "height": 64, "sampler_name": "Euler a", **values}
    if args:
        asked["alwayson_scripts"] = {TITLE: {"args": list(args)}}
    answer = webui.ask(f"/sdapi/v1/{route}", asked, timeout)
    decoded = [np.asarray(Image.open(io.BytesIO(base64.b64decode(image)))) for image in answer["images"]]
    return decoded, json.loads(answer["info"])["infotexts"][0]


def print_of(pictures: Sequence[np.ndarray]) -> str:
    return hashlib.sha256(b"".join(picture.tobytes() for picture in pictures)).hexdigest()


def drawn(webui: Server, *args: Any, **values: Any) -> str:
    """`print_of` what is drawn."""
    return print_of(draw(webui, *args, **values)[0])


def plotted(
    webui: Server, picture: str, x: tuple[str, str], y: tuple[str, str], *args: Any, timeout: float = 120
) -> list[np.ndarray]:
    """The pictures of an X/Y/Z plot without its grid. x, y: of each a label and its values as text."""
    script = webui.ask("/sdapi/v1/script-info")
    plot = next(each for each in script if each["name"] == "x/y/z plot" and not each["is_img2img"])
    labels = plot["args"][0]["choices"]
    axes = [value for label, values in (x, y, ("Nothing", "")) for value in (labels.index(label), values, [])]
    flags = {"draw_legend": False, "lone_images": True, "sub_grids": False, "no_fixed_seeds": False}
    of_plot = [*axes, *flags.values(), False, False, False, 0, True]
    found, _ = draw(webui, picture, *args, timeout=timeout, script_name="x/y/z plot", script_args=of_plot)
    return found[1:]


def refusal(webui: Server, *args: Any, **values: Any) -> tuple[int, str]:
    with pytest.raises(urllib.error.HTTPError) as refused:
        draw(webui, *args, **values)
    return refused.value.code, json.loads(refused.value.read())["detail"]
