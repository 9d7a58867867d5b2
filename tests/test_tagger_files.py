"""Folders that are no sound taggers: each gets a sentence, and none does harm."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_taggers as tiny
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny_captioners import sentence
from unrender.core.describe import Tagger, check_describer, load_describer
from unrender.core.describe.tagging.tag_list import read_tag_list
from unrender.core.errors import ModelError

HEAD = "tag_id,name,category,count\n"
LETTERS = st.characters(blacklist_categories=("C", "Zl", "Zp"), blacklist_characters=",")
NAMES = st.text(LETTERS, min_size=1, max_size=8).filter(lambda name: name == name.strip())


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make(tmp_path_factory.mktemp("sound") / "tagger")


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    return shutil.copytree(sound, tmp_path / "tagger")


def refusal(folder: Path, checked: bool = True) -> str:
    """checked: before anything is loaded, too."""
    with pytest.raises(ModelError) as error:
        load_describer(str(folder), "cpu")
    sentence(error)
    if checked:
        with pytest.raises(ModelError) as early:
            check_describer(str(folder))
        assert str(early.value) == str(error.value)
    return str(error.value)


def told(folder: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    config = json.loads((folder / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


# --- the list ---


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no column name and category"),
        (b"\xff\xfe\x00", "not UTF-8 text"),
        ("tag_id,name,category\n1,caf\xe9,0\n".encode("latin-1"), "not UTF-8 text"),
        (b"tag_id,name,category,count\n1,a\0b,0,1\n", "not UTF-8 text"),
        (b"tag_id,category,count\n1,0,1\n", "no column name"),
        (b"name,name,category\na,b,0\n", "no column name"),
        (HEAD.encode(), "it has no row"),
        (f"{HEAD}1,a,0\n".encode(), "row 1 has not as many cells"),
        (f"{HEAD}1,a,0,1,2\n".encode(), "row 1 has not as many cells"),
        (f"{HEAD}1,a,0,1\n2,a,4,1\n".encode(), "it names a twice"),
        (f"{HEAD}1,a,2,1\n".encode(), "row 1 has the category '2', which is none of 0, 1, 3"),
        (f"{HEAD}1,a,person,1\n".encode(), "row 1 has the category 'person'"),
        (f"{HEAD}1,a,,1\n".encode(), "row 1 has the category ''"),
        (f"{HEAD}1,,0,1\n".encode(), "row 1 has '' as a name"),
        (f'{HEAD}1,"a,b",0,1\n'.encode(), "row 1 has 'a,b' as a name"),
        (f'{HEAD}1,"a\u202eb",0,1\n'.encode(), "as a name"),
        (f'{HEAD}1,"a\nb",0,1\n'.encode(), "as a name"),
        (f"{HEAD}1,a\u2028b,0,1\n".encode(), "as a name"),
        (f"{HEAD}1,{'a' * 300},0,1\n".encode(), "as a name"),
        (f'{HEAD}1,"a,0,1\n'.encode(), "cannot be told apart"),
        (f'{HEAD}1,"a"b,0,1\n'.encode(), "cannot be told apart"),
        (b"name,category,best_threshold\na,0,much\n", "row 1 has 'much' as a threshold"),
        (b"name,category,best_threshold\na,0,nan\n", "row 1 has 'nan' as a threshold"),
        (b"name,category,best_threshold\na,0,2\n", "row 1 has '2' as a threshold"),
        (b"\x50\x4b\x03\x04" + b"\x80" * 50, "not UTF-8 text"),
    ],
)
def test_an_odd_list_of_tags(folder: Path, data: bytes, why: str) -> None:
    (folder / "selected_tags.csv").write_bytes(data)
    assert why in refusal(folder)


def test_a_million_rows(folder: Path) -> None:
    (folder / "selected_tags.csv").write_text(HEAD + "".join(f"{n},t{n},0,1\n" for n in range(1_000_000)))
    assert "more than 200,000 rows" in refusal(folder)


def test_a_list_too_large_to_read(folder: Path) -> None:
    with (folder / "selected_tags.csv").open("wb") as file:
        file.truncate(1 << 30)
    assert "larger than" in refusal(folder)


def test_a_list_that_is_a_folder(folder: Path) -> None:
    (folder / "selected_tags.csv").unlink()
    (folder / "selected_tags.csv").mkdir()
    assert "holds no selected_tags.csv" in refusal(folder)


@pytest.mark.parametrize("rows", [tiny.ROWS[:-1], (*tiny.ROWS, ("more", 0))])
def test_other_rows_than_outputs(folder: Path, rows: Any) -> None:
    tiny.write_list(folder, rows)
    assert f"has {len(rows)} rows, and by its config.json the tagger has 17 outputs" in refusal(folder)
    told(folder, lambda config: config.pop("num_classes"))
    assert "other shapes than vit_base_patch16_224" in refusal(folder, checked=False)


def test_spellings_that_are_sound(tmp_path: Path) -> None:
    text = '\ufeffCategory,NAME\r\nGeneral,"say_""lazy"""\r\n\r\n 4 ,miku\r\nspecies,cat\r\n'
    (tmp_path / "selected_tags.csv").write_bytes(text.encode())
    found = [(tag.name, tag.category) for tag in read_tag_list(tmp_path)]
    assert found == [('say_"lazy"', "general"), ("miku", "character"), ("cat", "species")]


# --- the configuration ---


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda c: c.pop("architecture"), "names no architecture"),
        (lambda c: c.update(architecture="hf-hub:stranger/model"), "is no name of one"),
        (lambda c: c.update(architecture="local-dir:/etc"), "is no name of one"),
        (lambda c: c.update(architecture="../vit"), "is no name of one"),
        (lambda c: c.update(architecture=5), "is no name of one"),
        (lambda c: c.update(auto_map={"AutoModel": "code.Model"}), "program code"),
        (lambda c: c.update(model_args=[1]), "are no settings"),
        (lambda c: c["model_args"].update(checkpoint_path="x.bin"), "would make another model"),
        (lambda c: c["model_args"].update(pretrained=True), "would make another model"),
        (lambda c: c["model_args"].update(pretrained_cfg={"url": "x"}), "would make another model"),
        (lambda c: c["model_args"].update(cache_dir="/"), "would make another model"),
        (lambda c: c["model_args"].update(features_only=True), "would make another model"),
        (lambda c: c["model_args"].update({"a b": 1}), "would make another model"),
        (lambda c: c["model_args"].update(act_layer="os;system"), "what no such model has"),
        (lambda c: c["model_args"].update(depth={"a": 1}), "what no such model has"),
        (lambda c: c["model_args"].update(embed_dim=10**9), "what no such model has"),
        (lambda c: c["model_args"].update(depth=30_000), "what no such model has"),
        (lambda c: c["model_args"].update(depth=float("nan")), "what no such model has"),
        (lambda c: c["model_args"].update(depths=[1] * 1000), "what no such model has"),
        (lambda c: c.update(pretrained_cfg=[]), "num"),
        (lambda c: c.update(pretrained_cfg="x"), "is no object"),
        (lambda c: c["pretrained_cfg"].pop("input_size"), "no input_size of 3 numbers"),
        (lambda c: c["pretrained_cfg"].update(input_size=[3, 10**5, 10**5]), "size for input_size"),
        (lambda c: c["pretrained_cfg"].update(input_size=[3, 32, float("inf")]), "is not of numbers"),
        (lambda c: c["pretrained_cfg"].update(input_size=[1, 32, 32]), "1 channels"),
        (lambda c: c["pretrained_cfg"].update(std=[0.5, 0, 0.5]), "not above 0"),
        (lambda c: c["pretrained_cfg"].update(mean=["a", 0, 0]), "is not of numbers"),
        (lambda c: c["pretrained_cfg"].update(interpolation="magic"), "interpolation is 'magic'"),
        (lambda c: c["pretrained_cfg"].update(channel_order="GRB"), "neither RGB nor BGR"),
    ],
)
def test_an_odd_configuration(folder: Path, change: Callable[[dict[str, Any]], Any], why: str) -> None:
    assert why in refusal(told(folder, change))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda c: c.update(architecture="vit_of_tomorrow"), "Unknown model"),
        (lambda c: c.update(architecture="convnext_base"), "timm cannot build"),
        (lambda c: c["model_args"].update(unheard_of=1), "timm cannot build"),
        (lambda c: c["model_args"].update(depth=3), "lacks weights"),
        (lambda c: c["model_args"].update(depth=1), "none of vit_base_patch16_224"),
        (lambda c: c["model_args"].update(embed_dim=65_536), "other shapes"),
        (lambda c: c["model_args"].update(embed_dim=64), "other shapes"),
        (lambda c: c["pretrained_cfg"].update(input_size=[3, 48, 48]), "48 x 48 to a network of another size"),
        (lambda c: c["model_args"].update(global_pool=""), "no network with an output for each tag"),
    ],
)
def test_a_configuration_of_another_network(folder: Path, change: Callable[[dict[str, Any]], Any], why: str) -> None:
    assert why in refusal(told(folder, change), checked=False)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": ' * 200, "\ud800".encode("utf-8", "surrogatepass")])
def test_an_unreadable_configuration(folder: Path, text: str | bytes) -> None:
    (folder / "config.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert "is no configuration of timm's" in refusal(folder)


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        (None, "no list of steps named test"),
        ([{"type": "maybe_to_tensor"}], "gives all pictures one size"),
        ([{"type": "resize", "size": 32}], "gives all pictures one size"),
        ([{"type": "rotate"}], "the step 'rotate', which is not known"),
        ([{"type": "pad_to_size", "size": [32, 32], "background_color": "black"}], "another colour than white"),
        ([{"type": "center_crop", "size": [32, 10**9]}], "size for center_crop"),
        ([{"type": "center_crop", "size": [32, 32]}, {"type": "normalize", "mean": [0], "std": [1]}], "no mean of 3"),
        ([{"type": "resize", "size": 32, "max_size": 40}], "the step 'resize', which is not known"),
        ([5], "no list of steps"),
    ],
)
def test_odd_steps(folder: Path, steps: Any, why: str) -> None:
    (folder / "preprocess.json").write_text(json.dumps({"test": steps}))
    assert why in refusal(folder)


# --- the weights ---


def test_pickles_alone(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert "only as pytorch_model.bin, formats that are never opened" in refusal(folder)


def test_no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    assert "holds no model.safetensors" in refusal(folder)


def test_weights_cut_off(folder: Path) -> None:
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])
    assert "cut off" in refusal(folder, checked=False)


def changed(folder: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> Path:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors")
    return folder


def test_weights_that_lack_or_are_too_many(folder: Path) -> None:
    assert "lacks weights" in refusal(changed(folder, lambda w: w.pop("head.bias")), checked=False)
    assert "holds weights that are none of" in refusal(
        changed(folder, lambda w: w.update({"head.bias": torch.zeros(17), "more": torch.zeros(1)})), checked=False
    )


def test_tables_that_older_versions_wrote_are_no_weights_too_many(tmp_path: Path) -> None:
    folder = tiny.make(tmp_path / "swin", "swinv2")
    name = "layers.0.blocks.0.attn.relative_position_index"
    changed(folder, lambda weights: weights.update({name: torch.zeros(16, 16, dtype=torch.int64)}))
    assert load_describer(str(folder), "cpu").caption([Image.new("RGB", (40, 40))])


def test_values_that_are_no_numbers(folder: Path) -> None:
    changed(folder, lambda weights: weights["head.bias"].fill_(float("nan")))
    tagger = load_describer(str(folder), "cpu")
    with pytest.raises(ModelError, match="gives values that are no numbers") as error:
        tagger.caption([Image.new("RGB", (40, 40))])
    sentence(error)


def test_half_precision_that_gives_no_numbers_goes_on_in_float32(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    picture = Image.new("RGB", (40, 40), "white")
    half = Tagger.load(str(folder), "cpu", torch.bfloat16)
    overflow = half.module.register_forward_hook(
        lambda _, inputs, outputs: outputs * float("nan") if outputs.dtype is torch.bfloat16 else None
    )
    with caplog.at_level("WARNING"):
        found = half.describe([picture])
    overflow.remove()
    assert "gives no numbers in bfloat16 on cpu: it goes on in float32" in caplog.text
    assert half.describe([picture]) == found and half.nbytes == Tagger.load(str(folder), "cpu").nbytes


@pytest.mark.parametrize("name", ["vit", "swinv2", "mobilenet"])
def test_weights_stored_in_half_precision(tmp_path: Path, name: str) -> None:
    """They are computed with in float32, as those that are stored so and have the same values."""
    picture = Image.effect_mandelbrot((40, 30), (-2, -1, 1, 1), 50).convert("RGB")
    told = []
    for number, dtype in enumerate((torch.float16, torch.float32)):
        folder = tiny.make(tmp_path / f"{number}", name)

        def halved(weights: dict[str, torch.Tensor], dtype: torch.dtype = dtype) -> None:
            weights.update({k: v.half().to(dtype) for k, v in weights.items() if v.is_floating_point()})

        tagger = load_describer(str(changed(folder, halved)), "cpu")
        assert tagger.module is not None and not any(each.is_meta for each in tagger.module.state_dict().values())
        told.append(tagger.describe([picture]))
    assert told[0] == told[1]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200) | st.text(max_size=100).map(lambda text: f"name,category\n{text}".encode()))
def test_any_bytes_are_a_list_or_a_sentence(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "selected_tags.csv").write_bytes(data)
    try:
        assert read_tag_list(tmp_path)
    except ModelError as error:
        assert "is no list of tags" in str(error)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(NAMES, min_size=1, unique=True))
def test_any_names_come_back(tmp_path: Path, names: list[str]) -> None:
    tiny.write_list(tmp_path, [(name, 0) for name in names])
    assert [tag.name for tag in read_tag_list(tmp_path)] == names


def test_without_timm(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from unrender.core.describe.tagging import tagger
    from unrender.core.errors import MissingPackageError

    monkeypatch.setattr(tagger, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"needs timm; run `.*timm`"):
        load_describer(str(folder))
