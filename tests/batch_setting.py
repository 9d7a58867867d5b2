"""What the tests of batches share within pytest: a folder of pictures, a run over it, and a stop after some steps."""

from __future__ import annotations

import pytest
from batch_runs import QuickEngine, batch, draw
from unrender.core.errors import Cancelled
from unrender.core.progress import Progress


@pytest.fixture(name="folder")
def folder_fixture(tmp_path):
    return draw(tmp_path / "pictures", 8, broken=1)


def run(folder, output="txt", engine=None, **more):
    found = batch(engine or QuickEngine(), folder, output, **more)
    return found, list(found)


class StopsAfter(Progress):
    def __init__(self, steps):
        self.left = steps

    def check(self):
        self.left -= 1
        if self.left < 0:
            raise Cancelled
