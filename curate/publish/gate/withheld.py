"""What a mix knows, by content, of the records that may not be published: their ids, texts, reports and images.

It is measured on the restricted shards and read from pointers and ledger, and kept as arrays in one file, so that the
processes of the gate share it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ... import engine, facts
from ...measure.shingles import Hashes
from ...measure.text import comparable, digest
from ...record import VERDICTS
from ...shards import replacing
from .. import pointers
from . import ids, phrases

Integers = NDArray[np.int64]

_COLUMNS = [
    *("id", "source", "group", "task", "upstream", "question", "answer", "choices", "license_verdict"),
    *("image_sha256", "image_phash"),
]
_BATCH_ROWS = 4096
_DIGEST = re.compile(r"[0-9a-f]{64}")
_ID_SEED: Final = 0x6D6D


class Part(NamedTuple):
    """What one restricted shard contains; the arrays of `Withheld`, records and images numbered within the shard."""

    source: str
    id_hashes: Hashes
    numbers: Integers
    secret_digests: Hashes
    phrases: Hashes
    text_keys: Hashes
    verdicts: NDArray[np.uint8]
    image_hashes: Hashes
    image_records: Integers


@dataclass(frozen=True, slots=True)
class Withheld:
    """The withheld records of a mix.

    Attributes:
        sources: names; `shards`: of the restricted shards, relative to the mix.
        numbers: of the patients and studies of credentialed records, ascending.
        id_hashes: `hash_ids` of all withheld records, ascending.
        secret_digests: `digest_number` of the images of credentialed records, ascending.
        phrases: of the reports, and of all texts of credentialed records.
        text_keys: `text_key` of each record, ascending, [R].
        record_source, record_verdict, record_shard, record_row: of each record: places in `sources`, `VERDICTS` and
            `shards`, and its row in the shard, [R].
        image_hashes: perceptual hashes, [M, 4].
        image_records, image_places: the record of each image, and its place there, [M].
    """

    sources: tuple[str, ...]
    shards: tuple[str, ...]
    numbers: Integers
    id_hashes: Hashes
    secret_digests: Hashes
    phrases: phrases.Phrases
    text_keys: Hashes
    record_source: Integers
    record_verdict: Integers
    record_shard: Integers
    record_row: Integers
    image_hashes: Hashes
    image_records: Integers
    image_places: Integers


@cache
def credentialed_sources() -> frozenset[str]:
    """Give the sources whose facts say that they are credentialed."""
    return frozenset(source for source in facts.source_ids() if facts.load(source).access == "credentialed")


def hash_ids(values: Sequence[str]) -> Hashes:
    """Hash ids of records, 64 bits; for one version of polars."""
    return pl.Series(values, dtype=pl.String).hash(_ID_SEED).to_numpy()


def is_digest(value: Any) -> bool:
    """Whether a value is a SHA-256 in hex, as medmix writes it."""
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def digest_number(sha256: str) -> int:
    """Give the first 64 bits of a digest in hex."""
    return int(sha256[:16], 16)


def text_key(row: Mapping[str, Any]) -> int:
    """Give a key, 64 bits, that is equal for records of the same question, answer and options."""
    options = sorted(comparable(choice) for choice in row["choices"] or ())
    return digest_number(digest(comparable(row["question"] or ""), comparable(row["answer"] or ""), *options))


def hash_of_hex(phash: str) -> Hashes:
    """Give the four numbers of a perceptual hash in hex (`copies.fingerprints.hash_to_hex`)."""
    return np.frombuffer(bytes.fromhex(phash), "<u8")


def measure_shard(shard: Path) -> Part:
    """Measure a restricted shard."""
    rows = [
        row for batch in pq.ParquetFile(shard).iter_batches(_BATCH_ROWS, columns=_COLUMNS) for row in batch.to_pylist()
    ]
    secret = [
        row for row in rows if row["license_verdict"] == "credentialed" or row["source"] in credentialed_sources()
    ]
    reports = [row for row in rows if row["task"] == "report"]
    texts = {text for row in (*secret, *reports) for text in (row["question"], row["answer"]) if text}
    places = (text for row in secret for text in (row["id"], row["group"], row["upstream"]["file"] or ""))
    hashes = [hash_of_hex(phash) for row in rows for phash in row["image_phash"]]
    return Part(
        shard.parent.name,
        np.unique(hash_ids([row["id"] for row in rows])),
        ids.numbers_in(places),
        np.unique(np.array([digest_number(one) for row in secret for one in row["image_sha256"]], np.uint64)),
        np.unique(phrases.hashes_of(sorted(texts))[0]),
        np.array([text_key(row) for row in rows], np.uint64),
        np.array([VERDICTS.index(row["license_verdict"]) for row in rows], np.uint8),
        np.stack(hashes) if hashes else np.zeros((0, 4), np.uint64),
        np.repeat(np.arange(len(rows)), [len(row["image_phash"]) for row in rows]),
    )


def gather(mix: Path, workers: int) -> Withheld:
    """Gather what a mix knows of its withheld records.

    Raises:
        OSError, pa.ArrowException: a restricted shard, the pointers or the ledger are damaged.
    """
    paths = sorted((mix / "restricted").glob("*/*.parquet"))
    parts = list(engine.run(measure_shard, paths, workers))
    sources = tuple(sorted({part.source for part in parts}))
    counts = [len(part.text_keys) for part in parts]
    firsts = np.cumsum([0, *counts])
    text_keys = _joined([part.text_keys for part in parts], np.uint64)
    order = np.argsort(text_keys, kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    image_records = _joined([part.image_records + first for part, first in zip(parts, firsts, strict=False)], np.int64)
    per_source = {
        source: np.unique(_joined([part.phrases for part in parts if part.source == source], np.uint64))
        for source in sources
    }
    return Withheld(
        sources,
        tuple(path.relative_to(mix).as_posix() for path in paths),
        np.unique(np.concatenate([_ledger_numbers(mix), *(part.numbers for part in parts)])),
        np.unique(np.concatenate([_pointer_ids(mix), *(part.id_hashes for part in parts)])),
        np.unique(_joined([part.secret_digests for part in parts], np.uint64)),
        phrases.Phrases(per_source),
        text_keys[order],
        np.repeat([sources.index(part.source) for part in parts], counts).astype(np.int64)[order],
        _joined([part.verdicts for part in parts], np.int64)[order],
        np.repeat(np.arange(len(parts)), counts)[order],
        _joined([np.arange(count) for count in counts], np.int64)[order],
        np.concatenate([np.zeros((0, 4), np.uint64), *(part.image_hashes for part in parts)]),
        rank[image_records],
        _places_in_record(image_records),
    )


def _joined(arrays: Sequence[np.ndarray], dtype: type) -> np.ndarray:
    return np.concatenate([np.zeros(0, dtype), *arrays]).astype(dtype)


def _places_in_record(image_records: Integers) -> Integers:
    """Give the place of each image among those of its record; the images of a record stand together."""
    firsts = np.flatnonzero(np.diff(image_records, prepend=-1))
    return np.arange(len(image_records)) - np.repeat(firsts, np.diff([*firsts, len(image_records)]))


def _ledger_numbers(mix: Path) -> Integers:
    rows = pl.scan_parquet(mix / "ledger.parquet").filter(pl.col("source").is_in(credentialed_sources()))
    return ids.numbers_in(iter(rows.select("id").collect()["id"].to_list()))


def _pointer_ids(mix: Path) -> Hashes:
    found = pointers.scan(mix).select("id").drop_nulls().collect()["id"]
    return found.hash(_ID_SEED).to_numpy()


def save(withheld: Withheld, path: Path) -> None:
    """Write it to a file."""
    arrays = {name: getattr(withheld, name) for name in Withheld.__dataclass_fields__ if name != "phrases"}
    arrays |= {f"phrases/{source}": known for source, known in withheld.phrases.of_source.items()}
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


@lru_cache(maxsize=1)
def load(path: Path) -> Withheld:
    """Read it from a file; once in a process."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    per_source = {name.partition("/")[2]: arrays.pop(name) for name in list(arrays) if name.startswith("phrases/")}
    sources, shards = (tuple(map(str, arrays.pop(name))) for name in ("sources", "shards"))
    return Withheld(sources=sources, shards=shards, phrases=phrases.Phrases(per_source), **arrays)
