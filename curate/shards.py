"""Write data files atomically; no other code writes them."""

import hashlib
import os
import platform
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP_BYTES = 16_000_000
ROW_GROUP_ROWS = 500

ABANDONED_SECONDS = 86_400.0
"""A temporary file of another machine counts as left behind when nothing was written to it for this long."""

TEMPORARY = ".*.tmp"
"""Pattern of the names of temporary files."""

_MACHINE = re.compile(r"\.([0-9a-f]{8})-[0-9]+-[0-9a-f]{8}\.tmp")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; it replaces `path` when the block ends without an error.

    The bytes are flushed to the disk before the rename, so that after a crash a file is complete or absent. No other
    process, on this machine or another, has the same temporary path.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{unique_name()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def temporary_files(folder: Path) -> list[Path]:
    """List the temporary files below a folder that killed processes left behind.

    The caller's lock keeps other processes of this machine away; those of other machines may be at work where the file
    system locks nothing between machines, so only their old files are listed.
    """
    return [path for path in folder.rglob(TEMPORARY) if _is_of_this_machine(path) or _is_old(path)]


def unique_name() -> str:
    """Give a name that no other process takes: `MACHINE-PROCESS-RANDOM`."""
    return f"{_machine()}-{os.getpid()}-{secrets.token_hex(4)}"


def _machine() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def _is_of_this_machine(path: Path) -> bool:
    match = _MACHINE.search(path.name)
    return match is None or match[1] == _machine()


def _is_old(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > ABANDONED_SECONDS
    except FileNotFoundError:  # it has replaced its file meanwhile
        return False


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_rows(
    path: Path,
    schema: pa.Schema,
    rows: Iterable[tuple[dict[str, Any], int]],
    observe: Callable[[pa.Table], None] | None = None,
) -> str:
    """Write (row, size in bytes) pairs as parquet and give the hex SHA-256 of the file; memory holds one row group.

    Row groups close at a fixed number of rows or bytes, so equal rows give equal bytes. With content-defined
    chunks a changed row leaves the other pages unchanged. `observe` is called with each row group.
    """
    with replacing(path) as temporary, temporary.open("wb") as handle:
        hashed = HashedFile(handle)
        with shard_writer(hashed, schema) as writer:
            for group in row_groups(rows):
                table = pa.Table.from_pylist(group, schema=schema)
                writer.write_table(table, row_group_size=len(group))
                if observe is not None:
                    observe(table)
    return hashed.digest.hexdigest()


def shard_writer(file: "HashedFile", schema: pa.Schema) -> pq.ParquetWriter:
    """Give the writer of a shard; it determines the bytes of a shard beside its rows and row groups."""
    return pq.ParquetWriter(
        pa.PythonFile(file, "w"), schema, compression="zstd", use_content_defined_chunking=True, write_page_index=True
    )


def table_writer(file: "Path | HashedFile", schema: pa.Schema) -> pq.ParquetWriter:
    """Give the writer of a table without images."""
    sink = file if isinstance(file, Path) else pa.PythonFile(file, "w")
    return pq.ParquetWriter(sink, schema, compression="zstd")


class HashedFile:
    """A file that is hashed while it is written from start to end; without a handle it is hashed only."""

    def __init__(self, handle: BinaryIO | None = None) -> None:
        self._handle = handle
        self._size = 0
        self.digest = hashlib.sha256()
        self.closed = False

    def write(self, data: bytes) -> int:
        """Write bytes and hash them."""
        self.digest.update(data)
        self._size += len(data)
        return self._handle.write(data) if self._handle else len(data)

    def tell(self) -> int:
        """Give the number of bytes written."""
        return self._size

    def flush(self) -> None:
        """Hand the bytes to the system."""
        if self._handle:
            self._handle.flush()

    def close(self) -> None:
        """Keep the file open until `replacing` has it."""
        self.flush()


def row_groups(rows: Iterable[tuple[dict[str, Any], int]]) -> Iterator[list[dict[str, Any]]]:
    """Gather (row, size in bytes) pairs into lists of at most `ROW_GROUP_ROWS` rows and about `ROW_GROUP_BYTES`."""
    group: list[dict[str, Any]] = []
    size = 0
    for row, row_bytes in rows:
        group.append(row)
        size += row_bytes
        if len(group) >= ROW_GROUP_ROWS or size >= ROW_GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def file_sha256(path: Path) -> str:
    """Give the hex SHA-256 of a file, read in pieces."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
