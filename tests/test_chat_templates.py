"""A captioner's chat template is a program of a stranger's: it gives what transformers gives, or a sentence soon."""

from __future__ import annotations

import resource
import time
from types import SimpleNamespace

import pytest
from unrender.core.describe.writing.templates import rendered
from unrender.core.errors import ModelError

MESSAGE = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is it?"}]}


def asked(template: object) -> str | None:
    tokenizer = SimpleNamespace(special_tokens_map={"bos_token": "<s>", "extra": ["<a>"]})
    processor = SimpleNamespace(chat_template=template, tokenizer=tokenizer)
    return rendered("someone/captioner", processor, [[MESSAGE]])[0]


PLAIN = """{{ bos_token }}{% for message in messages %}{{ message.role | upper }}:
    {% for part in message['content'] %}
        {%- if part.type == 'image' %}<image>{% else %}{{ part.text | tojson }}{% endif %}
    {% endfor %}
{% endfor %}{% generation %}x{% endgeneration %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"""


def test_it_gives_what_transformers_gives() -> None:
    utils = pytest.importorskip("transformers.utils.chat_template_utils")
    values = {"add_generation_prompt": True, "bos_token": "<s>"}
    expected = utils._compile_jinja_template(PLAIN).render(messages=[MESSAGE], **values)
    assert asked(PLAIN) == asked({"default": PLAIN}) == expected != ""


@pytest.mark.parametrize(
    "template",
    [
        "{% for i in range(10**9) %}x{% endfor %}",
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{{ 'x' * 10**10 }}",
        "{{ '%10000000000d' % 1 }}",
        "{{ 'x'.ljust(10**10) }}",
        "{% set n = namespace(x='xxxxxxxx') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
        "{% for i in range(9999) %}{{ 'x' * 9999 }}{% endfor %}",
        "{{ 9 ** (9 ** 9) }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ raise_exception('no\x1b[2J\nsuch') }}",
        "{% if %}",
        "{{ messages.append(1) }}",
        "x" * 300_000,
        None,
        {"other": "x"},
    ],
)
def test_what_is_none_is_a_sentence_within_limits(template: object) -> None:
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with pytest.raises(ModelError, match="chat template of someone/captioner cannot be rendered") as error:
        asked(template)
    assert "\x1b" not in str(error.value) and "\n" not in str(error.value)
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before.ru_utime < 4
    assert time.monotonic() - started < 30
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # of this one, or of one before it
    assert largest < 1 << 20 or largest == before.ru_maxrss
