"""From prompt embeddings to pictures, through diffusers, for those without a graph."""

from ..embed.families import SD1

DEFAULT_CHECKPOINT = SD1.settings
MICRO = "micro"
