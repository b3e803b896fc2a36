"""Synthetic medical pictures, drawn from a `Scene`: every fact of the scene can be seen in its picture.

Shapes are soft ellipses in coordinates from -1 to 1 (x to the right, y down) on a grid that is turned,
shifted and scaled a little for each picture. Each picture has a texture of its own, as tissue has, so that no two
of them are copies once one is laid on the other.
"""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image

from .scenes import Scene

Plane = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]

_GRAIN = ((16, 0.15), (32, 0.15), (64, 0.15))
"""Bumps a side and strength of the parts of a texture."""

_SPOT_PLACES = ((-0.22, 0.46), (0.12, 0.33), (0.36, 0.52))


class _Canvas:
    """A grey plane of values from 0 to 1 with its jittered coordinates `x` and `y`, all [height, width]."""

    def __init__(self, rng: np.random.Generator, height: int, width: int) -> None:
        y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
        angle, scale = float(rng.uniform(-0.09, 0.09)), float(rng.uniform(0.95, 1.15))
        along, across = scale * math.cos(angle), scale * math.sin(angle)
        self.x: Plane = along * x - across * y + float(rng.uniform(-0.07, 0.07))
        self.y: Plane = across * x + along * y + float(rng.uniform(-0.07, 0.07))
        self.rng = rng
        self.value: Plane = np.zeros((height, width), np.float32)

    def blob(self, x: float, y: float, width: float, height: float, soft: float = 0.05) -> Plane:
        """Give the mask, 0 to 1, of a soft ellipse with the half axes `width` and `height`."""
        width, height = (side * float(self.rng.uniform(0.9, 1.1)) for side in (width, height))
        radius = np.hypot((self.x - x) / width, (self.y - y) / height)
        return 1 / (1 + np.exp(np.clip((radius - 1) / soft, -30, 30)))

    def paint(self, mask: Plane, level: float) -> None:
        """Blend the level, 0 to 1, in where the mask is."""
        self.value += mask * (level - self.value)

    def haze(self, cells: int) -> Plane:
        """Give a smooth random field, about -1 to 1, with `cells` bumps a side."""
        coarse = self.rng.normal(size=(cells, cells)).astype(np.float32)
        height, width = self.value.shape
        return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))

    def texture(self) -> Plane:
        """Give a random field of fine detail, about -1 to 1."""
        return np.sum([weight * self.haze(cells) for cells, weight in _GRAIN], axis=0, dtype=np.float32)


def draw(scene: Scene, rng: np.random.Generator, height: int = 128, width: int = 128) -> Pixels:
    """Draw the scene: uint8, [height, width] for grey kinds, [height, width, 3] for tiles and plots."""
    if scene.kind == "tile":
        return _tile(scene, rng, height, width)
    if scene.kind == "plot":
        return _plot(scene, rng, height, width)
    canvas = _Canvas(rng, height, width)
    _BODIES[scene.kind, scene.view, scene.organ](canvas, scene)
    _spots(canvas, scene)
    if scene.kind == "sonogram":
        _speckle(canvas)
    shade = canvas.value * (1 + 0.12 * canvas.haze(3) + 0.5 * canvas.texture()) + 0.02 * canvas.texture()
    return _bytes(np.clip(shade, 0, 1, dtype=np.float32) ** float(rng.uniform(0.8, 1.2)))


def _bytes(plane: Plane) -> Pixels:
    return np.round(np.clip(plane, 0, 1) * 255).astype(np.uint8)


def _spots(canvas: _Canvas, scene: Scene) -> None:
    sign = -1 if scene.side == "left" else 1
    level = 0.02 if scene.kind == "sonogram" else 1.0
    for y, x in _SPOT_PLACES[: scene.spots]:
        canvas.paint(canvas.blob(sign * x, y, 0.12, 0.12, 0.12), level)


def _film_pa(canvas: _Canvas, scene: Scene) -> None:
    canvas.paint(canvas.blob(0, 0.25, 0.98, 1.15), 0.55)
    canvas.paint(canvas.blob(0, -0.95, 0.28, 0.35), 0.6)
    ribs = 0.5 + 0.5 * np.cos(15 * (canvas.y - 0.35 * canvas.x**2))
    for sign in (-1, 1):
        lung = canvas.blob(sign * 0.43, 0.0, 0.3, 0.62)
        canvas.paint(lung, 0.16)
        canvas.value += lung * 0.14 * ribs**4
        canvas.paint(canvas.blob(sign * 0.42, -0.66, 0.36, 0.035, 0.2), 0.72)
    canvas.paint(canvas.blob(0, -0.1, 0.09, 0.9, 0.2), 0.78)
    heart = 0.44 if scene.large else 0.24
    canvas.paint(canvas.blob(0.6 * heart, 0.36, heart, 0.28, 0.1), 0.82)


def _film_lateral(canvas: _Canvas, scene: Scene) -> None:
    canvas.paint(canvas.blob(0, 0.1, 0.75, 1.1), 0.5)
    canvas.paint(canvas.blob(-0.02, -0.05, 0.45, 0.68), 0.2)
    ribs = 0.5 + 0.5 * np.cos(13 * (canvas.y - 0.5 * canvas.x))
    canvas.value += canvas.blob(0, 0, 0.5, 0.75) * 0.12 * ribs**4
    blocks = 0.75 + 0.15 * np.sign(np.cos(22 * canvas.y))
    spine = canvas.blob(0.56, 0, 0.1, 0.95, 0.1)
    canvas.value += spine * (blocks - canvas.value)
    canvas.paint(canvas.blob(-0.6, -0.1, 0.05, 0.5, 0.2), 0.75)
    canvas.paint(canvas.blob(-0.22, 0.38, 0.34 if scene.large else 0.2, 0.26, 0.1), 0.75)


def _ct_torso(canvas: _Canvas) -> None:
    canvas.paint(canvas.blob(0, 0, 0.92, 0.74, 0.02), 0.22)
    canvas.paint(canvas.blob(0, 0, 0.82, 0.64, 0.04), 0.42)
    canvas.paint(canvas.blob(0, 0.5, 0.13, 0.11, 0.08), 0.9)
    canvas.paint(canvas.blob(0, 0.65, 0.04, 0.1, 0.15), 0.85)


def _ct_abdomen_axial(canvas: _Canvas, scene: Scene) -> None:
    _ct_torso(canvas)
    canvas.paint(canvas.blob(-0.42, -0.08, 0.36, 0.42), 0.55)
    canvas.paint(canvas.blob(0.55, 0.0, 0.2, 0.3), 0.52)
    canvas.paint(canvas.blob(0.22, -0.3, 0.22, 0.18), 0.25)
    for sign in (-1, 1):
        canvas.paint(canvas.blob(sign * 0.36, 0.38, 0.13, 0.15), 0.66)
    canvas.paint(canvas.blob(0.04, 0.28, 0.07, 0.07), 0.72)


def _ct_chest_axial(canvas: _Canvas, scene: Scene) -> None:
    _ct_torso(canvas)
    for sign in (-1, 1):
        canvas.paint(canvas.blob(sign * 0.45, 0.0, 0.3, 0.5), 0.06)
    canvas.paint(canvas.blob(0.1, -0.1, 0.34 if scene.large else 0.22, 0.28), 0.55)
    canvas.paint(canvas.blob(0.1, 0.33, 0.07, 0.07), 0.66)


def _ct_coronal(canvas: _Canvas, scene: Scene) -> None:
    canvas.paint(canvas.blob(0, 0, 0.72, 1.3, 0.02), 0.24)
    canvas.paint(canvas.blob(0, 0, 0.64, 1.2, 0.04), 0.42)
    if scene.organ == "chest":
        for sign in (-1, 1):
            canvas.paint(canvas.blob(sign * 0.33, -0.1, 0.24, 0.6), 0.06)
        canvas.paint(canvas.blob(-0.2, 0.75, 0.4, 0.16), 0.56)
        canvas.paint(canvas.blob(0.08, 0.25, 0.26, 0.24), 0.58)
    else:
        for sign in (-1, 1):
            canvas.paint(canvas.blob(sign * 0.33, -0.95, 0.24, 0.3), 0.06)
            canvas.paint(canvas.blob(sign * 0.3, 0.15, 0.1, 0.22), 0.62)
            canvas.paint(canvas.blob(sign * 0.22, 0.85, 0.18, 0.26), 0.85)
        canvas.paint(canvas.blob(-0.28, -0.35, 0.36, 0.24), 0.56)
    canvas.paint(canvas.blob(0, 0.2, 0.08, 0.95), 0.8)


def _mr_axial(canvas: _Canvas, scene: Scene) -> None:
    canvas.paint(canvas.blob(0, 0, 0.76, 0.92, 0.02), 0.75)
    canvas.paint(canvas.blob(0, 0, 0.69, 0.85, 0.02), 0.05)
    brain = canvas.blob(0, 0, 0.62, 0.78, 0.04)
    canvas.paint(brain, 0.45)
    canvas.value += brain * 0.12 * np.sin(6 * canvas.haze(9))
    canvas.paint(canvas.blob(0, 0, 0.015, 0.76, 0.3), 0.1)
    wide = 0.15 if scene.large else 0.07
    for sign in (-1, 1):
        canvas.paint(canvas.blob(sign * 0.14, -0.05, wide, 0.3, 0.1), 0.06)


def _mr_sagittal(canvas: _Canvas, scene: Scene) -> None:
    canvas.paint(canvas.blob(0.02, -0.12, 0.86, 0.76, 0.02), 0.72)
    canvas.paint(canvas.blob(0.02, -0.12, 0.78, 0.68, 0.02), 0.05)
    canvas.paint(canvas.blob(-0.25, 0.7, 0.4, 0.42), 0.4)
    brain = canvas.blob(0, -0.15, 0.72, 0.58, 0.04)
    canvas.paint(brain, 0.45)
    canvas.value += brain * 0.12 * np.sin(6 * canvas.haze(9))
    canvas.paint(canvas.blob(0.0, -0.12, 0.34, 0.14 if scene.large else 0.06, 0.15), 0.06)
    canvas.paint(canvas.blob(0.42, 0.42, 0.24, 0.18), 0.55)
    canvas.paint(canvas.blob(0.1, 0.6, 0.1, 0.5), 0.6)


def _sonogram(canvas: _Canvas, scene: Scene) -> None:
    if scene.organ == "liver":
        canvas.value[:] = 0.5 + 0.05 * canvas.haze(12)
        canvas.paint(canvas.blob(0, 1.0, 0.9, 0.14), 0.95)
    else:
        canvas.value[:] = 0.45 + 0.18 * np.cos(9 * canvas.y + 1.5 * canvas.haze(4))
        canvas.paint(canvas.blob(0, -0.95, 1.3, 0.1), 0.9)


def _speckle(canvas: _Canvas) -> None:
    height, width = canvas.value.shape
    coarse = Image.fromarray(canvas.rng.rayleigh(0.8, size=(height // 2, width // 2)).astype(np.float32))
    grain = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))
    angle = np.arctan2(canvas.x, canvas.y + 2.1)
    depth = np.hypot(canvas.x, canvas.y + 2.1)
    fan = (np.abs(angle) < 0.55) & (depth > 1.1) & (depth < 3.05)
    canvas.value *= (0.55 + 0.45 * grain) * (1.15 - 0.2 * canvas.y) * fan


def _tile(scene: Scene, rng: np.random.Generator, height: int, width: int) -> Pixels:
    canvas = _Canvas(rng, height, width)
    ground, nucleus = {
        "H&E": ((0.93, 0.72, 0.84), (0.38, 0.2, 0.52)),
        "IHC": ((0.72, 0.77, 0.88), (0.45, 0.26, 0.1)),
    }[scene.stain]
    weave = 1 + 0.07 * canvas.haze(14) + 0.06 * canvas.haze(4) + 0.3 * canvas.texture()
    picture = np.asarray(ground, np.float32) * weave[..., None]
    for _ in range(44 if scene.large else 12):
        x, y, wide, high = rng.uniform((-1, -1, 0.05, 0.05), (1, 1, 0.09, 0.09)).tolist()
        cell = canvas.blob(x, y, wide, high, 0.15)
        picture += 0.9 * cell[..., None] * (np.asarray(nucleus, np.float32) - picture)
    for number in range(scene.spots):
        side = 0.5 if scene.side == "right" else -0.5
        hole = canvas.blob(side + float(rng.uniform(-0.2, 0.2)), 0.55 * number - 0.55, 0.17, 0.17)
        picture += hole[..., None] * (0.98 - picture)
    return _bytes(picture)


def _plot(scene: Scene, rng: np.random.Generator, height: int, width: int) -> Pixels:
    picture = np.full((height, width, 3), 255, np.uint8)
    bottom, left = int(0.88 * height), int(0.12 * width)
    colours = ((31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189))
    slot = (width - left) // scene.spots
    for bar, rise in enumerate(rng.uniform(0.2, 0.95, size=scene.spots)):
        start = left + bar * slot + slot // 5
        colour = colours[bar] if scene.large else colours[0]
        picture[bottom - int(rise * 0.8 * height) : bottom, start : start + 3 * slot // 5] = colour
    picture[bottom : bottom + 2, left - 2 :] = 0
    picture[height // 20 : bottom, left - 2 : left] = 0
    return picture


_BODIES: dict[tuple[str, str, str], Callable[[_Canvas, Scene], None]] = {
    ("film", "pa", "chest"): _film_pa,
    ("film", "lateral", "chest"): _film_lateral,
    ("ct", "axial", "abdomen"): _ct_abdomen_axial,
    ("ct", "axial", "chest"): _ct_chest_axial,
    ("ct", "coronal", "abdomen"): _ct_coronal,
    ("ct", "coronal", "chest"): _ct_coronal,
    ("mr", "axial", "brain"): _mr_axial,
    ("mr", "sagittal", "brain"): _mr_sagittal,
    ("sonogram", "", "breast"): _sonogram,
    ("sonogram", "", "liver"): _sonogram,
}
