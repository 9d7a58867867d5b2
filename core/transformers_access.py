"""The transformers library, whatever state its surroundings are in, and without its chatter."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .cures import Install
from .errors import MissingPackageError

LOCAL_WITHOUT_CODE: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
"""How transformers' Auto classes read a folder. Unless told, they ask at the terminal whether to run code it holds."""
_QUESTION = "TIME_OUT_REMOTE_CODE"
"""How long they wait for the answer, in `transformers.dynamic_module_utils`; they do not ask where it is 0."""


@contextmanager
def without_own_code() -> Iterator[None]:
    """Where a library calls transformers without saying so, as open_clip does: it is not asked at the terminal either
    whether to run a model's own code; such a model is refused."""
    transformers_version()
    from transformers import dynamic_module_utils as modules

    waits = getattr(modules, _QUESTION, None)
    setattr(modules, _QUESTION, 0)
    try:
        yield
    finally:
        setattr(modules, _QUESTION, waits)


def transformers_version() -> tuple[int, int]:
    """Major and minor version of the installed transformers. Raises MissingPackageError when there is none."""
    try:
        import transformers
    except (ImportError, RuntimeError, OSError) as error:
        raise MissingPackageError(
            f"transformers cannot be imported ({_first_line(error)})", Install(("transformers",))
        ) from error
    major, minor, *_ = transformers.__version__.split(".")
    return int(major), int(minor)


def transformers_attribute(name: str) -> Any:
    """A class or function of transformers, None when this version has none of that name.

    A torchvision that does not fit its torch fails when it is imported, and with it whatever of transformers looks
    for it; transformers does without a torchvision that is absent, so a broken one is made to look absent.
    Raises MissingPackageError when something else is broken.
    """
    transformers_version()
    import transformers

    try:
        return getattr(transformers, name, None)
    except (ImportError, RuntimeError, OSError) as error:
        if not _hide_broken_torchvision():
            raise _broken(name, error) from error
    try:
        return getattr(transformers, name, None)
    except (ImportError, RuntimeError, OSError) as error:
        raise _broken(name, error) from error


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keeps progress bars and warnings of transformers off the terminal."""
    from transformers.utils import logging

    verbosity, showed_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if showed_bars:
            logging.enable_progress_bar()


def _hide_broken_torchvision() -> bool:
    """Whether torchvision is there but cannot be imported; if so, it is treated as absent from now on."""
    try:
        import torchvision  # noqa: F401  # pyright: ignore[reportMissingImports, reportMissingTypeStubs]
    except ModuleNotFoundError:
        return False
    except Exception:  # noqa: BLE001 - a mismatched binary can fail with anything
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        sys.modules["torchvision"] = None  # type: ignore[assignment]
        _forget_what_was_found()
        return True
    return False


def _forget_what_was_found() -> None:
    """transformers notes what packages there are: in cached functions now, in constants before 5.0."""
    from transformers.utils import import_utils

    for name, value in list(vars(import_utils).items()):
        if name.startswith("is_torchvision") and hasattr(value, "cache_clear"):
            value.cache_clear()
        elif name == "_torchvision_available":
            setattr(import_utils, name, False)


def _broken(name: str, error: BaseException) -> MissingPackageError:
    return MissingPackageError(
        f"{name} of transformers cannot be imported ({_first_line(error)})",
        Install(("transformers",), "--upgrade --force-reinstall"),
    )


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160].rstrip(".")
