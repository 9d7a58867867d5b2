"""The nodes with the stand-in for ComfyUI, and the English texts that their schemas make.

python tests/comfyui_nodes.py        writes locales/en/nodeDefs.json anew
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LOCALE = ROOT / "locales" / "en" / "nodeDefs.json"


def use_standin() -> None:
    """First in the path: the checkout, which some library may have put there since, has a `server` too."""
    standin = str(Path(__file__).parent / "comfyui_standin")
    sys.path[:] = [standin, *(place for place in sys.path if place != standin)]


def node_schemas() -> dict[str, Any]:
    """The schemas of all nodes by the nodes' names."""
    use_standin()
    from unrender.nodes.extension import NODES

    schemas = [node.define_schema() for node in NODES]
    return {schema.node_id: schema for schema in schemas}


def english_texts() -> dict[str, Any]:
    """What locales/en/nodeDefs.json has to hold, in the layout of ComfyUI's own."""
    return {name: _texts(schema) for name, schema in sorted(node_schemas().items())}


def _texts(schema: Any) -> dict[str, Any]:
    return {
        "display_name": schema.display_name,
        "description": _literal(schema.description),
        "inputs": {
            each.id: {"name": each.id.replace("_", " "), "tooltip": _literal(each.tooltip)} for each in schema.inputs
        },
        "outputs": {
            str(number): {"name": each.display_name, "tooltip": _literal(each.tooltip)}
            for number, each in enumerate(schema.outputs)
        },
    }


def _literal(text: str) -> str:
    """The page's translations have placeholders in braces; those of a text are meant as they are."""
    return "".join("{'" + letter + "'}" if letter in "{}@|" else letter for letter in text)


if __name__ == "__main__":
    LOCALE.parent.mkdir(parents=True, exist_ok=True)
    LOCALE.write_text(json.dumps(english_texts(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
