"""Parquet files as `datasets` writes them to the Hub."""

import io
import json
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features, Image, Value

Row = Mapping[str, object]

QUESTIONS = Features({"image": Image(), "question": Value("string"), "answer": Value("string")})
"""The columns of the copies of PathVQA and VQA-RAD."""


def parquet(rows: Sequence[Row], features: Features) -> bytes:
    """Encode rows as one parquet file that knows its features."""
    info = json.dumps({"info": {"features": features.to_dict()}})
    schema = features.arrow_schema.with_metadata({"huggingface": info})
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), buffer, compression="zstd")
    return buffer.getvalue()


def shards(splits: Mapping[str, Sequence[Row]], features: Features, folder: str = "data") -> dict[str, bytes]:
    """Give the files of a folder: one shard a split, but two of `test`."""
    files = {}
    for split, rows in splits.items():
        count = 2 if split == "test" else 1
        size = -(-len(rows) // count)
        for number in range(count):
            name = f"{folder}/{split}-{number:05d}-of-{count:05d}.parquet"
            files[name] = parquet(rows[number * size :][:size], features)
    return files


def image(content: bytes) -> dict[str, object]:
    """Give the cell of an image column."""
    return {"bytes": content, "path": None}
