"""Read the rows of a parquet file and its digest in one pass."""

import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

_PIECE = 4_000_000


class HashedParquet:
    """A parquet file whose bytes are read once, in order, for its rows and for its SHA-256 together.

    Memory holds one row group. A footer is read twice, and so is a row group that lies before one that was read; no
    file that medmix writes has such.
    """

    def __init__(self, path: Path) -> None:
        self._file = _Window(path)

    def __enter__(self) -> "HashedParquet":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def schema(self) -> pa.Schema:
        """Give the Arrow schema.

        Raises:
            pa.ArrowException, OSError: the file is not parquet.
        """
        return pq.ParquetFile(self._file).schema_arrow

    def batches(self, batch_rows: int, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows, or some columns of them, in batches of at most `batch_rows` that end with their row group.

        Raises:
            pa.ArrowException, OSError: the file is damaged.
        """
        table = pq.ParquetFile(self._file)
        for number in range(table.num_row_groups):
            self._file.advance(_end(table.metadata.row_group(number)))
            yield from table.iter_batches(
                batch_rows, row_groups=[number], columns=None if columns is None else list(columns), use_threads=False
            )

    def sha256(self) -> str:
        """Give the hex SHA-256 of the file; what no batch has needed is read now."""
        return self._file.sha256()


def _end(group: pq.RowGroupMetaData) -> int:
    """Give the place after the last byte of a row group."""
    ends = [0]
    for number in range(group.num_columns):
        column = group.column(number)
        start = column.dictionary_page_offset if column.has_dictionary_page else None
        ends.append((column.data_page_offset if start is None else start) + column.total_compressed_size)
    return max(ends)


class _Window(io.RawIOBase):
    """A file that is hashed from its start to its end and holds the bytes that were hashed last."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._bytes = os.fstat(self._file.fileno()).st_size
        self._place = self._start = 0
        self._held = b""
        self._digest = hashlib.sha256()

    def advance(self, end: int) -> None:
        """Hash the bytes up to `end`, and hold them instead of those before."""
        self._start += len(self._held)
        self._held = self._pread(self._start, min(end, self._bytes) - self._start)
        self._digest.update(self._held)

    def sha256(self) -> str:
        """Hash the rest."""
        while self._start + len(self._held) < self._bytes:
            before = self._start + len(self._held)
            self.advance(before + _PIECE)
            if not self._held:  # the file became shorter
                break
        return self._digest.hexdigest()

    def read(self, size: int = -1) -> bytes:
        """Read from the bytes that are held, or else from the file."""
        size = self._bytes - self._place if size is None or size < 0 else size
        first = self._place - self._start
        if first >= 0 and first + size <= len(self._held):
            data = self._held[first : first + size]
        else:
            data = self._pread(self._place, size)
        self._place += len(data)
        return data

    def _pread(self, start: int, size: int) -> bytes:
        pieces = []
        while size > 0 and (piece := os.pread(self._file.fileno(), min(size, 1 << 30), start)):
            pieces.append(piece)
            start, size = start + len(piece), size - len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the place of the next `read`."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._bytes}[whence]
        self._place = base + offset
        return self._place

    def tell(self) -> int:
        """Give the place of the next `read`."""
        return self._place

    def readable(self) -> bool:
        """Tell that this file can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that the place of the next `read` can be moved."""
        return True

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()
