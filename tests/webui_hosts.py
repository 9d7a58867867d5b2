"""What a webui is, told from its own files: which flags it knows, what its page has, what checkpoints it takes."""

from __future__ import annotations

import re
from pathlib import Path

_DECLARING = (
    "modules/cmd_args.py",
    "modules/paths_internal.py",
    "backend/args.py",
    "ldm_patched/modules/args_parser.py",
)


class HostFiles:
    def __init__(self, webui: Path) -> None:
        self._webui = webui
        self._flags = "".join(self._text(name) for name in _DECLARING)

    def knows(self, flag: str) -> bool:
        return f'"{flag}"' in self._flags

    @property
    def backend(self) -> str:
        """The folder of the program below the page: "backend" in Forge and Forge Neo, "ldm_patched" in reForge, "" in
        AUTOMATIC1111's, which has none apart."""
        return next((name for name in ("backend", "ldm_patched") if (self._webui / name).exists()), "")

    @property
    def loads_when_drawing(self) -> bool:
        return self.backend == "backend"

    @property
    def takes_known_shapes_alone(self) -> bool:
        """Whether checkpoints are known by their shapes, and settings beside them are not read."""
        return bool(self.backend)

    @property
    def has_canvas(self) -> bool:
        return (self._webui / "modules_forge" / "forge_canvas").exists()

    @property
    def has_interrogate(self) -> bool:
        """Buttons of its own beside img2img's prompt field, which ours goes beside."""
        return 'elem_id="deepbooru"' in self._text("modules/ui_toprow.py") + self._text("modules/ui.py")

    @property
    def version_mark(self) -> dict[str, str]:
        """What has to be in a settings file, or the program asks whether to go on: Forge Neo."""
        found = re.search(r'^VERSION_UID\b.*"(.+)"', self._text("modules/launch_utils.py"), re.MULTILINE)
        return {"VERSION_UID": found[1]} if found else {}

    def flags_for_the_cpu(self) -> list[str]:
        if not self.backend:
            return ["--no-half", "--use-cpu", "all"]
        on_cpu = next(flag for flag in ("--always-cpu", "--cpu") if self.knows(flag))
        return [on_cpu, "--no-hashing"]

    def known(self, *flags: str) -> list[str]:
        return [flag for flag in flags if self.knows(flag)]

    def _text(self, name: str) -> str:
        path = self._webui / name
        return path.read_text(encoding="utf-8") if path.exists() else ""
