"""Comparisons of images: aligned pixels confirm how two images are related; no pair is compared twice.

The result depends on the two images alone, so it is cached in the build's folder under their digests: a killed build
resumes, and a build with one more source compares only the new images with all others.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple, TypeAlias, get_args

import numpy as np
import polars as pl

from .. import engine
from ..code_digest import code_digest
from ..copies import confirm
from ..copies.clusters import components
from ..copies.fingerprints import Fingerprints
from ..copies.sketch import Sketch
from ..errors import WorkError
from ..measure import images
from ..progress import Amounts, reporting
from ..read import zip_index
from ..read.image_store import ImageStore
from ..shards import replacing, temporary_files
from .scan_images import ImageLocation

CODE = ("decide/comparisons.py", "measure/images.py", "read/dicom.py", "read/dicom_grey.py", "copies")
"""The code that decides the result of a comparison: cached results are invalid once it changes."""

PAIRS_PER_TASK = 512
PREPARED = 128
"""Images that a process keeps prepared, a few megabytes each."""

KIND = pl.Enum(get_args(confirm.Kind))
"""How two images are related (`confirm.Kind`), the closest relation first."""

_BOX = ("left", "top", "right", "bottom")

RESULT: dict[str, pl.DataType] = {
    "exact": pl.Boolean(),
    "kind": KIND,
    "similarity": pl.Float64(),
    "share": pl.Float64(),
    "flipped": pl.Boolean(),
    "turn": pl.Int32(),
    "zoom": pl.Float64(),
    **dict.fromkeys(_BOX, pl.Float64()),
}
"""How one image was made of another: `exact` if their pixels are equal, else as in `confirm.Match`, the box by side."""

EXACT_COPY = (True, "copy", 1.0, 1.0, False, 0, 1.0, *confirm.WHOLE)
"""`RESULT` of two images with equal pixels."""

COPIES = pl.Schema({"image": pl.UInt32(), "other": pl.UInt32(), **RESULT})
"""Related images, of any kind but `unrelated`: how `other` was made of `image`."""

CANDIDATE_PAIRS = pl.Schema({"image": pl.UInt32, "other": pl.UInt32, "alike": pl.Boolean})
"""Pairs to compare; `alike` if their hashes are so close that their pixels may be equal."""

_KEYS = pl.Schema({"number": pl.UInt32, "key": pl.String})
_VERDICTS = pl.Schema({"one": pl.String(), "two": pl.String(), **RESULT})
_LIBRARIES = ("numpy", "opencv-python-headless", "pillow")


@dataclass(frozen=True, slots=True, eq=False)  # compared by identity: fingerprints cannot be hashed
class SketchedImage:
    """An image of an evaluation set, known by its digests, the fingerprints of its views and its sketch, if any.

    `location` is where the image itself is, if it is available; then its pixels are compared, not its sketch.
    """

    sha256: str
    pixel_sha256: str
    prints: Fingerprints
    sketch: Sketch | None
    location: ImageLocation | None = None


Image: TypeAlias = ImageLocation | SketchedImage


def _key(image: Image) -> str:
    """Give the key of cached results; a sketch has its own, since comparing the image itself is more precise."""
    return image.sha256 if isinstance(image, ImageLocation) else f"sketch:{image.sha256}"


class Pair(NamedTuple):
    """Two images to compare; `alike` as in `CANDIDATE_PAIRS`."""

    one: Image
    two: Image
    alike: bool


@dataclass(frozen=True, slots=True)
class ComparisonTask:
    """Pairs to compare; the result is written to `out`."""

    pairs: tuple[Pair, ...]
    max_pixels: int
    out: Path


def confirm_related(
    pairs: pl.DataFrame,
    by_number: Mapping[int, Image],
    max_pixels: int,
    folder: Path,
    workers: int,
    shared: bool = False,
) -> pl.DataFrame:
    """Compare candidate pairs of images and give those that are related, as `COPIES`, sorted.

    Args:
        pairs: as `CANDIDATE_PAIRS`; at most `other` is sketched.
        by_number: the images of the pairs.
        max_pixels: budget of `images.decode_rgb`.
        folder: cache of the verdicts.
        workers: processes; the result does not depend on them.
        shared: other builds use the folder at the same time, so no file in it is merged or removed.

    Raises:
        WorkError: an image has changed since its fingerprint was taken.
    """
    folder.mkdir(parents=True, exist_ok=True)
    keyed = _with_keys(pairs, by_number)
    unknown = keyed.join(_load_verdicts(folder), on=["one", "two"], how="anti", maintain_order="left")
    run_tasks(_tasks(unknown, by_number, max_pixels, folder), workers)
    verdicts = _load_verdicts(folder)
    if not shared:
        _merge_files(verdicts, folder)
    found = keyed.join(verdicts.filter(pl.col("kind") != "unrelated"), on=["one", "two"], maintain_order="left")
    return found.sort("image", "other").select(list(COPIES)).cast(COPIES)


def tasks_of(
    pairs: pl.DataFrame, by_number: Mapping[int, Image], max_pixels: int, folder: Path
) -> list[ComparisonTask]:
    """Give the tasks of candidate pairs, as `confirm_related` takes them; they depend on no verdict that is known."""
    return _tasks(_with_keys(pairs, by_number), by_number, max_pixels, folder)


def unfinished(tasks: Sequence[ComparisonTask], folder: Path) -> list[ComparisonTask]:
    """Give the tasks with a pair whose verdict is not in the folder."""
    known = set(_load_verdicts(folder).select("one", "two").iter_rows())
    return [task for task in tasks if any((_key(pair.one), _key(pair.two)) not in known for pair in task.pairs)]


def run_tasks(tasks: Sequence[ComparisonTask], workers: int) -> None:
    """Compare the pairs of tasks in parallel, unless their files exist."""
    pairs = Amounts([len(task.pairs) for task in tasks], "pairs")
    with reporting("comparing images", len(tasks), "tasks", pairs) as ended:
        for _ in engine.run(compare, tasks, workers, ended=ended):
            pass


def _with_keys(pairs: pl.DataFrame, by_number: Mapping[int, Image]) -> pl.DataFrame:
    """Add to pairs the keys of their images, `one` and `two`."""
    keys = pl.DataFrame({"number": list(by_number), "key": list(map(_key, by_number.values()))}, _KEYS)
    keyed = pairs.join(keys.rename({"number": "image", "key": "one"}), on="image", maintain_order="left")
    return keyed.join(keys.rename({"number": "other", "key": "two"}), on="other", maintain_order="left")


def _together(pairs: pl.DataFrame) -> pl.DataFrame:
    """Sort pairs so that those that share images stand together and each image is decoded once."""
    numbers = pairs.select("image", "other").to_numpy().astype(np.int64)
    found = pl.DataFrame(components(numbers), {"image": pl.UInt32, "lowest": pl.UInt32})
    joined = pairs.join(found, on="image", how="left", maintain_order="left")
    return joined.with_columns(pl.coalesce("lowest", "image").alias("lowest")).sort("lowest", "image", "other")


def _tasks(keyed: pl.DataFrame, by_number: Mapping[int, Image], max_pixels: int, folder: Path) -> list[ComparisonTask]:
    rows = _together(keyed).select(list(CANDIDATE_PAIRS)).iter_rows()
    pairs = [Pair(by_number[one], by_number[two], alike) for one, two, alike in rows]
    tasks = []
    for start in range(0, len(pairs), PAIRS_PER_TASK):
        part = tuple(pairs[start : start + PAIRS_PER_TASK])
        digest = hashlib.sha256(json.dumps([[_key(pair.one), _key(pair.two)] for pair in part]).encode()).hexdigest()
        tasks.append(ComparisonTask(part, max_pixels, folder / f"{code_version()}-{digest[:20]}.parquet"))
    return tasks


@cache
def code_version() -> str:
    """Give the version of everything that decides a verdict beside the images: this code and its libraries."""
    libraries = json.dumps({name: version(name) for name in _LIBRARIES})
    return hashlib.sha256(f"{libraries} {code_digest(*CODE)}".encode()).hexdigest()[:12]


def _load_verdicts(folder: Path) -> pl.DataFrame:
    """Read the cached verdicts of this version."""
    files = sorted(folder.glob(f"{code_version()}-*.parquet"))
    return pl.concat([pl.DataFrame(schema=_VERDICTS), *map(pl.read_parquet, files)]).unique(["one", "two"], keep="any")


def _merge_files(verdicts: pl.DataFrame, folder: Path) -> None:
    """Write all verdicts to one file; remove the others, and those of other versions."""
    whole = folder / f"{code_version()}-all.parquet"
    others = [path for path in folder.glob("*.parquet") if path != whole]
    if others:
        with replacing(whole) as temporary:
            verdicts.sort("one", "two").write_parquet(temporary, compression="zstd")
    for path in (*others, *temporary_files(folder)):
        path.unlink()


def compare(task: ComparisonTask) -> Path:
    """Compare the pairs of one task, unless its file exists, and give the file with the verdicts.

    Raises:
        WorkError: an image has changed since its fingerprint was taken.
    """
    if task.out.exists():
        return task.out
    indexes = task.out.parent.parent / zip_index.FOLDER
    rows: list[tuple[object, ...]] = []
    ready: dict[Image, _ReadyImage] = {}
    for pairs in _windows(task.pairs):
        ready = {image: ready.get(image) or _ReadyImage() for pair in pairs for image in (pair.one, pair.two)}
        _prepare_all(ready, pairs, task.max_pixels, indexes)
        rows += [(_key(one), _key(two), *_result(ready[one], ready[two], alike)) for one, two, alike in pairs]
    with replacing(task.out) as temporary:
        pl.DataFrame(rows, _VERDICTS, orient="row").write_parquet(temporary)
    return task.out


class _ReadyImage:
    """What comparisons need of an image: its pixels' digest, and itself prepared for images and for sketches."""

    def __init__(self) -> None:
        self.pixel_sha256: str | None = None
        self.prepared: dict[bool, confirm.Prepared | None] = {}
        self.is_sketch = False


def _windows(pairs: Sequence[Pair]) -> Iterator[list[Pair]]:
    """Part pairs into runs of at most `PREPARED` images."""
    window: list[Pair] = []
    images_of: set[Image] = set()
    for pair in pairs:
        if window and len(images_of | {pair.one, pair.two}) > PREPARED:
            yield window
            window, images_of = [], set()
        window.append(pair)
        images_of |= {pair.one, pair.two}
    if window:
        yield window


def _prepare_all(ready: Mapping[Image, _ReadyImage], pairs: Sequence[Pair], max_pixels: int, indexes: Path) -> None:
    """Add to `ready` what the comparison of pairs needs of their images; of bytes, memory holds one image's.

    Images are read in the order of archives and tables, so that each row group is read once.
    """
    digests = {image for pair in pairs if pair.alike for image in (pair.one, pair.two)}
    uses = {(image, isinstance(pair.two, SketchedImage)) for pair in pairs for image in (pair.one, pair.two)}
    for image, known in ready.items():
        if isinstance(image, SketchedImage) and not known.is_sketch:
            known.pixel_sha256, known.is_sketch = image.pixel_sha256, True
            known.prepared[True] = confirm.prepare_sketch(image.sketch) if image.sketch else None
    located = sorted((image for image in ready if isinstance(image, ImageLocation)), key=_reading_order)
    with ExitStack() as stack:
        stores: dict[Path, ImageStore] = {}
        for image in located:
            known = ready[image]
            kinds = [kind for kind in (False, True) if (image, kind) in uses and kind not in known.prepared]
            if not kinds and (known.pixel_sha256 is not None or image not in digests):
                continue
            if image.folder not in stores:
                stores[image.folder] = stack.enter_context(ImageStore(image.folder, indexes))
            data = _read(stores[image.folder], image)
            if image in digests and known.pixel_sha256 is None:
                known.pixel_sha256 = images.pixel_digest(data, max_pixels)
            if kinds:
                grey = images.decode_reduced(data, max_pixels, confirm.SIDE)
                known.prepared |= {kind: confirm.prepare(grey, kind) for kind in kinds}


def _reading_order(image: ImageLocation) -> tuple[Path, str, int, str, str]:
    ref = image.ref
    return image.folder, ref.path, -1 if ref.row is None else ref.row, ref.column, ref.member or ""


def _read(store: ImageStore, image: ImageLocation) -> bytes:
    data = store.read(image.ref)
    if hashlib.sha256(data).hexdigest() != image.sha256:
        path = image.folder / image.ref.path
        raise WorkError(f"{path}: the image changed while it was in use; run the same command again")
    return data


def _result(one: _ReadyImage, two: _ReadyImage, alike: bool) -> tuple[object, ...]:
    """Give the values of `RESULT`."""
    if alike and one.pixel_sha256 == two.pixel_sha256:
        return EXACT_COPY
    match = confirm.compare(one.prepared[two.is_sketch], two.prepared[two.is_sketch])
    return False, match.kind, match.likeness, match.share, match.flipped, match.turn, match.zoom, *match.box
