"""`unrender serve`: the API over HTTP, for programs."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from ..core.cures import Install
from ..core.errors import MissingPackageError
from ..core.settings import Settings
from . import engine_options, interruption, network
from .streams import complain, quiet_libraries

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

    from ..server.gate import App

_SECONDS_TO_ANSWER = 3
_PACKAGES = ("fastapi", "uvicorn")
"""For what is asked when the server is stopped."""

_EPILOG = f"""\
routes
  /unrender/v1/interrogate, analyze, match, embed, status, unload, described at /docs
  /interrogator/models, prompt, analyze, as clip-interrogator-ext has them

{network.WHO_MAY_USE_IT}

examples
  %(prog)s --clip ViT-L-14/openai
  {network.TOKEN}=secret %(prog)s --host 0.0.0.0 --port 8000
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "serve",
        help="answer other programs over HTTP",
        description="Answers other programs over HTTP until it is stopped by Ctrl-C.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run, parser=parser)
    network.add_to(parser, 7865, "what a request has to send as its bearer token")
    engine_options.add_to(parser)


def run(options: argparse.Namespace) -> int:
    """Serves until it is stopped. Raises SettingsError, MissingPackageError."""
    settings = engine_options.settings_from(options)
    address = network.address_from(options)
    quiet_libraries()
    from ..core.engine import Engine

    Engine(settings).check()
    settings = engine_options.with_bank(settings, options)
    try:
        server = _server(settings, address)
    except ImportError as error:
        name = (error.name or "a package").partition(".")[0]
        raise MissingPackageError(f"Serving needs {name}", Install(_PACKAGES)) from error
    complain(f"http://{address.host}:{address.port}/docs describes the routes; Ctrl-C stops.")
    server.run()
    return 0 if server.started else 1


def _server(settings: Settings, address: network.Address) -> Any:
    """uvicorn's."""
    import uvicorn

    from ..server.api_page import SOURCES
    from ..server.gate import Gate
    from ..server.patience import Patience

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: Any) -> None:
            super().handle_exit(sig, frame)
            interruption.end_soon(128 + sig)

    app: App = application(settings, address.token, lambda: server.should_exit)
    options: dict[str, Any] = {"log_level": "info", "timeout_graceful_shutdown": _SECONDS_TO_ANSWER}
    gate = Gate(app, address.names, sources=SOURCES)
    server = Server(uvicorn.Config(gate, address.host, address.port, http=Patience, **options))
    return server


def application(settings: Settings, token: str | None, stopped: Callable[[], bool]) -> FastAPI:
    """stopped: whether what is being done should end at its next step."""
    from fastapi import FastAPI

    from .. import __version__
    from ..server.api import router
    from ..server.api_page import add_page
    from ..server.api_route import bearer_guard
    from ..server.host import alone

    app = FastAPI(title="Unrender", version=__version__, docs_url=None, redoc_url=None)
    app.include_router(router(alone(settings, stopped), bearer_guard(token) if token else None))
    add_page(app)
    return app
