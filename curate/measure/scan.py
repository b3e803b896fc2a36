"""Pass 1: read one upstream shard, clean its text, measure its images, store the results as a scan.

A scan decides nothing. It holds upstream's records with cleaned text, and their measurements, so that a mixture's
thresholds can change without decoding an image again.
"""

import hashlib
import json
import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..code_digest import code_digest
from ..errors import RowError
from ..file_state import FileState
from ..read import dicom, image_store, zip_index
from ..record import ImageRef, Record, Rejected
from ..shards import file_sha256, replacing, row_groups
from ..sources import Layout, Shard, layouts
from ..tables import input_errors
from . import images, scanned_files, text, third_party
from .text_keys import Texts, measure_texts

BATCH_ROWS = 256
CODE = (
    *("record.py", "errors.py", "file_state.py", "locks.py", "shards.py", "code_digest.py", "tables", "sources"),
    *("read/image_store.py", "read/spelling.py", "read/dicom.py", "read/dicom_grey.py", "measure"),
    *("read/zip_directory.py", "read/zip_index.py"),
    *("copies/__init__.py", "copies/colour_maps.py", "copies/grey.py", "copies/keypoints.py", "copies/panels.py"),
    "copies/fingerprints.py",
)
"""The code that the content of a scan depends on: only a change of it invalidates scans."""

SMALL_BYTES = 65_536
"""Reports have a few kilobytes, films hundreds."""

MEASURED_LIBRARIES = ("pillow", "numpy", "opencv-python-headless", "fasttext")

EVALUATION_SPLITS = ("validation", "test")

_STRINGS = pa.list_(pa.string())
_NUMBERS = pa.list_(pa.int64())
_IMAGE_REF = pa.struct([("path", pa.string()), ("member", pa.string()), ("row", pa.int64()), ("column", pa.string())])

SCHEMA = pa.schema(
    [
        *[(name, pa.string()) for name in ("key", "split", "file")],
        ("row", pa.int64()),
        *[(name, pa.string()) for name in ("stage", "reason", "evidence", "task", "group", "question", "answer")],
        ("alternatives", _STRINGS),
        ("choices", _STRINGS),
        ("correct", pa.int64()),
        *[(name, pa.string()) for name in ("answer_type", "context", "explanation", "modality", "language")],
        *[(name, pa.string()) for name in ("licence", "attribution", "member", "third_party")],
        ("images", pa.list_(_IMAGE_REF)),
        *[(name, _STRINGS) for name in ("image_sha256", "image_phash", "image_key")],
        *[(name, _NUMBERS) for name in ("image_bytes", "image_width", "image_height")],
        ("image_uniform", _STRINGS),
        ("fingerprints", pa.list_(pa.binary())),
        *[(name, pa.string()) for name in ("text_key", "question_answer_key")],
        *[(name, pa.uint64()) for name in ("question_key", "near_key")],
        ("minhash", pa.list_(pa.uint32())),
    ]
)
"""The columns of a scan: the record's, `reason` where it cannot be used, and the measurements.

`fingerprints` has those of an image's views, one after the other. `image_key` is equal for images that are known to be
the same without a comparison: the digest of the pixels where the scan takes one, else of the bytes. `image_uniform`
names the brightness of images that have only one, else "". `third_party` is the credit in a figure's caption to an
owner other than the article. The last five are those of `text_keys.TextKeys`.
"""


@dataclass(frozen=True, slots=True)
class ScanTask:
    """One shard to scan; apart from the files, the scan's content depends on these fields only.

    Attributes:
        source, layout, shard: what to read; `folder` is the source's folder.
        out: the folder of the scans; a scan's file name contains the task's digest.
        max_pixels: budget of `images.decode_rgb`.
        language, language_model: the source's default, and fastText's `lid.176.ftz`.
        limit: read at most this many rows, or None.
        verify: read the bytes of all images again before an earlier scan is used.
        one_language: the source declares no other language.
    """

    source: str
    folder: Path
    layout: str
    shard: Shard
    out: Path
    max_pixels: int
    language: str
    language_model: Path
    limit: int | None = None
    verify: bool = False
    one_language: bool = False


def scan(task: ScanTask) -> Path:
    """Scan a shard, unless a scan of the same bytes with the same settings exists, and give its file.

    Raises:
        InputError: an upstream file is unusable as a whole.
    """
    path, now_ns = _path(task), time.time_ns()
    if _is_current(path, task, now_ns):
        return path
    states: dict[str, FileState | None] = {}
    with replacing(path) as temporary, pq.ParquetWriter(temporary, SCHEMA, compression="zstd") as writer:
        for group in row_groups(_rows(task, states)):
            writer.write_table(pa.Table.from_pylist(group, schema=SCHEMA), row_group_size=len(group))
    scanned_files.write(path, states, now_ns)
    return path


def find(task: ScanTask) -> Path | None:
    """Give the file of a shard's scan if there is one of the same bytes with the same settings."""
    path = _path(task)
    return path if _is_current(path, task, time.time_ns()) else None


def _path(task: ScanTask) -> Path:
    return task.out / f"{task.source}-{_digest(task)}.parquet"


def _is_current(path: Path, task: ScanTask, now_ns: int) -> bool:
    return path.exists() and scanned_files.are_unchanged(path, task.folder, task.verify, now_ns)


def _digest(task: ScanTask) -> str:
    decoders = dicom.decoder_versions() if _layout(task).images == "dicom" else {}
    settings = {
        "code": code_digest(*CODE),
        "libraries": {name: version(name) for name in MEASURED_LIBRARIES} | decoders,
        "files": {file: _file_digest(task.folder / file) for file in task.shard.files},
        "folders": [_folder_digest(task.folder / folder) for folder in task.shard.folders],
        "task": [
            task.source,
            task.layout,
            asdict(task.shard),
            task.max_pixels,
            task.language,
            task.limit,
            task.one_language,
        ],
        "language_model": _file_digest(task.language_model),
    }
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:20]


def _file_digest(path: Path) -> str:
    with input_errors(path):
        state = path.stat()
        return _digest_of_state(path, state.st_size, state.st_mtime_ns)


def _folder_digest(folder: Path) -> str:
    """Digest all files below a folder: names and contents of small ones, names, sizes and times of others.

    Large files are images, whose bytes `scanned_files` watches; small ones may be reports.
    """
    digest = hashlib.sha256()
    for place, folders, files in os.walk(folder):
        folders.sort()  # os.walk descends in this order
        digest.update(f"{place[len(str(folder)) :]}\n".encode(errors="surrogateescape"))
        for name in sorted(files):
            file = Path(place, name)
            state = file.lstat()
            is_small = stat.S_ISREG(state.st_mode) and state.st_size <= SMALL_BYTES
            content = file_sha256(file) if is_small else f"{state.st_size}\0{state.st_mtime_ns}"
            digest.update(f"{name}\0{content}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


@lru_cache(maxsize=256)
def _digest_of_state(path: Path, size: int, mtime_ns: int) -> str:
    """Digest a file; cached for the shards that are pieces of it."""
    return file_sha256(path)


def _rows(task: ScanTask, states: dict[str, FileState | None]) -> Iterator[tuple[dict[str, Any], int]]:
    """Give the scan's rows, each with its approximate size in bytes; add the states of the files read to `states`."""
    upstream = islice(_layout(task).read(task.folder, task.shard), task.limit)
    detector = text.LanguageDetector(task.language_model)
    with image_store.ImageStore(task.folder, task.out.parent / zip_index.FOLDER) as store:
        measure = lru_cache(maxsize=65_536)(partial(_measure, store, task.max_pixels))
        while batch := list(islice(upstream, BATCH_ROWS)):
            rows = [
                _rejected_row(row) if isinstance(row, Rejected) else _measured_row(row, measure, task.folder, states)
                for row in batch
            ]
            _add_spellings(rows, batch, store.respelled)
            _add_languages(rows, detector, task)
            _add_text_keys(rows)
            for row in rows:
                yield row, 500 + sum(len(row[name]) for name in ("question", "answer", "context", "explanation"))


def _layout(task: ScanTask) -> Layout:
    return next(layout for layout in layouts(task.source) if layout.name == task.layout)


def _rejected_row(row: Rejected) -> dict[str, Any]:
    return {
        **dict.fromkeys(SCHEMA.names, None),
        **{name: "" for name in SCHEMA.names if SCHEMA.field(name).type == pa.string()},
        **{name: [] for name in SCHEMA.names if pa.types.is_list(SCHEMA.field(name).type)},
        **asdict(row),
        "stage": "read",
    }


def _measure(store: image_store.ImageStore, max_pixels: int, ref: ImageRef) -> images.ImageFacts:
    data = store.read(ref)
    try:
        return images.measure(data, max_pixels)
    except RowError as error:
        raise RowError(error.reason, f"{ref}: {error.evidence}") from error


def _measured_row(
    record: Record,
    measure: Callable[[ImageRef], images.ImageFacts],
    folder: Path,
    states: dict[str, FileState | None],
) -> dict[str, Any]:
    row = asdict(record)
    for name in ("question", "answer", "context", "explanation"):
        row[name] = text.clean(row[name])
    for name in ("alternatives", "choices"):
        row[name] = [text.clean(part) for part in row[name]]
    row.update(stage="", reason="", evidence="")
    row["third_party"] = third_party.find_credit(row["answer"]) if record.task == "caption" else ""
    for ref in record.images:  # before they are read, so that a later change is noticed
        if ref.path not in states:
            states[ref.path] = image_store.file_stat(folder, ref)
    facts = []
    for ref in record.images:
        try:
            facts.append(measure(ref))
        except RowError as error:
            row.update(stage="images", reason=error.reason, evidence=error.evidence)
            break
    for name in ("sha256", "phash", "bytes", "width", "height", "uniform"):
        row[f"image_{name}"] = [getattr(image, name) for image in facts]
    row["image_key"] = [image.pixel_sha256 or image.sha256 for image in facts]
    row["fingerprints"] = [image.fingerprints.tobytes() for image in facts]
    return row


def _add_spellings(
    rows: list[dict[str, Any]], records: list[Record | Rejected], respelled: dict[ImageRef, str]
) -> None:
    """Add to the evidence of a good row under which name an image was found, if not under the row's."""
    for row, record in zip(rows, records, strict=True):
        if respelled and isinstance(record, Record) and not row["reason"]:
            names = [f"found as {respelled[ref]!a}" for ref in record.images if ref in respelled]
            row["evidence"] = "; ".join(filter(None, [row["evidence"], *names]))


def _add_languages(rows: list[dict[str, Any]], detector: text.LanguageDetector, task: ScanTask) -> None:
    """Fill in `language` where upstream declares none for the row, from all its text.

    Rows of evaluation splits have the declared language of their source, if there is one: an evaluation set is scored
    as upstream published it, and a guess must not take items out.
    """
    undeclared = [row for row in rows if not row["language"] and row["task"]]
    declared = [row for row in undeclared if task.one_language and row["split"] in EVALUATION_SPLITS]
    for row in declared:
        row["language"] = task.language
    guessed = [row for row in undeclared if not row["language"]]
    texts = [" ".join((row["context"], row["question"], row["answer"])) for row in guessed]
    languages = text.detect_languages(texts, detector, task.language, task.one_language)
    for row, language in zip(guessed, languages, strict=True):
        row["language"] = language


def _add_text_keys(rows: list[dict[str, Any]]) -> None:
    records = [row for row in rows if row["task"]]
    texts = [Texts(row["question"], row["answer"], row["context"], row["choices"]) for row in records]
    for row, keys in zip(records, measure_texts(texts), strict=True):
        row.update(asdict(keys))
