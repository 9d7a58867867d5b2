"""A user's program that takes every public name in hand. It is read by a type checker and not run (test_typing.py)."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from unrender import (
    Analysis,
    Batch,
    BatchError,
    Blend,
    Box,
    Cancelled,
    CaptionSettings,
    CategoryAnalysis,
    Clip,
    Contender,
    Describer,
    Description,
    EmbeddingError,
    EndpointSettings,
    Engine,
    FileMetadata,
    Finding,
    FolderSource,
    Found,
    GapCorrection,
    HeatMap,
    ImageError,
    IndexFileError,
    Interrogation,
    Item,
    Likelihood,
    Location,
    Match,
    MissingPackageError,
    Mode,
    ModelError,
    NotOnHubError,
    Outcome,
    PhraseError,
    PhraseGain,
    Picture,
    PictureIndex,
    Progress,
    PromptEmbedding,
    Ranked,
    RayBatch,
    Report,
    Settings,
    SettingsError,
    Shard,
    Sink,
    Source,
    Tag,
    TagFilter,
    TagSettings,
    Task,
    Template,
    TextFileError,
    UndescribedError,
    UnrenderError,
    Updated,
    curate,
    open_image,
    read_index,
    read_metadata,
    search,
    sink_named,
    source_named,
    update_index,
    write_page,
)


class Watched(Progress):
    stopped = False

    def check(self) -> None:
        if self.stopped:
            raise Cancelled("Stopped.")

    @contextmanager
    def task(self, label: str, total: int | None = None, unit: str = "") -> Generator[Task]:
        with super().task(label, total, unit) as task:
            yield task


def prompts(engine: Engine, pictures: Sequence[Picture], mode: Mode) -> list[str]:
    found: Interrogation = engine.interrogate(pictures[0], mode, caption="a harbour")
    phrases: tuple[PhraseGain, ...] = found.phrases
    gains: list[float] = [phrase.gain for phrase in (*phrases, *engine.worth(pictures[0], found.prompt))]
    gains += engine.similarity(pictures[0], [found.prompt])
    shared = engine.interrogate_together(pictures, mode, weights=gains)
    return [found.prompt, shared.prompt, *(each.prompt for each in engine.interrogate_each(pictures, mode))]


def shown(engine: Engine, picture: Picture) -> dict[str, float]:
    analysis: Analysis = engine.analyze(picture, ["mediums"], top=3)[0]
    together: Analysis = engine.analyze_together([picture, picture], weights=[1, 2])
    mediums: CategoryAnalysis = analysis["mediums"]
    likeliest: Likelihood = mediums.top[0]
    match: Match = engine.match([picture], ["a cat", "a dog"], ["a photo of {}"])
    best: Ranked = match.ranked_phrases(0)[0]
    location: Location = engine.locate(picture, "a cat")
    boxes: tuple[Box, ...] = location.boxes
    heat: HeatMap = engine.explain(picture, ["a cat"])[0]
    scores = {
        match.phrases[best.index]: best.similarity,
        heat.phrase: heat.highest,
        likeliest.phrase: likeliest.likelihood,
    }
    return scores | {str(box.left): box.score for box in boxes} | {together.model: float(heat.values.max())}


def embedded(engine: Engine, pictures: list[str]) -> Path:
    gap: GapCorrection = engine.measure_gap(pictures)
    blend = Blend(weights=[1.0, 2.0], mix="spherical", text="in winter")
    embedding: PromptEmbedding = engine.embed(pictures, "sd15", "pinv", blend, gap)
    again = PromptEmbedding.from_bytes(embedding.to_bytes())
    place = Path("embedding.safetensors")
    (again if again.states is not None else engine.embed_text("in winter", "sd15")).save(place)
    return place


def batch(engine: Engine, folder: Path) -> Iterator[str]:
    source: Source = FolderSource(folder, recursive=True)
    sink: Sink = sink_named("txt", source.root, existing="overwrite", template=Template("ohwx, {prompt}"))
    items: list[Item] = list(source_named([str(folder)]))
    run = Batch(engine, source, sink, "fast", resume=True, shard=Shard(1, 2))
    outcome: Outcome
    for outcome in run:
        yield outcome.result.prompt if outcome.result else outcome.error
    yield f"{run.written} of {len(items)}"


def on_a_cluster(folder: str) -> int:
    def sink_of(*, shard: Shard) -> Sink:
        return sink_named("jsonl", Path(folder), shard=shard)

    run = RayBatch(Settings(clip="micro"), source_named([folder]), sink_of, "fast", progress=Watched())
    return sum(done.written for done in run)


def looked_through(engine: Engine, folder: Path) -> list[str]:
    updated: Updated = update_index(engine, folder)
    index: PictureIndex = read_index(updated.path)
    nearest: tuple[Found, ...] = search(index, engine.text_features(["a boat"])[0].numpy(), top=5)
    nearest += search(index, None, 5, TagFilter(wanted=("1girl",), ratings=("general",)))
    report: Report = curate(engine, folder)
    findings: tuple[Finding, ...] = report.of("duplicate")
    write_page(report, folder / "report.html")
    said: FileMetadata = read_metadata(nearest[0].path)
    return [said.prompt, *(finding.said for finding in findings)]


class Colours(Describer):
    """A describer of one's own."""

    name = "colours"

    def describe(
        self, images: Iterable[Image.Image], settings: CaptionSettings | None = None, progress: Progress | None = None
    ) -> list[Description]:
        return [Description(str(image.size), (Tag("square", 0.5),)) for image in images]


def described(picture: Picture) -> list[str]:
    writing = CaptionSettings(tags=TagSettings(general=0.3), endpoint=EndpointSettings(retries=0))
    settings = Settings(captioner="colours", tagger="wd-vit", rivals=("micro",), candidates=2, captioning=writing)
    with Engine(settings, load_describer=lambda name, progress: Colours()) as engine:
        found: Interrogation = engine.interrogate(picture, "tags")
        tags: tuple[Tag, ...] = found.tags
        contenders: tuple[Contender, ...] = engine.interrogate(picture, "caption").contenders
        similarity: float | None = found.similarity
    told = [f"{tag.name} {tag.confidence:.2f} {tag.category}" for tag in tags]
    return [
        *told,
        *(f"{each.text} {each.describer} {each.seed} {each.similarity}" for each in contenders),
        str(similarity),
    ]


def engine_of(model: str) -> Engine:
    settings = Settings(clip=model, captioner=None, captioning=CaptionSettings(beams=3), limits={"artists": 0})
    clip: Clip = Clip.load(settings.clip, settings.device)
    print(clip.name, clip.encode_images([open_image("photo.jpg")]).shape)
    return Engine(settings, clip=clip, progress=Watched())


def main() -> None:
    try:
        with engine_of("micro") as engine:
            print(prompts(engine, ["a.jpg", b"", open_image("b.jpg")], "fast"), shown(engine, Path("a.jpg")))
            print(embedded(engine, ["a.jpg"]), *batch(engine, Path("photos")), looked_through(engine, Path("photos")))
            print(on_a_cluster("photos"), described("a.jpg"))
    except (ImageError, NotOnHubError, UndescribedError, ModelError) as error:
        print(error)
    except (PhraseError, SettingsError, TextFileError) as error:
        print(error)
    except (BatchError, EmbeddingError, IndexFileError, MissingPackageError, Cancelled) as error:
        print(error)
    except UnrenderError as error:
        print(error)
