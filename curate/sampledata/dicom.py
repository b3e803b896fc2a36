"""A DICOM file of one grey image, written without pydicom, which the core install does not have.

Explicit VR little endian: file meta information as PS3.10 section 7.1, elements as PS3.5 section 7.1.2.
"""

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_SYNTAX = "1.2.840.10008.1.2.1"
_CLASS = "1.2.840.10008.5.1.4.1.1.1"
"""Explicit VR Little Endian, Computed Radiography Image Storage."""

_PREAMBLE = bytes(128) + b"DICM"
_LONG = ("OB", "OW")
"""Value representations whose length has four bytes, after two that are reserved."""


@dataclass(frozen=True, slots=True)
class Window:
    """The part of the grey values that a viewer is to show."""

    center: int
    width: int


Grey = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


def dicom(pixels: Grey, uid: str, *, bits: int, inverted: bool = False, window: Window | None = None) -> bytes:
    """Encode grey pixels `[rows, columns]` of at most `bits` bits: 8 in one byte, more in two.

    `inverted` makes low values bright (MONOCHROME1).
    """
    rows, columns = pixels.shape
    stored = 8 if bits == 8 else 16
    meta = _element(0x0002, 0x0002, "UI", _uid(_CLASS)) + _element(0x0002, 0x0003, "UI", _uid(uid))
    meta += _element(0x0002, 0x0010, "UI", _uid(_SYNTAX))
    version = _element(0x0002, 0x0001, "OB", b"\0\1")
    length = _element(0x0002, 0x0000, "UL", struct.pack("<L", len(version) + len(meta)))
    elements = [
        _element(0x0008, 0x0016, "UI", _uid(_CLASS)),
        _element(0x0008, 0x0018, "UI", _uid(uid)),
        _element(0x0008, 0x0060, "CS", b"CR"),
        _element(0x0028, 0x0002, "US", _short(1)),
        _element(0x0028, 0x0004, "CS", b"MONOCHROME1 " if inverted else b"MONOCHROME2 "),
        _element(0x0028, 0x0010, "US", _short(rows)),
        _element(0x0028, 0x0011, "US", _short(columns)),
        _element(0x0028, 0x0100, "US", _short(stored)),
        _element(0x0028, 0x0101, "US", _short(bits)),
        _element(0x0028, 0x0102, "US", _short(bits - 1)),
        _element(0x0028, 0x0103, "US", _short(0)),
    ]
    if window:
        elements.append(_element(0x0028, 0x1050, "DS", str(window.center).encode()))
        elements.append(_element(0x0028, 0x1051, "DS", str(window.width).encode()))
    samples = pixels.astype("<u1" if stored == 8 else "<u2").tobytes()
    elements.append(_element(0x7FE0, 0x0010, "OB" if stored == 8 else "OW", samples))
    return _PREAMBLE + length + version + meta + b"".join(elements)


def _element(group: int, number: int, kind: str, value: bytes) -> bytes:
    """Encode one element; values have an even length, texts filled up with a blank and the others with NUL."""
    value += (b" " if kind in ("CS", "DS") else b"\0") * (len(value) % 2)
    head = struct.pack("<HH2s", group, number, kind.encode())
    return head + struct.pack("<HL" if kind in _LONG else "<H", *((0,) if kind in _LONG else ()), len(value)) + value


def _uid(text: str) -> bytes:
    return text.encode()


def _short(value: int) -> bytes:
    return struct.pack("<H", value)
