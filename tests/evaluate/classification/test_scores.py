"""F1 and AUROC, equal to scikit-learn's; thresholds, equal to trying them all."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

from medmix.evaluate.classification.scores import (
    Auroc,
    accuracy,
    best_thresholds,
    classes_without_positives,
    confusion_counts,
    f1,
    macro_f1,
    mean_over_seeds,
    multi_hot,
    predicted_classes,
)

ALL = np.ones(3, bool)
truths = arrays(bool, (20, 3))
scores = arrays(float, (20, 3), elements=st.sampled_from([0.1, 0.2, 0.5, 0.7, 0.9]))
weights = arrays(float, 20, elements=st.sampled_from([0.0, 1.0, 2.0, 3.0])).filter(np.any)
quick = settings(max_examples=30, deadline=None)


@quick
@given(truths, truths, weights)
def test_f1_is_scikit_learns_under_any_weights(truth, predicted, weight):
    sums = (confusion_counts(predicted, truth) * weight[:, None]).sum(axis=0)
    expected = f1_score(truth, predicted, average=None, sample_weight=weight, zero_division=np.nan)
    assert f1(sums) == pytest.approx(expected, abs=1e-12, nan_ok=True)
    if not np.isnan(expected).any():
        theirs = f1_score(truth, predicted, average="macro", sample_weight=weight)
        assert float(macro_f1(ALL)(sums)) == pytest.approx(theirs, abs=1e-12)


@quick
@given(truths, scores, weights)
def test_auroc_is_scikit_learns_under_any_weights(truth, score, weight):
    found = Auroc(score, truth, ALL).each(weight)
    for k in range(3):
        known = truth[weight > 0, k]
        if known.any() and not known.all():
            theirs = roc_auc_score(truth[:, k], score[:, k], sample_weight=weight)
            assert found[k] == pytest.approx(theirs, abs=1e-12)
        else:
            assert np.isnan(found[k])


def test_macro_auroc_of_single_labels_is_one_against_the_rest():
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 50)
    score = random.dirichlet(np.ones(3), 50)
    truth = multi_hot([[label] for label in labels], 3)
    theirs = roc_auc_score(labels, score, multi_class="ovr", average="macro")
    assert Auroc(score, truth, ALL)(np.ones(50)) == pytest.approx(theirs, abs=1e-12)


def test_accuracy_is_scikit_learns():
    random = np.random.default_rng(0)
    labels, said = random.integers(0, 3, 50), random.integers(0, 3, 50)
    sums = confusion_counts(multi_hot(said[:, None], 3), multi_hot(labels[:, None], 3)).sum(axis=0)
    assert float(accuracy(sums)) == pytest.approx(accuracy_score(labels, said), abs=1e-12)


def test_a_class_without_positives_is_left_out_of_the_mean():
    truth = np.array([[1, 0, 0], [0, 1, 0]], bool)
    predicted = np.array([[1, 0, 1], [0, 1, 1]], bool)
    assert classes_without_positives(truth) == [2]
    sums = confusion_counts(predicted, truth).sum(axis=0)
    assert float(macro_f1(np.array([True, True, False]))(sums)) == 1.0
    assert float(macro_f1(ALL)(sums)) == pytest.approx(2 / 3)


def test_the_mean_over_seeds_is_that_of_each_seeds_score():
    truth = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]], bool)
    right, wrong = confusion_counts(truth, truth), confusion_counts(~truth, truth)
    both = np.concatenate([right, wrong], axis=1).sum(axis=0)
    assert float(mean_over_seeds(macro_f1(ALL), 2)(both)) == 0.5


@quick
@given(truths, scores)
def test_no_threshold_has_a_better_f1(truth, score):
    found = best_thresholds(score, truth)
    for k in range(3):
        if not truth[:, k].any():
            assert found[k] == 0.5
            continue
        tried = [f1_score(truth[:, k], score[:, k] >= cut) for cut in (0.05, 0.15, 0.35, 0.6, 0.8, 1.0)]
        assert f1_score(truth[:, k], score[:, k] >= found[k]) == pytest.approx(max(tried), abs=1e-12)


def test_the_highest_of_equally_good_thresholds_is_taken():
    assert best_thresholds([[0.9], [0.6], [0.2]], [[1], [0], [0]]).tolist() == [0.75]


def test_without_thresholds_the_likeliest_class_is_chosen():
    assert predicted_classes([[0.2, 0.5, 0.3]], None).tolist() == [[False, True, False]]
    assert predicted_classes([[0.2, 0.5, 0.3]], [0.2, 0.6, 0.3]).tolist() == [[True, False, True]]
