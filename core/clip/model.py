"""One CLIP, whatever it was loaded from."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import Tensor, nn

from ..cures import Choose, Cure, Give
from ..devices import named, pick_device
from ..errors import ModelError
from ..pretrained import WHOLE_AGAIN
from ..progress import SILENT, Progress
from ..published import VIT_L
from ..shortage import in_portions
from ..undisturbed import undisturbed
from .deep_prompts import Blocks
from .patches import PatchEncoder
from .preprocess import Preprocess, Region, centre_square
from .text_encoder import TextEncoder, TowerEncoder

if TYPE_CHECKING:
    from ..hub import Hub

_log = logging.getLogger(__name__)

_IMAGES_AT_ONCE = 16
_HALVES = (torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class VisionTower:
    """encode: pixels [n, 3, height, width] -> features [n, width], not normalised.
    module: what moves between devices.
    encode_patches: pixels -> [n, rows, columns, width] in the same space; None where there are no patches.
    blocks: its layers, None where it is no plain vision transformer."""

    encode: Callable[[Tensor], Tensor]
    module: nn.Module
    encode_patches: PatchEncoder | None = None
    blocks: Blocks | None = None


class Clip:
    """A CLIP model's two encoders. Features are float32, normalised, on the model's device.

    Make one with `Clip.load`, `Clip.from_open_clip` or `Clip.from_transformers`.
    text: or what makes it when it is first needed, where that takes time. widens: whether the picture encoder goes on
    in float32 where half precision gives no numbers, as it does on some graphics cards.
    """

    def __init__(
        self,
        name: str,
        vision: VisionTower,
        preprocess: Callable[[Image.Image], Tensor],
        text: TextEncoder | Callable[[], TextEncoder],
        logit_scale: float,
        device: torch.device,
        dtype: torch.dtype,
        widens: bool = False,
    ) -> None:
        self.name = name
        self.logit_scale = logit_scale
        self.device = device
        self.dtype = dtype
        self._widens = widens
        self._text = text
        self._vision = vision
        self._preprocess = preprocess

    @classmethod
    def load(
        cls,
        name: str,
        device: str = "auto",
        precision: str = "auto",
        hub: Hub | None = None,
        progress: Progress = SILENT,
    ) -> Clip:
        """Loads a model by name: open_clip `name/tag`, hub id, folder, safetensors file, or "micro".

        Raises ModelError when the name is unknown or its files cannot be had, SettingsError for an absent device.
        """
        from .load import load_clip

        return load_clip(name, pick_device(device), precision, hub, progress)

    @classmethod
    def from_open_clip(
        cls,
        model: nn.Module,
        preprocess: Callable[[Image.Image], Tensor],
        tokenizer: Any,
        name: str = "open_clip model",
        device: str | None = None,
        precision: str | None = None,
    ) -> Clip:
        """From a loaded open_clip model, its evaluation transform and its tokenizer.

        The model stays the caller's: it is used in place, where it is and in its dtype unless told otherwise.
        """
        from .assemble import from_open_clip, placement_of

        return from_open_clip(model, preprocess, tokenizer, name, placement_of(model, device, precision))

    @classmethod
    def from_transformers(
        cls,
        model: nn.Module,
        processor: Any,
        name: str = "transformers model",
        device: str | None = None,
        precision: str | None = None,
    ) -> Clip:
        """From a loaded transformers CLIPModel (or SiglipModel) and its processor.

        The model stays the caller's. The processor's numbers are used, with the project's own preprocessing.
        """
        from .assemble import from_transformers, placement_of

        settings = getattr(processor, "image_processor", processor).to_dict()
        preprocess = Preprocess.from_transformers(settings)
        return from_transformers(model, processor.tokenizer, preprocess, name, placement_of(model, device, precision))

    @cached_property
    def text(self) -> TextEncoder:
        return self._text() if callable(self._text) else self._text

    @torch.no_grad()
    def encode_images(self, images: Iterable[Image.Image]) -> Tensor:
        """RGB pictures -> [n, width]."""
        return self.encode_views(map(self.view, images))

    def view(self, image: Image.Image) -> Tensor:
        """RGB picture -> the little that this model looks at."""
        return self._preprocess(image)

    @torch.no_grad()
    @undisturbed()
    def encode_views(self, views: Iterable[Tensor]) -> Tensor:
        """What `view` made of pictures -> [n, width]."""
        rest, features = iter(views), []
        while some := list(itertools.islice(rest, _IMAGES_AT_ONCE)):
            features += in_portions(self._features, torch.stack(some))
        joined = torch.cat(features)
        return self._checked(joined / joined.norm(dim=-1, keepdim=True), "pictures")

    def encode_with_gradients(self, pixels: Tensor) -> Tensor:
        """Pixels as `view` gives them [n, 3, height, width] -> [n, width], float32 and not normalised, in whatever
        gradient mode there is: see `core.clip.sight`."""
        return self._features(pixels)

    def _features(self, pixels: Tensor) -> Tensor:
        return self._seen(self._vision.encode, pixels)

    def _seen(self, encode: Callable[[Tensor], Tensor], pixels: Tensor) -> Tensor:
        features = encode(pixels.to(self.device, self.dtype)).float()
        if not self._widens or self.dtype not in _HALVES or bool(torch.isfinite(features).all()):
            return features
        half, self.dtype = self.dtype, torch.float32
        self._vision.module.to(self.dtype)
        _log.warning(
            "%s gives no numbers in %s on %s: its picture encoder goes on in float32, with twice the memory.",
            self.name,
            str(half).removeprefix("torch."),
            named(self.device),
        )
        return self._seen(encode, pixels)

    @property
    def blocks(self) -> Blocks:
        """The layers of its picture encoder, which can be given tokens beside the picture's. Raises ModelError where
        it is no plain vision transformer."""
        if self._vision.blocks is None:
            raise ModelError(
                f"{self.name} has a picture encoder that takes no further tokens, because it is no plain vision "
                "transformer",
                Give("clip", f"another such as {VIT_L}"),
            )
        return self._vision.blocks

    def traced(self, views: Tensor) -> Tensor:
        """What `view` made of pictures [n, 3, height, width] -> [n, width], float32 and not normalised, with a gradient
        to what its layers are given beside them (`blocks`); to its weights where they ask for one."""
        return self._vision.encode(views.to(self.device, self.dtype)).float()

    @torch.no_grad()
    @undisturbed()
    def encode_patches(self, image: Image.Image) -> Tensor:
        """RGB picture -> [rows, columns, width]: what each patch shows, comparable to texts (see `core.clip.patches`).

        Raises ModelError for picture encoders that do not work by patches.
        """
        if self._vision.encode_patches is None:
            raise ModelError(
                f"{self.name} cannot say where in a picture something is, because its picture encoder is no plain "
                "vision transformer",
                Give("clip", f"another such as {VIT_L}"),
            )
        features = self._seen(self._vision.encode_patches, self._preprocess(image)[None])[0]
        return self._checked(features / features.norm(dim=-1, keepdim=True), "pictures")

    def seen_region(self, size: tuple[int, int]) -> Region:
        """The part of a picture of this (width, height) that the model sees, in its pixels; beyond it where padded.

        A preprocessing that is not the project's own is taken for CLIP's: the square in the middle.
        """
        return self._preprocess.region(size) if isinstance(self._preprocess, Preprocess) else centre_square(size)

    def recognised(self, features: Tensor) -> Tensor:
        """Pictures' features that were kept, on this model's device. Raises ModelError where they cannot be its own."""
        width = self.encode_texts([""]).shape[-1]
        if features.shape[-1] != width:
            raise ModelError(
                f"The pictures were seen by another CLIP than {self.name}: in {features.shape[-1]} numbers each, not "
                f"{width}",
                Give("clip", "the same"),
            )
        return features.to(self.device)

    def encode_texts(self, texts: Sequence[str], progress: Progress = SILENT) -> Tensor:
        """Texts -> [n, width]; cut to the context length as the library does. progress: asked all along whether to go
        on. Raises ModelError for what is no number, Cancelled."""
        return self._checked(self.text.encode(texts, progress.check), "texts")

    def _checked(self, features: Tensor, what: str) -> Tensor:
        """All of a call's at once, since a device is waited for. Raises ModelError."""
        if bool(torch.isfinite(features).all()):
            return features
        raise self.no_numbers(what)

    def no_numbers(self, what: str) -> ModelError:
        """For features with NaN or infinity, which any picture would seem to be equally like."""
        cures: tuple[Cure, ...] = (Choose("precision", ("exact",)),) if self.dtype in _HALVES else ()
        return ModelError(f"{self.name} gives values that are no numbers for {what}", *cures, WHOLE_AGAIN)

    @property
    def nbytes(self) -> int:
        """Memory that the model holds on its device, whatever it works on."""
        tensors = itertools.chain(self._vision.module.parameters(), self._vision.module.buffers())
        return self.text.nbytes + sum(tensor.nbytes for tensor in tensors)

    @cached_property
    def fingerprint(self) -> str:
        """Identifies the text side: equal fingerprints give equal phrase tables."""
        return self.text.fingerprint()

    @property
    def uses_own_tower(self) -> bool:
        """False where the library's text encoder had to be used: slower searches, same answers."""
        return isinstance(self.text, TowerEncoder)
