"""The file of an evaluation set: what it takes to find its items again, without its images and texts.

Parquet, one row an item. Of an image it holds digests, the fingerprint and the sketch (`copies.sketch`), about 4.5 kB;
of texts the key of question and answer and the hashes of n-grams.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

import medmix

from ..copies.fingerprints import FINGERPRINT, Fingerprint
from ..copies.sketch import Sketch
from ..decide import overlap
from ..decide.comparisons import Sketched
from ..errors import InputError
from ..shards import file_sha256, replacing

SUFFIX = ".parquet"
VERSION = 1
"""Of fingerprints, sketches, keys and n-grams; raised when any of them changes for the same image or text."""

_KEY = b"medmix.evaluation"

_SKETCH = pa.struct(
    [("width", pa.int32()), ("height", pa.int32()), ("enlarged", pa.float64()), ("levels", pa.binary())]
)
_IMAGE = pa.struct(
    [
        ("sha256", pa.string()),
        ("pixel_sha256", pa.string()),
        ("fingerprint", pa.binary(FINGERPRINT.itemsize)),
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
"""The columns: `problem` is why an image could not be read, else ""; `question_answer_key` is null without texts."""


@dataclass(frozen=True, slots=True)
class EvaluationFile:
    """An evaluation set as its file has it.

    Attributes:
        name: what it is called in reports.
        sha256: of the file.
        items: `id`, `group`, `problem`, `question_answer_key` and `images`, places in `images`.
        images: its images, item by item.
        grams: `overlap.GRAMS`, `item` being the place in `items`.
    """

    name: str
    sha256: str
    items: pl.DataFrame
    images: list[Sketched]
    grams: pl.DataFrame

    @property
    def unread(self) -> int:
        """The number of items with an image that could not be read."""
        return int((self.items["problem"] != "").sum())


def image(sha256: str, pixel_sha256: str, print_: Fingerprint, kept: Sketch | None) -> dict[str, Any]:
    """Give what a row holds of one image."""
    drawn = None
    if kept is not None:
        drawn = {"width": kept.width, "height": kept.height, "enlarged": kept.enlarged, "levels": kept.levels}
    return {"sha256": sha256, "pixel_sha256": pixel_sha256, "fingerprint": print_.tobytes(), "sketch": drawn}


def write(path: Path, name: str, batches: Iterable[list[dict[str, Any]]]) -> int:
    """Write rows, `SCHEMA`, as the file of a set and give their number."""
    said = {"version": VERSION, "name": name, "medmix": medmix.__version__}
    schema = SCHEMA.with_metadata({_KEY: json.dumps(said).encode()})
    count = 0
    with replacing(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        for rows in batches:
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))
            count += len(rows)
    return count


def is_one(path: Path) -> bool:
    """Tell whether a path is named as the file of an evaluation set."""
    return path.suffix == SUFFIX and path.is_file()


def read(path: Path) -> EvaluationFile:
    """Read the file of an evaluation set.

    Raises:
        InputError: it is none, is damaged, or was made by a version that measures otherwise.
    """
    again = "make it again: medmix fingerprint"
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise InputError(path, f"cannot be read ({str(error).splitlines()[0]})", again) from None
    told = (table.schema.metadata or {}).get(_KEY)
    if told is None:
        raise InputError(path, "is no file of an evaluation set", again)
    said = json.loads(told)
    if said["version"] != VERSION or not table.schema.equals(SCHEMA):
        made = f"was made by medmix {said['medmix']} with fingerprints of version {said['version']}, this is {VERSION}"
        raise InputError(path, made, again)
    return _unpacked(said["name"], file_sha256(path), table)


def _unpacked(name: str, sha256: str, table: pa.Table) -> EvaluationFile:
    rows = table.select(["id", "group", "problem", "question_answer_key"])
    flat = table["images"].combine_chunks().flatten()
    held = [_sketched(each.as_py()) for each in flat]
    counts = pl.Series(table["images"].combine_chunks().value_lengths().to_pylist(), dtype=pl.Int64)
    ends = counts.cum_sum()
    places = pl.int_ranges(ends - counts, ends, dtype=pl.UInt32, eager=True)
    items = pl.DataFrame(pl.from_arrow(rows)).with_columns(images=places)
    grams = pl.DataFrame(pl.from_arrow(table.select(["grams"]))).with_row_index("item").explode("grams").drop_nulls()
    return EvaluationFile(
        name, sha256, items, held, grams.unnest("grams").select(list(overlap.GRAMS)).cast(overlap.GRAMS)
    )


def _sketched(row: dict[str, Any]) -> Sketched:
    print_ = np.frombuffer(row["fingerprint"], FINGERPRINT)[0]
    return Sketched(row["sha256"], row["pixel_sha256"], print_, Sketch(**row["sketch"]) if row["sketch"] else None)
