"""Registration: the affine map that aligns one picture with another."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from .grey import Floats
from .keypoints import IS_ODD, Keypoints

Matrix = npt.NDArray[np.float64]
"""An affine map [2, 3] of places (x, y, 1) in one picture to places (x, y) in another."""

MIN_LIKENESS: Final = 0.6
MAX_TURN: Final = np.deg2rad(22.0)
"""The largest turn away from a multiple of 90°, plus the error of an angle."""

MAX_ZOOM: Final = 2.6
MATCHES: Final = 256


@dataclass(frozen=True, slots=True)
class Matches:
    """Pairs of keypoints that look alike, and the similarity map that each pair implies by itself.

    Attributes:
        first, second: place in the two sets of keypoints, [M].
        flipped: whether the map mirrors, bool [M].
        turn: angle of the map in radians, [M].
        zoom: natural logarithm of its scale, [M].
        centre: where it takes the centre of the first picture, [M, 2].
        maps: the maps, [M, 2, 3].
    """

    first: npt.NDArray[np.intp]
    second: npt.NDArray[np.intp]
    flipped: npt.NDArray[np.bool_]
    turn: Matrix
    zoom: Matrix
    centre: Matrix
    maps: Matrix


def match_keypoints(first: Keypoints, second: Keypoints, centre: tuple[float, float]) -> Matches:
    """Match keypoints by their surroundings; `centre` is that of the first picture."""
    likeness, crossed = _likenesses(first, second)
    same = first.bright[:, None] == second.bright
    i, j = _nearest_pairs(np.where(same, np.maximum(likeness, crossed), -1))
    flipped = (first.mirrored[i] ^ second.mirrored[j]) ^ (crossed[i, j] > likeness[i, j])
    turn = np.where(flipped, second.angle[j] + first.angle[i], second.angle[j] - first.angle[i]).astype(np.float64)
    zoom = np.log(second.sigma[j] / first.sigma[i]).astype(np.float64)
    plausible = (np.abs(_wrap_angle(turn, np.pi / 2)) < MAX_TURN) & (np.abs(zoom) < np.log(MAX_ZOOM))
    i, j, flipped, turn, zoom = (values[plausible][:MATCHES] for values in (i, j, flipped, turn, zoom))
    from_, to = np.stack([first.x[i], first.y[i]], 1), np.stack([second.x[j], second.y[j]], 1)
    maps = _similarity_maps(from_, to, flipped, turn, zoom)
    return Matches(i, j, flipped, turn, zoom, maps @ np.array([*centre, 1.0]), maps)


def _likenesses(first: Keypoints, second: Keypoints) -> tuple[Floats, Floats]:
    """Give the likeness of each two keypoints, [N, M], and that with one mirrored, -1 where neither is unsure."""
    ones = _unit(first.coefficients)
    unsure = (first.handed < 0.25)[:, None] | (second.handed < 0.25)
    mirrored = second.coefficients * np.where(IS_ODD, -1, 1).astype(np.float32)
    return ones @ _unit(second.coefficients).T, np.where(unsure, ones @ _unit(mirrored).T, -1)


def _nearest_pairs(likeness: Floats) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Give the pairs in which one is among the two nearest of the other, the most alike first.

    Two, from either side: that is symmetrical, and a single wrong winner does not hide the right one.
    """
    near = np.zeros(likeness.shape, bool)
    for axis in (1, 0):
        kept = min(2, likeness.shape[axis])
        best = np.argpartition(-likeness, kept - 1, axis=axis).take(range(kept), axis=axis)
        np.put_along_axis(near, best, True, axis=axis)
    i, j = np.nonzero(near & (likeness > MIN_LIKENESS))
    order = np.argsort(-likeness[i, j], kind="stable")[: 4 * MATCHES]
    return i[order], j[order]


def _similarity_maps(
    from_: Floats, to: Floats, flipped: npt.NDArray[np.bool_], turn: Matrix, zoom: Matrix
) -> npt.NDArray[np.float64]:
    """Give the maps that take each place of `from_` to that of `to` with a given mirroring, turn and zoom."""
    cosine, sine = np.exp(zoom) * np.cos(turn), np.exp(zoom) * np.sin(turn)
    hand = np.where(flipped, -1.0, 1.0)
    linear = np.stack([np.stack([cosine, -sine * hand], 1), np.stack([sine, cosine * hand], 1)], 1)
    shift = to - np.einsum("mij,mj->mi", linear, from_)
    return np.concatenate([linear, shift[:, :, None]], 2)


def hypotheses(first: Keypoints, second: Keypoints, matches: Matches, limit: int) -> list[Matrix]:
    """Give up to `limit` affine maps on which several matches agree, the map with most matches first."""
    if len(matches.first) < 2:
        return []
    agree = (matches.flipped[:, None] == matches.flipped) & (
        np.abs(_wrap_angle(matches.turn[:, None] - matches.turn, 2 * np.pi)) < np.deg2rad(15)
    )
    agree &= np.abs(matches.zoom[:, None] - matches.zoom) < 0.3
    agree &= np.square(matches.centre[:, None] - matches.centre).sum(2) < 12.0**2
    found: list[Matrix] = []
    free = np.ones(len(agree), bool)
    while len(found) < limit:
        votes = (agree & free).sum(1) * free
        seed = int(votes.argmax())
        if votes[seed] < 2:
            break
        members = agree[seed] & free
        found.append(_fit_map(first, second, matches, members))
        free &= ~members
    return found


def _fit_map(first: Keypoints, second: Keypoints, matches: Matches, members: npt.NDArray[np.bool_]) -> Matrix:
    """Fit a map to agreeing matches; a few matches only correct the median of their own maps."""
    i, j = matches.first[members], matches.second[members]
    mean = np.median(matches.maps[members], axis=0)
    from_ = np.stack([first.x[i], first.y[i], np.ones(len(i))], 1).astype(np.float64)
    to = np.stack([second.x[j], second.y[j]], 1).astype(np.float64)
    middle = from_[:, :2].mean(0)
    centred = from_ - [*middle, 0]
    for _ in range(3):
        error = to - from_ @ mean.T
        weight = 1 / (1 + np.square(error).sum(1) / 4.0)
        stiffness = np.diag([20.0**2, 20.0**2, 0.01])  # worth a match 20 pixels off the middle
        step = np.linalg.solve(
            (centred * weight[:, None]).T @ centred + stiffness, (centred * weight[:, None]).T @ error
        )
        mean = mean + np.column_stack([step[:2].T, step[2] - step[:2].T @ middle])
    return mean


def refine(first: Floats, second: Floats, start: Matrix, steps: int, stride: int = 1) -> Matrix:
    """Refine an affine map that aligns the second picture with the first (inverse compositional Gauss-Newton).

    Both are band-passed pictures of similar contrast; with a `stride` only one pixel in so many a side is looked at.
    Source: S. Baker, I. Matthews, Lucas-Kanade 20 Years On, 2004.
    """
    height, width = first.shape
    slopes: list[Floats] = list(np.gradient(first))
    slope_y, slope_x = (slope[::stride, ::stride] for slope in slopes)
    first = first[::stride, ::stride]
    x = np.arange(0, width, stride, dtype=np.float32) / width - 0.5
    y = (np.arange(0, height, stride, dtype=np.float32) / height - 0.5)[:, None]
    steepest = np.stack([slope_x * x, slope_x * y, slope_x, slope_y * x, slope_y * y, slope_y]).reshape(6, -1)
    to_unit = np.array([[1 / width, 0, -0.5], [0, 1 / height, -0.5], [0, 0, 1]])
    current = start
    for _ in range(steps):
        moved, inside = warp(second, current * (stride, stride, 1), first.shape)
        error = (moved - first).ravel()
        # pixels that do not fit at all (an arrow, a burnt-in letter) get little weight
        scale = 1.5 * _median(np.abs(error[inside.ravel()])) + 1e-3 if inside.any() else 1.0
        weight = inside.ravel() / (1 + np.square(error / (3 * scale)))
        weighted = steepest * weight.astype(np.float32)
        hessian = (weighted @ steepest.T).astype(np.float64)
        hessian[np.diag_indices(6)] *= 1.001
        hessian[np.diag_indices(6)] += 1e-3
        step = np.linalg.solve(hessian, (weighted @ error).astype(np.float64)).reshape(2, 3)
        change = np.vstack([np.eye(2, 3) + step @ to_unit, [0, 0, 1]])
        current = current @ np.linalg.inv(change)
        if np.abs(step).max() < 0.02:
            break
    return current


def _median(values: Floats) -> float:
    """Give the upper median; NumPy's own, which looks for NaN and averages two values, takes twice as long."""
    middle = len(values) // 2
    return float(np.partition(values, middle)[middle])


def warp(picture: Floats, map_: Matrix, shape: tuple[int, int]) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Sample a picture at the mapped places of a [H, W] grid; also give which of them are inside it."""
    (xx, xy, x), (yx, yy, y) = map_
    moved = cv2.warpAffine(
        picture,
        map_,
        shape[::-1],
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    rows, columns = np.arange(shape[0])[:, None], np.arange(shape[1])
    to_x, to_y = (
        (along * columns).astype(np.float32) + (across * rows + start).astype(np.float32)
        for along, across, start in ((xx, xy, x), (yx, yy, y))
    )
    height, width = picture.shape
    inside = (to_x >= 0) & (to_x <= width - 1) & (to_y >= 0) & (to_y <= height - 1)
    return np.asarray(moved, np.float32), inside


def _unit(vectors: Floats) -> Floats:
    return vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-6)


def _wrap_angle(angle: Matrix, period: float) -> Matrix:
    return (angle + period / 2) % period - period / 2


def rescaled(
    map_: Matrix, shape: tuple[int, ...], other: tuple[int, ...], new: tuple[int, ...], new_other: tuple[int, ...]
) -> Matrix:
    """Give the map between two pictures for the same pictures at other sizes; shapes are (height, width)."""
    return (_resizing(other, new_other) @ _whole(map_) @ _resizing(new, shape))[:2]


def inverse(map_: Matrix) -> Matrix:
    """Give the map back."""
    return np.asarray(np.linalg.inv(_whole(map_))[:2], np.float64)


def _whole(map_: Matrix) -> Matrix:
    return np.vstack([map_, [0, 0, 1]])


def _resizing(shape: tuple[int, ...], new: tuple[int, ...]) -> Matrix:
    y, x = new[0] / shape[0], new[1] / shape[1]
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])
