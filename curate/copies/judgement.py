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

from . import frames
from .alignable import Alignable
from .grey import WORKING_SIDE
from .inks import lifted
from .paired import Paired, pair
from .panels import Box
from .regions import Regions
from .registration import Matrix
from .tone import retoned

Kind = Literal["copy", "panel", "overlap", "sequence", "unrelated"]
"""How one picture relates to another:

- `copy`: both show the same, whatever was done to tone, size, border or frame.
- `panel`: one is a part of the other, which shows more beside it.
- `overlap`: each shows a part of the other, and something of its own.
- `sequence`: neighbours of a volume or a clip, which show nearly the same.
"""

MIN_SHARE: Final = 0.3
"""The share of the smaller picture that must overlap the other."""

MIN_STRONG, MIN_STRONG_SMALL = 12, 5
"""Strong cells below which pictures have too little detail to be told apart; of small pictures, which have few."""

MIN_LOUD: Final = 40
"""Loud cells below which a picture is faint: noise is no excuse there, since it would excuse all."""

FAINT_NOISE: Final = 0.5
"""Grey levels of noise that count for nothing in faint pictures."""

MIN_AGREED: Final = 0.3
"""The least share of the telling cells in which both pictures have detail, and the same."""

AGREES: Final = 0.85
"""Agreement of a cell at which nothing there is left to explain."""

CONFLICT: Final = 0.5
"""Agreement below which a loud cell shows two different things."""


WINDOW: Final = 0.3
"""Side of the window, in sides of the picture, in which what is unexplained is counted."""

MIN_CELLS: Final = 400
"""Cells of a picture below which an arrow fills such a window: it has about 160 pixels a side, too few for panels."""

MAX_IN_WINDOW: Final = 0.5
"""The share of unexplained cells in a window above which it shows another thing, such as another panel."""


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

INKED: Final = Limits(telling=0.2, strong=0.07, conflicts=0.045)
"""Where inks were lifted, which leaves some of their edges."""

MAX_COPY_ZOOM: Final = 2.3
"""Above this zoom a part is not called a crop."""

MAX_PANEL: Final = 0.75
"""The largest share of a figure that a panel takes."""

MIN_SHARED_PANELS: Final = 0.2
"""The least share of a figure whose panels another figure has too."""

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


def judge(part: Alignable, ground: Alignable, map_: Matrix) -> Judgement:
    """Judge two pictures under an alignment of `part` with `ground`, which shows as much or more.

    Args:
        part: the one picture.
        ground: the other.
        map_: of the working picture of the one on that of the other.
    """
    paired = pair(part, ground, map_)
    share = 0.0 if paired is None else frames.share(paired)
    if paired is None or share < MIN_SHARE:
        return UNRELATED
    regions = paired.regions()
    if np.count_nonzero(regions.loud) < MIN_LOUD:
        paired = replace(paired, noise=FAINT_NOISE)
        regions = paired.regions()
    if np.count_nonzero(regions.strong) < _least_strong(paired):
        return UNRELATED
    likeness = float(np.percentile(np.abs(regions.agreement[regions.strong]), 25))
    box = frames.shared_box(paired)
    drawing = part.is_drawing or ground.is_drawing
    explained = _explained(paired, regions)
    if _is_spotless(regions, explained) if drawing else _few_unexplained(regions, explained, _limits(paired)):
        return Judgement(_kind_by_frames(paired, ground, box), likeness, share, box)
    if drawing:
        return replace(UNRELATED, likeness=likeness)
    if _is_inked(paired):
        return Judgement(_kind_by_frames(paired, ground, box), likeness, share, box)
    shared = _shared_panels(part, regions, explained)
    if shared >= MIN_SHARED_PANELS:
        return Judgement("overlap", likeness, shared, box)
    is_neighbour = frames.is_still(paired) and np.median(np.abs(regions.agreement[regions.strong])) >= NEIGHBOUR
    return Judgement("sequence" if is_neighbour else "unrelated", likeness, share, box)


def _least_strong(paired: Paired) -> int:
    return MIN_STRONG if paired.part.size >= WORKING_SIDE**2 else MIN_STRONG_SMALL


def _limits(paired: Paired) -> Limits:
    return FAINT if paired.noise == FAINT_NOISE else PLAIN


def _explained(paired: Paired, regions: Regions) -> npt.NDArray[np.bool_]:
    """Tell the cells in which nothing differs, as they are or in the tone of the other picture."""
    explained, agreed = _agrees(regions), _agrees(regions) & regions.telling
    plain = explained.copy()
    in_tone = retoned(paired.part, paired.moved, paired.inside), retoned(paired.moved, paired.part, paired.inside)
    for toned in (paired.regions(part=in_tone[0]), paired.regions(moved=in_tone[1])):
        explained |= _agrees(toned)
        agreed |= _agrees(toned) & toned.telling
    # a tone without contrast would explain everything
    enough = np.count_nonzero(agreed) >= max(_least_strong(paired), MIN_AGREED * np.count_nonzero(regions.telling))
    return explained if enough else plain


def _is_inked(paired: Paired) -> bool:
    """Tell whether an ink on one of the pictures explains what differs."""
    for below, inked in ((paired.part, paired.moved), (paired.moved, paired.part)):
        clean = lifted(below, inked, paired.inside, paired.sharpest)
        if clean is not None:
            without = paired.regions(below, clean)
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
        and _is_scattered(telling & ~explained, telling)
    )


def _is_scattered(unexplained: npt.NDArray[np.bool_], telling: npt.NDArray[np.bool_]) -> bool:
    """Tell whether there is no window in which most cells are unexplained, both [R, C]."""
    if telling.size < MIN_CELLS:
        return True
    rows, columns = (max(3, round(WINDOW * cells)) for cells in telling.shape)
    counts = [
        cv2.boxFilter(cells.astype(np.float32), -1, (columns, rows), normalize=False, borderType=cv2.BORDER_CONSTANT)
        for cells in (unexplained, telling)
    ]
    full = counts[1] >= rows * columns / 2
    return not bool((full & (counts[0] > MAX_IN_WINDOW * counts[1])).any())


def _is_spotless(regions: Regions, explained: npt.NDArray[np.bool_]) -> bool:
    """Tell whether no line and no letter differs."""
    return bool(explained[regions.loud].all()) and _few_unexplained(regions, explained, PLAIN)


def _shared_panels(figure: Alignable, regions: Regions, explained: npt.NDArray[np.bool_]) -> float:
    """Give the share of a figure that its panels take on which all agrees."""
    rows, columns = explained.shape
    shared = 0.0
    for left, top, right, bottom in figure.layout.panels:
        at = (
            slice(int(np.ceil(top * rows)), int(bottom * rows)),
            slice(int(np.ceil(left * columns)), int(right * columns)),
        )
        if np.count_nonzero(regions.strong[at]) >= MIN_STRONG // 2 and explained[at][regions.telling[at]].mean() > 0.97:
            shared += (right - left) * (bottom - top)
    return shared


def _kind_by_frames(paired: Paired, ground: Alignable, box: Box) -> Kind:
    """Name the relation of pictures that agree where both show something, by what each shows beside it."""
    if frames.both_protrude(paired):
        return "overlap"
    is_part = (box[2] - box[0]) * (box[3] - box[1]) < MAX_PANEL
    is_panel = is_part and any(frames.is_same_box(box, panel) for panel in ground.parts)
    is_panel = is_panel or frames.is_division(box) or frames.zoom(paired) > MAX_COPY_ZOOM
    return "panel" if is_panel else "copy"
