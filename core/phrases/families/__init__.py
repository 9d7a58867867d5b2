"""What can be true of a picture: concepts, each in many wordings, in families whose concepts answer one question.

The built-in families are text files that anyone can read and extend (`reading`): one family a file, one concept a
line. `claims` finds which concepts a text states.
"""

from __future__ import annotations

from .claims import Claim, Claims
from .family import Concept, Family
from .reading import BUILT_IN_FAMILIES, families_for, load_families, own_files, read_families, texts_in

__all__ = [
    "BUILT_IN_FAMILIES",
    "Claim",
    "Claims",
    "Concept",
    "Family",
    "families_for",
    "load_families",
    "own_files",
    "read_families",
    "texts_in",
]
