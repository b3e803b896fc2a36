"""Reader of MIMIC-CXR (Johnson et al. 2019): chest films with de-identified reports, one record per study.

JPG: `files/pNN/pSUBJECT/sSTUDY/DICOM.jpg` and tables, as in PhysioNet's mimic-cxr-jpg. Original: the same tree with
DICOM files and two lists, as in PhysioNet's mimic-cxr; it has no split, but the split table of the JPG edition counts
if it is beside the lists. The reports belong to the DICOM edition: `mimic-cxr-reports.zip`, or unpacked.

A study's films are in their table's order, but frontal ones first where the metadata table names the views, since
upstream's own order is that of random ids. A study with films in several splits belongs to the most protected one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath

from ..errors import RowError
from ..record import SPLITS, ImageRef, Record, Rejected
from ..tables import is_litter
from . import Layout, Shard, make_records, rejected, report_text
from ._mimic_films import (
    FILMS,
    METADATA,
    PARTS,
    SPLIT,
    STUDIES,
    Film,
    find_table,
    image_files,
    jpg_films,
    original_films,
    study_folder,
    table_rows,
    view_positions,
)
from ._mimic_reports import ARCHIVE, Reports, is_report_path, open_reports, reports_folder
from ._mimic_sections import EXCEPTIONS, Exceptions, load_exceptions, sections

SOURCE = "mimic_cxr"
_JPG, _DICOM = (".jpg",), (".dcm", ".dcm.gz")
"""Upstream's files end in `.dcm`; its documentation also shows `.dcm.gz`, as early releases had them."""

_Row = tuple[int, Film | RowError]
_Bad = tuple[int, RowError]


@dataclass(slots=True)
class _Study:
    """The films of a study, and the first row that names it."""

    row: int
    films: list[Film] = field(default_factory=list)
    split: str = ""

    @property
    def report(self) -> str:
        return f"{study_folder(self.films[0].subject, self.films[0].study)}.txt"


def _jpg_shards(folder: Path) -> list[Shard]:
    return _shards(folder, SPLIT, (METADATA,), _JPG)


def _original_shards(folder: Path) -> list[Shard]:
    return _shards(folder, FILMS, (STUDIES, SPLIT, METADATA), _DICOM)


def _shards(folder: Path, table: str, others: tuple[str, ...], suffixes: tuple[str, ...]) -> list[Shard]:
    """Give a shard per part, even for parts that were not downloaded: the tables name their films."""
    if not find_table(folder, table) or not any(name.endswith(suffixes) for name in _first_images(folder)):
        return []
    tables = tuple(name for name in (find_table(folder, one) for one in (table, *others)) if name)
    beside = tuple(name for name in (ARCHIVE, EXCEPTIONS) if (folder / name).exists())
    places = ["files"]
    if ARCHIVE not in beside and reports_folder(folder) != folder:
        places.append((reports_folder(folder) / "files").relative_to(folder).as_posix())
    return [Shard((*tables, *beside), folders=tuple(f"{place}/{part}" for place in places)) for part in PARTS]


def _first_images(folder: Path) -> list[str]:
    """Give the names in the first study's folder that holds an image; the rest of the tree is not listed."""
    for part in PARTS:
        place = folder / "files" / part
        patients = sorted(place.iterdir()) if place.is_dir() else []
        for study in (study for patient in patients for study in sorted(patient.glob("s*/"))):
            names = [path.name for path in study.iterdir() if not is_litter(path.name)]
            if any(name.endswith((*_JPG, *_DICOM)) for name in names):
                return names
    return []


def _read_jpg(folder: Path, shard: Shard) -> Iterator[Record | Rejected]:
    part = _part(shard)
    files = image_files(folder, part, _JPG)
    return _read(folder, shard, jpg_films(folder / shard.files[0], part), files)


def _read_original(folder: Path, shard: Shard) -> Iterator[Record | Rejected]:
    part, table = _part(shard), find_table(folder, SPLIT)
    files = image_files(folder, part, _DICOM)
    films = _find_packed(original_films(folder / shard.files[0], part), files)
    if not table:
        yield from _read(folder, shard, films, files)
        return
    known, bad = _known_splits(jpg_films(folder / table, part))
    unused = set(known)
    yield from _read(folder, shard, _with_splits(films, known, unused), files)
    bad += [(known[dicom][0], RowError("missing-image", f"no row of {shard.files[0]} names it")) for dicom in unused]
    yield from _rejected_rows(table, "split", sorted(bad, key=lambda pair: pair[0]))


def _known_splits(films: Iterator[_Row]) -> tuple[dict[str, tuple[int, str]], list[_Bad]]:
    """Give (row, most protected split) of each film by its id, and the rows that are none or repeat one."""
    known: dict[str, tuple[int, str]] = {}
    bad: list[_Bad] = []
    for row, film in films:
        if isinstance(film, RowError):
            bad.append((row, film))
        elif film.dicom in known:
            first, split = known[film.dicom]
            known[film.dicom] = first, _most_protected(split, film.split)
            bad.append((row, RowError("duplicate", f"{SOURCE}/{film.study}")))
        else:
            known[film.dicom] = row, film.split
    return known, bad


def _part(shard: Shard) -> str:
    return PurePosixPath(shard.folders[0]).name


def _find_packed(films: Iterator[_Row], files: set[str]) -> Iterator[_Row]:
    """Correct the path of each film whose file ends in `.dcm.gz`."""
    for row, film in films:
        packed = isinstance(film, Film) and film.path not in files and f"{film.path}.gz" in files
        yield row, film._replace(path=f"{film.path}.gz") if packed and isinstance(film, Film) else film


def _with_splits(films: Iterator[_Row], known: dict[str, tuple[int, str]], unused: set[str]) -> Iterator[_Row]:
    """Set the split of each film, and remove it from the unused ones."""
    for row, film in films:
        if isinstance(film, Film) and film.dicom in known:
            unused.discard(film.dicom)
            film = film._replace(split=known[film.dicom][1])
        yield row, film


def _read(folder: Path, shard: Shard, films: Iterator[_Row], files: set[str]) -> Iterator[Record | Rejected]:
    """Give the rows of a part that are no film, then its studies, then all files that no row names."""
    part, table = _part(shard), shard.files[0]
    studies: dict[tuple[str, str], _Study] = {}
    yield from _rejected_rows(table, "film", _group_into_studies(films, studies))
    metadata = find_table(folder, METADATA)
    positions = view_positions(folder / metadata, part) if metadata else {}
    exceptions = load_exceptions(folder / EXCEPTIONS) if EXCEPTIONS in shard.files else Exceptions()
    with open_reports(folder) as texts:
        make = partial(_record, table, texts, positions, exceptions)
        for study in studies.values():
            yield from make_records(SOURCE, Shard((table,), study.split), [(study.row, study)], make, stem="study")
        unused = _unmatched_studies(folder, part, studies) if find_table(folder, STUDIES) in shard.files else {}
        yield from _rejected_rows(find_table(folder, STUDIES), "listed", unused.values())
        used = {study.report for study in studies.values()} | set(unused)
        yield from _unused_reports(texts, part, used)
    named = {film.path for study in studies.values() for film in study.films}
    for path in sorted(files - named):
        yield _unlisted_file(path, RowError("unparsable-row", f"no row of {table} names this image"))


def _group_into_studies(films: Iterator[_Row], studies: dict[tuple[str, str], _Study]) -> Iterator[_Bad]:
    """Add the films to their studies; give the rows that are no film, or repeat one."""
    seen = set()
    for row, film in films:
        if isinstance(film, RowError):
            yield row, film
            continue
        study = studies.setdefault((film.subject, film.study), _Study(row))
        study.split = _most_protected(study.split, film.split)
        if film.path in seen:
            yield row, RowError("duplicate", f"{SOURCE}/{film.study}")
        else:
            seen.add(film.path)
            study.films.append(film)


def _record(
    table: str, texts: Reports, positions: dict[str, str], exceptions: Exceptions, row: int, study: _Study
) -> Record:
    first = study.films[0]
    findings, impression = sections(texts.text(study.report), f"s{first.study}", exceptions)
    films = sorted(study.films, key=lambda film: _view_rank(positions.get(film.dicom, "")))
    return Record(
        source=SOURCE,
        key=first.study,
        split=study.split,
        task="report",
        file=table,
        row=row,
        group=f"{SOURCE}/p{first.subject}",
        answer=report_text(findings, impression),
        images=tuple(ImageRef(film.path) for film in films),
        modality="x-ray",
    )


def _most_protected(*splits: str) -> str:
    return max(splits, key=("", *SPLITS).index)


def _view_rank(view: str) -> int:
    """Give 0 for frontal views (`PA`, `AP`, `AP AXIAL`, ...), 1 for the others, 2 where none is known."""
    return 0 if view.startswith(("PA", "AP")) else 1 if view else 2


def _unmatched_studies(folder: Path, part: str, studies: dict[tuple[str, str], _Study]) -> dict[str, _Bad]:
    """Give the rows of the study list without any film, and those that repeat one, by the path of their report."""
    alone: dict[str, _Bad] = {}
    seen: set[tuple[str, str]] = set()
    table = find_table(folder, STUDIES)
    for row, value in table_rows(folder / table, ("subject_id", "study_id"), part):
        if isinstance(value, RowError):
            alone[f"row {row}"] = row, value
            continue
        ids = value["subject_id"], value["study_id"]
        if ids in seen:
            alone[f"row {row}"] = row, RowError("duplicate", f"{SOURCE}/{value['study_id']}")
        elif ids not in studies:
            alone[f"{study_folder(*ids)}.txt"] = row, RowError("missing-image", f"study {ids[1]} has no film")
        seen.add(ids)
    return alone


def _unused_reports(texts: Reports, part: str, used: set[str]) -> Iterator[Rejected]:
    """Give the reports that belong to no study, and with the first part the archive's files that are none."""
    for path in sorted(set(texts.paths(part)) - used):
        study = PurePosixPath(path).stem
        error = RowError("missing-image", f"the report's study {study} has no film")
        yield _unlisted_file(
            path, error if is_report_path(path) else RowError("unparsable-row", "is no report by its path")
        )
    for path in sorted(set(texts.other_texts())) if part == PARTS[0] else ():
        yield _unlisted_file(path, RowError("unparsable-row", "is no report by its path"))


def _rejected_rows(table: str, stem: str, bad: Iterable[_Bad]) -> Iterator[Rejected]:
    return (rejected(SOURCE, f"{stem}/{row}", table, row, error) for row, error in bad)


def _unlisted_file(path: str, error: RowError) -> Rejected:
    """Reject a file that no row names; its key is its path."""
    return rejected(SOURCE, path, path, 0, error)


LAYOUTS = (
    Layout("jpg", f"{SPLIT}.gz and files/p1*/p*/s*/*.jpg", _jpg_shards, _read_jpg),
    Layout("original", f"{FILMS}.gz and files/p1*/p*/s*/*.dcm", _original_shards, _read_original, images="dicom"),
)
