"""What the pages have done for them, without gradio."""

from __future__ import annotations

import gc
import weakref

import pytest
from hub_server import no_settings_of_this_machine_fixture, server_fixture  # noqa: F401
from unrender.core.embed.blend import Blend
from unrender.core.engine import Engine, Settings
from unrender.core.errors import Cancelled, EmbeddingError, ImageError, MissingPackageError, ModelError, SettingsError
from unrender.server.batches import BatchRequest, described
from unrender.server.choices import Request, Study
from unrender.server.embeddings import EmbeddingRequest, Weighted, embedded, load, previewed, save, saved
from unrender.server.host import alone
from unrender.server.jobs import Job
from unrender.server.stores import disk_table, downloaded, memory_table, vocabulary_table
from unrender.server.work import analysis, location, matched


@pytest.fixture
def host(tmp_path):
    return alone(Settings(clip="micro", captioner="micro", device="cpu", cache=tmp_path))


def study(picture):
    return Study(picture, "micro")


# --- Analyze


def test_labels_are_shown_where_charts_cannot_be_drawn(host, photographs, monkeypatch):
    pytest.importorskip("matplotlib", reason="charts need matplotlib")
    found = analysis(host, study(photographs[0]), [], False, Job())
    assert found.chart is not None and found.remark == ""

    def no_chart(*_):
        raise MissingPackageError("Charts need matplotlib; run `pip install matplotlib`.")

    monkeypatch.setattr("unrender.core.drawing.chart.chart_image", no_chart)
    without = analysis(host, study(photographs[0]), [], False, Job())
    assert without.analysis == found.analysis and without.chart is None and "matplotlib" in without.remark


def test_a_chart_is_as_dark_as_the_page(host, photographs):
    pytest.importorskip("matplotlib", reason="charts need matplotlib")
    light, dark = (analysis(host, study(photographs[0]), ["mediums"], ground, Job()).chart for ground in (False, True))
    assert light is not None and dark is not None
    assert sum(light.getpixel((1, 1))) > 600 > 200 > sum(dark.getpixel((1, 1)))


def test_questions_without_words_are_refused_before_anything_is_loaded(host, photographs):
    for ask in (
        lambda: matched(host, study(photographs[0]), " \n", "", Job()),
        lambda: matched(host, study(photographs[0]), "a cat", "no place", Job()),
        lambda: location(host, study(photographs[0]), " ", Job()),
    ):
        with pytest.raises(SettingsError):
            ask()
    assert host.models.loaded == []


# --- Embedding


def asked(*pictures, **values):
    return EmbeddingRequest([Weighted(*each) for each in pictures], "micro", **values)


def test_pictures_count_by_their_weights_and_not_at_all_at_zero(host, photographs):
    first, second, third = photographs[:3]
    wanted = {"quality": "quick", "text": "blue", "alpha": 0.3}
    made = embedded(host, asked((first, 1.0), (None, 1.0), (second, 0.25), (third, 0.0), **wanted), Job())
    with Engine(host.settings()) as engine:
        blend = Blend([1, 0.25], text="blue", alpha=0.3)
        expected = engine.embed([first, second], "micro", blend=blend, quality="quick")
    assert (made.embedding.states - expected.states).abs().max() < 1e-4
    assert made.embedding.picture == expected.picture and "2 pictures" in made.summary
    with pytest.raises(ImageError, match="no picture"):
        embedded(host, asked((first, 0.0), (None, 1.0)), Job())


def test_words_that_describe_the_pictures_spare_the_search_and_a_projection_takes_the_qualitys_place(host, photographs):
    picture = photographs[0]
    described = embedded(host, asked((picture, 1.0), quality="best", anchor=" a red star "), Job())
    assert [each.kind for each in host.models.loaded] == ["clip"]
    named = embedded(host, asked((picture, 1.0), quality="best", projection="pinv"), Job())
    with Engine(host.settings()) as engine:
        expected = engine.embed(picture, "micro", "soft", Blend(anchor="a red star"))
    assert (described.embedding.states - expected.states).abs().max() < 1e-4
    assert named.embedding.projection == "pinv"


def test_an_embedding_is_saved_listed_and_loaded(host, photographs):
    made = embedded(host, asked((photographs[0], 1.0), quality="quick"), Job())
    path = save(host, made, " a boat ")
    assert path.parent == (host.settings().cache / "prompt_embeddings").resolve()
    assert saved(host) == ["a boat.safetensors"]
    assert (load(host, "a boat.safetensors").embedding.states == made.embedding.states).all()
    for name in ("../up", "", "/etc/here"):
        with pytest.raises(EmbeddingError, match="no name"):
            save(host, made, name)
    with pytest.raises(EmbeddingError, match="no saved embedding"):
        load(host, "../a boat.safetensors")
    with pytest.raises(EmbeddingError, match="no embedding yet"):
        save(host, None, "a boat")


def test_a_preview_is_what_is_nearest_or_what_a_checkpoint_renders(host, photographs, tmp_path):
    pytest.importorskip("diffusers")
    from unrender.training.diffusion import new_autoencoder, new_unet, write_pipeline

    made = embedded(host, asked((photographs[0], 1.0), (photographs[1], 0.5), quality="quick"), Job())
    words = previewed(host, made, " ", Job())
    with Engine(host.settings()) as engine:
        expected = engine.analyze_together(photographs[:2], None, 5, [1, 0.5])
    assert words.image is None and words.nearest is not None
    assert [row["phrase"] for row in words.nearest.rows()] == [row["phrase"] for row in expected.rows()]
    write_pipeline(tmp_path / "checkpoint", new_autoencoder(), new_unet())
    rendered = previewed(host, made, str(tmp_path / "checkpoint"), Job())
    assert rendered.nearest is None and rendered.image is not None
    save(host, made, "kept")
    again = previewed(host, load(host, "kept.safetensors"), str(tmp_path / "checkpoint"), Job())
    assert again.image is not None and again.image.tobytes() == rendered.image.tobytes()
    with pytest.raises(EmbeddingError, match="name a checkpoint"):
        previewed(host, load(host, "kept.safetensors"), "", Job())


# --- Models


def test_models_are_listed_and_their_memory_is_freed(host, photographs):
    assert "No model is in memory" in memory_table(host)
    analysis(host, study(photographs[0]), ["mediums"], False, Job())
    assert all(word in memory_table(host) for word in ("clip", "micro", "MB", "cpu"))
    weights = weakref.ref(host.models._clip[1])
    host.models.unload()
    gc.collect()
    assert weights() is None and "No model is in memory" in memory_table(host)


def test_a_model_is_downloaded_with_progress(host, server, transformers_folder):
    server.repos["someone/clip"] = {path.name: path.read_bytes() for path in transformers_folder.iterdir()}
    lines: list[str] = []

    class Heard(Job):
        def __setattr__(self, name, value):
            super().__setattr__(name, value)
            if name == "text":
                lines.append(value)

    said = downloaded(host, " someone/clip ", Heard())
    assert said.startswith("someone/clip is in ") and "MB" in said
    assert any(" of " in line and " MB" in line for line in lines), lines
    assert "someone/clip" in disk_table(host)
    assert downloaded(host, "someone/clip", Job()) == "someone/clip is on this disk already."
    assert "part of the package" in downloaded(host, "micro", Job())
    with pytest.raises(ModelError, match="nearest names"):
        downloaded(host, "ViT-L-14-openai", Job())


def test_own_vocabularies_are_listed_as_text(host):
    folder = host.settings().cache / "phrases" / "<mine>"
    folder.mkdir(parents=True)
    (folder / "flavors.txt").write_text("soft light\n", encoding="utf-8")
    assert "phrases/&lt;mine&gt;</td><td>flavors" in vocabulary_table(host)


# --- Batch


@pytest.fixture
def folder(tmp_path, photographs):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, photograph in enumerate(photographs[:3]):
        photograph.save(folder / f"{number}.png")
    return folder


def fast(folder, **values):
    return BatchRequest(str(folder), Request(None, "fast", "micro", "none"), **values)


def test_a_folder_is_described_and_then_left_alone(host, folder):
    assert described(host, fast(folder), Job()).startswith("3 pictures in ")
    assert (folder / "2.txt").read_text(encoding="utf-8").strip()
    assert described(host, fast(folder), Job()) == "No pictures are left to do."
    (folder / "empty").mkdir()
    for wrong, name in ((" ", "no folder"), (folder / "gone", "no folder"), (folder / "empty", "no pictures")):
        with pytest.raises(SettingsError, match=name):
            described(host, fast(wrong), Job())


def test_a_stopped_folder_keeps_what_is_done_and_says_so(host, folder):
    class Impatient(Job):
        def check(self):
            if list(folder.glob("*.txt")):
                self.stop()
            super().check()

    with pytest.raises(Cancelled, match=r"^Stopped; [1-3] pictures are done and kept"):
        described(host, fast(folder), Impatient())
    assert described(host, fast(folder), Job())
    assert len(list(folder.glob("*.txt"))) == 3
