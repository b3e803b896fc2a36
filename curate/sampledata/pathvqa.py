"""PathVQA.

Original: JPEGs and pickled lists of plain dicts, a folder each per split. Hub: parquet with an image a question, in
lower case, without the repeated rows.
"""

import pickle

from . import hub
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
"""Test images that ROCO's train split contains too: pixel by pixel, and approximately."""


def tree(seed: int) -> Tree:
    """Make the folder: 79 train, 18 validation and 24 test questions, three an image and one twice."""
    splits = _splits(seed)
    files = {f"split/images/{_split(name)}/{name}.jpg": _image(seed, name) for name in _names()}
    for split, rows in splits.items():
        files[f"split/qas/{split}/{split}_qa.pkl"] = pickle.dumps(rows, protocol=_PICKLE_PROTOCOL)
    return Tree(sum(map(len, splits.values())), files)


def hub_tree(seed: int) -> Tree:
    """Make the Hub's folder: 78 train, 18 validation and 24 test questions."""
    images = {name: hub.image(_image(seed, name)) for name in _names()}
    splits: dict[str, list[hub.Row]] = {}
    for split, rows in _splits(seed).items():
        unlike = {(row["image"], row["question"], row["answer"]): row for row in rows}
        splits["validation" if split == "val" else split] = [
            row | {"image": images[row["image"]], "question": row["question"].lower()} for row in unlike.values()
        ]
    return Tree(sum(map(len, splits.values())), hub.shards(splits, hub.QUESTIONS))


def _names() -> list[str]:
    return [f"{split}_{number:04d}" for split, count in _IMAGES.items() for number in range(1, count + 1)]


def _split(name: str) -> str:
    return name.partition("_")[0]


def _image(seed: int, name: str) -> bytes:
    number = int(name.partition("_")[2])
    mode = "L" if name == _GREY else "CMYK" if number % _CMYK_EVERY == 0 else ""
    return jpeg(picture(seed, name).pixels, mode=mode)


def _splits(seed: int) -> dict[str, list[dict[str, str]]]:
    splits: dict[str, list[dict[str, str]]] = {split: [] for split in _IMAGES}
    for name in _names():
        if name != _UNASKED:
            splits[_split(name)] += _questions(seed, name, picture(seed, name))
    splits["train"].append(dict(splits["train"][0]))
    return splits


def picture(seed: int, name: str) -> Plate:
    """Draw one of the microscopy tiles by its image id."""
    return plate(seed, "pathvqa", name, ("tile",))


def _questions(seed: int, name: str, shown: Plate) -> list[dict[str, str]]:
    found = [ask for topic, ask in asks(shown.scene).items() if topic != "modality"]
    chosen = shuffled(stream(seed, "pathvqa", name, "asked"), found)[:_ASKED]
    return [{"image": name, "question": ask.question, "answer": ask.answer} for ask in chosen]
