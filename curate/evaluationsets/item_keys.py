"""The items of evaluation sets by their content, in the file `evaluation.parquet` of a mix.

An item with images is known by the digests of their files, whatever its question, since a leak is an image; an item
without images by the key of its question and answer. Ids and file names do not count.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from ..shards import replacing

NAME = "evaluation.parquet"
SCHEMA = pl.Schema({"set": pl.String, "key": pl.String})


def item_key(image_sha256: Iterable[str], question_answer_key: str | None) -> str:
    """Give the key of an item, 64 hex digits: of its images' files, else of question and answer (`text_keys`)."""
    parts = sorted(set(image_sha256)) or [question_answer_key or ""]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def keys_digest(keys: Sequence[str]) -> str:
    """Digest keys in their order, which is sorted."""
    return hashlib.sha256("\n".join(keys).encode()).hexdigest()


def write(path: Path, keys: Mapping[str, Sequence[str]]) -> None:
    """Write the sorted keys of each set."""
    rows = {
        "set": [name for name, found in keys.items() for _ in found],
        "key": [*(k for v in keys.values() for k in v)],
    }
    with replacing(path) as temporary:
        pl.DataFrame(rows, SCHEMA).sort("set", "key").write_parquet(temporary, compression="zstd")


def read(mix: Path) -> dict[str, frozenset[str]]:
    """Give the keys of each set of a mix; none if it has no such file.

    Raises:
        ArrowException or OSError: the file is damaged.
    """
    if not (mix / NAME).is_file():
        return {}
    table = pl.DataFrame(pl.from_arrow(pq.read_table(mix / NAME)))
    return {str(name): frozenset(part["key"]) for (name,), part in table.group_by("set")}
