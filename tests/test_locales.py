"""The nodes' texts in other languages: complete, of the English they were made from, and with what must stay as it is.

After a change of an English text: translate it in each locales/*/nodeDefs.json, then copy locales/en/nodeDefs.json to
tests/data/translated.json.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from comfyui_nodes import ROOT, english_texts, node_schemas

LANGUAGES = ("de", "es", "fr", "ja", "ko", "ru", "zh", "zh-TW")
KEPT = re.compile(
    r"models/unrender[\w/]*|clip_vision|text_encoders|artists\.txt|safetensors|matplotlib|float32|transformers"
    r"|ViT-[\w/-]*\w|blip-large|clip-interrogator|clip-gaze|Stable Diffusion|LoRA|SDXL|bigG|FLUX|InvokeAI|AUTOMATIC1111"
    r"|Pony|Illustrious|NoobAI|Anima|Qwen-Image|Qwen3-VL|Gemma 3|Florence-2|<CAPTION>|Ollama|LM Studio|llama\.cpp|vLLM"
    r"|UNRENDER_\w+|micro-\w+|config\.json|selected_tags\.csv|long_hair|long hair|animal ears|cat ears"
    r"|OpenAI|CUDA|bitsandbytes|/v1|5m|-1|^[a-z]+(?=: )|(?<=\. )[a-z]+(?=: )|paragraph|The image shows"
    r"|\b(?:pinv|ridge|bank|anchored|usual|beam|micro)\b|\{'\{'\}\{'\}'\}|\\[()]|camera angles|a photo of|\d\.\d"
)
"""What no translation changes: files, models, values of the choices, placeholders, what is typed."""
LETTERS = {
    "ja": re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]"),
    "ko": re.compile(r"[\uac00-\ud7af]"),
    "ru": re.compile(r"[\u0400-\u04ff]"),
    "zh": re.compile(r"[\u4e00-\u9fff]"),
    "zh-TW": re.compile(r"[\u4e00-\u9fff]"),
}
HOSTS = {
    "de": ("CLIP Text Encode", "CLIP Vision Encode"),
    "es": ("Codificar Texto CLIP", "CLIP Vision Encode"),
    "fr": ("CLIP Text Encode", "CLIP Vision Encode"),
    "ja": ("CLIPテキストエンコード", "CLIPビジョンエンコード"),
    "ko": ("CLIP 텍스트 인코딩", "CLIP_VISION 인코딩"),
    "ru": ("Кодирование текста CLIP", "Кодирование видения CLIP"),
    "zh": ("CLIP文本编码", "CLIP视觉编码"),
    "zh-TW": ("CLIP 文字編碼", "CLIP Vision 編碼"),
}
"""How ComfyUI's own nodes are called there, as its front end has them; it has no German."""
SAME = {"CLIP", "JSON", "LoRA", "VAE", "alpha", "top p"}
FOUND_BY = {
    "UnrenderInterrogate": {
        "de": ("bild zu text", "prompt", "beschreiben"),
        "es": ("imagen a texto", "describir", "etiquetar"),
        "fr": ("image vers texte", "décrire", "légende"),
        "ja": ("プロンプト", "逆算", "画像からテキスト", "タグ付け"),
        "ko": ("프롬프트 추출", "이미지 설명", "태그"),
        "ru": ("изображение в текст", "промпт", "описать"),
        "zh": ("反推", "图生文", "打标", "提示词"),
        "zh-TW": ("反推", "圖生文", "提示詞"),
    },
    "UnrenderTagPicture": {
        "de": ("taggen", "tags"),
        "es": ("etiquetar", "etiquetas"),
        "fr": ("taguer", "tags"),
        "ja": ("タグ付け", "タガー"),
        "ko": ("태그", "태거"),
        "ru": ("теги", "теггер"),
        "zh": ("打标", "标签", "反推标签"),
        "zh-TW": ("標籤", "打標"),
    },
    "UnrenderDescribePicture": {
        "de": ("bild beschreiben", "bildbeschreibung"),
        "es": ("describir imagen",),
        "fr": ("décrire", "description"),
        "ja": ("画像を説明", "視覚言語モデル"),
        "ko": ("이미지 설명", "비전"),
        "ru": ("описать", "мультимодальная"),
        "zh": ("描述图片", "自然语言", "看图说话"),
        "zh-TW": ("描述圖片", "自然語言"),
    },
    "UnrenderDescriberServer": {
        "de": ("lokales sprachmodell",),
        "es": ("modelo local",),
        "fr": ("modèle local",),
        "ja": ("ローカルllm",),
        "ko": ("로컬 llm",),
        "ru": ("локальная модель",),
        "zh": ("本地大模型", "服务器"),
        "zh-TW": ("本地模型", "伺服器"),
    },
    "UnrenderCaptionFolder": {"zh": ("批量打标",), "ja": ("一括",), "ko": ("캡션",), "de": ("ordner",)},
    "UnrenderReadImagePrompt": {"zh": ("元数据", "读取"), "ja": ("メタデータ",), "ru": ("метаданные",)},
    "UnrenderLocate": {"zh": ("热力图", "定位"), "zh-TW": ("熱圖",), "ja": ("ヒートマップ",), "ko": ("히트맵",)},
}


def read(language: str) -> dict[str, Any]:
    return json.loads((ROOT / "locales" / language / "nodeDefs.json").read_text(encoding="utf-8"))


def texts(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield place, value
        return
    for key, each in value.items():
        yield from texts(each, f"{place}.{key}" if place else key)


def test_all_languages_are_there() -> None:
    assert {path.name for path in Path(ROOT / "locales").iterdir()} == {"en", *LANGUAGES}


def test_no_english_text_has_changed_since_it_was_translated() -> None:
    then = dict(texts(json.loads((ROOT / "tests/data/translated.json").read_text(encoding="utf-8"))))
    now = dict(texts(english_texts()))
    assert [place for place in {**then, **now} if then.get(place) != now.get(place)] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_translated(language: str) -> None:
    english, translated = dict(texts(read("en"))), dict(texts(read(language)))
    assert translated.keys() == english.keys()
    assert [place for place, text in translated.items() if not text.strip()] == []
    letters = LETTERS.get(language)
    if letters:
        assert [text for text in translated.values() if not letters.search(text) and text not in SAME] == []
    else:
        long = [place for place, text in english.items() if len(text) > 15]
        assert [place for place in long if translated[place] == english[place]] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_has_to_stay_stays(language: str) -> None:
    translated = dict(texts(read(language)))
    lost = [
        (place, kept)
        for place, text in texts(read("en"))
        for kept in set(KEPT.findall(text))
        if translated[place].count(kept) < text.count(kept)
    ]
    assert lost == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_names_differ_where_english_names_do(language: str) -> None:
    """Two inputs of a node, or two nodes, are not told apart by one word for both."""
    english, translated = read("en"), read(language)
    assert len({node["display_name"] for node in translated.values()}) == len(english)
    for name in english:
        for side in ("inputs", "outputs"):
            theirs, ours = ([each["name"] for each in which[name][side].values()] for which in (english, translated))
            assert len(set(ours)) == len(set(theirs)), (language, name, ours)


@pytest.mark.parametrize("language", LANGUAGES)
def test_nodes_that_a_text_names_are_called_so(language: str) -> None:
    """Names in quotes are those of our nodes, of ComfyUI's own in that language, or of an input."""
    translated = read(language)
    names = {node["display_name"] for node in translated.values()}
    inputs = {each["name"] for node in translated.values() for each in node["inputs"].values()}
    for place, text in texts(translated):
        for quoted in re.findall(r"[“「„«\"]\s?([^“”「」„«»\"]+?)\s?[”」“»\"]", text):
            ours = quoted in inputs or any(name.startswith(quoted) for name in names)
            assert ours or any(host in quoted for host in HOSTS[language]), (place, quoted)


@pytest.mark.parametrize("node", FOUND_BY)
def test_the_search_finds_nodes_by_the_words_people_type(node: str) -> None:
    aliases = [word.lower() for word in node_schemas()[node].search_aliases]
    for language, words in FOUND_BY[node].items():
        name = read(language)[node]["display_name"].lower()
        for word in words:
            assert word in name or any(word in alias for alias in aliases), (language, word)


def test_what_the_chips_on_a_node_say_is_translated() -> None:
    script = (ROOT / "web" / "words.js").read_text(encoding="utf-8")
    found = re.search(r"WORDS = (\{.*?\n\});", script, re.DOTALL)
    assert found
    said = json.loads(found[1])
    assert said.keys() == {"en", *LANGUAGES}
    for language, words in said.items():
        assert words.keys() == said["en"].keys()
        for key, text in words.items():
            assert sorted(re.findall(r"\{\d\}", text)) == sorted(re.findall(r"\{\d\}", said["en"][key])), (
                language,
                key,
            )
            assert language == "en" or text != said["en"][key]
        if language in LETTERS:
            assert all(LETTERS[language].search(text) for text in words.values())
    used = {*re.findall(r"say\(\"(\w+)\"", (ROOT / "web" / "chips.js").read_text(encoding="utf-8"))}
    assert used <= said["en"].keys()
