"""What a comparison notes, so that it goes on after it was ended: nothing that is decided by something else is taken
from there, and what was torn, planted or written by others does no harm."""

from __future__ import annotations

import pytest
from unrender.core.errors import BatchError, ModelError
from unrender.core.verify.notes import NAME, Notes, noted_in


@pytest.fixture
def notes_file(tmp_path):
    with noted_in(tmp_path, "1") as notes:
        notes.under("a checkpoint").keep(7, "best", 0)
        notes.keep([1.5, "ü"], "prompt")
    return tmp_path / ".unrender" / NAME


def known(folder, *deciding, version="1", under=()):
    with noted_in(folder, version) as notes:
        return notes.under(*under).known(lambda found: found, *deciding)


def test_what_was_noted_is_known_to_the_next_run(notes_file, tmp_path):
    assert known(tmp_path, "best", 0, under=["a checkpoint"]) == 7
    assert known(tmp_path, "prompt", version="1", under=[]) is None  # `under` nothing is another scope than none
    with noted_in(tmp_path, "1") as notes:
        assert notes.known(tuple, "prompt") == (1.5, "ü")


@pytest.mark.parametrize(
    ("deciding", "under", "version"),
    [(("best", 1), "a checkpoint", "1"), (("best", 0), "another", "1"), (("best", 0), "a checkpoint", "2")],
)
def test_what_is_decided_by_something_else_is_not(notes_file, tmp_path, deciding, under, version):
    assert known(tmp_path, *deciding, under=[under], version=version) is None


def test_a_torn_line_is_dropped_and_written_over(notes_file, tmp_path):
    whole = notes_file.read_bytes()
    notes_file.write_bytes(whole + b'{"of": "torn')
    with noted_in(tmp_path, "1") as notes:
        assert notes.under("a checkpoint").known(int, "best", 0) == 7
        notes.keep("after", "more")
    assert notes_file.read_bytes().startswith(whole)
    assert notes_file.read_bytes().count(b"\n") == 4


@pytest.mark.parametrize("line", [b"not JSON", b"[]", b'{"of": "x"}', b"\xff\xfe", b"[" * 100_000, b"7"])
def test_a_line_that_nobody_understands_is_passed_over(notes_file, tmp_path, line):
    head, *rest = notes_file.read_bytes().splitlines()
    notes_file.write_bytes(b"\n".join([head, line, *rest, b""]))
    assert known(tmp_path, "best", 0, under=["a checkpoint"]) == 7


@pytest.mark.parametrize("planted", ["seven", None, [], {"a": 1}])
def test_a_row_that_is_not_what_it_should_be_is_not_known(planted):
    notes = Notes()
    notes.keep(planted, "best")
    assert notes.known(int, "best") is None


def test_what_a_kill_left_of_the_first_line_is_begun_anew(notes_file, tmp_path):
    notes_file.write_bytes(b'{"ver')
    with noted_in(tmp_path, "1") as notes:
        assert notes.under("a checkpoint").known(int, "best", 0) is None
        notes.keep(1, "first")
    first, _, *rest = notes_file.read_bytes().split(b"\n")
    assert (first, rest) == (b'{"verify": 1}', [b""])


def test_nothing_is_left_where_nothing_came_of_it(tmp_path):
    with pytest.raises(ModelError), noted_in(tmp_path / "report", "1"):
        raise ModelError("There is no such model")
    assert not list(tmp_path.iterdir())


def test_a_file_of_somebodys_is_left_alone(notes_file, tmp_path):
    notes_file.write_text("my own notes\n")
    with pytest.raises(BatchError, match=r"verify\.jsonl is none that a run writes; move it away to begin anew"):
        known(tmp_path, "best")
    assert notes_file.read_text() == "my own notes\n"


def test_a_link_is_not_followed(notes_file, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine\n")
    notes_file.unlink()
    notes_file.symlink_to(elsewhere)
    with pytest.raises(BatchError, match="it is a link"):
        known(tmp_path, "best")
    assert elsewhere.read_text() == "mine\n"


def test_two_runs_at_once_are_one_too_many(tmp_path):
    with noted_in(tmp_path, "1"), pytest.raises(BatchError, match="Another run is at work"):
        known(tmp_path, "best")
