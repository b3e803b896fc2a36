"""A picture by its name, so that two sources that name the same picture hold the same pixels."""

from dataclasses import dataclass

from .pictures import Pixels, draw
from .scenes import RADIOLOGY, Scene, scene
from .seeds import stream


@dataclass(frozen=True, slots=True)
class Plate:
    """A picture and what it shows; `pixels` as `pictures.draw` gives them, 96 to 160 a side and nearly square."""

    scene: Scene
    pixels: Pixels


def plate(seed: int, collection: str, name: str, kinds: tuple[str, ...] = RADIOLOGY) -> Plate:
    """Draw the picture `name` of a collection, of one of the kinds."""
    shown = facts(seed, collection, name, kinds)
    return Plate(shown, drawn(seed, collection, name, shown))


def facts(seed: int, collection: str, name: str, kinds: tuple[str, ...] = RADIOLOGY) -> Scene:
    """Give what the picture shows, without drawing it."""
    return scene(stream(seed, collection, name, "scene"), kinds)


def drawn(seed: int, collection: str, name: str, shown: Scene) -> Pixels:
    """Draw a given scene under a name, at a size that depends on the name."""
    rng = stream(seed, collection, name, "picture")
    height = 8 * int(rng.integers(13, 19))
    return draw(shown, rng, height, width=height + 8 * int(rng.integers(-1, 3)))
