"""Rows of scores with intervals, and predictions, in the format of `results.json` and `predictions.jsonl`."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from .. import intervals
from ..intervals import Interval
from .prepare import PreparedDataset
from .runs import Run
from .scores import (
    Auroc,
    BoolArray,
    FloatArray,
    accuracy,
    classes_without_positives,
    confusion_counts,
    f1,
    macro_f1,
    mean_over_seeds,
)

ALL = "all"
"""The subset of all classes; one class is `class/<its name>`."""


def score_rows(dataset: PreparedDataset, runs: Sequence[Run], n_bootstrap: int) -> list[dict[str, Any]]:
    """Return the scores of the runs of one encoder on one dataset, and of the controls.

    `macro_f1`, `auroc` (mean over the classes with positives in the test, each against the others) and, with one label,
    `accuracy`: for each seed, and as the mean over seeds (seed null). The interval of the mean draws units of the test,
    the same ones for all seeds; `<metric>_sd_over_seeds` is the standard deviation over seeds. `f1` and `auroc` of each
    class are means over seeds.
    """
    test = dataset.indices("test")
    truth = dataset.truth[test]
    units = [dataset.split.units[index] for index in test]
    scored_classes = np.ones(truth.shape[1], bool)
    scored_classes[classes_without_positives(truth)] = False
    rows = _Rows(dataset.info.id, units, n_bootstrap)
    statistics = {"macro_f1": macro_f1(scored_classes)} | (
        {} if dataset.info.labels == "multi" else {"accuracy": accuracy}
    )
    sums = [confusion_counts(run.predicted, truth) for run in runs]
    for name, statistic in statistics.items():
        for run, mine in zip(runs, sums, strict=True):
            rows.add(name, rows.of_sums(mine, statistic), seed=run.seed)
        joined = np.concatenate(sums, axis=1)
        rows.add(name, rows.of_sums(joined, mean_over_seeds(statistic, len(runs))))
        rows.add_seed_sd(name, [float(statistic(mine.sum(axis=0))) for mine in sums])
    areas = [Auroc(run.test, truth, scored_classes) for run in runs]
    for run, area in zip(runs, areas, strict=True):
        rows.add("auroc", rows.of_weights(area), seed=run.seed)
    rows.add("auroc", rows.of_weights(lambda weights: float(np.mean([area(weights) for area in areas]))))
    rows.add_seed_sd("auroc", [area(np.ones(len(test))) for area in areas])
    _add_class_rows(rows, dataset, sums, areas, scored_classes)
    for system, predicted in _controls(dataset, len(test)).items():
        rows.add("macro_f1", rows.of_sums(confusion_counts(predicted, truth), macro_f1(scored_classes)), system=system)
    return rows.rows


def prediction_lines(dataset: PreparedDataset, runs: Sequence[Run]) -> Iterator[str]:
    """Yield a line of JSON for each test image and seed: predicted classes, probabilities and labels."""
    names = dataset.info.classes
    test = dataset.indices("test")
    for run in runs:
        predicted = run.predicted
        for row, index in enumerate(test):
            sample = dataset.samples[index]
            entry = {
                "id": f"{dataset.info.id}/{sample.key}",
                "benchmark": dataset.info.id,
                "group": dataset.split.units[index],
                "system": "model",
                "seed": run.seed,
                "labels": [names[k] for k in sample.labels],
                "predicted": [names[k] for k in np.flatnonzero(predicted[row])],
                "scores": {name: float(f"{value:.9g}") for name, value in zip(names, run.test[row], strict=True)},
            }
            yield json.dumps(entry, ensure_ascii=False) + "\n"


class _Rows:
    """Rows of one dataset's scores."""

    def __init__(self, benchmark: str, units: Sequence[str], n_bootstrap: int) -> None:
        self.rows: list[dict[str, Any]] = []
        self._benchmark, self._units, self._n_bootstrap = benchmark, units, n_bootstrap

    def of_sums(self, counts: FloatArray, statistic: Callable[[FloatArray], FloatArray]) -> Interval:
        return intervals.bootstrap_sums(counts, self._units, statistic, n_bootstrap=self._n_bootstrap)

    def of_weights(self, statistic: Callable[[FloatArray], float]) -> Interval:
        return intervals.bootstrap_weighted(statistic, self._units, n_bootstrap=self._n_bootstrap)

    def add(
        self, metric: str, found: Interval | float, subset: str = ALL, system: str = "model", seed: int | None = None
    ) -> None:
        """Add a score, with its interval if it has one."""
        if not isinstance(found, Interval):
            found = Interval(found, None, None, len(self._units), len(set(self._units)))
        head = {"benchmark": self._benchmark, "subset": subset, "system": system, "metric": metric}
        value = None if np.isnan(found.value) else found.value  # JSON has no NaN
        self.rows.append({**head, **asdict(found), "value": value, "seed": seed})

    def add_seed_sd(self, metric: str, values: Sequence[float]) -> None:
        """Add the standard deviation over seeds, if there are several."""
        if len(values) > 1:
            self.add(f"{metric}_sd_over_seeds", float(np.std(values, ddof=1)))


def _add_class_rows(
    rows: _Rows, dataset: PreparedDataset, sums: Sequence[FloatArray], areas: Sequence[Auroc], scored_classes: BoolArray
) -> None:
    joined = np.concatenate(sums, axis=1)
    whole = np.mean([area.each(np.ones(len(joined))) for area in areas], axis=0)
    for index, k in enumerate(np.flatnonzero(scored_classes)):
        subset = f"class/{dataset.info.classes[k]}"
        rows.add("f1", rows.of_sums(joined, mean_over_seeds(_f1_of(int(k)), len(sums))), subset=subset)
        rows.add("auroc", float(whole[index]), subset)


def _f1_of(k: int) -> Callable[[FloatArray], FloatArray]:
    return lambda sums: f1(sums)[..., k]


def _controls(dataset: PreparedDataset, count: int) -> dict[str, BoolArray]:
    """Return predictions that ignore the image: the majority class of train, or every class."""
    train = dataset.truth[dataset.split.indices["train"]]
    majority = np.zeros(train.shape[1], bool)
    if dataset.info.labels == "multi":
        majority = train.mean(axis=0) > 1 / 2
        return {"majority_class": np.tile(majority, (count, 1)), "all_classes": np.ones((count, len(majority)), bool)}
    majority[train.sum(axis=0).argmax()] = True
    return {"majority_class": np.tile(majority, (count, 1))}
