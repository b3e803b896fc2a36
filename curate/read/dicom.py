"""Decode DICOM images to the grey values that a viewer shows. Needs pydicom, the extra `medmix[dicom]`.

Follows PS3.3 C.11 of the DICOM standard: modality look-up table or rescale, then VOI look-up table or window
(`dicom_grey`), then MONOCHROME1 turned so that bright is bright.
"""

import gzip
import warnings
import zlib
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import RowError, UsageError
from . import dicom_grey

if TYPE_CHECKING:
    from pydicom import Dataset

MAX_BYTES = 512 * 2**20
"""An image of ten megapixels has twenty megabytes; a gzip file that grows beyond this is a bomb."""

DECODERS = (
    "pydicom",
    "pylibjpeg",
    "pylibjpeg-libjpeg",
    "pylibjpeg-openjpeg",
    "pylibjpeg-rle",
    "pyjpegls",
    "python-gdcm",
)
"""The packages that the decoded values depend on."""

_PREAMBLE = 128
_MAGIC = b"DICM"
_GZIP = b"\x1f\x8b"
_DEFLATED = "1.2.840.10008.1.2.1.99"


def is_dicom(data: bytes) -> bool:
    """Tell whether bytes are a DICOM file (PS3.10), or one packed by gzip."""
    if data.startswith(_GZIP):
        return _has_dicom_magic(_decompress(data, _PREAMBLE + len(_MAGIC)))
    return _has_dicom_magic(data)


def _has_dicom_magic(data: bytes) -> bool:
    return data[_PREAMBLE : _PREAMBLE + len(_MAGIC)] == _MAGIC


def _decompress(data: bytes, size: int) -> bytes:
    """Give at most `size` decompressed bytes; none where the data is not gzip."""
    try:
        with gzip.open(BytesIO(data)) as handle:
            return handle.read(size)
    except (OSError, EOFError, zlib.error):
        return b""


def require_pydicom() -> None:
    """Check that DICOM files can be read.

    Raises:
        UsageError: pydicom is not installed.
    """
    if find_spec("pydicom") is None:
        raise UsageError("DICOM files need pydicom, which is not installed: pip install 'medmix[dicom]'")


def decoder_versions() -> dict[str, str]:
    """Give the versions of those of `DECODERS` that are installed."""
    found = {}
    for name in DECODERS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def decode(data: bytes, max_pixels: int) -> np.ndarray:
    """Decode the first frame: `[rows, columns]`, brighter is larger.

    uint8 from black to white where the file has a look-up table or window, or has 8 bits that are shown as they are;
    else any number type, in a range that is the file's own.

    Raises:
        RowError: `too-many-pixels` when the header claims more than `max_pixels`, before anything is decoded;
            `unreadable-image` when the file is broken, is no grey image, or is compressed in a way for which no
            decoder is installed.
        UsageError: pydicom is not installed.
    """
    require_pydicom()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # values that break the standard but can be used
        try:
            return _displayed(_validated(_read(data), max_pixels))
        except RowError:
            raise
        except Exception as error:  # broken elements make pydicom and its decoders raise nearly anything
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise RowError("unreadable-image", f"DICOM: {lines[0][:200]}") from error


def _read(data: bytes) -> "Dataset":
    """Parse a file, its pixels left encoded."""
    from pydicom import dcmread
    from pydicom.filereader import read_dataset

    if data.startswith(_GZIP):
        data = _decompress(data, MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise RowError("unreadable-image", f"gzip: grows beyond {MAX_BYTES} bytes")
    meta = BytesIO(data)
    meta.seek(_PREAMBLE + len(_MAGIC))
    head = read_dataset(meta, False, True, stop_when=lambda tag, vr, length: tag >= 0x00030000)
    syntax = head.get("TransferSyntaxUID", "")
    if syntax == _DEFLATED:  # pydicom would inflate all of it at once, however much that is
        raise RowError("unreadable-image", f"DICOM: transfer syntax {syntax.name} is not read")
    return dcmread(BytesIO(data))


def _validated(dataset: "Dataset", max_pixels: int) -> "Dataset":
    pixels = int(dataset.Rows) * int(dataset.Columns)
    if pixels > max_pixels:
        raise RowError("too-many-pixels", f"{pixels} pixels")
    shown = dataset.PhotometricInterpretation
    if shown not in ("MONOCHROME1", "MONOCHROME2"):
        raise RowError("unreadable-image", f"DICOM: photometric interpretation {shown!s:.40} is no grey image")
    syntax = dataset.file_meta.TransferSyntaxUID
    missing = _missing_decoder(syntax)
    if missing:
        raise RowError("unreadable-image", f"DICOM: transfer syntax {syntax.name} {missing}")
    return dataset


def _missing_decoder(syntax: Any) -> str:
    """Name the missing decoder of a transfer syntax; "" where none is missing."""
    from pydicom.pixels import get_decoder

    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        return "has no decoder"
    return "" if decoder.is_available else f"has no decoder here; {' or '.join(decoder.missing_dependencies)}"


def _displayed(dataset: "Dataset") -> np.ndarray:
    from pydicom.pixels import pixel_array

    values, limits = dicom_grey.apply_modality(pixel_array(dataset, index=0), dataset)
    shown = dicom_grey.apply_voi(values, dataset)
    if shown is None and limits is not None:
        shown = (values - limits.low) / (limits.high - limits.low)
    if shown is not None:
        values = np.rint(shown * 255).astype(np.uint8)
    if dataset.PhotometricInterpretation == "MONOCHROME2":
        return values
    return 255 - values if values.dtype == np.uint8 else -values.astype(np.float64)
