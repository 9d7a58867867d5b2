"""Makes the picture of docs/comfyui.md, `python docs/screenshots_comfyui.py`, in a real ComfyUI, which COMFYUI_DIR and
COMFYUI_PYTHON name as for the tests. It is of micro and of a drawing of its own."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

from comfyui_page import WITH_MICRO, Page  # noqa: E402
from comfyui_server import Server  # noqa: E402
from hub_server import serving  # noqa: E402
from page_server import CHROMIUM  # noqa: E402
from unrender.core.micro.drawing import draw  # noqa: E402
from unrender.core.micro.world import Scene  # noqa: E402

PICTURE = "drawing.png"
SCREEN = {"width": 1040, "height": 1020}
BARE = """async () => {
  for (const name of ["Comfy.Minimap.Visible", "Comfy.Graph.CanvasInfo", "Comfy.Graph.CanvasMenu"])
    await app.ui.settings.setSettingValueAsync(name, false);
}"""
TIDY = """() => {
  const place = (type, x, y, width) => {
    const node = app.graph._nodes.find((each) => each.type === type);
    node.pos = [x, y];
    node.size = [width, node.size[1]];
    return node;
  };
  app.graph.remove(app.graph._nodes.find((each) => each.type === "MarkdownNote"));
  for (const close of document.querySelectorAll(".p-toast-close-button")) close.click();
  place("LoadImage", 40, 60, 300);
  place("UnrenderLoadInterrogator", 40, 460, 300);
  place("UnrenderInterrogate", 400, 60, 460);
  app.canvas.ds.scale = 1;
  app.canvas.ds.offset = [60, 60];
  app.canvas.setDirty(true, true);
}"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, serving() as hub, sync_playwright() as running:
        comfyui, python = Path(os.environ["COMFYUI_DIR"]), Path(os.environ["COMFYUI_PYTHON"])
        server = Server(comfyui, python, Path(folder), hub.url)
        drawing = draw(Scene("ring", "orange", "two", "sea", "pixel", "odo"), 3).picture
        drawing.resize((512, 512), Image.Resampling.NEAREST).save(server.base / "input" / PICTURE)
        server.start()
        chromium = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            page = Page(chromium.new_context(viewport=SCREEN).new_page(), server.url)
            page.page.evaluate(BARE)
            page.open("Interrogate a picture", PICTURE)
            page.page.evaluate(WITH_MICRO, "best")
            page.run()
            page.page.wait_for_selector(".unrender-chips")
            page.page.evaluate(TIDY)
            page.page.wait_for_timeout(1500)
            page.page.screenshot(path=HERE / "comfyui.png")
        finally:
            chromium.close()
            server.stop()


if __name__ == "__main__":
    main()
