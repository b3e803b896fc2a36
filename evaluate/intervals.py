"""Uncertainty of scores: cluster bootstrap intervals, paired tests and false discovery control.

Samples of one group (an image, a patient, a lesion) are correlated, so whole groups are drawn with replacement (the
cluster bootstrap of Davison and Hinkley 1997, section 3.8). A score of many questions on few images therefore gets a
wide interval. Intervals are percentiles of the redrawn scores. With fewer than about twenty groups they are too narrow.
A score of exactly 0 or 1 gets an interval of width 0, because every draw repeats it. Equal seeds give equal numbers.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import false_discovery_control

FloatArray: TypeAlias = NDArray[np.float64]
Statistic: TypeAlias = Callable[[FloatArray], FloatArray]
"""From sums over samples, [..., K], to a score, [...]; NaN where the score is undefined."""

N_BOOTSTRAP = 2_000
"""Draws behind an interval: its ends then move by about a twentieth of its half-width from seed to seed."""

LEVEL = 0.95
"""Of every interval."""

_MAX_CELLS = 4_000_000
"""Group counts held in memory at a time, 32 MB."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A score and its interval; `low` and `high` are None with one group, or where most draws have no score."""

    value: float
    low: float | None
    high: float | None
    n: int
    groups: int


@dataclass(frozen=True, slots=True)
class Difference:
    """How much higher the first of two scores is, its interval, and the p value of no difference."""

    value: float
    low: float | None
    high: float | None
    p: float | None
    n: int
    groups: int


def bootstrap_means(
    values: ArrayLike, groups: Sequence[Hashable], *, n_bootstrap: int = N_BOOTSTRAP, seed: int = 0
) -> list[Interval]:
    """Return the mean of each of K scores over the same samples, [n, K], from one set of draws.

    Raises:
        ValueError: there are no samples, or not as many groups as samples.
    """
    table = _with_ones(values)
    sums = _group_sums(table, groups)
    drawn = _bootstrap_sums(sums, n_bootstrap, seed)
    columns = (drawn[..., :-1] / drawn[..., -1:]).T
    return [
        Interval(float(value), *_percentiles(column, len(sums)), len(table), len(sums))
        for value, column in zip(table.mean(axis=0)[:-1], columns, strict=True)
    ]


def bootstrap_sums(
    summands: ArrayLike,
    groups: Sequence[Hashable],
    statistic: Statistic,
    *,
    n_bootstrap: int = N_BOOTSTRAP,
    seed: int = 0,
) -> Interval:
    """Return a score that is a function of sums over samples, as corpus BLEU or macro-F1.

    Args:
        summands: what each sample adds to the sums, [n, K].
        groups: of the samples, n.
        statistic: from sums, [..., K], to the score, [...].
        n_bootstrap: number of draws.
        seed: of the draws.

    Raises:
        ValueError: as `bootstrap_means`.
    """
    table = np.asarray(summands, np.float64)
    sums = _group_sums(table, groups)
    scores = statistic(_bootstrap_sums(sums, n_bootstrap, seed))
    return Interval(float(statistic(sums.sum(axis=0))), *_percentiles(scores, len(sums)), len(table), len(sums))


def bootstrap_weighted(
    statistic: Callable[[FloatArray], float],
    groups: Sequence[Hashable],
    *,
    n_bootstrap: int = N_BOOTSTRAP,
    seed: int = 0,
) -> Interval:
    """Return a score that is no function of sums, as AUROC; `statistic` takes the weight of each sample, [n].

    Raises:
        ValueError: as `bootstrap_means`.
    """
    group_of, count = _number_groups(groups)
    scores = [statistic(row[group_of]) for chunk in _draws(count, n_bootstrap, seed) for row in chunk]
    whole = statistic(np.ones(len(group_of)))
    return Interval(float(whole), *_percentiles(np.array(scores, np.float64), count), len(group_of), count)


def paired_difference(
    first: ArrayLike,
    second: ArrayLike,
    groups: Sequence[Hashable],
    *,
    n_bootstrap: int = N_BOOTSTRAP,
    seed: int = 0,
) -> Difference:
    """Compare the means of two models' scores on the same samples, [n] each, by the paired cluster bootstrap.

    Both models are scored on the same draws of groups. The p value is two-sided: the share of draws whose difference
    is at least as far from the observed one as that is from 0 (the shift method of Efron and Tibshirani 1993, section
    16.4). The observed one is counted too, so p is never below 1 / (n_bootstrap + 1).

    Raises:
        ValueError: as `bootstrap_means`, or the lists differ in length.
    """
    one, other = (_with_ones(np.asarray(values, np.float64)[:, None]) for values in (first, second))
    return paired_difference_of_sums(
        one, other, groups, lambda sums: np.asarray(sums[..., 0] / sums[..., 1]), n_bootstrap=n_bootstrap, seed=seed
    )


def paired_difference_of_sums(
    first: ArrayLike,
    second: ArrayLike,
    groups: Sequence[Hashable],
    statistic: Statistic,
    *,
    n_bootstrap: int = N_BOOTSTRAP,
    seed: int = 0,
) -> Difference:
    """Compare two models by a function of sums, [n, K] each, as `paired_difference` does by means.

    Raises:
        ValueError: as `paired_difference`.
    """
    one, other = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if one.shape != other.shape:
        raise ValueError(f"paired scores must have equal shapes, these have {one.shape} and {other.shape}")
    width = one.shape[1]
    sums = _group_sums(np.concatenate([one, other], axis=1), groups)
    drawn, whole = _bootstrap_sums(sums, n_bootstrap, seed), sums.sum(axis=0)
    value = float(statistic(whole[:width]) - statistic(whole[width:]))
    differences = statistic(drawn[:, :width]) - statistic(drawn[:, width:])
    low, high = _percentiles(differences, len(sums))
    return Difference(value, low, high, None if low is None else _p_value(differences, value), len(one), len(sums))


def add_q_values(tests: Iterable[dict[str, Any]]) -> None:
    """Set `q` of each test that has a `p`: p under false discovery control (Benjamini-Hochberg) over these tests."""
    tested = [test for test in tests if test.get("p") is not None]
    if tested:
        for test, q in zip(tested, false_discovery_control([test["p"] for test in tested]), strict=True):
            test["q"] = float(q)


def _p_value(differences: FloatArray, value: float) -> float:
    known = differences[~np.isnan(differences)]
    tolerance = 1e-12  # sums of equal numbers in another order
    return float((1 + np.sum(np.abs(known - value) >= abs(value) - tolerance)) / (1 + len(known)))


def _with_ones(values: ArrayLike) -> FloatArray:
    """Append a column of ones: the last sum is then the number of samples."""
    table = np.asarray(values, np.float64)
    return np.concatenate([table, np.ones((len(table), 1))], axis=1)


def _number_groups(groups: Sequence[Hashable]) -> tuple[NDArray[np.intp], int]:
    """Number the groups by their first sample; return the number of each sample's group, and how many there are."""
    if not len(groups):
        raise ValueError("no samples: a score over an empty set is undefined")
    numbers: dict[Hashable, int] = {}
    group_of = np.array([numbers.setdefault(group, len(numbers)) for group in groups], np.intp)
    return group_of, len(numbers)


def _group_sums(table: FloatArray, groups: Sequence[Hashable]) -> FloatArray:
    """Sum the samples of each group, [G, K]."""
    if len(table) != len(groups):
        raise ValueError(f"{len(table)} samples but {len(groups)} groups")
    group_of, count = _number_groups(groups)
    sums = np.zeros((count, table.shape[1]))
    np.add.at(sums, group_of, table)
    return sums


def _bootstrap_sums(sums: FloatArray, n_bootstrap: int, seed: int) -> FloatArray:
    """Return the sums over each draw of as many groups as there are, [n_bootstrap, K]."""
    return np.concatenate([chunk @ sums for chunk in _draws(len(sums), n_bootstrap, seed)])


def _draws(groups: int, n_bootstrap: int, seed: int) -> Iterator[FloatArray]:
    """Yield how often each group is drawn, [some, groups], a row for each draw, `n_bootstrap` rows in all."""
    random = np.random.default_rng(seed)
    rows = max(1, _MAX_CELLS // groups)
    for start in range(0, n_bootstrap, rows):
        count = min(rows, n_bootstrap - start)
        picks = random.integers(groups, size=(count, groups)) + np.arange(count)[:, None] * groups
        yield np.bincount(picks.ravel(), minlength=count * groups).reshape(count, groups).astype(np.float64)


def _percentiles(scores: FloatArray, groups: int) -> tuple[float | None, float | None]:
    """Return the ends of the percentile interval over the draws that have a score."""
    known = scores[~np.isnan(scores)]
    if groups < 2 or 2 * len(known) < len(scores):
        return None, None
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
