"""A generation's further checkpoints, and how pictures become embeddings there, without a webui."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch
from unrender.core.embed import PromptEmbedding
from unrender.core.embed.blend import Blend
from unrender.core.embed.families import SD1, SDXL
from unrender.core.errors import Cancelled, ModelError, SettingsError
from unrender.core.settings import Settings
from unrender.extension.file_keys import key_of
from unrender.extension.gap_pictures import FOLDER, Gaps, in_folder
from unrender.extension.generation import Asked
from unrender.extension.sampling import GenerationError, follow, steer


class Model:
    """As a webui keeps it: one object, into which another checkpoint's weights are read."""

    def __init__(self, name="base.safetensors", kind="sd1", encoders=1):
        self.read(name, kind, encoders)

    def read(self, name, kind="sd1", encoders=1):
        for known in ("sd1", "sd2", "sdxl"):
            setattr(self, f"is_{known}", known == kind)
        self.sd_checkpoint_info, self.written = SimpleNamespace(filename=name), 0
        self.conditioner = SimpleNamespace(embedders=[SimpleNamespace(wrapped=None)] * encoders)

    def write(self):
        self.written += 1


class Generation:
    """txt2img's, as AUTOMATIC1111's and Forge's processing encodes its texts."""

    width = height = 64

    def __init__(self, model):
        self.sd_model, self.is_hr_pass, self.comments, self.encoded = model, False, [], []
        self.extra_network_data, self.hr_extra_network_data, self.extra_generation_params = {}, {}, {}

    @property
    def encoders(self):
        """The fingerprint of the checkpoint's, LoRAs included."""
        loras = self.hr_extra_network_data if self.is_hr_pass else self.extra_network_data
        return f"{self.sd_model.sd_checkpoint_info.filename} {self.sd_model.written} {loras}"

    def comment(self, text):
        self.comments.append(text)

    def setup_conds(self):
        self.encoded.append("first pass")
        self.calculate_hr_conds()

    def calculate_hr_conds(self):
        self.encoded.append("hires")

    def drawn(self, width=768):
        params = SimpleNamespace(denoiser=SimpleNamespace(p=self, step=0, total_steps=4), total_sampling_steps=4)
        params.sampling_step, params.text_cond = 0, torch.zeros(1, 77, width)
        steer(params)
        return float(params.text_cond[0, 5, 0])


class Call(NamedTuple):
    """Of what embeds. how: a projection or a quality."""

    how: str
    blend: Blend
    gap: Any
    settings: Settings


@pytest.fixture
def webui(monkeypatch, tmp_path):
    """The stand-in's script, whose embeddings are counted and hold their number."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "webui_standin"))
    from modules import paths, shared
    from unrender.extension import embeddings, image_as_prompt, webui_host

    monkeypatch.setattr(paths, "models_path", str(tmp_path))
    monkeypatch.setattr(shared.opts, "unrender_captioner", "micro", raising=False)
    found: dict[str, str] = {}
    monkeypatch.setattr(embeddings, "_recommended", lambda sides: found.get(sides[0].family))
    monkeypatch.setattr(webui_host, "encoded", lambda model, *_: torch.zeros(1, 77, 768))
    monkeypatch.setattr(
        embeddings, "_sides", lambda p, family: [SimpleNamespace(family=family.name, fingerprint=p.encoders)]
    )
    calls: list[Call] = []

    def embed(pictures, family, encoders, settings, keeping, room, job, projection, quality, blend, gap):
        calls.append(Call(projection or quality, blend, gap, settings))
        states = torch.full((77, family.width), float(len(calls)))
        return PromptEmbedding(family.name, states, projection=projection or "", gap_corrected=projection == "anchored")

    script = image_as_prompt.ImageAsPrompt()
    script.embeddings = embeddings.Embeddings(SimpleNamespace(embed=embed))  # type: ignore[arg-type]
    return SimpleNamespace(script=script, calls=calls, folder=tmp_path / "unrender", found=found, opts=shared.opts)


def begin(webui, p, *values):
    webui.script.process(p, *values)
    webui.script.process_batch(p, *values)
    p.setup_conds()


def test_each_checkpoint_gets_an_embedding_of_its_own(webui, photographs):
    p = Generation(Model())
    begin(webui, p, photographs[0])
    assert p.drawn() == 1 and p.encoded == ["first pass", "hires"] and len(webui.calls) == 1
    p.sd_model.read("refiner of the same width.safetensors")
    assert p.drawn() == 0, "the base's embedding was given to another text encoder"
    p.setup_conds()  # as the webui does once it has loaded the refiner
    assert p.drawn() == 2
    p.sd_model.read("base.safetensors")  # the next batch
    webui.script.process_batch(p, photographs[0])
    p.setup_conds()
    assert p.drawn() == 1 and len(webui.calls) == 2, "what is known was made again"
    assert not p.comments


def test_a_hires_pass_has_its_own_checkpoint_and_loras(webui, photographs):
    p = Generation(Model())
    begin(webui, p, photographs[0])
    p.is_hr_pass = True
    p.calculate_hr_conds()
    assert p.drawn() == 1 and len(webui.calls) == 1
    p.hr_extra_network_data = {"lora": [SimpleNamespace(items=["one", "1"])]}
    p.calculate_hr_conds()
    assert p.drawn() == 2
    p.sd_model.read("for hires.safetensors")
    p.calculate_hr_conds()
    assert p.drawn() == 3


@pytest.mark.parametrize("other", [("sdxl", 1), ("sdxl", 2), ("sd3", 1)])
def test_a_checkpoint_of_another_kind_goes_by_the_words_and_that_is_said(webui, photographs, other):
    p = Generation(Model())
    begin(webui, p, photographs[0])
    p.sd_model.read("some/refiner.safetensors", *other)
    p.setup_conds()
    assert p.drawn() == 0 and len(webui.calls) == 1
    (said,) = p.comments
    assert said.startswith("Image as prompt: refiner.safetensors goes by the words. ") and said.endswith(".")


def test_a_generation_ends_with_the_sentence_where_the_first_checkpoint_is_none(webui, photographs):
    p = Generation(Model("refiner", "sdxl", 1))
    webui.script.process(p, photographs[0])
    webui.script.process_batch(p, photographs[0])
    with pytest.raises(GenerationError, match="refiner"):
        p.setup_conds()


def test_what_fails_later_ends_the_generation_and_a_stop_does_not():
    p = Generation(Model())

    def fail(error):
        raise error

    follow(p, lambda: fail(ModelError("It is gone.")))
    with pytest.raises(GenerationError, match="It is gone"):
        p.setup_conds()
    follow(p, lambda: fail(Cancelled("Stopped.")))
    p.setup_conds()
    p.encoded.clear()
    follow(p, None)
    p.setup_conds()
    assert p.encoded == ["first pass", "hires"] and p.drawn() == 0


# --- the advanced part


def test_arguments_of_before_mean_what_they_meant(photographs):
    before = Asked.of(photographs[0], None, "blend", 0.5, 0.25, 0.75, "cat.safetensors")
    assert (before.quality, before.projection, before.text, before.alpha) == ("usual", "by quality", "", 0.6)
    assert advanced(projection="usual") == advanced(projection=None) == advanced()
    assert (before.way, before.strength, before.start, before.end) == ("blend", 0.5, 0.25, 0.75)
    assert list(before.infotext([])) == [
        *("Image as prompt", "Image as prompt strength", "Image as prompt start", "Image as prompt end"),
        *("Image as prompt embedding", "Image as prompt sources", "Image as prompt quality"),
    ]


def advanced(
    picture=None, projection: Any = "by quality", text="", alpha: Any = 0.6, anchor="", gap=None, quality="usual"
):
    return Asked.of(picture, None, "replace", 1, 0, 1, "none", projection, text, alpha, anchor, gap, quality)


def test_how_a_picture_becomes_an_embedding_is_passed_on(webui, photographs):
    p, picture = Generation(Model()), photographs[0]
    usual = (None, "replace", 1, 0, 1, "none")
    begin(webui, p, picture, *usual, "pinv", "in winter", 0.3)
    begin(webui, p, picture, *usual, "anchored", "", 0.6, "a boat")
    begin(webui, p, picture, *usual, "pinv", "in winter", 0.3)
    first, second = webui.calls
    assert (first.how, first.blend.text, first.blend.alpha, first.blend.anchor) == ("pinv", "in winter", 0.3, None)
    assert (second.how, second.blend.anchor) == ("anchored", "a boat")
    assert p.extra_generation_params["Image as prompt gap"] == "measured"
    begin(webui, p, picture, *usual, "ridge")
    assert [said for said in p.comments if "texts; about 40 varied pictures" in said]
    infotext = advanced(picture, "pinv", "in winter", 0.3).infotext([])
    assert infotext["Image as prompt words"] == "in winter" and infotext["Image as prompt alpha"] == 0.3
    assert infotext["Image as prompt projection"] == "pinv"
    for words, written in (('"a" b', '"a" b'), ('"a", "b"', '"a", "b"'), ('"a b"', r'"\"a b\""')):
        assert advanced(picture, text=words, anchor=words).infotext([])["Image as prompt words"] == written


def begin_with(webui, p, picture, quality="usual", **values):
    asked = {"projection": "by quality", "text": "", "alpha": 0.6, "anchor": "", "gap": None, **values}
    begin(webui, p, picture, None, "replace", 1, 0, 1, "none", *asked.values(), quality)


def test_each_quality_is_an_embedding_of_its_own(webui, photographs):
    p, picture = Generation(Model()), photographs[0]
    for quality in ("quick", "good", "best"):
        begin_with(webui, p, picture, quality)
        assert p.extra_generation_params["Image as prompt quality"] == quality
    begin_with(webui, p, picture)
    begin_with(webui, p, picture, "good")
    assert p.drawn() == 2 and [call.how for call in webui.calls] == ["quick", "good", "best"], "one was made twice"
    webui.found["sd15"] = "ridge"  # by `unrender verify`, meanwhile
    begin_with(webui, p, picture)
    begin_with(webui, p, picture, projection="bank", quality="good")
    assert [call.how for call in webui.calls[3:]] == ["ridge", "bank"]
    assert "projection" not in advanced(picture).infotext([])


def test_what_was_changed_on_the_disk_meanwhile_is_read_again(webui, photographs, monkeypatch):
    """Under the same name: a checkpoint, one's own phrases, what `tune` wrote."""
    p, picture = Generation(Model()), photographs[0]
    monkeypatch.setattr(webui.opts, "unrender_vocabulary", "phrases/own", raising=False)
    tuned, phrases = webui.folder / "tuned/mine.safetensors", webui.folder / "phrases/own/flavors.txt"
    for path in (tuned, phrases):
        path.parent.mkdir(parents=True)
        path.write_text("one")
    changes = [
        lambda: None,
        lambda: p.sd_model.write(),
        lambda: tuned.write_text("another"),
        lambda: phrases.write_text("another"),
    ]
    for number, change in enumerate(changes, 1):
        change()
        for _ in range(2):
            begin_with(webui, p, picture, projection="tuned:mine")
            assert p.drawn() == len(webui.calls) == number


def test_words_are_searched_as_in_the_tab_by_whom_need_not_be_downloaded(webui, photographs, monkeypatch):
    for name, value in (("vocabulary", "clip-gaze"), ("tagger", "micro-tagger")):
        monkeypatch.setattr(webui.opts, f"unrender_{name}", value, raising=False)
    p = Generation(Model())
    begin_with(webui, p, photographs[0])
    for captioner in ("blip-large", "not/here"):
        webui.opts.unrender_captioner = captioner
        begin_with(webui, p, photographs[0])
        assert p.comments.pop().startswith(f"Image as prompt: The words were found without {captioner}; "), captioner
        assert not p.comments
    begin_with(webui, p, photographs[0], "good")
    begin_with(webui, p, photographs[0], anchor="a boat")
    first, without, good, anchored = (call.settings for call in webui.calls)
    assert (first.clip, first.captioner, first.tagger) == (SD1.clip, "micro", "micro-tagger")
    assert (without.captioner, without.tagger) == (None, "micro-tagger")
    assert (good.captioner, anchored.captioner) == (None, None) and not p.comments
    assert {each.phrases for each in (first, without, good, anchored)} == {"clip-gaze"}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"projection": "hard"}, "no projection 'hard'"),
        ({"quality": "better"}, "no quality 'better'; choose usual, quick, good or best as quality"),
        ({"alpha": 11}, "alpha is 11; give a number from 0 to 10"),
        ({"alpha": "much"}, "alpha is 'much'"),
        ({"projection": "pinv", "anchor": "a boat"}, "projection pinv heeds no words that describe"),
        ({"projection": "bank", "text": "in winter"}, "heeds no words that change .* soft, pinv or anchored as proj"),
    ],
)
def test_what_makes_no_sense_is_refused(values, said):
    with pytest.raises(SettingsError, match=said):
        advanced(None, **values)


def test_words_are_heeded_or_the_quality_is_refused():
    def how(family=SD1, found=None, **values):
        chosen = advanced(None, **values).chosen(family, found)
        return chosen.projection or chosen.quality, chosen.way.projection

    assert how() == how(found="best") == ("best", "soft") and how(found="ridge") == ("ridge", "ridge")
    for found in ("ridge", "bank"):
        assert how(text="in winter", found=found) == ("best", "soft"), "what was found does not heed the words"
    assert how(text="in winter", found="pinv") == ("pinv", "pinv")
    assert how(anchor="a boat", found="quick") == ("best", "soft")
    assert how(text="in winter", quality="quick") == ("quick", "pinv")
    assert how(anchor="a boat", quality="good", found="pinv") == ("good", "soft")
    assert how(SDXL, anchor="a boat", quality="quick") == ("quick", "soft")
    with pytest.raises(SettingsError, match=r"quality quick heeds no words that describe .* good or best as quality"):
        how(anchor="a boat", quality="quick")
    with pytest.raises(SettingsError, match="pinv cannot reach"):
        how(SDXL, projection="pinv")


def test_gap_pictures_are_those_given_or_those_of_the_folder_and_measured_once(webui, photographs, tmp_path):
    folder = webui.folder / FOLDER
    folder.mkdir(parents=True)
    measured: list[int] = []
    engine = SimpleNamespace(measure_gap=lambda pictures: measured.append(len(pictures)) or object())
    assert in_folder(webui.folder) == []
    for number in range(50):
        (folder / f"{number:02}.png").write_bytes(b"picture %d" % number)
    (folder / "notes.txt").write_bytes(b"no picture")
    found = in_folder(webui.folder)
    assert len(found) == 40 and found[0].name == "00.png"
    gaps = Gaps()
    assert gaps.of(engine, "clip", []) is None  # type: ignore[arg-type]
    first = gaps.of(engine, "clip", found)  # type: ignore[arg-type]
    assert first is gaps.of(engine, "clip", in_folder(webui.folder)) and measured == [40]  # type: ignore[arg-type]
    found[0].write_bytes(b"another picture")
    assert first is not gaps.of(engine, "clip", found)  # type: ignore[arg-type]
    assert key_of([b"a"]) != key_of([b"b"])

    p = Generation(Model())
    begin(webui, p, photographs[0], None, "replace", 1, 0, 1, "none", "ridge", "", 0.6, "", [b"a", b"b"])
    begin(webui, p, photographs[0], None, "replace", 1, 0, 1, "none", "ridge")
    begin(webui, p, photographs[0], None, "replace", 1, 0, 1, "none", "pinv")
    measured.clear()
    for call in webui.calls:
        call.gap(engine)
    assert measured == [2, 40]


@contextmanager
def room(needed):
    yield


def test_models_embed_as_asked(tmp_path, photographs):
    from unrender.core.embed.blend import Blend
    from unrender.core.embed.families import MICRO_FAMILY
    from unrender.core.embed.text_side import TextSide
    from unrender.core.engine import Engine, Settings
    from unrender.core.progress import SILENT
    from unrender.server.models import Models

    settings = Settings(clip="micro", captioner=None, device="cpu", cache=tmp_path)
    blend = Blend(text="a red circle", alpha=0.3)
    with Engine(settings) as engine:
        expected = engine.embed(photographs[0], "micro", "pinv", blend)
        clip = engine.clip
        assert clip is not None
        sides = {"micro": TextSide.of(clip)}
    models = Models()
    found = models.embed(
        photographs[:1], MICRO_FAMILY, lambda: sides, settings, "in main memory", room, SILENT, "pinv", None, blend
    )
    assert (found.states - expected.states).abs().max() < 1e-4
    with pytest.raises(SettingsError, match="pinv cannot reach"):
        from unrender.core.embed.families import SDXL

        models.embed(photographs[:1], SDXL, dict, settings, "in main memory", room, SILENT, "pinv")
