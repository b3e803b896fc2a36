"""The scans of a build: all shards of all sources, in parallel."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from .. import engine
from ..progress import Amounts, reporting
from ..read.inputs import Input
from ..sources import Shard
from . import scanned_files
from .scan import ScanTask, find, scan

BYTES_A_ROW = {".parquet": 50_000, ".arrow": 50_000, ".gz": 40}
"""Of files that hold their images, and of packed tables, by suffix."""

BYTES_A_TEXT_ROW = 150


class ScanFile(NamedTuple):
    """A scan of one upstream shard: the source that it is of, and the file."""

    source: str
    path: Path


def scan_all(
    inputs: Sequence[Input],
    out: Path,
    max_pixels: int,
    limit: int | None,
    workers: int,
    language_model: Path,
    verify: bool = False,
) -> list[ScanFile]:
    """Scan all shards of all sources, in parallel, and give their scans in reading order.

    The settings are those of `ScanTask`.

    Raises:
        InputError: an upstream file is unusable as a whole.
    """
    return run_tasks(tasks_of(inputs, out, max_pixels, limit, language_model, verify), workers)


def tasks_of(
    inputs: Sequence[Input],
    out: Path,
    max_pixels: int,
    limit: int | None,
    language_model: Path,
    verify: bool = False,
) -> list[ScanTask]:
    """Give the tasks of all shards of all sources in reading order, whether or not they are done."""
    return [
        ScanTask(
            source=entry.source,
            folder=entry.folder,
            layout=entry.layout,
            shard=shard,
            out=out,
            max_pixels=max_pixels,
            language=entry.facts.languages[0],
            one_language=len(entry.facts.languages) == 1,
            language_model=language_model,
            limit=limit,
            verify=verify,
        )
        for entry in inputs
        for shard in entry.shards
    ]


def run_tasks(tasks: Sequence[ScanTask], workers: int) -> list[ScanFile]:
    """Scan shards in parallel, unless they are scanned, and give their scans in the order of the tasks."""
    sizes = [rough_rows(task.folder, task.shard) for task in tasks]
    with reporting("reading", len(tasks), "files", Amounts(sizes)) as ended:
        paths = list(engine.run(scan, tasks, workers, sizes, ended))
    return [ScanFile(task.source, path) for task, path in zip(tasks, paths, strict=True)]


def rough_rows(folder: Path, shard: Shard) -> int:
    """Estimate the rows of a shard without reading them, for the order in which scans start.

    Images take the time, wherever they are, so bytes do not compare: a row with its image is as long as hundreds that
    name theirs.
    """
    if shard.piece is not None:
        return shard.piece.stop - shard.piece.start
    path = folder / shard.files[0]
    return path.stat().st_size // BYTES_A_ROW.get(path.suffix, BYTES_A_TEXT_ROW) if path.is_file() else 0


def find_all(tasks: Sequence[ScanTask], workers: int) -> list[ScanFile | None]:
    """Give the scans of shards in the order of the tasks, None for each that is not there; nothing is scanned."""
    paths = engine.run(find, tasks, workers)
    return [ScanFile(task.source, path) if path else None for task, path in zip(tasks, paths, strict=True)]


def files_of(scans: Sequence[ScanFile]) -> set[Path]:
    """Give the files of scans, with those beside them that a later run needs."""
    return {path for scan in scans for path in (scan.path, scanned_files.path_of(scan.path))}
