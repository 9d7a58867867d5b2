"""From a picture to the conditioning of a diffusion model, without words. `PromptEmbedding` is loaded with torch when
it is first asked for: which families and projections there are is read without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .embedding import PromptEmbedding

__all__ = ["PromptEmbedding"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from . import embedding

        return getattr(embedding, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
