"""Image files without their metadata: whether broken bytes are in the pixels or in what surrounds them."""

import struct

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_METADATA = frozenset((b"iCCP", b"eXIf", b"tEXt", b"zTXt", b"iTXt", b"tIME", b"sRGB", b"gAMA", b"cHRM", b"pHYs"))
"""Chunks that change neither size nor pixels: PNG 3rd edition, 11.3."""

_JPEG_METADATA = (*range(0xE1, 0xEE), 0xEF, 0xFE)
"""Segments of applications and comments (ITU-T T.81, B.2.4.6) but for APP0, of JFIF, and Adobe's APP14, which tell the
colour space."""


def without_metadata(data: bytes) -> bytes | None:
    """Give a PNG or JPEG file without its metadata; None for other files, for broken ones, and where there is none."""
    try:
        stripped = _png(data) if data.startswith(_PNG) else _jpeg(data) if data.startswith(b"\xff\xd8") else data
    except struct.error:
        return None
    return stripped if len(stripped) < len(data) else None


def _png(data: bytes) -> bytes:
    kept, place = [_PNG], len(_PNG)
    while place < len(data):
        (length,) = struct.unpack_from(">I", data, place)
        chunk = data[place : place + length + 12]
        if chunk[4:8] not in _PNG_METADATA:
            kept.append(chunk)
        place += length + 12
    return b"".join(kept)


def _jpeg(data: bytes) -> bytes:
    kept, place = [data[:2]], 2
    while data[place : place + 1] == b"\xff" and data[place + 1 : place + 2] not in (b"\xda", b""):
        marker = data[place + 1]
        if marker == 0xFF:  # a fill byte
            place += 1
            continue
        (length,) = struct.unpack_from(">H", data, place + 2)
        if marker not in _JPEG_METADATA:
            kept.append(data[place : place + 2 + length])
        place += 2 + length
    return b"".join([*kept, data[place:]])
