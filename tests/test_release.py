"""Version, changelog, workflows and their description stay of one mind."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import unrender
from PIL import Image

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / ".ci" / "release.py"
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
LINKS = "\n[0.2.0]: https://x/2\n[0.1.1]: https://x/11\n[0.1.0]: https://x/1\n"
IN_ORDER = "## [0.2.0] - 2026-12-01\n\nTwo.\n\n## [0.1.0] - 2026-11-28\n\nOne.\n"


@pytest.fixture(scope="module")
def release() -> ModuleType:
    spec = importlib.util.spec_from_file_location("release", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = sys.modules["release"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_version_is_one_everywhere(release):
    assert release.literal("pyproject.toml", "version") == unrender.__version__
    assert release.released(CHANGELOG)[0].version == unrender.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+", unrender.__version__), "the ComfyUI registry takes three numbers"


def test_the_changelog_is_in_form(release):
    assert release.faults(CHANGELOG) == []
    assert release.sections(CHANGELOG)[0].version == release.UNRELEASED


@pytest.mark.parametrize(
    ("changelog", "said"),
    [
        (IN_ORDER.replace("2026-12-01", "1 December"), "date such as"),
        (IN_ORDER.replace(" - 2026-12-01", ""), "date such as"),
        (IN_ORDER.replace("2026-12-01", "2026-11-01"), "newest to the oldest"),
        (IN_ORDER.replace("0.1.0", "0.1.1").replace("0.2.0", "0.1.0"), "newest to the oldest"),
        (IN_ORDER.replace("Two.", ""), "tells nothing"),
        (IN_ORDER.replace("0.2.0", "0.3.0"), "no link"),
    ],
)
def test_faults_of_a_changelog_are_said(release, changelog, said):
    assert release.faults(IN_ORDER + LINKS) == []
    (fault,) = release.faults(changelog + LINKS)
    assert said in fault


def test_a_release_gets_its_own_part_of_the_changelog():
    told = run_script(f"v{unrender.__version__}")
    assert told.returncode == 0, told.stderr
    assert told.stdout.strip() in CHANGELOG and "## [" not in told.stdout and "]: http" not in told.stdout


def test_a_tag_that_is_not_the_version_is_refused():
    told = run_script("v9.9.9")
    assert told.returncode == 1 and not told.stdout
    assert "The tag says 9.9.9" in told.stderr and unrender.__version__ in told.stderr


def run_script(tag: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), tag], capture_output=True, text=True)


def test_release_md_speaks_of_what_the_workflows_have():
    """Each name in code marks that the description gives is to be found where it says."""
    told = (ROOT / "RELEASE.md").read_text(encoding="utf-8")
    written = "".join(path.read_text(encoding="utf-8") for path in WORKFLOWS)
    for path in WORKFLOWS:
        assert f"`{path.name}`" in told
    environments = re.findall(r"environment:\s+(?:name: )?([\w-]+)", written)
    secrets = re.findall(r"secrets\.(\w+)", written)
    assert len(environments) == 2 and len(secrets) == 1
    for name in (*environments, *secrets):
        assert f"`{name}`" in told


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_foreign_actions_are_pinned_and_permissions_small(path):
    text = path.read_text(encoding="utf-8")
    assert re.search(r"^permissions:\n  contents: read$", text, re.MULTILINE)
    for action, version in re.findall(r"uses: ([\w./-]+)@(\S+)", text):
        form = r"v\d+" if action.startswith("actions/") else r"[0-9a-f]{40}"
        assert re.fullmatch(form, version), f"{action} is pinned by {version}"


def test_the_icon_is_what_the_registry_takes():
    named = re.search(r'^Icon = ".*/main/(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert named
    with Image.open(ROOT / named[1]) as icon:
        assert icon.format == "PNG" and icon.size == (400, 400), "at most 800 times 400, and square"
