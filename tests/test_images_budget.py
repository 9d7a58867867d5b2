"""Pixels in flight: how many are held, in whose turn, and what a batch takes at its peak."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from image_files import encoded, flags
from PIL import Image
from unrender.core.batch.ahead import opened, readable
from unrender.core.batch.items import Item
from unrender.core.errors import Cancelled, ImageError
from unrender.core.images import open_image
from unrender.core.images.budget import PixelBudget


def waits(action) -> threading.Thread:
    """A thread that is seen to be waiting."""
    thread = threading.Thread(target=action, daemon=True)
    thread.start()
    thread.join(0.05)
    assert thread.is_alive()
    return thread


class TestPixelBudget:
    def test_what_does_not_fit_waits_for_room(self):
        budget = PixelBudget(100)
        first, second = budget.ticket(), budget.ticket()
        first.take(60)
        thread = waits(lambda: second.take(50))
        first.release()
        thread.join(5)
        assert not thread.is_alive()

    def test_the_oldest_never_waits(self):
        budget = PixelBudget(100)
        first, second = budget.ticket(), budget.ticket()
        second.take(100)
        first.take(1000)
        first.take(1000)

    def test_who_never_takes_any_keeps_nobody_waiting_for_ever(self):
        budget = PixelBudget(100)
        first, second = budget.ticket(), budget.ticket()
        thread = waits(lambda: second.take(101))
        first.release()
        thread.join(5)
        assert not thread.is_alive()

    def test_who_waits_is_asked_whether_to_go_on(self):
        def stop():
            raise Cancelled("stopped")

        budget = PixelBudget(100)
        budget.ticket().take(100)
        waiting = budget.ticket()
        waiting.check = stop
        with pytest.raises(Cancelled):
            waiting.take(1)

    def test_the_end_lets_all_in(self):
        budget = PixelBudget(100)
        budget.ticket().take(100)
        thread = waits(lambda: budget.ticket().take(1))
        budget.close()
        thread.join(5)
        assert not thread.is_alive()

    def test_a_picture_asks_before_it_is_decoded(self, monkeypatch):
        ticket = PixelBudget(100).ticket()
        asked = []
        monkeypatch.setattr(ticket, "take", asked.append)
        with ticket.asked():
            open_image(encoded(flags((24, 10)), "PNG"))
            with pytest.raises(ImageError):
                open_image(b"no picture")
        open_image(encoded(flags(), "PNG"))
        assert asked == [240]


class Counted(Item):
    """Counts how many of its kind are opened and not yet let go of."""

    alive = 0
    most = 0

    def open(self):
        image = super().open()
        Counted.alive += 1
        Counted.most = max(Counted.most, Counted.alive)
        return Gone(image)


class Gone:
    def __init__(self, image):
        self.size = image.size

    def __del__(self):
        Counted.alive -= 1


@pytest.mark.parametrize("jobs", [1, 4])
def test_no_more_pictures_are_held_than_the_budget_has_pixels(tmp_path, jobs):
    Counted.alive = Counted.most = 0
    items = []
    for number in range(32):
        path = tmp_path / f"{number:02}.png"
        if number % 5 == 3:
            path.write_bytes(b"no picture")
        else:
            Image.new("RGB", (100, 100)).save(path)
        items.append(Counted(path.name, path))
    names, chunks = [], [items[:16], items[16:]]
    for chunk in opened(chunks, jobs, PixelBudget(30_000)):
        looked_at = []
        for _ in readable(chunk, looked_at) or ():
            time.sleep(0.01)
        names += [item.name for item, _ in looked_at]
        assert sum(error is not None for _, error in looked_at) == 3
    assert names == [item.name for item in items]
    assert Counted.most <= 3 + 3  # and the oldest, the one just given, and the one that is let go of


def test_who_stops_early_leaves_no_thread(tmp_path):
    Image.new("RGB", (100, 100)).save(tmp_path / "one.png")
    items = [Item(f"{number}", tmp_path / "one.png") for number in range(32)]
    pictures = opened([items[:16], items[16:]], 4, PixelBudget(10_000))
    next(next(pictures))
    pictures.close()
    assert not any(thread.name.startswith("unrender-decode") for thread in threading.enumerate())


PEAK = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from picture_costs import peak as held
from unrender.core.batch import FolderSource
from unrender.core.batch.ahead import chunked, opened, readable
from unrender.core.engine import Engine
from unrender.core.settings import Settings
engine = Engine(Settings(clip="micro", device="cpu"))
def peak(folder):
    for chunk in opened(chunked(FolderSource(folder)), 2):
        engine.picture_features(readable(chunk, []))
    return held()
before = peak(Path(sys.argv[1]))
print(peak(Path(sys.argv[2])) - before)
"""


def test_a_chunk_of_photographs_holds_few_of_them(tmp_path):
    """Ten pictures of 24 megapixels are a gigabyte."""
    pytest.importorskip("resource")
    for name, size, count in (("small", (60, 40), 1), ("large", (6000, 4000), 10)):
        (tmp_path / name).mkdir()
        data = encoded(Image.new("RGB", size, "teal"), "JPEG")
        for number in range(count):
            (tmp_path / name / f"{number}.jpg").write_bytes(data)
    script = [sys.executable, "-c", PEAK, str(tmp_path / "small"), str(tmp_path / "large"), str(Path(__file__).parent)]
    done = subprocess.run(script, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 700
