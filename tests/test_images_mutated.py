"""Changed pictures of every format that is read are pictures or sentences, cheap both, in a process with limits."""

import json
import os
import random
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from picture_seeds import picture_seeds

pytest.importorskip("resource")

EACH = 8
ODD_NUMBERS = (0, 1, 0xFF, 0xFFFF, 13_377, 60_000, 1 << 24, 0x7FFFFFFF, 0xFFFFFFFF)

OPENING = """
import json, resource, sys, time, warnings
from picture_costs import peak
warnings.simplefilter("ignore")
resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
resource.setrlimit(resource.RLIMIT_CPU, (120, 120))
from unrender.core.errors import ImageError
from unrender.core.images import open_image
for line in sys.stdin:
    data, began = bytes.fromhex(line.strip()), time.process_time()
    try:
        said = open_image(data).mode
    except ImageError as error:
        said = "ImageError"
    except BaseException as error:
        said = repr(error)
    print(json.dumps([said, time.process_time() - began, peak()]), flush=True)
"""


def mutated(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = chance.randrange(min(len(changed), chance.choice((64, 256, len(changed)))))
        kind = chance.randrange(6)
        if kind == 0:
            changed[at] = chance.randrange(256)
        elif kind == 1:
            changed[at : at + 4] = struct.pack(chance.choice("<>") + "I", chance.choice(ODD_NUMBERS))
        elif kind == 2:
            changed[at : at + 2] = struct.pack(chance.choice("<>") + "H", chance.choice((0, 1, 13_377, 0xFFFF)))
        elif kind == 3:
            changed[at:at] = changed[at : at + 100] * chance.randrange(1, 20)
        elif kind == 4:
            changed[at] ^= 1 << chance.randrange(8)
        else:
            changed = changed[: at + 1]
    return bytes(changed)


def beside_this() -> dict[str, str]:
    """Where a process finds what the tests share."""
    folder = str(Path(__file__).parent)
    return {**os.environ, "PYTHONPATH": os.pathsep.join([folder, os.environ.get("PYTHONPATH", "")])}


def test_changed_pictures_are_pictures_or_sentences():
    inputs = [
        (name, number, mutated(data, random.Random(f"{name} {number}")))
        for name, data in picture_seeds().items()
        for number in range(EACH)
    ]
    given = "\n".join(data.hex() for *_, data in inputs)
    command = [sys.executable, "-c", OPENING]
    done = subprocess.run(command, input=given, capture_output=True, text=True, env=beside_this())
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(inputs), (inputs[len(answers)][:2], done.returncode)
    for (name, number, _), (said, seconds, megabytes) in zip(inputs, answers, strict=True):
        assert said in ("RGB", "ImageError"), (name, number, said)
        assert seconds < 2, (name, number)
        assert megabytes < 500, (name, number, "the process has grown")
