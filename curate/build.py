"""The build: upstream files to a mix. The order of the passes.

    scan (parallel, per upstream shard) -> compare (parallel, pairs of images) -> decide (tables)
      -> materialise (parallel, per output shard) -> publish

Everything is prepared in `OUT/.work` and moved into place at the end, the manifest last. A build that was killed
finds its finished pieces there and goes on; a finished one finds that nothing changed.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from . import engine, leftout, sampledata
from .decide import candidates, imagecopies, leaks, pictures, policy, splits
from .decide.scantexts import ScanTexts
from .decide.stages import decide
from .describe import cards, croissant, report, statistics
from .errors import UsageError
from .evaluationsets import coverage, sets
from .evaluationsets.fingerprint_file import EvaluationFile
from .measure.scans import ScanFile, scan_all
from .measure.text import find_model
from .mixture import Mixture
from .progress import say, track
from .publish import pointers, versions
from .read import articles, expectations
from .read.inputs import Input, find
from .write import ledger, manifest, materialise
from .write.workplace import place, remove_all, working


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
        notes = leftout.notes(mixture, inputs, missing, options.limit)
        _say_notes(notes)
        seconds: dict[str, float] = {}
        with _timed(seconds, "scan"):
            scans = scan_all(
                inputs, work / "scans", mixture.images.max_pixels, options.limit, options.workers, language_model
            )
            aside = sets.find(mixture.evaluation, root, work / "evaluation", mixture.images.max_pixels, options.workers)
        settings = {
            "mixture": asdict(mixture),
            "only": options.only,
            "allow_missing": options.allow_missing,
            "limit": options.limit,
        }
        further = leftout.of_evaluation(aside, mixture.evaluation)
        _say_notes(further)
        complete = expectations.complete(inputs)
        beside = {
            "complete": complete,
            "articles": articles.digest(root),
            "facts": _facts(inputs),
            "aside": sets.digest(aside),
        }
        digest = manifest.inputs_digest({**settings, **beside}, [path for _, path in scans])
        finished = None if options.fresh else manifest.read_finished(out, digest)
        if finished is not None:
            _say_warnings(finished["warnings"])
            say(f"{out} is up to date")
            return finished
        stage = work / f"mix-{digest[:20]}"
        remove_all(other for other in work.glob("mix-*") if other != stage)
        with _timed(seconds, "load"):
            rows = candidates.load(scans, options.limit, mixture.sections())
            counted = not mixture.sample_data and options.limit is None
            differences = expectations.differences(rows, inputs, complete) if counted else []
            _say_notes(expectations.notes(differences))
            _say_warnings(expectations.warnings(differences))
            rows = articles.add_wordings(rows, articles.table(root), {entry.source: entry.facts for entry in inputs})
            rows = policy.resolve(splits.assign(rows, mixture), {entry.source: entry.facts for entry in inputs})
        with _timed(seconds, "compare"):
            copies, outside = _compare(rows, inputs, scans, aside, mixture, work, options.workers)
        with _timed(seconds, "decide"):
            decided, shared = decide(rows, mixture, ScanTexts(scans, mixture.sections()), copies, outside)
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
            notes=[*notes, *further, *expectations.notes(differences), *unclear],
            warnings=expectations.warnings(differences),
            decided=decided,
            evaluation=coverage.coverage(decided, mixture.evaluation, aside),
            leaks=shared,
        )
        document["files"] = manifest.file_facts(stage, [*files, "ledger.parquet"])
        document["statistics"] = statistics.measure(stage, manifest.shards_of(document))
        document["near_empty_characters"] = statistics.NEAR_EMPTY_CHARACTERS
        written = [*cards.write(stage, document), *croissant.write(stage, document), *report.write(stage, document)]
        document["files"] |= manifest.file_facts(stage, written)
        document["timings"] = {name: round(value, 3) for name, value in seconds.items()}
        document = manifest.write(stage, document)
        if differs := versions.describe_rebuild(out, stage):
            say(f"note: {differs}")
        place(stage, out)
        remove_all(path for path in (work / "scans").iterdir() if path not in {path for _, path in scans})
    return document


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


def _compare(
    rows: pl.DataFrame,
    inputs: Sequence[Input],
    scans: Sequence[ScanFile],
    aside: Mapping[int, EvaluationFile],
    mixture: Mixture,
    work: Path,
    workers: int,
) -> tuple[pl.DataFrame, leaks.Outside]:
    """Find the copies among all images, and of the evaluation sets aside, whose items are numbered on from the rows."""
    seen = pictures.load(scans, rows, {entry.source: entry.folder for entry in inputs})
    others = [image for file in aside.values() for image in file.images]
    copies = imagecopies.find(seen, others, mixture.images.max_pixels, work / "comparisons", workers)
    return copies, sets.outside(aside, rows.height, len(seen.prints))


def _materialise(
    decided: pl.DataFrame,
    inputs: Sequence[Input],
    scans: Sequence[ScanFile],
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
