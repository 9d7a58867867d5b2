"""The API over HTTP: clip-interrogator-ext's routes, so that its clients keep working, and this program's own."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Depends, Request, Response

from .. import __version__
from ..core.choices import NONE, VOCABULARIES
from ..core.micro.toy import MICRO
from ..core.tags import of_category, rating_of
from ..core.targets import TARGET_NAMES
from . import api_models as models
from .api_route import Guard, api_route
from .api_settings import cache_folder, description_asked, interrogation_asked, named, tagger_for, tags_asked
from .bodies import Bodies
from .choices import bytes_of, captioners, taggers, vocabulary_folders
from .host import Host
from .needs import SIGHT, Needs, embedding_settings, needs_of, sight_of
from .tagged import analysed

if TYPE_CHECKING:
    from PIL.Image import Image

_FILE = "application/octet-stream"
_OWN = "/unrender/v1"
_PEER = "/interrogator"
_PEER_CATEGORIES = {
    "medium": "mediums",
    "artist": "artists",
    "movement": "movements",
    "trending": "sites",
    "flavor": "flavors",
}
_PEER_LABELS = 5
_MEANINGS = {
    403: "asked by another site's page, or by a name that this server has not",
    408: "the body did not come in time",
    413: "the request is too large",
    415: "the body is not declared as JSON",
    422: "the request's fault",
    500: "this program's fault",
    503: "memory is short, too many wait, or the work was stopped; Retry-After says when to ask again, if it may help",
}
_UNKNOWN = {401: "credentials are absent or wrong"}


def router(host: Host, guard: Guard | None = None) -> APIRouter:
    """All routes. guard: refuses those who may not use them."""
    meanings = {**({} if guard is None else _UNKNOWN), **_MEANINGS}
    refusals: dict[int | str, dict[str, Any]] = {
        status: {"model": models.Refusal, "description": meaning} for status, meaning in meanings.items()
    }
    made = APIRouter(
        route_class=api_route(guard, Bodies(), host.line.check),
        dependencies=[] if guard is None else [Depends(guard.scheme)],
        responses=refusals,
        tags=["unrender"],
    )
    peer, own = _PeerRoutes(host), _OwnRoutes(host)
    made.add_api_route(f"{_PEER}/models", peer.models, methods=["GET"], response_model=list[str])
    made.add_api_route(f"{_PEER}/prompt", peer.prompt, methods=["POST"], response_model=models.PeerPrompt)
    made.add_api_route(f"{_PEER}/analyze", peer.analyze, methods=["POST"], response_model=models.PeerAnalysis)
    for name, answer in (
        ("interrogate", models.InterrogateAnswer),
        ("tag", models.TagAnswer),
        ("describe", models.DescribeAnswer),
        ("analyze", models.AnalyzeAnswer),
        ("match", models.MatchAnswer),
    ):
        made.add_api_route(f"{_OWN}/{name}", getattr(own, name), methods=["POST"], response_model=answer)
    as_file = {200: {"content": {_FILE: {}}, "description": f"the file itself where {_FILE} is accepted"}}
    made.add_api_route(
        f"{_OWN}/embed", own.embed, methods=["POST"], response_model=models.EmbedAnswer, responses={**as_file}
    )
    made.add_api_route(f"{_OWN}/status", own.status, methods=["GET"], response_model=models.Status)
    made.add_api_route(f"{_OWN}/unload", own.unload, methods=["POST"], response_model=models.Status)
    return made


class _PeerRoutes:
    def __init__(self, host: Host) -> None:
        self._host = host

    def models(self) -> Any:
        """The CLIPs that can be named."""
        from ..core.clip.names import known_models

        return list(dict.fromkeys([*(known.name for known in known_models()), "micro", self._host.settings().clip]))

    def prompt(self, asked: models.PeerPromptRequest) -> Any:
        """A prompt for a picture."""
        with _picture(self._host, asked.image) as picture:
            settings = named(self._host.settings(), asked.clip_model_name)
            if settings.clip == MICRO:  # these routes know no captioner, and its words are of its own small world
                settings = replace(settings, captioner=MICRO)
            with self._host.engine(settings, needs_of(settings, asked.mode)) as engine:
                return {"prompt": engine.interrogate(picture, asked.mode).prompt}

    def analyze(self, asked: models.PeerAnalyzeRequest) -> Any:
        """What a picture is made of."""
        with (
            _picture(self._host, asked.image) as picture,
            self._host.engine(named(self._host.settings(), asked.clip_model_name), SIGHT) as engine,
        ):
            found = engine.analyze(picture, top=_PEER_LABELS, families=False)[0]
        labels = {each.category: {label.phrase: label.similarity for label in each.top} for each in found.categories}
        return {name: labels.get(category, {}) for name, category in _PEER_CATEGORIES.items()}


class _OwnRoutes:
    def __init__(self, host: Host) -> None:
        self._host = host

    def interrogate(self, asked: models.InterrogateRequest) -> Any:
        """A prompt for a picture, and where it comes from."""
        with _picture(self._host, asked.image) as picture:
            mode, settings, told, _ = interrogation_asked(self._host.settings(), asked)
            with self._host.engine(settings, needs_of(settings, mode, asked.caption is not None)) as engine:
                return {**engine.interrogate(picture, mode, asked.caption).to_dict(), "remark": told}

    def tag(self, asked: models.TagRequest) -> Any:
        """The tags of a picture. No CLIP is loaded."""
        with _picture(self._host, asked.image) as picture:
            settings = tags_asked(self._host.settings(), asked)
            with self._host.engine(settings, needs_of(settings, "tags")) as engine:
                found = engine.interrogate(picture, "tags")
        return {
            "text": found.prompt,
            "tags": [vars(tag) for tag in found.tags],
            "characters": [tag.name for tag in of_category(found.tags, "character")],
            "rating": rating_of(found.tags),
            "tagger": found.model,
            "seconds": found.seconds,
        }

    def describe(self, asked: models.DescribeRequest) -> Any:
        """What a describer says of a picture, whole. No CLIP is loaded."""
        with _picture(self._host, asked.image) as picture:
            settings = description_asked(self._host.settings(), asked)
            with self._host.engine(settings, Needs(False, (str(settings.captioner),))) as engine:
                started = time.perf_counter()
                found = engine.describe([picture])[0]
                seconds = time.perf_counter() - started
        tags = [vars(tag) for tag in found.tags]
        return {"text": found.text, "captioner": settings.captioner, "tags": tags, "seconds": seconds}

    def analyze(self, asked: models.AnalyzeRequest) -> Any:
        """Per category, the phrases most like a picture and how likely each is among the others; and its tags."""
        with _picture(self._host, asked.image) as picture:
            usual = self._host.settings()
            settings = named(usual, asked.clip, None, asked.vocabulary)
            settings = replace(settings, tagger=tagger_for(usual, asked.tagger))
            with self._host.engine(settings, sight_of(settings)) as engine:
                return analysed(engine, picture, asked.categories, asked.top, asked.families).to_dict()

    def match(self, asked: models.MatchRequest) -> Any:
        """Which phrase fits which picture, and the other way round."""
        from ..core.study.match import check_question

        check_question(asked.phrases, asked.templates)
        with (
            _pictures(self._host, asked.images) as pictures,
            self._host.engine(named(self._host.settings(), asked.clip), SIGHT) as engine,
        ):
            return engine.match(pictures, asked.phrases, asked.templates).to_dict()

    def embed(self, asked: models.EmbedRequest, request: Request) -> Any:
        """Pictures as an embedding that a diffusion model takes in a prompt's place."""
        from ..core.embed.blend import Blend, check_asked, checked_way
        from ..core.embed.families import offered_family
        from ..core.embed.tuned_places import refuse_places

        family = offered_family(asked.family)
        refuse_places(asked.projection)
        way = checked_way(family, asked.projection, asked.quality)
        blend = Blend(asked.weights, asked.mix, asked.text, asked.alpha, asked.strength, asked.anchor)
        check_asked(blend, asked.projection, asked.quality)
        with _pictures(self._host, asked.images) as pictures:
            settings = named(self._host.settings(), asked.clip)
            if asked.clip is None:
                settings = replace(settings, clip=self._host.seeing(family))
            settings, needs = embedding_settings(settings, way.searched and asked.anchor is None)
            with self._host.engine(settings, needs) as engine:
                made = engine.embed(pictures, family.name, asked.projection, blend, quality=asked.quality)
        if _FILE in request.headers.get("Accept", ""):
            return Response(made.to_bytes(), media_type=_FILE)
        embedding = base64.b64encode(made.to_bytes()).decode()
        return {"embedding": embedding, "description": made.description, "remark": made.remark}

    def status(self) -> Any:
        """What can be named, and which models are in memory."""
        settings = self._host.settings()
        return {
            "version": __version__,
            "clip": settings.clip,
            "captioner": settings.captioner or NONE,
            "tagger": settings.tagger or NONE,
            "captioners": list(dict.fromkeys([*captioners(), settings.captioner or NONE, *settings.rivals])),
            "taggers": list(dict.fromkeys([*taggers(), settings.tagger or NONE])),
            "targets": list(TARGET_NAMES),
            "vocabularies": [*VOCABULARIES, *vocabulary_folders(cache_folder(settings))],
            "loaded": [loaded._asdict() for loaded in self._host.models.loaded],
            "doing": self._host.jobs.lines,
        }

    def unload(self) -> Any:
        """Frees the models' memory, on the device and in RAM."""
        self._host.unload()
        return self.status()


@contextmanager
def _pictures(host: Host, texts: Sequence[str], name: str = "images {}") -> Iterator[list[Image]]:
    """Opened, and held within what all requests together may hold. Raises ImageError, LineIsFull, Cancelled."""
    with host.pixels.held(host.job()) as opening:
        yield [opening(bytes_of(text), name.format(number)) for number, text in enumerate(texts, 1)]


@contextmanager
def _picture(host: Host, text: str) -> Iterator[Image]:
    with _pictures(host, [text], "image") as pictures:
        yield pictures[0]
