"""`unrender ui`: the webui extension's pages in a browser, without a webui."""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import replace

from ..core.errors import MissingPackageError, SettingsError, UnrenderError
from . import engine_options
from .serve import LOOPBACK, TOKEN
from .streams import complain, quiet_libraries

_EPILOG = f"""\
who may use it
  this machine alone, unless --host says otherwise, for instance 0.0.0.0; then with a token: --token, or better
  {TOKEN} in the environment, where other users of the machine do not see it; the page asks for it as the
  password, and for unrender as the name

examples
  %(prog)s
  %(prog)s --clip ViT-H-14/laion2b_s32b_b79k --port 8000
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "ui",
        help="a page in the browser",
        description="Opens a page in the browser, and serves it until it is stopped by Ctrl-C.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run, parser=parser)
    group = parser.add_argument_group("network")
    group.add_argument("--host", default=LOOPBACK[0], metavar="ADDRESS", help="where to listen (default: %(default)s)")
    group.add_argument("--port", type=int, default=7866, metavar="N", help="default: %(default)s")
    group.add_argument("--token", metavar="TEXT", help="what the page asks for before it shows anything")
    engine_options.add_to(parser)


def run(options: argparse.Namespace) -> int:
    """Serves until it is stopped. Raises SettingsError, MissingPackageError, UnrenderError."""
    settings = engine_options.settings_from(options)
    token = options.token or os.environ.get(TOKEN)
    if options.host not in LOOPBACK and not token:
        raise SettingsError(f"On {options.host} anyone could use this machine; give --token, or {TOKEN}.")
    if not 0 < options.port < 2**16:
        raise SettingsError(f"--port is {options.port}; give a number from 1 to 65535.")
    quiet_libraries()
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    from ..core.hub import Hub
    from ..extension.app import launch

    settings = replace(settings, cache=Hub(settings.cache).folder)
    try:
        url = launch(settings, options.host, options.port, token, options.host in LOOPBACK)
    except ImportError as error:
        name = (error.name or "a package").partition(".")[0]
        raise MissingPackageError(f'The page needs {name}; run `pip install ".[ui]"` in this folder.') from error
    except OSError as error:
        raise UnrenderError(f"Port {options.port} of {options.host} cannot be had; give another --port.") from error
    complain(f"{url} has the page; Ctrl-C stops.")
    while True:
        time.sleep(3600)
