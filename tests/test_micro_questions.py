"""What the micro chat model is asked in training, and the text that its template makes of a question."""

from __future__ import annotations

import json
import random

import pytest
from unrender.core.describe.styles import STYLES
from unrender.core.micro.world import random_scene
from unrender.core.settings import WRITING_STYLES

pytest.importorskip("transformers", minversion="4.46", reason="the class and its processor came by then")
chat_folder = pytest.importorskip("unrender.training.chat_folder", reason="training is no part of an installed package")
from unrender.training.chat_questions import random_turn  # noqa: E402


def test_every_style_is_asked_for_in_its_own_words_and_in_others():
    rng = random.Random(1)
    turns = [random_turn(random_scene(rng, "train"), rng) for _ in range(3000)]
    for style in WRITING_STYLES:
        asked = {turn.question for turn in turns if turn.asked == style}
        assert STYLES[style].instruction in asked and len(asked) > 100


def test_the_template_writes_what_training_has_read():
    from jinja2 import Environment

    template = Environment().from_string(chat_folder.TEMPLATE)
    question = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What colour is it?"}]}
    special = {"bos_token": chat_folder.START, "eos_token": chat_folder.END}
    for system in ("", "Be brief."):
        before = [{"role": "system", "content": part} for part in ([{"type": "text", "text": system}],) if system]
        said = template.render(messages=[*before, question], add_generation_prompt=True, **special)
        asked = chat_folder.question_after_picture("What colour is it?")
        assert said == chat_folder.beginning(system) + chat_folder.IMAGE + asked
    answered = [question, {"role": "assistant", "content": "Red."}]
    assert template.render(messages=answered, **special).endswith(" ASSISTANT: Red.</s>")


def test_the_folder_is_the_one_that_training_writes(tmp_path):
    """All but the weights, so that the code still says how the shipped files came to be."""
    from unrender.core.micro import CHAT_FOLDER

    chat_folder.write_chat_files(tmp_path)
    for written in tmp_path.iterdir():
        assert json.loads(written.read_text()) == json.loads((CHAT_FOLDER / written.name).read_text()), written.name
