"""Interrogate each picture, without a webui: how a generation gets its words, and a batch goes on past a failure."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image
from unrender.core.engine import Engine
from unrender.core.errors import Cancelled, ImageError
from unrender.core.prompt_syntax import escape
from unrender.core.settings import Settings
from unrender.extension.sampling import GenerationError


@pytest.fixture(scope="module")
def webui(tmp_path_factory):
    """The stand-in for a webui, which is imported in the place of a real one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent / "webui_standin"))
        from modules import paths, shared
        from unrender.extension import each_picture

        patch.setattr(paths, "models_path", str(tmp_path_factory.mktemp("models")))
        for name, value in {"clip": "micro", "captioner": "micro", "mode": "fast"}.items():
            patch.setattr(shared.opts, f"unrender_{name}", value, raising=False)
        yield SimpleNamespace(shared=shared, paths=paths, each_picture=each_picture)


class Generation:
    """As the webuis' own in what a script sees and changes of it."""

    def __init__(self, picture, prompt="words typed", is_api=False, n_iter=2, **values):
        self.prompt: Any = prompt
        self.init_images, self.negative_prompt = [picture], "blurry"
        self.styles, self.n_iter, self.is_api, self.do_not_save_grid = ", in oil", n_iter, is_api, False
        self.setup_conds = lambda: None
        self.__dict__.update(values)


class Processed:
    def __init__(self, images, infotexts):
        self.images, self.infotexts, self.comments = images, infotexts, ""


def process_images(p, script, *args):
    """In the order of all webuis."""
    script.before_process(p, *args)
    prompts = [f"{each}{p.styles}" for each in (p.prompt if isinstance(p.prompt, list) else [p.prompt])]
    script.process(p, *args)
    images = []
    for _ in range(p.n_iter):
        p.setup_conds()
        images.append(p.init_images[0])
    infotexts = [f"{prompts[0]}\nNegative prompt: {p.negative_prompt}"] * max(1, len(images))
    made = Processed(images, infotexts)
    script.postprocess(p, made, *args)
    return made


def process_batch(shared, p, pictures, script, *args):
    found = None
    for number, picture in enumerate(pictures, 1):
        shared.state.job = f"{number} out of {len(pictures)}"
        if shared.state.skipped:
            shared.state.skipped = False
        if shared.state.interrupted:
            break
        p.init_images = [picture]
        made = process_images(p, script, *args)
        if found is None:
            found = made
        else:
            found.images.extend(made.images)
            found.infotexts.extend(made.infotexts)
    shared.state.job = ""
    assert found is not None, "it has no pictures"
    return found


class Told:
    """Words by the picture's colour; what is an error is raised. Counts what it is asked."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    def found(self, picture, mode):
        self.asked.append((picture, mode))
        answer = self.answers[picture.getpixel((0, 0))[0]]
        if isinstance(answer, Exception):
            raise answer
        return answer


def picture(number):
    return Image.new("RGB", (8, 8), (number, 0, 0))


def script(webui, words):
    return type("Script", (webui.each_picture.InterrogateEach,), {"words": words})()


def prompts(processed):
    return [text.partition("\n")[0] for text in processed.infotexts]


def test_the_section_is_img2imgs_alone(webui):
    from modules import scripts

    made = script(webui, Told())
    assert made.show(True) is scripts.AlwaysVisible and made.show(False) is False
    assert made.title() == "Interrogate each picture"


@pytest.mark.parametrize(
    ("way", "expected"),
    [("append", ["words typed, a boat", "words typed, a cow"]), ("replace", ["a boat", "a cow"])],
)
def test_each_picture_of_a_batch_gets_words_of_its_own(webui, way, expected):
    p, words = Generation(None, n_iter=1), Told("a boat", "a cow")
    made = process_batch(webui.shared, p, [picture(0), picture(1)], script(webui, words), way, "best")
    assert prompts(made) == [f"{each}, in oil" for each in expected]
    assert [mode for _, mode in words.asked] == ["best", "best"]
    assert (p.prompt, p.negative_prompt) == ("words typed", "blurry") and made.comments == ""


def test_off_is_off_and_the_usual(webui):
    words = Told("a boat")
    for args in ((), ("off",), ("off", "best")):
        assert prompts(process_images(Generation(picture(0), n_iter=1), script(webui, words), *args)) == [
            "words typed, in oil"
        ]
    assert not words.asked


def test_the_mode_is_that_of_the_settings_unless_another_is_chosen(webui):
    words = Told("a boat")
    process_images(Generation(picture(0)), script(webui, words), "replace")
    process_images(Generation(picture(0)), script(webui, words), "replace", "classic")
    assert [mode for _, mode in words.asked] == ["fast", "classic"]


def test_negative_words_go_where_they_belong(webui):
    p = Generation(picture(0), n_iter=1)
    made = process_images(p, script(webui, Told("grainy")), "append", "negative")
    assert made.infotexts == ["words typed, in oil\nNegative prompt: blurry, grainy"]
    assert p.negative_prompt == "blurry"


def test_words_that_the_webui_puts_in_for_each_picture_stay_in(webui):
    """As its Batch tab does with the prompts in the pictures' files, and a script with a list of prompts."""
    p, made = Generation(picture(0), n_iter=1), script(webui, Told("a boat"))
    process_images(p, made, "append")
    p.prompt = "words of the file"
    assert prompts(process_images(p, made, "append")) == ["words of the file, a boat, in oil"]
    p.prompt = ["one", "two"]
    process_images(p, made, "append")
    assert p.prompt == ["one", "two"]


def test_a_picture_that_fails_is_left_out_and_told_of_and_the_rest_goes_on(webui):
    p = Generation(None)
    words = Told(ImageError("It is <odd>", "give another"), "a cow", RuntimeError("CUDA out of memory."), "a dog")
    made = process_batch(webui.shared, p, [picture(number) for number in range(4)], script(webui, words), "replace")
    assert [each.getpixel((0, 0))[0] for each in made.images] == [1, 1, 3, 3]
    first, second = made.comments.splitlines()
    assert first == "Picture 1 of 4 is left out: It is <odd>; give another."
    assert second.startswith("Picture 3 of 4 is left out: The memory is used up")
    assert (p.n_iter, p.do_not_save_grid, p.prompt) == (2, False, "words typed")


def test_one_picture_that_fails_is_told_of_without_a_number(webui):
    made = process_images(Generation(picture(0)), script(webui, Told(ImageError("It is odd"))), "replace")
    assert made.images == [] and made.comments == "The picture is left out: It is odd.\n"


@pytest.mark.parametrize(("args", "said"), [(("throw",), "'throw'"), (("append", "slow"), "'slow'"), ((None,), "None")])
def test_what_has_no_sense_is_refused_in_a_sentence(webui, args, said):
    words = Told("a boat")
    made = process_images(Generation(picture(0)), script(webui, words), *args)
    assert made.images == [] and said in made.comments and "choose one of" in made.comments
    assert not words.asked, "it was looked at for nothing"
    with pytest.raises(GenerationError) as refused:
        process_images(Generation(picture(0), is_api=True), script(webui, Told("a boat")), *args)
    assert refused.value.status_code == 422 and said in refused.value.detail


def test_a_request_through_the_api_fails_with_the_sentence(webui):
    with pytest.raises(GenerationError) as refused:
        process_images(Generation(picture(0), is_api=True), script(webui, Told(ImageError("It is odd"))), "replace")
    assert (refused.value.status_code, refused.value.detail) == (422, "It is odd.")


@pytest.mark.parametrize("is_api", [False, True])
def test_a_picture_that_is_skipped_is_not_drawn_with_the_typed_words_and_is_told_of(webui, is_api):
    p = Generation(None, is_api=is_api)
    words = Told(Cancelled("Stopped."), "a cow")
    made = process_batch(webui.shared, p, [picture(0), picture(1)], script(webui, words), "append")
    assert [each.getpixel((0, 0))[0] for each in made.images] == [1, 1]
    (line,) = made.comments.splitlines()
    assert line.startswith("Picture 1 of 2 is left out: It was skipped")


def test_words_are_what_the_command_line_finds_written_for_a_webui(webui, photographs, tmp_path):
    from unrender.server.models import Models

    words = webui.each_picture.Words(Models())
    drawn = process_images(Generation(photographs[0], n_iter=1), script(webui, words), "replace", "fast")
    with Engine(Settings(clip="micro", captioner="micro", device="cpu", cache=tmp_path)) as engine:
        expected = engine.interrogate(photographs[0], "fast").prompt
    assert prompts(drawn) == [f"{escape(expected, 'webui')}, in oil"]
    assert webui.shared.state.textinfo is None


def test_a_picture_that_a_script_draws_often_is_looked_at_once(webui, photographs, monkeypatch):
    from unrender.server.models import Models

    asked = []

    class Counting:
        def interrogate(self, picture, mode):
            asked.append(mode)
            return SimpleNamespace(prompt=f"words {len(asked)}")

    @contextmanager
    def engine(self, settings, *_):
        yield Counting()

    monkeypatch.setattr(Models, "engine", engine)
    words = webui.each_picture.Words(Models())
    one, other = photographs[:2]
    told = [words.found(each, "fast") for each in (one, one, other, one)]
    assert told == ["words 1", "words 1", "words 2", "words 3"]
    assert words.found(one, "best") == "words 4"
    monkeypatch.setattr(webui.shared.opts, "unrender_captioner", "none")
    assert words.found(one, "best") == "words 5"
    lists = Path(webui.paths.models_path) / "unrender/phrases/own"
    (lists / "families").mkdir(parents=True)
    monkeypatch.setattr(webui.shared.opts, "unrender_vocabulary", "phrases/own", raising=False)
    for number, name in enumerate(("flavors", "families/weather", "flavors"), 6):
        (lists / f"{name}.txt").write_text(f"as the file has it the {number}th time\n")
        assert words.found(one, "best") == words.found(one, "best") == f"words {number}"


# --- the prompt as a style


@pytest.fixture(name="styles")
def styles_fixture(webui, monkeypatch):
    pytest.importorskip("gradio", reason="the webui's styles come with its page, which needs gradio")
    from modules.styles import PromptStyle
    from unrender.extension import styles

    class Known:
        """As the webuis' own: what is in the files, and what is not written yet."""

        def __init__(self):
            self.written = {"mine": PromptStyle("mine", "a cat", "blurry", "a.csv")}
            self.heading = PromptStyle("--- A.CSV ---", None, None, "do_not_save")
            self.reload()

        def reload(self):
            self.styles = {self.heading.name: self.heading, **self.written}

        def save_styles(self):
            self.written = {name: style for name, style in self.styles.items() if style.path != "do_not_save"}

    known = Known()
    monkeypatch.setattr(webui.shared, "prompt_styles", known, raising=False)
    return SimpleNamespace(saved=styles.saved, known=known, style=PromptStyle)


def test_a_prompt_is_saved_as_a_style_of_a_new_name(styles):
    told, asked = styles.saved(" a boat \n", "  at  sea ", "")
    assert (told.text, told.kind, asked) == ("Saved as the style at sea.", "done", "")
    assert styles.known.written["at sea"] == styles.style("at sea", "a boat", "", None)
    assert styles.known.written["mine"].prompt == "a cat"


def test_a_used_name_is_asked_about_once(styles):
    told, asked = styles.saved("a boat", "mine", "")
    assert told.kind == "fault" and "mine already" in told.text and asked == "mine"
    assert styles.known.written["mine"].prompt == "a cat"
    told, asked = styles.saved("a boat", "mine", asked)
    assert told.kind == "done" and asked == ""
    assert styles.known.written["mine"] == styles.style("mine", "a boat", "", "a.csv")
    told, asked = styles.saved("a cow", "mine", asked)
    assert told.kind == "fault" and styles.known.written["mine"].prompt == "a boat"


def test_who_was_asked_about_one_name_is_asked_about_another(styles):
    styles.saved("a boat", "other", "")
    _, asked = styles.saved("a boat", "mine", "")
    told, asked = styles.saved("a cow", "other", asked)
    assert told.kind == "fault" and asked == "other" and styles.known.written["other"].prompt == "a boat"


def test_styles_that_were_written_meanwhile_stay(styles):
    styles.known.written["of another program"] = styles.style("of another program", "x", "", "a.csv")
    styles.saved("a boat", "new", "")
    assert set(styles.known.written) == {"mine", "new", "of another program"}


@pytest.mark.parametrize(
    ("prompt", "name", "said"),
    [
        ("", "new", "no prompt"),
        ("a boat", " ", "no name"),
        ("a boat", "# mine", "heading"),
        ("a boat", "--- A.CSV ---", "heading"),
    ],
)
def test_what_the_webui_would_not_read_again_is_refused(styles, prompt, name, said):
    told, _ = styles.saved(prompt, name, "")
    assert told.kind == "fault" and said in told.text and set(styles.known.written) == {"mine"}


def test_a_file_that_cannot_be_written_is_told_of(styles, monkeypatch):
    def fail():
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(styles.known, "save_styles", fail)
    told, _ = styles.saved("a boat", "new", "")
    assert told.kind == "fault" and "Permission denied" in told.text and "styles.csv" in told.text
