"""How captioners are asked. All write the likeliest words, or draw by a seed, and at most the tokens they are given."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any, TypeVar

import torch
from PIL import Image
from torch import Tensor

from ...cures import Choose, Give, Take
from ...devices import named
from ...errors import ModelError, SettingsError, UndescribedError
from ...pretrained import WHOLE_AGAIN
from ...settings import CaptionSettings
from ...shortage import in_portions, within_memory
from ...transformers_access import quiet_transformers
from ..describer import reduced
from ..next_words import Chooser, NextWords
from ..styles import STYLES
from .drawing import Drawing
from .steering import Enough, SteeredWords, Steering
from .wishes import tame

T = TypeVar("T")
Answer = str | UndescribedError

_log = logging.getLogger(__name__)

CHAT_INSTRUCTION = "Describe this picture in one sentence."
_INSTRUCTED = frozenset({"instructblip"})
_USUAL_TOKENS = 32
_REFUSALS = (ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError)


class _NoNumbers(ModelError):
    pass


class CaptionModel:
    """A model that takes pictures and, if it likes, a text, and writes a text.

    This base asks as most of them want it: the processor joins pictures and text, the model writes, and what it
    repeats of the text is cut off.
    """

    at_once = 16

    def __init__(self, name: str, model: Any, processor: Any, dtype: torch.dtype) -> None:
        tame(model)
        self._name = name
        self._model = model
        self._processor = processor
        self._dtype = self._wanted_dtype = dtype
        self._device = torch.device("cpu")
        self._fixed = False
        self._steering: Steering | None = None
        # transformers keeps in float32 what half precision would spoil
        self._kept = {name for name, tensor in self._tensors() if tensor.dtype is torch.float32 is not dtype}

    @property
    def nbytes(self) -> int:
        return sum(parameter.nbytes for parameter in self._model.parameters())

    @property
    def module(self) -> Any:
        return self._model

    def to(self, device: torch.device) -> None:
        """Moves the weights, unchanged, so that parking them on the CPU takes no more room than they had; not those
        that are fixed."""
        if self._fixed:
            return
        self._model.to(device)
        self._device = device
        if device.type != "cpu" and self._dtype is not self._wanted_dtype:
            self._use(self._wanted_dtype)

    def fix(self, device: torch.device) -> None:
        """The weights are on the device, and cannot be elsewhere."""
        self._device, self._fixed = device, True

    def seen(self, image: Image.Image) -> Any:
        """What is kept of a picture until it is described, together with others: no more than is needed."""
        return reduced(image)

    @torch.inference_mode()
    def describe(self, images: list[Any], settings: CaptionSettings) -> list[Answer]:
        """A text for each picture that was `seen`, with whatever white space the model wrote, or why there is none."""
        self._make_ready()
        with self._asked():
            return self._in_numbers(lambda: self._texts(images, settings))

    def _in_numbers(self, ask: Callable[[], T]) -> T:
        """In float32 where half precision gives no numbers."""
        try:
            return ask()
        except _NoNumbers:
            if self._fixed or self._dtype not in (torch.float16, torch.bfloat16):
                raise
        self._widen()
        return ask()

    def next_words(self, seen: Any, settings: CaptionSettings) -> NextWords | None:
        """As `Describer.next_words`. This base has transformers write, and steers it."""
        likeliest = replace(settings, temperature=0.0)
        return SteeredWords(self._end_tokens(), partial(self._said, likeliest), partial(self._steer, seen, likeliest))

    def _said(self, settings: CaptionSettings, tokens: Sequence[int]) -> str:
        whole = torch.tensor([[*self._begun(settings), *tokens]], dtype=torch.long)
        return " ".join(self._decode(whole)[0].split())

    def _begun(self, settings: CaptionSettings) -> list[int]:
        """Tokens of the instruction, where the text begins with it."""
        return []

    def _end_tokens(self) -> frozenset[int]:
        owners = (self._model, getattr(self._model, "language_model", None))
        wished = [getattr(getattr(owner, "generation_config", None), "eos_token_id", None) for owner in owners]
        ends = [self._processor.tokenizer.eos_token_id, *wished]
        return frozenset(
            end for some in ends for end in (some if isinstance(some, list | tuple) else [some]) if isinstance(end, int)
        )

    @torch.no_grad()
    def _steer(self, seen: Any, settings: CaptionSettings, choose: Chooser, most: int) -> None:
        self._make_ready()

        def ask() -> None:
            self._steering = Steering(choose, most, self._end_tokens(), self._check_numbers)
            try:
                with self._asked():
                    self._write([seen], replace(settings, beams=most))
            except Enough as over:
                if over.failure is not None:
                    raise over.failure from None
            finally:
                self._steering = None

        self._in_numbers(ask)

    def _make_ready(self) -> None:
        if self._device.type == "cpu" and self._dtype is torch.float16:
            self._use(torch.float32)  # few CPU kernels calculate in float16

    def _texts(self, images: list[Any], settings: CaptionSettings) -> list[Answer]:
        return list(chain.from_iterable(in_portions(lambda part: self._write(part, settings), images)))

    def _widen(self) -> None:
        half = str(self._dtype).removeprefix("torch.")
        _log.warning("%s gives no numbers in %s on %s: it goes on in float32.", self._name, half, named(self._device))
        self._wanted_dtype = torch.float32
        self._use(torch.float32)

    @contextlib.contextmanager
    def _asked(self) -> Iterator[None]:
        problem = f"{self._name} runs out of memory on {self._device}"
        cures = (Give("captioner", "a smaller one"), Take("use the CPU"), Choose("captioner", ("none",)))
        try:
            quiet = quiet_transformers() if "transformers" in sys.modules else contextlib.nullcontext()
            with within_memory(problem, *cures), quiet:
                yield
        except _REFUSALS as error:
            line = " ".join(str(error).split())[:200].rstrip(".")
            raise ModelError(
                f"{self._name} does not describe pictures the way it is asked ({line})", Give("captioner")
            ) from error

    def _write(self, images: list[Image.Image], settings: CaptionSettings) -> Sequence[Answer]:
        text = settings.instruction or self._default_instruction(settings)
        texts = {} if text is None else {"text": [text] * len(images)}
        inputs = self._to_device(self._processor(images=images, return_tensors="pt", **texts))
        written = self._generate(inputs, settings, self._tokens(settings))
        return self._decode(without_prompt(written, inputs.get("input_ids")))

    def _tokens(self, settings: CaptionSettings) -> int:
        """Written at most."""
        usual = STYLES[settings.style].tokens if settings.style else _USUAL_TOKENS
        return settings.max_length or usual

    def _default_instruction(self, settings: CaptionSettings) -> str | None:
        kind = self._model.config.model_type
        if kind in _INSTRUCTED:
            return STYLES[settings.style].instruction if settings.style else CHAT_INSTRUCTION
        # where the picture's place is marked in the text there has to be a text, if an empty one
        return "" if getattr(self._processor, "image_token", None) and kind != "blip-2" else None

    def _use(self, dtype: torch.dtype) -> None:
        for name, tensor in self._tensors():
            if tensor.is_floating_point() and name not in self._kept:
                tensor.data = tensor.data.to(dtype)
        self._dtype = dtype

    def _tensors(self) -> Iterator[tuple[str, Tensor]]:
        return chain(self._model.named_parameters(), self._model.named_buffers())

    def _to_device(self, inputs: Any) -> dict[str, Tensor]:
        return {
            name: value.to(self._device, self._dtype) if value.is_floating_point() else value.to(self._device)
            for name, value in inputs.items()
            if isinstance(value, Tensor)
        }

    def _generate(
        self, inputs: dict[str, Tensor], settings: CaptionSettings, length: int, *changes: Any, **further: Any
    ) -> Tensor:
        """changes: of the scores, after words were drawn. further: options of transformers' own.
        Raises ModelError where the model's scores are no numbers, of which any word would be made, or none."""
        watch = _Watch()
        drawing = (Drawing(settings),) if settings.temperature else ()
        options = {"max_new_tokens": length, "num_beams": settings.beams, "do_sample": False, **further}
        if settings.repetition != 1:
            options["repetition_penalty"] = settings.repetition
        steering = (self._steering,) if self._steering else ()
        written = self._model.generate(**inputs, **options, logits_processor=[watch, *drawing, *changes, *steering])
        self._check_numbers(watch.odd)
        return written

    def _check_numbers(self, odd: Tensor | None) -> None:
        if odd is not None and bool(odd):
            raise _NoNumbers(f"{self._name} gives values that are no numbers", WHOLE_AGAIN)

    def _decode(self, tokens: Tensor) -> list[str]:
        return self._processor.tokenizer.batch_decode(tokens, skip_special_tokens=True)

    def _length_after(self, prompt: Tensor, settings: CaptionSettings) -> int:
        """The tokens that may follow, within the positions the model has."""
        config = self._model.config
        positions = getattr(getattr(config, "text_config", config), "max_position_embeddings", None)
        used = prompt.shape[1]
        room = self._tokens(settings) if positions is None else positions - used
        if room < 1:
            raise SettingsError(
                f"has {used} tokens, and {self._name} can take {(positions or 0) - 1}",
                "shorten it",
                control="instruction",
            )
        return min(self._tokens(settings), room)


class _Watch:
    """Notes whether a score was no number, on the device, which is asked once in the end. Impossible words have minus
    infinity."""

    def __init__(self) -> None:
        self.odd: Tensor | None = None

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        odd = torch.isnan(scores).any()
        self.odd = odd if self.odd is None else self.odd | odd
        return scores


def without_prompt(written: Tensor, prompt: Tensor | None) -> Tensor:
    """Some models return the prompt with what they wrote, some do not."""
    if prompt is None or written.shape[1] < prompt.shape[1]:
        return written
    length = prompt.shape[1]
    return written[:, length:] if torch.equal(written[:, :length], prompt) else written
