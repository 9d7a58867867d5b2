"""The pages ask before a download begins, with its size; programs that use the API do not."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from hub_server import no_settings_of_this_machine_fixture, server_fixture  # noqa: F401
from unrender.core.engine import Settings
from unrender.core.errors import ImageError, ModelError
from unrender.core.hub import Hub
from unrender.server import host as hosts
from unrender.server.choices import BUILT_IN, Study
from unrender.server.downloads import Download, DownloadFirst, download_of, downloads_of, size
from unrender.server.embeddings import EmbeddingRequest, Weighted, embedded
from unrender.server.host import alone
from unrender.server.jobs import Job
from unrender.server.models import Models
from unrender.server.needs import SIGHT, needs_of
from unrender.server.service import ASK, DONE, Service, follow
from unrender.server.stores import downloaded
from unrender.server.work import analysis

pytestmark = pytest.mark.usefixtures("no_settings_of_this_machine")
NAME = "someone/clip"


@pytest.fixture
def host(tmp_path):
    return alone(Settings(clip="micro", captioner="micro", device="cpu", cache=tmp_path))


@pytest.fixture
def files(server, transformers_folder):
    server.repos[NAME] = {path.name: path.read_bytes() for path in transformers_folder.iterdir()}
    return server.repos[NAME]


def asked_by_a_page(*agreed: str) -> Job:
    job = Job()
    job.agreed = agreed
    return job


def test_what_is_not_there_is_asked_about_with_its_size_and_nothing_is_fetched(host, server, files, photographs):
    with pytest.raises(DownloadFirst) as asked:
        analysis(host, Study(photographs[0], NAME, BUILT_IN), ["mediums"], False, asked_by_a_page())
    whole = sum(map(len, files.values()))
    assert asked.value.names == (NAME,) and asked.value.problem == f"{NAME}: {size(whole)} to download"
    assert server.asked("GET", "model.safetensors") == [] and host.models.loaded == []


def test_who_agreed_gets_it_and_is_not_asked_again(host, files, photographs):
    study = Study(photographs[0], NAME, BUILT_IN)
    assert analysis(host, study, ["mediums"], False, asked_by_a_page(NAME)).analysis.categories
    assert download_of(NAME, Hub(host.settings().cache)) is None
    host.models.unload()
    assert analysis(host, study, ["mediums"], False, asked_by_a_page()).analysis.categories


def test_another_model_than_was_agreed_to_is_asked_about(host, files, photographs):
    with pytest.raises(DownloadFirst):
        analysis(host, Study(photographs[0], NAME, BUILT_IN), [], False, asked_by_a_page("someone/else"))


def test_who_asks_by_a_program_is_not_asked_back(host, files, photographs):
    assert analysis(host, Study(photographs[0], NAME, BUILT_IN), ["mediums"], False, Job()).analysis.categories


def test_nothing_is_asked_about_what_needs_no_download(tmp_path, transformers_folder, server):
    for clip in ("micro", "MICRO", os.fspath(transformers_folder)):
        settings = Settings(clip=clip, captioner="none", cache=tmp_path)
        assert downloads_of(settings, needs_of(settings, "best"), loaded=()) == []
    settings = Settings(clip=NAME, captioner="micro", cache=tmp_path)
    assert downloads_of(settings, needs_of(settings, "best"), loaded=[NAME]) == []
    assert server.requests == []


def test_the_captioner_is_asked_about_where_one_is_wanted(tmp_path, server, files):
    settings = Settings(clip="micro", captioner=NAME, cache=tmp_path)
    assert [each.name for each in downloads_of(settings, needs_of(settings, "best"), loaded=())] == [NAME]
    assert downloads_of(settings, SIGHT, loaded=()) == []


def test_a_fault_is_told_before_any_question(host, server):
    with pytest.raises(ImageError, match="no picture"):
        analysis(host, Study(None, NAME, BUILT_IN), [], False, asked_by_a_page())
    unknown = replace(host.settings(), clip="ViT-L-15/openai")
    with pytest.raises(ModelError, match="no CLIP model"), host.lent(asked_by_a_page(), unknown, SIGHT):
        pass
    assert server.requests == []


def test_the_page_models_asks_too(host, files):
    service = Service(host, str, [], [])

    def fetch(job: Job) -> str:
        return downloaded(host, NAME, job)

    *_, question = follow(service, fetch, str, agreed=())
    assert question.kind == ASK and question.asked == (NAME,) and " MB to download." in question.text
    *_, done = follow(service, fetch, str, agreed=question.asked)
    assert done.kind == DONE and f"{NAME} is in " in done.text


def test_sizes_are_as_hubs_and_drives_have_them():
    assert [size(count) for count in (1_710_540_580, 605_000_000, 4_200)] == ["1.71 GB", "605.0 MB", "0.0 MB"]


def test_the_best_embedding_takes_the_captioner_and_others_do_not(tmp_path, photographs, monkeypatch):
    host = alone(Settings(captioner="blip-large", device="cpu", cache=tmp_path))
    monkeypatch.setattr(hosts, "downloads_of", lambda _, needs, __: [Download(each, 1) for each in needs.describers])

    def wanted(family: str, **asked: str) -> tuple[str, ...]:
        request = EmbeddingRequest([Weighted(photographs[0], 1.0)], family, **asked)
        try:
            embedded(host, request, asked_by_a_page())
        except DownloadFirst as first:
            return first.names
        return ()

    assert wanted("sd15") == ("blip-large",)
    monkeypatch.setattr(Models, "engine", lambda *_: pytest.fail("nothing is to be downloaded"))
    with pytest.raises(pytest.fail.Exception):
        wanted("sd15", quality="good")
    with pytest.raises(pytest.fail.Exception):
        wanted("sd15", anchor="a boat")
    assert wanted("micro") == ("micro",)
