"""The site: the pages at the root, these here and the nodes' help, as they are on GitHub.

    pip install ".[docs]"
    sphinx-build -W -c docs . build/site

Sphinx with MyST, because it reads the same CommonMark as GitHub does, fails on a broken link or anchor, and is kept:
releases in October and November 2026, where MkDocs 1 had its last in 2024 and Zensical is at 0.1.
"""

import re
import shutil
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).parent.parent

project = "Unrender"
html_title = "Unrender"
extensions = ["myst_parser"]
root_doc = "README"
include_patterns = ["*.md", "docs/*.md", "web/docs/*.md"]
myst_heading_anchors = 3  # the anchors that GitHub gives to headings
myst_enable_extensions = ["html_image"]
highlight_language = "text"
html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False


def contents() -> str:
    """The side bar: what docs/index.md lists under its headings, the nodes' help, and the pages at the root."""
    text = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    lists = {}
    for part in text.split("\n## ")[1:]:
        title, _, links = part.partition("\n")
        lists[title] = [f"docs/{page}" for page in re.findall(r"^- \[.*?\]\((\w+)\.md\)", links, re.MULTILINE)]
    lists["The nodes' help"] = sorted(f"web/docs/{page.stem}" for page in (ROOT / "web/docs").glob("*.md"))
    lists["The project"] = sorted(page.stem for page in ROOT.glob("*.md") if page.stem != root_doc)
    return "\n".join([toctree(["docs/index"]), *(toctree(pages, title) for title, pages in lists.items())])


def toctree(pages: list[str], title: str = "") -> str:
    caption = [f":caption: {title}"] if title else []
    return "\n".join(["", "```{toctree}", ":hidden:", *caption, "", *pages, "```", ""])


def add_contents(app: Sphinx, page: str, source: list[str]) -> None:
    if page == root_doc:
        source[0] += contents()


def start_with_readme(app: Sphinx, error: Exception | None) -> None:
    """Folders are served by their index.html; GitHub shows README.md."""
    if error is None and app.builder.name == "html":
        shutil.copyfile(app.outdir / f"{root_doc}.html", app.outdir / "index.html")


def setup(app: Sphinx) -> None:
    app.connect("source-read", add_contents)
    app.connect("build-finished", start_with_readme)
