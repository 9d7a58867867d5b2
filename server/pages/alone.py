"""The pages alone, for people without a webui."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any

from ...core.settings import Settings
from ..bodies import MIB, Bodies, has_body
from ..choices import captioners, vocabularies
from ..folders import Folders
from ..gate import App, Gate, Scope
from ..gradio_versions import Alone, logged_in, uploads_folder
from ..host import alone
from ..origins import Names
from ..outside import SOURCES, without_outside
from ..refusals import Refused
from ..service import Service
from . import build

_HERE = Path(__file__).parent
_STYLES = (_HERE.parents[1] / "style.css", _HERE / "page.css")
_SCRIPT = _HERE / "page.js"
_MOST_UPLOADED = 200 * MIB
_MOST_ASKED = 64 * MIB
_LONGEST_LOGIN = 64 * 1024
_ALL_BODIES = 600 * MIB
USER = "unrender"


class Page:
    """What is served. url: where."""

    def __init__(self, folders: Folders, settings: Settings) -> None:
        self.url = ""
        self._stopped = threading.Event()
        self.host = alone(settings, self._stopped.is_set, folders)

    def stop(self, seconds: float) -> None:
        """Ends what is being done at its next step, and waits so long for that."""
        self._stopped.set()
        end = time.monotonic() + seconds
        while self.host.jobs.busy and time.monotonic() < end:
            time.sleep(0.05)


def launch(
    settings: Settings, names: Names, port: int, password: str | None, open_browser: bool, folders: Folders
) -> Page:
    """Serves the pages in a thread of its own; settings.cache has to be a folder.

    password: what the page asks for, with the name `USER`; None for nothing. folders: where visitors may name files.
    Raises OSError where the port is taken.
    """
    assert settings.cache is not None
    page = Page(folders, settings)
    service = Service(page.host, str, captioners(), vocabularies(Path(settings.cache)))
    app = Alone("Unrender", "\n".join(style.read_text(encoding="utf-8") for style in _STYLES))
    with app.blocks:
        app.build_heading()
        build(service)
        app.run_when_opened(_SCRIPT.read_text(encoding="utf-8"))
    login = (USER, password) if password else None

    def guarded(inner: App, gradio: Any) -> App:
        rules = (_Files(uploads_folder(gradio)), *([] if login is None else [_Login(gradio)]))
        return Gate(without_outside(inner), names, rules, Bodies(_ALL_BODIES), _most, SOURCES)

    page.url = app.launch(names.bound, port, login, open_browser, _MOST_UPLOADED, guarded)
    return page


def _most(scope: Scope) -> int:
    if _asks_to_log_in(scope):
        return _LONGEST_LOGIN
    return _MOST_UPLOADED + MIB if scope["path"].rstrip("/").endswith("/upload") else _MOST_ASKED


def _asks_to_log_in(scope: Scope) -> bool:
    return scope["path"].rstrip("/") == "/login"


class _Login:
    """Nothing of a stranger's is taken in but name and password: gradio reads what is sent before it asks for them."""

    def __init__(self, gradio: Any) -> None:
        self._gradio = gradio

    def __call__(self, scope: Scope, headers: Mapping[str, str]) -> None:
        reads_only = scope["type"] == "http" and scope["method"] in ("GET", "HEAD") and not has_body(headers)
        if not (reads_only or _asks_to_log_in(scope) or logged_in(self._gradio, _cookies(headers))):
            raise Refused(401, "This needs a login; open the page and log in.")


class _Files:
    """gradio gives away files by path, some versions any of the folder they run in, and fetches addresses for those
    who ask; the page needs what was uploaded or made here."""

    def __init__(self, uploads: Path) -> None:
        self._uploads = uploads

    def __call__(self, scope: Scope, headers: Mapping[str, str]) -> None:
        path = scope["path"]
        if "/proxy=" in path:
            raise Refused(403, "This server asks no other for you; ask it yourself.")
        for route in ("/file=", "/file/"):
            if route in path and not self._holds(path.partition(route)[2]):
                raise Refused(403, "That file is none that was uploaded or made here; upload it.")

    def _holds(self, name: str) -> bool:
        try:
            return Path(name).resolve().is_relative_to(self._uploads)
        except (OSError, RuntimeError, ValueError):
            return False


def _cookies(headers: Mapping[str, str]) -> dict[str, str]:
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(headers.get("cookie", "")).items()}
    except CookieError:
        return {}
