"""Makes the picture of *Image as prompt* in docs/webui.md, `python docs/screenshots_webui.py`, in a real AUTOMATIC1111,
which WEBUI_DIR and WEBUI_PYTHON name as for the tests."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image
from skimage import data

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

from hub_server import serving  # noqa: E402
from webui_drawing import few_words, write_models  # noqa: E402
from webui_server import Page, Server, opened, started  # noqa: E402

PREFIX = "unrender_txt2img_image_as_prompt"
SHOWN = 830


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, serving() as hub:
        clips = write_models(Path(folder) / "clips")
        picture = Path(folder) / "picture.png"
        Image.fromarray(data.coffee()).save(picture)
        with started(Path(folder) / "webui", hub.url) as server:
            server.wait_for_checkpoint()
            _set(server, clips)
            with opened(server, height=1950) as page:
                _fill(page, picture)
                page.page.screenshot(path=HERE / "webui-image-as-prompt.png")
    _shrink(HERE / "webui-image-as-prompt.png")


def _set(server: Server, clips: Path) -> None:
    server.ask("/sdapi/v1/options", {"sd_model_checkpoint": "tiny15.safetensors", "CLIP_stop_at_last_layers": 1})
    server.set_options(seeing=str(clips / "clip-l"), vocabulary=few_words(server))


def _fill(browser: Page, picture: Path) -> None:
    browser.open()
    page = browser.page
    browser.fill("txt2img_prompt", "in winter")
    for name, value in (("width", "256"), ("height", "256"), ("steps", "4")):
        page.fill(f"#txt2img_{name} input[type=number]", value)
    page.click(f"#{PREFIX} > .label-wrap")
    browser.put(f"{PREFIX}_picture", picture)
    page.click(f"#{PREFIX}_quality input")
    page.locator("ul.options li", has_text="good").click()
    page.click(f"#{PREFIX}_way label:has-text('blend')")
    page.fill(f"#{PREFIX}_strength input[type=number]", "0.65")
    page.click(f"#{PREFIX}_advanced > .label-wrap")
    browser.fill(f"{PREFIX}_words", "at night")
    page.click("#txt2img_generate")
    page.wait_for_selector("#html_info_txt2img :text('Image as prompt: blend')", timeout=600_000)
    page.evaluate("scrollTo(0, 0)")
    page.mouse.move(0, 0)
    page.wait_for_timeout(1_500)


def _shrink(place: Path) -> None:
    with Image.open(place) as shot:
        small = shot.convert("RGB").resize((SHOWN, shot.height * SHOWN // shot.width), Image.Resampling.LANCZOS)
    small.quantize(256).save(place, optimize=True)


if __name__ == "__main__":
    main()
