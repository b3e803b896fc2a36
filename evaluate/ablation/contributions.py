"""What a source contributes: paired differences of the full run and the runs without it and on it alone."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from medmix.curate.describe.markup import text
from medmix.curate.errors import WorkError

from .. import intervals
from ..comparison.results import Result, read
from ..comparison.sample_scores import Key, SampleScores, compare, mean_over_datasets, mean_over_runs, scores_by_sample
from ..formatting import bulleted_section, markdown_table, with_interval
from .plan import FULL, Plan

PRIMARY = ("bleu1_sentence_word", "choice_accuracy_loglik", "macro_f1")
"""The metric of the table for each kind of dataset."""

MEAN = Key("mean of all", "", "")

ResultFiles = Mapping[tuple[str, int], Sequence[Path]]
"""Results files by arm and seed."""


def measure_contributions(files: ResultFiles, plan: Plan) -> dict[str, Any]:
    """Compare the arms.

    Returns:
        `contributions`: for each source, benchmark and kind (`without`, `only`) the scores of the full and the other
        run, and `difference`, full minus other, with its interval over groups of the test, p, and q, which controls
        the false discovery rate over all rows. Seeds are averaged; `sd_over_seeds` is their standard deviation. The
        rows `mean of all` are of the unweighted mean of the benchmarks. `notes`: of the results.

    Raises:
        WorkError: runs were scored on different samples.
    """
    results = {key: [read(path) for path in paths] for key, paths in files.items()}
    seeds = sorted({seed for _, seed in files})
    by_run = {key: _table_scores(mine) for key, mine in results.items()}
    rows = []
    for kind, arms in (("without", plan.without), ("only", plan.only)):
        for source, arm in arms.items():
            rows += [{"source": source, "kind": kind, **row} for row in _compare(by_run, FULL, arm, seeds)]
    intervals.add_q_values(row["difference"] for row in rows)
    notes = dict.fromkeys(note for mine in results.values() for result in mine for note in result.notes)
    return {"contributions": rows, "notes": list(notes)}


def _table_scores(results: Sequence[Result]) -> dict[Key, SampleScores]:
    """Return the scores of the table: of whole benchmarks by the metric of their kind, and their mean."""
    found: dict[Key, SampleScores] = {}
    for result in results:
        whole = {(line["benchmark"], line["subsets"][0]) for line in result.predictions if result.suite == "answers"}
        found |= {
            key: scores
            for key, scores in scores_by_sample(result).items()
            if key.metric in PRIMARY and (result.suite == "classification" or key[:2] in whole)
        }
    if len(found) > 1:
        found[MEAN] = mean_over_datasets([found[key] for key in sorted(found)])
    return found


def _compare(
    by_run: Mapping[tuple[str, int], Mapping[Key, SampleScores]], first: str, other: str, seeds: Sequence[int]
) -> list[dict[str, Any]]:
    rows = []
    for key in by_run[first, seeds[0]]:
        mine = [by_run[first, seed].get(key) for seed in seeds]
        theirs = [by_run[other, seed].get(key) for seed in seeds]
        known = [(one, two) for one, two in zip(mine, theirs, strict=True) if one is not None and two is not None]
        try:
            if len(known) < len(seeds):
                raise ValueError
            full, less = mean_over_runs([one for one, _ in known]), mean_over_runs([two for _, two in known])
            paired = compare(full, less)
            if paired is None or paired.n_unpaired:
                raise ValueError
        except ValueError:
            raise WorkError(
                f"{other} and {first} were scored on different samples of {' '.join(key).strip()}; the benchmarks "
                f"changed after the first run: start again in another --out"
            ) from None
        each = [one.value - two.value for one, two in known]
        rows.append(
            {
                **key._asdict(),
                "full": full.value,
                "other": less.value,
                "difference": asdict(paired.difference) | {"q": None},
                "sd_over_seeds": float(np.std(each, ddof=1)) if len(each) > 1 else None,
            }
        )
    return rows


def render_markdown(document: Mapping[str, Any]) -> str:
    """Render the contributions as Markdown: a row per source and benchmark."""
    rows = document["contributions"]
    by_kind = {(row["kind"], row["source"], *Key.of(row)): row for row in rows}
    keys = list(dict.fromkeys((row["source"], *Key.of(row)) for row in rows))
    head = [
        "source",
        "benchmark",
        "metric",
        "all sources",
        "without it",
        Markup("**contribution** (all − without)"),
        "p",
        "q",
    ]
    head += ["it alone", "all − it alone", "p", "q"]
    lines = []
    for source, *name in keys:
        less, alone = (by_kind[(kind, source, *name)] for kind in ("without", "only"))
        title = " ".join(part for part in name[:2] if part not in ("", "all"))
        cells = [source, title, name[2], f"{less['full']:.3f}"]
        for row in (less, alone):
            cells += [f"{row['other']:.3f}", *_difference(row)]
        lines.append(cells)
    run_head = ["run", "seed", "steps", "records", "epochs", "tokens", "last loss"]
    runs = [
        [
            run["arm"],
            str(run["seed"]),
            f"{run['steps']:,}",
            f"{run['records']:,}",
            f"{run['epochs']:.2f}",
            f"{run['tokens']:,}",
            f"{run['loss']:.3f}",
        ]
        for run in document["runs"]
    ]
    budget, seeds = document["budget"], ", ".join(map(str, document["seeds"]))
    page = [
        "# What each source contributes",
        "",
        f"{text(document['mix']['path'])}, trained by {text(document['recipe']['name'])}, seeds {seeds}. "
        f"{budget['tokens']:,} tokens: {text(budget['rule'])}.",
        "Differences are paired, on the same samples, and seeds are averaged. 95 % intervals are over groups of the "
        "test (images, articles, patients), ± is the standard deviation over seeds. The intervals do not cover "
        "training with another seed. q is p under false discovery control over this table.",
        "",
        markdown_table(head, lines, 3),
        "",
        "## Runs",
        "",
        markdown_table(run_head, runs, 1),
    ]
    return "\n".join([*page, *bulleted_section("Notes", document["notes"])]) + "\n"


def _difference(row: Mapping[str, Any]) -> list[str]:
    found = row["difference"]
    p_and_q = ["" if found[name] is None else f"{found[name]:.4f}" for name in ("p", "q")]
    return [with_interval(found, row["sd_over_seeds"], sign="+"), *p_and_q]
