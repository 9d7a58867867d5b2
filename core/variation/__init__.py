"""From prompt embeddings to pictures, through diffusers, for those without a graph."""

DEFAULT_CHECKPOINT = "stable-diffusion-v1-5/stable-diffusion-v1-5"
MICRO = "micro"
