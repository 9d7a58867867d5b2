"""Everything a user may set, as one immutable value checked when it is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from types import MappingProxyType
from typing import Literal, get_args

from .choices import NONE
from .cures import Choose, Control, Give
from .errors import SettingsError
from .printable import quoted
from .published import TOYS, VIT_L

Mode = Literal["best", "fast", "classic", "negative", "caption", "tags"]
Fit = Literal["crop", "pad", "squash"]
Precision = Literal["auto", "exact", "float16", "bfloat16"]
Search = Literal["honest", "written", "peer", "beam"]
Style = Literal["words", "tags", "sentence", "paragraph", "training", "keywords"]
TagOrder = Literal["confidence", "alphabet", "target"]
Quantization = Literal["none", "8bit", "4bit"]

MODES: tuple[Mode, ...] = get_args(Mode)
MOST_CANDIDATES = 64
UNCAPTIONED: tuple[Mode, ...] = ("negative", "tags")
"""The modes that no captioner writes for."""

UNSEARCHED: tuple[Mode, ...] = ("caption", "tags")
"""The modes that add nothing of the CLIP's."""

NO_CLIP = "none"
"""In the place of a CLIP's name: nothing is judged or searched."""

FITS: tuple[Fit, ...] = get_args(Fit)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
SEARCHES: tuple[Search, ...] = get_args(Search)
WRITING_STYLES: tuple[Style, ...] = get_args(Style)
TAG_ORDERS: tuple[TagOrder, ...] = get_args(TagOrder)
QUANTIZATIONS: tuple[Quantization, ...] = get_args(Quantization)

BY_EVIDENCE: tuple[Search, ...] = ("honest", "written")
"""The searches that ask how likely what they say is."""

USUAL_SEARCH: Search = "honest"
"""Which says more that is true, and renders nearer, than the others (docs/search.md)."""

USUAL_THRESHOLDS = (0.35, 0.85)
"""For general tags and for characters, as the demonstration of SmilingWolf's taggers has them."""


@dataclass(frozen=True)
class TagSettings:
    """Which tags of a tagger become words, and how they are written.

    general, character: the confidence a tag has to reach; None for what the tagger's publisher says. automatic: each
    picture's own thresholds by the largest gap between confidences (MCut) instead. most: general tags at most; None for
    all. rating: the rating among the words. exclude: tags left out, with underscores or blanks, without letter case.
    order: of the words; "target" is the grammar of `target`, a name of `core.targets`.
    underscores: as the tagger writes them, instead of blanks. implied: also those that others imply
    (animal_ears beside cat_ears). trigger: a word before all others.
    """

    general: float | None = None
    character: float | None = None
    automatic: bool = False
    most: int | None = None
    rating: bool = False
    exclude: tuple[str, ...] = ()
    order: TagOrder = "confidence"
    target: str = ""
    underscores: bool = False
    implied: bool = False
    trigger: str = ""

    def __post_init__(self) -> None:
        thresholds: tuple[tuple[Control, float | None], ...] = (
            ("general_threshold", self.general),
            ("character_threshold", self.character),
        )
        for name, value in thresholds:
            if value is not None and not 0 <= value <= 1:
                raise SettingsError(f"is {value}", "give a number from 0 to 1", control=name)
        if self.most is not None:
            _at_least("most_tags", self.most, 1)
        one_of("tag_order", self.order, TAG_ORDERS)


TAG_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "general_threshold": "general",
        "character_threshold": "character",
        "automatic_threshold": "automatic",
        "most_tags": "most",
        "rating": "rating",
        "tag_order": "order",
        "underscores": "underscores",
        "implied": "implied",
    }
)
"""The fields of `TagSettings` that a command line and an API have, by the names they give them."""


@dataclass(frozen=True)
class EndpointSettings:
    """How a server that speaks OpenAI's chat completions is asked. Which one, and which of its models, is the
    captioner's name: ADDRESS or ADDRESS#MODEL.

    keep_alive: for how long Ollama keeps the model in memory, in its words ("5m", "-1"); "" says nothing of it.
    thinking: None says nothing of it; False turns it off where the server can. longest_side: of the picture that is
    sent, in pixels. timeout: seconds without a byte. retries: after failures that may pass.
    """

    keep_alive: str = ""
    thinking: bool | None = None
    longest_side: int = 1024
    timeout: float = 120.0
    retries: int = 2

    def __post_init__(self) -> None:
        _at_least("longest_side", self.longest_side, 16)
        _at_least("retries", self.retries, 0)
        if not self.timeout > 0:
            raise SettingsError(f"is {self.timeout}", "give a number above 0", control="timeout")


@dataclass(frozen=True)
class CaptionSettings:
    """How a describer writes.

    instruction: what an instruction-following describer is asked, in place of what `style` asks; others continue it as
    the caption's beginning. style: None for what each does by itself.
    max_length: tokens at most; None for what suits the describer and the style. beams: beam search width, 1 is greedy.
    system: the system message; None for the model's own. temperature: 0 takes the likeliest word; above it words are
    drawn, by top_p and seed. repetition: penalty, 1 for none. trim: takes away what is said of the picture's being a
    picture ("The image shows") and markdown.
    """

    instruction: str = ""
    max_length: int | None = None
    beams: int = 1
    style: Style | None = None
    system: str | None = None
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    repetition: float = 1.0
    trim: bool = False
    tags: TagSettings = field(default_factory=TagSettings)
    endpoint: EndpointSettings = field(default_factory=EndpointSettings)

    def __post_init__(self) -> None:
        if self.max_length is not None:
            _at_least("max_length", self.max_length, 1)
        _at_least("beams", self.beams, 1)
        if self.style is not None:
            one_of("style", self.style, WRITING_STYLES)
        if not 0 <= self.temperature <= 5:
            raise SettingsError(f"is {self.temperature}", "give a number from 0 to 5", control="writing_temperature")
        if not 0 < self.top_p <= 1:
            raise SettingsError(f"is {self.top_p}", "give a number above 0, 1 at most", control="top_p")
        if not 0 < self.repetition <= 10:
            raise SettingsError(f"is {self.repetition}", "give a number above 0, 10 at most", control="repetition")


@dataclass(frozen=True)
class Settings:
    """What an Engine works with.

    clip: an open_clip `name/tag`, a hub id or folder in transformers format, a safetensors file, "micro", or "none" for
    the modes "caption" and "tags" alone.
    captioner: any describer (`core.describe.kinds`): a known captioner's or tagger's name, a hub id, a folder, the
    address of a server (ADDRESS#MODEL), "micro", "micro-tagger", "micro-chat"; None, or "none", for no caption.
    tagger: of the tags that mode "tags" gives, and that follow the caption in the others; None for the usual one where
    the mode is "tags", for none elsewhere.
    rivals: further describers, whose texts compete with the captioner's. candidates: texts of each describer that can
    write several, by seeds that follow each other. The text most like the picture becomes the caption.
    quantization: of a chat model's weights while it is loaded, on CUDA.
    phrases: None for the built-in lists, "peer" for an installed clip-interrogator's, "clip-gaze", or a folder of
    NAME.txt files.
    search: of the mode "best". "honest" says what the picture shows, family by family, as far as CLIP and caption are
    sure together; "written" lets the captioner write under the eyes of the CLIP; "peer" is clip-interrogator's greedy
    chain; "beam" also grows beam_width prompts side by side, each over the beam_shortlist phrases that suit the leading
    one best, chosen anew every beam_refresh phrases, and takes the better. None for what was measured best: "honest",
    with peer_defects "peer".
    device: "auto", or what torch accepts ("cpu", "cuda", "cuda:1", "mps").
    precision: "auto" searches in half precision where that is faster and decides in float32: the prompt is that of
    float32 with a probability of error below one in a million a picture (`core.prompt.screening`). Only "exact",
    float32 throughout, claims more. "float16" and "bfloat16" compute everything so, rounding included. What describes
    takes of "auto" what suits it and the device (`Captioner.load`), and may then use other words than in float32.
    memory: bytes that models, phrases and search may take on the device while a prompt is searched (the captioner has
    them to itself before); None for what is free.
    limits: phrases of a category in a prompt at most, by category name; 0 leaves the category out, absent is no limit.
    exclude: phrases never used, compared without letter case. pinned: phrases that a searched prompt always has.
    bank: a file of `core.evidence.bank.Bank`, what is known of the user's own pictures, with which a picture is
    compared to tell what is particular to it; None for texts composed of the vocabulary.
    trigger, prefix, suffix: words put around every prompt; they count towards token_limit.
    pool: how many of the phrases most like the picture a search chooses from.
    min_phrases: how many phrases the modes that search take at least. max_phrases: how many a prompt has at most beside
    caption, tags and pinned phrases, in all modes but "caption" and "tags", which add none.
    token_limit: length of a prompt in tokens, start and end included; None for all tags in mode "tags", for 512 in
    "caption", and for what the CLIP reads in the others, which never have more.
    peer_defects: repeat clip-interrogator 0.6.0's defects listed in `core.prompt.interrogate`, for comparisons with it.
    cache: where downloads and phrase tables are kept; None for the platform's cache folder.
    """

    clip: str = VIT_L
    captioner: str | None = "blip-large"
    tagger: str | None = None
    rivals: tuple[str, ...] = ()
    candidates: int = 1
    quantization: Quantization = "none"
    phrases: str | PathLike[str] | None = None
    search: Search | None = None
    device: str = "auto"
    precision: Precision = "auto"
    memory: int | None = None
    fit: Fit = "crop"
    limits: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    exclude: tuple[str, ...] = ()
    pinned: tuple[str, ...] = ()
    bank: str | PathLike[str] | None = None
    trigger: str = ""
    prefix: str = ""
    suffix: str = ""
    pool: int = 2048
    beam_width: int = 4
    beam_shortlist: int = 64
    beam_refresh: int = 4
    min_phrases: int = 8
    max_phrases: int = 32
    token_limit: int | None = None
    peer_defects: bool = False
    captioning: CaptionSettings = field(default_factory=CaptionSettings)
    cache: str | PathLike[str] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.rivals, str):
            raise SettingsError(f"is the text {quoted(self.rivals)}", "give a list of names", control="rivals")
        object.__setattr__(self, "captioner", _named("captioner", self.captioner))
        object.__setattr__(self, "tagger", _named("tagger", self.tagger))
        rivals = (_named("rivals", rival) for rival in self.rivals)
        object.__setattr__(self, "rivals", tuple(rival for rival in rivals if rival is not None))
        one_of("quantization", self.quantization, QUANTIZATIONS)
        if self.search is not None:
            one_of("search", self.search, SEARCHES)
        if self.peer_defects and self.search in BY_EVIDENCE:
            raise SettingsError(
                f"is {self.search!r}, and the peer's defects are of its own", Choose("search", ("peer",))
            )
        one_of("precision", self.precision, PRECISIONS)
        one_of("fit", self.fit, FITS)
        for name, value in _counts(self):
            _at_least(name, value, 1)
        if self.candidates > MOST_CANDIDATES:
            raise SettingsError(f"is {self.candidates}", f"give {MOST_CANDIDATES} or fewer", control="candidates")
        if self.memory is not None:
            _at_least("memory", self.memory, 1)
        _at_least("min_phrases", self.min_phrases, 0)
        _at_least("max_phrases", self.max_phrases, max(1, self.min_phrases))
        if self.token_limit is not None:
            _at_least("token_limit", self.token_limit, 3)
        for category, limit in self.limits.items():
            if limit < 0:
                raise SettingsError(f"of {category} is {limit}", "give 0 or more", control="limits")

    @property
    def searched(self) -> Search:
        """How the mode "best" searches."""
        return self.search or ("peer" if self.peer_defects else USUAL_SEARCH)


def _named(control: Control, name: str | None) -> str | None:
    """A describer's; None for none. Names of what is part of the package are small letters."""
    if name is None or name.casefold() == NONE:
        return None
    if not name.strip():
        raise SettingsError("is empty", Give(control, f'a name, or "{NONE}"'), control=control)
    return name.casefold() if name.casefold() in TOYS else name


def _counts(settings: Settings) -> tuple[tuple[Control, int], ...]:
    return (
        ("pool", settings.pool),
        ("beam_width", settings.beam_width),
        ("beam_shortlist", settings.beam_shortlist),
        ("beam_refresh", settings.beam_refresh),
        ("candidates", settings.candidates),
    )


def one_of(name: Control, value: str, valid: tuple[str, ...]) -> None:
    """Raises SettingsError, whatever stands in the value's place."""
    if value not in valid:
        raise SettingsError(f"is {quoted(value)}", Choose(name, valid), control=name)


def _at_least(name: Control, value: int, least: int) -> None:
    if value < least:
        raise SettingsError(f"is {value}", f"give {least} or more", control=name)
