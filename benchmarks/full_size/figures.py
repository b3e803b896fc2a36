"""PMC-OA, PMC-VQA and ROCO: figures of articles, a twentieth of them shared, equal or with other bytes."""

import csv
import json
import zipfile
from collections.abc import Iterable
from multiprocessing.pool import Pool
from pathlib import Path

from .counts import Size, split_places
from .pictures import Picture, encode_all
from .texts import Texts

_DATE = (2020, 1, 1, 0, 0, 0)
_CODES = ("CC BY", "CC BY-NC", "CC BY", "CC BY-NC-SA", "CC BY", "NO-CC CODE", "CC0", "CC BY-NC-ND")
_SHARED_EVERY = 5
"""Of the figures of PMC-VQA and ROCO, one in so many is PMC-OA's: about a twentieth of PMC-OA's own."""
_FIRST = {"pmc_vqa": 10_000_000, "pmc_vqa_2": 20_000_000, "roco": 30_000_000}
_ALTERED = 35
"""JPEG quality of the shared figures whose bytes differ."""


class Figures:
    """The numbers, names and pictures of the figures of a tree."""

    def __init__(self, size: Size) -> None:
        self._count = size.rows("pmc_oa")

    def number(self, collection: str, place: int) -> int:
        """Give the number of a collection's figure, which may be one of PMC-OA's."""
        if collection == "pmc_oa":
            return place
        if place % _SHARED_EVERY == 0:
            return (place * 7 + list(_FIRST).index(collection)) % self._count
        return _FIRST[collection] + place

    def picture(self, collection: str, place: int) -> Picture:
        """Give a collection's picture; half of those that are shared have other bytes than in PMC-OA."""
        is_altered = collection != "pmc_oa" and place % (2 * _SHARED_EVERY) == 0
        return Picture("figure", self.number(collection, place), _ALTERED if is_altered else 0)


def article(number: int) -> str:
    """Give the PMC id of the article of a figure; it has six."""
    return f"PMC{1_000_000 + number // 6}"


def write_pmc_oa(folder: Path, size: Size, pool: Pool, members: int = 0) -> None:
    """Write the captions and the archive of figures, with so many members at least."""
    figures, count = Figures(size), size.rows("pmc_oa")
    names = [f"{article(number)}_Fig{number % 6 // 2 + 1}_{number % 2 + 1}.jpg" for number in range(count)]
    with (folder / "pmc_oa.jsonl").open("w", encoding="utf-8") as file:
        for number, name in enumerate(names):
            row = {"image": name, "caption": Texts("pmc_oa", number).caption()}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    inside = "images/caption_T060_filtered_top4_sep_v0_subfigures"
    others = (f"{inside}/{article(number)}_Fig9_{number % 6}.jpg" for number in range(count, members))
    pictures = (figures.picture("pmc_oa", number) for number in range(count))
    _write_zip(folder / "images.zip", (f"{inside}/{name}" for name in names), pictures, pool, others)


def _write_zip(
    path: Path, names: Iterable[str], pictures: Iterable[Picture], pool: Pool, others: Iterable[str] = ()
) -> None:
    """Write stored members with pictures, and others that no row names."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in zip(names, encode_all(pool, pictures), strict=True):
            archive.writestr(zipfile.ZipInfo(name, _DATE), content)
        for name in others:
            archive.writestr(zipfile.ZipInfo(name, _DATE), name)


def write_pmc_vqa(folder: Path, size: Size, pool: Pool) -> None:
    """Write both versions; a figure of the first has 1.5 questions, one of the second 1.25."""
    figures = Figures(size)
    first = split_places(size.of(226_948), {"train": 176_948, "test": 50_000})
    second = split_places(size.of(187_426), {"train": 152_603, "test": 34_823})
    for split, places in first:
        rows = [_first_row(figures, place) for place in places]
        _write_csv(folder / f"{split}.csv", _FIRST_HEADER, rows)
        if split == "test":
            _write_csv(folder / "test_clean.csv", _FIRST_HEADER, rows[: size.of(2_000)])
    for split, places in second:
        _write_csv(folder / f"{split}_2.csv", _SECOND_HEADER, [_second_row(figures, place, split) for place in places])
    for collection, inside, archive, last, spread in (
        ("pmc_vqa", "images", "images.zip", first[-1][1].stop, 1.5),
        ("pmc_vqa_2", "figures", "images_2.zip", second[-1][1].stop, 1.25),
    ):
        count = int((last - 1) / spread) + 1
        names = (f"{inside}/{_name(figures, collection, place)}" for place in range(count))
        pictures = (figures.picture(collection, place) for place in range(count))
        _write_zip(folder / archive, names, pictures, pool)


_LETTERS = "ABCD"
_CHOICES = tuple(f"Choice {letter}" for letter in _LETTERS)
_FIRST_HEADER = ("Figure_path", "Question", "Answer", *_CHOICES, "Answer_label")
_SECOND_HEADER = ("index", "Figure_path", "Caption", "Question", *_CHOICES, "Answer", "split")


def _name(figures: Figures, collection: str, place: int) -> str:
    """Give the file name of a figure: the place makes it unlike that of a figure that is shared twice."""
    return f"{article(figures.number(collection, place))}_F{place}.jpg"


def _choices(texts: Texts, place: int) -> tuple[list[str], str, str]:
    """Give the lettered options, the right text and its letter."""
    right, *wrong = texts.options()
    wrong.insert(place % 4, right)
    return [f" {letter}:{text} " for letter, text in zip(_LETTERS, wrong, strict=True)], right, _LETTERS[place % 4]


def _first_row(figures: Figures, place: int) -> tuple[object, ...]:
    texts = Texts("pmc_vqa", place)
    question, (choices, right, letter) = texts.figure_question(), _choices(texts, place)
    return _name(figures, "pmc_vqa", int(place / 1.5)), question, right, *choices, letter


def _second_row(figures: Figures, place: int, split: str) -> tuple[object, ...]:
    texts = Texts("pmc_vqa_2", place)
    caption, question, (choices, _, letter) = texts.caption(), texts.figure_question(), _choices(texts, place)
    return place, _name(figures, "pmc_vqa_2", int(place / 1.25)), caption, question, *choices, letter, split


def _write_csv(path: Path, header: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def write_roco(folder: Path, size: Size, pool: Pool) -> None:
    """Write captions, licences, links and images; a shared figure has PMC-OA's caption."""
    figures = Figures(size)
    shares = {"train/radiology": 65_448, "train/non-radiology": 4_895, "validation/radiology": 8_180}
    shares |= {"validation/non-radiology": 611, "test/radiology": 8_179, "test/non-radiology": 612}
    for place, numbers in split_places(size.rows("roco"), shares):
        part = folder / "data" / place
        (part / "images").mkdir(parents=True)
        files: dict[str, list[str]] = {"captions": [], "licences": ["ROCO_ID,PMC_ID,CC"], "dlinks": []}
        for entry in numbers:
            number, key = figures.number("roco", entry), f"ROCO_{entry + 1:05d}"
            text = Texts("pmc_oa" if number < _FIRST["pmc_vqa"] else "roco", number).caption()
            package = f"wget -r ftp://ftp.ncbi.nlm.nih.gov/pub/pmc/oa_package/ab/cd/{article(number)}.tar.gz -P ."
            files["captions"].append(f"{key}\t {text}")
            files["licences"].append(f"{key},{article(number)}_g{number}.jpg,{_CODES[number // 6 % len(_CODES)]}")
            files["dlinks"].append(f"{key}\t{package}\tg{number}.jpg")
        for name, lines in files.items():
            (part / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        pictures = (figures.picture("roco", entry) for entry in numbers)
        for entry, content in zip(numbers, encode_all(pool, pictures), strict=True):
            (part / "images" / f"ROCO_{entry + 1:05d}.jpg").write_bytes(content)
