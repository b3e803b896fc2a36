"""An index of the members of a large zip archive, in a file: `zipfile` would read the whole directory at each opening.

The file has buckets of records, by the first bits of a hash of the member's name. A record says where in the archive's
directory the member's entry is; the entry itself, with its name, is read from the archive, so no collision of hashes
and no outdated record gives a wrong member. Each bucket has a checksum.
"""

import errno
import hashlib
import os
import struct
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from .. import locks
from ..shards import replacing
from ..tables import common_spelling
from .spelling import other_spellings
from .zip_directory import Directory, DirectoryReader

FOLDER = "archives"
"""The folder of a build's indexes, in its work folder."""

SMALL_MEMBERS = 20_000
"""Archives of so many members are read without an index: `zipfile` opens them in a few tenths of a second."""

_SUFFIX = ".zip-index"
_MAGIC = b"medmix zip index 1"
_HEADER = struct.Struct("<18sHQ")
_BUCKET = np.dtype([("start", "<u8"), ("stop", "<u8"), ("checksum", "<u4")])
_RECORD = np.dtype([("key", "<u8"), ("place", "<u8"), ("length", "<u4"), ("following", "<u8")])
_BUCKET_RECORDS = 32

Member = tuple[zipfile.ZipFile, zipfile.ZipInfo]
"""An archive from which the member can be read, and the member."""


class DamagedIndexError(OSError):
    """The file of an index is not what was written; it is no fault of the archive."""

    def __init__(self, path: Path) -> None:
        super().__init__(errno.EIO, "damaged index of an archive", str(path))


class IndexedZip:
    """A zip archive whose members are found by an index.

    Attributes:
        path: of the index.
    """

    def __init__(self, reader: DirectoryReader, directory: Directory, path: Path) -> None:
        self.path = path
        self._reader, self._directory = reader, directory
        self._index = path.open("rb")
        try:
            magic, self._bits, self._records = _HEADER.unpack(self._index.read(_HEADER.size))
            whole = self._start_of_records() + self._records * _RECORD.itemsize
        except (struct.error, OverflowError, MemoryError):
            magic, whole = b"", 0
        if magic != _MAGIC or whole != os.fstat(self._index.fileno()).st_size:
            self._index.close()
            raise DamagedIndexError(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def find(self, name: str) -> Member | None:
        """Give the member of this name, of several the last; else the first whose name differs in its spelling only.

        Raises:
            DamagedIndexError: the index cannot be used; build it again.
            zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError: the archive's directory is damaged.
        """
        found = self._named(name)
        if found is None:
            spelled = common_spelling(name)
            for record in self._lookup(_spelling_key(spelled)):
                _, info = self._member(record)
                if spelled in other_spellings(info):
                    return self._named(info.filename)
        return found

    def close(self) -> None:
        """Close the archive and the index."""
        self._index.close()
        self._reader.file.close()

    def _named(self, name: str) -> Member | None:
        for record in reversed(self._lookup(_name_key(name))):
            archive, info = self._member(record)
            if info.filename == name:
                return archive, info
        return None

    def _member(self, record: np.void) -> Member:
        place, length, following = (int(record[name]) for name in ("place", "length", "following"))
        archive = self._reader.member(self._directory, place, length, following)
        return archive, archive.infolist()[-1]

    def _lookup(self, key: int) -> npt.NDArray[np.void]:
        """Give the records of a key in the order of the directory."""
        bucket = key >> (64 - self._bits)
        (row,) = np.frombuffer(self._read(_HEADER.size + bucket * _BUCKET.itemsize, _BUCKET.itemsize), _BUCKET)
        start, stop = int(row["start"]), int(row["stop"])
        if not start <= stop <= self._records:
            raise DamagedIndexError(self.path)
        data = self._read(self._start_of_records() + start * _RECORD.itemsize, (stop - start) * _RECORD.itemsize)
        if _checksum(bucket, start, data) != row["checksum"]:
            raise DamagedIndexError(self.path)
        records = np.frombuffer(data, _RECORD)
        return records[records["key"] == np.uint64(key)]

    def _start_of_records(self) -> int:
        return int(_HEADER.size + (1 << self._bits) * _BUCKET.itemsize)

    def _read(self, place: int, count: int) -> bytes:
        self._index.seek(place)
        data = self._index.read(count)
        if len(data) != count:
            raise DamagedIndexError(self.path)
        return data


def open_indexed(path: Path, folder: Path, damaged: bool = False) -> IndexedZip | None:
    """Open an archive by its index in `folder`, which is made when it is not there, or is `damaged`.

    None means that `zipfile` has to open the archive as a whole: it is small or out of order, or `folder` cannot be
    written to.

    Raises:
        zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError: the archive's directory is damaged.
        OSError: the archive cannot be read.
    """
    reader, opened = DirectoryReader(path), None
    try:
        directory = reader.directory
        if directory is not None and directory.entries > SMALL_MEMBERS:
            opened = _open(reader, directory, folder / _name(path, reader), damaged)
        return opened
    finally:
        if opened is None:
            reader.file.close()


def _open(reader: DirectoryReader, directory: Directory, index: Path, damaged: bool) -> IndexedZip | None:
    if not damaged and (opened := _open_existing(reader, directory, index)):
        return opened
    try:
        lock = locks.acquire(index.parent / "lock")  # a build's processes need an index at the same time: one makes it
    except OSError:
        return None
    with lock:
        if not damaged and (opened := _open_existing(reader, directory, index)):
            return opened
        buckets, records = build(reader, directory)
        try:
            _write(index, buckets, records)
            return IndexedZip(reader, directory, index)
        except OSError:
            return None


def _open_existing(reader: DirectoryReader, directory: Directory, index: Path) -> IndexedZip | None:
    try:
        return IndexedZip(reader, directory, index)
    except OSError:
        return None


def _name(path: Path, reader: DirectoryReader) -> str:
    """Name the index by the archive's place and state, so that one of an earlier state is never used."""
    state = os.fstat(reader.file.fileno())
    digest = hashlib.sha256(f"{state.st_size} {state.st_mtime_ns}\n".encode() + reader.tail).hexdigest()
    return f"{_place_digest(path)}-{digest[:32]}{_SUFFIX}"


def _place_digest(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:16]


def build(reader: DirectoryReader, directory: Directory) -> tuple[npt.NDArray[np.void], npt.NDArray[np.void]]:
    """Read the whole directory and give the buckets and the records of an index.

    Memory holds about 100 bytes for each member.

    Raises:
        zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError: the directory is damaged.
    """
    keys, lengths, offsets, odd = [], [], [], []
    shift = directory.start - directory.offset
    count = 0
    for block, lengths_of_block in reader.blocks(directory):
        infos = reader.parse(directory, block).infolist()
        keys.append(_numbers(_name_key(info.filename) for info in infos))
        offsets.append(_numbers(info.header_offset - shift for info in infos))
        lengths.append(np.array(lengths_of_block, np.uint32))
        for place, info in enumerate(infos, count):
            odd += [(_spelling_key(spelled), place) for spelled in other_spellings(info)]
        count += len(infos)
    members = np.zeros(count, _RECORD)
    if count:
        members["key"], members["length"] = np.concatenate(keys), np.concatenate(lengths)
        members["place"] = np.cumsum(members["length"], dtype=np.uint64) - members["length"]
        members["following"] = _following(np.concatenate(offsets), directory.offset)
    others = members[np.array([place for _, place in odd], np.int64)]
    others["key"] = _numbers(key for key, _ in odd)
    return _in_buckets(np.concatenate([members, others]))


def _following(offsets: npt.NDArray[np.uint64], end: int) -> npt.NDArray[np.uint64]:
    """Give for each member where the next one begins, as `zipfile` does: of equal offsets the first has the next."""
    order = np.argsort(~offsets, kind="stable")
    following = np.empty_like(offsets)
    following[order] = np.concatenate([np.array([end], np.uint64), offsets[order][:-1]])
    return following


def _in_buckets(records: npt.NDArray[np.void]) -> tuple[npt.NDArray[np.void], npt.NDArray[np.void]]:
    records = records[np.argsort(records["key"], kind="stable")]
    bits = max(1, (len(records) // _BUCKET_RECORDS).bit_length())
    numbers = np.arange(1 << bits, dtype=np.uint64)
    starts = np.searchsorted(np.ascontiguousarray(records["key"]) >> np.uint64(64 - bits), numbers)
    buckets = np.zeros(1 << bits, _BUCKET)
    buckets["start"], buckets["stop"] = starts, np.append(starts[1:], len(records))
    buckets["checksum"] = [
        _checksum(bucket, start, records[start:stop].tobytes())
        for bucket, (start, stop) in enumerate(zip(starts.tolist(), buckets["stop"].tolist(), strict=True))
    ]
    return buckets, records


def _write(index: Path, buckets: npt.NDArray[np.void], records: npt.NDArray[np.void]) -> None:
    """Write an index; those of earlier states of the same archive are removed."""
    with replacing(index) as temporary, temporary.open("wb") as file:
        file.write(_HEADER.pack(_MAGIC, len(buckets).bit_length() - 1, len(records)))
        file.write(buckets.data)
        file.write(records.data)
    for other in index.parent.glob(f"{index.name.partition('-')[0]}-*{_SUFFIX}"):
        if other != index:
            other.unlink(missing_ok=True)


def _checksum(bucket: int, start: int, data: bytes) -> int:
    return zlib.crc32(data, zlib.crc32(struct.pack("<QQQ", bucket, start, len(data))))


def _name_key(name: str) -> int:
    return _hash(b"name", name)


def _spelling_key(spelled: str) -> int:
    return _hash(b"spelling", spelled)


def _hash(kind: bytes, text: str) -> int:
    digest = hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8, person=kind).digest()
    return int.from_bytes(digest, "little")


def _numbers(values: Iterable[int]) -> npt.NDArray[np.uint64]:
    return np.fromiter(values, np.uint64)
