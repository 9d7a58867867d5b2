"""What is hung on a webui's generation: the picture's part in each step, and the sentence that a failure ends with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..core.errors import Cancelled, UnrenderError
from ..server.wording import sentence_for, status_of


class GenerationError(UnrenderError):
    """Why there is no picture; the webui's API reads the two attributes."""

    def __init__(self, sentence: str, status_code: int) -> None:
        super().__init__(sentence)
        self.detail, self.status_code = sentence, status_code


def told(error: Exception) -> GenerationError:
    """An error in the terms of a page and of the API."""
    return GenerationError(sentence_for(error), status_of(error))


@contextmanager
def failing(p: Any) -> Iterator[None]:
    """The webui goes on when a script fails; a picture without what was asked for would look as if it had it. So the
    generation is made to fail at its next step, where the webui tells the person why."""
    try:
        yield
    except Cancelled:
        pass  # the webui is about to end the generation itself
    except Exception as error:  # noqa: BLE001  whatever it is, the person is told
        failure = told(error)

        def fail() -> None:
            raise failure

        p.setup_conds = fail


def steer(params: Any) -> None:
    """Called by the sampler for every step; only the parameters of this step are changed."""
    denoiser = params.denoiser
    steering = getattr(getattr(denoiser, "p", None), "unrender_steering", None)
    if steering is None or not steering.fits(params.text_cond):
        return
    total = getattr(denoiser, "total_steps", None) or params.total_sampling_steps or 1
    if steering.holds(getattr(denoiser, "step", params.sampling_step) / total):
        params.text_cond = steering.steered(params.text_cond)
