"""Pass 3: write the kept records as parquet, with the bytes of their images (`image_encoding`)."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from .. import engine, record
from ..errors import WorkError
from ..facts import Facts
from ..licences.rulings import rule
from ..measure import report_sections
from ..measure.scans import ScanFile
from ..progress import Amounts, reporting
from ..read import zip_index
from ..read.image_store import ImageStore
from ..read.inputs import Input
from ..record import ImageRef, Record
from ..shards import file_sha256, write_rows
from . import finished_shards, record_facts, shard_borders
from .chat import messages
from .features import mix_schema
from .image_encoding import encode_image

DECIDED = ("scan", "scan_row", "id", "split", "wording", "article", "article_read")
"""The columns of pass 2 that writing a record needs."""

BYTES_A_RECORD = 46_000
"""A record without an image takes as long to write as so many bytes of images."""


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """An output shard that is not written yet.

    Attributes:
        path: POSIX, relative to the mix: `data/slake/train-00000-of-00002.parquet`.
        rows: the columns `DECIDED` of its records, in output order.
        bytes: its size, nearly; 0 if it is not known.
    """

    path: str
    rows: pl.DataFrame
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class WriteTask:
    """A shard to write into `out`, from the scan files `scans` and the source's own `folder`.

    If `section` is set, only that section of each report is written. `digests` are those of the scans; `work` is the
    folder of `finished_shards` and `record_facts`, if there is one.
    """

    plan: ShardPlan
    out: Path
    scans: tuple[Path, ...]
    digests: tuple[str, ...]
    work: Path | None
    folder: Path
    facts: Facts
    layout: str
    section: record.Section | None = None


class WrittenShard(NamedTuple):
    """A written shard.

    Its path as in `ShardPlan`, key and digest, the path of its table of `record_facts` if there is a work folder, and
    whether an earlier build had written it.
    """

    path: str
    key: str
    sha256: str
    facts: Path | None
    is_old: bool


def folder_of(verdict: pl.Expr) -> pl.Expr:
    """Return the top-level folder of a record by its verdict; only redistributable records go to `data`."""
    return pl.when(verdict == "redistributable").then(pl.lit("data")).otherwise(pl.lit("restricted"))


def plan(kept: pl.DataFrame, shard_bytes: int) -> list[ShardPlan]:
    """Partition the kept records into shards of about `shard_bytes`, by folder, source and split, in reading order."""
    shards = []
    placed = kept.with_columns(
        folder=folder_of(pl.col("verdict")), size=pl.col("image_bytes").fill_null(0) + pl.col("text_bytes")
    )
    for (folder, source, split), rows in placed.group_by("folder", "source", "split", maintain_order=True):
        parts = shard_borders.cut(rows["id"].to_list(), rows["size"].to_list(), shard_bytes)
        for number, (first, end) in enumerate(parts):
            path = f"{folder}/{source}/{split}-{number:05d}-of-{len(parts):05d}.parquet"
            part = rows[first:end]
            shards.append(ShardPlan(path, part.select(DECIDED), int(part["size"].sum())))
    return shards


def write_all(
    plans: Sequence[ShardPlan],
    inputs: Sequence[Input],
    scans: Sequence[ScanFile],
    sections: Mapping[str, record.Section],
    out: Path,
    workers: int,
    work: Path | None = None,
) -> list[WrittenShard]:
    """Write shards into `out`, in parallel; `sections` as in `Mixture.sections`, `work` as in `WriteTask`."""
    by_source = {entry.source: entry for entry in inputs}
    paths = tuple(scan.path for scan in scans)
    digests = tuple(map(file_sha256, paths)) if work else ()
    tasks = []
    for plan in plans:
        entry = by_source[plan.path.split("/")[1]]
        section = sections.get(entry.source)
        tasks.append(WriteTask(plan, out, paths, digests, work, entry.folder, entry.facts, entry.layout, section))
    sizes = [start_size(plan.bytes, plan.rows.height) for plan in plans]
    records = Amounts([plan.rows.height for plan in plans], "records")
    with reporting("writing", len(tasks), "shards", records) as ended:
        return list(engine.run(write, tasks, workers, sizes, ended))


def start_size(size: int, records: int) -> int:
    """Give how much work a shard is, in bytes: the record of a short text takes as long as one with a small image."""
    return size + records * BYTES_A_RECORD


def write(task: WriteTask) -> WrittenShard:
    """Write one shard, unless it exists or an earlier build has written it.

    Raises:
        WorkError: an image changed since it was measured.
    """
    path, work = task.out / task.plan.path, task.work
    if work is None:
        sha256 = file_sha256(path) if path.exists() else write_rows(path, mix_schema(), _rows(task))
        return WrittenShard(task.plan.path, "", sha256, None, is_old=False)
    scans = [(scan.name, digest) for scan, digest in zip(task.scans, task.digests, strict=True)]
    key = finished_shards.key(task.plan.rows, scans, task.facts, task.layout, task.section)
    if path.exists():  # a killed build or another part has written it
        sha256, facts = finished_shards.know(work, path)
    elif (old := finished_shards.take(work, key, path)) is not None:
        return WrittenShard(task.plan.path, key, *old, is_old=True)
    else:
        measured: list[pl.DataFrame] = []
        sha256 = write_rows(path, mix_schema(), _rows(task), lambda rows: measured.append(record_facts.measure(rows)))
        facts = record_facts.keep(work / record_facts.FOLDER, sha256, record_facts.concat(measured))
    finished_shards.keep(work, key, path, sha256)
    return WrittenShard(task.plan.path, key, sha256, facts, is_old=False)


def _rows(task: WriteTask) -> Iterator[tuple[dict[str, Any], int]]:
    with ImageStore(task.folder, task.out.parent / zip_index.FOLDER) as store:
        for decided, scanned in _with_scanned(task.plan.rows, task.scans):
            row = _row(decided, scanned, task)
            size = 1000
            sizes = zip(scanned["image_width"], scanned["image_height"], strict=True)
            for ref, expected, (width, height) in zip(scanned["images"], scanned["image_sha256"], sizes, strict=True):
                data = store.read(ImageRef(**ref))
                if hashlib.sha256(data).hexdigest() != expected:
                    path = task.folder / ref["path"]
                    raise WorkError(f"{path}: the image changed while the build ran; run the same command again")
                encoded, name = encode_image(
                    data, Path(ref["member"] or ref["path"]).name, width * height, task.plan.path.startswith("data/")
                )
                row["images"].append({"bytes": encoded, "path": name})
                size += len(encoded)
            yield row, size


def _with_scanned(rows: pl.DataFrame, scans: Sequence[Path]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Pair each decided row with its scanned row; read each scan once, sequentially."""
    for (scan,), part in rows.group_by("scan", maintain_order=True):
        decided = {row["scan_row"]: row for row in part.iter_rows(named=True)}
        first = 0
        for batch in pq.ParquetFile(scans[int(str(scan))]).iter_batches(batch_size=1024):
            selected = [number for number in range(first, first + batch.num_rows) if number in decided]
            scanned = batch.take(pa.array([number - first for number in selected], pa.int64())).to_pylist()
            yield from zip((decided[number] for number in selected), scanned, strict=True)
            first += batch.num_rows


def _row(decided: dict[str, Any], scanned: dict[str, Any], task: WriteTask) -> dict[str, Any]:
    record = _record(scanned, task)
    terms = decided["wording"], scanned["member"], scanned["third_party"], decided["article"], decided["article_read"]
    ruling = rule(task.facts.licence, *terms)
    return {
        "id": decided["id"],
        "source": record.source,
        "split": decided["split"],
        "task": record.task,
        "modality": record.modality,
        "images": [],
        "messages": messages(record, task.section),
        "question": record.question,
        "answer": record.answer,
        "alternatives": list(record.alternatives),
        "choices": list(record.choices),
        "answer_type": record.answer_type,
        "language": record.language,
        "group": record.group,
        "license": ruling.licence,
        "license_verdict": ruling.verdict,
        "license_evidence": {
            "declared": task.facts.licence.declared.license_text,
            "upstream": ruling.upstream,
            "evidence": ruling.evidence,
            "read": ruling.read,
        },
        "attribution": "; ".join(filter(None, (record.attribution, task.facts.attribution))),
        "upstream": {
            **task.facts.provenance(task.layout),
            "file": record.file,
            "row": record.row,
        },
        "image_sha256": scanned["image_sha256"],
        "image_phash": scanned["image_phash"],
    }


def _record(scanned: dict[str, Any], task: WriteTask) -> Record:
    fields = {name: scanned[name] for name in Record.__dataclass_fields__ if name in scanned}
    fields["images"] = tuple(ImageRef(**ref) for ref in scanned["images"])
    fields |= {name: tuple(scanned[name]) for name in ("alternatives", "choices")}
    fields["modality"] = scanned["modality"] or task.facts.modality
    if task.section:
        fields["answer"] = report_sections.section_text(scanned["answer"], task.section)
    return Record(source=task.facts.id, **fields)
