"""Whole prompts against the real clip-interrogator 0.6.0, on the same random weights and its own phrase lists.

Identity is over token ids: phrases that differ in letter case only are the same to the model, and the peer takes any.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import random_open_clip
from PIL import Image
from unrender.core.clip import Clip
from unrender.core.phrases.table import PhraseTable
from unrender.core.phrases.vocabulary import Category, Vocabulary, load_vocabulary
from unrender.core.progress import SILENT
from unrender.core.prompt.interrogate import Interrogator, Subject
from unrender.core.prompt.ranking import top, top_as_peer
from unrender.core.settings import Settings

peer = pytest.importorskip("clip_interrogator.clip_interrogator", reason="clip-interrogator is not installed")

CAPTIONS = [
    "a painting of a woman sitting on a chair, with a hat",
    "arafed image of a man in a suit standing in front of a car",
    "a close up of a cat",
]
MODES = ("classic", "fast", "best", "negative")


class Pair:
    """The peer and this project's engine on one model and one vocabulary."""

    def __init__(self, folder, pool, shorten=None, model=None, tokenize=None, clip=None):
        import open_clip

        self.model = model or random_open_clip(width=32, heads=1, layers=2, joint=32, seed=5)
        transform = self.transform = open_clip.image_transform(64, is_train=False)
        self.tokenize = tokenize or open_clip.get_tokenizer("ViT-B-32")
        self.clip = clip or Clip.from_open_clip(self.model, transform, self.tokenize)
        config = peer.Config(
            clip_model_name="ViT-B-32/none", cache_path=str(folder), download_cache=False, quiet=True, device="cpu"
        )
        config.clip_model, config.clip_preprocess, config.caption_model_name = self.model, transform, None
        config.flavor_intermediate_count = pool
        if shorten is not None:
            config.data_path = str(shorten(config.data_path))
        self.peer = peer.Interrogator(config)
        tables = {
            "artists": self.peer.artists,
            "flavors": self.peer.flavors,
            "mediums": self.peer.mediums,
            "movements": self.peer.movements,
            "sites": self.peer.trendings,
            "negative": self.peer.negative,
        }
        self.vocabulary = Vocabulary(
            "peer", {name: Category(name, tuple(table.labels)) for name, table in tables.items()}
        )
        self.table = PhraseTable.load(self.clip, self.vocabulary.positive(), folder / "tables", SILENT)
        self.pool = pool

    def ours(self, mode, image, caption, **settings):
        interrogator = Interrogator(
            self.clip, self.vocabulary, lambda: self.table, Settings(pool=self.pool, **settings), SILENT
        )
        return interrogator.run(mode, Subject(self.clip.encode_images([image])[0], caption)).prompt

    def theirs(self, mode, image, caption):
        if mode == "negative":
            return self.peer.interrogate_negative(image)
        call = {"best": "interrogate", "fast": "interrogate_fast", "classic": "interrogate_classic"}[mode]
        return getattr(self.peer, call)(image, caption=caption)

    def same(self, prompt, other):
        return self.tokenize([prompt]).tolist() == self.tokenize([other]).tolist()


@pytest.fixture(scope="module")
def shorten(tmp_path_factory):
    """Lists long enough for the peer's chunks of 2,048, short enough for every run of the tests."""

    def shorten(data_path):
        folder = tmp_path_factory.mktemp("data")
        for name, step in (("artists", 8), ("flavors", 20), ("mediums", 1), ("movements", 1), ("negative", 1)):
            lines = peer.load_list(data_path, f"{name}.txt")[::step]
            (folder / f"{name}.txt").write_text("\n".join(lines), encoding="utf-8")
        return folder

    return shorten


@pytest.fixture(scope="module")
def short(tmp_path_factory, shorten):
    return Pair(tmp_path_factory.mktemp("short"), 256, shorten)


@pytest.mark.parametrize("mode", MODES)
def test_the_same_prompt_as_the_peer(short, photographs, mode):
    for index, photograph in enumerate(photographs[:3]):
        theirs = short.theirs(mode, photograph, CAPTIONS[index])
        assert short.same(short.ours(mode, photograph, CAPTIONS[index], peer_defects=True), theirs)


@pytest.mark.parametrize("mode", ["classic", "best"])
def test_the_corrected_modes_equal_the_peer_where_it_has_no_defect(short, photographs, mode, monkeypatch):
    """A chunk size no list reaches, and a prompt far from the token limit, leave the peer none of its defects."""
    for table in (short.peer.artists, short.peer.flavors):
        monkeypatch.setattr(table, "chunk_size", 10**6)
    monkeypatch.setattr(short.peer.config, "chunk_size", 10**6)
    short_prompts = {"max_phrases": 3, "min_phrases": 3}
    for photograph in photographs[:2]:
        if mode == "best":
            theirs = short.peer.interrogate(photograph, min_flavors=3, max_flavors=3, caption=CAPTIONS[2])
        else:
            theirs = short.theirs(mode, photograph, CAPTIONS[2])
        asked = short_prompts if mode == "best" else {}  # the peer's classic mode has three flavors beside all else
        assert short.same(short.ours(mode, photograph, CAPTIONS[2], **asked), theirs)


@pytest.mark.full
@pytest.mark.parametrize("mode", MODES)
def test_the_same_prompt_as_the_peer_on_its_full_lists(full, photographs, mode):
    random = np.random.default_rng(0)
    pictures = photographs + [
        Image.fromarray(random.integers(0, 256, (7 + k, 9, 3), dtype=np.uint8)).resize((300, 260)) for k in range(6)
    ]
    assert len(pictures) >= 12
    for index, picture in enumerate(pictures):
        caption = CAPTIONS[index % len(CAPTIONS)]
        theirs = full.theirs(mode, picture, caption)
        assert full.same(full.ours(mode, picture, caption, peer_defects=True), theirs), index


def far_apart(count, width):
    """Unit vectors of pairwise cosine under 0.5: random towers map all pictures to nearly the same features."""
    random = torch.Generator().manual_seed(0)
    found = torch.empty(0, width)
    while len(found) < count:
        one = torch.nn.functional.normalize(torch.randn(1, width, generator=random), dim=-1)
        if not len(found) or (found @ one[0]).abs().max() < 0.5:
            found = torch.cat([found, one])
    return found


ARCHITECTURES = {
    "shallow": {"width": 32, "heads": 1, "layers": 2, "joint": 32, "seed": 5},
    "deeper, quick GELU": {"width": 64, "heads": 4, "layers": 3, "joint": 64, "quick_gelu": True, "seed": 6},
}


@pytest.mark.full
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_forty_pictures_in_one_and_in_two_precisions(architecture, tmp_path_factory, shorten, monkeypatch):
    pair = Pair(tmp_path_factory.mktemp("forty"), 512, shorten, random_open_clip(**ARCHITECTURES[architecture]))
    monkeypatch.setattr("unrender.core.devices.fast_half", lambda device: torch.bfloat16)
    two = Clip.from_open_clip(pair.model, pair.transform, pair.tokenize, precision="auto")
    assert two.text.has_rough
    settings = Settings(pool=512, peer_defects=True)
    engines = [Interrogator(clip, pair.vocabulary, lambda: pair.table, settings, SILENT) for clip in (pair.clip, two)]
    for features in far_apart(40, pair.table.embeddings.shape[1]):
        monkeypatch.setattr(pair.peer, "image_to_features", lambda image, features=features: features[None])
        for mode in MODES:
            theirs = pair.theirs(mode, None, CAPTIONS[2])
            for engine in engines:
                found = engine.run(mode, Subject(features, CAPTIONS[2]))
                assert pair.same(found.prompt, theirs)
                assert found.risk < 1e-6
                assert abs(found.similarity - pair.peer.similarity(features[None], theirs)) < 2e-6


class MicroAsOpenClip(torch.nn.Module):
    """The trained toy model with open_clip's interface, which is all the peer knows."""

    def __init__(self):
        from transformers import CLIPModel, CLIPTokenizer
        from unrender.core.micro import CLIP_FOLDER

        super().__init__()
        self.clip = CLIPModel.from_pretrained(CLIP_FOLDER).eval()
        self.tokenizer = CLIPTokenizer.from_pretrained(CLIP_FOLDER)

    def encode_text(self, tokens):
        return self.clip.text_projection(self.clip.text_model(tokens).pooler_output)

    def tokenize(self, texts):
        """Padded with 0, as the peer needs it."""
        length = self.clip.config.text_config.max_position_embeddings
        rows = torch.zeros(len(texts), length, dtype=torch.long)
        for row, text in zip(rows, texts, strict=True):
            ids = self.tokenizer(text, truncation=True, max_length=length)["input_ids"]
            row[: len(ids)] = torch.tensor(ids)
        return rows


@pytest.mark.full
def test_forty_pictures_on_the_trained_micro_model(tmp_path, monkeypatch):
    """What the model was trained for: pictures it tells apart, in the words of its own small world."""
    from unrender.core.micro import PHRASES_FOLDER
    from unrender.core.micro.pictures import render

    def words_of_micro(data_path):
        folder = tmp_path / "data"
        folder.mkdir()
        for name in ("artists", "flavors", "mediums", "negative"):
            (folder / f"{name}.txt").write_text((PHRASES_FOLDER / f"{name}.txt").read_text("utf-8"), "utf-8")
        (folder / "movements.txt").write_text("pixel art\nmosaic\n")
        return folder

    model = MicroAsOpenClip()
    monkeypatch.setattr(peer.open_clip, "get_tokenizer", lambda name: model.tokenize)
    clip = Clip.load("micro", device="cpu", precision="exact")
    pair = Pair(tmp_path, 2048, words_of_micro, model, model.tokenize, clip)
    monkeypatch.setattr("unrender.core.devices.fast_half", lambda device: torch.bfloat16)
    two = Clip.load("micro", device="cpu", precision="auto")
    assert two.text.has_rough
    drawn = [Image.fromarray(pixels.permute(1, 2, 0).numpy()) for pixels in render("test", 900).pixels]
    settings = Settings(peer_defects=True)
    engines = [Interrogator(one, pair.vocabulary, lambda: pair.table, settings, SILENT) for one in (clip, two)]
    for features in _apart(clip.encode_images(drawn), 40):
        monkeypatch.setattr(pair.peer, "image_to_features", lambda image, features=features: features[None])
        for mode in MODES:
            theirs = pair.theirs(mode, None, "a red circle on a white background")
            for engine in engines:
                found = engine.run(mode, Subject(features, "a red circle on a white background"))
                assert pair.same(found.prompt, theirs)
                assert abs(found.similarity - pair.peer.similarity(features[None], theirs)) < 2e-6


def _apart(features, count):
    """So many of the features, of pairwise cosine under 0.5."""
    chosen = features[:1]
    for one in features[1:]:
        if len(chosen) < count and (chosen @ one).max() < 0.5:
            chosen = torch.cat([chosen, one[None]])
    assert len(chosen) == count
    return chosen


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    pair = Pair(tmp_path_factory.mktemp("full"), 2048)
    read = load_vocabulary("peer")
    assert read.categories == pair.vocabulary.categories
    return pair


def test_the_peers_lists_are_read_as_it_reads_them():
    lists = load_vocabulary("peer").categories
    data_path = peer.Config().data_path
    artists = peer.load_list(data_path, "artists.txt")
    expected = (*(f"by {name}" for name in artists), *(f"inspired by {name}" for name in artists))
    assert lists["artists"].phrases == expected
    assert lists["flavors"].phrases == tuple(peer.load_list(data_path, "flavors.txt"))
    assert len(lists["sites"].phrases) == 72


# Each deviation from the peer, on its own.


def peer_table(embeddings, chunk_size):
    table = peer.LabelTable.__new__(peer.LabelTable)
    table.labels = [str(row) for row in range(len(embeddings))]
    table.embeds = list(embeddings)
    table.chunk_size, table.device = chunk_size, "cpu"
    table.config = type("Config", (), {"quiet": True})
    return table


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("count", [1, 32, 50])
def test_deviation_1_and_2_chunked_ranking(count, reverse):
    random = np.random.default_rng(count)
    embeddings = random.normal(size=(1000, 8)).astype(np.float32)
    features = random.normal(size=(1, 8)).astype(np.float32)
    similarities = (embeddings @ features.T)[:, 0]
    ranked = peer_table(embeddings, 64).rank(torch.from_numpy(features), count, reverse=reverse)
    assert [int(label) for label in ranked] == top_as_peer(similarities, count, reverse, chunk=64)
    # corrected: the true order, whatever the length of the table
    assert top(similarities, count) == np.argsort(-similarities, kind="stable")[:count].tolist()
    assert top(similarities, 1000) != top_as_peer(similarities, 1000, chunk=64)


def test_deviation_2_negative_starts_from_the_most_dissimilar(short, photographs):
    features = short.clip.encode_images([photographs[0]])[0]
    flavors = short.vocabulary.phrases("flavors")
    similarities = short.table.similarities(features)[short.table.rows("flavors")]
    listed = short.clip.encode_texts(short.vocabulary.phrases("negative")) @ features
    first = short.ours("negative", photographs[0], "", max_phrases=1, min_phrases=1).split(", ")[0]
    lowest = flavors[int(similarities.argmin())] if similarities.min() < listed.min() else None
    assert lowest is not None and lowest.startswith(first)


def test_deviation_3_the_negative_chain_goes_on(short):
    """Where every similarity is positive, as with trained models, the peer's comparison lets no longer prompt win."""
    mean = short.table.embeddings.mean(dim=0)
    features = mean / mean.norm()
    similarities = short.table.similarities(features)
    rows = [row for row in range(*short.table.rows("flavors").indices(10**6)) if similarities[row] > 0.8][:200]
    phrases = tuple(short.table.phrases[row] for row in rows)
    vocabulary = Vocabulary("positive", {"flavors": Category("flavors", phrases)})
    table = PhraseTable(phrases, ("flavors",) * len(rows), short.table.embeddings[rows])

    def run(**settings):
        interrogator = Interrogator(short.clip, vocabulary, lambda: table, Settings(**settings), SILENT)
        return interrogator.run("negative", Subject(features, ""))

    corrected, defective = run(), run(peer_defects=True)
    assert len(defective.phrases) == 1 < len(corrected.phrases)
    assert corrected.similarity < defective.similarity


def test_deviation_4_prompts_fit_the_token_limit(short):
    """Without the comma the phrase runs into the caption's last word and seems to cost nothing."""
    caption = " ".join(["word"] * 73) + " straw"
    category = Category("flavors", ("berry",))
    vocabulary = Vocabulary("one", {"flavors": category})
    table = PhraseTable(category.phrases, ("flavors",), short.clip.encode_texts(category.phrases))

    def length(**settings):
        interrogator = Interrogator(short.clip, vocabulary, lambda: table, Settings(**settings), SILENT)
        prompt = interrogator.run("fast", Subject(table.embeddings[0], caption)).prompt
        return short.clip.text.length(prompt)

    assert length() <= 77 < length(peer_defects=True)
    theirs = peer._truncate_to_fit(f"{caption}, berry", short.tokenize)
    assert short.clip.text.length(theirs) > 77


def test_deviation_5_twins_are_taken_once(short):
    category = Category("flavors", ("Highly Detailed", "a cat", "highly detailed", "HIGHLY DETAILED"))
    vocabulary = Vocabulary("twins", {"flavors": category})
    embeddings = short.clip.encode_texts(category.phrases)
    table = PhraseTable(category.phrases, ("flavors",) * 4, embeddings)
    toward_the_twins = Subject(embeddings[0] / torch.linalg.vector_norm(embeddings[0]), "")

    def fast(**settings):
        interrogator = Interrogator(short.clip, vocabulary, lambda: table, Settings(**settings), SILENT)
        return interrogator.run("fast", toward_the_twins).prompt

    assert fast() == "Highly Detailed, a cat"
    assert fast(peer_defects=True).casefold().count("highly detailed") == 3
