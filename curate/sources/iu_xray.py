"""Reader of IU X-Ray, or Open-i (Demner-Fushman et al. 2016): chest films with de-identified reports.

Kaggle: two tables, of reports and of films, as in raddar/chest-xrays-indiana-university. Original: an XML file per
report and a folder of PNG, as in NLM's NLMCXR_reports.tgz and NLMCXR_png.tgz. R2Gen: `annotation.json` of
https://github.com/cuhksz-nlp/R2Gen, the only one with splits; its reports are the findings alone.
"""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn
from xml.etree import ElementTree

from ..errors import RowError
from ..record import ImageRef, Record, Rejected
from ..tables import bad_byte, csv_rows, field, input_errors, json_lists
from . import Layout, Shard, find_files, find_shards, make_records, report_text

SOURCE = "iu_xray"
_REPORTS, _PROJECTIONS = "indiana_reports.csv", "indiana_projections.csv"
_ANNOTATION = "annotation.json"
_XML, _PNG = "ecgen-radiology", "NLMCXR_png"
_R2GEN_SPLITS = {"train": "train", "val": "validation", "test": "test"}
_R2GEN_ID = re.compile(r"CXR(\d+)_.+")


def _kaggle_shards(folder: Path) -> list[Shard]:
    found = (folder / _REPORTS).exists() and (folder / _PROJECTIONS).exists()
    return [Shard((_REPORTS, _PROJECTIONS))] if found else []


def _read_kaggle(folder: Path, shard: Shard) -> Iterator[Record | Rejected]:
    """Give the reports, then a `Rejected` for each row of the projections that belongs to none."""
    films: dict[str, list[str]] = {}
    for _, value in _projections(folder):
        if not isinstance(value, RowError):
            films.setdefault(value["uid"], []).append(f"images/images_normalized/{value['filename']}")
    rows = csv_rows(folder / _REPORTS, ("uid", "findings", "impression"))
    uids = set()
    for report in make_records(SOURCE, shard, rows, partial(_kaggle_record, films)):
        uids.add(report.key)
        yield report
    orphans = (
        (row, value) for row, value in _projections(folder) if isinstance(value, RowError) or value["uid"] not in uids
    )
    yield from make_records(SOURCE, Shard((_PROJECTIONS,)), orphans, _orphan, stem="projection")


def _projections(folder: Path) -> Iterator[tuple[int, dict[str, str] | RowError]]:
    return csv_rows(folder / _PROJECTIONS, ("uid", "filename"))


def _kaggle_record(films: dict[str, list[str]], row: int, value: Any) -> Record:
    uid = field(value, "uid", str)
    answer = report_text(field(value, "findings", str).strip(), field(value, "impression", str).strip())
    return _record(uid, "", _REPORTS, row, answer, films.get(uid, []))


def _orphan(row: int, value: Any) -> NoReturn:
    raise RowError("unparsable-row", f"no report has the uid {field(value, 'uid', str)!r}")


def _xml_shards(folder: Path) -> list[Shard]:
    """Give one shard of all reports: each file holds a single row."""
    names = sorted((path.name for path in find_files(folder, f"{_XML}/*.xml")), key=lambda name: (len(name), name))
    return [Shard(tuple(f"{_XML}/{name}" for name in names))] if names else []


def _read_xml(folder: Path, shard: Shard) -> Iterator[Record | Rejected]:
    films = f"{_PNG}/" if (folder / _PNG).exists() else ""
    for file in shard.files:
        yield from make_records(SOURCE, Shard((file,)), [(0, _text(folder / file))], partial(_xml_record, file, films))


def _text(path: Path) -> str | RowError:
    """Give the text of a report; a file that is not UTF-8 gives an error for its row only."""
    with input_errors(path):
        content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return RowError("unparsable-row", bad_byte(error, 0))


def _xml_record(file: str, films: str, row: int, text: str) -> Record:
    report = _xml(text)
    findings, impression = (_section(report, name).strip() for name in ("FINDINGS", "IMPRESSION"))
    names = [image.get("id", "") for image in report.iter("parentImage")]
    if "" in names:
        raise RowError("unparsable-row", "a parentImage without an id")
    images = [f"{films}{name}.png" for name in names]
    return _record(PurePosixPath(file).stem, "", file, row, report_text(findings, impression), images)


def _xml(text: str) -> ElementTree.Element:
    if "<!DOCTYPE" in text:  # no entities, so no expansion without end and no other file
        raise RowError("unparsable-row", "XML with a document type")
    try:
        return ElementTree.fromstring(text)  # noqa: S314
    except ElementTree.ParseError as error:
        raise RowError("unparsable-row", f"not XML: {error}") from None


def _section(report: ElementTree.Element, name: str) -> str:
    return " ".join("".join(part.itertext()) for part in report.iter("AbstractText") if part.get("Label") == name)


def _read_r2gen(folder: Path, shard: Shard) -> Iterator[Record | Rejected]:
    """Give the items of each split, or a `Rejected` for a split that is no list."""
    rows = ((row, (split, item)) for row, split, item in json_lists(folder / shard.files[0]))
    return make_records(SOURCE, shard, rows, partial(_r2gen_record, shard))


def _r2gen_record(shard: Shard, row: int, split_and_item: tuple[str, Any]) -> Record:
    split, item = split_and_item
    if isinstance(item, RowError):
        raise item
    if split not in _R2GEN_SPLITS:
        raise RowError("unparsable-row", f"split {split!r}, expected {', '.join(_R2GEN_SPLITS)}")
    name = field(item, "id", str)
    match = _R2GEN_ID.fullmatch(name)
    if not match:
        raise RowError("unparsable-row", f"field 'id' is {name!r}, expected CXR, the report's number, _ and more")
    images = field(item, "image_path", list)
    if not all(isinstance(image, str) for image in images):
        raise RowError("unparsable-row", "field 'image_path' holds what is no text")
    place = PurePosixPath(shard.files[0]).parent
    films = [str(place / "images" / image) for image in images]
    answer = report_text(field(item, "report", str).strip(), "")
    return _record(match[1], _R2GEN_SPLITS[split], shard.files[0], row, answer, films)


def _record(uid: str, split: str, file: str, row: int, answer: str, films: list[str]) -> Record:
    if not uid:
        raise RowError("unparsable-row", "field 'uid' is empty")
    if not films:
        raise RowError("missing-image", f"report {uid} has no film")
    return Record(
        source=SOURCE,
        key=uid,
        split=split,
        task="report",
        file=file,
        row=row,
        group=f"iu_xray/{uid}",
        answer=answer,
        images=tuple(ImageRef(film) for film in films),
        modality="x-ray",
    )


LAYOUTS = (
    Layout("kaggle", f"{_REPORTS} and {_PROJECTIONS}", _kaggle_shards, _read_kaggle),
    Layout("original", f"{_XML}/*.xml", _xml_shards, _read_xml),
    Layout(
        "r2gen",
        _ANNOTATION,
        partial(find_shards, files={_ANNOTATION: ""}, bases=("", "R2Gen/", "iu_xray/")),
        _read_r2gen,
    ),
)
