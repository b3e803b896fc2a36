"""Encoded pictures of realistic sizes, each of its own pixels, at the speed of a JPEG encoder.

A picture is named by (kind, number). Its large shapes are drawn at random places, and its texture is a sum of pieces of
two canvases of noise whose places are random too, so that no two pictures share a patch. (Bands of other pictures' JPEG
data would be faster to compose, but they are true partial copies, which the search finds.)
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from multiprocessing.pool import Pool

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]

_CANVAS = 2048
_TEXTS = ("A", "B", "C", "L", "R", "p < 0.05", "control", "5 mm", "t (days)", "PORTABLE", "n = 12", "100 um")
_CHUNK = 32
_QUALITY = {"film": 25, "figure": 50, "small": 70}


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture to encode.

    Attributes:
        kind: `film` (grey, 1024 x 832), `figure` (colour, about 0.1 megapixels) or `small` (224 x 224).
        number: equal numbers of a kind give equal pixels.
        quality: of the JPEG, 0 for that of the kind; another one gives an altered copy.
        suffix: `.jpg` or `.png`.
        scale: of the sides, for copies of another size.
    """

    kind: str
    number: int
    quality: int = 0
    suffix: str = ".jpg"
    scale: float = 1.0


class Painter:
    """Draws pictures; making one takes a second, for the canvases."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        draws = np.random.default_rng(seed)
        fine, rough = _noise(draws, 1.5), _noise(draws, 1.15)
        self._canvases = [np.ascontiguousarray(turned) for each in (fine, rough) for turned in (each, each[::-1, ::-1])]

    def encode(self, picture: Picture) -> bytes:
        """Draw and encode a picture."""
        kinds = {"film": self._film, "figure": self._figure, "small": self._small}
        draws = np.random.default_rng((self._seed, list(kinds).index(picture.kind), picture.number))
        pixels = kinds[picture.kind](draws)
        if picture.scale != 1:
            pixels = cv2.resize(pixels, None, fx=picture.scale, fy=picture.scale, interpolation=cv2.INTER_AREA)
        quality = picture.quality or _QUALITY[picture.kind]
        is_jpeg = picture.suffix == ".jpg"
        options = (cv2.IMWRITE_JPEG_QUALITY, quality) if is_jpeg else (cv2.IMWRITE_PNG_COMPRESSION, 1)
        return cv2.imencode(picture.suffix, pixels, options)[1].tobytes()

    def _texture(self, draws: np.random.Generator, height: int, width: int) -> Pixels:
        pieces = []
        for canvas in draws.integers(0, len(self._canvases), 2):
            top, left = draws.integers(0, _CANVAS - height), draws.integers(0, _CANVAS - width)
            pieces.append(self._canvases[canvas][top : top + height, left : left + width])
        return cv2.addWeighted(pieces[0], 0.5, pieces[1], 0.5, 0)

    def _film(self, draws: np.random.Generator) -> Pixels:
        """Draw a chest film: all are alike from afar, as real ones are."""
        chest = np.full((128, 104), 30, np.uint8)
        jitter = draws.normal(0, 4, (16, 2))

        def ellipse(
            place: int, x: float, y: float, a: float, b: float, tilt: float, grey: int, thickness: int = -1
        ) -> None:
            centre = int(x + jitter[place, 0]), int(y + jitter[place, 1])
            axes = int(a + abs(jitter[place + 1, 0])), int(b + abs(jitter[place + 1, 1]))
            cv2.ellipse(chest, centre, axes, tilt, 0, 360, grey + int(jitter[place, 0] * 3), thickness)

        ellipse(0, 52, 70, 48, 62, 0, 150)
        ellipse(1, 30, 62, 15, 38, 8, 70)
        ellipse(2, 74, 62, 15, 38, -8, 70)
        ellipse(3, 58, 84, 18, 16, 30, 180)
        for rib in range(7):
            for side, x in ((3, 30), (10, 74)):
                ellipse((side + rib) % 15, x, 28 + 12 * rib, 20, 6, 0, 105, 1)
        for _ in range(draws.integers(0, 4)):
            centre = tuple(int(value) for value in draws.integers(20, 84, 2))
            cv2.circle(chest, centre, int(draws.integers(2, 9)), int(draws.integers(110, 220)), -1)
        for _ in range(draws.integers(0, 6)):  # tubes and wires
            ends = draws.integers((0, 0), (104, 128), (4, 2)).astype(np.int32)
            cv2.polylines(chest, [ends], False, int(draws.integers(120, 250)), 1, cv2.LINE_AA)
        pose = cv2.getRotationMatrix2D((52, 64), draws.normal(0, 1.5), draws.uniform(0.95, 1.06))
        pose[:, 2] += draws.normal(0, 2, 2)
        chest = cv2.warpAffine(chest, pose, (104, 128), borderMode=cv2.BORDER_REFLECT)
        film = cv2.resize(cv2.GaussianBlur(chest, (5, 5), 0), (832, 1024))
        film = cv2.addWeighted(film, 1.0, self._texture(draws, 1024, 832), 0.45, -58)
        cv2.putText(film, _TEXTS[draws.integers(3, 5)], (60, 90), cv2.FONT_HERSHEY_SIMPLEX, 2, 250, 4)
        return film

    def _figure(self, draws: np.random.Generator) -> Pixels:
        """Draw a figure of an article: an image of a body, a tissue or a plot."""
        height, width = (int(value) for value in draws.integers(224, 384, 2))
        kind = draws.choice(3, p=(0.6, 0.25, 0.15))
        if kind == 1:
            return self._tissue(draws, height, width)
        figure = self._body(draws, height, width) if kind == 0 else _plot(draws, height, width)
        return cv2.cvtColor(figure, cv2.COLOR_GRAY2BGR)

    def _small(self, draws: np.random.Generator) -> Pixels:
        return self._tissue(draws, 224, 224) if draws.random() < 0.3 else self._body(draws, 224, 224)

    def _body(self, draws: np.random.Generator, height: int, width: int) -> Pixels:
        """Draw bright ellipses on black, under texture, with marks."""
        body = np.full((height, width), draws.integers(0, 40), np.uint8)
        for share in (0.45, 0.3, 0.2, 0.16, 0.12, 0.1, 0.08, 0.06, 0.05, 0.04):
            centre = (
                int(draws.normal(width / 2, width * (0.25 - share / 2))),
                int(draws.normal(height / 2, height * (0.25 - share / 2))),
            )
            axes = int(width * share * draws.uniform(0.6, 1.2)), int(height * share * draws.uniform(0.6, 1.2))
            cv2.ellipse(body, centre, axes, int(draws.integers(0, 180)), 0, 360, int(draws.integers(40, 230)), -1)
        body = cv2.addWeighted(cv2.blur(body, (3, 3)), 1.0, self._texture(draws, height, width), 0.5, -64)
        _mark(body, draws)
        return body

    def _tissue(self, draws: np.random.Generator, height: int, width: int) -> Pixels:
        """Draw nuclei on a stained ground."""
        ground = self._texture(draws, height, width)
        tissue = cv2.merge(
            [cv2.addWeighted(ground, 0.6, ground, 0, float(shift)) for shift in draws.integers(60, 150, 3)]
        )
        for x, y, size, grey in draws.integers((0, 0, 2, 40), (width, height, 9, 130), (60, 4)).tolist():
            cv2.circle(tissue, (x, y), size, (grey + 40, grey // 2, grey), -1)
        return tissue


def _noise(draws: np.random.Generator, power: float) -> Pixels:
    """Make a canvas of noise with a spectrum of 1/f^power, as that of natural images."""
    spectrum = np.fft.rfft2(draws.standard_normal((_CANVAS, _CANVAS), np.float32))
    radius = np.hypot(np.fft.fftfreq(_CANVAS)[:, None], np.fft.rfftfreq(_CANVAS)[None])
    radius[0, 0] = 1
    noise = np.fft.irfft2(spectrum / radius**power)
    noise = (noise - noise.mean()) / noise.std()
    return (noise * 42 + 128).clip(0, 255).astype(np.uint8)


def _mark(image: Pixels, draws: np.random.Generator) -> None:
    """Burn in a letter and arrows."""
    height, width = image.shape[:2]
    for _ in range(draws.integers(0, 3)):
        x, y = int(draws.integers(20, width - 20)), int(draws.integers(20, height - 20))
        cv2.arrowedLine(image, (x, y), (x + int(draws.integers(-18, 18)), y + 18), 250, 2)
    cv2.putText(image, _TEXTS[draws.integers(0, 5)], (8, 22), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 250, 1)


def _plot(draws: np.random.Generator, height: int, width: int) -> Pixels:
    """Draw axes, curves, points and words on white."""
    plot = np.full((height, width), 255, np.uint8)
    cv2.line(plot, (30, height - 30), (width - 10, height - 30), 0, 1)
    cv2.line(plot, (30, height - 30), (30, 10), 0, 1)
    for grey in (0, 90, 150)[: draws.integers(1, 4)]:
        xs = np.linspace(32, width - 12, int(draws.integers(5, 14)))
        points = np.stack([xs, draws.integers(15, height - 35, len(xs))], 1).astype(np.int32)
        cv2.polylines(plot, [points], False, grey, 1, cv2.LINE_AA)
        for x, y in points.tolist():
            cv2.circle(plot, (x, y), 3, grey, -1)
    for _ in range(draws.integers(2, 6)):
        place = int(draws.integers(35, width - 60)), int(draws.integers(15, height - 5))
        cv2.putText(plot, _TEXTS[draws.integers(0, len(_TEXTS))], place, cv2.FONT_HERSHEY_SIMPLEX, 0.4, 0, 1)
    return plot


_painter: Painter | None = None


def start(seed: int) -> None:
    """Make the painter of a worker process."""
    global _painter
    cv2.setNumThreads(1)
    _painter = Painter(seed)


def _encode_chunk(pictures: tuple[Picture, ...]) -> list[bytes]:
    assert _painter is not None
    return [_painter.encode(picture) for picture in pictures]


def encode_all(pool: Pool, pictures: Iterable[Picture]) -> Iterator[bytes]:
    """Encode pictures in the pool's processes; give them in order."""
    waiting = iter(pictures)
    chunks = iter(lambda: tuple(islice(waiting, _CHUNK)), ())
    for chunk in pool.imap(_encode_chunk, chunks):
        yield from chunk
