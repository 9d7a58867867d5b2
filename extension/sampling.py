"""What is hung on a webui's generation: the picture's part in each step, and the sentence that a failure ends with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..core.errors import Cancelled, UnrenderError
from ..server.wording import PAGE, WITHOUT_FIELD, sentence_for, status_of

if TYPE_CHECKING:
    from .conditioning import Steering

SECTION = replace(PAGE, elsewhere=tuple(name for name in WITHOUT_FIELD if name != "gap_pictures"))
"""The page's words; the section has a field that the page has not."""

Make = Callable[[], "Steering | None"]


class GenerationError(UnrenderError):
    """Why there is no picture; the webui's API reads the two attributes."""

    def __init__(self, sentence: str, status_code: int) -> None:
        super().__init__(sentence)
        self.detail, self.status_code = sentence, status_code


def told(error: Exception) -> GenerationError:
    """An error in the terms of a page and of the API."""
    return GenerationError(sentence_for(error, SECTION), status_of(error))


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


def follow(p: Any, make: Make | None) -> None:
    """Has a generation's steering made whenever the webui has encoded its texts: for a batch, for its hires pass and
    for a refiner, with the checkpoint and the LoRAs that are at work by then. make: None for none any more.

    No script is called there, but what fails there ends the generation and is told."""
    p.unrender_steering, p.unrender_making = None, make
    if make is None or getattr(p, "unrender_follows", False):
        return
    p.unrender_follows = True
    p.setup_conds = _steering_after(p, p.setup_conds, lambda: True)
    if hasattr(p, "calculate_hr_conds"):  # which the other calls as well, ahead of the hires pass
        p.calculate_hr_conds = _steering_after(p, p.calculate_hr_conds, lambda: p.is_hr_pass)


def _steering_after(p: Any, encode: Callable[[], None], is_due: Callable[[], bool]) -> Callable[[], None]:
    def encoded() -> None:
        encode()
        if p.unrender_making is None or not is_due():
            return
        try:
            p.unrender_steering = p.unrender_making()
        except Cancelled:
            pass  # as in `failing`
        except Exception as error:
            raise told(error) from error

    return encoded


def steer(params: Any) -> None:
    """Called by the sampler for every step; only the parameters of this step are changed."""
    denoiser = params.denoiser
    p = getattr(denoiser, "p", None)
    steering = getattr(p, "unrender_steering", None)
    if steering is None or steering.checkpoint != checkpoint_of(p):
        return
    total = getattr(denoiser, "total_steps", None) or params.total_sampling_steps or 1
    if steering.holds(getattr(denoiser, "step", params.sampling_step) / total):
        params.text_cond = steering.steered(params.text_cond)


def checkpoint_of(p: Any) -> str:
    """The file of what a generation draws with by now. Webuis read another one's weights into the same model."""
    found = getattr(p.sd_model, "sd_checkpoint_info", None)
    return str(getattr(found, "filename", found or ""))
