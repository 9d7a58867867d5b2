"""Every way to describe a picture: models that write, models that tag, and servers that are asked (`kinds`)."""

from .describer import Describer, Description, checked
from .kinds import check_describer, kind_of, known_describers, known_taggers, known_writers, load_describer
from .tagging.tagger import KNOWN_TAGGERS, Tagger, find_tagger
from .writing.captioner import KNOWN_CAPTIONERS, Captioner, find_captioner, nearest_captioners

__all__ = [
    "KNOWN_CAPTIONERS",
    "KNOWN_TAGGERS",
    "Captioner",
    "Describer",
    "Description",
    "Tagger",
    "check_describer",
    "checked",
    "find_captioner",
    "find_tagger",
    "kind_of",
    "known_describers",
    "known_taggers",
    "known_writers",
    "load_describer",
    "nearest_captioners",
]
