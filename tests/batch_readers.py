"""What a batch reads beside pictures and models: journals, tables it goes on with, lists, texts it adds to, tar files.

Each also sees to it that what belongs to the user is still there, and that nothing beside the folder was touched.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import tempfile
from collections import Counter
from functools import cache, partial
from pathlib import Path

from batch_runs import IN_FOLDERS, QuickEngine, batch, draw
from mutations import Files, Reader
from PIL import Image
from unrender.core.batch import Batch, sink_named, source_named, undo
from unrender.core.batch.renaming import UNDO_NAME
from unrender.core.errors import UnrenderError

JOURNALS = ("txt-append", "csv", "jsonl", "rename", "copy", "xmp")
_PICTURES = 4
_MINE = b"nobody's business"


# --- journals ---


def _ways(kind: str) -> dict[str, str]:
    output, _, existing = kind.partition("-")
    return {"output": output, **({"existing": existing} if existing else {})}


@cache
def _stopped(kind: str) -> Files:
    """What a run leaves that was ended when all was found and one was written."""
    with tempfile.TemporaryDirectory() as place:
        folder = draw(Path(place) / "pictures", _PICTURES)
        run = iter(batch(QuickEngine(), folder, **_ways(kind)))
        next(run)
        run.close()  # pyright: ignore[reportAttributeAccessIssue]
        return _held(Path(place))


def _held(place: Path) -> Files:
    """With words for where it was."""
    files = {path.relative_to(place).as_posix(): path.read_bytes() for path in place.rglob("*") if path.is_file()}
    for folder, word in _places(place):
        files = {name: data.replace(folder, word) for name, data in files.items()}
    return dict(sorted(files.items()))


def _settle(place: Path) -> None:
    for path in place.rglob("*.jsonl"):
        data = path.read_bytes()
        for folder, word in _places(place):
            data = data.replace(word, folder)
        path.write_bytes(data)


def _places(place: Path) -> list[tuple[bytes, bytes]]:
    """How a journal says which folder it is of, and a word that takes its place."""
    names = ("pictures", "made")
    told = [hashlib.sha256(os.fsencode((place / name).resolve())).hexdigest()[:16].encode() for name in names]
    return list(zip(told, (b"FOLDER-1", b"FOLDER-2"), strict=True))


def _journal_of(kind: str) -> tuple[str, ...]:
    place = "made" if _ways(kind)["output"] in IN_FOLDERS else "pictures"
    if kind == "rename":
        return (f"pictures/{UNDO_NAME}",)
    return tuple(name for name in _stopped(kind) if name.startswith(f"{place}/.unrender/") and name.endswith("l"))


def _go_on(kind: str, place: Path) -> None:
    _settle(place)
    before = _pictures_in(place / "pictures")
    (place / "outside.png").write_bytes(_MINE)
    try:
        for _ in batch(QuickEngine(), place / "pictures", resume=True, **_ways(kind)):
            pass
    finally:
        _nothing_is_lost(place, before)


def _undo(place: Path) -> None:
    _settle(place)
    before = _pictures_in(place / "pictures")
    (place / "outside.png").write_bytes(_MINE)
    try:
        undo(place / "pictures" / UNDO_NAME)
    finally:
        _nothing_is_lost(place, before)


def _pictures_in(folder: Path) -> Counter[bytes]:
    return Counter(path.read_bytes() for path in folder.rglob("*") if path.suffix in (".png", ".json"))


def _nothing_is_lost(place: Path, before: Counter[bytes]) -> None:
    held = Counter(path.read_bytes() for path in (place / "pictures").rglob("*") if path.is_file())
    assert not before - held, "a picture is lost"  # whatever an undo journal says it was called
    assert (place / "outside.png").read_bytes() == _MINE, "a file outside was written"
    assert {path.name for path in place.iterdir()} <= {"pictures", "made", "outside.png"}, "something lies outside"


@cache
def _renamed() -> Files:
    with tempfile.TemporaryDirectory() as place:
        for _ in batch(QuickEngine(), draw(Path(place) / "pictures", _PICTURES), "rename"):
            pass
        return _held(Path(place))


# --- tables somebody edited between two runs ---


def _table_of(output: str) -> tuple[str, ...]:
    return tuple(
        name for name in _stopped(output) if name.count("/") == 1 and not name.endswith((".png", ".txt", ".json"))
    )


def _go_on_with_table(output: str, place: Path) -> None:
    (name,) = _table_of(output)
    table = place / name
    if not table.exists():
        return _go_on(output, place)
    edited = table.read_bytes()
    as_left = _stopped(output)[name].startswith(edited)
    _go_on(output, place)
    held = [path.read_bytes() for path in table.parent.iterdir() if path.is_file()]
    assert as_left or edited in held or table.read_bytes().startswith(edited), "what somebody wrote is lost"


# --- texts that are added to ---

_TEXTS = (
    b"a cat, on a mat\n",
    "a cät, on a mat".encode("utf-8-sig"),
    "a cat on a mät,\r\n".encode("utf-16"),
    "une photo d'été".encode("cp1252"),
    "猫がマットの上にいる".encode("shift-jis"),
    "кот на коврике, ".encode("cp1251"),
)


@cache
def _small_picture() -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(made, "PNG")
    return made.getvalue()


def _captions() -> list[Files]:
    return [{"pictures/a.png": _small_picture(), "pictures/a.txt": text} for text in _TEXTS]


def _add_to_caption(existing: str, place: Path) -> None:
    text = place / "pictures" / "a.txt"
    before = text.read_bytes() if text.exists() else b""
    found = list(batch(QuickEngine(), place / "pictures", existing=existing))
    after = text.read_bytes()
    if any(outcome.result is None for outcome in found):
        assert after == before, "a text that could not be added to was changed"
        raise UnrenderError("the text is left alone")
    kept = (
        before.strip(b"\r\n\t ,\0\v\f")
        .removeprefix(b"\xff\xfe")
        .removeprefix(b"\xfe\xff")
        .removeprefix(b"\xef\xbb\xbf")
    )
    assert kept.strip(b"\r\n\t ,\0\v\f") in after, "something of the old text is gone"


# --- lists and tar files ---


def _lists() -> list[Files]:
    rows = "image,caption\n" + "".join(f'{row}.png,"a cat, number {row}"\n' for row in range(5))
    lines = "".join(f'{{"image": "{row}.png"}}\n' for row in range(5))
    names = {"a.csv": rows.encode(), "b.csv": rows.replace(",", ";").encode("utf-16"), "c.jsonl": lines.encode()}
    return [{name: data} for name, data in {**names, "d.tsv": rows.replace(",", "\t").encode("utf-8-sig")}.items()]


def _read_list(place: Path) -> object:
    (path,) = place.iterdir()
    return [item.name for item in source_named([str(path)])]


def _tars() -> list[Files]:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, data in {"a.png": _small_picture(), "a.txt": b"a cat", "b/c.png": _small_picture()}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return [{"shard.tar": made.getvalue()}]


def _read_tar(place: Path) -> None:
    source = source_named([str(place / "shard.tar")])
    for _ in Batch(QuickEngine(), source, sink_named("csv", source.root, None), "fast"):  # pyright: ignore
        pass


BATCH_READERS = (
    *(
        Reader(f"journal {kind}", lambda kind=kind: [_stopped(kind)], partial(_go_on, kind), only=_journal_of(kind))
        for kind in JOURNALS
    ),
    Reader("journal undo", lambda: [_renamed()], _undo, only=(f"pictures/{UNDO_NAME}",)),
    *(
        Reader(
            f"table {output}",
            lambda output=output: [_stopped(output)],
            partial(_go_on_with_table, output),
            only=_table_of(output),
        )
        for output in ("csv", "jsonl")
    ),
    *(
        Reader(f"text {way}", _captions, partial(_add_to_caption, way), only=("pictures/a.txt",))
        for way in ("append", "prepend")
    ),
    Reader("list", _lists, _read_list),
    Reader("tar", _tars, _read_tar),
)
