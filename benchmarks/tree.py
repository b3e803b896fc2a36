"""Speed and peak memory of reading a MIMIC-CXR tree of upstream's size, beside a bare walk over the same tree.

Run: python benchmarks/tree.py [--patients 65000] [--scratch DIR] [--reports zip|files]
Makes a JPG edition of some 400,000 files with upstream's names and tables in a temporary folder: 3.5 studies a patient,
the images hard links to a few small JPEG files. Reading means what a build reads before it decodes an image: tables,
reports, names of files. Each measurement runs in a process of its own; walk and reading take turns.
"""

import argparse
import csv
import gzip
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import uuid
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from medmix.curate.sources import layouts

REPORT = (
    "                                 FINAL REPORT\n EXAMINATION:  CHEST (PA AND LAT)\n \n"
    " INDICATION:  ___ with cough\n \n"
    " FINDINGS:  The lungs are clear of consolidation, effusion, or pulmonary\n vascular congestion.  The"
    " cardiomediastinal silhouette is within normal limits.\n No acute osseous abnormalities.\n \n"
    " IMPRESSION:  No acute cardiopulmonary process in study {}.\n"
)
METADATA = (
    *("dicom_id", "subject_id", "study_id", "PerformedProcedureStepDescription", "ViewPosition"),
    *("Rows", "Columns", "StudyDate", "StudyTime"),
)
LINKS = 50_000
"""So many links to one file are well within what file systems allow (ext4: 65,000)."""


def write_tree(folder: Path, patients: int, reports: str) -> tuple[int, int]:
    """Write the tree; give its numbers of studies and of images."""
    studies, images = 0, 0
    archive = zipfile.ZipFile(folder / "mimic-cxr-reports.zip", "w", zipfile.ZIP_DEFLATED) if reports == "zip" else None
    with (
        gzip.open(folder / "mimic-cxr-2.0.0-split.csv.gz", "wt", newline="") as split_file,
        gzip.open(folder / "mimic-cxr-2.0.0-metadata.csv.gz", "wt", newline="") as metadata_file,
    ):
        split, metadata = csv.writer(split_file), csv.writer(metadata_file)
        split.writerow(["dicom_id", "study_id", "subject_id", "split"])
        metadata.writerow(METADATA)
        for patient in range(patients):
            subject = 10_000_000 + patient * (9_999_999 // patients)
            for _ in range(3 + patient % 2):
                study = 50_000_000 + studies
                place = Path(f"files/p{subject // 1_000_000}/p{subject}/s{study}")
                (folder / place).mkdir(parents=True)
                text = REPORT.format(study)
                if archive:
                    archive.writestr(f"{place}.txt", text)
                else:
                    (folder / f"{place}.txt").write_text(text)
                for view in ("LATERAL", "PA")[: 1 + (studies % 3 > 0)]:
                    name = uuid.uuid5(uuid.NAMESPACE_OID, str(images)).hex
                    dicom = "-".join(f"{name}{name[:8]}"[start : start + 8] for start in range(0, 40, 8))
                    os.link(_picture(folder, images // LINKS), folder / place / f"{dicom}.jpg")
                    split.writerow([dicom, study, subject, "test" if patient % 50 == 0 else "train"])
                    metadata.writerow(
                        [dicom, subject, study, "CHEST (PA AND LAT)", view, 3056, 2544, 21800101, 80556.0]
                    )
                    images += 1
                studies += 1
    if archive:
        archive.close()
    return studies, images


def _picture(folder: Path, number: int) -> Path:
    path = folder / f"{number}.jpg"
    if not path.exists():
        buffer = BytesIO()
        Image.fromarray(np.full((64, 64), number, np.uint8)).save(buffer, "JPEG")
        path.write_bytes(buffer.getvalue())
    return path


def walk(folder: str) -> Iterator[os.DirEntry[str]]:
    """Give every file below a folder and do no more."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from walk(entry.path)
            else:
                yield entry


def read(folder: Path, shards: int | None) -> Iterator[object]:
    """Read the source's first shards, or all."""
    layout = layouts("mimic_cxr")[0]
    for shard in layout.shards(folder)[:shards]:
        yield from layout.read(folder, shard)


def child(folder: Path, what: str, patients: int, reports: str) -> None:
    """Make the tree, or run one measurement; print what came out."""
    if what == "make":
        print(json.dumps(write_tree(folder, patients, reports)))
        return
    loops = {
        "walk": lambda: walk(str(folder / "files")),
        "all": lambda: read(folder, None),
        "one": lambda: read(folder, 1),
    }
    rows = 0
    started = time.perf_counter()
    for _ in loops[what]():
        rows += 1
    seconds = time.perf_counter() - started
    print(json.dumps([rows, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))


def in_child(folder: Path, what: str, *options: str) -> list[float]:
    """Do something in a fresh process of a small one: a process counts its parent's memory as its own peak."""
    command = [sys.executable, __file__, "--child", what, "--scratch", str(folder), *options]
    return list(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def main() -> None:
    """Print one line per measurement, the best of three rounds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=65_000)
    parser.add_argument("--scratch", type=Path, help="where to make the tree; it is removed at the end")
    parser.add_argument("--reports", choices=["zip", "files"], default="zip")
    parser.add_argument("--child", choices=["make", "walk", "all", "one"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.scratch, arguments.child, arguments.patients, arguments.reports)
        return
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
        started = time.perf_counter()
        folder, reports = Path(scratch), arguments.reports
        studies, images = in_child(folder, "make", "--patients", str(arguments.patients), "--reports", reports)
        print(f"{images:.0f} images, {studies:.0f} studies, reports as {reports}", end="; ")
        print(f"made in {time.perf_counter() - started:.0f} s", flush=True)
        print("what   rows    seconds  rows/s   peak MiB")
        rounds = [{what: in_child(folder, what) for what in ("walk", "one", "all")} for _ in range(3)]
        for what in rounds[0]:
            rows, seconds, peak = min((one[what] for one in rounds), key=lambda result: result[1])
            print(f"{what:5} {rows:7.0f}  {seconds:7.2f}  {rows / seconds:7.0f}  {peak:7.0f}", flush=True)


if __name__ == "__main__":
    main()
