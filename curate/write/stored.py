"""The bytes that a mix holds of an image: upstream's own, or a PNG of their pixels where nobody else reads them.

`datasets` and Pillow decode no DICOM. A mix holds such a film as a grey PNG without loss of its canonical form. The PNG
names the SHA-256 of the original in a text chunk, so that `image_sha256` stays that of upstream's file.
"""

import hashlib
from io import BytesIO

from PIL import Image, PngImagePlugin

from ..measure import images
from ..read import dicom

_KEY = "original-sha256"
_PNG = b"\x89PNG\r\n\x1a\n"
_LEVEL = 1
"""Of compression: a film of 8 megapixels takes an eighth of the time of Pillow's own level, and a sixth more room."""

_HEAD = 200
"""Bytes of a PNG within which Pillow writes the first text chunk."""


def stored(data: bytes, name: str, max_pixels: int) -> tuple[bytes, str]:
    """Give the bytes and the name under which a mix holds an image; the same for the same bytes.

    Raises:
        RowError: as `images.decode_rgb`, and only for DICOM files.
    """
    if not dicom.is_dicom(data):
        return data, name
    note = PngImagePlugin.PngInfo()
    note.add_text(_KEY, hashlib.sha256(data).hexdigest())
    out = BytesIO()
    images.decode_rgb(data, max_pixels).convert("L").save(out, "PNG", pnginfo=note, compress_level=_LEVEL)
    return out.getvalue(), f"{name}.png"


def original_sha256(data: bytes) -> str:
    """Give the SHA-256 of upstream's file from the bytes that a mix holds of it; "" for a damaged PNG of ours."""
    if not (data.startswith(_PNG) and _KEY.encode() in data[:_HEAD]):
        return hashlib.sha256(data).hexdigest()
    try:
        with Image.open(BytesIO(data), formats=["PNG"]) as image:
            digest = str(image.info.get(_KEY, ""))
            image.verify()
            return digest
    except Exception:  # Pillow raises nearly anything on broken chunks
        return ""
