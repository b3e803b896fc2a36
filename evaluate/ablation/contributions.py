"""What a source contributes: the full run against the one without it, and against the one on it alone, by pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import false_discovery_control

from medmix.curate.errors import WorkError

from ..comparison.results import Result, read
from ..comparison.sample_scores import Key, Measure, compare, of_result, over_runs, united
from .plan import FULL, Plan

PRIMARY = ("bleu1_sentence_word", "choice_accuracy_loglik", "macro_f1")
"""The one metric of each kind of set that the table has."""

MEAN: Key = ("mean of all", "", "")

Runs = Mapping[tuple[str, int], Sequence[Path]]
"""By arm and seed its files of results."""


def make(runs: Runs, plan: Plan) -> dict[str, Any]:
    """Compare the arms.

    Returns:
        `contributions`: for each source, set and kind (`without`, `only`) the score of the full run and of the other
        one, and `difference`, full minus other, with its interval over groups of the test, p, and q under control of
        the false discovery rate over all of them; means over seeds, whose own spread is `sd_over_seeds`. The rows
        `mean of all` are of the plain mean of the sets. `notes`: of the results.

    Raises:
        WorkError: runs were scored on different samples.
    """
    results = {key: [read(path) for path in paths] for key, paths in runs.items()}
    seeds = sorted({seed for _, seed in runs})
    by_run = {key: _primary(mine) for key, mine in results.items()}
    rows = []
    for kind, arms in (("without", plan.without), ("only", plan.only)):
        for source, arm in arms.items():
            rows += [{"source": source, "kind": kind, **row} for row in _compare(by_run, FULL, arm, seeds)]
    tested = [row for row in rows if row["difference"]["p"] is not None]
    if tested:
        adjusted = false_discovery_control(np.array([row["difference"]["p"] for row in tested]))
        for row, q in zip(tested, adjusted, strict=True):
            row["difference"]["q"] = float(q)
    notes = dict.fromkeys(note for mine in results.values() for result in mine for note in result.notes)
    return {"contributions": rows, "notes": list(notes)}


def _primary(results: Sequence[Result]) -> dict[Key, Measure]:
    """Give the measures of the table: of whole sets, by the one metric of their kind, and their mean."""
    found: dict[Key, Measure] = {}
    for result in results:
        whole = {(line["benchmark"], line["subsets"][0]) for line in result.lines if result.suite == "vqa"}
        found |= {
            key: measure
            for key, measure in of_result(result).items()
            if key[2] in PRIMARY and (result.suite == "classification" or key[:2] in whole)
        }
    if len(found) > 1:
        found[MEAN] = united([found[key] for key in sorted(found)])
    return found


def _compare(
    by_run: Mapping[tuple[str, int], Mapping[Key, Measure]], first: str, other: str, seeds: Sequence[int]
) -> list[dict[str, Any]]:
    rows = []
    for key in by_run[first, seeds[0]]:
        mine = [by_run[first, seed].get(key) for seed in seeds]
        theirs = [by_run[other, seed].get(key) for seed in seeds]
        known = [(one, two) for one, two in zip(mine, theirs, strict=True) if one is not None and two is not None]
        try:
            if len(known) < len(seeds):
                raise ValueError
            full, less = over_runs([one for one, _ in known]), over_runs([two for _, two in known])
            paired = compare(full, less)
            if paired is None or paired.alone:
                raise ValueError
        except ValueError:
            raise WorkError(
                f"{other} and {first} were not scored on the same samples of {' '.join(key).strip()}; what is scored "
                f"has changed since the first run: begin again in another --out"
            ) from None
        each = [one.value - two.value for one, two in known]
        rows.append(
            {
                **dict(zip(("benchmark", "subset", "metric"), key, strict=True)),
                "full": full.value,
                "other": less.value,
                "difference": asdict(paired.difference) | {"q": None},
                "sd_over_seeds": float(np.std(each, ddof=1)) if len(each) > 1 else None,
            }
        )
    return rows


def markdown(document: Mapping[str, Any]) -> str:
    """Lay the contributions out: a row for each source and set."""
    rows = document["contributions"]
    by_kind = {(row["kind"], row["source"], *_set(row)): row for row in rows}
    keys = list(dict.fromkeys((row["source"], *_set(row)) for row in rows))
    head = ["source", "set", "metric", "all sources", "without it", "**contributed** (all − without)", "p", "q"]
    head += ["it alone", "all − it alone", "p", "q"]
    lines = [head, ["---"] * 3 + ["---:"] * (len(head) - 3)]
    for source, *name in keys:
        less, alone = (by_kind[(kind, source, *name)] for kind in ("without", "only"))
        title = " ".join(part for part in name[:2] if part not in ("", "all"))
        cells = [source, title, name[2], f"{less['full']:.3f}"]
        for row in (less, alone):
            cells += [f"{row['other']:.3f}", *_difference(row)]
        lines.append(cells)
    runs = [["run", "seed", "steps", "records", "epochs", "tokens", "last loss"], ["---"] + ["---:"] * 6]
    runs += [
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
    text = [
        "# What each source contributes",
        "",
        f"{document['mix']['path']}, trained by {document['recipe']['name']}, seeds {seeds}. "
        f"{budget['tokens']:,} tokens: {budget['rule']}.",
        "Differences are paired, on the same samples, means over seeds; intervals of 95 % are over groups of the test "
        "(images, articles, patients), ± is the spread over seeds. They say nothing of how "
        "another seed would have trained. q is p under control of the false discovery rate over this table.",
        "",
        *_table(lines),
        "",
        "## Runs",
        "",
        *_table(runs),
    ]
    if document["notes"]:
        text += ["", "## Notes", "", *(f"- {note}" for note in document["notes"])]
    return "\n".join(text) + "\n"


def _set(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["benchmark"], row["subset"], row["metric"]


def _difference(row: Mapping[str, Any]) -> list[str]:
    found = row["difference"]
    inside = "" if found["low"] is None else f" [{found['low']:+.3f}, {found['high']:+.3f}]"
    spread = "" if row["sd_over_seeds"] is None else f" ± {row['sd_over_seeds']:.3f}"
    sure = ["" if found[name] is None else f"{found[name]:.4f}" for name in ("p", "q")]
    return [f"{found['value']:+.3f}{inside}{spread}", *sure]


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in rows]
