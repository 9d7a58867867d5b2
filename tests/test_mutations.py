"""Files that are nearly right, a few hundred for each reader; tests/campaign.py reads more of them."""

import json
import os
import signal

import pytest
from campaign import campaign
from file_readers import READERS
from mutations import PNG, mutated
from watching import watched

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="limits are set in a forked process")

USUAL, COSTLY = 300, 6


@pytest.mark.parametrize("name", READERS)
def test_a_reader_reads_or_refuses_what_is_nearly_right(name, tmp_path):
    reader = READERS[name]
    count = COSTLY if reader.costly else USUAL
    found = campaign(reader, range(count), tmp_path)
    assert not found.wrong
    assert found.count == count


def _reads_or_not(number):
    if number == 1:
        raise KeyError("a reader's own fault")
    if number == 2:
        bytearray(2 << 30)
    if number == 3:
        while True:
            pass
    if number == 4:
        os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_reader_may_not_do_is_seen(tmp_path):
    found = watched(_reads_or_not, range(6), tmp_path, seconds=1)
    assert found.read == 2
    kinds = {what.split(" test_")[0]: numbers for what, numbers in found.wrong.items()}
    assert kinds == {"KeyError": [1], "over memory": [2], "over CPU time": [3], "died -9": [4]}


def test_a_number_is_always_the_same_file_and_checksums_hold():
    seeds = [READERS["pictures"].seeds()[0]]
    files = [mutated(seeds, "pictures", number)["picture"] for number in range(200)]
    assert files == [mutated(seeds, "pictures", number)["picture"] for number in range(200)]
    assert len(set(files)) > 150
    assert sum(data.startswith(PNG) for data in files) > 100


def test_trees_are_changed_as_trees():
    seed = {"a.json": json.dumps({"a": [1, 2, {"b": "c"}], "d": None}).encode()}
    parsed = 0
    for number in range(300):
        try:
            json.loads(mutated([seed], "trees", number)["a.json"])
            parsed += 1
        except (ValueError, RecursionError):
            pass
    assert parsed > 100
