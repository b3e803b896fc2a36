"""From runs to rows of scores with intervals, and to predictions, in the form of `results.json`."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .. import intervals
from ..intervals import Interval
from .prepare import Prepared
from .runs import Run
from .scores import Auroc, Bools, Floats, accuracy, f1, left_out, macro_f1, over_seeds, parts

ALL = "all"
"""The subset of all classes; one class is `class/<its name>`."""


def rows(ready: Prepared, runs: Sequence[Run], resamples: int) -> list[dict[str, Any]]:
    """Give the scores of the runs of one encoder on one set, and of the controls.

    `macro_f1`, `auroc` (mean over the classes that have positives in the test, each against the others) and, with one
    label, `accuracy`: for each seed, and as the mean over seeds (seed null), whose interval comes from drawing units
    of the test, the same ones for all seeds; `<metric>_sd_over_seeds` is the spread that seeds alone make. `f1` and
    `auroc` of each class are means over seeds.
    """
    test = ready.places("test")
    truth = ready.truth[test]
    units = [ready.partition.units[place] for place in test]
    kept = np.ones(truth.shape[1], bool)
    kept[left_out(truth)] = False
    table = _Table(ready.facts.id, units, resamples)
    statistics = {"macro_f1": macro_f1(kept)} | ({} if ready.facts.labels == "multi" else {"accuracy": accuracy})
    sums = [parts(run.predicted, truth) for run in runs]
    for name, statistic in statistics.items():
        for run, mine in zip(runs, sums, strict=True):
            table.add(name, table.of_sums(mine, statistic), seed=run.seed)
        joined = np.concatenate(sums, axis=1)
        table.add(name, table.of_sums(joined, over_seeds(statistic, len(runs))))
        table.spread(name, [float(statistic(mine.sum(axis=0))) for mine in sums])
    areas = [Auroc(run.test, truth, kept) for run in runs]
    for run, area in zip(runs, areas, strict=True):
        table.add("auroc", table.of_weights(area), seed=run.seed)
    table.add("auroc", table.of_weights(lambda weights: float(np.mean([area(weights) for area in areas]))))
    table.spread("auroc", [area(np.ones(len(test))) for area in areas])
    _by_class(table, ready, sums, areas, kept)
    for system, predicted in _controls(ready, len(test)).items():
        table.add("macro_f1", table.of_sums(parts(predicted, truth), macro_f1(kept)), system=system)
    return table.rows


def predictions(ready: Prepared, runs: Sequence[Run]) -> Iterator[str]:
    """Yield a line of JSON for each test image and seed: what was said, how sure, and what is right."""
    names = ready.facts.classes
    test = ready.places("test")
    for run in runs:
        predicted = run.predicted
        for row, place in enumerate(test):
            sample = ready.samples[place]
            entry = {
                "id": f"{ready.facts.id}/{sample.key}",
                "benchmark": ready.facts.id,
                "group": ready.partition.units[place],
                "system": "model",
                "seed": run.seed,
                "labels": [names[k] for k in sample.labels],
                "predicted": [names[k] for k in np.flatnonzero(predicted[row])],
                "scores": {name: float(f"{value:.9g}") for name, value in zip(names, run.test[row], strict=True)},
            }
            yield json.dumps(entry, ensure_ascii=False) + "\n"


class _Table:
    """Rows of one set's scores."""

    def __init__(self, benchmark: str, units: Sequence[str], resamples: int) -> None:
        self.rows: list[dict[str, Any]] = []
        self._benchmark, self._units, self._resamples = benchmark, units, resamples

    def of_sums(self, mine: Floats, statistic: Callable[[Floats], Floats]) -> Interval:
        return intervals.of_sums(mine, self._units, statistic, resamples=self._resamples)

    def of_weights(self, statistic: Callable[[Floats], float]) -> Interval:
        return intervals.of_weights(statistic, self._units, resamples=self._resamples)

    def add(
        self, metric: str, found: Interval, *, subset: str = ALL, system: str = "model", seed: int | None = None
    ) -> None:
        self._put(metric, found.value, found.low, found.high, subset, system, seed)

    def spread(self, metric: str, values: Sequence[float]) -> None:
        """Add the standard deviation over seeds, of which one tells none."""
        if len(values) > 1:
            self._put(f"{metric}_sd_over_seeds", float(np.std(values, ddof=1)), None, None, ALL, "model", None)

    def value(self, metric: str, value: float, subset: str) -> None:
        self._put(metric, value, None, None, subset, "model", None)

    def _put(
        self,
        metric: str,
        value: float,
        low: float | None,
        high: float | None,
        subset: str,
        system: str,
        seed: int | None,
    ) -> None:
        self.rows.append(
            {
                "benchmark": self._benchmark,
                "subset": subset,
                "system": system,
                "metric": metric,
                "value": None if np.isnan(value) else value,  # JSON has no NaN
                "low": low,
                "high": high,
                "n": len(self._units),
                "groups": len(set(self._units)),
                "seed": seed,
            }
        )


def _by_class(table: _Table, ready: Prepared, sums: Sequence[Floats], areas: Sequence[Auroc], kept: Bools) -> None:
    joined = np.concatenate(sums, axis=1)
    whole = np.mean([area.each(np.ones(len(joined))) for area in areas], axis=0)
    for place, k in enumerate(np.flatnonzero(kept)):
        subset = f"class/{ready.facts.classes[k]}"
        table.add("f1", table.of_sums(joined, over_seeds(_f1_of(int(k)), len(sums))), subset=subset)
        table.value("auroc", float(whole[place]), subset)


def _f1_of(k: int) -> Callable[[Floats], Floats]:
    return lambda sums: f1(sums)[..., k]


def _controls(ready: Prepared, count: int) -> dict[str, Bools]:
    """Give what one who does not look would say: the commonest of train for every image, or every class."""
    train = ready.truth[ready.partition.places["train"]]
    majority = np.zeros(train.shape[1], bool)
    if ready.facts.labels == "multi":
        majority = train.mean(axis=0) > 1 / 2
        return {"majority_class": np.tile(majority, (count, 1)), "all_classes": np.ones((count, len(majority)), bool)}
    majority[train.sum(axis=0).argmax()] = True
    return {"majority_class": np.tile(majority, (count, 1))}
