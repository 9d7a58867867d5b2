"""Rows in a Parquet file. The only module that knows pyarrow."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..cures import Install
from ..errors import BatchError, MissingPackageError
from ..files import replacing
from .append import HIDDEN, writing
from .columns import Column

_ROWS_AT_ONCE = 1000


def check_package() -> None:
    """Raises MissingPackageError where Parquet cannot be read and written."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise MissingPackageError("Parquet files need pyarrow", Install(("pyarrow",))) from error


def write(path: Path, rows: Iterable[Mapping[str, Any]], columns: Sequence[Column] = ()) -> None:
    """Complete from the moment it appears, whatever was there before. columns: of the rows, those on request. Raises
    BatchError."""
    import pyarrow
    from pyarrow import parquet

    schema = _schema(pyarrow, columns)
    unfinished = path.with_name(f"{HIDDEN}-{path.name}.part")
    try:
        with writing(path), replacing(path, unfinished) as file, parquet.ParquetWriter(file, schema) as writer:
            rest = iter(rows)
            while part := list(itertools.islice(rest, _ROWS_AT_ONCE)):
                writer.write_table(pyarrow.Table.from_pylist([_encodable(row) for row in part], schema=schema))
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError) as error:
        problem = f"{path} cannot be made of what is noted of its run ({error})"
        raise BatchError(problem, "move those notes away to begin anew") from error


def read_column(path: Path, names: Iterable[str]) -> Iterator[str]:
    """The texts of the first of these columns that there is. Raises BatchError."""
    import pyarrow
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
    except (OSError, pyarrow.ArrowInvalid) as error:
        raise BatchError(f"{path} cannot be read as a Parquet file ({error})") from error
    with file:
        column = next((name for name in names if name in file.schema_arrow.names), None)
        if column is None:
            raise BatchError(f"{path} has no column named {' or '.join(names)}", "rename the one with the paths")
        for batch in file.iter_batches(columns=[column]):
            yield from (str(value) for value in batch.column(0).to_pylist() if value)


def _schema(pyarrow: Any, columns: Sequence[Column]) -> Any:
    text, number = pyarrow.string(), pyarrow.float64()
    phrase = pyarrow.struct(
        [
            *(("text", text), ("category", text), ("gain", number), ("likelihood", number), ("support", number)),
            *(("family", text), ("runner_up", text), ("instead_of", text)),
        ]
    )
    likelihood = pyarrow.struct(
        [
            *(("category", text), ("rank", pyarrow.int32()), ("phrase", text)),
            *(("similarity", number), ("likelihood", number)),
        ]
    )
    tag = pyarrow.struct([("name", text), ("confidence", number), ("category", text)])
    further = {
        **{"analysis": pyarrow.list_(likelihood), "embedding": pyarrow.list_(pyarrow.float32())},
        **{"tags": pyarrow.list_(tag), "characters": text, "rating": text},
    }
    return pyarrow.schema(
        [
            *((name, text) for name in ("image", "prompt", "mode", "caption", "model")),
            ("similarity", number),
            ("phrases", pyarrow.list_(phrase)),
            *((name, further[name]) for name in columns),
        ]
    )


def _encodable(row: Mapping[str, Any]) -> dict[str, Any]:
    """Parquet's texts are UTF-8, which some file names are not."""
    return {**row, "image": row["image"].encode(errors="backslashreplace").decode()}
