"""The judgement on two aligned pictures: copies, a panel, an overlap, neighbours of a sequence, or unrelated.

Principle: pictures are copies when every region of fine detail agrees, once the tone of the one is given to the
other, or when what differs is an ink that was laid over one of them. On drawings (charts, tables, diagrams) ink is
the content, so there nothing may differ.
"""

from dataclasses import dataclass, replace
from typing import Final, Literal

import cv2
import numpy as np
import numpy.typing as npt

from . import grey, registration
from .alignment import Aligned
from .grey import Floats
from .inks import lifted
from .panels import Box
from .registration import Matrix
from .regions import CELL, LOUD, NOISE, Regions, compare_regions
from .tone import retoned

Kind = Literal["copy", "panel", "overlap", "sequence", "unrelated"]
"""How one picture relates to another:

- `copy`: both show the same, whatever was done to tone, size, border or frame.
- `panel`: one is a part of the other, which shows more beside it.
- `overlap`: each shows a part of the other, and something of its own.
- `sequence`: neighbours of a volume or a clip, which show nearly the same.
"""

SIDE: Final = 256
"""Side of the square that has as many pixels as the pictures in which regions are compared."""

MIN_LOUD: Final = 40
"""Loud cells below which a picture is faint: noise is no excuse there, since it would excuse all."""

FAINT_NOISE: Final = 0.5

MIN_AGREED: Final = 0.3
"""The least share of the telling cells in which both pictures have detail, and the same."""

DRAWING_SIDE: Final = 448
"""The same for drawings, whose letters are small; also the largest side of a picture of which the other is a part."""

AGREES: Final = 0.85
"""Agreement of a cell at which nothing there is left to explain."""

CONFLICT: Final = 0.5
"""Agreement below which a cell shows two different things, where both or one of them are loud."""

MIN_STRONG: Final = 12
"""Strong cells below which pictures have too little detail to be told apart."""

@dataclass(frozen=True, slots=True)
class Limits:
    """The largest shares that copies may have of unexplained cells among the telling ones and the strong ones.

    `conflicts` is that of loud conflicts among the telling ones.
    """

    telling: float
    strong: float
    conflicts: float


PLAIN: Final = Limits(telling=0.1, strong=0.02, conflicts=0.006)
FAINT: Final = Limits(telling=0.06, strong=0.02, conflicts=0.006)
"""Where pictures are faint."""

INKED: Final = Limits(telling=0.2, strong=0.03, conflicts=0.03)
"""Where inks were lifted, which leaves some of their edges."""

MIN_AGREED: Final = 0.3
"""The least share of the telling cells in which both pictures have detail, and the same."""

DRAWING_SIDE: Final = 448
"""The same for drawings, whose letters are small; also the largest side of a picture of which the other is a part."""

AGREES: Final = 0.85
"""Agreement of a cell at which nothing there is left to explain."""

CONFLICT: Final = 0.5
"""Agreement below which a cell shows two different things, where both or one of them are loud."""

LOUD: Final = 6.0
"""Grey levels of fine detail that no encoder adds or takes."""

MIN_STRONG: Final = 12
"""Strong cells below which pictures have too little detail to be told apart."""

UNEXPLAINED, UNEXPLAINED_STRONG, CONFLICTS = 0.1, 0.02, 0.006
"""The largest shares of the telling cells, of the strong ones and of loud conflicts that copies may have."""

EDGES: Final = 0.03
"""The same for conflicts where inks were lifted, which leaves some of their edges."""

MIN_SHARE: Final = 0.3
"""The share of the smaller picture that must overlap the other."""

RIM, SMALL_RIM = 5, 2
"""Pixels at the rim whose detail depends on what lies beside it, and whether a border was cut there; of small pictures."""

MAX_COPY_ZOOM: Final = 2.3
"""Above this zoom a part is not called a crop."""

MAX_PANEL: Final = 0.75
"""The largest share of a figure that a panel takes."""

PROTRUDES: Final = 1.5
"""Pixels by which frames may differ when one is said to lie within the other."""

NEIGHBOUR_SHARE: Final = 0.93
"""The least overlap of neighbouring frames of a clip."""

NEIGHBOUR: Final = 0.45
"""The least median agreement of neighbouring slices or frames."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The relation of two pictures under one alignment.

    Attributes:
        kind: how they relate.
        likeness: the agreement that three in four of the strong cells reach, 0 to 1.
        share: the share of the smaller picture that overlaps the other, 0 to 1.
        box: that part, in shares of the picture that shows more, without its borders.
    """

    kind: Kind
    likeness: float
    share: float
    box: Box


UNRELATED: Final = Judgement("unrelated", 0.0, 0.0, (0.0, 0.0, 1.0, 1.0))


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two pictures at one scale of pixels: `part` and, moved on its grid, `ground`, which shows as much or more."""

    part: Floats
    ground: Floats
    map: Matrix
    moved: Floats
    inside: npt.NDArray[np.bool_]
    sharpest: float
    noise: float = NOISE

    def regions(self, part: Floats | None = None, moved: Floats | None = None) -> Regions:
        """Compare the two, or what was made of them."""
        one, other = self.part if part is None else part, self.moved if moved is None else moved
        return compare_regions(one, other, self.inside, self.sharpest, self.noise)


def judge(part: Aligned, ground: Aligned, map_: Matrix) -> Judgement:
    """Judge two pictures under an alignment of `part` with `ground`, which shows as much or more.

    Args:
        part, ground: the pictures.
        map_: of the working picture of the one on that of the other.
    """
    drawing = part.is_drawing or ground.is_drawing
    pair = _at_one_scale(part, ground, map_, DRAWING_SIDE if drawing else SIDE)
    if pair is None:
        return UNRELATED
    share = 1 - float(_outside(pair.map, pair.part.shape, pair.ground.shape, 0.0).mean())
    if share < MIN_SHARE:
        return UNRELATED
    regions = pair.regions()
    if np.count_nonzero(regions.loud) < MIN_LOUD:
        pair = replace(pair, noise=FAINT_NOISE)
        regions = pair.regions()
    if np.count_nonzero(regions.strong) < MIN_STRONG:
        return UNRELATED
    likeness = float(np.percentile(np.abs(regions.agreement[regions.strong]), 25))
    box = _box(pair)
    kind: Kind = "unrelated"
    if _all_agree(pair, regions, drawing):
        kind = _kind_by_frames(pair, ground, box, share)
    elif not drawing and _is_neighbour(pair, regions):
        kind = "sequence"
    return Judgement(kind, likeness, share, box)


def _at_one_scale(part: Aligned, ground: Aligned, map_: Matrix, side: int) -> _Pair | None:
    zoom = max(1.0, abs(float(np.linalg.det(map_[:, :2]))) ** -0.5)
    natural = [2 * float(one.pixels.size) ** 0.5 for one in (part, ground)]
    side_part = min(side, natural[0], min(DRAWING_SIDE, natural[1]) / zoom)
    sizes = part.at(round(side_part)), ground.at(round(side_part * zoom))
    if sizes[0] is None or sizes[1] is None or min(sizes[0].picture.shape) < CELL:
        return None
    one, other = sizes[0].picture, sizes[1].picture
    map_ = registration.rescaled(map_, part.picture.shape, ground.picture.shape, one.shape, other.shape)
    for sigma, stride in ((2.4, 3), (1.2, 2)):
        bands = sizes[0].band(sigma), sizes[1].band(sigma)
        moved, inside = registration.warp(bands[1], map_, one.shape)
        sign = 1.0 if float((bands[0] * moved)[inside].sum()) >= 0 else -1.0
        refined = registration.refine(bands[0], sign * bands[1], map_, 8, stride)
        if _correlation(bands[0], bands[1], refined) > _correlation(bands[0], bands[1], map_):
            map_ = refined
    moved, inside = registration.warp(other, map_, one.shape)
    inside = _without_rim(inside, RIM if side_part > grey.WORKING_SIDE else SMALL_RIM)
    sharpest = 0.5 * max(grey.enlargement(one, part.pixels), grey.enlargement(other, ground.pixels))
    return _Pair(one, other, map_, moved, inside, sharpest)


def _without_rim(inside: npt.NDArray[np.bool_], rim: int) -> npt.NDArray[np.bool_]:
    padded = np.pad(inside.astype(np.uint8), rim)
    return np.asarray(cv2.erode(padded, np.ones((2 * rim + 1, 2 * rim + 1), np.uint8))[rim:-rim, rim:-rim] > 0)


def _correlation(one: Floats, other: Floats, map_: Matrix) -> float:
    moved, inside = registration.warp(other, map_, one.shape)
    if not inside.any():
        return -1.0
    mine, yours = one[inside], moved[inside]
    return abs(float(mine @ yours)) / (float(mine @ mine) * float(yours @ yours) + 1e-6) ** 0.5


def _all_agree(pair: _Pair, regions: Regions, drawing: bool) -> bool:
    explained, agreed = _agrees(regions), _agrees(regions) & regions.telling
    retoned_one = retoned(pair.part, pair.moved, pair.inside)
    retoned_other = retoned(pair.moved, pair.part, pair.inside)
    for one, other in ((retoned_one, pair.moved), (pair.part, retoned_other)):
        in_tone = pair.regions(one, other)
        explained |= _agrees(in_tone)
        agreed |= _agrees(in_tone) & in_tone.telling
    if np.count_nonzero(agreed) < max(MIN_STRONG, MIN_AGREED * np.count_nonzero(regions.telling)):
        return False  # a tone without contrast explains everything
    if drawing:
        return bool(explained[regions.loud].all()) and _few_unexplained(regions, explained, PLAIN)
    if _few_unexplained(regions, explained, FAINT if pair.noise == FAINT_NOISE else PLAIN):
        return True
    for below, inked in ((pair.part, pair.moved), (pair.moved, pair.part)):
        clean = lifted(below, inked, pair.inside, pair.sharpest)
        if clean is not None:
            without = pair.regions(below, clean)
            if np.count_nonzero(without.strong) >= MIN_STRONG and _few_unexplained(without, _agrees(without), INKED):
                return True
    return False


def _agrees(regions: Regions) -> npt.NDArray[np.bool_]:
    return np.asarray(~regions.telling | (np.abs(regions.agreement) >= AGREES))


def _few_unexplained(regions: Regions, explained: npt.NDArray[np.bool_], limits: Limits) -> bool:
    telling, strong = regions.telling, regions.strong
    conflict = regions.loud & ~explained & (np.abs(regions.agreement) < CONFLICT)
    return bool(
        np.count_nonzero(telling & ~explained) <= limits.telling * np.count_nonzero(telling)
        and np.count_nonzero(strong & ~explained) <= limits.strong * np.count_nonzero(strong)
        and np.count_nonzero(conflict) <= max(1, limits.conflicts * np.count_nonzero(telling))
    )


def _kind_by_frames(pair: _Pair, ground: Aligned, box: Box, share: float) -> Kind:
    """Name the relation of pictures that agree where both show something, by what each shows beside it."""
    zoom = (pair.ground.size / pair.part.size) ** 0.5
    own = _outside(pair.map, pair.part.shape, pair.ground.shape, PROTRUDES)
    own_ground = _outside(registration.inverse(pair.map), pair.ground.shape, pair.part.shape, PROTRUDES)
    if _shows_something(pair.part, own) and _shows_something(pair.ground, own_ground):
        straight = abs(pair.map[0, 1]) + abs(pair.map[1, 0]) < 0.05 and pair.map[0, 0] > 0 and pair.map[1, 1] > 0
        return "sequence" if share >= NEIGHBOUR_SHARE and zoom < 1.03 and straight else "overlap"
    is_part = (box[2] - box[0]) * (box[3] - box[1]) < MAX_PANEL
    if zoom > MAX_COPY_ZOOM or (is_part and any(_is_same_box(box, panel) for panel in ground.panels)):
        return "panel"
    return "copy"


def _outside(
    map_: Matrix, shape: tuple[int, ...], other: tuple[int, ...], margin: float
) -> npt.NDArray[np.bool_]:
    """Give the pixels of a [H, W] grid that a map takes beyond the frame of another picture by more than a margin."""
    rows, columns = np.arange(shape[0])[:, None], np.arange(shape[1])
    (xx, xy, x), (yx, yy, y) = map_
    beyond = [
        np.maximum(-0.5 - place, place - (size - 0.5))
        for place, size in ((xx * columns + xy * rows + x, other[1]), (yx * columns + yy * rows + y, other[0]))
    ]
    return np.asarray(np.maximum(*beyond) > margin)


def _shows_something(picture: Floats, where: npt.NDArray[np.bool_]) -> bool:
    """Tell whether a picture is more than an even ground there."""
    if np.count_nonzero(where) < 0.003 * picture.size:
        return False
    values = picture[where]
    return bool(np.percentile(values, 90) - np.percentile(values, 10) > 3 * LOUD)


def _box(pair: _Pair) -> Box:
    height, width = pair.part.shape
    corners = np.array([[-0.5, -0.5, 1], [width - 0.5, -0.5, 1], [-0.5, height - 0.5, 1], [width - 0.5, height - 0.5, 1]])
    places = (corners @ pair.map.T + 0.5) / pair.ground.shape[::-1]
    (left, top), (right, bottom) = np.clip(places.min(0), 0, 1), np.clip(places.max(0), 0, 1)
    return float(left), float(top), float(right), float(bottom)


def _is_same_box(one: Box, other: Box) -> bool:
    """Tell whether two boxes share three quarters of what they cover."""
    width = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    height = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height > 0.75 * (sum(areas) - width * height)


def _is_neighbour(pair: _Pair, regions: Regions) -> bool:
    """Tell neighbours of a volume or clip: nearly in place, alike all over, and nowhere the same for certain."""
    height, width = pair.part.shape
    still = np.array([[pair.ground.shape[1] / width, 0, 0], [0, pair.ground.shape[0] / height, 0]])
    moved = np.abs(pair.map - still)
    if moved[:, :2].max() > 0.1 or moved[:, 2].max() > 0.1 * max(height, width):
        return False
    return bool(np.median(np.abs(regions.agreement[regions.strong])) >= NEIGHBOUR)
