"""ROCO.

Original: tab-separated text files a split, `licences.txt` with commas, and the images that `fetch.py` left. Hub:
parquet of the radiology part, images that could be read only, without the article and its licence.
"""

import unicodedata
from dataclasses import dataclass

from datasets import Features, Image, List, Value

from . import hub, pathvqa
from .faults import lookalike_jpeg, truncated_jpeg
from .files import Tree, jpeg, lines
from .phrases import caption
from .pmc import Figure
from .seeds import stream

_FIGURES = {
    "train/radiology": tuple(Figure(article, number) for article in range(1, 25) for number in (1, 2)),
    "train/non-radiology": tuple(Figure(article, 1, ("tile", "plot")) for article in range(31, 39)),
    "validation/radiology": tuple(Figure(article, number) for article in range(41, 46) for number in (1, 2)),
    "validation/non-radiology": tuple(Figure(article, 1, ("tile", "plot")) for article in range(51, 54)),
    # article 1 has figures in train as well
    "test/radiology": (Figure(1, 3), *(Figure(article, number) for article in range(61, 67) for number in (1, 2))),
    "test/non-radiology": tuple(Figure(article, 1, ("tile", "plot")) for article in range(71, 74)),
}

_CUT_SHORT, _EMPTY, _ABSENT, _GERMAN, _CONTROL, _DECOMPOSED = (Figure(article, 2) for article in range(5, 11))

IN_PMC_OA = (Figure(3, 1),)
"""Stands in PMC-OA with the same caption."""

CUT_IN_PMC_OA = (Figure(4, 1),)
"""Stands there too, its image cut to the middle and mirrored."""

_PATHVQA_COPY, _PATHVQA_LOOKALIKE = (Figure(article, 1, ("tile", "plot")) for article in (31, 32))
"""Show the picture of a PathVQA test image: to the pixel, and scaled and compressed anew."""

_GERMAN_CAPTION = (
    "Die Aufnahme zeigt den Befund vor der Behandlung. Der Patient klagte seit mehreren Wochen über Schmerzen "
    "und wurde deshalb in unserer Klinik untersucht, ohne dass eine Ursache gefunden werden konnte."
)


_HUB = Features(
    {"image": Image(), "image_id": Value("string"), "caption": Value("string"), "cui": List(Value("string"))}
)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A figure under its ROCO id."""

    id: str
    figure: Figure

    def line(self, *fields: str) -> str:
        return "\t".join((self.id, *fields))


def tree(seed: int) -> Tree:
    """Make the folder: 56 train, 13 validation and 16 test captions, radiology and not."""
    files: dict[str, bytes] = {}
    total = 0
    for folder, entries in _entries().items():
        files |= {f"data/{folder}/{name}": content for name, content in _texts(seed, entries).items()}
        for entry in entries:
            if entry.figure != _ABSENT:
                files[f"data/{folder}/images/{entry.id}.jpg"] = _image(seed, entry.figure)
        total += len(entries)
    return Tree(total, files)


def hub_tree(seed: int) -> Tree:
    """Make the Hub's folder: 45 train, 10 validation and 13 test captions, with their CUIs as ROCOv2 has them."""
    splits: dict[str, list[hub.Row]] = {}
    for folder, entries in _entries().items():
        split, kind = folder.split("/")
        if kind == "radiology":
            splits[split] = [
                {
                    "image": hub.image(_image(seed, entry.figure)),
                    "image_id": entry.id,
                    "caption": _caption(seed, entry.figure),
                    "cui": _cuis(entry.figure),
                }
                for entry in entries
                if entry.figure not in (_CUT_SHORT, _EMPTY, _ABSENT)
            ]
    return Tree(sum(map(len, splits.values())), hub.shards(splits, _HUB))


def _entries() -> dict[str, list[_Entry]]:
    numbers = iter(range(1, 1000))
    return {
        folder: [_Entry(f"ROCO_{next(numbers):05d}", figure) for figure in figures]
        for folder, figures in _FIGURES.items()
    }


def _cuis(figure: Figure) -> list[str]:
    return [f"C{9900000 + figure.article}", "C9990001"]


def _image(seed: int, figure: Figure) -> bytes:
    if figure == _CUT_SHORT:
        return truncated_jpeg(figure.pixels(seed))
    if figure == _EMPTY:
        return b""
    if figure == _PATHVQA_COPY:
        return jpeg(pathvqa.picture(seed, pathvqa.IN_ROCO).pixels, repacked=True)
    if figure == _PATHVQA_LOOKALIKE:
        return lookalike_jpeg(pathvqa.picture(seed, pathvqa.LIKE_IN_ROCO).pixels)
    return jpeg(figure.pixels(seed))


def _caption(seed: int, figure: Figure) -> str:
    if figure in (_PATHVQA_COPY, _PATHVQA_LOOKALIKE):
        name = pathvqa.IN_ROCO if figure == _PATHVQA_COPY else pathvqa.LIKE_IN_ROCO
        return caption(pathvqa.picture(seed, name).scene, stream(seed, "roco", name))
    text = figure.caption(seed)
    if figure == _GERMAN:
        return _GERMAN_CAPTION
    if figure == _CONTROL:
        return text.replace(" of ", " of\x0b\x07 ", 1)
    if figure == _DECOMPOSED:
        return unicodedata.normalize("NFD", f"{text} The patient is known to have Sjögren syndrome.")
    return text


def _texts(seed: int, entries: list[_Entry]) -> dict[str, bytes]:
    captions = {entry.id: _caption(seed, entry.figure) for entry in entries}
    words = {key: sorted({word.strip(".,()").lower() for word in text.split()}) for key, text in captions.items()}
    return {
        "captions.txt": lines(entry.line(f" {captions[entry.id]}") for entry in entries),
        "keywords.txt": lines(entry.line("", *(w for w in words[entry.id] if len(w) > 4)) for entry in entries),
        "cuis.txt": lines(entry.line("", *_cuis(entry.figure)) for entry in entries),
        "semtypes.txt": lines(entry.line("", "T060", "Diagnostic Procedure", "T033", "Finding") for entry in entries),
        "dlinks.txt": lines(entry.line(_download(entry.figure), entry.figure.file) for entry in entries),
        "licences.txt": lines(["ROCO_ID,PMC_ID,CC", *(_licence(entry) for entry in entries)]),
    }


def _download(figure: Figure) -> str:
    package = f"{figure.article:02x}/{figure.number:02x}/{figure.pmcid}.tar.gz"
    return f"wget -r ftp://ftp.ncbi.nlm.nih.gov/pub/pmc/oa_package/{package} -P /path/to/Dir"


def _licence(entry: _Entry) -> str:
    return f"{entry.id},{entry.figure.pmcid}_{entry.figure.file},{entry.figure.licence}"
