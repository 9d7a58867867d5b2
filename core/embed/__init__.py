"""From a picture to the conditioning of a diffusion model, without words."""

from .embedding import PromptEmbedding

__all__ = ["PromptEmbedding"]
