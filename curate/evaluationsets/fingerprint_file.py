"""The fingerprint file of an evaluation set: finds its items without its images and texts.

Parquet, one row per item. An image is stored as digests, fingerprints and sketch (`copies.sketch`), about 6 kB; texts
as the key of question and answer and the hashes of n-grams.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

import medmix

from ..copies.fingerprints import FINGERPRINT, Fingerprints
from ..copies.sketch import Sketch
from ..decide import overlap
from ..decide.comparisons import SketchedImage
from ..decide.scan_images import ImageLocation
from ..errors import InputError
from ..record import ImageRef
from ..shards import file_sha256, replacing

SUFFIX = ".parquet"
VERSION = 3
"""Version of fingerprints, sketches, keys and n-grams; raised when any of them changes for the same input."""

_KEY = b"medmix.evaluation"

_SKETCH = pa.struct(
    [("width", pa.int32()), ("height", pa.int32()), ("enlarged", pa.float64()), ("levels", pa.binary())]
)
_IMAGE = pa.struct(
    [
        ("sha256", pa.string()),
        ("pixel_sha256", pa.string()),
        ("fingerprints", pa.binary()),
        ("sketch", _SKETCH),
    ]
)
_GRAM = pa.struct([("field", pa.string()), ("n", pa.int32()), ("gram", pa.uint64())])
SCHEMA = pa.schema(
    [
        *[(name, pa.string()) for name in ("id", "group", "problem", "question_answer_key")],
        ("images", pa.list_(_IMAGE)),
        ("grams", pa.list_(_GRAM)),
    ]
)
"""The columns: `problem` is why an image is unreadable, else ""; `question_answer_key` is null without texts."""


@dataclass(frozen=True, slots=True)
class FingerprintedSet:
    """An evaluation set, read from its fingerprint file.

    Attributes:
        name: its name in reports.
        sha256: of the file.
        items: `id`, `group`, `problem`, `question_answer_key` and `images`, positions in `images`.
        images: its images, item by item.
        grams: `overlap.GRAMS`; `item` is the position in `items`.
    """

    name: str
    sha256: str
    items: pl.DataFrame
    images: list[SketchedImage]
    grams: pl.DataFrame

    @property
    def unreadable(self) -> int:
        """The number of items with an unreadable image."""
        return int((self.items["problem"] != "").sum())


def image_row(sha256: str, pixel_sha256: str, prints: Fingerprints, sketch: Sketch | None) -> dict[str, Any]:
    """Give one image as a row of the column `images`."""
    fields = asdict(sketch) if sketch else None
    return {"sha256": sha256, "pixel_sha256": pixel_sha256, "fingerprints": prints.tobytes(), "sketch": fields}


def write(path: Path, name: str, batches: Iterable[list[dict[str, Any]]]) -> int:
    """Write rows, `SCHEMA`, to a fingerprint file and give their number."""
    about = {"version": VERSION, "name": name, "medmix": medmix.__version__}
    schema = SCHEMA.with_metadata({_KEY: json.dumps(about).encode()})
    count = 0
    with replacing(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        for rows in batches:
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))
            count += len(rows)
    return count


def is_fingerprint_file(path: Path) -> bool:
    """Tell whether a path is a file with the ending of a fingerprint file."""
    return path.suffix == SUFFIX and path.is_file()


def read(path: Path) -> FingerprintedSet:
    """Read a fingerprint file.

    Raises:
        InputError: the file is damaged, is no fingerprint file, or has fingerprints of another version.
    """
    again = "make it again: medmix fingerprint"
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise InputError(path, f"cannot be read ({str(error).splitlines()[0]})", again) from None
    metadata = (table.schema.metadata or {}).get(_KEY)
    if metadata is None:
        raise InputError(path, "is no fingerprint file", again)
    about = json.loads(metadata)
    if about["version"] != VERSION or not table.schema.equals(SCHEMA):
        made = f"was made by medmix {about['medmix']} with fingerprints of version {about['version']}"
        raise InputError(path, f"{made}; this medmix has version {VERSION}", again)
    return _from_table(about["name"], file_sha256(path), table)


def located(found: FingerprintedSet, folder: Path) -> FingerprintedSet:
    """Say where the images of a set are that was made of the images of a folder, one an item."""
    images = list(found.images)
    for item, (place,) in found.items.filter(pl.col("images").list.len() > 0).select("id", "images").iter_rows():
        ref = ImageRef(item.removeprefix(f"{found.name}/"))
        images[place] = replace(images[place], location=ImageLocation(folder, ref, images[place].sha256))
    return replace(found, images=images)


def _from_table(name: str, sha256: str, table: pa.Table) -> FingerprintedSet:
    rows = table.select(["id", "group", "problem", "question_answer_key"])
    lists = table["images"].combine_chunks()
    images = [_sketched_image(image.as_py()) for image in lists.flatten()]
    counts = pl.Series(lists.value_lengths().to_pylist(), dtype=pl.Int64)
    ends = counts.cum_sum()
    places = pl.int_ranges(ends - counts, ends, dtype=pl.UInt32, eager=True)
    items = pl.DataFrame(pl.from_arrow(rows)).with_columns(images=places)
    grams = pl.DataFrame(pl.from_arrow(table.select(["grams"]))).with_row_index("item").explode("grams").drop_nulls()
    grams = grams.unnest("grams").select(list(overlap.GRAMS)).cast(overlap.GRAMS)
    return FingerprintedSet(name, sha256, items, images, grams)


def _sketched_image(row: dict[str, Any]) -> SketchedImage:
    prints = np.frombuffer(row["fingerprints"], FINGERPRINT)
    return SketchedImage(row["sha256"], row["pixel_sha256"], prints, Sketch(**row["sketch"]) if row["sketch"] else None)
