"""Encode images for a mix: upstream's own bytes where they may be stored as they are, otherwise the same pixels.

`datasets` and Pillow do not decode DICOM, so such an image is stored as a grayscale PNG, lossless with respect to its
canonical pixels. Images that may be published hold a picture and nothing else (`bare_images`). A note in the file has
the SHA-256 of the original, so that `image_sha256` can be verified.
"""

import hashlib
from io import BytesIO

from PIL import Image, PngImagePlugin

from ..errors import RowError
from ..measure import images
from ..read import dicom
from . import bare_images

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
_LEVEL = 1
"""The compression level: for 8 megapixels, an eighth of the time of Pillow's default, at a sixth more space."""

_HEAD = 1024
"""Bytes of a file within which the note stands."""


def encode_image(data: bytes, name: str, max_pixels: int, is_public: bool) -> tuple[bytes, str]:
    """Return the bytes and the file name with which a mix stores an image; deterministic.

    Args:
        data: upstream's file.
        name: its name.
        max_pixels: as in `images.decode_rgb`.
        is_public: the image may be published; then nothing but its picture is stored, and a file that is neither JPEG
            nor PNG is stored as a PNG.

    Raises:
        RowError: as in `images.decode_rgb`; only for images that are encoded anew.
    """
    if dicom.is_dicom(data):
        return _as_png(data, max_pixels, "L"), f"{name}.png"
    if not is_public:
        return data, name
    bare = bare_images.bare(data)
    if bare == data:
        return data, name
    pixels = images.pixel_digest(data, max_pixels)
    if bare is not None:
        noted = bare_images.with_note(bare, data)
        if _has_pixels(noted, pixels, max_pixels):
            return noted, name
    return _as_png(data, max_pixels, "RGB"), f"{name}.png"


def _has_pixels(data: bytes, digest: str, max_pixels: int) -> bool:
    try:
        return images.pixel_digest(data, max_pixels) == digest
    except RowError:
        return False


def _as_png(data: bytes, max_pixels: int, mode: str) -> bytes:
    note = PngImagePlugin.PngInfo()
    note.add_text(bare_images.KEY, hashlib.sha256(data).hexdigest())
    out = BytesIO()
    images.decode_rgb(data, max_pixels).convert(mode).save(out, "PNG", pnginfo=note, compress_level=_LEVEL)
    return out.getvalue()


def original_sha256(data: bytes) -> str:
    """Return the SHA-256 of upstream's file from the encoded bytes; "" for a damaged PNG with a note."""
    if not (data.startswith((_PNG, _JPEG)) and bare_images.KEY.encode() in data[:_HEAD]):
        return hashlib.sha256(data).hexdigest()
    if data.startswith(_JPEG):
        return bare_images.noted_sha256(data) or hashlib.sha256(data).hexdigest()
    try:
        with Image.open(BytesIO(data), formats=["PNG"]) as image:
            digest = str(image.info.get(bare_images.KEY, ""))
            image.verify()
            return digest
    except Exception:  # Pillow raises many types of exceptions on broken chunks
        return ""
