"""One canonical pixel form for every image, and the digests taken from it."""

import hashlib
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Final

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from ..copies.colour_maps import brightness
from ..copies.fingerprints import Fingerprints, hash_to_hex, is_distinctive, view_fingerprints
from ..copies.grey import Pixels
from ..errors import RowError
from ..read import dicom
from .metadata import without_metadata

FORMATS = ("JPEG", "PNG", "TIFF", "GIF", "BMP", "WEBP", "PPM")
"""The formats of the sources; Pillow's other readers (some start Ghostscript) never get upstream bytes."""


REDUCED_SIDE: Final = 192
"""The least sides of a reduced image in pixels: more than the fingerprint of the whole uses."""

UNIFORM_LEVELS: Final = 3
"""Grey levels by which pixels of one brightness may differ after a lossy encoding."""

_ORIENTATION: Final = 0x0112
_PHOTOMETRIC: Final = 262
_SIDEWAYS: Final = (5, 6, 7, 8)
"""EXIF 2.32, 4.6.4: orientations that swap width and height."""


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """The measurements of an image that a scan stores.

    Attributes:
        sha256: of the original bytes, 64 hex digits.
        pixel_sha256: `pixel_digest` of an image whose fingerprint is not distinctive enough to find a lossless copy;
            "" for all others, which need not be decoded at full size.
        phash: 256-bit DCT perceptual hash, 64 hex digits; all 0 where the fingerprint is empty.
        width, height: of the canonical form, in pixels, both at least 1.
        bytes: length of the original.
        fingerprints: of the views of the canonical form, `copies.fingerprints.FINGERPRINT` [V].
        uniform: `black`, `white` or `grey` where all pixels have one brightness, else "".
    """

    sha256: str
    pixel_sha256: str
    phash: str
    width: int
    height: int
    bytes: int
    fingerprints: Fingerprints
    uniform: str = ""


def measure(data: bytes, max_pixels: int) -> ImageFacts:
    """Measure an image from its original bytes.

    The whole stream is read, a JPEG at reduced scale (`decode_reduced`).

    Raises:
        RowError: as `decode_rgb`.
    """
    image, (width, height) = _decode(data, max_pixels, REDUCED_SIDE)
    grey = brightness(image)
    prints = view_fingerprints(grey)
    return ImageFacts(
        sha256=hashlib.sha256(data).hexdigest(),
        pixel_sha256="" if is_distinctive(prints[0]) else pixel_digest(data, max_pixels),
        phash=hash_to_hex(prints[0]),
        width=width,
        height=height,
        bytes=len(data),
        fingerprints=prints,
        uniform=_uniform(grey),
    )


def _uniform(grey: Pixels) -> str:
    """Name the brightness of an image that has only one, but for the noise of its encoding; "" for others."""
    low, high = int(grey.min()), int(grey.max())
    if high - low > UNIFORM_LEVELS:
        return ""
    return "black" if high <= UNIFORM_LEVELS else "white" if low >= 255 - UNIFORM_LEVELS else "grey"


def pixel_digest(data: bytes, max_pixels: int) -> str:
    """Give the SHA-256 of width, height and RGB pixels of the canonical form: equal for lossless copies.

    Raises:
        RowError: as `decode_rgb`.
    """
    image = decode_rgb(data, max_pixels)
    digest = hashlib.sha256(f"{image.width}x{image.height}\n".encode())
    digest.update(image.tobytes())
    return digest.hexdigest()


def decode_rgb(data: bytes, max_pixels: int) -> Image.Image:
    """Decode to 8-bit RGB: first frame, EXIF orientation applied, transparency on white.

    Where transparency hides the whole image, it is ignored and the colours below are shown.

    Grey images deeper than 8 bits are stretched from their minimum to their maximum, because clipping
    (Pillow's own conversion) would leave most radiographs white. DICOM files are decoded by `dicom.decode`, and
    stretched where they have no display range of their own.

    Raises:
        RowError: `too-many-pixels` when the header claims more than `max_pixels`, before anything of
            that size is allocated; `broken-metadata` when the pixels are whole but what surrounds them is not;
            `unreadable-image` when the bytes are cut short, broken or of a format not in `FORMATS`. The
            evidence is the same on each run.
        UsageError: the bytes are a DICOM file and pydicom is not installed.
    """
    return _decode(data, max_pixels, None)[0].convert("RGB")


def decode_reduced(data: bytes, max_pixels: int, side: int = REDUCED_SIDE) -> Pixels:
    """Decode to 8-bit grey [H, W] for fingerprints and comparison (`brightness`), as `decode_rgb` but faster.

    A JPEG is decoded at the smallest scale (1, 1/2, 1/4, 1/8) that leaves both sides at least `side` pixels;
    its whole stream is still read. Other formats are decoded at full size.

    Raises:
        RowError: as `decode_rgb`.
    """
    return brightness(_decode(data, max_pixels, side)[0])


def _decode(data: bytes, max_pixels: int, side: int | None) -> tuple[Image.Image, tuple[int, int]]:
    """Give an image, grey or RGB, (or YCbCr, at reduced size), and its full width and height."""
    if dicom.is_dicom(data):
        film = _film_image(dicom.decode(data, max_pixels))
        return film, film.size
    with _pillow_settings(max_pixels):
        try:
            return _decode_file(data, side)
        except RowError:
            raise
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            claimed = re.search(r"\d+ pixels", str(error))
            raise RowError("too-many-pixels", claimed[0] if claimed else _reason(error)) from None
        except Exception as error:  # decoders fed broken bytes raise nearly anything, MemoryError included
            _raise_if_pixels_are_whole(data, side, error)
            if isinstance(error, UnidentifiedImageError):
                raise RowError("unreadable-image", "unknown format or broken header") from None
            raise RowError("unreadable-image", _reason(error)) from error


def _decode_file(data: bytes, side: int | None) -> tuple[Image.Image, tuple[int, int]]:
    with Image.open(BytesIO(data), formats=FORMATS) as image:
        whole = image.size
        if side is not None:
            image.draft("YCbCr", (side, side))
        image.load()
        # as `datasets` does: it transposes only where there is an orientation, and raises where EXIF cannot be read
        orientation = image.getexif().get(_ORIENTATION)
        upright = image if orientation is None else ImageOps.exif_transpose(image)
        if image.size == whole:  # not reduced; some readers turn the image themselves
            return _to_grey_or_rgb(upright, _is_white_zero(image)), upright.size
        return _to_grey_or_rgb(upright), whole[::-1] if orientation in _SIDEWAYS else whole


def _raise_if_pixels_are_whole(data: bytes, side: int | None, error: Exception) -> None:
    """Raise `broken-metadata` for a file that can be decoded without its metadata."""
    stripped = without_metadata(data)
    if stripped is None:
        return
    try:
        _decode_file(stripped, side)
    except Exception:  # the pixels are broken as well, in nearly any way
        return
    evidence = f"its metadata cannot be read, its pixels are whole ({_reason(error)})"
    raise RowError("broken-metadata", evidence) from error


def _film_image(values: np.ndarray) -> Image.Image:
    return Image.fromarray(values) if values.dtype == np.uint8 else _stretch(values)


def _is_white_zero(image: Image.Image) -> bool:
    """Tell whether 0 is white in a deep grey TIFF; Pillow turns only shallow ones (TIFF 6.0, section 4)."""
    is_deep = image.mode == "F" or image.mode.startswith("I")
    return is_deep and image.format == "TIFF" and image.tag_v2.get(_PHOTOMETRIC) == 0  # type: ignore[attr-defined]


def _to_grey_or_rgb(image: Image.Image, is_white_zero: bool = False) -> Image.Image:
    """Give 8-bit grey or RGB without transparency; YCbCr, which only JPEG decoders give, stays."""
    if image.mode == "F" or image.mode.startswith("I"):
        values = np.asarray(image)
        return _stretch(-values.astype(np.float64) if is_white_zero else values)
    if image.mode == "La":  # premultiplied; Pillow converts it to nothing else
        image = image.convert("LA")
    if image.has_transparency_data:
        straight = image.convert("RGBA")
        if straight.getchannel("A").getextrema() == (0, 0):
            return straight.convert("RGB")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), straight).convert("RGB")
    return image if image.mode in ("L", "YCbCr") else image.convert("RGB")


def _stretch(grey: np.ndarray) -> Image.Image:
    """Scale deep grey linearly to 0..255; a constant image becomes black, and so do NaN and -inf."""
    values = grey.astype(np.float64)
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    values = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
    # halved first: the range of a float image can be larger than the largest float
    scaled = (values / 2 - low / 2) / (high / 2 - low / 2) * 255 if high > low else np.zeros_like(values)
    return Image.fromarray(np.rint(scaled).astype(np.uint8))


@contextmanager
def _pillow_settings(max_pixels: int) -> Iterator[None]:
    """Decode with fixed settings, independent of Pillow's globals in this process.

    The budget is given to Pillow itself, since some of its readers (WebP, GIF) allocate while they open
    and check just before; cut files raise instead of turning half grey.
    """
    before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
    Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = max_pixels, False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    finally:
        Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = before


def _reason(error: Exception) -> str:
    """Give the first line of a decoder's message without memory addresses, which change from run to run."""
    text = re.sub(r"<[^<>]* at 0x[0-9a-fA-F]+>", "", str(error)).strip()
    return text.splitlines()[0].strip()[:200] if text else type(error).__name__
