"""A soft prompt is the same on any number of threads: what rounding decides must not grow with the steps."""

from __future__ import annotations

import pytest
import torch
from soft_setting import into_micros_space, lent
from unrender.core.embed.blend import Blend
from unrender.core.embed.families import FAMILIES
from unrender.core.embed.soft import knowledge
from unrender.core.engine import Engine, Settings

pytestmark = pytest.mark.usefixtures("quick_norms")
pytest_plugins = ["embed_fixtures"]

SAME = 1e-4


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """Of few texts, and with all the steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(knowledge, "TEXTS", 32)
        settings = Settings(clip="micro", captioner=None, device="cpu", cache=tmp_path_factory.mktemp("threads"))
        with Engine(settings) as engine:
            yield engine


@pytest.fixture(autouse=True)
def threads_as_before():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("name", "anchor"), [("micro", ""), ("micro", "star"), ("sd15", "star")])
def test_one_or_two_threads(host, photographs, name, anchor):
    """On no words, forty steps through weights that were never trained magnify what rounding leaves."""
    family = FAMILIES[name]
    lending = {"encoders": lent(family), "text_projection": into_micros_space(family)} if name != "micro" else {}
    found = []
    for threads in (1, 2, 1):
        torch.set_num_threads(threads)
        found.append(host.embed(photographs[0], name, "soft", Blend(anchor=anchor), **lending).states)
    assert torch.equal(found[0], found[2])
    assert (found[0] - found[1]).abs().max() <= SAME
