"""A text as moving pictures: the script, the walk, the frames that are kept, and what is made of them."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from moving_setting import Stop
from PIL import Image
from unrender import cli
from unrender.core.drawing.subtitle import Band
from unrender.core.embed import PromptEmbedding
from unrender.core.embed.composing import mixed
from unrender.core.engine import Engine, Settings
from unrender.core.errors import Cancelled, MissingPackageError, SettingsError, TextFileError, UnrenderError
from unrender.core.files import writing
from unrender.core.images import image_key
from unrender.core.micro.drawing import draw
from unrender.core.micro.world import Scene
from unrender.core.moving.animation import Animation, animate
from unrender.core.moving.film import Film
from unrender.core.moving.frames import Frames
from unrender.core.moving.script import LONGEST_LINE, Line, read_script
from unrender.core.moving.walk import Place, Walk, between
from unrender.core.variation.sampling import Sampling

LINES = ("a large red star in a meadow", "a small blue circle at night", "three yellow hearts by the sea")


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "poem.txt"
    path.write_text("\n\n".join(LINES) + "\n")
    return path


class TestScript:
    def test_has_a_line_for_each_that_says_something(self, script):
        assert read_script(script) == tuple(Line(each) for each in LINES)

    def test_takes_a_picture_beside_it(self, script):
        draw(Scene("star", "red", "large", "meadow", "oil", "none"), 3)[0].save(script.with_name("star.png"))
        script.write_text("a moon\nstar.png\n")
        moon, star = read_script(script)
        assert (moon.picture, star.picture, star.lettering) == (None, script.with_name("star.png"), "")

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("", "says nothing"),
            (" \n\t\n", "says nothing"),
            ("a moon\n" + "x" * (LONGEST_LINE + 1), f"Line 2 of .* has {LONGEST_LINE + 1:,} letters"),
            ("a moon\n\ngone.png", "Line 3 of .* names the picture gone.png, which is not there"),
        ],
    )
    def test_refuses_in_a_sentence(self, script, text, says):
        script.write_text(text)
        with pytest.raises(TextFileError, match=says) as error:
            read_script(script)
        assert str(error.value).endswith(".") and "\n" not in str(error.value)

    def test_refuses_what_is_no_text(self, script):
        script.write_bytes(b"\x89PNG\0\0\0\1")
        with pytest.raises(TextFileError):
            read_script(script)


def embedding(seed):
    states = torch.randn(77, 8, generator=torch.Generator().manual_seed(seed))
    return PromptEmbedding("micro", states, fingerprint="one")


class TestWalk:
    @pytest.mark.parametrize("ease", ["smooth", "linear"])
    def test_goes_from_line_to_line_and_never_back(self, ease):
        walk = Walk(3, 8, ease)
        way = [place.line + place.share for place in walk.places()]
        assert len(way) == len(walk) == 17 and way == sorted(set(way)) and way[-1] == 2
        assert [way[walk.own(line)] for line in range(3)] == [0, 1, 2]

    def test_is_slower_near_the_lines_where_it_is_smooth(self):
        steps = np.diff([place.share for place in list(Walk(2, 12).places())[:-1]])
        assert steps[0] < 0.5 / 12 < 1.3 / 12 < steps[5]

    def test_stands_on_the_lines_own_embeddings(self):
        pair = [embedding(0), embedding(1)]
        assert between(pair, Place(1, 0.0)) is pair[1]

    def test_is_the_sphericals_of_a_blend(self):
        pair = [embedding(0), embedding(1)]
        found, wanted = between(pair, Place(0, 0.3)), mixed(pair, [0.7, 0.3], "spherical")
        assert found.states is not None and wanted.states is not None
        assert torch.equal(found.states, wanted.states)
        a, b = (each.states.double()[5] for each in pair if each.states is not None)
        angle = torch.arccos(torch.dot(a, b) / a.norm() / b.norm())  # Shoemake's formula
        slerp = (torch.sin(0.7 * angle) * a / a.norm() + torch.sin(0.3 * angle) * b / b.norm()) / torch.sin(angle)
        torch.testing.assert_close(
            found.states[5].double(), slerp * (0.7 * a.norm() + 0.3 * b.norm()), atol=1e-5, rtol=0
        )

    @pytest.mark.parametrize("wrong", [(2, 0), (2, 8, "bouncy"), (10_000, 10_000)])
    def test_refuses(self, wrong):
        with pytest.raises(SettingsError):
            Walk(*wrong)


class TestBand:
    def test_is_as_high_whatever_it_says(self):
        band = Band.under((512, 512), ["short", "a line with many words " * 12, ""])
        picture = Image.new("RGB", (512, 512), "red")
        one, other = band.below(picture, [("short", 1.0)]), band.below(picture, [])
        assert one.size == other.size and band.height % 2 == 0 and band.lines > 1
        assert np.asarray(one)[:512].min(axis=(0, 1)).tolist() == [255, 0, 0]
        assert np.asarray(other)[512:].min() == 255 > np.asarray(one)[512:].min()

    def test_fades(self):
        band, picture = Band.under((256, 256), ["a word"]), Image.new("RGB", (256, 256))
        darkest = [np.asarray(band.below(picture, [("a word", each)]))[256:].min() for each in (0.0, 0.5, 1.0)]
        assert darkest == sorted(darkest, reverse=True) and len({*darkest}) == 3

    def test_lets_small_pictures_grow_until_letters_are_read(self):
        assert Band.under((64, 64), ["a"]).width == 256


def frames_of(folder: Path, count: int, size=(20, 10)) -> list[Path]:
    frames = Frames(folder)
    frames.begin({"of": "colours"})
    for number in range(count):
        frames.put(number, Image.new("RGB", size, (10 * number, 0, 255 - 10 * number)))
    return [frames.place(number) for number in range(count)]


class TestFilm:
    def test_an_animated_png_is_read_by_pillow_frame_by_frame(self, tmp_path):
        paths = frames_of(tmp_path / "frames", 7)
        Film(tmp_path / "film.png", 8).make(paths)
        with Image.open(tmp_path / "film.png") as film:
            assert (film.n_frames, film.info["duration"], film.info["loop"]) == (7, 125, 0)
            for number, path in enumerate(paths):
                film.seek(number)
                assert np.array_equal(np.asarray(film.convert("RGB")), np.asarray(Image.open(path)))

    def test_frames_of_other_sizes_are_told(self, tmp_path):
        paths = frames_of(tmp_path / "frames", 2)
        Image.new("RGB", (9, 9)).save(paths[1])
        with pytest.raises(UnrenderError, match="another size"):
            Film(tmp_path / "film.png").make(paths)
        assert not (tmp_path / "film.png").exists()

    def test_without_ffmpeg_a_movie_is_refused_before_anything_is_rendered(self, tmp_path, monkeypatch):
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(MissingPackageError, match="ffmpeg, which is not found"):
            Film(tmp_path / "film.mp4").check()

    def test_a_failing_ffmpeg_is_told_in_a_sentence(self, tmp_path, monkeypatch):
        program = tmp_path / "ffmpeg"
        program.write_text("#!/bin/sh\ncat >/dev/null\necho 'Unknown encoder libx264' >&2\nexit 1\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        with pytest.raises(UnrenderError, match="Unknown encoder libx264") as error:
            Film(tmp_path / "film.mp4").make(frames_of(tmp_path / "frames", 2))
        assert "\n" not in str(error.value) and not (tmp_path / "film.mp4").exists()

    @pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="there is no ffmpeg")
    def test_a_movie_is_made_of_sides_of_any_length(self, tmp_path):
        Film(tmp_path / "film.mp4").make(frames_of(tmp_path / "frames", 5, (21, 11)))
        assert b"ftyp" in (tmp_path / "film.mp4").read_bytes()[:12]

    def test_gives_ffmpeg_all_frames(self, tmp_path, monkeypatch):
        program = tmp_path / "ffmpeg"
        program.write_text('#!/bin/sh\nfor last; do :; done\ncat > "$last"\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        paths = frames_of(tmp_path / "frames", 3)
        Film(tmp_path / "film.mp4").make(paths)
        assert (tmp_path / "film.mp4").read_bytes() == b"".join(path.read_bytes() for path in paths)

    def test_frames_of_other_work_are_left_alone(self, tmp_path):
        frames_of(tmp_path / "frames", 1)
        with pytest.raises(SettingsError, match="frames of other work"):
            Frames(tmp_path / "frames").begin({"of": "shapes"})
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "000001.png").write_bytes(b"mine")
        with pytest.raises(SettingsError, match="holds other files"):
            Frames(tmp_path / "mine").begin({})


@pytest.fixture(scope="module")
def checkpoint():
    pytest.importorskip("diffusers", reason="rendering needs diffusers")
    from unrender.core.variation.checkpoint import Checkpoint

    return Checkpoint.load("micro", "cpu")


@pytest.fixture(scope="module")
def engine():
    return Engine(Settings(clip="micro", captioner=None, device="cpu"))


FEW = Sampling(steps=2, guidance=3.0)


class TestAnimation:
    def test_what_was_stopped_goes_on_and_is_the_same(self, checkpoint, engine, tmp_path):
        asked = Animation([Line(each) for each in LINES], frames=2, sampling=FEW)
        whole, parts = Film(tmp_path / "whole.png"), Film(tmp_path / "parts.png")
        assert animate(engine, checkpoint, asked, whole) == 5
        stop = Stop(parts.frames.place(1))
        stopping = Engine(Settings(clip="micro", captioner=None, device="cpu"), progress=stop)
        with pytest.raises(Cancelled):
            animate(stopping, checkpoint, asked, parts)
        kept = [number for number in range(5) if parts.frames.place(number).exists()]
        assert 0 < len(kept) < 5 and not parts.output.exists()
        assert animate(engine, checkpoint, asked, parts) == 5 - len(kept)
        assert parts.output.read_bytes() == whole.output.read_bytes()
        assert not parts.frames.folder.exists()

    def test_a_full_disk_keeps_what_there_is(self, checkpoint, engine, tmp_path, monkeypatch):
        real, made = Frames.put, []

        def put(self, frame, picture):
            if len(made) == 2:
                with writing(self.place(frame)):
                    raise OSError(errno.ENOSPC, "No space left on device")
            made.append(frame)
            real(self, frame, picture)

        monkeypatch.setattr(Frames, "put", put)
        asked, film = Animation([Line(each) for each in LINES], frames=2, sampling=FEW), Film(tmp_path / "frames")
        with pytest.raises(UnrenderError, match=r"No space left on device.*goes on where it was"):
            animate(engine, checkpoint, asked, film)
        monkeypatch.undo()
        assert animate(engine, checkpoint, asked, film) == 3
        assert len(list(film.output.glob("*.png"))) == 5

    def test_each_lines_own_frame_is_what_vary_renders_of_its_text(self, checkpoint, engine, tmp_path):
        from unrender.core.variation.render import render

        film = Film(tmp_path / "frames")
        animate(
            engine, checkpoint, Animation([Line(each) for each in LINES[:2]], 2, sampling=FEW, lettered=False), film
        )
        embeddings = [engine.embed_text(text, "micro") for text in (*LINES[:2], "")]
        for line in range(2):
            with Image.open(film.frames.place(2 * line)) as frame:
                assert image_key(frame) == image_key(render(checkpoint, embeddings[line], embeddings[2], FEW))

    def test_a_picture_among_the_lines_is_embedded(self, checkpoint, engine, tmp_path):
        path = tmp_path / "star.png"
        draw(Scene("star", "red", "large", "meadow", "oil", "none"), 3)[0].save(path)
        asked = Animation([Line(LINES[1]), Line("star.png", path)], 1, sampling=FEW, quality="good")
        assert animate(engine, checkpoint, asked, Film(tmp_path / "film.png")) == 2
        assert asked.asked("micro")["lines"] == [LINES[1], image_key(Image.open(path))]


def test_the_command_goes_on_only_with_the_same(checkpoint, script, tmp_path, capsys):
    common = ["animate", str(script), "--checkpoint", "micro", "--device", "cpu", "--steps", "2", "-o"]
    assert cli.main([*common, str(tmp_path / "out"), "--frames", "1"]) == 0
    assert json.loads((tmp_path / "out" / "frames.json").read_text())["asked"]["frames"] == 1
    assert len(list((tmp_path / "out").glob("*.png"))) == 3
    assert "3 frames of 3 lines written" in capsys.readouterr().err
    assert cli.main([*common, str(tmp_path / "out"), "--frames", "2"]) == 2
    assert "frames of other work, or of this with other settings" in capsys.readouterr().err
