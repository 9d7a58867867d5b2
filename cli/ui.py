"""`unrender ui`: the webui extension's pages in a browser, without a webui."""

from __future__ import annotations

import argparse
import os
import signal
import time
from dataclasses import replace

from ..core.cures import Install
from ..core.errors import MissingPackageError, UnrenderError
from ..server.folders import allowed
from . import engine_options, interruption, network
from .streams import complain, quiet_libraries

_SECONDS_TO_STOP = 2.0
_PACKAGES = ("gradio", "matplotlib")
"""For what is being done."""

_EPILOG = f"""\
{network.WHO_MAY_USE_IT}; the page asks for it as
  the password, and for unrender as the name

what a visitor of the page can do
  upload pictures and have them described, download models, save embeddings under a name; and describe whole
  folders, writing a text for each picture or a table: in the folder that this was started in, where it serves this
  machine alone, and in those of --allow, with all below them that is not hidden. Links that lead out are not
  followed. Models and vocabularies are named, or lie in those folders. With an address or a name that others
  reach, no folder is open but those of --allow

examples
  %(prog)s
  %(prog)s --clip ViT-H-14/laion2b_s32b_b79k --port 8000
  %(prog)s --allow ~/photos --allow /data/sets
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
    network.add_to(parser, 7866, "what the page asks for before it shows anything")
    parser.add_argument_group("files").add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="FOLDER",
        help="the page may read and write in this folder too (may be repeated)",
    )
    engine_options.add_to(parser)


def run(options: argparse.Namespace) -> int:
    """Serves until it is stopped. Raises SettingsError, MissingPackageError, UnrenderError."""
    settings = engine_options.settings_from(options)
    address = network.address_from(options)
    folders = allowed(options.allow, address.for_strangers)
    quiet_libraries()
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    from ..core.engine import Engine
    from ..core.hub import Hub

    Engine(settings).check()
    settings = engine_options.with_bank(settings, options)

    settings = replace(settings, cache=Hub(settings.cache).folder)
    from ..server.direct import without_proxies

    try:
        with without_proxies():  # gradio makes its clients when it is imported
            from ..server.pages.alone import launch
        page = launch(settings, address.names, address.port, address.token, not address.for_strangers, folders)
    except ImportError as error:
        name = (error.name or "a package").partition(".")[0]
        raise MissingPackageError(f"The page needs {name}", Install(_PACKAGES)) from error
    except OSError as error:
        raise UnrenderError(f"Port {address.port} of {address.host} cannot be had", "give another --port") from error
    complain(f"{page.url} has the page; Ctrl-C stops.")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        page.stop(_SECONDS_TO_STOP)
        complain("stopped.")
        interruption.end(128 + signal.SIGINT)
