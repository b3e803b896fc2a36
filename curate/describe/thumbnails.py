"""A contact sheet for the card: thumbnails of a few records that may be redistributed.

Only shards in `data/` are read, and of those the first row groups. The same shards give the same sheet.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import chain, groupby, islice, zip_longest
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq
from PIL import Image, ImageOps

from ..errors import RowError
from ..measure import images
from ..shards import replacing
from ..write import bare_images

NAME: Final = "plots/examples.jpg"

MOST: Final = 8
"""Thumbnails of a sheet."""

OF_SOURCE: Final = 3
"""Thumbnails of one source at most."""

SIDE: Final = 160
"""Sides of a thumbnail in pixels; a picture of another shape has black borders."""

COLUMNS: Final = 4

_QUALITY: Final = 80
_SHARDS: Final = 3
"""Shards of a source that are looked into."""

_BATCH_ROWS: Final = 16
_MAX_PIXELS: Final = 64_000_000
"""Larger images take too long for a card and are passed over."""

_LEAST_SIDE: Final = 48
_MOST_RATIO: Final = 4
"""Of the longer side to the shorter one; more would be a stripe."""

_LEAST_SPREAD: Final = 8
"""Standard deviation, in grey levels, below which nothing can be seen in a thumbnail."""

_SAME_LEVELS: Final = 4
"""Mean difference of two sheets of the same pictures that other versions of Pillow write."""


@dataclass(frozen=True, slots=True)
class Example:
    """A record in the sheet: id and licence as in its row, and its first image, RGB `SIDE` x `SIDE`."""

    id: str
    licence: str
    picture: Image.Image


def choose(mix: Path, shards: Sequence[str]) -> list[Example]:
    """Return the examples of a mix in the order of the sheet: the first of each source, then the second, ...

    `shards` are the sorted names of its shards; those outside `data/` are passed over. A record without an image, with
    an image seen before, or with one in which nothing can be seen is passed over too.
    """
    public = [shard for shard in shards if shard.startswith("data/")]
    seen: set[bytes] = set()
    of_sources: list[list[Example]] = []
    for _, own in groupby(public, key=lambda shard: shard.split("/")[1]):
        found = list(islice(_examples(mix, list(own)[:_SHARDS], seen), OF_SOURCE))
        of_sources += [found] if found else []
        if len(of_sources) == MOST:
            break
    in_turn = chain.from_iterable(zip_longest(*of_sources))
    return [example for example in in_turn if example is not None][:MOST]


def sheet(examples: Sequence[Example]) -> bytes:
    """Return the JPEG file of a sheet, row by row; there must be an example."""
    rows = -(-len(examples) // COLUMNS)
    ground = Image.new("RGB", (min(len(examples), COLUMNS) * SIDE, rows * SIDE))
    for place, example in enumerate(examples):
        ground.paste(example.picture, (place % COLUMNS * SIDE, place // COLUMNS * SIDE))
    with BytesIO() as file:
        ground.save(file, "JPEG", quality=_QUALITY)
        return file.getvalue()


def write(mix: Path, examples: Sequence[Example]) -> list[str]:
    """Write the sheet and return its name; without examples there is none."""
    if not examples:
        return []
    with replacing(mix / NAME) as temporary:
        temporary.write_bytes(sheet(examples))
    return [NAME]


def shows(mix: Path, examples: Sequence[Example]) -> bool:
    """Whether a mix has the sheet of its examples, whichever version of Pillow wrote it."""
    if not examples or not (mix / NAME).is_file():
        return False
    data, expected = (mix / NAME).read_bytes(), sheet(examples)
    if bare_images.bare(data) != data:
        return False
    try:
        found, own = (np.asarray(images.decode_rgb(one, _MAX_PIXELS), np.int16) for one in (data, expected))
    except RowError:
        return False
    return found.shape == own.shape and float(np.abs(found - own).mean()) <= _SAME_LEVELS


def _examples(mix: Path, shards: Sequence[str], seen: set[bytes]) -> Iterator[Example]:
    for shard in shards:
        for row in _first_rows(mix / shard):
            first = (row.get("images") or [None])[0]
            data = first["bytes"] if first else None
            digest = hashlib.sha256(data or b"").digest()
            if not data or digest in seen:
                continue
            seen.add(digest)
            picture = thumbnail(data)
            if picture is not None:
                yield Example(row["id"], row["license"], picture)


def _first_rows(shard: Path) -> Iterator[dict[str, Any]]:
    with pq.ParquetFile(shard) as file:
        groups = [0] if file.num_row_groups else []
        names = ["id", "license", "images"]
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, row_groups=groups, columns=names):
            yield from batch.to_pylist()


def thumbnail(data: bytes) -> Image.Image | None:
    """Return an image as RGB, `SIDE` x `SIDE`; None if it is tiny, huge, a stripe, near-uniform or broken."""
    try:
        picture = images.decode_rgb(data, _MAX_PIXELS)
    except RowError:
        return None
    if min(picture.size) < _LEAST_SIDE or max(picture.size) > _MOST_RATIO * min(picture.size):
        return None
    small = ImageOps.contain(picture, (SIDE, SIDE))
    if np.asarray(small.convert("L")).std() < _LEAST_SPREAD:
        return None
    return ImageOps.pad(small, (SIDE, SIDE))
