"""PMC-VQA: both versions with their own columns, each with one zip of figures."""

import numpy as np

from .faults import CLIMBING_NAME
from .files import Tree, jpeg, table, zipped
from .phrases import Ask, asks
from .pmc import Figure
from .seeds import shuffled, stream

_FIRST = {
    "train": tuple(Figure(article, 1) for article in range(201, 241)),
    "test": tuple(Figure(article, 1) for article in range(241, 251)),
}
_CLEANED = 4
"""The number of first test rows that `test_clean.csv` repeats."""

_SECOND = {
    # the second version's train split has another figure of an article that the first one tests
    "train": (*(Figure(article, 1) for article in range(261, 277)), Figure(241, 2)),
    "test": tuple(Figure(article, 1) for article in range(281, 287)),
}

_LETTERS = "ABCD"
_CHOICES = tuple(f"Choice {letter}" for letter in _LETTERS)
_FIRST_HEADER = ("Figure_path", "Question", "Answer", *_CHOICES, "Answer_label")
_SECOND_HEADER = ("index", "Figure_path", "Caption", "Question", *_CHOICES, "Answer", "split")

_OTHERS = {
    "modality": ("x-ray", "ct", "mri", "ultrasound", "microscopy"),
    "plane": ("pa", "lateral", "axial", "coronal", "sagittal"),
    "organ": ("chest", "abdomen", "brain", "breast", "liver"),
    "presence": ("yes", "no", "only outside the image", "it cannot be told"),
    "position": ("left", "right", "upper", "lower"),
    "count": ("1", "2", "3", "4"),
    "size": ("yes", "no", "only on the left", "it cannot be told"),
}


def tree(seed: int) -> Tree:
    """Make the folder: two questions a figure, 109 rows of the first version and 46 of the second."""
    first = {split: [row for figure in figures for row in _old_rows(seed, figure)] for split, figures in _FIRST.items()}
    first["train"].append((CLIMBING_NAME, *first["train"][0][1:]))
    first["train"][2] = _mislabelled(first["train"][2])
    first["test_clean"] = first["test"][: 2 * _CLEANED]
    second = {split: _new_rows(seed, split, figures) for split, figures in _SECOND.items()}
    files = {f"{split}.csv": table(_FIRST_HEADER, rows) for split, rows in first.items()}
    files |= {f"{split}_2.csv": table(_SECOND_HEADER, rows) for split, rows in second.items()}
    files["images.zip"] = _images(seed, "images", _FIRST)
    files["images_2.zip"] = _images(seed, "figures", _SECOND)
    return Tree(sum(map(len, (*first.values(), *second.values()))), files)


def _name(figure: Figure) -> str:
    return f"{figure.pmcid}_F{figure.number}.jpg"


def _images(seed: int, folder: str, splits: dict[str, tuple[Figure, ...]]) -> bytes:
    figures = [figure for split in splits.values() for figure in split]
    return zipped({f"{folder}/{_name(figure)}": jpeg(figure.pixels(seed)) for figure in figures})


def _asked(seed: int, figure: Figure) -> list[tuple[Ask, list[str]]]:
    rng = stream(seed, "pmc_vqa", figure.pmcid, str(figure.number))
    chosen = shuffled(rng, list(asks(figure.scene(seed)).values()))[:2]
    return [(ask, _choices(rng, ask)) for ask in chosen]


def _choices(rng: np.random.Generator, ask: Ask) -> list[str]:
    wrong = shuffled(rng, [word for word in _OTHERS[ask.topic] if word != ask.answer])
    return shuffled(rng, [ask.answer, *wrong[:3]])


def _old_rows(seed: int, figure: Figure) -> list[tuple[object, ...]]:
    """Give rows of the first version, where `Answer` is the text and the letter is in the last column."""
    return [
        (_name(figure), ask.question, ask.answer, *_lettered(choices), _LETTERS[choices.index(ask.answer)])
        for ask, choices in _asked(seed, figure)
    ]


def _mislabelled(row: tuple[object, ...]) -> tuple[object, ...]:
    """Give another letter to a row, so that it contradicts the answer's text, as some of upstream's do."""
    return *row[:-1], _LETTERS[_LETTERS.index(str(row[-1])) - 1]


def _new_rows(seed: int, split: str, figures: tuple[Figure, ...]) -> list[tuple[object, ...]]:
    """Give rows of the second version, where `Answer` is the letter."""
    asked = [(figure, *found) for figure in figures for found in _asked(seed, figure)]
    return [
        (
            place,
            _name(figure),
            figure.caption(seed),
            ask.question,
            *_lettered(choices),
            _LETTERS[choices.index(ask.answer)],
            split,
        )
        for place, (figure, ask, choices) in enumerate(asked)
    ]


def _lettered(choices: list[str]) -> list[str]:
    return [f" {letter}:{choice} " for letter, choice in zip(_LETTERS, choices, strict=True)]
