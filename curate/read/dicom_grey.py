"""Grey values of a DICOM image: modality table or rescale, then VOI table or window (PS3.3 C.11.1 and C.11.2).

pydicom's own functions follow the standard's letter: they fail on modality tables of 10 to 15 bits and on empty rescale
values, compute places in a table in the type of the pixels, where they wrap round, and take a table's range from its
descriptor, which is often wrong.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from pydicom import Dataset

Values: TypeAlias = npt.NDArray[Any]


class Range(NamedTuple):
    """The values that are shown as black and white."""

    low: float
    high: float


def apply_modality(values: Values, dataset: "Dataset") -> tuple[Values, Range | None]:
    """Apply the modality table, else slope and intercept, to stored values; give also the range of the table, if any.

    An empty slope is 1, an empty intercept 0.
    """
    table = _table(dataset, "ModalityLUTSequence", values)
    if table is not None:
        return table(values), table.range
    slope, intercept = (_number(dataset.get(name)) for name in ("RescaleSlope", "RescaleIntercept"))
    slope, intercept = slope or 1.0, intercept or 0.0
    return (values if (slope, intercept) == (1.0, 0.0) else values * slope + intercept), None


def apply_voi(values: Values, dataset: "Dataset") -> Values | None:
    """Apply the VOI table, else the first window with a width, and give values from 0 to 1; None without either."""
    table = _table(dataset, "VOILUTSequence", values)
    if table is not None and table.range is not None:
        low, high = table.range
        return (table(values) - low) / (high - low)
    windows = zip(_numbers(dataset.get("WindowCenter")), _numbers(dataset.get("WindowWidth")), strict=False)
    window = next(((centre, width) for centre, width in windows if centre is not None and width and width > 0), None)
    return None if window is None else _windowed(values.astype(np.float64), *window, str(dataset.get("VOILUTFunction")))


def _windowed(values: Values, centre: float, width: float, function: str) -> Values:
    """Apply a window (C.11.2.1.2 and C.11.2.1.3)."""
    if function.upper() == "SIGMOID":
        return 1 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -500, 500)))
    if function.upper() == "LINEAR_EXACT":
        return np.clip((values - centre) / width + 0.5, 0, 1)
    if width <= 1:
        return (values > centre - 0.5).astype(np.float64)
    return np.clip((values - (centre - 0.5)) / (width - 1) + 0.5, 0, 1)


class _Table(NamedTuple):
    """A look-up table: `data[0]` is for the value `first` and all below, the last for all above."""

    first: int
    data: npt.NDArray[np.int64]

    def __call__(self, values: Values) -> npt.NDArray[np.int64]:
        places = np.rint(values).astype(np.int64) - self.first
        return self.data[np.clip(places, 0, len(self.data) - 1)]

    @property
    def range(self) -> Range | None:
        """The range of the data; None where it has only one value."""
        low, high = float(self.data.min()), float(self.data.max())
        return Range(low, high) if low < high else None


def _table(dataset: "Dataset", name: str, values: Values) -> _Table | None:
    """Read the first table of a sequence; None where there is none or it is empty."""
    items = dataset.get(name)
    if not items or items[0].get("LUTDescriptor") is None or not _length(items[0].get("LUTData")):
        return None
    entries, first, _ = (int(number) for number in items[0].LUTDescriptor)
    if first > 32_767 and values.min() < 0:  # a signed number that was written as an unsigned one
        first -= 65_536
    data = _table_data(items[0].LUTData, entries or 65_536, _is_big_endian(dataset))
    return _Table(first, data)


def _table_data(data: Any, entries: int, is_big_endian: bool) -> npt.NDArray[np.int64]:
    """Give the entries of a table, from words or from bytes, whichever their number says."""
    words = np.asarray(data, np.int64) & 0xFFFF if not isinstance(data, bytes) else None
    if words is not None and len(words) * 2 in (entries, entries + 1):
        data, words = words.astype("<u2").tobytes(), None
    if words is None:
        is_bytes = len(data) in (entries, entries + 1)
        kind = np.dtype("u1") if is_bytes else np.dtype(">u2" if is_big_endian else "<u2")
        words = np.frombuffer(data[: len(data) // kind.itemsize * kind.itemsize], kind).astype(np.int64)
    return words[:entries]


def _is_big_endian(dataset: "Dataset") -> bool:
    return not dataset.file_meta.TransferSyntaxUID.is_little_endian


def _length(data: Any) -> int:
    return len(data) if hasattr(data, "__len__") else 0


def _numbers(value: Any) -> list[float | None]:
    """Give the numbers of an element that may have one value, several or none."""
    several: Iterable[Any] = value if hasattr(value, "__iter__") and not isinstance(value, str) else [value]
    return [_number(one) for one in several]


def _number(value: Any) -> float | None:
    """Give a decimal string as a number; None where it is absent or empty."""
    text = "" if value is None else str(value).strip()
    return float(text) if text else None
