"""The names at the top of the package, and the page that promises them."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import unrender
from unrender.core import errors
from unrender.core.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
HEAVY = ("torch", "numpy", "PIL", "transformers", "open_clip", "gradio")


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    "statement",
    [
        "import unrender",
        "from unrender import CaptionSettings, Engine, Interrogation, Mode, Progress, Settings, UnrenderError",
        "import unrender; dir(unrender); hasattr(unrender, 'NODE_CLASS_MAPPINGS')",
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(statement):
    assert run(f"import sys\n{statement}\nprint([name for name in {HEAVY} if name in sys.modules])") == "[]"


def test_every_public_name_is_there():
    missing = [name for name in unrender.__all__ if getattr(unrender, name, None) is None]
    assert not missing
    assert {*unrender.__all__} <= {*dir(unrender)}
    assert len({*unrender.__all__}) == len(unrender.__all__)


def test_a_public_name_is_what_its_module_has():
    from unrender.core.engine import Engine
    from unrender.core.index import search

    assert unrender.Engine is Engine
    assert unrender.search is search


def test_every_error_is_public():
    kinds = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert kinds <= {*unrender.__all__}


def test_public_names_hide_no_module():
    """`unrender.NAME` is a module once it is imported, and would take a public name's place."""
    modules = {path.stem for path in ROOT.glob("*.py")} | {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert not modules & {*unrender.__all__}
    assert (
        run("import unrender.core.batch, unrender.cli; from unrender import cli; print(unrender.cli is cli)") == "True"
    )


def test_a_host_that_asks_for_other_names_is_answered_at_once():
    started = time.perf_counter()
    for _ in range(1000):
        assert not hasattr(unrender, "NODE_CLASS_MAPPINGS")
    assert time.perf_counter() - started < 0.5
    with pytest.raises(AttributeError, match="'unrender' has no attribute 'Motor'"):
        unrender.Motor  # noqa: B018


def test_under_a_name_of_a_hosts_choice(tmp_path):
    """As ComfyUI loads a folder: by its file, under its path."""
    name = str(tmp_path / "custom_nodes" / "un render-main")
    code = f"""
import importlib.util, sys
spec = importlib.util.spec_from_file_location({name!r}, {str(ROOT / "__init__.py")!r})
module = sys.modules[{name!r}] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
settings = module.Settings(clip="micro")
print(type(settings).__module__ == {name!r} + ".core.settings", "unrender" in sys.modules)
print(callable(module.comfy_entrypoint))
"""
    assert run(code).split() == ["True", "False", "True"]


def test_the_page_tells_every_public_name():
    table = PAGE.split("## What is stable")[1].split("Versions are")[0] + PAGE.split("## Errors")[1]
    assert {*unrender.__all__} == {*re.findall(r"`(\w+)`", table)} - {"unrender"}


@pytest.fixture
def micro_everywhere(monkeypatch):
    """Whatever a Settings does not name is micro, and each model is loaded once."""
    from unrender.core.clip import Clip
    from unrender.core.describe import Captioner

    defaults = dict(zip(Settings.__dataclass_fields__, Settings.__init__.__defaults__ or (), strict=True))
    micro = {**defaults, "clip": "micro", "captioner": "micro"}
    monkeypatch.setattr(Settings.__init__, "__defaults__", tuple(micro.values()))
    for kind in (Clip, Captioner):
        loaded = kind.load("micro", "cpu")
        monkeypatch.setattr(kind, "load", lambda *_, loaded=loaded, **__: loaded)


@pytest.fixture
def no_download(monkeypatch, open_clip_model, open_clip_transform):
    import open_clip

    created = (open_clip_model, None, open_clip_transform)
    monkeypatch.setattr(open_clip, "create_model_and_transforms", lambda *_: created)


def test_the_pages_examples_run(
    micro_everywhere, no_download, transformers_folder, photographs, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for name, photograph in zip(("photo", "a", "b", "photos/c"), photographs, strict=False):
        photograph.save(tmp_path / f"{name}.jpg")
    examples = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(examples) >= 12
    tiny_taggers = pytest.importorskip("tiny_taggers", reason="taggers need timm")
    of_micro = {"ViT-L-14/openai": "micro", "blip-large": "micro", "blip-base": "micro", "sd15": "micro"}
    of_micro["wd-vit"] = str(tiny_taggers.make(tmp_path / "tagger"))
    for example in examples:
        for name, other in {**of_micro, "openai/clip-vit-large-patch14": str(transformers_folder)}.items():
            example = example.replace(f'"{name}"', repr(other))
        exec(compile(example, "docs/python.md", "exec"), {"__name__": "example"})
    shown = capsys.readouterr().out
    assert re.search("another picture, please: .*absent.jpg", shown)
    assert "a minute was too short" not in shown
