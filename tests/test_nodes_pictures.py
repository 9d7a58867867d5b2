"""What nodes give as pictures and masks, beside a batch of colours from 0 to 1: every node takes it as people would, or
says in a sentence why it cannot."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from comfyui_graphs import EMBED, INTERROGATE
from comfyui_nodes import use_standin
from PIL import Image

use_standin()

from comfy.sd1_clip import SD1ClipModel  # noqa: E402
from nodes_setting import as_batch, micro_setup, models_fixture, server_fixture  # noqa: E402, F401
from unrender.core.embed.seen import Seen  # noqa: E402
from unrender.core.errors import ImageError, ModelError, SettingsError  # noqa: E402


def photograph() -> torch.Tensor:
    """[1, 24, 40, 3], of which no rounding moves a value."""
    torch.manual_seed(0)
    return torch.randint(0, 256, (1, 24, 40, 3)) / 255


def pixels(value: Any) -> list[np.ndarray]:
    from unrender.nodes.taken import each_picture, opened

    return [np.asarray(opened(each)) for each in each_picture(value)]


PHOTOGRAPH = photograph()
PICTURE = (PHOTOGRAPH[0] * 255).round().to(torch.uint8)
GREY = PHOTOGRAPH[..., :1]
OPAQUE = torch.cat([PHOTOGRAPH, torch.ones(1, 24, 40, 1)], -1)

COLOURED: dict[str, Any] = {
    "a batch of one": PHOTOGRAPH,
    "uint8": PICTURE[None],
    "float64": PHOTOGRAPH.double(),
    "a picture without a batch": PHOTOGRAPH[0],
    "a video": PHOTOGRAPH[None],
    "channels first": PHOTOGRAPH.movedim(-1, 1),
    "one picture, channels first": PHOTOGRAPH[0].movedim(-1, 0),
    "opaque": OPAQUE,
    "not contiguous": PHOTOGRAPH.movedim(1, 2).contiguous().movedim(2, 1),
    "with a gradient": PHOTOGRAPH.clone().requires_grad_(),
    "a list": [PHOTOGRAPH],
    "an array": PHOTOGRAPH.numpy(),
    "an array turned around, as from BGR": np.ascontiguousarray(PHOTOGRAPH.numpy()[..., ::-1])[..., ::-1],
    "an array of another byte order": PHOTOGRAPH.numpy().astype(">f4"),
    "an array that cannot be written": np.broadcast_to(PHOTOGRAPH.numpy(), (1, 24, 40, 3)),
    "a picture of Pillow's": Image.fromarray(PICTURE.numpy()),
}
GREYS = {
    "one channel": GREY,
    "no channel": GREY[..., 0],
    "one grey alone": GREY[0, :, :, 0],
    "of several": GREY.repeat(5, 1, 1, 1)[..., 0],
}


@pytest.mark.parametrize("kind", COLOURED)
def test_a_picture_is_known_in_whatever_form_it_comes(kind):
    (seen,) = pixels(COLOURED[kind])
    assert (seen == PICTURE.numpy()).all()


@pytest.mark.parametrize("kind", GREYS)
def test_greys_are_pictures_too(kind):
    for seen in pixels(GREYS[kind]):
        assert (seen == PICTURE[:, :, :1].numpy()).all()
    assert len(pixels(GREYS["of several"])) == 5


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_short_floats_are_as_near_as_they_can_be(dtype):
    (seen,) = pixels(PHOTOGRAPH.to(dtype))
    assert np.abs(seen.astype(int) - PICTURE.numpy()).max() <= 1


def test_a_video_is_its_frames():
    frames = torch.rand(2, 3, 8, 8, 3)
    assert len(pixels(frames)) == 6
    assert (pixels(frames)[4] == pixels(frames[1, 1])[0]).all()


@pytest.mark.parametrize("low, high", [(-0.001, 1.001), (-0.4, 1.6), (-1, 1), (0, 12.5), (-7, float("inf"))])
def test_values_beyond_black_and_white_are_those(low, high):
    """As ComfyUI's SaveImage and CLIP Vision Encode clip them."""
    beyond = PHOTOGRAPH.clone()
    beyond[:, :4], beyond[:, 4:8] = low, high
    (seen,) = pixels(beyond)
    assert (seen == np.asarray(np.clip(255.0 * beyond[0].numpy(), 0, 255).round(), np.uint8)).all()


WITHOUT_COLOURS: dict[str, tuple[Any, str]] = {
    "nothing": (None, "is no picture"),
    "a name": ("p00.png", "is no picture"),
    "an empty batch": (torch.zeros(0, 8, 8, 3), "no picture in what is connected"),
    "no height": (torch.zeros(1, 0, 8, 3), r"the shape \[0, 8, 3\]"),
    "five channels": (torch.zeros(2, 8, 8, 5), r"Picture 1 of 2 .*the shape \[8, 8, 5\]"),
    "a number": (torch.tensor(0.5), r"the shape \[\]"),
    "six dimensions": (torch.zeros(1, 1, 1, 8, 8, 3), "the shape"),
    "not a number": (torch.cat([PHOTOGRAPH, torch.full_like(PHOTOGRAPH, torch.nan)]), "Picture 2 of 2 .*NaN"),
    "bytes as floats": (PHOTOGRAPH * 255, "divide it by 255"),
    "larger still": (PHOTOGRAPH * 65535, "scale it to 0 to 1"),
    "whole numbers": (PICTURE[None].long(), "int64"),
    "complex": (PHOTOGRAPH.to(torch.complex64), "complex64"),
    "words": (np.array([["a"]]), "is no picture"),
    "no values": (PHOTOGRAPH.to("meta"), "is no picture"),
    "few values": (PHOTOGRAPH.to_sparse(), "is no picture"),
    "what was seen in words": ({"image_embeds": "a"}, "is no picture"),
    "what was seen without values": ({"image_embeds": torch.ones(1, 768, device="meta")}, "is no picture"),
}
MAY_BE_A_MASK = ("whole numbers", "complex")
"""Or fails as one for its shape; which of both is no matter."""


def every_node(setup: Any) -> dict[str, Any]:
    """A run of each node that takes pictures, given those."""
    from unrender.nodes.choosing import NearestRendering, SeveralPrompts
    from unrender.nodes.embedding import ImageToPromptEmbedding
    from unrender.nodes.interrogate import Interrogate
    from unrender.nodes.study import Analyze, Locate, MatchPhrases

    words = {name: [value] for name, value in {**INTERROGATE, "mode": "fast", "interrogator": setup}.items()}
    return {
        "Interrogate": lambda image: Interrogate.execute(image=[image], **words),
        "Analyze": lambda image: Analyze.execute(image, "mediums", 2, False, setup),
        "Match": lambda image: MatchPhrases.execute(image, "a disc\na square", "", setup),
        "Locate": lambda image: Locate.execute(image, "a disc", 0.0, setup),
        "Several": lambda image: SeveralPrompts.execute(image, 2, setup),
        "Nearest": lambda image: NearestRendering.execute([image], [PHOTOGRAPH], ["a disc"], [setup]),
        "Embedding": lambda image: ImageToPromptEmbedding.execute(image, any_clip(), **EMBED, interrogator=setup),
        "mask": lambda image: ImageToPromptEmbedding.execute(PHOTOGRAPH, any_clip(), **EMBED, mask=image),
        "gap pictures": lambda image: ImageToPromptEmbedding.execute(
            PHOTOGRAPH, any_clip(), **EMBED, interrogator=setup, gap_pictures=image
        ),
    }


def any_clip() -> Any:
    class AnyClip:
        cond_stage_model, layer_idx, patcher = SD1ClipModel(), None, None

    encoder = torch.nn.Module()
    encoder.transformer = torch.nn.Module()
    AnyClip.cond_stage_model.clip_l = encoder
    return AnyClip()


@pytest.mark.parametrize("kind", WITHOUT_COLOURS)
def test_what_is_no_picture_is_refused_in_every_node_before_a_model_is_loaded(models, server, kind):
    from unrender.core.engine import Engine
    from unrender.nodes.models import Setup

    class Unloaded(Setup):
        """An INTERROGATOR, which no refusal comes to."""

        def engine(self, *_: Any) -> Any:
            def fail(_: Any) -> Any:
                raise AssertionError("loaded")

            return Engine(self.settings, load_clip=fail)

    value, sentence = WITHOUT_COLOURS[kind]
    micro = micro_setup()
    for name, run in every_node(Unloaded(micro.settings, micro.source, None)).items():
        if (kind in MAY_BE_A_MASK and name == "mask") or (value is None and name in ("mask", "gap pictures")):
            continue
        with pytest.raises(ImageError, match=sentence) as caught:
            run(value)
        told = str(caught.value)
        assert told.endswith(".") and "\n" not in told
        assert f"connected to {name.replace(' ', '_') if name in ('mask', 'gap pictures') else 'image'}" in told, name


@pytest.mark.parametrize(
    "kind", ["uint8", "a picture without a batch", "a video", "opaque", "channels first", "a list"]
)
def test_every_node_runs_on_it(models, server, kind):
    nodes = every_node(micro_setup())
    for name in ("Interrogate", "Analyze", "Match", "Locate"):
        expected, found = nodes[name](PHOTOGRAPH).args, nodes[name](COLOURED[kind]).args
        if name == "Locate":
            assert all(torch.equal(*pair) for pair in zip(expected, found, strict=True))
        else:
            assert found[0] == expected[0] and len(found[0]) == 1


def test_pictures_of_other_sizes_are_no_batch(models, server):
    locate = every_node(micro_setup())["Locate"]
    with pytest.raises(ImageError, match="differ in size"):
        locate([PHOTOGRAPH, PHOTOGRAPH[:, :8]])


# --- masks ---


HALF = torch.zeros(1, 24, 40)
HALF[:, 8:16, 10:20] = 1

MASKS = {
    "a batch": HALF,
    "alone": HALF[0],
    "with a channel": HALF[..., None],
    "channel first": HALF[:, None],
    "true and false": HALF > 0.5,
    "whole numbers": HALF.long(),
    "bytes": (HALF * 255).to(torch.uint8),
    "ones in bytes": HALF.to(torch.uint8),
    "half precision": HALF.half(),
    "beyond white": HALF * 1.5 - 0.2,
    "larger": torch.nn.functional.interpolate(HALF[None], scale_factor=2)[0],
}


@pytest.mark.parametrize("kind", MASKS)
def test_a_mask_is_known_in_whatever_form_it_comes(kind):
    from unrender.nodes.looks import shown_by

    (part,) = shown_by(MASKS[kind], PHOTOGRAPH)
    assert part.size == (10, 10), part.size
    if kind != "larger":
        assert (np.asarray(part)[1:9] == PICTURE.numpy()[8:16, 10:20]).all()


@pytest.mark.parametrize("count", [3, 4])
def test_as_many_masks_as_a_picture_has_channels_are_masks(count):
    from unrender.nodes.looks import shown_by

    assert len(shown_by(HALF.repeat(count, 1, 1), PHOTOGRAPH.repeat(count, 1, 1, 1))) == count


# --- what was seen already ---


class Output:
    """As ComfyUI's comfy.clip_vision.Output, which is no dictionary."""

    def __init__(self, embeddings: torch.Tensor | None) -> None:
        self.last_hidden_state, self.image_embeds = torch.zeros(1, 5, 8), embeddings

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)


def test_what_was_seen_is_analysed_and_matched_as_the_picture_is(models, server, photographs):
    setup, batch = micro_setup(), as_batch(photographs[:2])
    with setup.engine(setup.settings, server_progress()) as engine:
        seen = Output(engine.picture_features(list(batch)) * 7)
    nodes = every_node(setup)
    for name in ("Analyze", "Match"):
        expected, found = nodes[name](batch).args, nodes[name](seen).args
        assert found[0] == expected[0] and len(found[0]) == 2
    charts = nodes["Analyze"](seen).args[2]
    assert all(hasattr(chart, "message") or chart.shape[-1] == 3 for chart in charts)
    for name in ("Interrogate", "Locate"):
        with pytest.raises(ImageError, match="connect the picture itself"):
            nodes[name](seen)


def test_what_another_clip_saw_is_refused(models, server):
    nodes = every_node(micro_setup())
    for name in ("Analyze", "Match"):
        with pytest.raises(
            ModelError, match=r"seen by another CLIP than micro.*768 numbers.*clip in Load Interrogator"
        ):
            nodes[name](Output(torch.rand(1, 768)))


@pytest.mark.parametrize("width", [8, 1024])
def test_what_another_familys_vision_model_saw_is_not_embedded(models, server, width):
    """Which would be a product of the wrong shapes."""
    with pytest.raises(ModelError, match=r"does not belong to this CLIP.*ViT-L/14 .*Load CLIP Vision"):
        every_node(micro_setup())["Embedding"](Output(torch.rand(1, width)))


def test_the_clip_that_saw_is_used_where_no_other_is_chosen(models):
    from unrender.nodes.looks import setup_for
    from unrender.nodes.models import default_setup

    assert setup_for([PHOTOGRAPH]) == default_setup()
    for width, name in ((768, "ViT-L-14/openai"), (1024, "ViT-H-14/"), (1280, "ViT-bigG-14/")):
        assert setup_for(Seen.of(torch.rand(1, width))).settings.clip.startswith(name)
    with pytest.raises(ModelError, match="1152 numbers"):
        setup_for(Seen.of(torch.rand(1, 1152)))


def test_what_holds_no_embedding_is_no_picture(models, server):
    """Such as what DINO saw."""
    for run in every_node(micro_setup()).values():
        with pytest.raises((ImageError, SettingsError), match=r"no picture|seen as a whole"):
            run(Output(None))


def server_progress() -> Any:
    from unrender.nodes.host import NodeProgress

    return NodeProgress(None)
