"""Linear probe: logistic regression (scikit-learn) on frozen features, its regularisation chosen on validation."""

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from .recipe import Probe
from .scores import FloatArray


def probe(
    vectors: npt.NDArray[np.float32],
    targets: npt.NDArray[np.generic],
    train: npt.NDArray[np.int64],
    validation: npt.NDArray[np.int64],
    classes: int,
    settings: Probe,
) -> tuple[FloatArray, float]:
    """Fit on train, choose the regularisation by the validation loss, and return probabilities of all images, [N, K].

    Features are standardised by mean and standard deviation of train. With several labels each class has its own
    regression, all with one regularisation; a class that all or no training images have gets probability 1 or 0.

    Args:
        vectors: of all images, [N, 2d].
        targets: of all images: int64 [N], or 0 and 1 [N, K].
        train: indices to fit on.
        validation: indices to choose the regularisation on.
        classes: K.
        settings: candidates of `c`, and the maximum number of iterations.

    Returns:
        The probabilities, and the chosen `c`; the stronger regularisation among equals.
    """
    known = np.asarray(vectors[train], np.float64)
    mean, deviation = known.mean(0), known.std(0)
    scaled = (np.asarray(vectors, np.float64) - mean) / np.where(deviation > 0, deviation, 1)
    best: tuple[float, float, FloatArray] | None = None
    for c in sorted(settings.c):
        model = LogisticRegression(C=c, max_iter=settings.max_iter)
        found = _fit(scaled, targets, train, classes, model)
        loss = _loss(found[validation], targets[validation])
        if best is None or loss < best[0]:
            best = loss, c, found
    assert best is not None  # noqa: S101 - the recipe has a `c`
    return best[2], best[1]


def _fit(
    vectors: FloatArray, targets: npt.NDArray[np.generic], train: npt.NDArray[np.int64], classes: int, model: Any
) -> FloatArray:
    if targets.ndim == 1:
        return _fit_one(vectors, targets[train], train, classes, model)
    columns = [_fit_one(vectors, targets[train, k].astype(int), train, 2, model)[:, 1] for k in range(classes)]
    return np.stack(columns, 1)


def _fit_one(
    vectors: FloatArray, labels: npt.NDArray[np.generic], train: npt.NDArray[np.int64], classes: int, model: Any
) -> FloatArray:
    found = np.zeros((len(vectors), classes))
    present = np.unique(labels)
    if len(present) == 1:
        found[:, int(present[0])] = 1.0
        return found
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # `max_iter` is the recipe's, the same for all
        model.fit(vectors[train], labels)
    found[:, model.classes_.astype(int)] = model.predict_proba(vectors)
    return found


def _loss(probabilities: FloatArray, targets: npt.NDArray[np.generic]) -> float:
    sure = np.clip(probabilities, 1e-7, 1 - 1e-7)
    if targets.ndim == 1:
        return float(-np.log(sure[np.arange(len(sure)), targets.astype(int)]).mean())
    return float(-np.where(targets.astype(bool), np.log(sure), np.log(1 - sure)).mean())
