"""Reader of ROCO: figures of PubMed Central articles with their captions.

Format: text files per split and kind (github.com/razorx89/roco-dataset), namely `captions.txt` as
`id<TAB> caption`, `licences.txt` as `id,PMC1_figure.jpg,CC BY` under a header and `dlinks.txt` as
`id<TAB>wget .../PMC1.tar.gz ...<TAB>figure.jpg`; or the parquet files of ROCOv2, which do not name the article.

Where these files name different figures for one id, or a file does so itself, nobody knows whose licence it is: the
row's licence is then what they say, which is that of no table of licences and so unclear.
"""

import re
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from ..errors import InputError, RowError
from ..record import SPLITS, ImageRef, Record, Rejected
from ..tables import GET_AGAIN, field, parquet_rows, text_lines
from . import Layout, Shard, _hub, make_records

_KINDS = ("radiology", "non-radiology")
_CAPTIONS, _LICENCES, _LINKS = "captions.txt", "licences.txt", "dlinks.txt"
_FIGURE = re.compile(r"(PMC\d+)_(.+)")
_LINK = re.compile(r"([^\t]+)\t[^\t]*/(PMC\d+)\.tar\.gz[^\t]*\t(.+)")

_HEADER = "ROCO_ID,PMC_ID,CC"

_Figure = tuple[str, str]
"""Article and file name of a figure."""

_Pair = TypeVar("_Pair")

_Licensed = tuple[str, str]
"""File name of a figure with its article before it, and its licence."""


def _original_shards(folder: Path) -> list[Shard]:
    shards = []
    for place, split in ((f"data/{split}/{kind}", split) for split in SPLITS for kind in _KINDS):
        if (folder / place / _CAPTIONS).exists():
            joined = [f"{place}/{name}" for name in (_LICENCES, _LINKS) if (folder / place / name).exists()]
            shards.append(Shard((f"{place}/{_CAPTIONS}", *joined), split))
    return shards


def _read_original(folder: Path, shard: Shard) -> Iterator[Record | Rejected]:
    captions, *joined = (folder / file for file in shard.files)
    links = _by_key(pair for path in joined if path.name == _LINKS for pair in _links(path))
    licences = _by_key(pair for path in joined if path.name == _LICENCES for pair in _licences(path))
    stem = str(PurePosixPath(shard.files[0]).relative_to("data").with_suffix(""))
    return make_records(
        "roco", shard, text_lines(captions), partial(_original_record, shard, links, licences), stem=stem
    )


def _by_key(pairs: Iterable[tuple[str, _Pair]]) -> dict[str, list[_Pair]]:
    """Give id -> its entries in a file, each once."""
    entries: dict[str, list[_Pair]] = {}
    for key, entry in pairs:
        known = entries.setdefault(key, [])
        if entry not in known:
            known.append(entry)
    return entries


def _links(path: Path) -> Iterator[tuple[str, _Figure]]:
    for _, line in text_lines(path):
        if isinstance(line, str) and (match := _LINK.fullmatch(line)):
            yield match[1], (match[2], match[3])


def _licences(path: Path) -> Iterator[tuple[str, _Licensed]]:
    """Give (id, figure and licence) of each line; figures may have commas in their names.

    Raises:
        InputError: the columns are not those of upstream.
    """
    for row, line in text_lines(path):
        if isinstance(line, RowError):
            continue
        key, _, rest = line.partition(",")
        figure, comma, licence = rest.rpartition(",")
        if key == "ROCO_ID" and line.strip() != _HEADER:
            raise InputError(path, f"has the header {line.strip()!r}, expected {_HEADER!r}", GET_AGAIN, row)
        if comma and key != "ROCO_ID":
            yield key, (figure, licence)


def _conflict(licensed: list[_Licensed], links: list[_Figure]) -> str:
    """Say what the two files have for one id, where that is not one and the same figure and licence; else ""."""
    figures = {figure for figure, _ in licensed}
    linked = {f"{article}_{figure}" for article, figure in links}
    unnamed = {figure for _, figure in links}  # where the article is not named with the figure
    agree = not figures or not linked or figures in (linked, unnamed)
    if agree and len(licensed) < 2 and len(links) < 2:
        return ""
    entries = [f"{_LICENCES} names {figure} ({licence})" for figure, licence in licensed]
    return ", ".join([*entries, *(f"{_LINKS} names {article}_{figure}" for article, figure in links)])


def _original_record(
    shard: Shard, links: dict[str, list[_Figure]], licences: dict[str, list[_Licensed]], row: int, line: str
) -> Record:
    key, tab, caption = line.partition("\t")
    if not tab or not key:
        raise RowError("unparsable-row", "no id and caption with a tab between")
    licensed, linked = licences.get(key, []), links.get(key, [])
    named, licence = licensed[-1] if licensed else ("", "")
    match = _FIGURE.fullmatch(named)
    article, figure = (match[1], match[2]) if match else linked[-1] if linked else ("", "")
    place = PurePosixPath(shard.files[0]).parent
    return Record(
        source="roco",
        key=key,
        split=shard.split,
        task="caption",
        file=shard.files[0],
        row=row,
        group=f"pmc/{article}" if article else f"roco/{key}",
        answer=caption.removeprefix(" "),
        images=(ImageRef(f"{place}/images/{key}.jpg"),),
        modality=place.name,
        licence=_conflict(licensed, linked) or licence,
        attribution=f"{article} ({figure})" if article else "",
    )


def _read_hub(folder: Path, shard: Shard) -> Iterator[Record | Rejected]:
    rows = parquet_rows(folder / shard.files[0], ("image_id", "caption"))
    return make_records("roco", shard, rows, partial(_hub_record, shard))


def _hub_record(shard: Shard, row: int, value: Any) -> Record:
    key = field(value, "image_id", str)
    return Record(
        source="roco",
        key=key,
        split=shard.split,
        task="caption",
        file=shard.files[0],
        row=row,
        group=f"roco/{key}",
        answer=field(value, "caption", str).removeprefix(" "),
        images=(ImageRef(shard.files[0], row=row),),
        modality="radiology",
    )


LAYOUTS = (
    Layout("original", "data/{train,validation,test}/radiology/captions.txt", _original_shards, _read_original),
    Layout("hub", _hub.EXPECTS, _hub.shards, _read_hub),
)
