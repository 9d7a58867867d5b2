"""For each reader of models' files and the like a small valid one, to be changed by chance, and how it is read.

A reader may take what it is given or raise an `UnrenderError`; those that make a damaged file of their own anew return
None. None takes long or much memory, whatever it is given.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

WEIGHTS = "model.safetensors"
TOKENIZER_FILES = ("vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json")
_TORCH = torch.Generator().manual_seed


@dataclass(frozen=True)
class Seed:
    """make: puts a valid one into an empty folder and returns what `read` takes, the one file or that folder. dear: it
    takes some hundredths of a second to read. changed: which files of a folder are worth changing; all where empty."""

    name: str
    make: Callable[[Path], Path]
    read: Callable[[Path], object]
    dear: bool = False
    changed: tuple[str, ...] = ()


def files_of(seed: Seed, made: Path) -> dict[str, bytes]:
    """What may be changed of a seed that was made, by name."""
    if made.is_file():
        return {made.name: made.read_bytes()}
    names = seed.changed or sorted(path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file())
    return {name: (made / name).read_bytes() for name in names if (made / name).is_file()}


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=_TORCH(seed))


# --- models ---


def as_json(config: dict[str, Any]) -> str:
    """Of a config, in which transformers 4.30 leaves dtypes as they are."""
    return json.dumps(config, default=lambda dtype: str(dtype).removeprefix("torch."))


def clip_folder(folder: Path) -> Path:
    """In transformers' format, with micro's tokenizer."""
    from transformers import CLIPConfig, CLIPModel
    from unrender.core.micro import CLIP_FOLDER

    for name in (*TOKENIZER_FILES, "preprocessor_config.json"):
        shutil.copyfile(CLIP_FOLDER / name, folder / name)
    config = json.loads((CLIP_FOLDER / "config.json").read_text())
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config["text_config"].update(small, projection_dim=8)
    config["vision_config"].update(small, projection_dim=8)
    torch.manual_seed(1)
    model = CLIPModel(CLIPConfig(**{**config, "projection_dim": 8}))
    (folder / "config.json").write_text(as_json(model.config.to_dict()))
    state = {name: tensor for name, tensor in model.state_dict().items() if not name.endswith("position_ids")}
    save_file(state, folder / WEIGHTS, metadata={"format": "pt"})
    return folder


def sharded_clip_folder(folder: Path) -> Path:
    from safetensors.torch import load_file

    clip_folder(folder)
    state = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    parts = {f"model-0000{part}-of-00002.safetensors": sorted(state)[part - 1 :: 2] for part in (1, 2)}
    for name, keys in parts.items():
        save_file({key: state[key] for key in keys}, folder / name, metadata={"format": "pt"})
    places = {key: name for name, keys in parts.items() for key in keys}
    index = {"metadata": {"total_size": sum(each.nbytes for each in state.values())}, "weight_map": places}
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps(index))
    return folder


def bare_clip_file(folder: Path) -> Path:
    """A whole CLIP in one file with only the tokenizer beside it, so that the shapes alone tell the architecture."""
    clip_folder(folder)
    (folder / "config.json").unlink()
    (folder / "preprocessor_config.json").unlink()
    return folder


def open_clip_folder(folder: Path) -> Path:
    import open_clip

    text = {"context_length": 77, "vocab_size": 49408, "width": 8, "heads": 2, "layers": 1}
    vision = {"image_size": 32, "layers": 1, "width": 16, "patch_size": 16, "head_width": 8}
    torch.manual_seed(1)
    model = open_clip.CLIP(8, vision_cfg=vision, text_cfg=text)
    save_file(dict(model.state_dict()), folder / "open_clip_model.safetensors")
    config = {
        "model_cfg": {"embed_dim": 8, "vision_cfg": vision, "text_cfg": text},
        "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.25] * 3, "interpolation": "bicubic", "resize_mode": "shortest"},
    }
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return folder


def captioner_folder(folder: Path) -> Path:
    """BLIP with micro's tokenizer."""
    from transformers import BlipConfig, BlipForConditionalGeneration
    from unrender.core.micro import CAPTIONER_FOLDER

    for path in CAPTIONER_FOLDER.iterdir():
        if path.name != WEIGHTS:
            shutil.copyfile(path, folder / path.name)
    config = json.loads((CAPTIONER_FOLDER / "config.json").read_text())
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config["text_config"].update(small, encoder_hidden_size=16, projection_dim=16)
    config["vision_config"].update(small)
    torch.manual_seed(1)
    model = BlipForConditionalGeneration(BlipConfig(**{**config, "projection_dim": 16, "image_text_hidden_size": 16}))
    (folder / "config.json").write_text(as_json({**config, **model.config.to_dict()}))
    save_file(
        {name: each.clone() for name, each in model.state_dict().items()}, folder / WEIGHTS, metadata={"format": "pt"}
    )
    return folder


def load_clip(place: Path) -> object:
    """And uses it once: a picture and a text."""
    from PIL import Image
    from unrender.core.clip import Clip

    clip = Clip.load(str(place), "cpu", "exact")
    clip.encode_images([Image.new("RGB", (40, 30), "red")])
    return clip.encode_texts(["a red circle", "on a blue ground"])


def load_clip_file(folder: Path) -> object:
    return load_clip(folder / WEIGHTS)


def load_captioner(place: Path) -> object:
    from PIL import Image
    from unrender.core.describe import Captioner
    from unrender.core.settings import CaptionSettings

    captioner = Captioner.load(str(place), "cpu")
    return captioner.caption([Image.new("RGB", (40, 30), "red")], CaptionSettings(max_length=3))


# --- what this program writes ---


def index_file(folder: Path) -> Path:
    import numpy as np
    from unrender.core.index.file import Entry, PictureIndex, write_index
    from unrender.core.index.tags import no_tags
    from unrender.core.tags import Tag

    features = torch.nn.functional.normalize(numbers(6, 8), dim=-1).numpy()
    entries = tuple(Entry(f"{row}.png", 100 + row, 10**18 + row, f"{row:064x}") for row in range(6))
    turned = np.zeros((6, 3, 8), np.float16)
    told = {row: (Tag("solo", 0.9), Tag(f"tag_{row}", 0.5), Tag("general", 0.8, "rating")) for row in range(5)}
    tags = no_tags(6, "a tagger").told(told)
    index = PictureIndex(folder, "micro", "crop", entries, features, turned, features[0], tags)
    write_index(folder / "index.safetensors", index)
    return folder / "index.safetensors"


def read_index(path: Path) -> object:
    from unrender.core.index.file import read_index as read

    return read(path)


def embedding_file(folder: Path) -> Path:
    from unrender.core.embed import PromptEmbedding

    path = folder / "picture.safetensors"
    PromptEmbedding("micro", numbers(77, 128), None, "f" * 64, "p" * 64, "pinv", True).save(path)
    return path


def read_embedding(path: Path) -> object:
    from unrender.core.embed import PromptEmbedding
    from unrender.core.errors import EmbeddingError

    with contextlib.suppress(EmbeddingError):
        PromptEmbedding.from_bytes(path.read_bytes())
    return PromptEmbedding.load(path)


def map_file(folder: Path) -> Path:
    from unrender.core.clip.layers import LAST
    from unrender.core.embed.map_files import maps_as_bytes
    from unrender.core.embed.ridge import SequenceMap

    parts = numbers(8, 4), numbers(4, 7, 5), numbers(7, 5), numbers(8), 0.5
    path = folder / "ridge.safetensors"
    path.write_bytes(maps_as_bytes({LAST: SequenceMap(*parts)}, "k" * 64))
    return path


def read_map(path: Path) -> object:
    from unrender.core.clip.layers import LAST
    from unrender.core.embed.map_files import read_maps

    maps = read_maps(path, "k" * 64, [LAST])
    return None if maps is None else maps[LAST].states(numbers(len(maps[LAST].centre)))


def bank_file(folder: Path) -> Path:
    path = folder / "bank.safetensors"
    tensors = {"states": numbers(80, 7, 5).half(), "joint": numbers(80, 8)}
    save_file(tensors, path, metadata={"format": "unrender-bank", "key": "k" * 64})
    return path


def read_bank(path: Path) -> object:
    from unrender.core.embed.bank import Bank

    bank = Bank.read(path, "k" * 64)
    return None if bank is None else bank.states(numbers(len(bank.centre)), 0.1)


def table_file(folder: Path) -> Path:
    path = folder / "micro-flavors-kkkk.00000000.safetensors"
    rows = torch.nn.functional.normalize(numbers(5, 8), dim=-1).half()
    save_file({"embeddings": rows}, path, metadata={"key": "k" * 64})
    return path


def read_table(path: Path) -> object:
    from unrender.core.phrases import table

    return table._read(path.parent, "micro-flavors-kkkk", 5, "k" * 64)


def projection_file(folder: Path) -> Path:
    path = folder / "projection.safetensors"
    save_file({"text_projection.weight": torch.linalg.qr(numbers(8, 8))[0].contiguous()}, path)
    return path


def read_projection(path: Path) -> object:
    from unrender.core.embed.text_projection import read_projection as read

    return read(path)


# --- what people write ---


def vocabulary_folder(folder: Path) -> Path:
    for name in ("artists.txt", "flavors.top3.txt", "my own.txt"):
        (folder / name).write_text("".join(f"phrase {row} of {name}\n" for row in range(5)))
    return folder


def phrase_file(folder: Path) -> Path:
    (folder / "flavors.txt").write_text("in falling snow\nat dawn\n\nby Jane Doe, 8k\n")
    return folder / "flavors.txt"


def exclusions_file(folder: Path) -> Path:
    (folder / "never.txt").write_text("blurry\nwatermark\n")
    return folder / "never.txt"


def read_vocabulary(folder: Path) -> object:
    from unrender.core.phrases.vocabulary import load_vocabulary

    return load_vocabulary(folder)


def read_phrases(path: Path) -> object:
    from unrender.core.phrases.vocabulary import read_phrases as read

    return read(path)


def read_exclusions(path: Path) -> object:
    from unrender.cli.describer_options import lines_of

    return lines_of(f"@{path}", "phrases")


SEEDS = (
    Seed("index", index_file, read_index),
    Seed("embedding", embedding_file, read_embedding),
    Seed("map", map_file, read_map),
    Seed("bank", bank_file, read_bank),
    Seed("phrase table", table_file, read_table),
    Seed("text projection", projection_file, read_projection),
    Seed("vocabulary folder", vocabulary_folder, read_vocabulary),
    Seed("phrase list", phrase_file, read_phrases),
    Seed("exclusions", exclusions_file, read_exclusions),
    Seed("CLIP folder", clip_folder, load_clip, dear=True),
    Seed("CLIP config", clip_folder, load_clip, dear=True, changed=("config.json", "preprocessor_config.json")),
    Seed("CLIP in shards", sharded_clip_folder, load_clip, dear=True, changed=(f"{WEIGHTS}.index.json",)),
    Seed("CLIP file", clip_folder, load_clip_file, dear=True, changed=(WEIGHTS, "config.json")),
    Seed("bare CLIP file", bare_clip_file, load_clip_file, dear=True, changed=(WEIGHTS,)),
    Seed("open_clip config", open_clip_folder, load_clip, dear=True, changed=("open_clip_config.json",)),
    Seed("tokenizer", clip_folder, load_clip, dear=True, changed=TOKENIZER_FILES),
    Seed("captioner folder", captioner_folder, load_captioner, dear=True),
)


def made(seed: Seed, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return seed.make(folder)
