"""CLIP models from anywhere, as one `Clip`. It is loaded with torch when it is first asked for: what lies beside it in
this folder and needs none, such as the names of models, is read without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .model import Clip

__all__ = ["Clip"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from . import model

        return getattr(model, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
