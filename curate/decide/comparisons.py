"""Comparisons of images: whether aligned pixels confirm that two are copies; no pair is compared twice.

What a comparison gives hangs on the two images alone, so it is kept beside the build under their digests: a build that
was killed goes on, and one with a source more compares only the new images with all.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import polars as pl

from .. import engine
from ..code_digest import code_digest
from ..copies import confirm
from ..copies.fingerprints import Fingerprint
from ..copies.sketch import Sketch
from ..errors import WorkError
from ..measure import images
from ..progress import track
from ..read.image_store import ImageStore
from ..shards import replacing, temporary_files
from .pictures import Held

CODE = ("decide/comparisons.py", "measure/images.py", "read/dicom.py", "copies")
"""The rooms that decide what a comparison gives: only a change of these makes stored ones false."""

PART = 128
"""Pairs that one task compares."""

RESULT: dict[str, pl.DataType] = {
    "exact": pl.Boolean(),
    "likeness": pl.Float64(),
    "flipped": pl.Boolean(),
    "turn": pl.Int32(),
    "zoom": pl.Float64(),
}
"""How one image was made of another: `exact` where their pixels are equal, else as in `confirm.Match`."""

COPIES = pl.Schema({"image": pl.UInt32(), "other": pl.UInt32(), **RESULT})
"""Confirmed copies: how `other` was made of `image`."""

PROPOSED = pl.Schema({"image": pl.UInt32, "other": pl.UInt32, "alike": pl.Boolean})
"""Pairs to compare; `alike` says that their hashes are so near that their pixels may be equal."""

_NAMES = pl.Schema({"number": pl.UInt32, "name": pl.String})
_VERDICTS = pl.Schema({"one": pl.String(), "two": pl.String(), "same": pl.Boolean(), **RESULT})
_LIBRARIES = ("numpy", "opencv-python-headless", "pillow")


@dataclass(frozen=True, slots=True, eq=False)  # told apart by identity: fingerprints cannot be hashed
class Sketched:
    """An image that is not here, but what was kept of it is: its digests, its fingerprint and its sketch, if any."""

    sha256: str
    pixel_sha256: str
    print: Fingerprint
    sketch: Sketch | None

    @property
    def name(self) -> str:
        """Tell it from the image itself, to which a comparison is closer."""
        return f"sketch:{self.sha256}"


Side: TypeAlias = Held | Sketched


@dataclass(frozen=True, slots=True)
class Task:
    """Pairs to compare, by place in `sides`; the result goes to `out`."""

    pairs: tuple[tuple[int, int, bool], ...]
    sides: tuple[Side, ...]
    max_pixels: int
    out: Path


def confirmed(pairs: pl.DataFrame, sides: dict[int, Side], max_pixels: int, folder: Path, workers: int) -> pl.DataFrame:
    """Compare proposed pairs of images and give those that are copies, as `COPIES`, sorted.

    Args:
        pairs: as `PROPOSED`; at most `other` is sketched.
        sides: the images by number.
        max_pixels: budget of `images.decode_rgb`.
        folder: where verdicts are kept from run to run.
        workers: processes; the result does not depend on them.

    Raises:
        WorkError: an image is not what it was when its fingerprint was taken.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = _known(folder)
    names = pl.DataFrame({"number": list(sides), "name": [_name(side) for side in sides.values()]}, _NAMES)
    asked = pairs.join(names.rename({"number": "image", "name": "one"}), on="image", maintain_order="left")
    asked = asked.join(names.rename({"number": "other", "name": "two"}), on="other", maintain_order="left")
    todo = asked.join(known, on=["one", "two"], how="anti", maintain_order="left").sort("image", "other")
    tasks = list(_tasks(todo.select(list(PROPOSED)).rows(), sides, max_pixels, folder))
    for _ in track(engine.run(compare, tasks, workers), len(tasks), "comparing images"):
        pass
    known = _known(folder)
    _keep(known, folder)
    found = asked.join(known.filter("same"), on=["one", "two"], maintain_order="left")
    return found.sort("image", "other").select(list(COPIES)).cast(COPIES)


def _name(side: Side) -> str:
    return side.sha256 if isinstance(side, Held) else side.name


def _tasks(
    pairs: Sequence[tuple[int, int, bool]], sides: dict[int, Side], max_pixels: int, folder: Path
) -> Iterator[Task]:
    for start in range(0, len(pairs), PART):
        part = pairs[start : start + PART]
        numbers = sorted({number for one, two, _ in part for number in (one, two)})
        place = {number: place for place, number in enumerate(numbers)}
        digest = hashlib.sha256(json.dumps([[_name(sides[one]), _name(sides[two])] for one, two, _ in part]).encode())
        yield Task(
            tuple((place[one], place[two], alike) for one, two, alike in part),
            tuple(sides[number] for number in numbers),
            max_pixels,
            folder / f"{code_version()}-{digest.hexdigest()[:20]}.parquet",
        )


@cache
def code_version() -> str:
    """Name what a verdict hangs on beside the images: this code and the libraries that it calculates with."""
    libraries = json.dumps({name: version(name) for name in _LIBRARIES})
    return hashlib.sha256(f"{libraries} {code_digest(*CODE)}".encode()).hexdigest()[:12]


def _known(folder: Path) -> pl.DataFrame:
    """Read the verdicts that earlier runs of this version left."""
    files = sorted(folder.glob(f"{code_version()}-*.parquet"))
    return pl.concat([pl.DataFrame(schema=_VERDICTS), *map(pl.read_parquet, files)]).unique(["one", "two"], keep="any")


def _keep(known: pl.DataFrame, folder: Path) -> None:
    """Put all verdicts into one file, and take away those of other versions."""
    whole = folder / f"{code_version()}-all.parquet"
    others = [path for path in folder.glob("*.parquet") if path != whole]
    if others:
        with replacing(whole) as temporary:
            known.sort("one", "two").write_parquet(temporary, compression="zstd")
    for path in (*others, *temporary_files(folder)):
        path.unlink()


def compare(task: Task) -> Path:
    """Compare the pairs of one task, unless that is done, and give the file with the verdicts."""
    if task.out.exists():
        return task.out
    with ExitStack() as stack:
        stores: dict[Path, ImageStore] = {}

        @lru_cache(maxsize=PART)
        def read(side: Held) -> bytes:
            store = stores.get(side.folder) or stores.setdefault(
                side.folder, stack.enter_context(ImageStore(side.folder))
            )
            data = store.read(side.ref)
            if hashlib.sha256(data).hexdigest() != side.sha256:
                path = side.folder / side.ref.path
                raise WorkError(f"{path}: the image changed while it was in use; run the same command again")
            return data

        @lru_cache(maxsize=PART)
        def prepared(side: Side, for_sketch: bool) -> confirm.Prepared | None:
            if isinstance(side, Sketched):
                return confirm.prepare_sketch(side.sketch) if side.sketch else None
            picture = images.decode_reduced(read(side), task.max_pixels)
            return confirm.prepare(picture, for_sketch)

        @lru_cache(maxsize=PART)
        def digest(side: Side) -> str:
            return side.pixel_sha256 if isinstance(side, Sketched) else images.pixel_digest(read(side), task.max_pixels)

        rows: list[dict[str, Any]] = []
        for one, two, alike in ((task.sides[one], task.sides[two], alike) for one, two, alike in task.pairs):
            sketched = isinstance(two, Sketched)
            match = confirm.compare(prepared(one, sketched), prepared(two, sketched))
            exact = alike and digest(one) == digest(two)
            rows.append(
                {
                    "one": _name(one),
                    "two": _name(two),
                    "same": match.same or exact,
                    "exact": exact,
                    "likeness": 1.0 if exact else match.likeness,
                    "flipped": match.flipped and not exact,
                    "turn": 0 if exact else match.turn,
                    "zoom": 1.0 if exact else match.zoom,
                }
            )
    with replacing(task.out) as temporary:
        pl.DataFrame(rows, _VERDICTS).write_parquet(temporary)
    return task.out
