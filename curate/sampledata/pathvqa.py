"""PathVQA as its authors ship it: JPEGs and pickled lists of plain dicts, a folder each per split."""

import pickle

from .files import Tree, jpeg
from .phrases import asks
from .plates import Plate, plate
from .seeds import shuffled, stream

_IMAGES = {"train": 27, "val": 6, "test": 8}
_ASKED = 3
_PICKLE_PROTOCOL = 4

_CMYK_EVERY = 8
_GREY = "train_0005"
_UNASKED = "train_0027"

IN_ROCO, LIKE_IN_ROCO = "test_0003", "test_0005"
"""Test images that stand in ROCO's train split as well: to the pixel, and nearly so."""


def tree(seed: int) -> Tree:
    """Make the folder: 79 train, 18 validation and 24 test questions, three an image and one twice."""
    files: dict[str, bytes] = {}
    total = 0
    for split, count in _IMAGES.items():
        rows: list[dict[str, str]] = []
        for number in range(1, count + 1):
            name = f"{split}_{number:04d}"
            shown = picture(seed, name)
            mode = "L" if name == _GREY else "CMYK" if number % _CMYK_EVERY == 0 else ""
            files[f"split/images/{split}/{name}.jpg"] = jpeg(shown.pixels, mode=mode)
            if name != _UNASKED:
                rows += _questions(seed, name, shown)
        if split == "train":
            rows.append(dict(rows[0]))
        files[f"split/qas/{split}/{split}_qa.pkl"] = pickle.dumps(rows, protocol=_PICKLE_PROTOCOL)
        total += len(rows)
    return Tree(total, files)


def picture(seed: int, name: str) -> Plate:
    """Draw one of the microscopy tiles by its image id."""
    return plate(seed, "pathvqa", name, ("tile",))


def _questions(seed: int, name: str, shown: Plate) -> list[dict[str, str]]:
    found = [ask for topic, ask in asks(shown.scene).items() if topic != "modality"]
    chosen = shuffled(stream(seed, "pathvqa", name, "asked"), found)[:_ASKED]
    return [{"image": name, "question": ask.question, "answer": ask.answer} for ask in chosen]
