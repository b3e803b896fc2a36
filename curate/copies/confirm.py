"""Confirm how two pictures relate: align their pixels, then look at what differs where it is.

Films of different patients are similar at low frequencies, neighbouring slices in most places, and charts in all but
their data. So likeness alone confirms nothing: `judgement` looks at every region.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from . import grey, registration
from .alignable import Alignable
from .alignment import Alignment, alignments, block_correlations
from .grey import Pixels
from .judgement import UNRELATED, Judgement, Kind, judge
from .paired import DRAWING_SIDE
from .panels import Box
from .registration import Matrix
from .sketch import Sketch, reconstruct, whiten

COPY_BY_SKETCH: Final = 0.58
"""The least likeness of a copy where one of the two is a sketch, which has no grey levels to look at."""

TENTH_BY_SKETCH: Final = 0.25
"""The same that nine in ten of the detailed blocks reach."""

MIN_SHARE_BY_SKETCH: Final = 0.5
MIN_SCORE: Final = 0.52
"""Score of an alignment below which pictures are unrelated."""

JUDGED: Final = 2
"""Alignments that are judged at most, the best ones."""

SIDE: Final = DRAWING_SIDE
"""Sides in pixels above which a picture shows no more in a comparison; images may be decoded at reduced scale."""

WHOLE: Final[Box] = (0.0, 0.0, 1.0, 1.0)
_RANK: Final[dict[Kind, int]] = {"copy": 4, "panel": 3, "overlap": 2, "sequence": 1, "unrelated": 0}


@dataclass(frozen=True, slots=True)
class Match:
    """The result of comparing two pictures.

    Attributes:
        kind: how they relate.
        likeness: the normalised correlation that three in four of the detailed regions reach, 0 to 1.
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
    """A picture or a sketch prepared for comparison with several others; about 1 MB.

    Attributes:
        aligned: what its alignment uses.
        is_sketch: whether one of the two compared is a sketch.
    """

    aligned: Alignable
    is_sketch: bool


def prepare(picture: Pixels, for_sketch: bool = False) -> Prepared | None:
    """Prepare a grey picture, uint8 [H, W], for comparison; None when it is tiny, a strip or near-uniform.

    More than `SIDE` pixels a side add nothing.

    Args:
        picture: the picture.
        for_sketch: it will be compared with a sketch, so brightness and contrast are removed.
    """
    small = grey.working_picture(picture)
    if small is None:
        return None
    return Prepared(Alignable(picture, whiten(small) if for_sketch else small), for_sketch)


def prepare_sketch(kept: Sketch) -> Prepared:
    """Prepare a sketch for comparison with pictures prepared by `prepare` for a sketch.

    Raises:
        ValueError: the sketch is damaged.
    """
    return Prepared(Alignable.of_sketch(reconstruct(kept), kept.enlarged), is_sketch=True)


def compare(first: Prepared | None, second: Prepared | None) -> Match:
    """Align two pictures and judge them; swapping the two gives the same verdict and likeness."""
    if first is None or second is None:
        return NO_MATCH
    if _sort_key(first) > _sort_key(second):
        return swapped(compare(second, first))
    found = alignments(first.aligned, second.aligned)
    if first.is_sketch:
        return _by_sketch(first.aligned, second.aligned, found)
    best = NO_MATCH
    for alignment in _distinct(found):
        match = _judged(first.aligned, second.aligned, alignment.map)
        best = max(best, match, key=_match_rank)
        if best.same:
            break
    return best


def _sort_key(one: Prepared) -> tuple[tuple[int, ...], bytes]:
    return one.aligned.picture.shape, one.aligned.picture.tobytes()


def swapped(match: Match) -> Match:
    """Give the match of the same two pictures in the other order."""
    turn = match.turn if match.flipped else -match.turn % 360
    return replace(match, turn=turn, zoom=1 / match.zoom)


def _distinct(found: list[Alignment]) -> list[Alignment]:
    """Give the best alignments that are worth judging, and of nearly equal ones the better."""
    chosen: list[Alignment] = []
    for one in found:
        if len(chosen) == JUDGED or one.score < MIN_SCORE:
            break
        if all(np.abs((one.map - other.map) * (50, 50, 1)).max() > 2 for other in chosen):
            chosen.append(one)
    return chosen


def _judged(first: Alignable, second: Alignable, map_: Matrix) -> Match:
    area = float(np.linalg.det(map_[:, :2]))
    if abs(area) < 1e-3:
        return NO_MATCH
    judgement = judge(first, second, map_) if abs(area) <= 1 else judge(second, first, registration.inverse(map_))
    ground = second if abs(area) <= 1 else first
    return _match(judgement, map_, area, _in_whole(judgement.box, ground.frame))


def _match(judgement: Judgement, map_: Matrix, area: float, box: Box) -> Match:
    zoom = max(abs(area), 1e-6) ** 0.5
    return Match(judgement.kind, judgement.likeness, judgement.share, area < 0, _quarter_turn(map_), zoom, box)


def _in_whole(box: Box, frame: Box) -> Box:
    """Give a box in shares of the frame in shares of the whole picture."""
    left, top, right, bottom = frame
    width, height = right - left, bottom - top
    return left + box[0] * width, top + box[1] * height, left + box[2] * width, top + box[3] * height


def _by_sketch(first: Alignable, second: Alignable, found: list[Alignment]) -> Match:
    """Compare the detail of blocks; of drawings a sketch does not show what differs, so they are never copies."""
    best = NO_MATCH
    if first.is_drawing or second.is_drawing:
        return best
    for alignment in _distinct(found):
        area = float(np.linalg.det(alignment.map[:, :2]))
        moved, inside = registration.warp(second.fine, alignment.map, first.fine.shape)
        share = min(1.0, float(inside.sum() / min(first.fine.size, second.fine.size / max(abs(area), 1e-6))))
        correlations = block_correlations(first.fine, moved, inside)
        tenth, likeness = np.percentile(correlations, (10, 25)).tolist() if len(correlations) else (0.0, 0.0)
        same = likeness >= COPY_BY_SKETCH and tenth >= TENTH_BY_SKETCH and share >= MIN_SHARE_BY_SKETCH
        judgement = replace(UNRELATED, kind="copy" if same else "unrelated", likeness=likeness, share=share)
        best = max(best, _match(judgement, alignment.map, area, WHOLE), key=_match_rank)
    return best


def _match_rank(match: Match) -> tuple[int, float]:
    return _RANK[match.kind], match.likeness


def _quarter_turn(map_: Matrix) -> int:
    """Give the quarter turn, counter-clockwise on the screen, of a map without its mirroring."""
    hand = np.sign(np.linalg.det(map_[:, :2]))
    return int(np.rint(-np.arctan2(hand * map_[1, 0], hand * map_[0, 0]) / (np.pi / 2))) * 90 % 360
