"""The build: upstream files to a mix. The order of the stages; the only file that knows them all.

    scan (parallel, per upstream shard) -> decide (tables) -> materialise (parallel, per output shard) -> publish

Everything is prepared in `OUT/.work` and moved into place at the end, the manifest last. A build that was killed
finds its finished pieces there and goes on; a finished one finds that nothing changed.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from . import (
    articles,
    candidates,
    caps,
    cards,
    contamination,
    contradictions,
    croissant,
    duplicates,
    engine,
    expectations,
    leaks,
    ledger,
    manifest,
    materialise,
    policy,
    sampledata,
    screen,
    splits,
    statistics,
)
from .errors import UsageError
from .inputs import Input, find
from .mixture import Mixture
from .progress import say, track
from .publish import pointers, versions
from .scan import scan_all
from .scantexts import ScanTexts
from .sources import layouts
from .text import find_model
from .workplace import place, remove_all, working


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What the command adds to the mixture.

    Attributes:
        only: read these sources and no others; empty reads all.
        allow_missing: go on without these if they are not there.
        limit: read only the first rows of each source.
        workers: processes; the mix does not depend on it.
        fresh: forget earlier scans and pieces.
        language_model: path of fastText's `lid.176.ftz`, or None for the installed one.
    """

    only: tuple[str, ...] = ()
    allow_missing: tuple[str, ...] = ()
    limit: int | None = None
    workers: int = 1
    fresh: bool = False
    language_model: Path | None = None


def build(mixture: Mixture, root: Path | None, out: Path, options: BuildOptions) -> dict[str, Any]:
    """Build a mix into `out` and give its manifest; does nothing when it lies there already.

    Raises:
        UsageError: mixture, root, out or an upstream file cannot be used; nothing in `out` has changed.
        WorkError: the work failed on its way; the same command goes on where it stopped.
    """
    language_model = find_model(options.language_model)
    with working(out, options.fresh) as work:
        if root is None:
            root = _sample_root(mixture, work)
        inputs, missing = find(mixture, root, options.only, options.allow_missing)
        notes = _notes(mixture, inputs, missing, options)
        _say_notes(notes)
        seconds: dict[str, float] = {}
        with _timed(seconds, "scan"):
            scans = scan_all(
                inputs, work / "scans", mixture.images.max_pixels, options.limit, options.workers, language_model
            )
        settings = {
            "mixture": asdict(mixture),
            "only": options.only,
            "allow_missing": options.allow_missing,
            "limit": options.limit,
        }
        complete = expectations.complete(inputs)
        beside = {"complete": complete, "articles": articles.digest(root), "facts": _facts(inputs)}
        digest = manifest.inputs_digest({**settings, **beside}, [path for _, path in scans])
        finished = None if options.fresh else manifest.read_finished(out, digest)
        if finished is not None:
            _say_warnings(finished["warnings"])
            say(f"{out} is up to date")
            return finished
        stage = work / f"mix-{digest[:20]}"
        remove_all(other for other in work.glob("mix-*") if other != stage)
        with _timed(seconds, "decide"):
            rows = candidates.load(scans, options.limit, mixture.sections())
            counted = not mixture.sample_data and options.limit is None
            differences = expectations.differences(rows, inputs, complete) if counted else []
            _say_notes(expectations.notes(differences))
            _say_warnings(expectations.warnings(differences))
            rows = articles.add_wordings(rows, articles.table(root), {entry.source: entry.facts for entry in inputs})
            decided, shared = decide(rows, mixture, inputs, ScanTexts(scans, mixture.sections()))
            unclear = policy.notes(policy.said(decided), {entry.source: entry.facts for entry in inputs})
            for note in unclear:
                say(f"note: {note}")
            ledger.write(stage / "ledger.parquet", decided)
        with _timed(seconds, "write"):
            files = _materialise(decided, inputs, scans, mixture, stage, options.workers)
        document = manifest.compose(
            mixture=mixture,
            digest=digest,
            settings=settings,
            inputs=inputs,
            missing=missing,
            notes=[*notes, *expectations.notes(differences), *unclear],
            warnings=expectations.warnings(differences),
            decided=decided,
            evaluation=contamination.coverage(decided, mixture.evaluation),
            leaks=shared,
        )
        document["files"] = manifest.file_facts(stage, [*files, "ledger.parquet"])
        document["statistics"] = statistics.measure(stage, manifest.shards_of(document))
        document["near_empty_characters"] = statistics.NEAR_EMPTY_CHARACTERS
        written = [*cards.write(stage, document), *croissant.write(stage, document)]
        document["files"] |= manifest.file_facts(stage, written)
        document["timings"] = {name: round(value, 3) for name, value in seconds.items()}
        document = manifest.write(stage, document)
        if differs := versions.on_rebuild(out, stage):
            say(f"note: {differs}")
        place(stage, out)
        remove_all(path for path in (work / "scans").iterdir() if path not in {path for _, path in scans})
    return document


def decide(
    rows: pl.DataFrame, mixture: Mixture, inputs: Sequence[Input], scanned: ScanTexts
) -> tuple[pl.DataFrame, list[dict[str, str | int]]]:
    """Decide on every record: adds `split`, `licence`, `verdict`, `outcome`, `score`; and give the leak matrix.

    A record falls at the first stage that drops it; later stages no longer see it, except as what protects
    others (evaluation items, rows of protected splits). All hangs on the rows, the mixture and the scanned texts.
    """
    sources = {entry.source: entry.facts for entry in inputs}
    table = policy.resolve(splits.assign(rows, mixture), sources)
    table = table.with_columns(score=pl.lit(None, pl.Float64))
    spared = leaks.is_evaluation(mixture.evaluation)
    table = table.pipe(_fell, "screen", screen.empty_text)
    table = table.pipe(_fell, "screen", screen.small_images, mixture.images)
    table = table.pipe(_fell, "screen", screen.other_languages, mixture.languages)
    table = table.pipe(_fell, "licences", policy.excluded, mixture.licence_policy)
    table = table.pipe(_fell, "splits", splits.held_out, mixture)
    ties = leaks.find(_alive(table), table, mixture.evaluation, scanned)
    table = table.pipe(_fell, "contamination", contamination.drops, ties, table, mixture.evaluation)
    if mixture.conflicts == "drop":
        table = table.pipe(_fell, "splits", splits.conflicts, table)
    table = table.pipe(_fell, "duplicates", duplicates.exact, spared)
    table = table.pipe(_fell, "duplicates", duplicates.near, spared, scanned, mixture.duplicates.text)
    if mixture.duplicates.contradictions == "drop":
        table = table.pipe(_fell, "contradictions", contradictions.drops, spared)
    table = table.pipe(_fell, "caps", caps.repeated_reports, mixture)
    table = table.pipe(_fell, "caps", caps.over, mixture)
    outcome = pl.when(pl.col("reason") == "").then(pl.lit("kept")).otherwise(pl.lit("dropped"))
    return table.with_columns(outcome=outcome), leaks.matrix(ties, table, mixture.evaluation)


def _fell(table: pl.DataFrame, name: str, stage: Callable[..., pl.DataFrame], *rules: Any) -> pl.DataFrame:
    """Let a stage drop some of the rows that the ones before it left."""
    drops = stage(_alive(table), *rules)
    return table.update(drops.with_columns(stage=pl.lit(name)), on="index")


def _alive(table: pl.DataFrame) -> pl.DataFrame:
    return table.filter(pl.col("reason") == "")


def _notes(mixture: Mixture, inputs: Sequence[Input], missing: Sequence[str], options: BuildOptions) -> list[str]:
    """Say what this build leaves out that a full one would have."""
    notes = [
        f"{entry.source}: read as {entry.layout}; {', '.join(entry.unread)} lies there too, "
        "a copy of the same rows, and was not read (choose with `layout:` in the mixture)"
        for entry in inputs
        if entry.unread
    ]
    for entry in inputs:
        layout = next(layout for layout in layouts(entry.source) if layout.name == entry.layout)
        notes += [f"{entry.source}: {line}" for line in layout.notes(entry.folder)]
    if missing:
        notes.append(f"left out, as allowed: {', '.join(missing)}")
    read = {entry.source for entry in inputs}
    unchecked = [f"{item.source} {item.split}" for item in mixture.evaluation if item.source not in read]
    if unchecked:
        notes.append(f"not kept clean of evaluation sets that were not read: {', '.join(unchecked)}")
    if options.limit is not None:
        notes.append(f"only the first {options.limit} rows of each source were read: evaluation sets may be incomplete")
    return notes


def _say_notes(lines: Sequence[str]) -> None:
    for line in lines:
        say(f"note: {line}")


def _say_warnings(lines: Sequence[str]) -> None:
    for line in lines:
        say(f"warning: {line}")


def _facts(inputs: Sequence[Input]) -> dict[str, Any]:
    """Give all that the cards say of the sources, by which the manifest then knows an unchanged mix."""
    return {entry.source: asdict(entry.facts) for entry in inputs}


def _sample_root(mixture: Mixture, work: Path) -> Path:
    if not mixture.sample_data:
        raise UsageError(f"mixture {mixture.name} reads real sources: give their folder with --root")
    root = work / "sample-data"
    if not root.exists():
        sampledata.write(root, mixture.seed)
    return root


def _materialise(
    decided: pl.DataFrame,
    inputs: Sequence[Input],
    scans: Sequence[tuple[str, Path]],
    mixture: Mixture,
    stage: Path,
    workers: int,
) -> list[str]:
    """Write all shards and pointers; give their paths relative to the mix, sorted."""
    by_source = {entry.source: entry for entry in inputs}
    kept = decided.filter(pl.col("outcome") == "kept")
    tasks = []
    plans = materialise.plan(kept, mixture.shard_megabytes * 1_000_000)
    for plan in plans:
        entry = by_source[plan.path.split("/")[1]]
        paths = tuple(path for _, path in scans)
        section = mixture.sections().get(entry.source)
        tasks.append(materialise.WriteTask(plan, stage, paths, entry.folder, entry.facts, entry.layout, section))
    files = list(track(engine.run(materialise.write, tasks, workers), len(tasks), "writing"))
    for source in by_source:
        restricted = [plan for plan in plans if plan.path.startswith(f"restricted/{source}/")]
        written = pointers.write(stage, source, restricted)
        if written:
            files.append(written)
    return sorted(files)


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    seconds[name] = time.monotonic() - started
