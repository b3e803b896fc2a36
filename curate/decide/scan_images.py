"""The distinct images of the scans: where each first occurs, and its fingerprint."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from ..copies import mapped
from ..copies.fingerprints import FINGERPRINT, Views
from ..measure.scans import ScanFile
from ..record import ImageRef
from .candidates import read_rows


@dataclass(frozen=True, slots=True)
class ImageLocation:
    """Location of the bytes of an image, and their SHA-256."""

    folder: Path
    ref: ImageRef
    sha256: str


@dataclass(frozen=True, slots=True)
class ScanImages:
    """The distinct images of the scans, with the numbers that `candidates.load` gives them.

    Attributes:
        scans: the scans, in reading order.
        folders: the folder of each source.
        views: their fingerprints.
    """

    scans: Sequence[ScanFile]
    folders: Mapping[str, Path]
    views: Views
    _places: pl.DataFrame

    @property
    def count(self) -> int:
        """The number of images."""
        return len(self.views.whole)

    def locations(self, numbers: Iterable[int]) -> dict[int, ImageLocation]:
        """Give the locations of images by their numbers."""
        wanted = self._places.filter(pl.col("image").is_in(pl.Series(list(numbers), dtype=pl.UInt32).implode()))
        found = {}
        for scan, places, rows in read_rows(self.scans, wanted, "images", "image_sha256"):
            each = zip(places["image"], places["position"], rows["images"], rows["image_sha256"], strict=True)
            for image, position, refs, digests in each:
                found[image] = ImageLocation(self.folders[scan.source], ImageRef(**refs[position]), digests[position])
        return found

    def with_keys(self, keys: pl.Series) -> pl.DataFrame:
        """Give `image` and `key` of the images whose key in the scan is one of these."""
        frames = [pl.DataFrame(schema={"image": pl.UInt32, "key": pl.String})]
        for _, places, rows in read_rows(self.scans, self._places, "image_key"):
            each = places.select("image", key=rows["image_key"].list.get(places["position"]))
            frames.append(each.filter(pl.col("key").is_in(keys.implode())))
        return pl.concat(frames)


def load(scans: Sequence[ScanFile], rows: pl.DataFrame, folders: Mapping[str, Path]) -> ScanImages:
    """Read the fingerprints of each image where it first occurs; `rows` is the whole table of `candidates.load`."""
    places = (
        rows.select("scan", "scan_row", "images", position=pl.int_ranges(pl.col("images").list.len()))
        .explode("images", "position")
        .drop_nulls("images")
        .rename({"images": "image"})
        .unique("image", keep="first", maintain_order=True)
    )
    count = sum(int(taken.bin.size().sum()) for taken in _prints(scans, places)) // FINGERPRINT.itemsize
    prints = (data for taken in _prints(scans, places) for data in taken)
    return ScanImages(scans, folders, mapped.of_bytes(prints, places.height, count), places)


def _prints(scans: Sequence[ScanFile], places: pl.DataFrame) -> Iterator[pl.Series]:
    """Give the bytes of the fingerprints of images, in their order, a scan at a time."""
    for _, part, scanned in read_rows(scans, places, "fingerprints"):
        yield scanned["fingerprints"].list.get(part["position"])
