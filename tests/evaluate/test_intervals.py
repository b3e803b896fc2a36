import math
from collections.abc import Hashable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap

from medmix.evaluate import intervals

QUESTIONS = [1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0]
IMAGES = ["a", "a", "a", "b", "b", "c", "d"]


def mean(values: Sequence[float], groups: Sequence[Hashable], **options: int) -> intervals.Interval:
    """The mean of one score."""
    return intervals.bootstrap_means(np.reshape(values, (-1, 1)), groups, **options)[0]


def test_whole_images_are_drawn_not_questions() -> None:
    found = mean(QUESTIONS, IMAGES, n_bootstrap=500)
    assert (found.value, found.n, found.groups) == (4 / 7, 7, 4)
    picks = np.random.default_rng(0).integers(4, size=(500, 4))
    sums = {"a": (2, 3), "b": (1, 2), "c": (0, 1), "d": (1, 1)}
    scores = []
    for pick in picks:  # the same draws, one by one
        drawn = [sums["abcd"[place]] for place in pick]
        scores.append(sum(right for right, _ in drawn) / sum(asked for _, asked in drawn))
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(scores, [0.025, 0.975])), abs=1e-12)


def test_the_interval_is_that_of_scipy() -> None:
    random = np.random.default_rng(3)
    groups = random.integers(60, size=400)
    values = (random.random(400) < random.random(60)[groups]).astype(float)
    found = mean(values, list(groups), n_bootstrap=9_999)
    present = np.unique(groups)
    sums = np.array([values[groups == group].sum() for group in present])
    counts = np.array([(groups == group).sum() for group in present])
    theirs = bootstrap(
        (sums, counts),
        lambda right, asked, axis: right.sum(axis) / asked.sum(axis),
        paired=True,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    assert found.low == pytest.approx(theirs.low, abs=0.004)
    assert found.high == pytest.approx(theirs.high, abs=0.004)
    alone = mean(values, list(range(400)), n_bootstrap=9_999)
    assert found.high - found.low > 1.2 * (alone.high - alone.low)  # type: ignore[operator]


def test_nine_in_ten_intervals_hold_the_true_mean() -> None:
    random = np.random.default_rng(0)
    groups = [image for image in range(50) for _ in range(4)]
    held = 0
    for seed in range(200):
        rate = random.beta(2, 2, size=50)  # mean 1/2
        found = mean(random.random(200) < rate[groups], groups, n_bootstrap=400, seed=seed)
        held += found.low <= 0.5 <= found.high  # type: ignore[operator]
    assert 0.9 <= held / 200 <= 0.99


def test_several_scores_share_their_draws() -> None:
    table = np.array([QUESTIONS, [1 - value for value in QUESTIONS]]).T
    assert intervals.bootstrap_means(table, IMAGES)[0] == mean(QUESTIONS, IMAGES)
    assert intervals.bootstrap_means(table, IMAGES)[1] == mean(table[:, 1], IMAGES)


def test_of_sums_and_of_weights_agree_with_the_mean() -> None:
    parts = [[value, 1.0] for value in QUESTIONS]
    expected = mean(QUESTIONS, IMAGES, n_bootstrap=50, seed=4)
    sums = intervals.bootstrap_sums(parts, IMAGES, lambda s: s[..., 0] / s[..., 1], n_bootstrap=50, seed=4)
    assert sums == expected
    values = np.array(QUESTIONS)
    weights = intervals.bootstrap_weighted(lambda w: float(w @ values / w.sum()), IMAGES, n_bootstrap=50, seed=4)
    assert weights.value == expected.value
    assert (weights.low, weights.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_where_there_is_no_interval_there_is_none() -> None:
    assert mean([1.0, 0.0], ["a", "a"]) == intervals.Interval(0.5, None, None, 2, 1)
    sometimes = intervals.bootstrap_sums([[0.0], [1.0]], "ab", lambda s: np.where(s[..., 0] == 0, np.nan, 1.0), seed=1)
    assert (sometimes.low, sometimes.high) == (1.0, 1.0)  # a quarter of the draws has no score
    never = intervals.bootstrap_sums([[0.0], [1.0]], "ab", lambda s: np.full(s.shape[:-1], np.nan))
    assert math.isnan(never.value)
    assert (never.low, never.high) == (None, None)


def test_what_cannot_be_scored_says_so() -> None:
    with pytest.raises(ValueError, match="no samples"):
        mean([], [])
    with pytest.raises(ValueError, match="2 samples but 1 groups"):
        mean([1.0, 0.0], ["a"])
    with pytest.raises(ValueError, match=r"must have equal shapes, these have \(2, 2\) and \(1, 2\)"):
        intervals.paired_difference([1.0, 0.0], [1.0], ["a", "b"])


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 4)), min_size=1, max_size=30), st.integers(0, 9))
def test_an_interval_lies_within_the_scores_and_repeats(rows: list[tuple[float, Hashable]], seed: int) -> None:
    values, groups = [value for value, _ in rows], [group for _, group in rows]
    found = mean(values, groups, n_bootstrap=50, seed=seed)
    assert found == mean(values, groups, n_bootstrap=50, seed=seed)
    if found.low is not None and found.high is not None:
        assert min(values) - 1e-12 <= found.low <= found.high <= max(values) + 1e-12


def test_the_difference_of_two_models_is_paired() -> None:
    random = np.random.default_rng(5)
    groups = list(random.integers(80, size=400))
    hard = random.random(400)
    one, other = (hard < 0.60).astype(float), (hard < 0.55).astype(float)
    found = intervals.paired_difference(one, other, groups)
    assert found.value == pytest.approx(one.mean() - other.mean())
    assert found.p is not None and found.p < 0.005  # the same questions are hard for both
    assert found.low is not None and 0 < found.low < found.value
    mirrored = intervals.paired_difference(other, one, groups)
    assert (mirrored.low, mirrored.p) == (pytest.approx(-found.high), found.p)  # type: ignore[operator]
    shuffled = intervals.paired_difference(one, random.permutation(other), groups)
    assert shuffled.p is not None and shuffled.p > 0.05


def test_equal_models_do_not_differ() -> None:
    same = intervals.paired_difference(QUESTIONS, QUESTIONS, IMAGES)
    assert (same.value, same.low, same.high, same.p) == (0.0, 0.0, 0.0, 1.0)
    assert intervals.paired_difference([1.0], [0.0], ["a"]).p is None


def test_under_no_difference_p_is_below_a_tenth_in_a_tenth_of_the_cases() -> None:
    random = np.random.default_rng(2)
    groups = [image for image in range(60) for _ in range(3)]
    low = 0
    for seed in range(200):
        one, other = random.random(180) < 0.5, random.random(180) < 0.5
        low += intervals.paired_difference(one, other, groups, n_bootstrap=400, seed=seed).p < 0.1  # type: ignore[operator]
    assert 0.05 <= low / 200 <= 0.16


def test_q_is_scipys_over_the_tests_that_have_a_p() -> None:
    tests: list[dict[str, float | None]] = [{"p": 0.01, "q": None}, {"p": None, "q": None}, {"p": 0.04, "q": None}, {}]
    intervals.add_q_values(tests)
    assert [test.get("q") for test in tests] == [0.02, None, 0.04, None]
    intervals.add_q_values([])
