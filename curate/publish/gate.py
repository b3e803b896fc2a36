"""The last check before an upload: it reads the files themselves and trusts no manifest, plan or folder name.

It reads every row of every parquet file. Records must be redistributable by their own columns, by the terms of their
licence and by the facts of their source. Pointers and ledger must contain nothing of credentialed sources. Ids of
MIMIC-CXR, and anything of the same shape, are forbidden everywhere: in texts, names, image files and cards.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from .. import facts
from ..describe import attribution
from ..evaluationsets import item_keys
from ..licences import terms
from ..progress import track
from ..write import ledger
from ..write.features import mix_schema
from ..write.image_encoding import original_sha256
from . import pointers, record_digests

MIMIC_IDS = re.compile(
    rb"(?<![A-Za-z0-9])(?:p1\d{7}|s5\d{7}|mimic[_-]cxr/[ps]?\d{7,8}|(?:[0-9a-f]{8}-){4}[0-9a-f]{8})(?![A-Za-z0-9])",
    re.IGNORECASE,
)
"""Shapes of the ids of patients (p10000032), studies (s50414267) and films in MIMIC-CXR, and of record ids.

A number without its letter looks like any other number of eight digits; `Forbidden` lists the studies' numbers.
"""

_ID_PREFIXES = (
    *(re.compile(prefix + rb"[0-9]{7}") for prefix in (b"p1", b"P1", b"s5", b"S5", b"/[psPS]?")),
    re.compile(rb"-[0-9a-fA-F]{8}-"),
)
"""Each match of `MIMIC_IDS` contains a match of one of these. They begin with fixed bytes, so that searching images
for them is thirty times as fast."""

_STUDY = re.compile(rb"(?<![0-9A-Za-z])5\d{7}(?![0-9A-Za-z])")
_TEXT_SUFFIXES = (".md", ".json", ".bib", ".svg", ".html")
_BATCH_ROWS = 64
_MAX_FINDINGS = 5
"""Findings listed for one file."""


@dataclass(frozen=True, slots=True)
class Forbidden:
    """Values of the local credentialed records: numbers of their studies, digests of their images."""

    studies: frozenset[str] = frozenset()
    images: frozenset[str] = frozenset()


def load_forbidden(mix: Path) -> Forbidden:
    """Read the forbidden values from the restricted shards and the ledger of a mix."""
    images: set[str] = set()
    ids: set[str] = set()
    for source in _credentialed_sources():
        for shard in sorted((mix / "restricted" / source).glob("*.parquet")):
            for batch in pq.ParquetFile(shard).iter_batches(columns=["id", "image_sha256"]):
                images.update(pc.list_flatten(batch["image_sha256"]).to_pylist())
                ids.update(batch["id"].to_pylist())
    if (mix / "ledger.parquet").is_file():
        rows = pl.scan_parquet(mix / "ledger.parquet").filter(pl.col("source").is_in(_credentialed_sources()))
        ids.update(rows.select("id").collect()["id"].to_list())
    studies = {match[0] for id_ in ids if (match := re.search(r"5\d{7}", id_))}
    return Forbidden(frozenset(studies), frozenset(images))


def check_files(files: Mapping[str, Path], forbidden: Forbidden) -> list[str]:
    """List the findings that forbid an upload of these files, by their names in the repository."""
    findings: list[str] = []
    for name, path in track(files.items(), len(files), "checking the files to upload"):
        found = list(_check_file(name, path, forbidden))
        findings += [f"{name}: {line}" for line in found[:_MAX_FINDINGS]]
        if len(found) > _MAX_FINDINGS:
            findings.append(f"{name}: and {len(found) - _MAX_FINDINGS} more")
    return findings


def _check_file(name: str, path: Path, forbidden: Forbidden) -> Iterator[str]:
    if MIMIC_IDS.search(name.encode()):
        yield "its name contains a possible id of MIMIC-CXR"
    if path.suffix in _TEXT_SUFFIXES:
        yield from _check_text(path)
        return
    kind = name.split("/")[0]
    if kind not in _TABLES or path.suffix != ".parquet":
        yield "is not a file of a published mix"
        return
    schema, check = _TABLES[kind]
    try:
        table = pq.ParquetFile(path)
        if not table.schema_arrow.remove_metadata().equals(schema().remove_metadata()):
            yield "has other columns than a published file of this name"
            return
        for batch in table.iter_batches(batch_size=_BATCH_ROWS):
            yield from check(batch, forbidden)
            yield from _check_ids(batch, forbidden)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        yield f"cannot be read as parquet ({str(error).splitlines()[0]})"


def _check_text(path: Path) -> Iterator[str]:
    data = path.read_bytes()
    for match in MIMIC_IDS.finditer(data):
        line = data.count(b"\n", 0, match.start()) + 1
        yield f"line {line} contains a possible id of MIMIC-CXR"
    if b"\0" in data:
        yield "is not a text file"


def _check_records(batch: pa.RecordBatch, forbidden: Forbidden) -> Iterator[str]:
    yield from _check_index(batch, forbidden)
    for id_, source, sha256, images in zip(
        *(batch[name].to_pylist() for name in ("id", "source", "image_sha256")), batch["images"], strict=True
    ):
        if forbidden.images & set(sha256 or ()):
            yield f"{_record_name(id_, source)}: has an image of a credentialed record"
        contents = [image["bytes"].as_py() or b"" for image in images.values or ()]
        stored = {hashlib.sha256(content).hexdigest() for content in contents}
        if forbidden.images & (stored | {original_sha256(content) for content in contents}):
            yield f"{_record_name(id_, source)}: has the image bytes of a credentialed record"


def _record_name(id_: Any, source: Any) -> str:
    """Give the id of a record, or only its source if that is credentialed or unknown."""
    is_open = source in facts.source_ids() and source not in _credentialed_sources()
    return str(id_) if is_open and str(id_).startswith(f"{source}/") else f"a record of {source!r}"


def refusal_reason(source: Any, licence: Any, verdict: Any) -> str:
    """Give the reason why a record of this source, licence and verdict must not be published, or ""."""
    if source not in facts.source_ids():
        return f"has the unknown source {source!r}"
    if verdict != "redistributable":
        return f"is {verdict or 'without a verdict'}"
    if licence not in terms.TERMS or terms.verdict(licence) != "redistributable":
        return f"has the licence {licence!r}, which does not allow redistribution"
    known = facts.load(source)
    if known.access == "credentialed" or known.licence.verdict == "credentialed":
        return f"is from the credentialed source {source}"
    by_row = known.licence.per_record or known.licence.members or known.article_licences
    if known.licence.verdict != "redistributable" and not by_row:
        return f"is from {source}, whose records are all {known.licence.verdict}"
    return ""


def _credentialed_sources() -> list[str]:
    return [source for source in facts.source_ids() if facts.load(source).access == "credentialed"]


def _check_pointers(batch: pa.RecordBatch, forbidden: Forbidden) -> Iterator[str]:
    for row in batch.to_pylist():
        is_secret = row["license_verdict"] not in ("research-only", "unclear", "redistributable")
        is_secret = is_secret or str(row["shard"]).split("/")[1:2] in [[source] for source in _credentialed_sources()]
        columns = [name for name in (*pointers.CLEAR_COLUMNS, "image_sha256") if row[name]]
        if is_secret and columns:
            yield f"contains {', '.join(columns)} of a credentialed record"
        if is_secret and not row["keyed_id"]:
            yield "has a credentialed record without a keyed digest"
        if forbidden.images & set(row["image_sha256"] or ()):
            yield "contains the digest of a credentialed record's image"


def _check_ledger(batch: pa.RecordBatch, forbidden: Forbidden) -> Iterator[str]:
    for source in set(batch["source"].to_pylist()):
        if source not in facts.source_ids():
            yield f"has rows of the unknown source {source!r}"
        elif source in _credentialed_sources():
            yield f"has rows of the credentialed source {source}"


def _check_item_keys(batch: pa.RecordBatch, forbidden: Forbidden) -> Iterator[str]:
    for name in set(batch["set"].to_pylist()):
        if name.split()[0] in _credentialed_sources():
            yield f"has keys of {name}, a set of a credentialed source"


def _check_index(batch: pa.RecordBatch, forbidden: Forbidden) -> Iterator[str]:
    columns = ("id", "source", "license", "license_verdict")
    for id_, source, licence, verdict in zip(*(batch[name].to_pylist() for name in columns), strict=True):
        if reason := refusal_reason(source, licence, verdict):
            yield f"{_record_name(id_, source)}: {reason}"


_TABLES: dict[str, tuple[Callable[[], pa.Schema], Callable[[pa.RecordBatch, Forbidden], Iterator[str]]]] = {
    "data": (mix_schema, _check_records),
    pointers.FOLDER: (lambda: pointers.SCHEMA, _check_pointers),
    "ledger.parquet": (lambda: pl.DataFrame(schema=ledger.SCHEMA).to_arrow().schema, _check_ledger),
    item_keys.NAME: (lambda: pl.DataFrame(schema=item_keys.SCHEMA).to_arrow().schema, _check_item_keys),
    record_digests.NAME: (lambda: record_digests.SCHEMA, _check_index),
    attribution.NAME: (lambda: attribution.SCHEMA, _check_index),
}
"""First part of a file's name -> the schema of the file, and the check of its rows."""


def _check_ids(batch: pa.RecordBatch, forbidden: Forbidden) -> Iterator[str]:
    """Search every text and every image for ids."""
    for column in batch.schema.names:
        if any(_contains_id(values, forbidden) for values in _leaf_arrays(batch[column])):
            yield f"column {column} contains a possible id of MIMIC-CXR"


def _leaf_arrays(array: pa.Array) -> Iterator[pa.Array]:
    """Give the arrays of texts and bytes inside an array."""
    kind = array.type
    if pa.types.is_struct(kind):
        for place in range(kind.num_fields):
            yield from _leaf_arrays(array.field(place))
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        yield from _leaf_arrays(array.flatten())
    elif pa.types.is_string(kind) or pa.types.is_binary(kind) or pa.types.is_large_string(kind):
        yield array


def _contains_id(array: pa.Array, forbidden: Forbidden) -> bool:
    """Whether a value contains an id; one search of all values comes first, since most arrays have none."""
    is_text = not pa.types.is_binary(array.type)
    data = array.buffers()[2]
    if data is None or not (any(one.search(data) for one in _ID_PREFIXES) or (is_text and _STUDY.search(data))):
        return False
    for value in array.to_pylist():
        content = value.encode() if isinstance(value, str) else value or b""
        if MIMIC_IDS.search(content):
            return True
        if is_text and any(number.decode() in forbidden.studies for number in _STUDY.findall(content)):
            return True
    return False
