"""Texts in the encoding they have: told, read, added to, and never half of one and half of another."""

from __future__ import annotations

import codecs
import csv
import os
import signal

import pytest
from batch_setting import folder_fixture, run  # noqa: F401
from unrender.core.errors import TextFileError
from unrender.core.texts import appended, decoded, prepended, read_known

WORDS = "a café, by José"
MARKS = {
    "utf-8": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}


@pytest.mark.parametrize("codec", MARKS)
@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize("ends", ["\n", "\r\n", ""])
def test_what_is_in_unicode_is_read_and_written_as_it_is(codec, marked, ends):
    if codec.startswith("utf-32") and not marked:
        pytest.skip("nobody writes it")
    data = (MARKS[codec] if marked else b"") + f"{WORDS}{ends}".encode(codec)
    text, coding = decoded(data, "it")
    assert text == WORDS + ends and coding.encoded(text) == data
    assert type(coding).labelled(coding.label) == coding


@pytest.mark.parametrize(
    "text", ["Straße in München", "El niño corre, montaña", "“Ansel” – 1950, café", "à la plage, été"]
)
def test_a_few_accented_letters_are_western(text):
    assert decoded(text.encode("cp1252"), "it")[0] == text


@pytest.mark.parametrize(
    ("text", "codec"),
    [
        ("кошка на диване", "cp1251"),
        ("女の子、夕焼け、海", "shift_jis"),
        ("日落时的城堡, 油画", "gb18030"),
        ("一隻貓在沙發上", "big5"),
        ("소파 위의 고양이", "euc_kr"),
    ],
)
def test_what_cannot_be_told_is_not_guessed_and_keeps_its_bytes(text, codec, tmp_path):
    data = text.encode(codec)
    read, coding = decoded(data, "it")
    assert coding.encoded(appended(read, "a dog")) == data + b", a dog"
    with pytest.raises(UnicodeEncodeError):
        coding.encoded(appended(read, "José"))
    (tmp_path / "it.txt").write_bytes(data)
    with pytest.raises(TextFileError, match=r"it\.txt cannot be told; save it as UTF-8"):
        read_known(tmp_path / "it.txt")


@pytest.mark.parametrize(
    "data",
    [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"a\0b", "\ufeffa cat".encode("utf-16-le")[:-1], "猫の写真".encode("utf-16-le")],
)
def test_what_is_no_text_or_might_be_two_is_refused(data):
    with pytest.raises(TextFileError):
        decoded(data, "it")


def test_what_is_no_file_is_refused_at_once(tmp_path):
    with pytest.raises(TextFileError):
        read_known(tmp_path / "absent.txt")
    with pytest.raises(TextFileError):
        read_known(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.txt")
        signal.alarm(5)  # a reader would wait for ever
        with pytest.raises(TextFileError):
            read_known(tmp_path / "pipe.txt")
        signal.alarm(0)


@pytest.mark.parametrize(
    ("before", "behind", "ahead"),
    [
        ("a cat", "a cat, a dog", "a dog, a cat"),
        ("a cat,", "a cat, a dog", "a dog, a cat,"),
        ("a cat, ", "a cat, a dog", "a dog, a cat, "),
        ("a cat,, ,\n", "a cat, a dog\n", "a dog, a cat,, ,\n"),
        (", a cat", ", a cat, a dog", "a dog, a cat"),
        ("a cat\r\n", "a cat, a dog\r\n", "a dog, a cat\r\n"),
        ("a cat\nin a hat\n", "a cat\nin a hat, a dog\n", "a dog, a cat\nin a hat\n"),
        ("\n a cat", "\n a cat, a dog", "a dog, a cat"),
        ("猫，", "猫， a dog", "a dog, 猫，"),
        ("", "a dog", "a dog"),
        (" ,\n", "a dog\n", "a dog\n"),
    ],
)
def test_one_comma_joins_and_no_line_ends_within(before, behind, ahead):
    assert appended(before, "a dog") == behind and prepended(before, "a dog") == ahead
    assert appended(before, ", a dog") == behind and prepended(before, "a dog, ") == ahead


def test_nothing_added_changes_nothing():
    assert appended("a cat,\n", "") == prepended("a cat,\n", " ") == "a cat,\n"


@pytest.mark.parametrize("codec", MARKS)
@pytest.mark.parametrize(
    ("existing", "text"), [("append", "{}, a square, number 4"), ("prepend", "a square, number 4, {}")]
)
def test_a_caption_is_added_to_in_its_encoding(folder, codec, existing, text):
    path = folder / "0004.txt"
    path.write_bytes(MARKS[codec] + f"{WORDS},\r\n".encode(codec))
    run(folder, existing=existing)
    data = path.read_bytes()
    assert data.startswith(MARKS[codec])
    whole = text.format(WORDS) if existing == "append" else text.format(f"{WORDS},")
    assert data.removeprefix(MARKS[codec]).decode(codec) == whole + "\r\n"


def test_a_caption_whose_encoding_cannot_be_told_stays_and_is_a_failure(folder):
    path = folder / "0004.txt"
    path.write_bytes("кошка".encode("cp1251"))
    found, outcomes = run(folder, existing="append", template=_template("José: {prompt}"))
    assert path.read_bytes() == "кошка".encode("cp1251") and found.failed == 2
    assert "save it as UTF-8" in next(each.error for each in outcomes if each.name == "0004.png")
    with (folder / "errors.csv").open(newline="", encoding="utf-8") as file:
        assert "0004.png" in {row["image"] for row in csv.DictReader(file)}
    path.write_text("кошка", encoding="utf-8")
    run(folder, existing="append", template=_template("José: {prompt}"), resume=True)
    assert path.read_text(encoding="utf-8") == "кошка, José: a square, number 4"


def test_ascii_is_added_to_any_of_single_bytes(folder):
    path = folder / "0004.txt"
    path.write_bytes("кошка".encode("cp1251") + b", ")
    run(folder, existing="append")
    assert path.read_bytes() == "кошка".encode("cp1251") + b", a square, number 4"


@pytest.mark.parametrize("existing", ["append", "prepend", "skip"])
def test_a_caption_edited_before_a_run_goes_on_is_not_overwritten(folder, existing):
    stopped = iter(run_lazily(folder, existing))
    next(stopped)  # the chunk is in the journal, one text is written
    stopped.close()
    path = folder / "0007.txt"
    path.write_text("what somebody wrote", encoding="utf-8")
    found, outcomes = run(folder, existing=existing, resume=True)
    assert path.read_text(encoding="utf-8") == "what somebody wrote"
    if existing == "skip":
        assert found.failed == 0
        return
    assert any("changed meanwhile" in each.error for each in outcomes)
    run(folder, existing=existing, resume=True)
    both = ["what somebody wrote", "a square, number 2"]
    assert path.read_text(encoding="utf-8") == ", ".join(both if existing == "append" else both[::-1])


def run_lazily(folder, existing):
    from batch_runs import QuickEngine, batch

    return batch(QuickEngine(), folder, existing=existing)


def _template(text):
    from unrender.core.batch import Template

    return Template(text)


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_phrases_and_exclusions_are_read_in_their_encoding(tmp_path, codec):
    from unrender.cli import describer_options
    from unrender.core.phrases import load_vocabulary

    (tmp_path / "flavors.txt").write_bytes("in a café\r\nby José\r\n".encode(codec))
    assert load_vocabulary(tmp_path).categories["flavors"].phrases == ("in a café", "by José")
    assert describer_options.lines_of(f"@{tmp_path / 'flavors.txt'}", "phrases") == ["in a café", "by José"]


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "cp1252"])
def test_captions_beside_are_read_in_their_encoding(tmp_path, codec):
    from unrender.core.curate.captions import caption_beside

    (tmp_path / "one.txt").write_bytes("a café\r\n".encode(codec))
    assert caption_beside(tmp_path / "one.png") == "a café"
    (tmp_path / "one.txt").write_bytes("кошка".encode("cp1251"))
    assert caption_beside(tmp_path / "one.png") == ""
