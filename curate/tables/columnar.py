"""Rows of parquet and Arrow files."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import InputError, RowError
from .fields import check_columns
from .opening import GET_AGAIN, bad_byte, input_errors


def parquet_rows(
    path: Path,
    required: Sequence[str],
    optional: Sequence[str] = (),
    unread: Sequence[str] = (),
    batch_rows: int = 256,
) -> Iterator[tuple[int, dict[str, Any] | RowError]]:
    """Give (row, column -> value) for each row of a parquet file, only the named columns; memory holds one batch.

    A row with a text that is not UTF-8 is a `RowError`. Missing optional columns are absent from the row. A nested
    field is named `image.bytes`. Unread columns must exist too, but are not read here.

    Raises:
        InputError: the file is no parquet, or lacks a required column; all missing ones are named.
    """
    with input_errors(path), _parquet(path) as table:
        present = table.schema_arrow.names
        check_columns(path, (*required, *unread), present)
        wanted = [*required, *(column for column in optional if column.split(".")[0] in present)]
        row = 0
        for batch in table.iter_batches(batch_size=batch_rows, columns=wanted):
            for value in _values(batch):
                yield row, value
                row += 1


def arrow_rows(
    path: Path, required: Sequence[str], unread: Sequence[str] = (), batch_rows: int = 256
) -> Iterator[tuple[int, dict[str, Any] | RowError]]:
    """Give (row, column -> value) for each row of an Arrow IPC stream, only the required columns.

    The file is memory-mapped, so that unread columns, which must exist too, are not loaded.
    A row with a text that is not UTF-8 is a `RowError`.

    Raises:
        InputError: the file is no Arrow stream, or lacks a required column; all missing ones are named.
    """
    with input_errors(path), _format_errors("an Arrow stream", path), pa.memory_map(str(path)) as source:
        row = 0
        with pa.ipc.open_stream(source) as stream:
            check_columns(path, (*required, *unread), stream.schema.names)
            for batch in stream:
                chosen = batch.select(list(required))
                for start in range(0, len(chosen), batch_rows):
                    for value in _values(_validated(chosen.slice(start, batch_rows))):
                        yield row, value
                        row += 1


def _validated(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Check the offsets of a mapped batch, row by row if need be: Arrow trusts them, and ends the process on some."""
    try:
        batch.validate(full=True)
    except pa.ArrowInvalid:
        for row in range(len(batch)):
            try:
                batch.slice(row, 1).validate(full=True)
            except pa.ArrowInvalid as error:
                if "UTF8" not in str(error):  # a text that is not UTF-8 costs its row only
                    raise
    return batch


def _values(batch: pa.RecordBatch) -> list[dict[str, Any] | RowError]:
    """Give the rows of a batch; one with a text that is not UTF-8 gives a `RowError` in its place."""
    try:
        return list(batch.to_pylist())
    except UnicodeDecodeError:
        return [_value(batch.slice(row, 1)) for row in range(len(batch))]


def _value(row: pa.RecordBatch) -> dict[str, Any] | RowError:
    value = {}
    for name, column in zip(row.schema.names, row.columns, strict=True):
        try:
            value[name] = column[0].as_py()
        except UnicodeDecodeError as error:
            return RowError("unparsable-row", f"column {name!r}: {bad_byte(error, 0)}")
    return value


@contextmanager
def _parquet(path: Path) -> Iterator[pq.ParquetFile]:
    with _format_errors("parquet", path), pq.ParquetFile(path) as table:
        yield table


@contextmanager
def _format_errors(form: str, path: Path) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, PermissionError):
        raise
    except (pa.ArrowException, OSError) as error:  # OSError: damaged pages and footers
        if path.is_dir():
            raise IsADirectoryError from None
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(path, f"is not readable as {form} ({lines[0]})", GET_AGAIN) from None
