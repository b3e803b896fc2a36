"""Encode images for a mix: upstream's own bytes, or a PNG of the pixels of DICOM files.

`datasets` and Pillow do not decode DICOM. A mix stores such an image as a grayscale PNG, lossless with respect to its
canonical pixels. A text chunk of the PNG has the SHA-256 of the original, so that `image_sha256` can be verified.
"""

import hashlib
from io import BytesIO

from PIL import Image, PngImagePlugin

from ..measure import images
from ..read import dicom

_KEY = "original-sha256"
_PNG = b"\x89PNG\r\n\x1a\n"
_LEVEL = 1
"""The compression level: for 8 megapixels, an eighth of the time of Pillow's default, at a sixth more space."""

_HEAD = 200
"""Bytes of a PNG within which Pillow writes the first text chunk."""


def encode_image(data: bytes, name: str, max_pixels: int) -> tuple[bytes, str]:
    """Return the bytes and the file name with which a mix stores an image; deterministic.

    Raises:
        RowError: as in `images.decode_rgb`; only for DICOM files.
    """
    if not dicom.is_dicom(data):
        return data, name
    note = PngImagePlugin.PngInfo()
    note.add_text(_KEY, hashlib.sha256(data).hexdigest())
    out = BytesIO()
    images.decode_rgb(data, max_pixels).convert("L").save(out, "PNG", pnginfo=note, compress_level=_LEVEL)
    return out.getvalue(), f"{name}.png"


def original_sha256(data: bytes) -> str:
    """Return the SHA-256 of upstream's file from the encoded bytes; "" for a damaged PNG of a DICOM file."""
    if not (data.startswith(_PNG) and _KEY.encode() in data[:_HEAD]):
        return hashlib.sha256(data).hexdigest()
    try:
        with Image.open(BytesIO(data), formats=["PNG"]) as image:
            digest = str(image.info.get(_KEY, ""))
            image.verify()
            return digest
    except Exception:  # Pillow raises many types of exceptions on broken chunks
        return ""
