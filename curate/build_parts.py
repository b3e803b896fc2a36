"""One part of one pass of a build, so that several machines build one mix.

    scan -> equal -> compare -> write, each in any number of parts; then the plain build, which finds all work done

`equal` compares images with equal fingerprints, `compare` the candidates among those that are left. A part writes the
files of its tasks into `OUT/.work` and removes nothing there. The plain build decides and finishes the mix.
"""

from dataclasses import asdict
from pathlib import Path

from . import engine, omissions, parts
from .build import (
    BuildOptions,
    Context,
    copy_search,
    decide_records,
    describe_losses,
    digest_of,
    load_records,
    plan_shards,
    sample_root,
    settings_of,
    write_shards,
)
from .decide.comparisons import run_tasks, unfinished
from .decide.copy_search import ROUNDS
from .describe import cards
from .errors import UsageError
from .evaluationsets import external_sets
from .measure import scans
from .measure.text import find_model
from .mixture import Mixture
from .parts import Part
from .progress import say
from .read import row_counts
from .read.inputs import find
from .write import manifest
from .write.workplace import working_together


def build_part(mixture: Mixture, root: Path | None, out: Path, options: BuildOptions, part: Part) -> None:
    """Do the tasks of one part that are not done.

    Raises:
        UsageError: mixture, root, out or an upstream file cannot be used; the passes before are not complete; the
            folder has parts of another build.
        WorkError: the work failed; the same command resumes it.
    """
    if options.fresh:
        raise UsageError(
            "--fresh would discard the results of the other parts; remove the folder, or leave --fresh out"
        )
    language_model = find_model(options.language_model)
    with working_together(out) as work:
        engine.require_shared(work)
        root = root or sample_root(mixture, work)
        inputs, _ = find(mixture, root, options.only, options.allow_missing, options.allow_lost)
        if options.require_evaluation:
            omissions.require_evaluation(mixture, root, inputs)
        facts = {entry.source: asdict(entry.facts) for entry in inputs}
        settings = {**settings_of(mixture, options), "facts": facts, "cards": cards.templates_digest()}
        parts.claim(work, parts.identity(mixture.name, manifest.inputs_digest(settings, [])))
        max_pixels, verify = mixture.images.max_pixels, options.verify_inputs and part.of == "scan"
        tasks = scans.tasks_of(inputs, work / "scans", max_pixels, options.limit, language_model, verify)
        folders, cache = external_sets.folders(mixture.evaluation, root), work / "evaluation"
        if part.of == "scan":
            scans.run_tasks(part.share(tasks), options.workers)
            sets = part.share(folders, len(tasks))
            external_sets.load(sets, root, cache, max_pixels, options.workers, verify)
            _say_done(part, len(part.share(tasks)) + len(sets), len(tasks) + len(folders))
            return
        found = scans.find_all(tasks, options.workers)
        complete = [scan for scan in found if scan is not None]
        missing = len(found) - len(complete)
        missing += sum(not external_sets.is_cached(item, root, cache, max_pixels) for item in folders)
        _require("scan", missing, len(tasks) + len(folders), part)
        external = external_sets.load(mixture.evaluation, root, cache, max_pixels, options.workers)
        _compare_or_write(Context(mixture, options, root, work, inputs, complete, external), part, out)


def _compare_or_write(context: Context, part: Part, out: Path) -> None:
    complete = row_counts.complete_sources(context.inputs)
    digest = digest_of(context, settings_of(context.mixture, context.options), complete)
    if manifest.read_finished(out, digest) is not None:
        say(f"{part} has nothing to do: {out} is up to date")
        return
    records, _ = load_records(context, complete)
    search = copy_search(records, context, shared=True)
    search.folder.mkdir(parents=True, exist_ok=True)
    copies = search.equal_by_digest()
    for name in ROUNDS:
        pairs = search.propose(name, copies)
        tasks = search.tasks(pairs)
        if part.of == name:
            mine = part.share(tasks)
            run_tasks(unfinished(mine, search.folder), context.options.workers)
            _say_done(part, len(mine), len(tasks))
            return
        _require(name, len(unfinished(tasks, search.folder)), len(tasks), part)
        copies = search.add(copies, pairs)
    decided = decide_records(records, context, search, copies).records
    describe_losses(decided, context)
    plans = plan_shards(decided, context.mixture)
    mine_to_write = part.share(plans)
    write_shards(mine_to_write, context, context.work / f"mix-{digest[:20]}")
    _say_done(part, len(mine_to_write), len(plans))


def _require(name: parts.Pass, missing: int, total: int, part: Part) -> None:
    """Check that all files of a pass are there.

    Raises:
        UsageError: some are missing.
    """
    if missing:
        raise UsageError(
            f"pass {part.of} needs pass {name}, of which {missing} of {total} files are missing; "
            f"run all its parts first: --pass {name} --part I/N"
        )


def _say_done(part: Part, done: int, total: int) -> None:
    say(f"{part} is done: {done} of the {total} files of the pass")
