"""The last gate before anything leaves the machine: it reads the files themselves and trusts nothing else.

Neither manifest, plan nor folder names count here. Every parquet file to be sent is read again to its last row: records
must be redistributable by their own columns, by the licences' terms and by what is known of their source; pointers
and ledger may say nothing of credentialed sources. Ids of MIMIC-CXR, and whatever is shaped like one, are refused
wherever they stand: in texts, names, image files, cards.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from .. import facts
from ..licences import terms
from ..progress import track
from ..write import ledger
from ..write.features import mix_schema
from ..write.image_encoding import original_sha256
from . import pointers, records

MIMIC_IDS = re.compile(
    rb"(?<![A-Za-z0-9])(?:p1\d{7}|s5\d{7}|mimic[_-]cxr/[ps]?\d{7,8}|(?:[0-9a-f]{8}-){4}[0-9a-f]{8})(?![A-Za-z0-9])",
    re.IGNORECASE,
)
"""Shapes of the ids of patients (p10000032), studies (s50414267) and films in MIMIC-CXR; and of ours made of them.

A subject or study number without its letter is as any other number of eight digits; those are known one by one
(`Forbidden`).
"""

_PROPOSALS = (
    *(re.compile(prefix + rb"[0-9]{7}") for prefix in (b"p1", b"P1", b"s5", b"S5", b"/[psPS]?")),
    re.compile(rb"-[0-9a-fA-F]{8}-"),
)
"""One of these is in all that `MIMIC_IDS` finds. They begin with fixed bytes, so that a search of images for all of
them is thirty times as fast."""

_STUDY = re.compile(rb"(?<![0-9A-Za-z])5\d{7}(?![0-9A-Za-z])")
_TEXTS = (".md", ".json", ".bib", ".svg", ".html")
_BATCH_ROWS = 64
_MOST_TOLD = 5


@dataclass(frozen=True, slots=True)
class Forbidden:
    """What is known of the credentialed records here: the numbers of their studies, the digests of their images."""

    studies: frozenset[str] = frozenset()
    images: frozenset[str] = frozenset()


def forbidden(mix: Path) -> Forbidden:
    """Learn from a mix's own restricted shards and ledger what must not leave the machine."""
    images: set[str] = set()
    studies: set[str] = set()
    credentialed = [source for source in facts.source_ids() if facts.load(source).access == "credentialed"]
    for source in credentialed:
        for shard in sorted((mix / "restricted" / source).glob("*.parquet")):
            for batch in pq.ParquetFile(shard).iter_batches(columns=["id", "image_sha256"]):
                images.update(pc.list_flatten(batch["image_sha256"]).to_pylist())
                studies.update(batch["id"].to_pylist())
    if (mix / "ledger.parquet").is_file():
        rows = pl.scan_parquet(mix / "ledger.parquet").filter(pl.col("source").is_in(credentialed))
        studies.update(rows.select("id").collect()["id"].to_list())
    numbers = {found[0] for id_ in studies if (found := re.search(r"5\d{7}", id_))}
    return Forbidden(frozenset(numbers), frozenset(images))


def findings(files: Mapping[str, Path], known: Forbidden) -> list[str]:
    """List what stands against sending these files, by their names in the repository; empty when nothing does."""
    found: list[str] = []
    for name, path in track(files.items(), len(files), "looking through what would go"):
        told = list(_file(name, path, known))
        found += [f"{name}: {line}" for line in told[:_MOST_TOLD]]
        if len(told) > _MOST_TOLD:
            found.append(f"{name}: and {len(told) - _MOST_TOLD} more")
    return found


def _file(name: str, path: Path, known: Forbidden) -> Iterator[str]:
    if MIMIC_IDS.search(name.encode()):
        yield "its name holds what is shaped like an id of MIMIC-CXR"
    if path.suffix in _TEXTS:
        yield from _text(path)
        return
    kinds = {"data": _records, pointers.FOLDER: _pointers, "ledger.parquet": _ledger, records.NAME: _index}
    kind = kinds.get(name.split("/")[0])
    if kind is None or path.suffix != ".parquet":
        yield "is none of the files that are published"
        return
    try:
        table = pq.ParquetFile(path)
        schema = _SCHEMAS[name.split("/")[0]]()
        if not table.schema_arrow.remove_metadata().equals(schema.remove_metadata()):
            yield "its columns are not those of what is published there"
            return
        for batch in table.iter_batches(batch_size=_BATCH_ROWS):
            yield from kind(batch, known)
            yield from _shapes(batch, known)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        yield f"cannot be read as parquet ({str(error).splitlines()[0]})"


def _ledger_schema() -> pa.Schema:
    return pl.DataFrame(schema=ledger.SCHEMA).to_arrow().schema


_SCHEMAS = {
    "data": mix_schema,
    pointers.FOLDER: lambda: pointers.SCHEMA,
    "ledger.parquet": _ledger_schema,
    records.NAME: lambda: records.SCHEMA,
}


def _text(path: Path) -> Iterator[str]:
    data = path.read_bytes()
    for place in MIMIC_IDS.finditer(data):
        line = data.count(b"\n", 0, place.start()) + 1
        yield f"line {line} holds what is shaped like an id of MIMIC-CXR"
    if b"\0" in data:
        yield "is no text"


def _records(batch: pa.RecordBatch, known: Forbidden) -> Iterator[str]:
    columns = ("id", "source", "license", "license_verdict", "image_sha256")
    for row in zip(*(batch[name].to_pylist() for name in columns), strict=True):
        id_, source, licence, verdict, images = row
        if why := obstacle(source, licence, verdict):
            yield f"{_shown(id_, source)}: {why}"
        if known.images & set(images or ()):
            yield f"{_shown(id_, source)}: has an image of a credentialed record"
    for id_, held in zip(batch["id"].to_pylist(), batch["images"], strict=True):
        contents = [image["bytes"].as_py() or b"" for image in held.values or ()]
        digests = {of(content) for content in contents for of in (original_sha256, _sha256)}
        if known.images & digests:
            yield f"{id_}: holds the bytes of a credentialed record's image"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _shown(id_: Any, source: Any) -> str:
    """Name a record; one of a credentialed source by its source alone."""
    known = source in facts.source_ids() and facts.load(source).access != "credentialed"
    return str(id_) if known and str(id_).startswith(f"{source}/") else f"a record of {source!r}"


def obstacle(source: Any, licence: Any, verdict: Any) -> str:
    """Say why a record of this source, licence and verdict may not be sent; "" where it may."""
    if source not in facts.source_ids():
        return f"is of the source {source!r}, which is unknown"
    if verdict != "redistributable":
        return f"is {verdict or 'without a verdict'}"
    if licence not in terms.TERMS or terms.verdict(licence) != "redistributable":
        return f"is under {licence!r}, which does not allow it"
    entry = facts.load(source)
    own = entry.licence
    if entry.access == "credentialed" or own.verdict == "credentialed":
        return f"is of {source}, which is credentialed"
    by_row = own.per_record or own.members or entry.article_licences
    if own.verdict != "redistributable" and not by_row:
        return f"is of {source}, of which every record is {own.verdict}"
    return ""


def _pointers(batch: pa.RecordBatch, known: Forbidden) -> Iterator[str]:
    for row in batch.to_pylist():
        secret = row["license_verdict"] not in ("research-only", "unclear", "redistributable")
        secret = secret or str(row["shard"]).split("/")[1:2] in [[source] for source in _credentialed()]
        told = [name for name in (*pointers.IN_CLEAR, "image_sha256") if row[name]]
        if secret and told:
            yield f"tells {', '.join(told)} of a credentialed record"
        if secret and not row["keyed_id"]:
            yield "has a credentialed record without a keyed digest"
        if known.images & set(row["image_sha256"] or ()):
            yield "names an image of a credentialed record"


def _credentialed() -> list[str]:
    return [source for source in facts.source_ids() if facts.load(source).access == "credentialed"]


def _ledger(batch: pa.RecordBatch, known: Forbidden) -> Iterator[str]:
    for source in set(batch["source"].to_pylist()):
        if source not in facts.source_ids():
            yield f"has rows of the source {source!r}, which is unknown"
        elif source in _credentialed():
            yield f"has rows of {source}, which is credentialed"


def _index(batch: pa.RecordBatch, known: Forbidden) -> Iterator[str]:
    columns = ("id", "source", "license", "license_verdict")
    for id_, *said in zip(*(batch[name].to_pylist() for name in columns), strict=True):
        if why := obstacle(*said):
            yield f"{_shown(id_, said[0])}: {why}"


def _shapes(batch: pa.RecordBatch, known: Forbidden) -> Iterator[str]:
    """Look through every text and every image for ids."""
    for column in batch.schema.names:
        for values in _leaves(batch[column]):
            if _met(values, known):
                yield f"column {column} holds an id of MIMIC-CXR, or what is shaped like one"
                break


def _leaves(array: pa.Array) -> Iterator[pa.Array]:
    """Give the arrays of texts and bytes inside an array."""
    kind = array.type
    if pa.types.is_struct(kind):
        for place in range(kind.num_fields):
            yield from _leaves(array.field(place))
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        yield from _leaves(array.flatten())
    elif pa.types.is_string(kind) or pa.types.is_binary(kind) or pa.types.is_large_string(kind):
        yield array


def _met(array: pa.Array, known: Forbidden) -> bool:
    """Tell whether a value has an id; one search through all of them first, since most often there is none."""
    text = not pa.types.is_binary(array.type)
    data = array.buffers()[2]
    if data is None or not (any(one.search(data) for one in _PROPOSALS) or (text and _STUDY.search(data))):
        return False
    for value in array.to_pylist():
        held = value.encode() if isinstance(value, str) else value or b""
        if MIMIC_IDS.search(held):
            return True
        if text and any(found.decode() in known.studies for found in _STUDY.findall(held)):
            return True
    return False
