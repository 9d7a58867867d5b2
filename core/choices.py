"""What the doors offer to choose from where a list is shown; any other name can be given, too."""

from __future__ import annotations

NONE = "none"
"""In a list of captioners: no caption."""

BUILT_IN = "built-in"

CLIPS = (
    "ViT-L-14/openai",
    "ViT-L-14-336/openai",
    "ViT-B-32/openai",
    "ViT-B-16/openai",
    "ViT-H-14/laion2b_s32b_b79k",
    "ViT-bigG-14/laion2b_s39b_b160k",
    "ViT-g-14/laion2b_s12b_b42k",
    "ViT-L-14/laion2b_s32b_b82k",
    "ViT-L-14/datacomp_xl_s13b_b90k",
    "micro",
)
"""CLIPs that need no package beyond what a host has."""

VOCABULARIES = {BUILT_IN: None, "extended": "extended", "clip-interrogator": "peer", "clip-gaze": "clip-gaze"}
"""The vocabularies that are no folders, as Settings calls them."""

FURTHER_CATEGORIES = (
    *("painting materials", "printing techniques", "sculpture materials", "surfaces", "tools", "qualities"),
    *("lenses", "film stocks", "light", "decades", "ages", "emotions", "colours", "palettes", "camera angles"),
)
"""The categories that can be analysed besides a vocabulary's own."""

EMBEDDING_FAMILIES = ("sd15", "sd15-skip2", "sd2", "sdxl", "micro")
"""The families of diffusion models that take an embedding in a whole prompt's place."""

USUAL = "usual"
PROJECTIONS = (USUAL, "pinv", "ridge", "bank", "anchored")
"""How a picture becomes a prompt's embedding; the first is the family's usual way."""

BATCH_OUTPUTS = {
    "txt": "a text file beside each picture",
    "csv": "one CSV file",
    "jsonl": "one JSON Lines file",
    "parquet": "one Parquet file",
    "rename": "the pictures' own names",
    "copy": "copies under such names",
    "xmp": "copies with the text inside",
    "tar": "a WebDataset tar file",
}
"""What becomes of a folder's texts, with a few words about it."""

BATCH_EXISTING = ("skip", "overwrite", "prepend", "append")
"""What to do with a text that is there already."""
