"""Read the original bytes of images: plain files, members of zip archives or rows of tables."""

import errno
import re
import stat as modes
import zipfile
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import RowError
from ..file_state import FileState, file_state
from ..record import ImageRef
from ..tables import LFS_REMEDY, common_spelling, is_lfs_pointer
from . import spelling, zip_index

POINTER_BYTES = 64
"""The start of a file that shows whether it is a Git LFS pointer."""

MAX_BYTES = 512 * 2**20
"""Far above any image of the sources; a zip member that claims more is a bomb."""

# Errors of the file itself, which recur on each run. All others (a dying disk, too many open files) are the
# machine's: a build that dropped rows because of them would not be repeatable.
# Decoders raise OSError without a number for damaged data; a damaged archive can lead zipfile to a place before its
# start (EINVAL).
_FILE_ERRORS = {None, errno.EINVAL, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG}


class ImageStore:
    """Reads images of one source; keeps the last archive or table open, so read in upstream's order.

    Attributes:
        root: the source's folder.
        indexes: a folder for indexes of large archives (`zip_index`), which other processes may share; without one,
            opening an archive reads its whole directory.
        respelled: of the images read, those found under a name that is spelled otherwise, with that name.
    """

    def __init__(self, root: Path, indexes: Path | None = None) -> None:
        self.root = root
        self.indexes = indexes
        self.respelled: dict[ImageRef, str] = {}
        self._path = ""
        self._container: _Container | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def read(self, ref: ImageRef) -> bytes:
        """Give the original bytes, never empty; memory holds one image and at most one parquet row group.

        A file or member whose name differs in its Unicode form or its slashes only is the one that is meant. Links
        are followed, also out of the root: large image folders are often linked in.

        Raises:
            RowError: `unsafe-path` when a name leads out of the root; `missing-image` when there is no
                such file, member, column or row, or its bytes are null; `unreadable-image` when it is a
                folder, empty, larger than `MAX_BYTES`, damaged, encrypted or not permitted.
            OSError: when the machine, not the file, is at fault.
        """
        check_path(ref)
        with _row_errors(ref):
            inside = ref.member is not None or ref.row is not None
            data = self._read_inside(ref) if inside else self._read_file(ref)
        if data is None:
            raise RowError("missing-image", str(ref))
        if not data:
            raise RowError("unreadable-image", f"{ref}: empty")
        if is_lfs_pointer(data):
            raise RowError("unreadable-image", f"{ref}: a Git LFS pointer; {LFS_REMEDY}")
        return data

    def close(self) -> None:
        """Close what is open; the store can be used again."""
        if self._container is not None:
            self._container.close()
        self._path, self._container = "", None

    def _read_file(self, ref: ImageRef) -> bytes:
        path = spelling.find_file(self.root, ref.path)
        _check_regular_file(path, ref)
        if path != self.root / ref.path:
            self.respelled[ref] = path.relative_to(self.root).as_posix()
        _check_size(path.stat().st_size, ref)
        return path.read_bytes()

    def _read_inside(self, ref: ImageRef) -> bytes | None:
        container = self._open(ref)
        data = container.read(ref)
        if isinstance(container, _Zip) and container.last_name != ref.member:
            self.respelled[ref] = f"{ref.path}#{container.last_name}"
        return data

    def _open(self, ref: ImageRef) -> "_Container":
        if self._container is None or self._path != ref.path:
            self.close()
            path = spelling.find_file(self.root, ref.path)
            _check_regular_file(path, ref)
            if is_lfs_pointer_file(self.root, ref):
                raise RowError("unreadable-image", f"{ref}: {ref.path} is a Git LFS pointer; {LFS_REMEDY}")
            if ref.member is not None:
                self._container = _Zip(path, self.indexes)
            elif path.suffix == ".arrow":
                self._container = _Arrow(path)
            else:
                self._container = _Parquet(path)
            self._path = ref.path
        return self._container


def file_stat(root: Path, ref: ImageRef) -> FileState | None:
    """Give the state of the file, archive or table that holds the image; None when absent."""
    try:
        check_path(ref)
        return file_state(spelling.find_file(root, ref.path))
    except (RowError, OSError, ValueError):
        return None


def is_lfs_pointer_file(root: Path, ref: ImageRef) -> bool:
    """Tell whether the file, archive or table that holds the image is a Git LFS pointer."""
    with spelling.find_file(root, ref.path).open("rb") as handle:
        return is_lfs_pointer(handle.read(POINTER_BYTES))


def check_path(ref: ImageRef) -> None:
    """Refuse names that could lead out of the source's folder on any system.

    Raises:
        RowError: `unsafe-path` for absolute paths, `..`, backslashes, drive letters, NUL and "".
    """
    for name in (ref.path, ref.member):
        if name is not None and (
            not name or name.startswith("/") or ".." in name.split("/") or re.search(r"[\\\0]|^[A-Za-z]:", name)
        ):
            raise RowError("unsafe-path", repr(name))


class _Container(Protocol):
    def read(self, ref: ImageRef) -> bytes | None: ...

    def close(self) -> None: ...


class _Zip:
    """A zip archive; `last_name` is the name of the member that was read last."""

    def __init__(self, path: Path, indexes: Path | None) -> None:
        self._path, self._indexes = path, indexes
        self._odd: dict[str, str] | None = None
        self._archive: zip_index.IndexedZip | zipfile.ZipFile = self._open()
        self.last_name = ""

    def read(self, ref: ImageRef) -> bytes:
        found = self._find(str(ref.member))
        if found is None:
            raise RowError("missing-image", str(ref))
        archive, info = found
        self.last_name = info.filename
        _check_size(info.file_size, ref)  # zipfile stops at the size that the directory states
        return archive.read(info)

    def _open(self, damaged: bool = False) -> zip_index.IndexedZip | zipfile.ZipFile:
        indexed = zip_index.open_indexed(self._path, self._indexes, damaged) if self._indexes else None
        return indexed or zipfile.ZipFile(self._path)

    def _find(self, member: str) -> zip_index.Member | None:
        if isinstance(self._archive, zip_index.IndexedZip):
            try:
                return self._archive.find(member)
            except zip_index.DamagedIndexError:
                self._archive.close()
                self._archive = self._open(damaged=True)
        if isinstance(self._archive, zip_index.IndexedZip):
            return self._archive.find(member)
        try:
            return self._archive, self._archive.getinfo(member)
        except KeyError:
            if self._odd is None:
                self._odd = spelling.odd_members(self._archive)
            found = self._odd.get(common_spelling(member))
            return (self._archive, self._archive.getinfo(found)) if found is not None else None

    def close(self) -> None:
        self._archive.close()


class _Parquet:
    def __init__(self, path: Path) -> None:
        self._file = pq.ParquetFile(path)
        meta = self._file.metadata
        self._starts = [0, *accumulate(meta.row_group(i).num_rows for i in range(meta.num_row_groups))]
        self._group: tuple[int, str] = (-1, "")
        self._rows: pa.ChunkedArray = pa.chunked_array([], pa.binary())

    def read(self, ref: ImageRef) -> bytes | None:
        row = _validated_row(ref, self._starts[-1], self._file.schema_arrow)
        group = bisect_right(self._starts, row) - 1
        column, _, place = ref.column.partition("[")
        if self._group != (group, column):
            names = [column] if place else [f"{column}.bytes"]
            self._rows = self._file.read_row_group(group, columns=names).column(column)
            self._group = (group, column)
        value = self._rows[row - self._starts[group]]
        return _bytes_of(value[int(place.removesuffix("]"))] if place else value)

    def close(self) -> None:
        self._file.close()


class _Arrow:
    """An IPC stream, as `datasets` caches it, or an IPC file; mapped, so only touched pages are in memory."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            is_file = file.read(6) == b"ARROW1"
        self._validated: set[str] = set()
        self._map = pa.memory_map(str(path))
        self._table = (pa.ipc.open_file if is_file else pa.ipc.open_stream)(self._map).read_all()

    def read(self, ref: ImageRef) -> bytes | None:
        row = _validated_row(ref, self._table.num_rows, self._table.schema)
        column = self._table.column(ref.column)
        if ref.column not in self._validated:
            for chunk in column.chunks:
                chunk.field("bytes").validate(full=True)  # Arrow ends the process on some offsets of damaged files
            self._validated.add(ref.column)
        return _bytes_of(column[row])

    def close(self) -> None:
        del self._table
        self._map.close()


def _validated_row(ref: ImageRef, rows: int, schema: pa.Schema) -> int:
    if ref.row is None or not 0 <= ref.row < rows or ref.column.partition("[")[0] not in schema.names:
        raise RowError("missing-image", str(ref))
    return ref.row


def _bytes_of(image: pa.StructScalar) -> bytes | None:
    return image["bytes"].as_py() if image.is_valid else None


def _check_regular_file(path: Path, ref: ImageRef) -> None:
    mode = path.stat().st_mode
    if not modes.S_ISREG(mode):  # opening a pipe would block
        kind = "a folder" if modes.S_ISDIR(mode) else "not a plain file"
        raise RowError("unreadable-image", f"{ref}: {kind}")


def _check_size(size: int, ref: ImageRef) -> None:
    if size > MAX_BYTES:
        raise RowError("unreadable-image", f"{ref}: {size} bytes")


@contextmanager
def _row_errors(ref: ImageRef) -> Iterator[None]:
    try:
        yield
    except RowError:
        raise
    except (FileNotFoundError, NotADirectoryError, UnicodeEncodeError):
        raise RowError("missing-image", str(ref)) from None
    except PermissionError:
        raise RowError("unreadable-image", f"{ref}: not permitted") from None
    except OSError as error:
        if error.errno not in _FILE_ERRORS:
            raise
        raise RowError("unreadable-image", f"{ref}: damaged") from error
    except Exception as error:  # untrusted archives make zipfile, its codecs and Arrow raise nearly anything
        raise RowError("unreadable-image", f"{ref}: damaged") from error
