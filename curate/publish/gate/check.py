"""The last check before an upload: it reads the files themselves and trusts no manifest, plan or folder name.

    digests -> the release written again -> tables written again -> every row, text and image against the withheld ones

A file goes only if it is what the mix gives now, to the byte, and holds nothing but its rows. Records must be
redistributable by their own columns and evidence, by the terms of their licence and by the facts of their source. Ids
of MIMIC-CXR, texts of withheld reports, withheld records under other names and images of credentialed records are
refused wherever they stand.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ... import engine
from ...describe import thumbnails
from ...errors import WorkError
from ...measure.shingles import Hashes
from ...progress import Amounts, reporting
from ...shards import file_sha256, unique_name
from ...write import bare_images, manifest
from .. import release
from ..hub import LocalFile
from ..release import Release
from . import ids, phrases, records, table_bytes, tables, texts, whole, withheld
from .phrases import Hit

_BATCH_ROWS = 64
_MAX_FINDINGS = 5
"""Findings listed for one file."""

_NO_RECORD = (AttributeError, LookupError, TypeError, ValueError)
"""What rows raise that lack a value, or have one of another form."""

_DAMAGE = (pl.exceptions.PolarsError, pa.ArrowException, OSError, *_NO_RECORD)

_SMALL_BYTES = 256_000_000
"""Size of a mix that one process checks, since starting others takes longer."""

_MAY_NOT = "contains {words} words in a row of a report of {source}"


@dataclass(frozen=True, slots=True)
class FileTask:
    """A file to check: its name in the repository, where it lies, the mix, and the file of its withheld records."""

    name: str
    path: Path
    mix: Path
    known: Path
    sizes: frozenset[int] = frozenset()


class FileReport(NamedTuple):
    """What is wrong with a file, and the phrases of withheld reports in it, each with the row or page it stands in."""

    name: str
    findings: list[str]
    hits: list[tuple[str, Hit]]


def check(prepared: Release, files: Mapping[str, LocalFile], mix: Path, workers: int = 1) -> list[str]:
    """List the findings that forbid an upload of these files of a release, each beginning with the name of its file.

    Raises:
        WorkError: the mix is damaged.
    """
    work = prepared.folder.parent
    if findings := [f"{name}: {problem}" for name, local in files.items() for problem in _file_problems(name, local)]:
        return findings
    known = work / f"withheld-{unique_name()}.npz"
    if (
        sum(path.stat().st_size for folder in ("data", "restricted") for path in (mix / folder).glob("*/*"))
        < _SMALL_BYTES
    ):
        workers = 1
    try:
        findings = [*whole.findings(mix), *whole.unlike_tables(mix, workers), *_unlike_mix(prepared, files, mix, work)]
        withheld.save(withheld.gather(mix, workers), known)
        sizes = texts.sizes_of(manifest.read(mix), prepared.document)
        tasks = [FileTask(name, local.path, mix, known, sizes) for name, local in files.items()]
        sizes_of_files = [local.bytes for local in files.values()]
        with reporting("checking the files to upload", len(tasks), "files", Amounts(sizes_of_files)) as ended:
            reports = list(engine.run(check_file, tasks, workers, sizes_of_files, ended))
        return [*findings, *_listed(_with_phrases(reports, mix, workers))]
    except _DAMAGE as error:
        problem = (str(error) or type(error).__name__).splitlines()[0]
        raise WorkError(f"{mix}: damaged ({problem}), nothing was uploaded; see: medmix check {mix}") from error
    finally:
        known.unlink(missing_ok=True)


def _file_problems(name: str, local: LocalFile) -> Iterator[str]:
    """Compare a file with the manifest, by name and digest."""
    parts = Path(name).parts
    if name.startswith("/") or "\\" in name or ".." in parts or parts[0] not in manifest.ENTRIES:
        yield "is not a file of a published mix"
    elif not local.path.is_file():
        yield "is missing"
    elif file_sha256(local.path) != local.sha256:
        yield "its bytes differ from those that the build wrote"


def _unlike_mix(prepared: Release, files: Mapping[str, LocalFile], mix: Path, work: Path) -> list[str]:
    """Write the release again and list the files in which it differs."""
    with release.written_again(prepared, mix, work) as again:
        own = set(again.files())
        findings = [f"{name}: is not a file of a published mix" for name in files if name not in own]
        differing = [name for name in files if name in own and file_sha256(again.folder / name) != files[name].sha256]
        return [*findings, *(f"{name}: is not what the mix gives now; push again" for name in differing)]


def check_file(task: FileTask) -> FileReport:
    """Check one file for itself."""
    known = records.load(task.mix, task.known)
    findings: list[str] = []
    if next(ids.find(task.name.encode(), known.withheld.numbers), None) is not None:
        findings.append("its name contains a possible id of MIMIC-CXR")
    if task.name == thumbnails.NAME:
        data = task.path.read_bytes()
        findings += [] if bare_images.bare(data) == data else ["holds more than a picture, or none"]
        return FileReport(task.name, findings, [])
    if task.path.suffix in texts.PAGE_SUFFIXES:
        data = task.path.read_bytes()
        findings += texts.page_findings(data, known.withheld.numbers, task.sizes)
        hits = [("", hit) for hit in texts.page_hits(task.name, data, known.withheld.phrases)]
        return FileReport(task.name, findings, hits)
    hits = []
    try:
        for finding, hit in _table_findings(task, known):
            findings += [finding] if finding else []
            hits += [hit] if hit else []
    except (pl.exceptions.PolarsError, pa.ArrowException, OSError, UnicodeDecodeError) as error:
        findings.append(f"cannot be read as parquet ({str(error).splitlines()[0]})")
    except _NO_RECORD as error:
        findings.append(f"has a row that no build writes ({error})")
    return FileReport(task.name, findings, hits)


def _table_findings(task: FileTask, known: records.Known) -> Iterator[tuple[str, tuple[str, Hit] | None]]:
    schema = table_bytes.schema(task.name)
    if schema is None:
        yield "is not a file of a published mix", None
        return
    table = pq.ParquetFile(task.path)
    if not table.schema_arrow.remove_metadata().equals(schema.remove_metadata()):
        yield "has other columns than a published file of this name", None
        return
    if not table_bytes.is_only_its_rows(task.name, task.path, task.known.parent):
        yield "holds other bytes than its rows give with the installed libraries; build the mix again", None
    for batch in table.iter_batches(batch_size=_BATCH_ROWS):
        rows = batch.to_pylist()
        for row in rows:
            for finding in tables.findings(task.name, row, known):
                yield finding, None
        for column in texts.id_columns(batch, known.withheld.numbers):
            yield f"column {column} contains a possible id of MIMIC-CXR", None
        for hit in texts.row_hits(rows, known.withheld.phrases):
            yield "", (_row_name(rows[hit.place]), hit)


def _row_name(row: Mapping[str, Any]) -> str:
    return f"{records.name(row.get('id'), row.get('source'))}: " if "source" in row else ""


def _with_phrases(reports: Sequence[FileReport], mix: Path, workers: int) -> Iterator[FileReport]:
    """Add the phrases of withheld reports to the findings, unless they are stock phrases."""
    hits = [hit for report in reports for _, hit in report.hits if hit.words <= phrases.STOCK_WORDS]
    usual: frozenset[int] = frozenset()
    if hits:
        shards = sorted([*(mix / "data").glob("*/*.parquet"), *(mix / "restricted").glob("*/*.parquet")])
        wanted = np.unique(np.array([phrase for hit in hits for phrase in hit.phrases], np.uint64))
        found: dict[str, Hashes] = {}
        for source, known in engine.run(_phrases_of_shard, [(shard, wanted) for shard in shards], workers):
            found[source] = np.union1d(found.get(source, known), known)
        usual = phrases.stock(hits, found)
    for report in reports:
        leaks = [(where, hit) for where, hit in report.hits if phrases.is_leak(hit, usual)]
        lines = [f"{where}{_MAY_NOT.format(words=hit.words, source=hit.source)}" for where, hit in leaks]
        yield report._replace(findings=[*report.findings, *lines])


def _phrases_of_shard(task: tuple[Path, Hashes]) -> tuple[str, Hashes]:
    """Give the source of a shard, and those of some phrases that its questions and answers contain."""
    shard, wanted = task
    found = [np.zeros(0, np.uint64)]
    for batch in pq.ParquetFile(shard).iter_batches(columns=["question", "answer"]):
        texts = [text for column in batch.columns for text in column.to_pylist() if text]
        found.append(np.intersect1d(phrases.hashes_of(texts)[0], wanted))
    return shard.parent.name, np.unique(np.concatenate(found))


def _listed(reports: Iterator[FileReport]) -> Iterator[str]:
    for report in reports:
        yield from (f"{report.name}: {line}" for line in report.findings[:_MAX_FINDINGS])
        if len(report.findings) > _MAX_FINDINGS:
            yield f"{report.name}: and {len(report.findings) - _MAX_FINDINGS} more"
