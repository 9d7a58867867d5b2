"""The pages alone, for people without a webui."""

from __future__ import annotations

from pathlib import Path

from ...core.settings import Settings
from ..choices import captioners, vocabularies
from ..gradio_versions import Alone
from ..host import alone
from ..service import Service
from . import build

_STYLE = Path(__file__).parents[2] / "style.css"
_MOST_UPLOADED = "200mb"
USER = "unrender"


def launch(settings: Settings, address: str, port: int, password: str | None, open_browser: bool) -> str:
    """Serves the pages in a thread of its own and returns where; settings.cache has to be a folder.

    password: what the page asks for, with the name `USER`; None for nothing.
    Raises OSError where the port is taken.
    """
    assert settings.cache is not None
    service = Service(alone(settings), str, captioners(), vocabularies(Path(settings.cache)))
    app = Alone("Unrender", _STYLE.read_text(encoding="utf-8"))
    with app.blocks:
        build(service)
    login = (USER, password) if password else None
    return app.launch(address, port, login, open_browser, _MOST_UPLOADED)
