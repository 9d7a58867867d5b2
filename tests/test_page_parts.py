"""What the pages say and send, without a browser."""

from __future__ import annotations

import asyncio
import json

import pytest
from hub_server import no_settings_of_this_machine_fixture, server_fixture  # noqa: F401
from unrender.core.embed.kinds import QUALITIES, USUAL
from unrender.core.hub import Hub
from unrender.core.micro.toy import TOYS
from unrender.core.published import USUAL_TAGGER
from unrender.core.results import Interrogation
from unrender.core.settings import MODES, SEARCHES, Settings
from unrender.core.suiting import sort_of
from unrender.core.targets import TARGETS
from unrender.core.variation.download import fetch_pipeline
from unrender.server.choices import ABOUT_MODES, ABOUT_QUALITIES, ABOUT_SEARCHES, ANY, Request
from unrender.server.describing import AS_USUAL
from unrender.server.downloads import checkpoint_download
from unrender.server.needs import Needs, needs_of
from unrender.server.outside import without_outside
from unrender.server.results_shown import similarity_note


def found(model: str, mode: str) -> Interrogation:
    return Interrogation("a cat", 0.2, mode, "a cat", (), model, 1.0)


# --- the note on the similarity


def test_the_note_fits_model_and_mode():
    assert "0.3" in similarity_note(found("ViT-L-14/openai", "best"))
    for other in ("ViT-H-14/laion2b_s32b_b79k", "someone/clip", "/models/clip"):
        note = similarity_note(found(other, "best"))
        assert "0.3" not in note and "scale of its own" in note
    assert "lower the better" in similarity_note(found("ViT-L-14/openai", "negative"))
    assert "caption alone" in similarity_note(found("ViT-H-14/laion2b_s32b_b79k", "caption"))
    for mode in MODES:
        assert "toy" in similarity_note(found("micro", mode))
    for toy in TOYS:
        assert "toy" in similarity_note(found("ViT-L-14/openai", "best"), toy)
    assert "toy" not in similarity_note(found("ViT-L-14/openai", "best"), "blip-large")


def test_each_mode_and_search_has_one_sentence():
    assert set(ABOUT_MODES) == set(MODES) and set(ABOUT_SEARCHES) == {AS_USUAL, *SEARCHES}
    assert set(ABOUT_QUALITIES) == {USUAL, *QUALITIES}
    said = [*ABOUT_MODES.values(), *ABOUT_SEARCHES.values(), *ABOUT_QUALITIES.values()]
    assert all(each.endswith(".") and each.count(". ") == 0 and len(each) < 110 for each in said)


# --- what a target means


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_s_lengths_hold(target):
    suiting = TARGETS[target]
    made = Request(None, "best", "micro", "none", target=target).settings(Settings())
    assert (made.token_limit, made.min_phrases, made.max_phrases) == (
        *(suiting.token_limit, suiting.min_phrases),
        suiting.max_phrases,
    )
    assert made.captioning.max_length == suiting.caption_length
    fewest = Request(None, "best", "micro", "none", target=target, most=1).settings(Settings())
    assert (fewest.min_phrases, fewest.max_phrases) == (min(1, suiting.min_phrases), 1)


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_asks_a_server_s_model_in_its_style(target):
    made = Request(None, "best", "micro", "http://127.0.0.1:1/v1#some", target=target).settings(Settings())
    alike = TARGETS[target].over(Settings(), sort_of("http://127.0.0.1:1/v1#some", Hub()))
    assert made.captioning == alike.captioning and made.captioning.tags.target == target


def test_tags_need_their_tagger_alone_so_that_its_download_is_asked_for(no_settings_of_this_machine, tmp_path):
    def needed(clip: str, captioner: str, mode: str, target: str = ANY) -> Needs:
        return needs_of(Request(None, mode, clip, captioner, target=target).settings(Settings()), mode)

    assert needed("micro", "none", "tags", "pony") == Needs(False, ("micro-tagger",))
    assert needed("ViT-L-14/openai", "micro-tagger", "tags") == Needs(False, ("micro-tagger",))
    assert needed("ViT-L-14/openai", "none", "tags") == Needs(False, (USUAL_TAGGER,))
    assert needed("micro", "none", "best") == Needs()
    assert needed("micro", "micro", "best") == Needs(True, ("micro",))


def test_what_the_program_was_started_with_holds_where_nothing_else_is_chosen():
    usual = Settings(search="beam", max_phrases=5, min_phrases=2, token_limit=40)
    made = Request(None, "best", "micro", "none").settings(usual)
    assert (made.search, made.min_phrases, made.max_phrases, made.token_limit) == ("beam", 2, 5, 40)


def test_phrases_are_pinned_beside_those_the_program_was_started_with():
    made = Request(None, "best", "micro", "none", pinned="at dawn,  soft light\nneon fog").settings(
        Settings(pinned=("a",))
    )
    assert made.pinned == ("a", "at dawn", "soft light", "neon fog") and made.search is None


# --- a checkpoint's size


def test_a_checkpoint_s_size_is_what_is_then_downloaded(no_settings_of_this_machine, server, tmp_path):
    index = {"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"]}
    files = {
        "model_index.json": json.dumps(index).encode(),
        "unet/config.json": b"{}",
        "unet/diffusion_pytorch_model.safetensors": b"x" * 5_000,
        "unet/diffusion_pytorch_model.fp16.safetensors": b"x" * 2_500,
        "unet/diffusion_pytorch_model.bin": b"x" * 7_000,
    }
    server.repos["someone/diffusion"] = files
    hub = Hub(tmp_path / "cache")
    for half, weights in ((False, 5_000), (True, 2_500)):
        asked = checkpoint_download("someone/diffusion", half, hub)
        assert asked is not None and asked.bytes == weights + 2
    fetch_pipeline(hub, "someone/diffusion", False)
    assert checkpoint_download("someone/diffusion", False, hub) is None
    for here in ("micro", str(tmp_path)):
        assert checkpoint_download(here, False, hub) is None


# --- pages that name other servers

PAGE = b"""<head><link rel="preconnect" href="https://fonts.googleapis.com" />
<link rel="stylesheet" href="./own.css"><script src="https://cdn.example/x.js"
async></script><script src="own.js"></script></head><a href="https://example.org">a link</a>"""


def answered(headers: dict[str, str], parts: list[bytes], method: str = "GET") -> tuple[dict[bytes, bytes], bytes]:
    async def app(scope, receive, send):
        sent = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": sent})
        for number, part in enumerate(parts, 1):
            await send({"type": "http.response.body", "body": part, "more_body": number < len(parts)})

    told: list[dict] = []

    async def hear(message):
        told.append(message)

    asyncio.run(without_outside(app)({"type": "http", "method": method}, None, hear))
    return dict(told[0]["headers"]), b"".join(each["body"] for each in told[1:])


@pytest.mark.parametrize("size", [7, 10_000])
def test_a_page_names_no_other_server_to_load_from(size):
    parts = [PAGE[at : at + size] for at in range(0, len(PAGE), size)]
    headers, body = answered({"content-type": "text/html; charset=utf-8", "content-length": str(len(PAGE))}, parts)
    assert b"googleapis" not in body and b"cdn.example" not in body
    assert b"own.css" in body and b"own.js" in body and b'href="https://example.org"' in body
    assert int(headers[b"content-length"]) == len(body)


def test_all_else_passes_as_it_is():
    for headers, method in (
        ({"content-type": "application/json", "content-length": str(len(PAGE))}, "GET"),
        ({"content-type": "text/html", "content-encoding": "gzip", "content-length": str(len(PAGE))}, "GET"),
        ({"content-type": "text/html", "content-length": str(len(PAGE))}, "HEAD"),
    ):
        told, body = answered(headers, [PAGE], method)
        assert body == PAGE and int(told[b"content-length"]) == len(PAGE)
