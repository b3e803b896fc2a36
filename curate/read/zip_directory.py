"""Parts of the central directory of a zip archive, parsed by `zipfile` itself as if they were all of it.

`zipfile` reads a directory only as a whole. Here it is given the archive's bytes, followed by a small directory of the
wanted entries alone: so all decoding, decompression and checks are those of the running `zipfile`.
"""

import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import SEEK_END, SEEK_SET
from pathlib import Path
from typing import BinaryIO, Self

_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR64 = struct.Struct("<4sLQL")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LENGTHS = struct.Struct("<28x3H12x")
_ZIP64_OFFSET = struct.Struct("<2HQ")
"""Structures of APPNOTE.TXT 6.3, sections 4.3.12 to 4.3.16 and 4.5.3; `_LENGTHS` are those of an entry."""

_MAGIC_END, _MAGIC_END64, _MAGIC_LOCATOR64, _MAGIC_ENTRY = b"PK\5\6", b"PK\6\6", b"PK\6\7", b"PK\1\2"
_END64_BYTES = _END64.size + _LOCATOR64.size
_COMMENT_BYTES = 2**16
_IN_ZIP64 = 0xFFFFFFFF

TAIL_BYTES = _COMMENT_BYTES + _END.size + _END64_BYTES
"""The end of an archive in which the records that lead to its directory are looked for."""

BLOCK_BYTES = 2**20
"""So much of a directory is parsed at a time."""


@dataclass(frozen=True, slots=True)
class Directory:
    """Where the central directory lies.

    Attributes:
        start: its first byte.
        size: its bytes.
        offset: its first byte as the archive states it, other than `start` when something stands before the archive.
        entries: how many it is said to have.
    """

    start: int
    size: int
    offset: int
    entries: int


def find_directory(tail: bytes, size: int) -> Directory | None:
    """Find the central directory from the last bytes of an archive of `size` bytes, where it is found in one way only.

    None is for `zipfile` to judge: no archive, a damaged one, or one in which its versions find different directories.
    """
    place = len(tail) - _END.size
    if place < 0 or not (tail.startswith(_MAGIC_END, place) and tail.endswith(b"\0\0")):
        place = tail.rfind(_MAGIC_END, max(0, place - _COMMENT_BYTES))
    if place < 0 or place + _END.size > len(tail):
        return None
    _, _, _, _, entries, length, offset, _ = _END.unpack_from(tail, place)
    if place >= _LOCATOR64.size and tail.startswith(_MAGIC_LOCATOR64, place - _LOCATOR64.size):
        _, disk, stated, disks = _LOCATOR64.unpack_from(tail, place - _LOCATOR64.size)
        place -= _END64_BYTES
        if place < 0 or (disk, stated, disks) != (0, size - len(tail) + place, 1):
            return None
        magic, rest, _, _, _, _, _, entries, length, offset = _END64.unpack_from(tail, place)
        if (magic, rest) != (_MAGIC_END64, _END64.size - 12):
            return None
    start = size - len(tail) + place - length
    return Directory(start, length, offset, entries) if start >= 0 else None


class DirectoryReader:
    """Reads entries of the directory of an open archive, and by them the archive's members."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("rb")
        self.size = self.file.seek(0, SEEK_END)
        self.file.seek(max(0, self.size - TAIL_BYTES))
        self.tail = self.file.read()
        self.directory = find_directory(self.tail, self.size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def blocks(self, directory: Directory) -> Iterator[tuple[bytes, list[int]]]:
        """Give the whole directory as blocks of whole entries, with the lengths of the entries in each.

        An entry that is cut short by the directory's end is given as it is.
        """
        self.file.seek(directory.start)
        left, rest = directory.size, b""
        while left or rest:
            data = self.file.read(min(BLOCK_BYTES, left))
            if left and not data:
                raise zipfile.BadZipFile("the archive became shorter")
            left -= len(data)
            block = rest + data
            lengths, place = [], 0
            while place < len(block):
                length = _entry_length(block, place)
                if place + length > len(block):
                    if left:
                        break
                    length = len(block) - place
                lengths.append(length)
                place += length
            rest = block[place:]
            if lengths:
                yield block[:place], lengths

    def parse(self, directory: Directory, entries: bytes) -> zipfile.ZipFile:
        """Give the archive as if its directory had these entries only.

        Raises:
            zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError: as `zipfile` does for the whole archive.
        """
        return zipfile.ZipFile(_Spliced(self.file, self.size, _as_directory(entries, directory, self.size)))

    def member(self, directory: Directory, place: int, length: int, following: int) -> zipfile.ZipFile:
        """Give the archive with one entry, the last of its list.

        Args:
            directory: the whole directory.
            place: of the entry in the directory.
            length: of the entry.
            following: where the next member's data begin, as an entry states it; `zipfile` refuses members that
                overlap.
        """
        self.file.seek(directory.start + place)
        return self.parse(directory, _marker(following) + self.file.read(length))


def _entry_length(block: bytes, place: int) -> int:
    """Give the length of the entry; of a cut one more than there is."""
    if place + _ENTRY.size > len(block):
        return _ENTRY.size
    name, extra, comment = _LENGTHS.unpack_from(block, place)
    return int(_ENTRY.size + name + extra + comment)


def _marker(offset: int) -> bytes:
    """Give an entry without a name for a member whose data begin at a byte."""
    extra = _ZIP64_OFFSET.pack(1, 8, offset)
    return _ENTRY.pack(_MAGIC_ENTRY, 45, 45, 0, 0, 0, 0, 0, 0, 0, 0, len(extra), 0, 0, 0, 0, _IN_ZIP64) + extra


def _as_directory(entries: bytes, directory: Directory, size: int) -> bytes:
    """Give a directory to append to an archive of `size` bytes, with the records that end an archive.

    `zipfile` adds to each offset the difference of the directory's place and the stated one; it is kept.
    """
    stated = size - directory.start + directory.offset
    place = size + len(entries)
    end64 = _END64.pack(_MAGIC_END64, _END64.size - 12, 45, 45, 0, 0, 0, 0, len(entries), stated)
    locator64 = _LOCATOR64.pack(_MAGIC_LOCATOR64, 0, place, 1)
    end = _END.pack(_MAGIC_END, 0, 0, 0xFFFF, 0xFFFF, _IN_ZIP64, _IN_ZIP64, 0)
    return entries + end64 + locator64 + end


class _Spliced:
    """A file of `size` bytes followed by other bytes, for `zipfile` to read."""

    def __init__(self, file: BinaryIO, size: int, added: bytes) -> None:
        self._file, self._size, self._added = file, size, added
        self._place = 0

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        starts = {SEEK_SET: 0, SEEK_END: self._size + len(self._added)}
        self._place = starts.get(whence, self._place) + offset
        return self._place

    def read(self, count: int | None = -1) -> bytes:
        """Read at most so many bytes, of the file or of what follows, never of both."""
        end = self._size if self._place < self._size else self._size + len(self._added)
        count = max(0, end - self._place) if count is None or count < 0 else min(count, max(0, end - self._place))
        if self._place < self._size:
            self._file.seek(self._place)
            data = self._file.read(count)
        else:
            data = self._added[self._place - self._size :][:count]
        self._place += len(data)
        return data
