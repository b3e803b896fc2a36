"""How far a score may lie from that of other images of the same kind: cluster bootstrap and paired test.

Samples of one group (an image, a patient, a lesion) rise and fall together, so whole groups are drawn with
replacement (the cluster bootstrap of Davison and Hinkley 1997, section 3.8), and a score of many questions on few
images gets the wide interval that it deserves. Intervals are the percentiles of the redrawn scores; with fewer than
about twenty groups they are too narrow, and a score of just 0 or 1 gets one without width, because every draw repeats
it. Equal seeds give equal numbers.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = NDArray[np.float64]
Statistic: TypeAlias = Callable[[Floats], Floats]
"""From sums over samples, [..., K], to a score, [...]; NaN where the score is undefined."""

RESAMPLES = 2_000
"""Draws behind an interval: its ends then move by about a twentieth of its half-width from seed to seed."""

LEVEL = 0.95

_CELLS = 4_000_000
"""Counts of groups that lie in memory at a time, 32 MB."""


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
    """How much higher the first of two scores is, its interval, and the p value of there being no difference."""

    value: float
    low: float | None
    high: float | None
    p: float | None
    n: int
    groups: int


def mean(
    values: ArrayLike, groups: Sequence[Hashable], *, resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 0
) -> Interval:
    """Give the mean of a score over samples, [n], each sample weighing the same.

    Raises:
        ValueError: there are no samples, or not as many groups as samples.
    """
    return means(np.asarray(values, np.float64)[:, None], groups, resamples=resamples, level=level, seed=seed)[0]


def means(
    values: ArrayLike, groups: Sequence[Hashable], *, resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 0
) -> list[Interval]:
    """Give the mean of each of K scores over the same samples, [n, K], from one set of draws; raises as `mean`."""
    table = _counted(values)
    sums = _by_group(table, groups)
    drawn = _drawn(sums, resamples, seed)
    points = table.mean(axis=0)[:-1]
    columns = _ratios(drawn).T
    return [
        Interval(float(value), *_ends(column, level, len(sums)), len(table), len(sums))
        for value, column in zip(points, columns, strict=True)
    ]


def of_sums(
    parts: ArrayLike,
    groups: Sequence[Hashable],
    statistic: Statistic,
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> Interval:
    """Give a score that depends on samples by sums alone, as corpus BLEU on counts or macro-F1 on a confusion matrix.

    Args:
        parts: what each sample adds to the sums, [n, K].
        groups: of the samples, n.
        statistic: from sums, [..., K], to the score, [...].
        resamples: how many draws.
        level: of the interval, 0..1.
        seed: of the draws.

    Raises:
        ValueError: as `mean`.
    """
    table = np.asarray(parts, np.float64)
    sums = _by_group(table, groups)
    scores = statistic(_drawn(sums, resamples, seed))
    return Interval(float(statistic(sums.sum(axis=0))), *_ends(scores, level, len(sums)), len(table), len(sums))


def of_weights(
    statistic: Callable[[Floats], float],
    groups: Sequence[Hashable],
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> Interval:
    """Give a score that no sums tell, as AUROC: `statistic` gets how often each sample counts, [n], once a draw.

    Raises:
        ValueError: as `mean`.
    """
    places, count = _places(groups)
    scores = [statistic(row[places]) for chunk in _draws(count, resamples, seed) for row in chunk]
    whole = statistic(np.ones(len(places)))
    return Interval(float(whole), *_ends(np.array(scores, np.float64), level, count), len(places), count)


def difference(
    first: ArrayLike,
    second: ArrayLike,
    groups: Sequence[Hashable],
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> Difference:
    """Compare the means of two models' scores on the same samples, [n] each, by the paired cluster bootstrap.

    Both models are scored on the same draws of groups. The p value is two-sided: the share of draws whose difference
    lies at least as far from the observed one as that lies from 0 (the shift method of Efron and Tibshirani 1993,
    section 16.4), counting the observed one, so it is never below 1 / (resamples + 1).

    Raises:
        ValueError: as `mean`, or the lists differ in length.
    """
    table = np.stack([np.asarray(first, np.float64), np.asarray(second, np.float64)], axis=1)
    return difference_of_sums(
        _counted(table[:, :1]), _counted(table[:, 1:]), groups, _ratio, resamples=resamples, level=level, seed=seed
    )


def difference_of_sums(
    first: ArrayLike,
    second: ArrayLike,
    groups: Sequence[Hashable],
    statistic: Statistic,
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> Difference:
    """Compare two models by a score of sums, [n, K] each, as `difference` does by means; arguments as `of_sums`.

    Raises:
        ValueError: as `difference`.
    """
    one, other = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if one.shape != other.shape:
        raise ValueError(f"two lists of scores on the same samples are compared, these have {one.shape}, {other.shape}")
    width = one.shape[1]
    sums = _by_group(np.concatenate([one, other], axis=1), groups)
    drawn, whole = _drawn(sums, resamples, seed), sums.sum(axis=0)
    value = float(statistic(whole[:width]) - statistic(whole[width:]))
    spread = statistic(drawn[:, :width]) - statistic(drawn[:, width:])
    low, high = _ends(spread, level, len(sums))
    return Difference(value, low, high, None if low is None else _p_value(spread, value), len(one), len(sums))


def _p_value(spread: Floats, value: float) -> float:
    known = spread[~np.isnan(spread)]
    slack = 1e-12  # sums of equal numbers in another order
    return float((1 + np.sum(np.abs(known - value) >= abs(value) - slack)) / (1 + len(known)))


def _counted(values: ArrayLike) -> Floats:
    """Add a column of ones: sums then hold the number of samples last."""
    table = np.asarray(values, np.float64)
    return np.concatenate([table, np.ones((len(table), 1))], axis=1)


def _ratios(sums: Floats) -> Floats:
    return np.asarray(sums[..., :-1] / sums[..., -1:])


def _ratio(sums: Floats) -> Floats:
    return np.asarray(sums[..., 0] / sums[..., 1])


def _places(groups: Sequence[Hashable]) -> tuple[NDArray[np.intp], int]:
    """Number the groups by their first sample; give the number of each sample's group, and how many there are."""
    if not len(groups):
        raise ValueError("no samples: a score over an empty set is undefined")
    numbers: dict[Hashable, int] = {}
    places = np.array([numbers.setdefault(group, len(numbers)) for group in groups], np.intp)
    return places, len(numbers)


def _by_group(table: Floats, groups: Sequence[Hashable]) -> Floats:
    """Add up the samples of each group, [G, K]."""
    if len(table) != len(groups):
        raise ValueError(f"{len(table)} samples but {len(groups)} groups")
    places, count = _places(groups)
    sums = np.zeros((count, table.shape[1]))
    np.add.at(sums, places, table)
    return sums


def _drawn(sums: Floats, resamples: int, seed: int) -> Floats:
    """Give the sums over each draw of as many groups as there are, [resamples, K]."""
    return np.concatenate([chunk @ sums for chunk in _draws(len(sums), resamples, seed)])


def _draws(groups: int, resamples: int, seed: int) -> Iterator[Floats]:
    """Yield how often each group is drawn, [some, groups], a row for each draw, `resamples` rows in all."""
    random = np.random.default_rng(seed)
    rows = max(1, _CELLS // groups)
    for start in range(0, resamples, rows):
        count = min(rows, resamples - start)
        picks = random.integers(groups, size=(count, groups)) + np.arange(count)[:, None] * groups
        yield np.bincount(picks.ravel(), minlength=count * groups).reshape(count, groups).astype(np.float64)


def _ends(scores: Floats, level: float, groups: int) -> tuple[float | None, float | None]:
    """Give the ends of the percentile interval over the draws that have a score."""
    known = scores[~np.isnan(scores)]
    if groups < 2 or 2 * len(known) < len(scores):
        return None, None
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
