"""Escaped text against the hosts' rules: restated here in a few lines, and, where the hosts' sources are given in
COMFYUI_DIR, WEBUI_DIR (Automatic1111, Forge or reForge) or SDNEXT_DIR, against their real parsers."""

import importlib.util
import os
import re
import sys
import types
import unicodedata
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from unrender.core.errors import SettingsError
from unrender.core.prompt_syntax import escape

PHRASES = [
    "a painting of a cat, trending on artstation",
    "¯\\_(ツ)_/¯",
    "pyramid (geometry), [deleted], ((nested))",
    "unbalanced ( and ] and )( and ][",
    "(red:1.3) [a:b:0.5] [a|b] [a::3] a | b",
    "16:9",
    "aspect ratio 16 : 9 ",
    "bias :-.5",
    "ends with a colon:",
    "#pixelart, c# code, ##, #",
    "a cat AND a dog :1.2 AND BREAK BREAKFAST SAND and AND",
    "BREAK",
    "<lora:detail:0.8> and <hypernet:x> and a <3 b",
    "embedding:easynegative, embedding: x and (embedding:y) myembedding:z",
    "https://example.com /* hidden */ // also",
    "// at the start",
    "{red|blue} {prompt} __colour__ ____ __AND __BREAK__",
    "two\nlines\r\nand a \\",
    "\\(already escaped\\) \\\\ \\: \\n",
    "a\0\1b\0\2c",
    "",
    "   ",
]
SYNTAX = st.lists(
    st.sampled_from([*r"\()[]{}:|<>#/*_.,+-0159 ", "\n", "AND", "BREAK", "embedding:", "lora", "x", "1.2"]),
    max_size=14,
).map("".join)
ANY_TEXT = SYNTAX | st.text(max_size=20) | st.sampled_from(PHRASES)


def examples(test):
    for phrase in PHRASES:
        test = example(phrase)(test)
    return settings(deadline=None)(test)


def as_documented(text: str) -> str:
    """What "webui" may change, as its documentation says."""
    text = re.sub(r"[\r\n]+", " ", text)
    text = re.sub(r"\bAND\b", "and", text)
    text = re.sub(r"\bBREAK\b", "break", text)
    for old, new in [("#", "＃"), ("{", "｛"), ("}", "｝")]:
        text = text.replace(old, new)
    return text


def without_space(text: str) -> str:
    """Undoes what "comfyui" may change."""
    return text.replace("embedding :", "embedding:")


def letters(text: str) -> str:
    return re.sub(r"[\W_]", "", text)


def to_ascii(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


class TestRestatedRules:
    @examples
    @given(ANY_TEXT)
    def test_comfyui(self, text):
        escaped = escape(text, "comfyui")
        assert not re.search(r"(?<!\\)[()]", escaped), "a bracket counts unless a backslash is right before it"
        read = re.sub(r"\\([()])", r"\1", escaped)
        assert not re.search(r"(^|[ \n])embedding:", read)
        assert without_space(read) == without_space(text.replace("\0", ""))

    @examples
    @given(ANY_TEXT)
    def test_webui(self, text):
        escaped = escape(text, "webui")
        assert not re.search(r"#|//|/\*|\*/", escaped), "comments"
        assert not re.search(r"[{}]|__", escaped), "choices and wildcards"
        assert not re.search(r"<\w+:[^>]+>", escaped), "extra networks"
        assert not re.search(r"\b(AND|BREAK)\b", escaped), "keywords"
        assert not re.search(r":\s*[-+]?(\d+\.?|\d*\.\d+)\s*$", escaped), "the weight of the prompt"
        pieces = re.findall(r"\\.|.", escaped)
        assert "".join(pieces) == escaped
        assert not set("()[]:") & set(pieces), "brackets and colons without a backslash"
        read = "".join(piece[-1] for piece in pieces)
        assert to_ascii(read) == to_ascii(as_documented(text))

    @examples
    @given(ANY_TEXT)
    def test_plain(self, text):
        assert escape(text, "plain") == text

    @pytest.mark.parametrize("host", ["comfyui", "webui"])
    def test_ordinary_phrases_stay_as_they_are(self, host):
        phrase = "a painting of a cat's café, 8k, trending on artstation & <3, l'Été | 50% off! sand and breakfast"
        assert escape(phrase, host) == phrase

    def test_an_unknown_host(self):
        with pytest.raises(SettingsError, match=r'"invoke" is unknown; choose comfyui, webui or plain'):
            escape("a", "invoke")

    @pytest.mark.parametrize("phrase", PHRASES)
    def test_clip_sees_the_same_tokens(self, phrase):
        tokenizer = pytest.importorskip("open_clip").tokenizer.SimpleTokenizer()
        phrase = phrase.replace("\0", "")
        comfyui = re.sub(r"\\([()])", r"\1", escape(phrase, "comfyui"))
        webui = re.sub(r"\\(.?)", r"\1", escape(phrase, "webui"))
        assert tokenizer.encode(comfyui) == tokenizer.encode(phrase)
        assert tokenizer.encode(webui) == tokenizer.encode(phrase)


def source_folder(variable: str) -> Path:
    folder = os.environ.get(variable)
    if not folder:
        pytest.skip(f"{variable} does not name the folder of this host's source code")
    return Path(folder)


def load(monkeypatch, folder: Path, name: str, stubs: dict[str, object]) -> types.ModuleType:
    """Imports one file of a host, everything else of it being replaced."""
    for stub, replacement in stubs.items():
        monkeypatch.setitem(sys.modules, stub, replacement)
    spec = importlib.util.spec_from_file_location(name, folder / f"{name.replace('.', '/')}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


class TestRealComfyui:
    @pytest.fixture
    def reads(self, monkeypatch, tmp_path):
        """The text that reaches the tokenizer of SD1, with its weights, for a prompt."""
        folder = source_folder("COMFYUI_DIR")
        stubs = {name: MagicMock() for name in ("comfy", "comfy.ops", "comfy.model_management", "comfy.clip_model")}
        sd1_clip = load(monkeypatch, folder, "comfy.sd1_clip", stubs)

        class Letters:
            """A tokenizer whose tokens are the letters."""

            @classmethod
            def from_pretrained(cls, path):
                return cls()

            def __call__(self, text):
                return {"input_ids": [-1, *map(ord, text), -2]}

            def get_vocab(self):
                return {}

        tokenizer = sd1_clip.SDTokenizer(
            tokenizer_class=Letters, tokenizer_path=str(tmp_path), embedding_directory=str(tmp_path), max_length=1000
        )

        def read(prompt):
            (batch,) = tokenizer.tokenize_with_weights(prompt)
            letters = [(chr(token), weight) for token, weight in batch if token >= 0]
            return "".join(letter for letter, _ in letters), {weight for _, weight in letters} or {1.0}

        return read

    def test_literal(self, reads):
        @examples
        @given(ANY_TEXT)
        def check(text):
            read, weights = reads(escape(text, "comfyui"))
            assert weights == {1.0}
            assert without_space(read) == without_space(text.replace("\0", ""))

        check()

    def test_it_can_be_emphasised_as_a_whole(self, reads):
        read, weights = reads(f"({escape('smile :) (happy)', 'comfyui')}:1.25)")
        assert (read, weights) == ("smile :) (happy)", {1.25})

    def test_without_escaping_it_is_not_literal(self, reads):
        assert reads("pyramid (geometry)")[1] == {1.0, 1.1}


class TestRealWebui:
    @pytest.fixture
    def parsers(self, monkeypatch):
        folder = source_folder("WEBUI_DIR")
        pytest.importorskip("lark")
        stubs = {name: MagicMock() for name in ("modules", "modules.errors", "modules.scripts", "modules.shared")}
        names = ["modules.prompt_parser", "modules.extra_networks", "modules.processing_scripts.comments"]
        loaded = {name.split(".")[-1]: load(monkeypatch, folder, name, stubs) for name in names}
        parse = loaded["prompt_parser"].parse_prompt_attention
        if (folder / "backend" / "text_processing" / "parsing.py").exists():  # Forge
            backend = load(monkeypatch, folder, "backend.text_processing.parsing", {})
            parse = lambda text: backend.parse_prompt_attention(text, "Original")  # noqa: E731
        return types.SimpleNamespace(**loaded, parse=parse)

    @pytest.fixture
    def reads(self, parsers):
        """Weighted texts for a prompt, through all stages of the webui in their order."""

        def read(prompt):
            prompt = parsers.comments.strip_comments(prompt)
            prompt, networks = parsers.extra_networks.parse_prompt(prompt)
            assert not networks
            ((part,),), texts, _ = parsers.prompt_parser.get_multicond_prompt_list([prompt])
            assert part == (0, 1.0)
            (schedules,) = parsers.prompt_parser.get_learned_conditioning_prompt_schedules(texts, 20)
            ((_, text),) = schedules
            return [tuple(pair) for pair in parsers.parse(text)]

        return read

    def test_literal(self, reads):
        @examples
        @given(ANY_TEXT)
        def check(text):
            ((read, weight),) = reads(escape(text, "webui"))
            assert weight == 1.0
            assert to_ascii(read).rstrip() == to_ascii(as_documented(text)).rstrip()

        check()

    def test_it_can_be_emphasised_as_a_whole(self, reads):
        assert reads(f"({escape('ratio (16:9)', 'webui')}:1.25)") == [("ratio (16:9)", 1.25)]
        assert reads(f"({escape('ratio 16:9', 'webui')})") == [("ratio 16:9", 1.1)]

    def test_without_escaping_it_is_not_literal(self, reads):
        assert len(reads("pyramid (geometry)")) == 2
        assert reads("a #hashtag, a cat") == [("a", 1.0)]


class TestRealSdnext:
    @pytest.fixture(params=["native", "a1111"])
    def reads(self, request, monkeypatch):
        folder = source_folder("SDNEXT_DIR")
        pytest.importorskip("lark")
        options = types.SimpleNamespace(prompt_attention=request.param, sd_textencder_linebreak=True)
        shared = types.SimpleNamespace(opts=options, log=MagicMock())
        names = ("modules", "modules.files_cache", "modules.infotext", "modules.sd_models", "modules.sd_vae")
        stubs = {name: MagicMock() for name in (*names, "modules.logger", "compel", "installer")}
        stubs["modules.shared"] = shared
        parser = load(monkeypatch, folder, "modules.prompt_parser", stubs)
        styles = load(monkeypatch, folder, "modules.styles", {})
        networks = load(monkeypatch, folder, "modules.extra_networks", {})

        def read(prompt):
            chosen = styles.apply_curly_braces_to_prompt(prompt)
            assert chosen == prompt.strip()
            assert not networks.re_extra_net.search(chosen)
            ((_, text),) = parser.get_learned_conditioning_prompt_schedules([chosen], 20)[0]
            return [tuple(pair) for pair in parser.parse_prompt_attention(text)]

        return read

    def test_all_words_arrive_with_weight_1(self, reads):
        """Words only: this parser drops and moves punctuation in any text."""

        @examples
        @given(ANY_TEXT)
        def check(text):
            assume(not text.lstrip().startswith(":"))  # its parser "a1111" fails on whatever begins with `\:`
            read = reads(escape(text, "webui"))
            assert {weight for _, weight in read} == {1.0}
            assert letters(" ".join(part for part, _ in read)) == letters(as_documented(text))

        check()
