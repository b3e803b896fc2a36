"""What pass 2 knows of every distinct image: where it first occurs, and its fingerprint."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import polars as pl

from ..copies.fingerprints import FINGERPRINT, Fingerprints
from ..measure.scans import ScanFile
from ..record import ImageRef


@dataclass(frozen=True, slots=True)
class Held:
    """Where the bytes of an image lie, and their SHA-256."""

    folder: Path
    ref: ImageRef
    sha256: str


class Pictures(Protocol):
    """Images that can be sought and compared, by their numbers from 0."""

    @property
    def prints(self) -> Fingerprints:
        """Give their fingerprints, [N]."""

    def held(self, numbers: Iterable[int]) -> dict[int, Held]:
        """Tell where images lie."""

    def keys(self) -> pl.DataFrame:
        """Give `image` and `key`, the image key of the scan, of all images."""


@dataclass(frozen=True, slots=True)
class ScannedPictures:
    """The distinct images of the scans, by the numbers that `candidates.load` gives them.

    Attributes:
        scans: (source, scan file) pairs, in reading order.
        folders: where each source lies.
        prints: the fingerprints, [N].
    """

    scans: Sequence[ScanFile]
    folders: Mapping[str, Path]
    prints: Fingerprints
    _places: pl.DataFrame

    def held(self, numbers: Iterable[int]) -> dict[int, Held]:
        """Tell where images lie."""
        wanted = self._places.filter(pl.col("image").is_in(pl.Series(list(numbers), dtype=pl.UInt32).implode()))
        found = {}
        for (scan,), rows in wanted.group_by("scan", maintain_order=True):
            source, path = self.scans[int(str(scan))]
            scanned = pl.read_parquet(path, columns=["images", "image_sha256"])[rows["scan_row"]]
            each = zip(rows["image"], rows["position"], scanned["images"], scanned["image_sha256"], strict=True)
            for image, position, refs, digests in each:
                found[image] = Held(self.folders[source], ImageRef(**refs[position]), digests[position])
        return found

    def keys(self) -> pl.DataFrame:
        """Give `image` and `key`, the image key of the scan, of all images."""
        frames = [pl.DataFrame(schema={"image": pl.UInt32, "key": pl.String})]
        for (scan,), rows in self._places.group_by("scan", maintain_order=True):
            scanned = pl.read_parquet(self.scans[int(str(scan))][1], columns=["image_key"])["image_key"]
            frames.append(rows.select("image", key=scanned[rows["scan_row"]].list.get(rows["position"])))
        return pl.concat(frames)


def load(scans: Sequence[ScanFile], rows: pl.DataFrame, folders: Mapping[str, Path]) -> ScannedPictures:
    """Read the fingerprint of each image where it first occurs; `rows` are all those of `candidates.load`."""
    places = (
        rows.select("scan", "scan_row", "images", position=pl.int_ranges(pl.col("images").list.len()))
        .explode("images", "position")
        .drop_nulls("images")
        .rename({"images": "image"})
        .unique("image", keep="first", maintain_order=True)
    )
    prints = np.zeros(places.height, FINGERPRINT)
    for (scan,), part in places.group_by("scan", maintain_order=True):
        scanned = pl.read_parquet(scans[int(str(scan))][1], columns=["fingerprint"])["fingerprint"]
        taken = scanned[part["scan_row"]].list.get(part["position"])
        prints[part["image"].to_numpy()] = np.frombuffer(b"".join(taken), FINGERPRINT)
    return ScannedPictures(scans, folders, prints, places)
