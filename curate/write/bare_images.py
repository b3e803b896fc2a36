"""JPEG and PNG files that hold a picture and nothing else: no metadata, no thumbnail, no bytes after the end.

Metadata of published images would be read by nobody before they are out: names of patients stand in comments, in
compressed text chunks and in UTF-16. So only parts of fixed form pass: those that decoding needs, density, the EXIF
orientation, and the digest of the file as it was. Colour profiles do not pass: they contain free text, and neither
`datasets` nor medmix applies them.
"""

import hashlib
import re
import struct
import zlib
from collections.abc import Iterator

KEY = "original-sha256"
"""Key of the note that has the SHA-256 of the file as upstream had it."""

_SOI, _EOI, _SOS = b"\xff\xd8", b"\xff\xd9", 0xDA
_APP0, _EXIF, _APP14, _COMMENT = 0xE0, 0xE1, 0xEE, 0xFE
_NEEDED = frozenset(({*range(0xC0, 0xDC)} - {0xC8, *range(0xD0, 0xDA)}) | {_SOS, 0xDD})
"""Markers of segments that decoding needs: frames, tables, scans, restart interval (ITU-T T.81, table B.1)."""

_ONCE = frozenset({_APP0, _EXIF, _APP14, _COMMENT})
"""Markers of segments of which only the first can be of use."""

_END_OF_SCAN = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")
_JPEG_NOTE = re.compile(rf"{KEY}:([0-9a-f]{{64}})".encode())
_JFIF_BYTES = 14
_ADOBE_BYTES = 12
_ORIENTATION = 0x0112
_EXIF_HEADER = b"Exif\0\0"
_EXIF_SHORTS = {_ORIENTATION: range(1, 9), 0x0128: range(1, 4), 0x0213: range(1, 3)}
"""EXIF 2.32, 4.6.4: orientation, unit of resolution, position of chroma; tag -> its values."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHUNKS = {
    **{b"IHDR": {13}, b"IEND": {0}, b"gAMA": {4}, b"cHRM": {32}, b"sRGB": {1}, b"pHYs": {9}},
    **{b"sBIT": range(1, 5), b"bKGD": range(1, 7)},
}
"""Chunks beside pixels and palette that pass -> their lengths in bytes (PNG 3rd edition, 11)."""

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Colour type of a PNG -> values of a pixel."""

_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""First column and row, and the steps, of each pass of an interlaced PNG."""


def bare(data: bytes, keep_note: bool = False) -> bytes | None:
    """Give a JPEG or PNG file without all that is not the picture; the same bytes if there is nothing else in it.

    The coded pixels stay to the byte. None for other formats and for files whose structure is broken. `keep_note` is
    for files of a mix: upstream's own files have no digest that could be believed.
    """
    try:
        if data.startswith(_SIGNATURE):
            return _bare_png(data, keep_note)
        return _bare_jpeg(data, keep_note) if data.startswith(_SOI) else None
    except (struct.error, IndexError, zlib.error):
        return None


def with_note(bare_data: bytes, original: bytes) -> bytes:
    """Add the SHA-256 of the original file to a bare one."""
    digest = hashlib.sha256(original).hexdigest()
    if bare_data.startswith(_SIGNATURE):
        at = len(_SIGNATURE) + 25  # behind IHDR
        note = _chunk(b"tEXt", f"{KEY}\0{digest}".encode("latin-1"))
        return bare_data[:at] + note + bare_data[at:]
    first = 2 + _segment_bytes(bare_data, 2) if bare_data[2:4] == bytes((0xFF, _APP0)) else 2  # JFIF comes first
    return bare_data[:first] + _segment(_COMMENT, f"{KEY}:{digest}".encode()) + bare_data[first:]


def noted_sha256(data: bytes) -> str:
    """Give the digest in the note of a file, or "" if it has none."""
    if data.startswith(_SIGNATURE):
        for kind, body in _png_chunks(data):
            if kind == b"tEXt" and body.startswith(f"{KEY}\0".encode()):
                return body.partition(b"\0")[2].decode("latin-1")
        return ""
    notes = (_JPEG_NOTE.fullmatch(body) for marker, body in _jpeg_head(data) if marker == _COMMENT)
    return next((note[1].decode() for note in notes if note), "")


def _bare_jpeg(data: bytes, keep_note: bool) -> bytes | None:
    kept, place = [_SOI], 2
    while data[place : place + 2] != _EOI:
        while data[place : place + 2] == b"\xff\xff":  # fill bytes
            place += 1
        if data[place] != 0xFF:
            return None
        marker, size = data[place + 1], _segment_bytes(data, place)
        body = data[place + 4 : place + size]
        if len(body) != size - 4:
            return None
        place += size
        segment = _kept_segment(marker, body, keep_note)
        if marker not in _ONCE or not any(one.startswith(segment[:2]) for one in kept):
            kept.append(segment)
        if marker == _SOS:
            end = _END_OF_SCAN.search(data, place)
            if end is None:
                return None
            kept.append(data[place : end.start()])
            place = end.start()
    return b"".join([*kept, _EOI])


def _kept_segment(marker: int, body: bytes, keep_note: bool) -> bytes:
    """Give what is kept of a segment, with its marker; nothing of those that hold no picture."""
    if marker in _NEEDED or (keep_note and marker == _COMMENT and _JPEG_NOTE.fullmatch(body)):
        return _segment(marker, body)
    if marker == _APP0 and body.startswith(b"JFIF\0") and len(body) >= _JFIF_BYTES:
        return _segment(marker, body[: _JFIF_BYTES - 2] + b"\0\0")  # without thumbnail
    if marker == _APP14 and body.startswith(b"Adobe") and len(body) >= _ADOBE_BYTES:
        return _segment(marker, body[:_ADOBE_BYTES])
    if marker == _EXIF and body.startswith(_EXIF_HEADER):
        exif = body[len(_EXIF_HEADER) :]
        kept = exif if _is_bare_exif(exif) else _exif(_orientation(exif))
        return _segment(marker, _EXIF_HEADER + kept) if kept else b""
    return b""


def _segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def _segment_bytes(data: bytes, place: int) -> int:
    return int(struct.unpack_from(">H", data, place + 2)[0]) + 2


def _jpeg_head(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Give marker and content of the segments before the first scan of a JPEG file; of others nothing."""
    place = 2 if data.startswith(_SOI) else len(data)
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] not in (_SOS, 0xFF):
        size = _segment_bytes(data, place)
        yield data[place + 1], data[place + 4 : place + size]
        place += size


def _is_bare_exif(exif: bytes) -> bool:
    """Whether EXIF data is a single list of numbers of `_EXIF_SHORTS`."""
    order = {b"MM\0*": ">", b"II*\0": "<"}.get(exif[:4])
    if order is None:
        return False
    start, count = struct.unpack_from(f"{order}IH", exif, 4)
    if start != 8 or len(exif) != 14 + 12 * count or any(exif[-4:]):
        return False
    for number in range(count):
        tag, kind, values, value, rest = struct.unpack_from(f"{order}HHIHH", exif, 10 + 12 * number)
        if (kind, values, rest) != (3, 1, 0) or value not in _EXIF_SHORTS.get(tag, ()):
            return False
    return True


def _orientation(exif: bytes) -> int:
    """Read the orientation of an image from the first list of its EXIF data; 1 where there is none."""
    order = {b"MM\0*": ">", b"II*\0": "<"}.get(exif[:4])
    if order is None:
        return 1
    (start,) = struct.unpack_from(f"{order}I", exif, 4)
    (count,) = struct.unpack_from(f"{order}H", exif, start)
    for number in range(count):
        tag, kind, _, value = struct.unpack_from(f"{order}HHIH", exif, start + 2 + 12 * number)
        if tag == _ORIENTATION and kind == 3:
            return int(value) if value in _EXIF_SHORTS[tag] else 1
    return 1


def _exif(orientation: int) -> bytes:
    """Give EXIF data with an orientation alone; nothing for that of an upright image."""
    if orientation == 1:
        return b""
    return b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, _ORIENTATION, 3, 1, orientation, 0, 0)


def _bare_png(data: bytes, keep_note: bool) -> bytes | None:
    chunks = list(_png_chunks(data))
    if not chunks or chunks[0][0] != b"IHDR" or chunks[-1][0] != b"IEND" or len(chunks[0][1]) != 13:
        return None
    pixels = zlib.decompressobj()
    expected = _unpacked_bytes(chunks[0][1])
    size = 0
    for kind, body in chunks:
        if kind == b"IDAT":
            size += len(pixels.decompress(body, max(expected + 1 - size, 1)))
    if size != expected or not pixels.eof or pixels.unused_data or pixels.unconsumed_tail:
        return None
    kept: list[tuple[bytes, bytes]] = []
    for kind, body in chunks:
        is_first = kind not in {one for one, _ in kept}
        if kind == b"IDAT" or (is_first and _passes(kind, body, chunks[0][1], keep_note)):
            kept.append((kind, body))
    return b"".join([_SIGNATURE, *(_chunk(kind, body) for kind, body in kept)])


def _passes(kind: bytes, body: bytes, header: bytes, keep_note: bool) -> bool:
    """Whether a chunk is kept: its length is one that the header allows (11.2.2, 11.3.1.1)."""
    depth, colour = header[8:10]
    if kind == b"tEXt":
        return keep_note and re.fullmatch(rf"{KEY}\0[0-9a-f]{{64}}".encode(), body) is not None
    if kind == b"PLTE":
        return colour == 3 and len(body) in range(3, 3 * 2**depth + 1, 3)
    if kind == b"tRNS":
        return len(body) in {0: (2,), 2: (6,), 3: range(1, 2**depth + 1)}.get(colour, ())
    return len(body) in _CHUNKS.get(kind, ())


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Give kind and content of each chunk to the end of the image."""
    place = len(_SIGNATURE)
    while place < len(data):
        (length,) = struct.unpack_from(">I", data, place)
        kind = data[place + 4 : place + 8]
        yield kind, data[place + 8 : place + 8 + length]
        place += length + 12
        if kind == b"IEND":
            return


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _unpacked_bytes(header: bytes) -> int:
    """Give the length of the pixels of a PNG when unpacked: of each row one byte for its filter, then its pixels."""
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    bits = depth * _CHANNELS.get(colour, 0)
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    total = 0
    for left, top, across, down in passes:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 + -(-columns * bits // 8))
    return total
