from pathlib import Path

import numpy as np
import pytest

from medmix.evaluate.comparison import results
from medmix.evaluate.comparison.sample_scores import (
    Key,
    SampleScores,
    compare,
    mean_over_datasets,
    mean_over_runs,
    scores_by_sample,
)

from .conftest import answers

EXACT = Key("pathvqa", "all", "exact_match")


def exact(folder: Path, *said: str) -> SampleScores:
    """The measure of exact matches of these answers."""
    return scores_by_sample(results.read(answers(folder, folder.name, said)))[EXACT]


def test_the_mean_of_runs_and_of_sets(tmp_path: Path) -> None:
    right = exact(tmp_path / "a", "yes", "no", "spleen", "left kidney")
    half = exact(tmp_path / "b", "yes", "no", "liver", "kidney")
    assert (right.value, half.value) == (1.0, 0.5)
    assert mean_over_runs([right, half]).value == 0.75
    assert mean_over_datasets([right, half, half]).value == pytest.approx(2 / 3)
    paired = compare(mean_over_runs([right, right]), mean_over_runs([half, right]))
    assert paired is not None
    assert (paired.difference.value, paired.difference.n, paired.difference.groups) == (0.25, 4, 3)


def test_samples_are_paired_by_id_not_by_order() -> None:
    first = SampleScores(("a", "b", "c"), ("g", "g", "h"), (1, 2, 3), np.array([[1.0, 1], [0, 1], [0, 1]]), _ratio)
    second = SampleScores(("c", "a"), ("h", "g"), (3, 1), np.array([[0.0, 1], [1, 1]]), _ratio)
    paired = compare(first, second)
    assert paired is not None
    assert (paired.difference.value, paired.difference.n, paired.n_unpaired) == (0.0, 2, 1)
    other = SampleScores(("c", "a"), ("h", "g"), (3, 7), second.summands, _ratio)
    assert compare(first, other) is None


def test_runs_on_other_samples_have_no_mean() -> None:
    first = SampleScores(("a",), ("g",), (1,), np.array([[1.0, 1]]), _ratio)
    other = SampleScores(("b",), ("g",), (1,), np.array([[1.0, 1]]), _ratio)
    with pytest.raises(ValueError, match="different samples"):
        mean_over_runs([first, other])


def _ratio(sums: np.ndarray) -> np.ndarray:
    return np.asarray(sums[..., 0] / sums[..., 1])
