"""What a tuning learns, as one module, and how what it makes of pictures conditions a UNet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..clip import Clip
from ..clip.deep_prompts import DeepPrompts
from ..embed import PromptEmbedding
from ..embed.families import FAMILIES
from ..embed.projection import ClosedForm
from .course import Course
from .low_rank import LowRankMaps
from .noise import Condition


class Learned(nn.Module):
    """prompts, maps: what the course asks for, None for the other. Raises ModelError where the models have no place for
    them."""

    def __init__(self, course: Course, clip: Clip | None, unet: nn.Module) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(course.seed)
        self.prompts: DeepPrompts | None = None
        if course.prompts and clip is not None:
            blocks = clip.blocks
            self.prompts = DeepPrompts(len(blocks.modules), blocks.width)
            self.prompts.start(generator)
        self.maps: LowRankMaps | None = None
        if course.maps:
            self.maps = LowRankMaps(unet, course.rank)
            self.maps.start(generator)

    @contextmanager
    def in_use(self, unet: nn.Module) -> Iterator[None]:
        """Inside it the maps take part in the UNet."""
        with ExitStack() as stack:
            if self.maps is not None:
                stack.enter_context(self.maps.added(unet))
            yield


@dataclass(frozen=True)
class Sight:
    """Pictures as their own condition: what the CLIP sees of them, through the closed form. empty [positions, width]:
    the empty prompt's states."""

    clip: Clip
    form: ClosedForm
    views: Tensor
    empty: Tensor

    def conditions(
        self,
        chosen: Sequence[int],
        mirrored: Tensor,
        prompts: DeepPrompts | None,
        dropped: torch.Generator | None = None,
    ) -> Condition:
        """Of the pictures of these numbers, mirrored [n] or not. prompts: None for the closed form alone. dropped: see
        `DeepPrompts`."""
        views = self.views[list(chosen)]
        views = torch.where(mirrored[:, None, None, None], views.flip(-1), views)
        if prompts is None:
            joints = self.clip.traced(views)
        else:
            with self.clip.blocks.with_tokens(prompts(dropped)):
                joints = self.clip.traced(views)
        return Condition(self.form.traced(joints, len(self.empty)))

    def without(self, condition: Condition, left_out: Tensor) -> Condition:
        """With the empty prompt's in the place of some [n]."""
        states = condition.states
        empty = self.empty.to(states).expand(len(states), -1, -1)
        return condition._replace(states=torch.where(left_out.to(states.device)[:, None, None], empty, states))


@dataclass(frozen=True)
class Given:
    """Pictures whose conditions are made already, one for each, whatever made them. side: in pixels."""

    embeddings: Sequence[PromptEmbedding]
    empty: PromptEmbedding
    side: int

    def conditions(
        self, chosen: Sequence[int], mirrored: Tensor, prompts: Any = None, dropped: torch.Generator | None = None
    ) -> Condition:
        """As `Sight` gives them."""
        return self._of([self.embeddings[number] for number in chosen])

    def without(self, condition: Condition, left_out: Tensor) -> Condition:
        """As `Sight` does."""
        none = self._of([self.empty] * len(left_out))
        where = left_out.to(condition.states.device)
        states = torch.where(where[:, None, None], none.states, condition.states)
        if condition.pooled is None or none.pooled is None:
            return condition._replace(states=states)
        return condition._replace(states=states, pooled=torch.where(where[:, None], none.pooled, condition.pooled))

    def _of(self, embeddings: Sequence[PromptEmbedding]) -> Condition:
        states = torch.stack([each.states for each in embeddings if each.states is not None])
        if not FAMILIES[self.empty.family].takes_pooled:
            return Condition(states)
        pooled = torch.stack([each.pooled for each in embeddings if each.pooled is not None])
        sizes = torch.tensor([[self.side, self.side, 0, 0, self.side, self.side]] * len(embeddings))
        return Condition(states, pooled, sizes)
