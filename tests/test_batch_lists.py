"""Lists as spreadsheets and strangers write them: any encoding and separator, and no say in which machine is asked."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from batch_runs import QuickEngine
from PIL import Image
from unrender.core.batch import Batch, sink_named, source_named
from unrender.core.batch.lists import is_on_a_share
from unrender.core.batch.remote import Refused, RemoteItem, listed_item
from unrender.core.errors import ImageError, SettingsError

NAMES = ("café é.png", "a;b.png", "plain.png")


@pytest.fixture(name="folder")
def folder_fixture(tmp_path):
    for number, name in enumerate(NAMES):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / name)
    return tmp_path


def names_in(path):
    items = list(source_named([str(path)]))
    for item in items:
        item.open()
    return tuple(item.name for item in items)


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_a_table_is_read_in_its_encoding_and_with_its_separator(folder, codec, separator, ends):
    if codec.startswith("utf-16-") and sys.byteorder != "little":
        pytest.skip("the codec without a mark")
    rows = [("label", "file_name"), *((str(number), f'"{name}"') for number, name in enumerate(NAMES))]
    text = ends.join(separator.join(row) for row in rows) + ends
    (folder / "list.csv").write_bytes(text.encode(codec))
    assert names_in(folder / "list.csv") == NAMES


@pytest.mark.parametrize("first", ["sep=;\n", "sep=;\r\nimage;prompt\r\n", ""])
def test_a_table_without_names_or_with_a_said_separator(folder, first):
    (folder / "list.csv").write_text(first + "plain.png;a, b\ncafé é.png;c\n", encoding="utf-8", newline="")
    assert names_in(folder / "list.csv") == ("plain.png", "café é.png")


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("text", ['{{"image": "{}"}}\r\n', '"{}"\n'])
def test_lines_of_json_are_read_in_their_encoding(folder, codec, text):
    (folder / "list.jsonl").write_bytes("".join(text.format(name) for name in NAMES).encode(codec))
    assert names_in(folder / "list.jsonl") == NAMES


@pytest.mark.parametrize(
    ("name", "codec"),
    [("猫の写真.png", "cp932"), ("日落时的城堡.png", "gb18030"), ("кошка.png", "cp1251"), ("소파.png", "euc_kr")],
)
def test_a_file_that_is_there_tells_the_encoding(folder, name, codec):
    Image.new("RGB", (8, 8)).save(folder / name)
    (folder / "list.csv").write_bytes(f"image\n{name}\n".encode(codec))
    assert names_in(folder / "list.csv") == (name,)


@pytest.mark.skipif(sys.platform != "linux", reason="needs names of any bytes")
def test_names_that_are_no_utf_8_stay_what_they_are(folder):
    data = b"caf\xe9.png"
    (folder / "plain.png").rename(folder / os.fsdecode(data))
    Image.new("RGB", (8, 8)).save(folder / "café.png")  # the same letters in another encoding
    (folder / "list.csv").write_bytes(b"image\n" + data + "\ncafé é.png\n".encode())
    assert names_in(folder / "list.csv") == (os.fsdecode(data), "café é.png")


@pytest.mark.parametrize("data", [b"image\n\0\1\2", bytes(range(256)) * 4])
def test_what_is_no_text_is_a_sentence(folder, data):
    (folder / "list.csv").write_bytes(data)
    with pytest.raises(SettingsError, match=r"list\.csv is no text"):
        list(source_named([str(folder / "list.csv")]))


def test_names_that_no_file_can_have_are_failures(folder):
    lines = ["\ud800.png", "a\0b.png", "plain.png", "\udfff\udc80.png"]
    (folder / "list.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for output in ("csv", "txt", "xmp", "tar"):
        place = folder / "made" if output == "xmp" else None if output == "txt" else folder / f"out.{output}"
        source = source_named([str(folder / "list.jsonl")])
        batch = Batch(QuickEngine(), source, sink_named(output, folder, place), "fast")  # pyright: ignore[reportArgumentType]
        if output == "txt":
            with pytest.raises(SettingsError, match="no file of its own"):
                list(batch)
        else:
            assert [outcome.name for outcome in batch if outcome.result] == ["plain.png"]
            assert batch.failed == 3


REFUSED = (
    "s3://bucket/f?endpoint_override=evil.example/a.png",
    "s3://bucket?endpoint_override=http%3A%2F%2Fevil.example/a.png",
    "s3://bucket/f?region=evil.example%2F/a.png",
    "s3://bucket/f?region=us-east-1&endpoint_override=evil/a.png",
    "s3://bucket/f?scheme=http/a.png",
    "s3://bucket/f?role_arn=arn/a.png",
    "s3://bucket/f?tls_verify_certificates=false/a.png",
    "s3://bucket/f?allow_bucket_creation=true/a.png",
    "s3://key:secret@bucket/f/a.png",
    "s3://key@bucket/f/a.png",
    "s3://evil.example:9000/f/a.png",
    "s3:///f/a.png",
    "s3://bu%63ket/f/a.png",
    "s3://bucket\\@evil.example/f/a.png",
    "s3://bucket#/f/a.png",
    "s3://b ucket/f/a.png",
    "s3://bucket/f\\?endpoint_override=evil/a.png",
    "gs://bucket/f?endpoint_override=evil.example/a.png",
    "gs://bucket/f?region=us/a.png",
    "gs://someone@bucket/f/a.png",
    "abfs://account:key@container/f/a.png",
    "abfss://container@evil.example/f/a.png",
    "abfss://evil.example/container/f/a.png",
    "abfss://container@dfs.core.windows.net.evil.example/f/a.png",
    "abfss://container/f?blob_storage_authority=evil/a.png",
    "hdfs://evil.example:8020/f/a.png",
    "hdfs://evil.example/f/a.png",
    "hdfs:///f?replication=1/a.png",
    "viewfs://evil/f/a.png",
    "file://evil.example/share/a.png",
    "file:////evil.example/share/a.png",
    "http://169.254.169.254/latest/meta-data/a.png",
    "https://user:pass@evil.example/a.png",
    "ftp://evil.example/a.png",
    "hf://evil/model/a.png",
    "fsspec+http://169.254.169.254/latest/a.png",
    "fsspec+file:///etc/a.png",
    "s3fs://bucket/a.png",
    "mock://bucket/a.png",
    "smb://evil/share/a.png",
)
ALLOWED = (
    "s3://bucket/a.png",
    "s3://my.bucket-1/deep/er/a b.png",
    "s3://bucket/f?region=eu-west-1/a.png",
    "s3://bucket/what?.png",
    "gs://bucket/f/a.png",
    "gcs://anonymous@bucket/f/a.png",
    "abfs://container/f/a.png",
    "abfss://container@account.dfs.core.windows.net/f/a.png",
    "hdfs:///f/a.png",
    "hdfs://default/f/a.png",
    "viewfs:///f/a.png",
    "file:///photos/a.png",
)


@pytest.mark.parametrize("address", REFUSED)
def test_a_list_names_no_machine_user_or_setting(address, monkeypatch):
    monkeypatch.setattr("unrender.core.batch.remote._store", lambda folder: pytest.fail(f"{folder} was asked for"))
    item = listed_item(address)
    with pytest.raises(ImageError, match=r"is not read, because .*; check the address"):
        item.open()


@pytest.mark.parametrize("address", ALLOWED)
def test_a_list_names_places_in_stores(address):
    assert type(listed_item(address)) is RemoteItem


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_every_kind_of_list_is_looked_at(folder, suffix):
    path = folder / f"list{suffix}"
    if suffix == ".parquet":
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        parquet.write_table(pyarrow.table({"image": list(REFUSED)}), path)
    else:
        lines = REFUSED if suffix == ".csv" else [json.dumps(address) for address in REFUSED]
        path.write_text("\n".join((["image"] if suffix == ".csv" else []) + list(lines)), encoding="utf-8")
    assert all(type(item) is Refused for item in source_named([str(path)]))


def test_secrets_of_an_address_are_not_told():
    pytest.importorskip("pyarrow.fs", reason="addresses need pyarrow")
    with pytest.raises(SettingsError) as failure:
        source_named(["nowhere://key:secret@bucket/folder?token=secret"])
    assert "secret" not in str(failure.value)
    item = RemoteItem("a.png", None, "s3://key:secret@bucket/f?endpoint_override=mine", "a.png")
    assert item.name_among_sources(Path()) == "bucket/f/a.png"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_what_never_ends_is_not_waited_for(folder):
    pytest.importorskip("pyarrow.fs", reason="addresses need pyarrow")
    os.mkfifo(folder / "pipe.png")
    (folder / "list.csv").write_text(f"image\nfile:///dev/zero\n{(folder / 'pipe.png').as_uri()}\n/dev/zero\n")
    items = list(source_named([str(folder / "list.csv")]))
    assert len(items) == 3
    for item in items:
        with pytest.raises(ImageError):
            item.open()


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("\\\\evil\\share\\a.png", True),
        ("//evil/share/a.png", True),
        ("\\\\?\\UNC\\evil\\share\\a.png", True),
        ("C:\\a.png", False),
        ("a.png", False),
        ("/a/b.png", False),
    ],
)
def test_paths_to_other_machines_are_known(name, there):
    assert is_on_a_share(name) is there
