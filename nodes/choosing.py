"""Nodes that choose a prompt by what it renders: Several Prompts before the sampler, Nearest Rendering after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..core.errors import SettingsError
from ..core.printable import there_are
from ..core.prompt_syntax import escape
from ..core.verify.asked import check_choice
from ..core.verify.choosing import find_candidates, likenesses
from ..core.verify.eyes import USUAL_JUDGE
from . import host
from .host import io
from .inputs import InterrogatorType, interrogator_input
from .kept import keep
from .looks import pictures_alone
from .models import ModelNode, default_setup, given_setup
from .taken import opened, toy_note
from .widgets import holds_to_widgets

if TYPE_CHECKING:
    from torch import Tensor

    from ..core.engine import Engine


class SeveralPrompts(ModelNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return host.schema(
            node_id="UnrenderSeveralPrompts",
            display_name="Several Prompts",
            category="unrender",
            search_aliases=["prompt candidates", "prompt variants", "compare searches", "list of prompts"],
            description="Finds several prompts of one picture, each by another search or mode, for Nearest Rendering "
            "to choose from once they are rendered.",
            is_output_node=True,
            hidden=[io.Hidden.unique_id, io.Hidden.prompt],
            inputs=[
                io.Image.Input("image", tooltip="One picture."),
                io.Int.Input("count", default=4, min=2, max=16, tooltip="How many prompts, if as many differ."),
                interrogator_input(),
            ],
            outputs=[
                io.String.Output(
                    "prompts",
                    display_name="prompts",
                    is_output_list=True,
                    tooltip="A list: what follows runs once for each.",
                ),
            ],
        )

    @classmethod
    @holds_to_widgets
    def execute(cls, image: Any, count: int, interrogator: Any = None) -> io.NodeOutput:
        with host.reporting(cls.hidden.unique_id) as progress:
            setup = given_setup(interrogator) or default_setup()
            check_choice(count)
            picture = _one(image)
            with setup.engine(setup.settings, progress) as engine:
                engine.check()
                found = find_candidates(engine, opened(picture), count)
        prompts = [escape(each.found.prompt, "comfyui") for each in found]
        keep(cls.hidden, {0: prompts})
        told = [f"{each.way}: {prompt}" for each, prompt in zip(found, prompts, strict=True)]
        return io.NodeOutput(prompts, ui=host.shown(*told, notes=toy_note(found[0].found.model, [picture])))


class NearestRendering(ModelNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return host.schema(
            node_id="UnrenderNearestRendering",
            display_name="Nearest Rendering",
            category="unrender",
            search_aliases=[
                "best prompt",
                "choose prompt",
                "compare renderings",
                "image similarity",
                "pick best image",
            ],
            description="Which of several prompts renders nearest to a picture, in the eyes of another CLIP than the "
            "one that found them.",
            is_input_list=True,
            is_output_node=True,
            hidden=[io.Hidden.unique_id, io.Hidden.prompt],
            inputs=[
                io.Image.Input("image", tooltip="The picture that the prompts were found for."),
                io.Image.Input(
                    "renderings",
                    tooltip="What each prompt rendered, in their order; of a batch for each the mean counts.",
                ),
                io.String.Input("prompts", force_input=True, tooltip="The prompts, as Several Prompts gives them."),
                InterrogatorType.Input(
                    "judge",
                    optional=True,
                    tooltip="Whose CLIP judges, from Load Interrogator; another than the one that searched. Without it "
                    f"{USUAL_JUDGE}, which is downloaded into models/unrender when first needed.",
                ),
            ],
            outputs=[
                io.String.Output("prompt", display_name="prompt", tooltip="The one whose renderings are nearest."),
                io.Image.Output("rendering", display_name="rendering", tooltip="What it rendered."),
                io.String.Output("ranking", display_name="ranking", tooltip="All prompts with their likeness."),
            ],
        )

    @classmethod
    @holds_to_widgets
    def execute(
        cls, image: list[Any], renderings: list[Any], prompts: list[str], judge: list[Any] | None = None
    ) -> io.NodeOutput:
        with host.reporting(cls.hidden.unique_id) as progress, progress.task("Comparing"):
            setup = given_setup((judge or [None])[0], "judge") or default_setup(USUAL_JUDGE)
            picture, rendered = _one(image), [pictures_alone(each) for each in renderings]
            if len(rendered) != len(prompts):
                raise SettingsError(
                    f"{there_are(len(prompts), 'prompts')}, but renderings of {len(rendered)}",
                    "render each of them, and connect the renderings as they come",
                )
            with setup.engine(setup.settings, progress) as engine:
                shown = [[opened(one) for one in some] for some in rendered]
                values = likenesses(_Eyes(engine), opened(picture), shown)
        order = sorted(range(len(prompts)), key=lambda number: -values[number])
        best = order[0]
        table = "\n".join(f"{values[number]:.3f}  {prompts[number]}" for number in order)
        keep(cls.hidden, {0: [prompts[best]]})
        note = toy_note(setup.settings.clip, [picture], "judge")
        return io.NodeOutput(prompts[best], renderings[best], table, ui=host.shown(table, notes=note))


class _Eyes:
    """An engine's CLIP as a judge."""

    def __init__(self, engine: Engine) -> None:
        self.name = engine.settings.clip
        self._engine = engine

    def encode_images(self, images: Sequence[Any]) -> Tensor:
        return self._engine.picture_features(list(images))


def _one(image: Any) -> Any:
    pictures = pictures_alone(image)
    if len(pictures) > 1:
        raise SettingsError(f"{there_are(len(pictures), 'pictures')} connected to image", "connect one")
    return pictures[0]
