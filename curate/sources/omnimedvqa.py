"""Reader of OmniMedVQA (Hu et al. 2024): multiple-choice questions on the images of many member sets.

One zip archive, read as it is or unpacked, with a JSON list for each member set, as in
https://huggingface.co/datasets/foreverbeliever/OmniMedVQA. The restricted-access sets have questions and no images.
Licences differ by member set and are not in the files. It is a benchmark, so every row is test.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import RowError
from ..record import ImageRef, Record, Rejected
from ..tables import field, json_rows, zip_members
from . import Layout, Shard, find_files, make_records

SOURCE = "omnimedvqa"
_ROOT = "OmniMedVQA"
_ARCHIVE = f"{_ROOT}.zip"
_LISTS = ("QA_information/Open-access", "QA_information/Restricted-access")
_OPTIONS = ("option_A", "option_B", "option_C", "option_D")


def _folder_shards(folder: Path) -> list[Shard]:
    for base in (f"{_ROOT}/", ""):
        paths = [path for place in _LISTS for path in find_files(folder / base / place, "*.json")]
        if paths:
            return [Shard((path.relative_to(folder).as_posix(),), "test") for path in paths]
    return []


def _archive_shards(folder: Path) -> list[Shard]:
    if not (folder / _ARCHIVE).exists():
        return []
    members = [PurePosixPath(name) for name in zip_members(folder / _ARCHIVE)]
    lists = [str(path) for place in _LISTS for path in members if path.match(f"{place}/*.json")]
    return [Shard((_ARCHIVE,), "test", member=member) for member in lists]


def _read(folder: Path, shard: Shard) -> Iterator[Record | Rejected]:
    rows = json_rows(folder / shard.files[0], shard.member)
    stem = PurePosixPath(shard.member or shard.files[0]).stem
    return make_records(SOURCE, shard, rows, partial(_record, shard), stem=stem)


def _record(shard: Shard, row: int, value: Any) -> Record:
    dataset = field(value, "dataset", str)
    image = field(value, "image_path", str)
    choices = _choices(value)
    correct = _correct(field(value, "gt_answer", str), choices)
    modality = "modality_type" if "modality_type" in value else "modality"  # as one row of `Chest CT Scan` has it
    return Record(
        source=SOURCE,
        key=f"{dataset}/{field(value, 'question_id', str)}",
        split="test",
        task="mcqa",
        file=shard.files[0] if shard.member is None else f"{shard.files[0]}#{shard.member}",
        row=row,
        group=f"omnimedvqa/{dataset}/{image}",
        question=field(value, "question", str),
        choices=choices,
        correct=correct,
        answer=choices[correct],
        answer_type="closed",
        images=(_image(shard, image),),
        modality=field(value, modality, str).lower(),
        attribution=dataset,
        member=dataset,
    )


def _choices(value: Any) -> tuple[str, ...]:
    """Give the options, of which yes-no questions have two."""
    choices = tuple(field(value, option, str) for option in _OPTIONS if value.get(option) is not None)
    if len(choices) < 2 or any(option not in value for option in _OPTIONS[: len(choices)]):
        raise RowError("unparsable-row", f"{len(choices)} options, expected option_A, option_B, ... without gaps")
    return choices


def _correct(answer: str, choices: tuple[str, ...]) -> int:
    places = [place for place, choice in enumerate(choices) if choice.strip() == answer.strip()]
    if len(places) != 1:
        raise RowError("unparsable-row", f"field 'gt_answer' is {answer!r}, which is {len(places)} of {choices}")
    return places[0]


def _image(shard: Shard, image: str) -> ImageRef:
    lists = PurePosixPath(shard.member or shard.files[0])
    path = (lists.parents[2] / image).as_posix()
    return ImageRef(path) if shard.member is None else ImageRef(shard.files[0], member=path)


LAYOUTS = (
    Layout("original", f"{_ROOT}/QA_information/*/*.json and {_ROOT}/Images/", _folder_shards, _read),
    Layout("archive", f"{_ARCHIVE} with the same in it", _archive_shards, _read),
)
