"""Confirm that two pictures are copies: align their pixels, then compare the fine detail.

Films of different patients are similar at low frequencies, and neighbouring slices in most places. So only the detail
after a high-pass counts, block by block, and three blocks in four must agree: the fourth may hold an arrow, a letter
or a bar.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from . import grey, keypoints, registration
from .grey import Floats, Pixels, blurred
from .registration import Matrix
from .sketch import Sketch, reconstruct, whiten

KEYPOINTS: Final = 120
HYPOTHESES: Final = 3

COARSE, MIDDLE = 3.0, 1.2
"""Scales at which the alignment is refined, in pixels of the working picture."""

FINE: Final = 3.0
"""Scale above which brightness is removed before pixels are compared."""

HOPELESS: Final = 0.2
"""Correlation at `COARSE` below which an alignment is not refined."""

GOOD: Final = 0.4
"""Correlation at `COARSE` that a refined alignment must reach."""

BLOCK: Final = 8
MIN_BLOCKS: Final = 16
MIN_DETAIL: Final = 0.7
"""Grey levels (root mean square) of fine detail that a block must have to count."""

MIN_SHARE: Final = 0.5
"""The share of the smaller picture that must overlap the other."""

COPY: Final = 0.6
"""The least likeness of a copy; `benchmarks/duplicates_accuracy.py` shows both sides of it."""

COPY_BY_SKETCH: Final = 0.58
"""The same where one of the two is a sketch, whose coarse levels lower the likeness."""

CERTAIN: Final = 0.85
"""A likeness at which no other alignment is tried."""

DOUBTFUL: Final = 0.1
"""A likeness below which an alignment is not refined further."""


Kind = Literal["copy", "panel", "overlap", "sequence", "unrelated"]
"""How one picture relates to another:

- `copy`: both show the same, whatever was done to tone, size, border or frame.
- `panel`: one is a part of the other, which shows more beside it.
- `overlap`: each shows a part of the other, and something of its own.
- `sequence`: neighbours of a volume or a clip, which show nearly the same.
"""

Box = tuple[float, float, float, float]
"""Left, top, right and bottom of a part, in shares of width and height."""

WHOLE: Final[Box] = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Match:
    """The result of comparing two pictures.

    Attributes:
        kind: how they relate.
        likeness: the normalised correlation that three in four of the detailed blocks reach, -1 to 1.
        share: the share of the smaller picture that overlaps the other, 0 to 1.
        flipped: whether the first must be mirrored left to right to give the second.
        turn: the degrees (0, 90, 180, 270) by which it must then be turned counter-clockwise, nearly.
        zoom: the magnification of the first on the second, when both have the same number of pixels: above 1 where
            the second is a crop or a panel of the first.
        box: the part that both show, in the picture that shows more: the first where `zoom` is above 1.
    """

    kind: Kind
    likeness: float
    share: float
    flipped: bool
    turn: int
    zoom: float
    box: Box = WHOLE

    @property
    def same(self) -> bool:
        """Whether the pictures are copies."""
        return self.kind == "copy"


NO_MATCH: Final = Match("unrelated", likeness=0.0, share=0.0, flipped=False, turn=0, zoom=1.0)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A picture prepared for comparison with several others; about 350 kB.

    Attributes:
        picture: the working picture, float32 [H, W].
        coarse, middle: its bands around those scales, of even contrast, [H, W].
        fine: its fine detail in grey levels, [H, W].
        points: its keypoints.
        least: the least likeness of a copy.
    """

    picture: Floats
    coarse: Floats
    middle: Floats
    fine: Floats
    points: keypoints.Keypoints
    least: float


def prepare(picture: Pixels, for_sketch: bool = False) -> Prepared | None:
    """Prepare a grey picture, uint8 [H, W], for comparison; None when it is tiny, a strip or near-uniform.

    More than 192 pixels a side add nothing, so images may be decoded at reduced scale.

    Args:
        picture: the picture.
        for_sketch: it will be compared with a sketch, so brightness and contrast are removed.
    """
    small = grey.working_picture(picture)
    if small is None:
        return None
    return _prepare(whiten(small) if for_sketch else small, grey.enlargement(small, picture), COPY)


def prepare_sketch(kept: Sketch) -> Prepared:
    """Prepare a sketch for comparison with pictures prepared by `prepare` for a sketch.

    Raises:
        ValueError: the sketch is damaged.
    """
    return _prepare(reconstruct(kept), kept.enlarged, COPY_BY_SKETCH)


def _prepare(small: Floats, enlarged: float, least: float) -> Prepared:
    # detail smaller than a pixel of a small image comes from the decoder, not from the image
    fine = blurred(small, 0.5 * enlarged) - blurred(small, FINE)
    points = keypoints.detect(small, KEYPOINTS)
    return Prepared(small, _band_pass(small, COARSE), _band_pass(small, MIDDLE), fine, points, least)


def compare(first: Prepared | None, second: Prepared | None) -> Match:
    """Align two pictures and compare them; swapping the two gives the same verdict and likeness."""
    if first is None or second is None:
        return NO_MATCH
    if _sort_key(first) > _sort_key(second):
        return swapped(compare(second, first))
    best = NO_MATCH
    for start in _initial_alignments(first, second):
        best = max(best, _try_alignment(first, second, start), key=_match_rank)
        if best.same and best.likeness >= CERTAIN:
            break
    return best


def _sort_key(one: Prepared) -> tuple[tuple[int, ...], bytes]:
    return one.picture.shape, one.picture.tobytes()


def swapped(match: Match) -> Match:
    """Give the match of the same two pictures in the other order."""
    turn = match.turn if match.flipped else -match.turn % 360
    return Match(match.kind, match.likeness, match.share, match.flipped, turn, 1 / match.zoom, match.box)


def _initial_alignments(first: Prepared, second: Prepared) -> Iterator[Matrix]:
    """Give the alignments to try: frame on frame, then those that the keypoints imply."""
    (height, width), (other_height, other_width) = first.picture.shape, second.picture.shape
    wider, higher = other_width / width, other_height / height
    yield np.array([[wider, 0, (wider - 1) / 2], [0, higher, (higher - 1) / 2]])
    matches = registration.match_keypoints(first.points, second.points, (width / 2, height / 2))
    yield from registration.hypotheses(first.points, second.points, matches, HYPOTHESES)


def _try_alignment(first: Prepared, second: Prepared, start: Matrix) -> Match:
    """Refine an alignment and measure the likeness under it.

    On smooth pictures coarse steps spoil a good start, so they are tried second.
    """
    if _coarse_correlation(first, second, start) < HOPELESS:
        return NO_MATCH
    best = _refine_and_measure(first, second, start)
    if best.likeness < CERTAIN:
        start = registration.refine(first.coarse, second.coarse, start, steps=6)
        if _coarse_correlation(first, second, start) > GOOD:
            best = max(best, _refine_and_measure(first, second, start), key=_match_rank)
    return best


def _refine_and_measure(first: Prepared, second: Prepared, map_: Matrix) -> Match:
    """Refine at the middle scale, longer where the likeness is in doubt."""
    match = NO_MATCH
    for steps in (8, 16):
        map_ = registration.refine(first.middle, second.middle, map_, steps)
        match = max(match, _measure(first, second, map_), key=_match_rank)
        if not DOUBTFUL < match.likeness < CERTAIN:
            break
    return match


def _coarse_correlation(first: Prepared, second: Prepared, map_: Matrix) -> float:
    moved, inside = registration.warp(second.coarse, map_, first.coarse.shape)
    return _correlation(first.coarse[inside], moved[inside]) if inside.any() else 0.0


def _match_rank(match: Match) -> tuple[bool, float]:
    return match.same, match.likeness


def _measure(first: Prepared, second: Prepared, map_: Matrix) -> Match:
    area = float(np.linalg.det(map_[:, :2]))
    moved, inside = registration.warp(second.fine, map_, first.fine.shape)
    share = float(inside.sum() / min(first.fine.size, second.fine.size / max(abs(area), 1e-6)))
    likeness = _likeness(first.fine, moved, inside)
    same = likeness >= min(first.least, second.least) and share >= MIN_SHARE
    return Match(
        "copy" if same else "unrelated",
        likeness,
        min(1.0, share),
        area < 0,
        _quarter_turn(map_),
        max(abs(area), 1e-6) ** 0.5,
    )


def _quarter_turn(map_: Matrix) -> int:
    """Give the quarter turn, counter-clockwise on the screen, of a map without its mirroring."""
    hand = np.sign(np.linalg.det(map_[:, :2]))
    return int(np.rint(-np.arctan2(hand * map_[1, 0], hand * map_[0, 0]) / (np.pi / 2))) * 90 % 360


def _likeness(first: Floats, second: Floats, inside: npt.NDArray[np.bool_]) -> float:
    """Give the lower quartile of the correlations of the more detailed 60 % of the blocks, 0 when there are too few."""
    whole = _blocks(inside).all(axis=1)
    one, two = (blocks[whole] - blocks[whole].mean(axis=1, keepdims=True) for blocks in map(_blocks, (first, second)))
    detail, other = (np.sqrt(np.square(blocks).mean(axis=1)) for blocks in (one, two))
    telling = np.maximum(detail, other) > MIN_DETAIL
    if np.count_nonzero(telling) < MIN_BLOCKS:
        return 0.0
    both = np.sqrt(detail * other)
    telling &= both >= np.percentile(both, 40)
    correlations = (one * two).mean(axis=1)[telling] / (detail * other + 1e-3)[telling]
    return float(np.percentile(correlations, 25))


def _blocks(picture: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """Cut [H, W] into [N, BLOCK * BLOCK]; the remainder at the right and below is dropped."""
    rows, columns = (side // BLOCK for side in picture.shape)
    cut = picture[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK)
    return cut.swapaxes(1, 2).reshape(-1, BLOCK * BLOCK)


def _band_pass(picture: Floats, sigma: float) -> Floats:
    """Band-pass a picture around a scale and divide by the local contrast, so that its tone does not matter."""
    band = blurred(picture, sigma) - blurred(picture, 4 * sigma)
    contrast = np.sqrt(blurred(np.square(band), 8 * sigma))
    return band / (contrast + 0.3 * float(contrast.mean()) + 0.5)


def _correlation(first: Floats, second: Floats) -> float:
    one, two = first - first.mean(), second - second.mean()
    return float((one * two).sum() / (np.sqrt(np.square(one).sum() * np.square(two).sum()) + 1e-6))
