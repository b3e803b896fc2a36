"""The build: upstream files to a mix, pass by pass.

    scan (parallel, per upstream shard) -> compare (parallel, pairs of images) -> decide (tables)
      -> materialise (parallel, per output shard) -> publish

A build prepares everything in `OUT/.work` and moves it into place at the end, the manifest last. A killed build
resumes from its finished pieces there; a finished one is left as it is when nothing has changed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from . import engine, losses, omissions, parts, progress, sampledata
from .decide import candidates, leaks, policy, scan_images
from .decide.copy_search import Copies, CopySearch
from .decide.scan_texts import ScanTexts
from .decide.stages import Decision, decide
from .describe import cards, croissant, report, statistics
from .errors import MedmixError, UsageError, WorkError
from .evaluationsets import coverage, external_sets, item_keys
from .evaluationsets.fingerprint_file import FingerprintedSet
from .facts import Facts
from .measure.scans import ScanFile, files_of, scan_all
from .measure.text import find_model
from .mixture import Mixture
from .progress import say, say_all, timed
from .publish import record_tables, versions
from .read import articles, row_counts
from .read.inputs import Input, find
from .write import finished_shards, ledger, manifest, materialise, record_facts
from .write.workplace import place, remove_all, working


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """Options of the command, in addition to the mixture.

    Attributes:
        only: read these sources and no others; empty reads all.
        allow_missing: continue without these sources if they are absent.
        allow_lost: continue without files and rows of these sources that cannot be read.
        require_evaluation: refuse to build when an evaluation set of the mixture is not there.
        limit: read only the first rows of each source.
        workers: processes; the mix does not depend on it.
        fresh: discard earlier scans and pieces.
        verify_inputs: read the bytes of all images again before earlier scans are used.
        language_model: path of fastText's `lid.176.ftz`, or None for the installed one.
    """

    only: tuple[str, ...] = ()
    allow_missing: tuple[str, ...] = ()
    allow_lost: tuple[str, ...] = ()
    require_evaluation: bool = False
    limit: int | None = None
    workers: int = 1
    fresh: bool = False
    verify_inputs: bool = False
    language_model: Path | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """The inputs of all passes: what to build, from which sources and evaluation sets, and where."""

    mixture: Mixture
    options: BuildOptions
    root: Path
    work: Path
    inputs: Sequence[Input]
    scans: Sequence[ScanFile]
    external_evaluation_sets: Mapping[int, FingerprintedSet]

    @property
    def facts(self) -> dict[str, Facts]:
        """The facts about the sources, by their ids."""
        return {entry.source: entry.facts for entry in self.inputs}


def build(mixture: Mixture, root: Path | None, out: Path, options: BuildOptions) -> dict[str, Any]:
    """Build a mix into `out`, unless it is up to date, and give its manifest.

    Raises:
        UsageError: mixture, root, out or an upstream file cannot be used; nothing in `out` has changed.
        WorkError: the work failed; the same command resumes it.
    """
    seconds: dict[str, float] = {}
    language_model = find_model(options.language_model)
    with working(out, options.fresh) as work:
        engine.require_shared(work)
        is_generated = root is None
        root = root or sample_root(mixture, work)
        inputs, missing = find(mixture, root, options.only, options.allow_missing, options.allow_lost)
        if options.require_evaluation:
            omissions.require_evaluation(mixture, root, inputs)
        notes = say_all("note", omissions.of_sources(mixture, inputs, missing, options.limit))
        with timed(seconds, "scan"):
            context = _scan(mixture, options, root, work, inputs, language_model)
        notes += say_all("note", omissions.of_evaluation_sets(context.external_evaluation_sets))
        complete = row_counts.complete_sources(inputs)
        settings = settings_of(mixture, options)
        digest = digest_of(context, settings, complete)
        finished = None if options.fresh else manifest.read_finished(out, digest)
        if finished is not None:
            say(f"{out} is up to date")
            parts.end(work)
            return finished
        stage = work / f"mix-{digest[:20]}"
        remove_all(other for other in work.glob("mix-*") if other != stage)
        with timed(seconds, "load"), progress.stage("loading the scans"):
            records, differences = load_records(context, complete)
        notes += say_all("note", row_counts.notes(differences))
        warnings = [*omissions.missing_shards(inputs), *row_counts.warnings(differences)]
        search = copy_search(records, context)
        with timed(seconds, "compare"):
            copies = search.everywhere()
        with timed(seconds, "decide"), progress.stage(f"deciding on {records.height:,} records"):
            decision = decide_records(records, context, search, copies)
            decided = decision.records
            warnings += describe_losses(decided, context)
            fields = policy.count_licence_fields(decided)
            notes += say_all("note", policy.unknown_licence_notes(fields, context.facts))
            ledger.write(stage / "ledger.parquet", decided)
        with timed(seconds, "write"):
            with progress.stage("planning the shards"):
                plans = plan_shards(decided, mixture)
            shards = write_shards(plans, context, stage)
            tables = record_tables.write(stage, plans, shards, {entry.source: entry.facts for entry in inputs})
        incomplete = [entry.source for entry in inputs if options.limit is not None or entry.missing_shards]
        sets = context.external_evaluation_sets
        compared = coverage.coverage(decided, mixture.evaluation, sets, context.scans, incomplete)
        item_keys.write(stage / item_keys.NAME, compared.keys)
        warnings += coverage.not_checked(compared.sets)
        document = manifest.compose(
            mixture=mixture,
            digest=digest,
            settings=settings,
            inputs=inputs,
            missing=missing,
            notes=notes,
            warnings=warnings,
            decided=decided,
            selection=omissions.selection(
                mixture, inputs, missing, options.only, options.limit, options.allow_lost, is_generated
            ),
            evaluation=compared.sets,
            leaks=decision.leaks,
            validation_leaks=decision.validation_leaks,
            copies=decision.copies,
        )
        document = _describe(document, stage, shards, [*tables, "ledger.parquet", item_keys.NAME], seconds)
        if version_note := versions.describe_rebuild(out, stage):
            say(f"note: {version_note}")
        place(stage, out)
        remove_all(set((work / "scans").glob("[!.]*")) - files_of(context.scans))
        finished_shards.discard_others(work, [(shard.key, shard.sha256) for shard in shards])
        record_facts.discard_others(work / record_facts.FOLDER, [shard.facts for shard in shards if shard.facts])
        parts.end(work)
    return document


def sample_root(mixture: Mixture, work: Path) -> Path:
    """Give the folder of a mixture's generated sources in the work folder; they are complete or absent."""
    if not mixture.sample_data:
        raise UsageError(f"mixture {mixture.name} reads real sources: give their folder with --root")
    root = work / "sample-data"
    if not root.exists():
        try:
            sampledata.write(root, mixture.seed)
        except MedmixError:
            if not root.exists():  # a part that started at the same time was faster
                raise
    return root


def _scan(
    mixture: Mixture, options: BuildOptions, root: Path, work: Path, inputs: Sequence[Input], language_model: Path
) -> Context:
    """Scan the sources and the external evaluation sets."""
    max_pixels, workers = mixture.images.max_pixels, options.workers
    verify, limit = options.verify_inputs, options.limit
    scans = scan_all(inputs, work / "scans", max_pixels, limit, workers, language_model, verify)
    external = external_sets.load(mixture.evaluation, root, work / "evaluation", max_pixels, workers, verify)
    return Context(mixture, options, root, work, inputs, scans, external)


def settings_of(mixture: Mixture, options: BuildOptions) -> dict[str, Any]:
    """Give what the manifest names as the settings of the build."""
    names = ("only", "allow_missing", "allow_lost", "limit")
    return {"mixture": asdict(mixture), **{name: getattr(options, name) for name in names}}


def describe_losses(decided: pl.DataFrame, context: Context) -> list[str]:
    """Describe the losses that are allowed, or that the mixture's rules cause.

    Raises:
        WorkError: others; a ledger in the work folder shows the rows.
    """
    credentialed = [source for source, facts in context.facts.items() if facts.access == "credentialed"]
    found = losses.find(decided, context.mixture.losses.share, credentialed)
    if refusal := losses.refusal(found, context.options.allow_lost):
        path = context.work / "refused-ledger.parquet"
        ledger.write(path, decided)
        raise WorkError(f"{refusal} (each row: {path})")
    return [loss.describe() for loss in found]


def digest_of(context: Context, settings: Mapping[str, Any], complete: Sequence[str]) -> str:
    """Digest everything that the mix depends on."""
    dependencies = {
        **settings,
        "complete": complete,
        "cards": cards.templates_digest(),
        "articles": articles.table_digest(context.root),
        "facts": {source: asdict(facts) for source, facts in context.facts.items()},
        "external_evaluation_sets": [[place, file.sha256] for place, file in context.external_evaluation_sets.items()],
    }
    return manifest.inputs_digest(dependencies, [scan.path for scan in context.scans])


def load_records(context: Context, complete: Sequence[str]) -> tuple[pl.DataFrame, list[row_counts.RowCountMismatch]]:
    """Load the table of records, with splits and licences; compare the numbers of rows with upstream's."""
    mixture, limit = context.mixture, context.options.limit
    records = candidates.load(context.scans, limit, mixture.sections())
    is_sample = mixture.sample_data or limit is not None
    differences = [] if is_sample else row_counts.find_mismatches(records, context.inputs, complete)
    texts = records.select("source", "group", pl.col("wording").cast(pl.String))
    wording = articles.add_article_licences(texts, articles.load_table(context.root), context.facts)
    added = wording.select("article", pl.col("wording", "article_read").cast(candidates.CATEGORY))
    return policy.resolve(records.with_columns(added), context.facts), differences


def copy_search(records: pl.DataFrame, context: Context, shared: bool = False) -> CopySearch:
    """Prepare the search for copies among all images and those of the external sets; `shared` as in `CopySearch`."""
    images = scan_images.load(context.scans, records, {entry.source: entry.folder for entry in context.inputs})
    external = [image for file in context.external_evaluation_sets.values() for image in file.images]
    max_pixels, folder = context.mixture.images.max_pixels, context.work / "comparisons"
    return CopySearch(images, external, max_pixels, folder, context.options.workers, shared)


def decide_records(records: pl.DataFrame, context: Context, search: CopySearch, copies: Copies) -> Decision:
    """Decide on all records, until a search among the kept records alone finds no leak that was overlooked.

    The search among all images compares only so many images of one fingerprint key; among fewer images it sees more.
    """
    mixture, texts = context.mixture, ScanTexts(context.scans, context.mixture.sections())
    external = external_sets.number_items(context.external_evaluation_sets, records.height, search.images.count)
    while True:
        decision = decide(records, mixture, texts, copies, external)
        training, items = leaks.images_to_compare(decision.records, mixture.evaluation, external)
        found = search.between(copies, training, items)
        if found.equal.equals(copies.equal) and found.altered.equals(copies.altered):
            return decision
        copies = found


def plan_shards(decided: pl.DataFrame, mixture: Mixture) -> list[materialise.ShardPlan]:
    """Plan all shards of a mix, in the order in which they are written."""
    kept = decided.lazy().filter(pl.col("outcome") == "kept")
    needed = kept.select(*materialise.DECIDED, "source", "verdict", "image_bytes", "text_bytes").collect()
    return materialise.plan(needed, mixture.shard_megabytes * 1_000_000)


def write_shards(
    plans: Sequence[materialise.ShardPlan], context: Context, stage: Path
) -> list[materialise.WrittenShard]:
    """Write shards, unless they exist or an earlier build has written them."""
    sections, workers = context.mixture.sections(), context.options.workers
    shards = materialise.write_all(plans, context.inputs, context.scans, sections, stage, workers, context.work)
    if old := sum(shard.is_old for shard in shards):
        say(f"writing: {old} of {len(shards)} shards are those of the mix before")
    return shards


def _describe(
    document: dict[str, Any],
    stage: Path,
    shards: Sequence[materialise.WrittenShard],
    tables: Sequence[str],
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    """Write cards, report and manifest of the shards and tables; give the manifest."""
    digests = {shard.path: shard.sha256 for shard in shards}
    document["files"] = manifest.file_facts(stage, [*digests, *tables], digests)
    with progress.stage("statistics"), statistics.Statistics() as found:
        for shard in shards:
            if shard.facts is not None:
                found.add(shard.path, record_facts.read(shard.facts, list(record_facts.COUNTED)))
        document["statistics"] = found.result()
    document["near_empty_characters"] = record_facts.NEAR_EMPTY_CHARACTERS
    written = [*cards.write(stage, document), *croissant.write(stage, document), *report.write(stage, document)]
    document["files"] |= manifest.file_facts(stage, written)
    document["timings"] = {name: round(value, 3) for name, value in seconds.items()}
    return manifest.write(stage, document)
