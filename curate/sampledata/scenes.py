"""The content of a synthetic picture. Pictures and sentences are made from it, so they agree."""

from dataclasses import dataclass

import numpy as np

from .seeds import pick

RADIOLOGY = ("film", "film", "ct", "mr", "sonogram")
"""Kinds of a radiology collection; films are the most common there."""

_ORGANS = {
    "film": ("chest",),
    "ct": ("abdomen", "chest"),
    "mr": ("brain",),
    "sonogram": ("breast", "liver"),
    "tile": ("tissue",),
    "plot": ("figure",),
}

_VIEWS = {"film": ("pa", "lateral"), "ct": ("axial", "coronal"), "mr": ("axial", "sagittal")}


@dataclass(frozen=True, slots=True)
class Scene:
    """The facts of a picture.

    Attributes:
        kind: `film`, `ct`, `mr`, `sonogram`, `tile` (microscopy) or `plot`.
        organ: the imaged organ: `chest`, `abdomen`, `brain`, `breast`, `liver`, `tissue`, `figure`.
        view: `pa`, `lateral`, `axial`, `coronal`, `sagittal`, or "" for kinds without one.
        spots: number of findings, 0 to 3; bars, 2 to 5, for plots.
        side: half of the image that holds them, `left` or `right`; "" where there are none.
        large: the heart is enlarged (film), the ventricles are wide (mr), the nuclei crowded (tile).
        stain: `H&E` or `IHC` for tiles, else "".
    """

    kind: str
    organ: str
    view: str
    spots: int
    side: str
    large: bool
    stain: str = ""


def scene(rng: np.random.Generator, kinds: tuple[str, ...] = RADIOLOGY) -> Scene:
    """Draw the facts of one picture of one of the kinds; half of the pictures have a finding."""
    kind = pick(rng, kinds)
    spots = int(rng.integers(2, 6)) if kind == "plot" else pick(rng, (0, 0, 0, 1, 1, 2, 3))
    return Scene(
        kind=kind,
        organ=pick(rng, _ORGANS[kind]),
        view=pick(rng, _VIEWS.get(kind, ("",))),
        spots=spots,
        side=pick(rng, ("left", "right")) if spots and kind != "plot" else "",
        large=bool(rng.integers(2)),
        stain=pick(rng, ("H&E", "IHC")) if kind == "tile" else "",
    )
