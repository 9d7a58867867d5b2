"""Every way to describe a picture: models that write, models that tag, and servers that are asked (`kinds`)."""

from .captioner import KNOWN_CAPTIONERS, Captioner, find_captioner, nearest_captioners
from .describer import Describer, Description
from .kinds import check_describer, kind_of, known_describers, load_describer

__all__ = [
    "KNOWN_CAPTIONERS",
    "Captioner",
    "Describer",
    "Description",
    "check_describer",
    "find_captioner",
    "kind_of",
    "known_describers",
    "load_describer",
    "nearest_captioners",
]
