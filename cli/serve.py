"""`unrender serve`: the API over HTTP, for programs."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from ..core.errors import MissingPackageError, SettingsError
from ..core.settings import Settings
from . import engine_options
from .streams import complain, quiet_libraries

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

LOOPBACK = ("127.0.0.1", "::1", "localhost")
TOKEN = "UNRENDER_TOKEN"
_EPILOG = f"""\
routes
  /unrender/v1/interrogate, analyze, match, embed, status, unload, described at /docs
  /interrogator/models, prompt, analyze, as clip-interrogator-ext has them

who may use it
  this machine alone, unless --host says otherwise, for instance 0.0.0.0; then with a token: --token, or better
  {TOKEN} in the environment, where other users of the machine do not see it

examples
  %(prog)s --clip ViT-L-14/openai
  {TOKEN}=secret %(prog)s --host 0.0.0.0 --port 8000
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
    group = parser.add_argument_group("network")
    group.add_argument("--host", default=LOOPBACK[0], metavar="ADDRESS", help="where to listen (default: %(default)s)")
    group.add_argument("--port", type=int, default=7865, metavar="N", help="default: %(default)s")
    group.add_argument("--token", metavar="TEXT", help="what a request has to send as its bearer token")
    engine_options.add_to(parser)


def run(options: argparse.Namespace) -> int:
    """Serves until it is stopped. Raises SettingsError, MissingPackageError."""
    settings = engine_options.settings_from(options)
    token = options.token or os.environ.get(TOKEN)
    if options.host not in LOOPBACK and not token:
        raise SettingsError(f"On {options.host} anyone could use this machine; give --token, or {TOKEN}.")
    if not 0 <= options.port < 2**16:
        raise SettingsError(f"--port is {options.port}; give a number from 0 to 65535.")
    quiet_libraries()
    try:
        import uvicorn

        app = application(settings, token, lambda: server.should_exit)
    except ImportError as error:
        name = (error.name or "a package").partition(".")[0]
        raise MissingPackageError(f'Serving needs {name}; run `pip install ".[serve]"` in this folder.') from error
    server = uvicorn.Server(uvicorn.Config(app, options.host, options.port, log_level="info"))
    complain(f"http://{options.host}:{options.port}/docs describes the routes; Ctrl-C stops.")
    server.run()
    return 0 if server.started else 1


def application(settings: Settings, token: str | None, stopped: Callable[[], bool]) -> FastAPI:
    """stopped: whether what is being done should end at its next step."""
    from fastapi import FastAPI

    from .. import __version__
    from ..extension.api import router
    from ..extension.api_host import alone
    from ..extension.api_route import bearer_guard

    app = FastAPI(title="Unrender", version=__version__)
    app.include_router(router(alone(settings, stopped), bearer_guard(token) if token else None))
    return app
