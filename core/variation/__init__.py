"""From prompt embeddings to pictures, through diffusers, for those without a graph."""
