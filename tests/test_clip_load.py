"""CLIP models from names, hub repositories, folders, files and objects: all the same model in the end."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from conftest import random_open_clip, write_clip_tokenizer
from safetensors.torch import load_file, save_file
from unrender.core.clip import Clip, load
from unrender.core.clip.names import find_known, known_models, nearest_names
from unrender.core.errors import MissingPackageError, ModelError, NotOnHubError, SettingsError

TEXTS = ["a cat", "oil on canvas, by Rembrandt", ""]


class FakeHub:
    """A hub whose repositories are local folders."""

    def __init__(self, **repos):
        self.repos = {name.replace("__", "/"): folder for name, folder in repos.items()}
        self.fetched = []
        self.revisions = set()
        self.downloaded = set()

    def find_model(self, repo, revision="main"):
        return self.repos[repo] if repo in self.downloaded else None

    def find(self, repo, files, revision="main"):
        return self.find_model(repo)

    def list_files(self, repo, revision="main"):
        return {path.name: path.stat().st_size for path in self.repos[repo].iterdir()}

    def fetch(self, repo, files, progress=None, optional=(), *, revision="main"):
        self.fetched += files
        self.revisions.add(revision)
        return self.repos[repo]

    def fetch_model(self, repo, progress=None, *, revision="main"):
        return self.fetch(repo, ["config.json", "model.safetensors"], revision=revision)


def assert_same_model(clip, other, photograph):
    assert (clip.encode_texts(TEXTS) - other.encode_texts(TEXTS)).abs().max() < 1e-5
    assert (clip.encode_images([photograph]) - other.encode_images([photograph])).abs().max() < 1e-5
    assert clip.logit_scale == pytest.approx(other.logit_scale)


@pytest.fixture(scope="module")
def reference(transformers_folder):
    return Clip.load(str(transformers_folder), device="cpu")


@pytest.fixture(scope="module")
def open_clip_folder(tmp_path_factory):
    """A model as open_clip pushes it to the hub."""
    folder = tmp_path_factory.mktemp("pushed")
    model = random_open_clip()
    save_file(
        {name: tensor.contiguous() for name, tensor in model.state_dict().items()},
        folder / "open_clip_model.safetensors",
    )
    config = {
        "embed_dim": 48,
        "vision_cfg": {"image_size": 64, "layers": 2, "width": 32, "patch_size": 16, "head_width": 16},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2},
    }
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {}}))
    return folder


def test_a_transformers_folder_equals_transformers(transformers_folder, photographs):
    from transformers import CLIPImageProcessor, CLIPModel, CLIPTokenizer

    clip = Clip.load(str(transformers_folder), device="cpu")
    assert clip.uses_own_tower
    model = CLIPModel.from_pretrained(str(transformers_folder)).eval()
    tokenizer = CLIPTokenizer.from_pretrained(str(transformers_folder))
    processor = CLIPImageProcessor.from_pretrained(str(transformers_folder))
    square = photographs[0].resize((96, 96))
    with torch.no_grad():
        batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
        pooled = model.text_model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).pooler_output
        texts = torch.nn.functional.normalize(model.text_projection(pooled), dim=-1)
        pixels = processor(images=square, return_tensors="pt")["pixel_values"]
        pooled = model.vision_model(pixel_values=pixels).pooler_output
        images = torch.nn.functional.normalize(model.visual_projection(pooled), dim=-1)
    assert (clip.encode_texts(TEXTS) - texts).abs().max() < 1e-5
    # transformers' default processor resamples tensors, not pictures: close, not equal
    assert (clip.encode_images([square]) @ images.T).item() > 0.999


def test_a_hub_repository_in_transformers_format(transformers_folder, reference, photographs):
    hub = FakeHub(someone__clip=transformers_folder)
    assert_same_model(Clip.load("someone/clip", "cpu", hub=hub), reference, photographs[0])
    assert all(name.endswith((".json", ".txt", ".safetensors")) for name in hub.fetched)


def test_a_repository_on_the_disk_needs_no_network(transformers_folder, reference, photographs):
    hub = FakeHub(someone__clip=transformers_folder)
    hub.downloaded.add("someone/clip")
    hub.list_files = hub.fetch = hub.fetch_model = lambda *_, **__: pytest.fail("asked the hub")
    assert_same_model(Clip.load("someone/clip", "cpu", hub=hub), reference, photographs[0])


def test_a_hub_repository_in_open_clip_format(open_clip_folder, clip, photographs):
    hub = FakeHub(someone__pushed=open_clip_folder)
    assert_same_model(Clip.load("someone/pushed", "cpu", hub=hub), clip, photographs[0])


def test_an_open_clip_folder_and_its_file(open_clip_folder, clip, photographs):
    assert_same_model(Clip.load(str(open_clip_folder), "cpu"), clip, photographs[0])
    assert_same_model(Clip.load(str(open_clip_folder / "open_clip_model.safetensors"), "cpu"), clip, photographs[0])


def test_a_single_transformers_file_without_a_config(transformers_folder, reference, photographs, tmp_path):
    file = tmp_path / "clip-vit-base-patch99.safetensors"
    state = load_file(transformers_folder / "model.safetensors")
    save_file(state, file)
    write_clip_tokenizer(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        # heads do not show in the weights; the model of this test has narrower ones than any real CLIP
        patch.setattr("unrender.core.clip.layouts._HEAD_WIDTH", 32)
        assert_same_model(Clip.load(str(file), "cpu"), reference, photographs[0])


def test_a_single_open_clip_file_is_known_by_its_shapes(tmp_path, open_clip_tokenizer, photographs):
    import open_clip

    torch.manual_seed(0)
    model = open_clip.create_model("ViT-S-32-alt" if "ViT-S-32-alt" in open_clip.list_models() else "ViT-B-32").eval()
    file = tmp_path / "mine.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, file)
    expected = Clip.from_open_clip(model, open_clip.image_transform(224, is_train=False), open_clip_tokenizer)
    assert_same_model(Clip.load(str(file), "cpu"), expected, photographs[0])


def test_an_open_clip_name_downloads_safetensors_and_builds_the_model(monkeypatch, tmp_path, photographs):
    import open_clip

    known = find_known("vit-b-32/OPENAI")
    assert known.name == "ViT-B-32/openai" and known.quick_gelu
    torch.manual_seed(0)
    model = open_clip.create_model("ViT-B-32", force_quick_gelu=True).eval()
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, tmp_path / known.file)
    hub = FakeHub()
    hub.repos[known.repo] = tmp_path
    expected = Clip.from_open_clip(
        model, open_clip.image_transform(224, is_train=False), open_clip.get_tokenizer("ViT-B-32")
    )
    clip = Clip.load("ViT-B-32/openai", "cpu", hub=hub)
    assert_same_model(clip, expected, photographs[0])
    assert hub.fetched == [known.file]


def test_the_same_name_loads_through_transformers_without_open_clip(
    monkeypatch, transformers_folder, reference, photographs
):
    monkeypatch.setattr(load, "open_clip_works", lambda: False)
    hub = FakeHub()
    hub.repos["openai/clip-vit-large-patch14"] = transformers_folder
    assert_same_model(Clip.load("ViT-L-14/openai", "cpu", hub=hub), reference, photographs[0])


def test_a_model_with_pickles_alone_on_the_main_branch_comes_from_the_commit_with_safetensors(
    monkeypatch, transformers_folder, reference, photographs
):
    monkeypatch.setattr(load, "open_clip_works", lambda: False)
    hub = FakeHub()
    hub.repos["openai/clip-vit-base-patch32"] = transformers_folder
    assert_same_model(Clip.load("ViT-B-32/openai", "cpu", hub=hub), reference, photographs[0])
    assert hub.revisions == {"c237dc49a33fc61debc9276459120b7eac67e7ef"}


def test_a_model_whose_safetensors_are_open_clips_alone_asks_for_open_clip(monkeypatch):
    monkeypatch.setattr(load, "open_clip_works", lambda: False)
    with pytest.raises(ModelError, match="ViT-L-14-336/openai needs open_clip"):
        Clip.load("ViT-L-14-336/openai", "cpu", hub=FakeHub())


def test_a_name_without_open_clips_file_loads_from_transformers_repository(transformers_folder, reference, photographs):
    class WithoutOpenClipsFile(FakeHub):
        def fetch(self, repo, files, progress=None, optional=(), **options):
            if files == ["open_clip_model.safetensors"]:
                raise NotOnHubError(f"{repo} has no file {files[0]}")
            return super().fetch(repo, files, progress, optional, **options)

    hub = WithoutOpenClipsFile()
    hub.repos["openai/clip-vit-large-patch14"] = transformers_folder
    assert_same_model(Clip.load("ViT-L-14/openai", "cpu", hub=hub), reference, photographs[0])


def test_a_name_only_open_clip_can_build_says_so_without_it(monkeypatch):
    monkeypatch.setattr(load, "open_clip_works", lambda: False)
    name = next(known.name for known in known_models() if known.file and not known.transformers_repo)
    with pytest.raises((ModelError, MissingPackageError), match="pip install open_clip_torch"):
        Clip.load(name, "cpu", hub=FakeHub())


def test_broken_open_clip_leaves_the_best_known_names(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "open_clip.pretrained", None)
    names = {known.name for known in known_models()}
    assert {"ViT-L-14/openai", "ViT-H-14/laion2b_s32b_b79k"} <= names
    assert all(known.safetensors for known in known_models())


@pytest.mark.parametrize(
    "misspelt, meant",
    [("ViT-L-14/opnai", "ViT-L-14/openai"), ("vit-l14", "ViT-L-14/openai"), ("mikro", "micro")],
)
def test_an_unknown_name_lists_the_nearest(misspelt, meant):
    assert meant in nearest_names(misspelt)
    with pytest.raises(ModelError, match=meant):
        Clip.load(misspelt, "cpu", hub=FakeHub())


def test_a_pickle_is_never_opened(tmp_path, monkeypatch):
    monkeypatch.setattr("torch.load", lambda *_, **__: pytest.fail("a pickle was opened"))
    file = tmp_path / "model.pt"
    file.write_bytes(b"\x80\x04.")
    with pytest.raises(ModelError, match="no other format is opened"):
        Clip.load(str(file), "cpu")
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        Clip.load(str(tmp_path), "cpu")
    only_pickle = next((known for known in known_models() if not known.safetensors), None)
    if only_pickle is not None:
        with pytest.raises(ModelError, match="pickle"):
            Clip.load(only_pickle.name, "cpu", hub=FakeHub())


def test_wrong_files_get_a_sentence(tmp_path, transformers_folder):
    file = tmp_path / "x.safetensors"
    file.write_bytes(b"not safetensors at all")
    with pytest.raises(ModelError, match="cannot be read as safetensors"):
        Clip.load(str(file), "cpu")
    save_file({"cond_stage_model.weight": torch.zeros(2)}, file)
    with pytest.raises(ModelError, match="full CLIP model"):
        Clip.load(str(file), "cpu")
    with pytest.raises(ModelError, match="is no CLIP folder"):
        Clip.load(str(tmp_path), "cpu")
    broken = tmp_path / "broken"
    shutil.copytree(transformers_folder, broken)
    (broken / "model.safetensors").write_bytes(b"cut off")
    with pytest.raises(ModelError, match="broken"):
        Clip.load(str(broken), "cpu")


def test_a_truncated_state_names_what_is_missing(tmp_path, open_clip_folder):
    shutil.copytree(open_clip_folder, tmp_path / "short")
    state = load_file(open_clip_folder / "open_clip_model.safetensors")
    del state["ln_final.weight"]
    save_file(state, tmp_path / "short" / "open_clip_model.safetensors")
    with pytest.raises(ModelError, match=r"ln_final\.weight"):
        Clip.load(str(tmp_path / "short"), "cpu")


def test_an_absent_device_gets_a_sentence(transformers_folder):
    with pytest.raises(SettingsError, match="cuda:17"):
        Clip.load(str(transformers_folder), "cuda:17")


def test_siglip_uses_its_library(photographs):
    transformers = pytest.importorskip("transformers")
    if not hasattr(transformers, "SiglipModel"):
        pytest.skip("this transformers has no SigLIP")
    side = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    torch.manual_seed(0)
    config = transformers.SiglipConfig(
        text_config={**side, "vocab_size": 300, "max_position_embeddings": 16},
        vision_config={**side, "image_size": 32, "patch_size": 16},
    )
    model = transformers.SiglipModel(config).eval()
    clip = Clip.from_transformers(model, _SiglipProcessor())
    assert not clip.uses_own_tower
    with torch.no_grad():
        out = model.get_text_features(input_ids=_SiglipProcessor.tokenizer(["a cat", "b"])["input_ids"])
        expected = out if isinstance(out, torch.Tensor) else out.pooler_output
    expected = torch.nn.functional.normalize(expected, dim=-1)
    assert torch.allclose(clip.encode_texts(["a cat", "b"]), expected, atol=1e-6)
    assert clip.encode_images(photographs[:2]).shape == (2, 32)
    assert clip.text.length("abc") == 4
    assert len(clip.text.encode_continuations("a cat", ["red", "blue"])) == 2


class _SiglipTokenizer:
    """Bytes, an end token and padding, as SigLIP's sentence pieces: no start token."""

    bos_token_id = None
    eos_token_id = 1

    def __call__(self, texts, max_length=16, **_):
        rows = [[*(2 + byte for byte in text.encode()[: max_length - 1]), 1] for text in texts]
        return {"input_ids": torch.tensor([row + [0] * (max_length - len(row)) for row in rows])}


class _SiglipProcessor:
    tokenizer = _SiglipTokenizer()

    def to_dict(self):
        return {"size": {"height": 32, "width": 32}}


def test_loading_leaves_random_numbers_alone_and_tells_of_wrong_shapes(tmp_path, open_clip_model):
    state = {name: tensor.clone() for name, tensor in open_clip_model.state_dict().items()}
    config = {
        "embed_dim": 48,
        "vision_cfg": {"image_size": 64, "layers": 2, "width": 32, "patch_size": 16, "head_width": 16},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2},
    }
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {}}))
    save_file(state, tmp_path / "open_clip_model.safetensors")
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    Clip.load(str(tmp_path), device="cpu", precision="exact")
    assert torch.equal(torch.rand(1), expected)
    save_file({**state, "ln_final.weight": torch.ones(63)}, tmp_path / "open_clip_model.safetensors")
    with pytest.raises(ModelError, match=r"does not fit .* it has other shapes of ln_final\.weight"):
        Clip.load(str(tmp_path), device="cpu")
