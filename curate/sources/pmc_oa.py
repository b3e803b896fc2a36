"""Reader of PMC-OA (Lin et al. 2023): sub-figures of PubMed Central articles with their captions.

JSON lines with the figure's file name and its caption, and one zip archive of all figures, as in
https://huggingface.co/datasets/axiong/pmc_oa. Original: `pmc_oa.jsonl`, without splits. Early: the files per split
that older revisions had. Beta: `pmc_oa_beta.jsonl`, where a sub-figure has the caption of the whole figure.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from ..record import ImageRef, Record, Rejected
from ..tables import field, json_lines, line_pieces
from . import SHARD_ROWS, Layout, Shard, _pmc, find_shards, make_records, split_shard

SOURCE = "pmc_oa"
_ARCHIVE = "images.zip"
_FOLDER = "caption_T060_filtered_top4_sep_v0_subfigures"
"""The name that upstream's archive gives to its folder."""

_UNPACKED = (f"images/{_FOLDER}", _FOLDER, "images")
_FILES = {
    "original": {"pmc_oa.jsonl": ""},
    "early": {"train.jsonl": "train", "valid.jsonl": "validation", "test.jsonl": "test"},
    "beta": {"pmc_oa_beta.jsonl": ""},
}


def _shards(files: dict[str, str], folder: Path) -> list[Shard]:
    found = find_shards(folder, files)
    return [piece for shard in found for piece in split_shard(shard, line_pieces(folder / shard.files[0], SHARD_ROWS))]


def _read(folder: Path, shard: Shard) -> Iterator[Record | Rejected]:
    locate = _pmc.figure_locator(folder, _ARCHIVE, _UNPACKED)
    rows = json_lines(folder / shard.files[0], shard.piece)
    return make_records(SOURCE, shard, rows, partial(_record, shard, locate))


def _record(shard: Shard, locate: Callable[[str], ImageRef], row: int, value: Any) -> Record:
    image = field(value, "image", str)
    article = _pmc.article_id(image)
    return Record(
        source=SOURCE,
        key=image,
        split=shard.split,
        task="caption",
        file=shard.files[0],
        row=row,
        group=f"pmc/{article or image}",
        answer=field(value, "caption", str),
        images=(locate(image),),
        attribution=article,
    )


LAYOUTS = tuple(
    Layout(name, f"{', '.join(files)} and {_ARCHIVE} or images/", partial(_shards, files), _read)
    for name, files in _FILES.items()
)
