"""Image as prompt in a real webui, through its API, by the pixels of what it draws."""

from __future__ import annotations

import base64
import urllib.error
from pathlib import Path

import numpy as np
import pytest
import torch
from hub_server import serving
from safetensors.torch import save_file
from webui_drawing import base64_png, draw, drawn, few_words, plotted, print_of, refusal, write_models
from webui_server import needs_webui, opened, started

pytestmark = needs_webui


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    return write_models(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="module")
def webui(tmp_path_factory, clips):
    with serving() as hub, started(tmp_path_factory.mktemp("webui"), hub.url) as server:
        server.wait_for_checkpoint()
        yield server


@pytest.fixture(scope="module")
def browser(webui):
    with opened(webui, height=1300) as page:
        yield page


@pytest.fixture(name="sd15")
def sd15_fixture(webui, clips):
    webui.ask("/sdapi/v1/options", {"sd_model_checkpoint": "tiny15.safetensors", "CLIP_stop_at_last_layers": 1})
    webui.set_options(seeing=str(clips / "clip-l"), vocabulary=few_words(webui), captioner="micro")


@pytest.fixture(name="wide_xl")
def wide_xl_fixture(webui, clips):
    if webui.host.takes_known_shapes_alone:
        pytest.skip("Forge takes no SDXL but of the full size")
    webui.ask("/sdapi/v1/options", {"sd_model_checkpoint": "wide-xl.safetensors"})
    webui.set_options(seeing=str(clips / "clip-g"))


@pytest.fixture(scope="module")
def pictures(photographs) -> list[str]:
    return [base64_png(photograph.resize((96, 96))) for photograph in photographs[:2]]


HIRES = {"enable_hr": True, "hr_scale": 2, "hr_upscaler": "Latent", "denoising_strength": 0.7}
HIRES |= {"hr_additional_modules": ["Use same choices"]}  # Forge's API fails without
CASES = {
    "plain": {},
    "two images": {"batch_size": 2},
    "two rounds": {"n_iter": 2},
    "AND": {"prompt": "a cat AND a dog :0.7"},
    "hires": HIRES,
    "long prompt": {"prompt": "a cat, " * 40},
    "emphasis": {"prompt": "(a cat:1.3) [in winter:at night:0.5]"},
    "second order": {"sampler_name": "Heun"},
    "timesteps": {"sampler_name": "DDIM"},
}


@pytest.mark.parametrize("case", CASES)
def test_webui_draws_another_picture_and_then_the_plain_one_again(webui, sd15, pictures, case):
    values = CASES[case]
    before, _ = draw(webui, **values)
    steered, _ = draw(webui, pictures[0], **values)
    after, infotext = draw(webui, **values)
    again, _ = draw(webui, pictures[0], **values)
    assert len(steered) == len(before)
    for image, plain in zip(steered, before, strict=True):
        assert not np.array_equal(image, plain)
    assert print_of(after) == print_of(before), "the picture is still in the plain run"
    assert print_of(again) == print_of(steered)
    assert "Image as prompt" not in infotext


def test_webui_ways_strength_and_steps(webui, sd15, pictures):
    picture, other = pictures
    plain = drawn(webui)
    replaced = drawn(webui, picture)
    assert drawn(webui, picture, prompt="a dog") == replaced, "the words still count"
    assert drawn(webui, picture, None, "blend", 1) == replaced
    assert drawn(webui, picture, None, "blend", 0) == plain
    assert drawn(webui, picture, None, "replace", 0) == drawn(webui, prompt="")
    composed = drawn(webui, picture, None, "compose")
    assert composed != drawn(webui, picture, None, "compose", prompt="a dog")
    seen = [composed, replaced, plain]
    seen += [drawn(webui, other), drawn(webui, picture, [other])]
    seen += [drawn(webui, picture, None, "blend", 0.5)]
    seen += [drawn(webui, picture, None, "replace", 1, start, end) for start, end in ((0, 0.5), (0.5, 1))]
    assert len(set(seen)) == len(seen)


def test_webui_plots_strengths_and_steps(webui, sd15, pictures):
    picture = pictures[0]
    strengths = plotted(webui, picture, ("Image as prompt strength", "0, 0.5, 1"), ("Nothing", ""), None, "blend")
    expected = [draw(webui, picture, None, "blend", strength)[0][0] for strength in (0, 0.5, 1)]
    assert [print_of([each]) for each in strengths] == [print_of([each]) for each in expected]
    parts = plotted(webui, picture, ("Image as prompt start", "0, 0.5"), ("Image as prompt end", "0.75, 1"))
    expected = [
        draw(webui, picture, None, "replace", 1, *part)[0][0] for part in ((0, 0.75), (0.5, 0.75), (0, 1), (0.5, 1))
    ]
    assert [print_of([each]) for each in parts] == [print_of([each]) for each in expected]
    assert len({print_of([each]) for each in [*strengths, *parts]}) >= 5
    with pytest.raises(urllib.error.HTTPError) as refused:
        plotted(webui, picture, ("Image as prompt end", "0.5, 2"), ("Nothing", ""))
    assert refused.value.code == 422


@pytest.fixture(scope="module")
def lora(webui) -> str:
    """A prompt's word for a LoRA that changes the text encoder alone."""
    random = torch.Generator().manual_seed(0)
    name = "lora_te_text_model_encoder_layers_0_self_attn_q_proj"
    down, up = torch.randn(4, 768, generator=random), torch.randn(768, 4, generator=random)
    tensors = {
        f"{name}.lora_down.weight": down / 10,
        f"{name}.lora_up.weight": up / 10,
        f"{name}.alpha": torch.tensor(4.0),
    }
    folder = webui.base / "models" / "Lora"
    folder.mkdir(exist_ok=True)
    save_file(tensors, str(folder / "tiny.safetensors"))
    return "<lora:tiny:1>"


def test_webui_embeds_with_the_text_encoder_as_loras_have_changed_it(webui, sd15, pictures, lora):
    plain, steered = drawn(webui), drawn(webui, pictures[0])
    assert drawn(webui, prompt=f"a cat {lora}") != plain
    changed = drawn(webui, pictures[0], prompt=f"a cat {lora}")
    assert changed != steered
    assert drawn(webui, pictures[0]) == steered and drawn(webui) == plain, "the LoRA is still in it"
    assert drawn(webui, pictures[0], prompt=f"a dog {lora}") == changed


@pytest.mark.full
def test_webui_learns_from_a_few_texts_for_another_strength_of_a_lora(webui, sd15, pictures, lora):
    ridge = (pictures[0], None, "replace", 1, 0, 1, "none", "ridge")
    plain = drawn(webui, *ridge, timeout=2_400)
    learned = set((webui.models / "embed").glob("ridge-*"))
    prompts = [f"a cat {lora.replace(':1>', f':{strength}>')}" for strength in (0.5, 1)]
    seen = {drawn(webui, *ridge, timeout=600, prompt=prompt) for prompt in prompts}
    assert len({plain, *seen}) == 3 and set((webui.models / "embed").glob("ridge-*")) == learned
    assert len(list((webui.models / "embed").glob("correction-*"))) == 2


@pytest.mark.full
def test_webui_clip_skip(webui, sd15, pictures):
    """The map that it needs is learned at the first use."""
    steered = drawn(webui, pictures[0])
    webui.ask("/sdapi/v1/options", {"CLIP_stop_at_last_layers": 2})
    plain, empty = drawn(webui), drawn(webui, prompt="")
    skipping = drawn(webui, pictures[0], timeout=2_400)
    assert len({plain, empty, skipping, steered}) == 4
    assert drawn(webui) == plain and drawn(webui, pictures[0]) == skipping
    assert drawn(webui, pictures[0], None, "replace", 0) == empty
    webui.ask("/sdapi/v1/options", {"CLIP_stop_at_last_layers": 3})
    code, said = refusal(webui, pictures[0])
    assert code == 422 and "Clip skip is 3" in said


def test_webui_infotext_says_what_was_done(webui, sd15, pictures):
    _, infotext = draw(webui, pictures[0], None, "blend", 0.6, 0.25, 0.75)
    for part in ("Image as prompt: blend", "strength: 0.6", "start: 0.25", "end: 0.75", "Image as prompt sources: "):
        assert part in infotext


def test_webui_sdxl_takes_a_saved_embedding(webui, wide_xl):
    from unrender.core.embed import PromptEmbedding

    random = torch.Generator().manual_seed(0)
    clip_l, clip_g, pooled = (torch.randn(*shape, generator=random) for shape in ((77, 768), (77, 1280), (1280,)))
    saved = base64.b64encode(PromptEmbedding("sdxl", torch.cat([clip_l, clip_g], dim=1), pooled).to_bytes()).decode()
    before = drawn(webui)
    found = [drawn(webui, None, [saved], way) for way in ("replace", "blend", "compose")]
    assert drawn(webui) == before
    assert found[0] == found[1] and len({before, *found}) == 3


@pytest.mark.full
def test_webui_sdxl_takes_a_picture(webui, wide_xl, pictures):
    """The maps that SDXL needs are learned at the first use."""
    for values in ({}, HIRES):
        before, _ = draw(webui, **values)
        steered, _ = draw(webui, pictures[0], timeout=2_400, **values)
        assert print_of(steered) != print_of(before)
        assert drawn(webui, **values) == print_of(before)
        assert drawn(webui, pictures[0], **values) == print_of(steered)


def test_webui_img2img(webui, sd15, pictures):
    values = {"route": "img2img", "init_images": [pictures[1]], "denoising_strength": 0.8}
    draw(webui, **values)  # the webui encodes the picture with the random numbers that follow the last generation's
    before, _ = draw(webui, **values)
    assert drawn(webui, pictures[0], **values) != print_of(before)
    assert drawn(webui, **values) == print_of(before)


def test_webui_says_why_it_draws_nothing(webui, sd15, pictures):
    assert refusal(webui, "no base64!")[0] == 422
    code, said = refusal(webui, base64.b64encode(b"no picture").decode())
    assert code == 422 and said.endswith(".")
    assert "replace, blend, compose" in refusal(webui, pictures[0], None, "swap")[1]
    assert "number from 0 to 1" in refusal(webui, pictures[0], None, "replace", 3)[1]
    assert "end it later" in refusal(webui, pictures[0], None, "replace", 1, 0.5, 0.5)[1]
    webui.set_options(seeing="not/here")
    code, said = refusal(webui, pictures[1])
    assert code == 422 and "not/here" in said
    draw(webui)


def test_webui_takes_a_saved_embedding(webui, sd15, tmp_path):
    from unrender.core.embed import PromptEmbedding

    states = torch.randn(77, 768, generator=torch.Generator().manual_seed(0))
    saved = base64.b64encode(PromptEmbedding("sd15", states).to_bytes()).decode()
    webui.set_options(seeing="not/here")  # no CLIP is needed for it
    assert drawn(webui, None, [saved]) != drawn(webui)
    other = base64.b64encode(PromptEmbedding("micro", states[:, :128]).to_bytes()).decode()
    assert "the checkpoint is Stable Diffusion 1" in refusal(webui, None, [other])[1]
    assert "choose one of the list" in refusal(webui, None, None, "replace", 1, 0, 1, "nowhere.safetensors")[1]


def test_webui_page_draws_a_saved_embedding_by_its_name(webui, sd15, browser):
    """Saved after the page was built, as the tab, a node or the command would."""
    from unrender.core.embed import PromptEmbedding
    from unrender.core.embed.folder import FOLDER, save_as

    embedding = PromptEmbedding("sd15", torch.randn(77, 768, generator=torch.Generator().manual_seed(1)))
    webui.set_options(seeing="not/here")  # no CLIP is needed for it
    prefix, name = "unrender_txt2img_image_as_prompt", "animals/a cat.safetensors"
    browser.open()
    page = browser.page
    save_as(embedding, webui.models / FOLDER, name)
    for field, value in (("width", "64"), ("height", "64"), ("steps", "4")):
        page.fill(f"#txt2img_{field} input[type=number]", value)
    page.click(f"#{prefix} > .label-wrap")
    page.click(f"#{prefix}_refresh")
    page.wait_for_timeout(2_000)  # until the list has come, of which nothing can be seen
    page.click(f"#{prefix}_saved input")
    page.click(f"#{prefix}_saved li:has-text('a cat')")
    page.click("#txt2img_generate")
    page.wait_for_selector(f"#html_info_txt2img :text('Image as prompt embedding: {name}')")
    infotext = page.inner_text("#html_info_txt2img")
    browser.open()
    browser.fill("txt2img_prompt", infotext.replace("\n\n", "\n"))
    page.click("#paste")
    page.wait_for_function(f"document.querySelector('#{prefix}_saved input').value === {name!r}", timeout=20_000)
    by_file = drawn(webui, None, [base64.b64encode(embedding.to_bytes()).decode()])
    assert drawn(webui, None, None, "replace", 1, 0, 1, name) == by_file != drawn(webui)


def test_webui_page_draws_from_a_picture_alone_and_pastes_its_settings(webui, sd15, browser, photographs, tmp_path):
    prefix = "txt2img_image_as_prompt"
    photographs[1].save(tmp_path / "picture.png")
    browser.open()
    page = browser.page
    for name, value in (("width", "64"), ("height", "64"), ("steps", "2")):
        page.fill(f"#txt2img_{name} input[type=number]", value)
    page.click(f"#unrender_{prefix} > .label-wrap")
    browser.put(f"unrender_{prefix}_picture", tmp_path / "picture.png")
    page.click(f"#unrender_{prefix}_way label:has-text('blend')")
    page.fill(f"#unrender_{prefix}_strength input[type=number]", "0.65")
    page.click("#txt2img_generate")
    page.wait_for_selector("#html_info_txt2img :text('Image as prompt: blend')")
    infotext = page.inner_text("#html_info_txt2img")
    assert "Image as prompt strength: 0.65" in infotext
    browser.open()
    browser.fill("txt2img_prompt", infotext.replace("\n\n", "\n"))
    page.click("#paste")
    page.wait_for_function(
        f"document.querySelector('#unrender_{prefix}_strength input[type=number]').value === '0.65'", timeout=20_000
    )
    assert page.is_checked(f"#unrender_{prefix}_way label:has-text('blend') input")
