"""What the searches of `best` cost beside each other, at ViT-L-14's and blip-large's real sizes with random weights.

    python benchmarks/searches.py [--clip ViT-L-14|small] [--captioner large|base|none] [--searches peer honest ...]
                                  [--pictures N] [--kept FOLDER] [--device cuda] [--out FOLDER]

One process, one CLIP, the peer's full lists, captions given; the searches take turns over photographs of
scikit-image's, in CPU seconds of one thread (on a GPU wall seconds). A search is all of `Interrogator.run`: of the
peer's the classic and the fast prompt too, that it compares its chain with; of the written one the captioner's look at
the picture. What is made once for a CLIP and kept on disk (the lists' table, the families', the bank of composed texts)
and what is made once in a process (the mean and the deviation of each phrase) is timed apart. Prints a table, writes
FOLDER/searches-CLIP.json.

Random weights tell nothing apart: hardly a family is sure enough to be said, and hardly a phrase of the lists is
supported. So there are two honest searches beside that have all to do that a prompt has room for: "honest, families"
says 12 families and then phrases of the lists until the prompt is full; "honest, lists" says 3 and takes 8 phrases from
64 that all come into question. They end no sentence either: the written search takes as many steps as `--words` allows,
24 by default, twice what BLIP's captions have. The captioner's words are those of the CLIP's own vocabulary, so that
they have as many tokens as real ones. Not a test: nothing is asserted.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, TypeVar, cast
from unittest.mock import patch

import captions
import numpy as np
import open_clip
import torch
import transformers
from measuring import Seconds, alternating
from memory import model_folder
from PIL import Image
from skimage import data, img_as_ubyte
from torch import Tensor
from unrender.core.clip import Clip
from unrender.core.describe import Captioner
from unrender.core.describe.writing.ways import model_for
from unrender.core.evidence.likelihoods import Answer, Evidence
from unrender.core.evidence.of_engine import load_bank, load_evidence
from unrender.core.phrases import Category, load_vocabulary
from unrender.core.phrases.composed import composed_prompts
from unrender.core.phrases.families import BUILT_IN_FAMILIES, read_families
from unrender.core.phrases.table import PhraseTable
from unrender.core.progress import SILENT
from unrender.core.prompt.honest import listed, saying
from unrender.core.prompt.honest.in_context import heard_of
from unrender.core.prompt.interrogate import Interrogator, Subject
from unrender.core.prompt.search import Scorer, Trail
from unrender.core.prompt.subject import Writing
from unrender.core.settings import SEARCHES, CaptionSettings, Settings

Made = TypeVar("Made")
AT_MOST = {"honest, families": (12, 8), "honest, lists": (3, 8)}
"""How many families are sure, and how many phrases of the lists there may be."""
CAPTIONS = {
    "astronaut": "a photograph of a woman in an orange space suit standing in front of a flag",
    "coffee": "a cup of coffee with a spoon on a wooden table",
    "cat": "a close up of an orange cat looking at the camera",
    "rocket": "a rocket launching into the night sky with smoke",
    "camera": "a black and white photo of a man in a coat with a camera on a tripod",
    "stereo_motorcycle": "a red motorcycle parked in a garage",
    "clock": "a blurred clock on a white wall",
    "coins": "rows of old coins on a dark background",
    "page": "a page of a book with printed text",
    "text": "handwriting on a sheet of paper",
    "moon": "the surface of the moon with craters",
    "hubble_deep_field": "many galaxies and stars in deep space",
    "retina": "an orange eye on a black background",
    "immunohistochemistry": "brown and blue cells under a microscope",
    "cell": "a gray cell under a microscope",
    "microaneurysms": "small dark spots on gray skin",
    "brick": "a brick wall",
    "grass": "a field of grass seen from above",
    "gravel": "gray gravel on the ground",
    "lfw_subset": "a black and white portrait of a man",
}


@dataclass(frozen=True)
class Photograph:
    """features [width]: the CLIP looks once at a picture, whatever the search, and that is not counted."""

    name: str
    image: Image.Image
    caption: str
    features: Tensor


@dataclass(frozen=True)
class Cost:
    """Of one search over the pictures. seconds: a picture, the median and the most. share: of the peer's, in the median
    picture and at worst. texts: that the CLIP was asked, a picture. phrases, words: that the prompts have."""

    search: str
    seconds: float
    most_seconds: float
    share: float | None
    worst_share: float | None
    texts: float
    phrases: float
    words: float


class Sure(Evidence):
    """Of so many families that the caption says nothing of, those with the shortest wordings, the likeliest concept is
    sure, and of no other."""

    count = 0

    def answers(self, features: Tensor, caption: str = "") -> dict[str, Answer]:
        found = super().answers(features, caption)
        said = {claim.family.name for claim in self.claims.read(caption)}
        asked = [answer for name, answer in found.items() if name not in said and answer.family.excludes]
        asked.sort(key=_length)
        sure = frozenset(answer.family.name for answer in asked[: self.count])
        return {name: answer if name in said else _told(answer, name in sure) for name, answer in found.items()}


def _length(answer: Answer) -> int:
    """Of the longest wording; of short ones a prompt has room for many."""
    return max(map(len, answer.concept(answer.ranked[0]).spoken))


def _told(answer: Answer, sure: bool) -> Answer:
    likelihoods = np.full(len(answer.likelihoods), -1.0)
    likelihoods[answer.ranked[0]] = 1.0 if sure else -1.0
    return replace(answer, likelihoods=likelihoods)


class Benchmark:
    def __init__(self, clip: str, captioner: str, words: int, kept: Path, device: str, precision: str) -> None:
        folder, tables = model_folder(clip, kept), kept / "tables"
        self.clip, self.device = Clip.load(folder, device, precision), torch.device(device)
        tabled = Clip.load(folder, device, "bfloat16")  # the same weights: tables take a third of the time so
        self.vocabulary = load_vocabulary("peer")
        self.settings = Settings(phrases="peer", captioning=CaptionSettings(max_length=words))
        self.captioner = None if captioner == "none" else captioner_of(captioner, kept)
        self.once: dict[str, float] = {}
        self.table = self._once(
            "the lists' table",
            lambda: PhraseTable.load(tabled, self.vocabulary.positive(), tables, SILENT),
        )
        self.evidence = self._evidence(tables, tabled)
        self.asked = 0
        self._count()

    def _once(self, what: str, make: Callable[[], Made]) -> Made:
        took, made = self._timed(make)
        self.once[what] = round(took.cpu[0], 1)
        return made

    def _timed(self, make: Callable[[], Made]) -> tuple[Seconds, Made]:
        """`alternating` would call it twice on a GPU."""
        made: list[Made] = []
        return alternating({"": lambda: made.append(make())}, 1, torch.device("cpu"))[""], made[0]

    def _evidence(self, tables: Path, tabled: Clip) -> Evidence:
        families = self._once("reading the families", lambda: read_families(BUILT_IN_FAMILIES))
        bank = self._once(
            "the bank of composed texts",
            lambda: load_bank(tabled, None, tables, lambda count: composed_prompts(self.vocabulary, count)),
        )
        bank = replace(bank, clip=self.clip.name)

        def load_table(category: Category) -> PhraseTable:
            return PhraseTable.load(tabled, [category], tables, SILENT, 0)

        evidence = self._once("the families' table", lambda: load_evidence(self.clip, families, load_table, bank))
        self._once("the families' deviations", lambda: evidence.deviations)
        return evidence

    def _count(self) -> None:
        """How many texts the CLIP is asked."""
        text = self.clip.text
        encode, continuations = text.encode, text.encode_continuations

        def counted(texts: Sequence[str]) -> Tensor:
            self.asked += len(texts)
            return encode(texts)

        def counted_continuations(prompt: str, phrases: Sequence[str], rough: bool = False) -> Tensor:
            self.asked += len(phrases) if prompt else 0
            return continuations(prompt, phrases, rough)

        text.encode, text.encode_continuations = counted, counted_continuations  # type: ignore[method-assign]

    def costs(self, searches: Sequence[str], names: Sequence[str]) -> list[Cost]:
        sides = {search: self._interrogator(search) for search in searches}
        for interrogator in sides.values():
            interrogator.prepare("best")
        self._share_lists({search: each for search, each in sides.items() if each._is_honest})
        photographs = [self._photograph(name) for name in names]
        for interrogator in sides.values():  # the first knows no phrase's tokens yet
            interrogator.run("fast", Subject(photographs[0].features, CAPTIONS["astronaut"]))
        seconds = {search: Seconds([], []) for search in searches}
        trails: dict[str, list[Trail]] = {search: [] for search in searches}
        asked: dict[str, list[int]] = {search: [] for search in searches}
        for photograph, search in itertools.product(photographs, searches):
            self.asked = 0
            took, trail = self._timed(partial(self._run, sides[search], search, photograph))
            trails[search].append(trail)
            seconds[search].cpu.extend(took.cpu)
            seconds[search].wall.extend(took.wall)
            asked[search].append(self.asked)
            print(f"{photograph.name:<22}{search:<18}{took.cpu[0]:>8.2f} s {self.asked:>7} texts", flush=True)
            print(f"  {trail.prompt}", flush=True)
        return [_cost(search, self._times(seconds), asked[search], trails[search]) for search in searches]

    def _share_lists(self, sides: Mapping[str, Interrogator]) -> None:
        """What is known of the lists' phrases, computed once for all."""
        lists = listed.Lists(self.table, self.evidence.bank, self.evidence.scale)
        if sides:
            self._once("the lists' means and deviations", lambda: (lists._means, lists._deviations, lists._names))
        for search, interrogator in sides.items():
            own = listed.Lists(self.table, self.evidence.bank, self.evidence.scale)
            own.__dict__ |= lists.__dict__ | ({"enough": -np.inf} if search in AT_MOST else {})
            interrogator._honest.__dict__["_lists"] = own

    def _times(self, seconds: dict[str, Seconds]) -> dict[str, list[float]]:
        return {name: each.wall if self.device.type == "cuda" else each.cpu for name, each in seconds.items()}

    def _interrogator(self, search: str) -> Interrogator:
        if search in AT_MOST:
            families, phrases = AT_MOST[search]
            evidence = self._sure(families)
            settings = replace(self.settings, search="honest", max_phrases=families + phrases)
        else:
            evidence, settings = self.evidence, replace(self.settings, search=search)
        return Interrogator(self.clip, self.vocabulary, lambda: self.table, settings, SILENT, lambda: evidence)

    def _sure(self, count: int) -> Evidence:
        """Of the same table, which is not read twice."""
        evidence = Sure.__new__(Sure)
        evidence.__dict__ |= {**self.evidence.__dict__, "count": count}
        return evidence

    def _run(self, interrogator: Interrogator, search: str, photograph: Photograph) -> Trail:
        subject = Subject(photograph.features, photograph.caption)
        if interrogator._is_honest and self.captioner is not None:
            words = self.captioner.next_words(self.captioner.seen(photograph.image), self.settings.captioning)
            assert words is not None
            heard = heard_of(words, self.evidence, photograph.features, photograph.caption)
            writing = Writing(words, subject.caption) if search == "written" else None
            subject = replace(subject, writing=writing, heard=heard)
        with _at_most() if search in AT_MOST else nullcontext():
            return interrogator.run("best", subject)

    def _photograph(self, name: str) -> Photograph:
        known = getattr(data, name)()
        pixels = known[0] if name in ("stereo_motorcycle", "lfw_subset") else known  # two views, many faces
        image = Image.fromarray(img_as_ubyte(pixels)).convert("RGB")
        return Photograph(name, image, CAPTIONS[name], self.clip.encode_images([image])[0])


@contextmanager
def _at_most() -> Iterator[None]:
    """What is sure is said, and each round takes a phrase of the lists."""
    extended = listed.extended

    def gaining(scorer: Scorer, *others: Any) -> Trail:
        return extended(cast(Scorer, Gaining(scorer)), *others)

    with (
        patch.object(saying, "SURE_TO_SAY", 0.0),
        patch.object(listed, "SHARE_BELOW", 0.0),
        patch.object(listed, "extended", gaining),
    ):
        yield


class Gaining:
    """A scorer by which every round brings something."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer, self._rounds = scorer, 0

    def continuations(self, prompt: str, phrases: Sequence[str]) -> np.ndarray:
        self._rounds += 1
        return self._scorer.continuations(prompt, phrases) + self._rounds


def _cost(search: str, times: dict[str, list[float]], asked: Sequence[int], trails: Sequence[Trail]) -> Cost:
    own, peers = times[search], times.get("peer")
    shares = [one / other for one, other in zip(own, peers, strict=True)] if peers else None
    return Cost(
        search,
        round(median(own), 2),
        round(max(own), 2),
        round(median(shares), 3) if shares else None,
        round(max(shares), 3) if shares else None,
        round(float(np.mean(asked)), 1),
        round(float(np.mean([len(trail.phrases) for trail in trails])), 1),
        round(float(np.mean([len(trail.prompt.split()) for trail in trails])), 1),
    )


def captioner_of(size: str, folder: Path) -> Captioner:
    model, made = captions.random_blip(size), captions.processor(folder / "blip")
    words = [word[:-4] for word in open_clip.tokenizer.SimpleTokenizer().encoder if word.endswith("</w>")]
    plain = dict.fromkeys(word for word in words if word.isascii() and word.isalpha())
    special = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", captions.END: "[SEP]", 103: "[MASK]"}
    rest = iter(plain)
    names = {special.get(number) or next(rest, f"word{number}"): number for number in range(captions.START)}
    made.tokenizer = transformers.BertTokenizer(vocab=names)
    return Captioner("random BLIP", model_for("random BLIP", model, made, torch.float32))


def show(title: str, once: dict[str, float], costs: Sequence[Cost]) -> None:
    print(f"\n{title}\n")
    print(f"{'search':<18}{'s':>8}{'most':>8}{'share':>8}{'worst':>8}{'texts':>9}{'phrases':>9}{'words':>7}")
    for each in costs:
        shares = [f"{share:>8.3f}" if share is not None else f"{'':>8}" for share in (each.share, each.worst_share)]
        print(
            f"{each.search:<18}{each.seconds:>8.2f}{each.most_seconds:>8.2f}{''.join(shares)}"
            f"{each.texts:>9.0f}{each.phrases:>9.1f}{each.words:>7.1f}"
        )
    print("\nonce, CPU seconds, of those kept on disk the reading:")
    for what, seconds in once.items():
        print(f"  {what:<45}{seconds:>8.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--clip", default="ViT-L-14")
    parser.add_argument("--captioner", choices=("none", *captions.VISION), default="large")
    parser.add_argument("--searches", nargs="+", default=["peer", "honest", *AT_MOST, "written", "beam"])
    parser.add_argument("--pictures", type=int, default=2, help=f"{len(CAPTIONS)} at most")
    parser.add_argument("--words", type=int, default=24, help="tokens of the captioner that the written search takes")
    parser.add_argument("--kept", type=Path, help="where the model and its tables are kept between runs")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path("runs"))
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    if unknown := set(options.searches) - {*SEARCHES, *AT_MOST}:
        parser.error(f"there is no search {', '.join(sorted(unknown))}")
    if options.captioner == "none" and "written" in options.searches:
        options.searches.remove("written")
    with tempfile.TemporaryDirectory() as temporary:
        kept = options.kept or Path(temporary)
        benchmark = Benchmark(options.clip, options.captioner, options.words, kept, options.device, options.precision)
        costs = benchmark.costs(options.searches, list(CAPTIONS)[: options.pictures])
    unit = "wall seconds" if options.device == "cuda" else "CPU seconds of one thread"
    title = (
        f"{options.clip}, BLIP {options.captioner}, {options.pictures} photographs, {unit}, torch {torch.__version__}"
    )
    show(title, benchmark.once, costs)
    report = {"title": title, "once": benchmark.once, "searches": [asdict(each) for each in costs]}
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / f"searches-{options.clip}.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
