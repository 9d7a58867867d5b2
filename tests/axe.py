"""axe-core, in a real browser: which faults a page has for those who cannot see it, or not well.

AXE_DIR names the folder with axe.min.js, as `npm pack axe-core` has it in `package`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

AXE = Path(os.environ.get("AXE_DIR", "")) / "axe.min.js"
WORDS = "name AXE_DIR, the folder with axe.min.js of npm's axe-core"
SIZES = ((1280, 900), (390, 844))
THEMES = ("light", "dark")


def has_axe() -> bool:
    return bool(os.environ.get("AXE_DIR")) and AXE.is_file()


def faults(page: Any) -> list[str]:
    """The serious and critical ones, each with the first element it was found at."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")["violations"]
    return [
        f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in found if each["impact"] in ("serious", "critical")
    ]
