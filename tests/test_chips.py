"""The phrases of a prompt as the pages show them, and what is asked again once a person has changed it; without a
browser."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape

import pytest
from unrender.core.embed.seen import Seen
from unrender.core.engine import Engine
from unrender.core.errors import ImageError
from unrender.core.prompt_syntax import escape, unescape_for_webui
from unrender.core.results import REASONS, Interrogation, PhraseGain, Rejected
from unrender.core.settings import Settings
from unrender.server.chips import chips, left_out
from unrender.server.choices import Request
from unrender.server.host import alone
from unrender.server.jobs import Job
from unrender.server.service import Service
from unrender.server.weighed import Judge, weigh, weighed
from unrender.server.work import Found

EVIL = '<img src=x onerror="alert(1)"> & \u202e{x}'


def found(*phrases: PhraseGain, rejected: tuple[Rejected, ...] = (), bank: str = "") -> Interrogation:
    prompt = ", ".join(each.text for each in phrases)
    return Interrogation(prompt, 0.2, "best", "", phrases, "micro", 1.0, rejected=rejected, bank=bank)


def rows(html: str) -> list[str]:
    return re.findall(r"<li.*?</li>", html, re.DOTALL)


def data(row: str) -> dict[str, str]:
    return {name: unescape(value) for name, value in re.findall(r'data-([\w-]+)="(.*?)"', row)}


def text(row: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", row)).split())


def test_a_chip_tells_gain_and_likelihood_and_offers_the_runner_up():
    sure, plain = rows(
        chips(
            found(
                PhraseGain("red", "colours", 0.0312, 0.714, 2.4, "colours", "orange"),
                PhraseGain("soft light", "flavors", -0.001),
            ),
            str,
        )
    )
    assert text(sure) == "red +0.0312 · 71% or orange" and text(plain) == "soft light -0.0010"
    assert data(sure) == {"written": "red", "plain": "red", "other-written": "orange", "other-plain": "orange"}
    assert data(plain) == {"written": "soft light", "plain": "soft light"}
    assert (
        'title="red, colours, cosine similarity +0.0312, likelihood 71%, support +2.4 deviations, next likely: orange"'
        in sure
    )
    assert sure.count("<button") == 4 and plain.count("<button") == 3, "to take out, to swap, to pin and to ban"
    assert chips(found(), str) == ""


@pytest.mark.parametrize(("likelihood", "shown"), [(1.0, "100%"), (0.9996, "> 99%"), (0.004, "< 1%"), (0.5, "50%")])
def test_what_is_not_quite_sure_is_not_called_sure(likelihood, shown):
    assert text(rows(chips(found(PhraseGain("red", "colours", 0.1, likelihood)), str))[0]).endswith(f"· {shown}")


def test_nothing_a_picture_or_list_says_becomes_html():
    evil = found(
        PhraseGain(EVIL, EVIL, 0.2, 0.5, 1.0, EVIL, EVIL),
        PhraseGain(f"a {EVIL}", "caption", 0.2, 0.5, 1.0, EVIL, EVIL * 2, EVIL),
        rejected=tuple(Rejected(EVIL, EVIL, reason, 0.1, 0.1, 0.1, EVIL) for reason in REASONS),
        bank=EVIL,
    )
    row, _ = rows(chips(evil, str))
    for html in (chips(evil, str), left_out(evil)):
        assert "<img" not in html and "&lt;img" in html
    assert data(row)["written"] == data(row)["other-plain"] == EVIL, "which only fields are given"
    assert "\\u202e" in text(row) and "\u202e" not in text(row)


def test_a_phrase_stands_in_the_field_as_the_host_writes_it():
    phrases = [
        PhraseGain("a (red) boat", "flavors", 0.2),
        PhraseGain("16:9", "flavors", 0.1),
        PhraseGain("_", "x", 0.1),
    ]

    def written(prompt: str) -> str:
        return escape(prompt, "webui")

    field = written(", ".join(each.text for each in phrases))
    assert all(data(row)["written"] in field.split(", ") for row in rows(chips(found(*phrases), written)))
    assert unescape_for_webui(field) == "a (red) boat, 16:9, _"


def test_captions_and_what_has_several_lines_cannot_be_pinned():
    for phrase in (PhraseGain("a red boat", "caption", 0.2), PhraseGain("a boat\nred", "flavors", 0.2)):
        assert rows(chips(found(phrase), str))[0].count("<button") == 1
    assert rows(chips(found(PhraseGain("a boat, red", "flavors", 0.2)), str))[0].count("<button") == 3


def test_a_captions_words_give_way_to_their_runner_up():
    caption = PhraseGain("A Red boat, redder than red", "caption", 0.2, 0.6, 1.0, "colours", "orange", "red")
    (row,) = rows(chips(found(caption), lambda prompt: prompt.replace("b", "\\b")))
    assert data(row)["other-plain"] == "An orange boat, redder than orange"
    assert data(row)["other-written"] == "An orange \\boat, redder than orange"
    assert row.count("<button") == 2 and "red ? no: orange" in text(row)
    assert "next likely: orange in place of red" in row
    for unknown in ("", "green"):
        (row,) = rows(chips(found(replace(caption, instead_of=unknown)), str))
        assert row.count("<button") == 1 and "next likely: orange" in row


def test_what_was_left_out_says_why_and_the_caption_what_was_changed():
    rejected = [Rejected("a phrase", "flavors", reason, 0.25, -1.0, 0.001, "the other") for reason in REASONS]
    one = found(PhraseGain("a boat", "caption", 0.2), rejected=tuple(rejected), bank="twelve texts")
    table = left_out(one)
    assert f"left out ({len(REASONS)})" in table and "Compared with twelve texts." in text(table)
    said = set(map(text, re.findall("<tr><td>.*?</tr>", table)))
    assert len(said) == len(REASONS) and all("likelihood 25%, support -1.0 deviations" in each for each in said)
    for words in ("contradicts the other", "is said already by the other", "changed in the caption to the other"):
        assert words in text(table)
    assert "In the caption a phrase became the other" in text(chips(one, str))
    assert left_out(found(PhraseGain("a boat", "caption", 0.2))) == ""


# --- what a changed prompt is like


@pytest.fixture
def service(tmp_path):
    return Service(alone(Settings(clip="micro", captioner="micro", device="cpu", cache=tmp_path)), str, [], [])


def test_a_changed_prompt_is_weighed_by_the_clip_that_judged_and_the_picture_seen_once(service, photographs):
    with Engine(Settings(clip="micro", captioner="micro", device="cpu")) as engine:
        result = engine.interrogate(photographs[0], "fast")
        shorter = ", ".join(each.text for each in result.phrases[:-1])
        expected = engine.similarity(photographs[0], [result.prompt, shorter])
        length = engine.clip.text.length(shorter)
    judge = Judge("micro", result.similarity, 77)
    first = weighed(service, judge, photographs[0], shorter, Job())
    assert first.similarity == pytest.approx(expected[1], abs=1e-5) and first.tokens == length
    change = expected[1] - expected[0]
    assert first.line.endswith(f": {abs(change):.4f} {'less' if change < 0 else 'more'} than as found.")
    assert isinstance(first.judge.seen, Seen)
    again = weighed(service, first.judge, b"no picture any more", result.prompt, Job())
    assert again.line.endswith("as it was found.") and again.similarity == pytest.approx(result.similarity, abs=1e-5)


def test_a_picture_that_cannot_be_read_is_told_of(service):
    with pytest.raises(ImageError):
        weighed(service, Judge("micro"), b"no picture", "a boat", Job())
    last = list(weigh(service, Judge("micro"), b"no picture", "a boat"))[-1]
    assert last.kind == "fault" and "unrender-fault" in last.line


def test_nothing_is_asked_where_nobody_judged_or_nothing_is_left(service, photographs):
    tags = Found(Interrogation("a_boat", None, "tags", "", (), "wd", 1.0), 3, None)
    for judge, picture, prompt in (
        (Judge.of(tags, None), photographs[0], "a boat"),
        (Judge("micro"), None, "a boat"),
        (Judge("micro"), photographs[0], " , "),
    ):
        assert [report.line for report in weigh(service, judge, picture, prompt)] == [""]
    assert service.host.models.loaded == []


def test_a_stopped_question_ends_without_an_answer(service, photographs):
    told = weigh(service, Judge("micro"), photographs[0], "a boat")
    service.jobs.stop(next(told).key)
    reports = list(told)
    assert all(report.found is None for report in reports) and reports[-1].line == ""


def test_a_prompt_is_weighed_with_the_picture_that_it_was_found_for(service, photographs):
    """Also where another has taken its place before it was found."""
    own, other = photographs[:2]
    with Engine(Settings(clip="micro", captioner="micro")) as engine:
        result = engine.interrogate(own, "fast")
    found = Found(result, 3, 77)
    outdated = Judge.of(found, Request(own, "fast", "micro", "micro"), outdated=True)
    for shown in (other, None):
        last = list(weigh(service, outdated, shown, result.prompt))[-1]
        assert last.text.endswith("as it was found.") and last.found is not None
        assert last.found.judge.picture is None, "it is kept for longer than it is needed"
        assert list(weigh(service, last.found.judge, shown, result.prompt))[-1].text == last.text
    assert Judge.of(found, Request(own, "fast", "micro", "micro")).picture is None


def test_nothing_is_weighed_while_a_new_prompt_is_being_found(service, photographs):
    with service.jobs.running(Job()) as finding:
        told = list(weigh(service, Judge("micro"), photographs[0], "a boat", finding))
        assert [report.line for report in told] == [""] and told[0].found is None
    assert list(weigh(service, Judge("micro"), photographs[0], "a boat", finding))[-1].found is not None
