"""What a webui runs before it starts: adds the packages that are absent, and changes none that is there."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("requirements.txt")


def absent(wanted: str, installed: Mapping[str, str]) -> list[str]:
    """The lines of a requirements file whose package is not installed in any version. One that is there in a version
    too old is the host's affair: replacing it could break the host.

    installed: versions by normalised name.
    """
    lines = [line.strip() for line in wanted.splitlines() if line.strip() and not line.startswith("#")]
    return [line for line in lines if _normalised(re.split(r"[<>=!~ ;\[]", line)[0]) not in installed]


def command(missing: list[str], constraints: Path) -> list[str]:
    """constraints: a file that pins every installed package, so that pip fails instead of changing one."""
    return [sys.executable, "-m", "pip", "install", "--prefer-binary", "--constraint", str(constraints), *missing]


def installed_packages() -> dict[str, str]:
    found = ((dist.metadata["Name"], dist.version) for dist in metadata.distributions())
    return {_normalised(name): version for name, version in found if name and version}


def main() -> int:
    installed = installed_packages()
    missing = absent(REQUIREMENTS.read_text(encoding="utf-8"), installed)
    if not missing:
        return 0
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "installed.txt"
        constraints.write_text("".join(f"{name}=={version}\n" for name, version in installed.items()), encoding="utf-8")
        done = subprocess.run(command(missing, constraints), capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
        sys.stderr.write(f"Unrender could not install {', '.join(missing)}: {reason}\n")
    return done.returncode


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    sys.exit(main())
