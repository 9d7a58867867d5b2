"""Tune On Pictures: a MODEL learns one subject while the graph runs, and leaves a LoRA behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps

from ..core.embed.blend import Blend
from ..core.embed.composing import mixed
from ..core.embed.families import Family
from ..core.embed.kinds import QUALITIES, Quality, is_plain_name
from ..core.errors import ModelError, SettingsError, UnrenderError
from ..core.foreign import shown
from ..core.images import image_key
from ..core.settings import one_of
from ..core.tuning.course import ONLINE, ONLINE_PICTURES, Course, check_pictures
from ..core.tuning.domain import lora_metadata
from ..core.tuning.learned import Given, Learned
from ..core.tuning.loop import Loop, Task
from ..core.tuning.material import Material
from ..core.tuning.noise import NoiseLoss
from . import host
from .again import Again
from .conditioning import as_conditioning
from .embedding import setup_for
from .host import io
from .inputs import InterrogatorType
from .left import LEFT
from .links import check_has
from .looks import pictures_alone
from .models import ModelNode, given_setup
from .taken import opened
from .text_encoders import family_of, text_sides
from .widgets import holds_to_widgets


def _gone(name: str) -> int | None:
    """How often the LoRA of that name was found gone."""
    try:
        path = _place(name)
    except SettingsError:
        return None
    return LEFT.times_file_gone(path)


_TUNED = Again(_gone)
_KINDS = {"EPS": "epsilon", "V_PREDICTION": "v_prediction"}


class TuneOnPictures(ModelNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return host.schema(
            node_id="UnrenderTuneOnPictures",
            display_name="Tune On Pictures",
            category="unrender",
            search_aliases=["train lora", "subject", "dreambooth", "fine-tune", "customise", "few-shot"],
            description="Learns one subject from one to five pictures in a minute or so: low-rank changes of the "
            "model's key and value projections, with the pictures' own embedding in the prompt's place. The LoRA is "
            "kept in models/loras and works in any program.",
            hidden=[io.Hidden.unique_id],
            inputs=[*_main_inputs(), *_settings(), *_optional_inputs()],
            outputs=[
                io.Model.Output("tuned", display_name="model", tooltip="With the LoRA."),
                io.Conditioning.Output(
                    "conditioning", display_name="conditioning", tooltip="What stood in the prompt's place."
                ),
                io.String.Output("lora", display_name="lora", tooltip="The LoRA's file name in models/loras."),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, name: str | None = "", **_: Any) -> Any:
        """Other when the LoRA is gone."""
        return _TUNED.fingerprint(name)

    @classmethod
    @holds_to_widgets
    def execute(
        cls,
        image: Any,
        model: Any,
        clip: Any,
        vae: Any,
        name: str,
        steps: int,
        rate: float,
        batch: int,
        rank: int,
        size: int,
        seed: int,
        quality: Any,
        anchor: str,
        clip_vision: Any = None,
        interrogator: Any = None,
    ) -> io.NodeOutput:
        with host.reporting(cls.hidden.unique_id) as progress:
            course = replace(ONLINE, steps=steps, rate=rate, batch=batch, rank=rank, size=size, seed=seed)
            place = _place(name)
            one_of("quality", quality, QUALITIES)
            pictures = [opened(each) for each in pictures_alone(image)]
            family = family_of(clip)
            check_has(model, "model", "model", "clone")
            check_has(vae, "vae", "first_stage_model")
            loss = NoiseLoss(_schedule(model))
            keys = tuple(map(image_key, pictures))
            check_pictures(len(pictures), ONLINE_PICTURES, len(set(keys)))
            setup = setup_for(clip, family, pictures, clip_vision, given_setup(interrogator), progress)
            settings = replace(setup.settings, captioner=None)
            asked: Quality = quality
            blend = Blend(anchor=anchor.strip() or None)
            with setup.engine(settings, progress, clip.patcher) as engine:
                engine.check_embedding(len(pictures), family.name, None, blend, asked)
                given: dict[str, Any] = {"encoders": text_sides(clip, family)}
                empty = engine.embed_text("", family.name, **given)
                given["text_projection"] = setup.source.projection
                made = [engine.embed(each, family.name, None, blend, quality=asked, **given) for each in pictures]
            latents = _latents(model, vae, pictures, size)
            with torch.inference_mode(False), torch.enable_grad():
                tensors = _learned(
                    model,
                    loss,
                    Given(made, empty, size),
                    Material(keys, latents, latents),
                    course,
                    family,
                    place,
                    progress,
                )
            LEFT.wrote(place)
            _TUNED.given(name)
        return io.NodeOutput(host.with_lora(model, tensors), as_conditioning(mixed(made)), place.name)


def _learned(
    model: Any,
    loss: NoiseLoss,
    source: Given,
    material: Material,
    course: Course,
    family: Family,
    place: Path,
    progress: Any,
) -> dict[str, torch.Tensor]:
    """The LoRA's tensors, which are in its file by then. Raises ModelError, UnrenderError, Cancelled."""
    own = host.whole_model(model)
    unet = GraphUnet(own.model)
    learned = Learned(course, None, unet)
    Loop(Task(unet, loss, source, material, course, learned), None, progress).run()
    assert learned.maps is not None
    names = {f"{_INNER}{name}": theirs for name, theirs in host.names_in_diffusers(own).items()}
    lora = learned.maps.lora(lora_metadata(family, "", course), names)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        lora.save(place)
    except OSError as error:
        raise UnrenderError(f"{place} cannot be written ({error.strerror})", "make room there") from error
    return lora.tensors


_INNER = "inner."


class GraphUnet(torch.nn.Module):
    """A MODEL's UNet, asked as diffusers' is. Weights that were made in inference mode take no part in a gradient, so
    each is replaced by a copy of itself, once."""

    def __init__(self, base: Any) -> None:
        super().__init__()
        self.inner = base.diffusion_model
        self._base = [base]  # which is no part of this
        for module in self.inner.modules():
            for name, each in module.named_parameters(recurse=False):
                if each.is_inference():
                    setattr(module, name, torch.nn.Parameter(each.detach().clone(), requires_grad=False))

    def forward(
        self, noisy: Any, times: Any, encoder_hidden_states: Any, added_cond_kwargs: dict[str, Any] | None = None
    ) -> SimpleNamespace:
        dtype = self._base[0].get_dtype()
        further: dict[str, Any] = {}
        if added_cond_kwargs is not None:
            side = int(added_cond_kwargs["time_ids"][0, 0])
            further["y"] = (
                self._base[0]
                .encode_adm(pooled_output=added_cond_kwargs["text_embeds"].float(), width=side, height=side)
                .to(dtype)
            )
        made = self.inner(
            noisy.to(dtype),
            timesteps=times.float(),
            context=encoder_hidden_states.to(dtype),
            transformer_options={},
            **further,
        )
        return SimpleNamespace(sample=made.float())


def _schedule(model: Any) -> Any:
    """As `NoiseLoss` reads it. Raises ModelError for models of another noise."""
    kind = _KINDS.get(getattr(getattr(model.model, "model_type", None), "name", ""))
    sigmas = getattr(getattr(model.model, "model_sampling", None), "sigmas", None)
    if kind is None or sigmas is None:
        raise ModelError(
            "This model learns from another kind of noise than is tuned here", "load Stable Diffusion 1, 2 or XL"
        )
    return SimpleNamespace(alphas_cumprod=1 / (1 + sigmas.detach().float() ** 2), config={"prediction_type": kind})


def _latents(model: Any, vae: Any, pictures: Sequence[Image.Image], side: int) -> torch.Tensor:
    squares = [ImageOps.fit(each.convert("RGB"), (side, side), Image.Resampling.LANCZOS) for each in pictures]
    pixels = torch.from_numpy(np.stack([np.asarray(each, np.float32) / 255 for each in squares]))
    found = model.model.process_latent_in(vae.encode(pixels))
    with torch.inference_mode(False):
        return found.detach().float().cpu().clone()


def _place(name: str) -> Path:
    """The LoRA's file, in the first of ComfyUI's folders. Raises SettingsError."""
    if not is_plain_name(name.strip()):
        raise SettingsError(f"{shown(name.strip())!r} is no name for a LoRA", "use letters, digits, blanks, _ and -")
    return host.model_folders("loras")[0] / f"{name.strip()}.safetensors"


def _main_inputs() -> list[Any]:
    return [
        io.Image.Input("image", tooltip="One picture of the subject, or a batch of up to five."),
        io.Model.Input("model", tooltip="Stable Diffusion 1, 2 or XL; LoRAs on it take part."),
        io.Clip.Input("clip", tooltip="The checkpoint's CLIP."),
        io.Vae.Input("vae", tooltip="The checkpoint's VAE."),
    ]


def _settings() -> list[Any]:
    return [
        io.String.Input(
            "name", default="subject", tooltip="Of the LoRA in models/loras; one that is there is replaced."
        ),
        io.Int.Input("steps", default=ONLINE.steps, min=1, max=1000, tooltip="How long it learns."),
        *host.advanced(
            io.Float.Input(
                "rate", default=ONLINE.rate, min=1e-6, max=0.1, step=1e-6, tooltip="Learning rate; lower changes less."
            ),
            io.Int.Input("batch", default=ONLINE.batch, min=1, max=16, tooltip="Pictures at once."),
            io.Int.Input("rank", default=ONLINE.rank, min=1, max=128, tooltip="Of the LoRA."),
            io.Int.Input(
                "size",
                default=512,
                min=64,
                max=2048,
                step=64,
                tooltip="Side in pixels at which it learns: 512 for Stable Diffusion 1, 768 for 2, 1024 for XL.",
            ),
            io.Int.Input("seed", default=0, min=0, max=2**32 - 1, tooltip="Of the noise it learns from."),
        ),
        io.Combo.Input(
            "quality",
            options=list(QUALITIES),
            default="good",
            tooltip="Of the embedding that stands in the prompt's place, as in Image To Prompt Embedding.",
        ),
        io.String.Input("anchor", default="", tooltip="A prompt that describes the subject, for that embedding."),
    ]


def _optional_inputs() -> list[Any]:
    return [
        io.ClipVision.Input(
            "clip_vision",
            optional=True,
            tooltip="The vision model that belongs to the checkpoint's CLIP, so that nothing is downloaded.",
        ),
        InterrogatorType.Input("interrogator", optional=True, tooltip="Or a CLIP from Load Interrogator."),
    ]
