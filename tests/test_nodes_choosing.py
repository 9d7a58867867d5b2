"""Several Prompts and Nearest Rendering with a stand-in for ComfyUI."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from comfyui_nodes import use_standin

use_standin()

from nodes_setting import micro_setup, models_fixture, server_fixture  # noqa: E402, F401
from PIL import Image  # noqa: E402
from unrender.core.engine import Engine  # noqa: E402
from unrender.core.errors import SettingsError  # noqa: E402
from unrender.core.micro.drawing import draw  # noqa: E402
from unrender.core.micro.world import random_scene  # noqa: E402
from unrender.core.prompt_syntax import escape  # noqa: E402
from unrender.core.settings import Settings  # noqa: E402
from unrender.core.verify.choosing import find_candidates  # noqa: E402


def drawing(seed: int) -> Image.Image:
    return draw(random_scene(random.Random(seed), "validation"), seed).picture


def tensor(*pictures: Image.Image) -> torch.Tensor:
    from unrender.nodes.pictures import as_batch, as_image

    return as_batch([as_image(each) for each in pictures])


def nearest(image: torch.Tensor, renderings: list[Any], prompts: list[str]) -> Any:
    from unrender.nodes.choosing import NearestRendering

    return NearestRendering.execute([image], renderings, prompts, [micro_setup()])


def test_a_picture_gets_the_prompts_that_the_engine_finds(models, server):
    from unrender.nodes.choosing import SeveralPrompts

    out = SeveralPrompts.execute(tensor(drawing(4)), 3, micro_setup())
    with Engine(Settings(clip="micro", captioner="micro", device="cpu", search="peer")) as engine:
        found = find_candidates(engine, drawing(4), 3)
    assert out.args[0] == [escape(each.found.prompt, "comfyui") for each in found] and len(found) == 3
    assert [text.partition(": ")[0] for text in out.ui["text"]] == [each.way for each in found]


def test_the_prompt_whose_rendering_is_the_picture_is_chosen(models, server):
    own, other, third = drawing(4), drawing(5), drawing(6)
    out = nearest(tensor(own), [tensor(other), tensor(own), tensor(third)], ["other", "own", "third"])
    prompt, rendering, ranking = out.args
    assert prompt == "own" and torch.equal(rendering, tensor(own))
    lines = ranking.splitlines()
    assert lines[0] == "1.000  own" and len(lines) == 3
    assert [float(line.split()[0]) for line in lines] == sorted(
        (float(line.split()[0]) for line in lines), reverse=True
    )


def test_of_a_batch_for_each_the_mean_counts(models, server):
    own, other, third = drawing(4), drawing(5), drawing(6)
    alone = [float(nearest(tensor(own), [tensor(each)], ["it"]).args[2].split()[0]) for each in (other, third)]
    both = nearest(tensor(own), [tensor(other, third)], ["it"]).args[2]
    assert float(both.split()[0]) == pytest.approx(sum(alone) / 2, abs=2e-3)


def test_of_equals_the_first(models, server):
    assert nearest(tensor(drawing(4)), [tensor(drawing(5))] * 2, ["first", "second"]).args[0] == "first"


@pytest.mark.parametrize("prompts", [["one"], ["one", "two", "three"]])
def test_renderings_that_are_not_the_prompts_are_refused(models, server, prompts):
    with pytest.raises(SettingsError, match="renderings of 2"):
        nearest(tensor(drawing(4)), [tensor(drawing(4)), tensor(drawing(5))], prompts)


def test_of_several_pictures_none_is_compared_with(models, server):
    from unrender.nodes.choosing import SeveralPrompts

    both = tensor(drawing(4), drawing(5))
    with pytest.raises(SettingsError, match="There are 2 pictures connected to image; connect one"):
        nearest(both, [tensor(drawing(4))], ["one"])
    with pytest.raises(SettingsError, match="connect one"):
        SeveralPrompts.execute(both, 2, micro_setup())
