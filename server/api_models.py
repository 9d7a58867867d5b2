"""What the API's routes take and answer, for pydantic 1 and 2 alike."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

from ..core.embed.families import OFFERED
from ..core.embed.kinds import PLAIN_NAME, TUNED, Mix, Projection, Quality
from ..core.results import Reason
from ..core.settings import USUAL_SEARCH, Mode, Search, Style, TagOrder
from ..core.targets import TARGET_NAMES

_PICTURE = "base64 or a data URL, of a file in any usual format"
_CLIP = "one of GET /interrogator/models; the usual one when absent"
_DESCRIBER = "one of those that GET /unrender/v1/status lists; the usual one when absent"
_LONGEST = 20_000
TunedName = Annotated[str, Field(pattern=f"^{TUNED}{PLAIN_NAME}$")]
"""A name, never a file's: whoever asks is elsewhere."""

_TARGET = f"the family of image models that it is for: {', '.join(TARGET_NAMES)}"
_VOCABULARY = "one of those that GET /unrender/v1/status lists; the usual one when absent"


class PeerAnalyzeRequest(BaseModel):
    image: str = Field("", description=_PICTURE)
    clip_model_name: str | None = Field(None, description=_CLIP)


class PeerPromptRequest(PeerAnalyzeRequest):
    mode: Mode = "fast"


class PeerPrompt(BaseModel):
    prompt: str


class PeerAnalysis(BaseModel):
    """Of each kind the five likeliest phrases, with their cosine similarity to the picture."""

    medium: dict[str, float]
    artist: dict[str, float]
    movement: dict[str, float]
    trending: dict[str, float]
    flavor: dict[str, float]


class Writing(BaseModel):
    """How a describer writes; what is absent is as the program was started."""

    style: Style | None = Field(None, description="in which a describer writes that can be asked")
    instruction: str | None = Field(None, max_length=_LONGEST, description="in place of what the style asks")
    system: str | None = Field(None, max_length=_LONGEST, description="the system message")
    max_length: int | None = Field(None, ge=1, le=4096, description="tokens at most")
    temperature: float | None = Field(None, ge=0, le=5, description="0 takes the likeliest words; above it they vary")
    top_p: float | None = Field(None, gt=0, le=1)
    seed: int | None = Field(None, ge=0, lt=2**64, description="of words that vary")
    repetition: float | None = Field(None, gt=0, le=10, description="penalty; 1 for none")
    trim: bool | None = Field(None, description='leave out "The image shows" and markdown')


class TagChoice(BaseModel):
    """Which tags become words; what is absent is as the program was started."""

    general_threshold: float | None = Field(None, ge=0, le=1)
    character_threshold: float | None = Field(None, ge=0, le=1)
    automatic_threshold: bool | None = Field(None, description="thresholds where the confidences fall most")
    most_tags: int | None = Field(None, ge=1, description="general tags at most")
    rating: bool | None = Field(None, description="the rating among the words")
    exclude_tags: list[str] | None = None
    tag_order: TagOrder | None = Field(None, description="target: as the target has learned them")
    underscores: bool | None = Field(None, description="instead of blanks")
    implied: bool | None = Field(None, description="also tags that others imply")


class Tagging(TagChoice):
    tagger: str | None = Field(None, description=f"{_DESCRIBER}; a chat model or server is asked for tags")


class InterrogateRequest(Writing, Tagging, extra="forbid"):
    image: str = Field(description=_PICTURE)
    mode: Mode | None = Field(None, description="best, or what suits the target, when absent")
    target: str | None = Field(None, description=_TARGET)
    caption: str | None = Field(None, description='in place of the captioner\'s; "" for none')
    limits: dict[str, int] = Field({}, description="most phrases of a category, by its name; 0 leaves it out")
    exclude: list[str] = Field([], description="phrases that are never used")
    pinned: list[str] = Field([], description="phrases that a searched prompt has in any case")
    search: Search | None = Field(
        None, description=f"of the mode best; as the program was started, else {USUAL_SEARCH}, when absent"
    )
    clip: str | None = Field(None, description=_CLIP)
    captioner: str | None = Field(None, description=_DESCRIBER)
    rivals: list[str] | None = Field(None, description="further ones, 8 at most; the CLIP chooses among the texts")
    candidates: int | None = Field(None, ge=1, le=16, description="texts of each, by seeds that follow each other")
    vocabulary: str | None = Field(None, description=_VOCABULARY)


class DescribeRequest(Writing, TagChoice, extra="forbid"):
    image: str = Field(description=_PICTURE)
    captioner: str | None = Field(None, description=_DESCRIBER)
    target: str | None = Field(None, description=_TARGET)


class TagRequest(Tagging, extra="forbid"):
    image: str = Field(description=_PICTURE)
    target: str | None = Field(None, description=_TARGET)


class FoundPhrase(BaseModel):
    text: str
    category: str
    gain: float = Field(description="by how much it raised the prompt's similarity")
    likelihood: float | None = Field(description="among what excludes it, from 0 to 1; null where nothing is known to")
    support: float | None = Field(description="by how many deviations the picture is nearer to it than by chance")
    family: str = Field(description='of what excludes it; "" for none')
    runner_up: str = Field(description='how the prompt would say the next likely of the family; "" for nothing')
    instead_of: str = Field(description='the words of the text that it would stand for; "" for the whole')


class RejectedPhrase(BaseModel):
    """likelihood, support and gain are as of a phrase, and null where they were not asked for."""

    text: str
    category: str
    reason: Reason
    likelihood: float | None
    support: float | None
    gain: float | None
    against: str = Field(description="what it contradicts or repeats, or what the caption says in its place")


class FoundTag(BaseModel):
    name: str
    confidence: float = Field(description="from 0 to 1")
    category: str


class FoundContender(BaseModel):
    text: str
    describer: str
    seed: int
    similarity: float = Field(description="cosine, from -1 to 1")


class DescribeAnswer(BaseModel):
    text: str
    captioner: str
    tags: list[FoundTag] = Field(description="what the text was made of, where a tagger told it, and the ratings")
    seconds: float


class TagAnswer(BaseModel):
    text: str = Field(description="the tags as a prompt, not escaped for any program")
    tags: list[FoundTag] = Field(description="those above their thresholds, and the ratings")
    characters: list[str]
    rating: str = Field(description='the likeliest; "" where the tagger tells none')
    tagger: str
    seconds: float


class InterrogateAnswer(BaseModel):
    prompt: str = Field(description="not escaped for any program")
    similarity: float | None = Field(description="cosine, from -1 to 1; null for tags, which no CLIP is asked about")
    mode: str
    caption: str
    phrases: list[FoundPhrase]
    model: str
    seconds: float
    risk: float = Field(description="at most so probably would float32 throughout have found another prompt")
    tags: list[FoundTag] = Field(description="what a tagger told, and the ratings")
    contenders: list[FoundContender] = Field(description="the texts the caption was chosen from, the best first")
    search: str = Field(description="which one found it; empty in modes that do not search")
    rejected: list[RejectedPhrase] = Field(description="what was weighed and left out, or changed in the caption")
    bank: str = Field(description="what the picture was compared with")
    remark: str = Field(description="what was chosen for the target; empty where nothing was")


class AnalyzeRequest(BaseModel, extra="forbid"):
    image: str = Field(description=_PICTURE)
    categories: list[str] | None = Field(None, description="all of the vocabulary's when absent")
    top: int = Field(5, ge=1, le=1000, description="phrases of each category, and concepts of each family")
    families: list[str] | bool | None = Field(
        None, description="which families are asked, or whether they are; when absent, where no categories are named"
    )
    tagger: str | None = Field(None, description="one of GET /unrender/v1/status's; none where absent")
    clip: str | None = Field(None, description=_CLIP)
    vocabulary: str | None = Field(None, description=_VOCABULARY)


class AnalyzedPhrase(BaseModel):
    phrase: str
    similarity: float = Field(description="cosine, from -1 to 1")
    likelihood: float = Field(description="its share among all of the category, from 0 to 1")


class AnalyzedCategory(BaseModel):
    category: str
    phrases: int = Field(description="how many the category has")
    top: list[AnalyzedPhrase]
    spread: dict[str, Any] = Field(description="lowest, highest and mean similarity, and a histogram's counts")
    note: str


class AnalyzedConcept(BaseModel):
    concept: str
    wording: str = Field(description="as a prompt would say it")
    likelihood: float = Field(description="from 0 to 1")
    support: float = Field(description="deviations by which the picture is nearer to it than pictures are by chance")


class AnalyzedFamily(BaseModel):
    family: str
    about: str = Field(description="the question that its concepts answer")
    excludes: bool = Field(description="whether one concept rules out the others")
    concepts: int = Field(description="how many the family has")
    top: list[AnalyzedConcept]
    none: float | None = Field(description="how likely none of them is true; null where one always is, or several may")


class AnalyzeAnswer(BaseModel):
    categories: list[AnalyzedCategory]
    families: list[AnalyzedFamily] = Field([], description="the surest first")
    model: str
    pictures: int
    tagger: str = Field("", description="who told the tags")
    rating: str = Field("", description='the likeliest; "" where the tagger tells none')
    tags: list[FoundTag] = Field([], description="those above their thresholds, and the ratings")


class MatchRequest(BaseModel, extra="forbid"):
    images: list[str] = Field(description=_PICTURE)
    phrases: list[str]
    templates: list[str] = Field([], description="texts with {} in the phrase's place; several are averaged")
    clip: str | None = Field(None, description=_CLIP)


class MatchAnswer(BaseModel):
    """Tables with a row for each picture and a column for each phrase."""

    phrases: list[str]
    templates: list[str]
    model: str
    similarities: list[list[float]]
    phrase_likelihoods: list[list[float]] = Field(description="a phrase's share among the phrases; a row sums to 1")
    image_likelihoods: list[list[float]] = Field(description="a picture's share among the pictures; a column sums to 1")


class EmbedRequest(BaseModel, extra="forbid"):
    images: list[str] = Field(description=_PICTURE)
    family: str = Field(OFFERED[0], description=f"{', '.join(OFFERED[:-1])} or {OFFERED[-1]}")
    quality: Quality | None = Field(
        None, description="what unrender verify found for the family's text encoders, else best, when absent"
    )
    projection: Projection | TunedName | None = Field(
        None, description=f"in the place of a quality, which chooses one; {TUNED}NAME for what tune made"
    )
    weights: list[float] | None = Field(None, description="how much each picture counts; equally when absent")
    mix: Mix = "mean"
    text: str = Field("", description="a prompt that stays in force, in the place of one that describes them")
    alpha: float = Field(0.6, description="how much of the text stays with pinv")
    strength: float = Field(1.0, description="from the text's embedding at 0 to the picture's at 1")
    anchor: str | None = Field(
        None, description='a prompt that describes the pictures, for the one that a search finds; "" for none'
    )
    clip: str | None = Field(None, description="one of GET /interrogator/models; the family's own when absent")


class EmbedAnswer(BaseModel):
    embedding: str = Field(description="a safetensors file, in base64")
    description: str
    remark: str = Field(description="what one should know of it; empty where there is nothing to say")


class LoadedModel(BaseModel):
    kind: str = Field(description="clip, or a describer's: captioner, tagger, endpoint")
    name: str
    bytes: int = Field(description="of its weights")
    device: str = Field(description="where they are, such as cpu or cuda:0")


class Status(BaseModel):
    version: str
    clip: str = Field(description="the usual one")
    captioner: str = Field(description="the usual one, or none")
    tagger: str = Field(description="the usual one, or none: then one is taken where tags alone are asked for")
    captioners: list[str] = Field(description="all describers that can be named")
    taggers: list[str] = Field(description="those of them that tell tags")
    targets: list[str]
    vocabularies: list[str]
    loaded: list[LoadedModel]
    doing: list[str] = Field(description="what goes on, such as a download and how far it is")


class Refusal(BaseModel):
    detail: str = Field(description="one sentence: what, where, and what to do about it")
