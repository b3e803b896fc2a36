"""Image files as they go wrong in the wild, and sound ones in rare pixel formats."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

from .files import jpeg
from .pictures import Pixels

ERROR_PAGE = b"<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>\n"
"""What a failed download leaves under an image's name."""

CLIMBING_NAME = "../../etc/passwd"
"""An image name that leads out of its folder."""

_ORIENTATION, _ROTATED_270 = 0x0112, 6


def truncated_jpeg(pixels: Pixels) -> bytes:
    """Encode as JPEG and lose the second half."""
    whole = jpeg(pixels)
    return whole[: len(whole) // 2]


def bomb_png(side: int = 60_000) -> bytes:
    """Give a PNG of a few bytes whose header claims `side` x `side` pixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1 + 3 * 16))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def deep_png(pixels: Pixels) -> bytes:
    """Encode grey uint8 pixels as a 16-bit grey PNG that uses the whole range."""
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint16) * 257).save(buffer, "PNG")
    return buffer.getvalue()


def lookalike_jpeg(pixels: Pixels) -> bytes:
    """Encode as JPEG after scaling by 9/8, so that the picture is the same to the eye and no pixel is."""
    height, width = pixels.shape[:2]
    scaled = Image.fromarray(pixels).resize((width * 9 // 8, height * 9 // 8), Image.Resampling.BICUBIC)
    return jpeg(np.asarray(scaled))


def cut_jpeg(pixels: Pixels) -> bytes:
    """Encode as JPEG after cropping a sixteenth off each border and mirroring the rest."""
    height, width = pixels.shape[:2]
    inner = pixels[height // 16 : height - height // 16, width // 16 : width - width // 16]
    return jpeg(np.ascontiguousarray(inner[:, ::-1]))


def rotated_jpeg(pixels: Pixels) -> bytes:
    """Encode as a JPEG that is rotated by 90 degrees, with the matching EXIF tag."""
    exif = Image.Exif()
    exif[_ORIENTATION] = _ROTATED_270
    return jpeg(np.ascontiguousarray(np.rot90(pixels)), exif=exif)
