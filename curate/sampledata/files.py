"""Bytes of the file formats that upstream ships, the same for the same content on every run."""

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from PIL import Image

from .pictures import Pixels

_ZIP_DATE = (2020, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Tree:
    """One source's folder: its number of upstream rows and its files by POSIX path."""

    rows: int
    files: dict[str, bytes]


def jpeg(pixels: Pixels, *, repacked: bool = False, mode: str = "", exif: Image.Exif | None = None) -> bytes:
    """Encode as JPEG, converted to `mode` where one is given.

    `repacked` codes the same coefficients anew, so the bytes change and the decoded pixels do not.
    """
    image = Image.fromarray(pixels)
    buffer = io.BytesIO()
    (image.convert(mode) if mode else image).save(
        buffer, "JPEG", quality=88, optimize=repacked, exif=exif or Image.Exif()
    )
    return buffer.getvalue()


def png(pixels: Pixels, *, level: int = 6, mode: str = "") -> bytes:
    """Encode as PNG at a compression level, converted to `mode` where one is given."""
    image = Image.fromarray(pixels)
    buffer = io.BytesIO()
    (image.convert(mode) if mode else image).save(buffer, "PNG", compress_level=level)
    return buffer.getvalue()


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Encode as UTF-8 CSV with a header and line feeds, quoted where needed; None is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()


def json_lines(rows: Iterable[Mapping[str, object]]) -> bytes:
    """Encode as one compact JSON object a line, characters unescaped."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def lines(rows: Iterable[str]) -> bytes:
    """Encode as UTF-8 text lines, each one ended."""
    return "".join(row + "\n" for row in rows).encode()


def gzipped(content: bytes) -> bytes:
    """Compress without a time stamp."""
    return gzip.compress(content, mtime=0)


def zipped(members: Mapping[str, bytes], *, compress: bool = False) -> bytes:
    """Pack members in the given order, all with one date, with entries for their folders as upstream has them."""
    buffer = io.BytesIO()
    folders: set[str] = set()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            for depth, character in enumerate(name):
                folder = name[: depth + 1]
                if character == "/" and folder not in folders:
                    folders.add(folder)
                    archive.writestr(_member(folder, 0o40755), b"")
            archive.writestr(_member(name, 0o100644), content, archive.compression)
    return buffer.getvalue()


def _member(name: str, unix_mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _ZIP_DATE)
    info.create_system = 3
    info.external_attr = unix_mode << 16
    return info
