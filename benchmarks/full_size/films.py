"""MIMIC-CXR and IU X-Ray: chest films with reports."""

import csv
import gzip
import io
import textwrap
import uuid
import zipfile
from collections.abc import Iterable, Iterator
from multiprocessing.pool import Pool
from pathlib import Path
from typing import NamedTuple

from .counts import Size
from .pictures import Picture, encode_all
from .texts import Texts

FIRST_IU, FIRST_CXR8 = 10_000_000, 20_000_000
"""Numbers of the first films of IU X-Ray and of the evaluation set ChestX-ray8; MIMIC-CXR begins at 0."""

_METADATA = (
    *("dicom_id", "subject_id", "study_id", "PerformedProcedureStepDescription", "ViewPosition"),
    *("Rows", "Columns", "StudyDate", "StudyTime"),
)
_TABLE = "mimic-cxr-2.0.0-{}.csv.gz"


class _Film(NamedTuple):
    number: int
    dicom: str
    study: int
    subject: int
    split: str
    view: str

    @property
    def study_path(self) -> str:
        return f"files/p{self.subject // 1_000_000}/p{self.subject}/s{self.study}"


def _films(studies: int) -> Iterator[_Film]:
    """Give the films: 3.5 studies a patient, 1.66 films a study, the patients spread over all parts."""
    number, patients = 0, studies // 3.5 + 1
    for place in range(studies):
        patient = int(place / 3.5)
        subject = 10_000_000 + int(patient * (9_999_999 // patients))
        split = {7: "validate", 53: "validate", 11: "test"}.get(patient % 100, "train")
        for view in ("PA", "LATERAL")[: 1 + (place % 3 > 0)]:
            name = uuid.uuid5(uuid.NAMESPACE_OID, f"full/{number}").hex
            dicom = "-".join(f"{name}{name[:8]}"[start : start + 8] for start in range(0, 40, 8))
            yield _Film(number, dicom, 50_000_000 + place, subject, split, view)
            number += 1


def write_mimic_cxr(folder: Path, size: Size, pool: Pool) -> None:
    """Write the JPG edition with its tables, and the reports as a zip."""
    films = list(_films(size.rows("mimic_cxr")))
    ids = ("dicom_id", "study_id", "subject_id", "split")
    _write_table(folder / _TABLE.format("split"), ids, ((f.dicom, f.study, f.subject, f.split) for f in films))
    metadata = (
        (f.dicom, f.subject, f.study, "CHEST (PA AND LAT)", f.view, 3056, 2544, 21800101, 80556.0) for f in films
    )
    _write_table(folder / _TABLE.format("metadata"), _METADATA, metadata)
    with zipfile.ZipFile(folder / "mimic-cxr-reports.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for study, path in {film.study: film.study_path for film in films}.items():
            info = zipfile.ZipInfo(f"{path}.txt", (2020, 1, 1, 0, 0, 0))
            archive.writestr(info, _report(Texts("mimic_cxr", study)), zipfile.ZIP_DEFLATED, 1)
    pictures = (Picture("film", film.number) for film in films)
    for film, content in zip(films, encode_all(pool, pictures), strict=True):
        path = folder / film.study_path
        path.mkdir(parents=True, exist_ok=True)
        (path / f"{film.dicom}.jpg").write_bytes(content)


def _report(texts: Texts) -> str:
    """Set a report as upstream does."""
    parts = ("EXAMINATION: CHEST (PA AND LAT)", f"INDICATION: ___ with {texts.word('sign')}", "COMPARISON: ___.")
    parts += (f"FINDINGS: {texts.findings()}", f"IMPRESSION: {texts.impression()}")
    body = "\n \n".join(textwrap.fill(text, 79, initial_indent=" ", subsequent_indent=" ") for text in parts)
    return f"{'FINAL REPORT':>45}\n{body}\n"


def _write_table(path: Path, header: Iterable[str], rows: Iterable[tuple[object, ...]]) -> None:
    with gzip.GzipFile(path, "wb", 1, mtime=0) as packed, io.TextIOWrapper(packed, newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def write_iu_xray(folder: Path, size: Size, pool: Pool) -> None:
    """Write Kaggle's tables and the PNG, two for most reports."""
    uids = range(1, size.rows("iu_xray") + 1)
    films = [(uid, view) for uid in uids for view in range(1 if uid % 8 == 0 else 2)]
    names = [f"{uid}_IM-{uid:04d}-{1001 + 3000 * view}.dcm.png" for uid, view in films]
    with (folder / "indiana_reports.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("uid", "MeSH", "Problems", "image", "indication", "comparison", "findings", "impression"))
        for uid in uids:
            texts = Texts("iu_xray", uid)
            found = texts.findings().replace("___", "XXXX")
            writer.writerow((uid, "normal", "normal", "Xray Chest PA", "", "", found, texts.impression()))
    with (folder / "indiana_projections.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("uid", "filename", "projection"))
        rows = zip(films, names, strict=True)
        writer.writerows((uid, name, ("Frontal", "Lateral")[view]) for (uid, view), name in rows)
    place = folder / "images" / "images_normalized"
    place.mkdir(parents=True)
    pictures = (Picture("film", FIRST_IU + number, suffix=".png", scale=0.5) for number in range(len(films)))
    for name, content in zip(names, encode_all(pool, pictures), strict=True):
        (place / name).write_bytes(content)
