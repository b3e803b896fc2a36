"""MIMIC-CXR in the layouts of both editions: folders by patient and study, gzipped tables, reports.

JPG edition: the reports zipped, as they are published. DICOM edition: the same films as DICOM files, the reports
unpacked, two lists, and no split.
"""

import textwrap
import uuid
from dataclasses import dataclass, replace

import numpy as np

from .dicom import Window, dicom
from .files import Tree, gzipped, jpeg, table, zipped
from .phrases import findings, impression
from .pictures import Pixels
from .plates import drawn, facts
from .scenes import Scene
from .seeds import pick, stream

_PATIENTS = {"train": 17, "validate": 3, "test": 4}
_WITHOUT_SECTIONS, _WITH_ADDENDUM = 5, 9
"""Places of studies whose report is laid out unlike the others."""

_VERSION = "mimic-cxr-2.0.0"
_LABELS = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Enlarged Cardiomediastinum",
    "Fracture",
    "Lung Lesion",
    "Lung Opacity",
    "No Finding",
    "Pleural Effusion",
    "Pleural Other",
    "Pneumonia",
    "Pneumothorax",
    "Support Devices",
)
_METADATA_HEADER = (
    "dicom_id",
    "subject_id",
    "study_id",
    "PerformedProcedureStepDescription",
    "ViewPosition",
    "Rows",
    "Columns",
    "StudyDate",
    "StudyTime",
)
_INDICATIONS = ("___ year old woman with cough", "___M with chest pain", "___ year old man, preoperative", "Fever, ___")


@dataclass(frozen=True, slots=True)
class _Study:
    place: int
    subject: int
    split: str
    scene: Scene

    @property
    def number(self) -> int:
        return 59990001 + self.place

    @property
    def folder(self) -> str:
        return f"files/p{str(self.subject)[:2]}/p{self.subject}"

    @property
    def views(self) -> tuple[str, ...]:
        return ("PA", "LATERAL") if self.place % 2 else ("PA",)

    @property
    def report(self) -> str:
        return f"{self.folder}/s{self.number}.txt"

    def film(self, view: str) -> str:
        name = uuid.uuid5(uuid.NAMESPACE_OID, f"mimic_cxr/{self.place}/{view}").hex
        return "-".join(f"{name}{name[:8]}"[start : start + 8] for start in range(0, 40, 8))


def tree(seed: int) -> Tree:
    """Make the folder: a report a study, one or two films each, split by patient."""
    studies = _studies(seed)
    films = [(study, view) for study in studies for view in study.views]
    files = {f"{_stem(study, view)}.jpg": jpeg(_pixels(seed, study, view)) for study, view in films}
    reports = {study.report: _report(seed, study).encode() for study in studies}
    files["mimic-cxr-reports.zip"] = zipped(reports, compress=True)
    tables = {
        "split": (("dicom_id", "study_id", "subject_id", "split"), [_split(*film) for film in films]),
        "metadata": (_METADATA_HEADER, [_metadata(seed, *film) for film in films]),
        "chexpert": (("subject_id", "study_id", *_LABELS), [_labels(study) for study in studies]),
        "negbio": (("subject_id", "study_id", *_LABELS), [_labels(study) for study in studies]),
    }
    files |= {f"{_VERSION}-{name}.csv.gz": gzipped(table(header, rows)) for name, (header, rows) in tables.items()}
    return Tree(len(studies), files)


def original_tree(seed: int) -> Tree:
    """Make the folder of the DICOM edition: the studies of `tree`, films as DICOM files of 8 or 12 bits."""
    studies = _studies(seed)
    films = [(study, view) for study in studies for view in study.views]
    files = {f"{_stem(study, view)}.dcm": _dicom(seed, study, view) for study, view in films}
    files |= {study.report: _report(seed, study).encode() for study in studies}
    records = [(study.subject, study.number, study.film(view), f"{_stem(study, view)}.dcm") for study, view in films]
    listed = [(study.subject, study.number, study.report) for study in studies]
    files["cxr-record-list.csv.gz"] = gzipped(table(("subject_id", "study_id", "dicom_id", "path"), records))
    files["cxr-study-list.csv.gz"] = gzipped(table(("subject_id", "study_id", "path"), listed))
    return Tree(len(studies), files)


def _studies(seed: int) -> list[_Study]:
    studies: list[_Study] = []
    splits = [split for split, count in _PATIENTS.items() for _ in range(count)]
    for patient, split in enumerate(splits):
        for _ in range(1 + (patient % 3 == 0) * 2):
            shown = replace(facts(seed, "mimic_cxr", str(len(studies)), ("film",)), view="pa")
            studies.append(_Study(len(studies), 19990001 + patient, split, shown))
    return studies


def _stem(study: _Study, view: str) -> str:
    return f"{study.folder}/s{study.number}/{study.film(view)}"


def _pixels(seed: int, study: _Study, view: str) -> Pixels:
    return drawn(seed, "mimic_cxr", study.film(view), replace(study.scene, view=view.lower()))


def _dicom(seed: int, study: _Study, view: str) -> bytes:
    """Encode a film as one of three kinds: 8 bits, 12 bits with a window, 12 bits with low values bright."""
    grey = _pixels(seed, study, view)
    uid = f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, study.film(view)).int}"
    if study.place % 3 == 0:
        return dicom(grey, uid, bits=8)
    deep = grey.astype(np.uint16) * 16
    if study.place % 3 == 1:
        return dicom(deep, uid, bits=12, window=Window(2048, 4096))
    return dicom(4095 - deep, uid, bits=12, inverted=True)


def _split(study: _Study, view: str) -> tuple[object, ...]:
    return study.film(view), study.number, study.subject, study.split


def _metadata(seed: int, study: _Study, view: str) -> tuple[object, ...]:
    rng = stream(seed, "mimic_cxr", study.film(view), "metadata")
    date, time = f"21{rng.integers(10, 99)}0{rng.integers(1, 9)}15", f"{rng.integers(80000, 170000)}.0"
    return study.film(view), study.subject, study.number, "CHEST (PA AND LAT)", view, 3056, 2544, date, time


def _labels(study: _Study) -> tuple[object, ...]:
    positive = {
        "Cardiomegaly": study.scene.large,
        "Lung Opacity": study.scene.spots > 0,
        "No Finding": not (study.scene.large or study.scene.spots),
    }
    return study.subject, study.number, *("1.0" if positive.get(label) else None for label in _LABELS)


def _report(seed: int, study: _Study) -> str:
    rng = stream(seed, "mimic_cxr", str(study.place), "report")
    found, concluded = findings(study.scene, rng), impression(study.scene)
    indication = pick(rng, _INDICATIONS)
    if study.place == _WITHOUT_SECTIONS:
        return _paragraphs("FINAL REPORT", f"CHEST RADIOGRAPH, ___: {found} {concluded}")
    sections = ("EXAMINATION: CHEST (PA AND LAT)", f"INDICATION: {indication}", "COMPARISON: ___.")
    report = _paragraphs("FINAL REPORT", *sections, f"FINDINGS: {found}", f"IMPRESSION: {concluded}")
    if study.place == _WITH_ADDENDUM:
        return f"{_paragraphs('ADDENDUM', 'The wet read was changed by Dr. ___ on ___.')}{'_' * 78}\n{report}"
    return report


def _paragraphs(title: str, *texts: str) -> str:
    """Set a title and paragraphs as upstream does: title far to the right, lines of 79 characters, blanks before."""
    body = "\n \n".join(textwrap.fill(text, 79, initial_indent=" ", subsequent_indent=" ") for text in texts)
    return f"{title:>45}\n{body}\n"
