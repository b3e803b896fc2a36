"""Linear probe: logistic regression (scikit-learn) on frozen vectors, its penalty chosen on validation."""

import warnings

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from .recipe import Probe

FloatArray = npt.NDArray[np.float64]


def probe(
    vectors: npt.NDArray[np.float32],
    targets: npt.NDArray[np.generic],
    train: npt.NDArray[np.int64],
    validation: npt.NDArray[np.int64],
    classes: int,
    settings: Probe,
) -> tuple[FloatArray, float]:
    """Fit on train, choose the penalty by the loss on validation, and give probabilities for all images, [N, K].

    Vectors are standardised by the mean and deviation of train. With several labels each class has a regression of
    its own, with one penalty for all; a class that is always or never there in train gets its share as probability.

    Args:
        vectors: of all images, [N, 2d].
        targets: of all images: int64 [N], or 0 and 1 [N, K].
        train: indices to fit on.
        validation: indices to choose the penalty on.
        classes: K.
        settings: penalties to choose from, and steps at most.

    Returns:
        The probabilities, and the `c` chosen; the stronger penalty among equals.
    """
    known = np.asarray(vectors[train], np.float64)
    mean, deviation = known.mean(0), known.std(0)
    scaled = (np.asarray(vectors, np.float64) - mean) / np.where(deviation > 0, deviation, 1)
    best: tuple[float, float, FloatArray] | None = None
    for c in sorted(settings.c):
        found = _fit(scaled, targets, train, classes, c, settings.max_iter)
        loss = _loss(found[validation], targets[validation])
        if best is None or loss < best[0]:
            best = loss, c, found
    assert best is not None  # noqa: S101 - the recipe names a penalty
    return best[2], best[1]


def _fit(
    scaled: FloatArray,
    targets: npt.NDArray[np.generic],
    train: npt.NDArray[np.int64],
    classes: int,
    c: float,
    steps: int,
) -> FloatArray:
    if targets.ndim == 1:
        return _fit_regression(scaled, targets[train], train, classes, c, steps)
    columns = [_fit_regression(scaled, targets[train, k].astype(int), train, 2, c, steps)[:, 1] for k in range(classes)]
    return np.stack(columns, 1)


def _fit_regression(
    scaled: FloatArray,
    labels: npt.NDArray[np.generic],
    train: npt.NDArray[np.int64],
    classes: int,
    c: float,
    steps: int,
) -> FloatArray:
    found = np.zeros((len(scaled), classes))
    there = np.unique(labels)
    if len(there) == 1:
        found[:, int(there[0])] = 1.0
        return found
    model = LogisticRegression(C=c, max_iter=steps)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # `max_iter` is the recipe's, the same for all
        model.fit(scaled[train], labels)
    found[:, model.classes_.astype(int)] = model.predict_proba(scaled)
    return found


def _loss(probabilities: FloatArray, targets: npt.NDArray[np.generic]) -> float:
    sure = np.clip(probabilities, 1e-7, 1 - 1e-7)
    if targets.ndim == 1:
        return float(-np.log(sure[np.arange(len(sure)), targets.astype(int)]).mean())
    return float(-np.where(targets.astype(bool), np.log(sure), np.log(1 - sure)).mean())
