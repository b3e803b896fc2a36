"""The images of a set, decoded once: a memory-mapped cache at the working size, named by the digest of its content.

An image keeps its aspect ratio, as in training (`train.collate.to_tensor`): it is fitted into the square, and where
it ends is kept, so that whoever normalises it can fill the rest with the mean colour of the encoder.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from medmix.curate.engine import run
from medmix.curate.errors import InputError, RowError, UsageError
from medmix.curate.measure.images import canonical
from medmix.curate.progress import track
from medmix.curate.shards import replacing, write_text

from .samples import Element, Sample, Source, some

VERSION = "1"
"""Of the form of the cache and of what is done to pixels; another one decodes again."""

CHUNK = 64
"""Images that a worker decodes at a time."""

Bytes: TypeAlias = npt.NDArray[np.uint8]
Boxes: TypeAlias = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Pictures:
    """The decoded images of a set, in the order of its samples.

    Attributes:
        digest: of the original bytes of all images, in order; the same at every size.
        pixels: uint8 [N, S, S, C], memory-mapped; C is 1 where every image of the set is grey, else 3.
        boxes: where each image lies in its square, int16 [N, 4]: top, left, bottom, right.
        contents: SHA-256 of each image's own pixels before they were resized, equal for exact copies.
        originals: SHA-256 of each image's file; of its npz, with array and row.
    """

    digest: str
    pixels: Bytes
    boxes: Boxes
    contents: tuple[str, ...]
    originals: tuple[str, ...]

    @property
    def size(self) -> int:
        """The side of the square, S."""
        return int(self.pixels.shape[1])


def load(samples: Sequence[Sample], size: int, cache: Path, max_pixels: int, workers: int = 1) -> Pictures:
    """Give the decoded images of a set, from the cache where it has them.

    Args:
        samples: of the set.
        size: side of the square that images are fitted into.
        cache: folder of this set's caches.
        max_pixels: an image whose header claims more is refused.
        workers: processes that decode.

    Raises:
        UsageError: images cannot be decoded; the first ten are named.
    """
    digests = file_digests([sample.image for sample in samples], cache)
    digest = hashlib.sha256("\n".join([VERSION, *digests]).encode()).hexdigest()
    array, about = (cache / f"pixels-{digest[:16]}-{size}{suffix}" for suffix in (".npy", ".json"))
    if not (array.is_file() and about.is_file()):
        _decode(samples, size, array, about, max_pixels, workers)
    known = json.loads(about.read_bytes())
    pixels = np.load(array, mmap_mode="r")
    boxes = np.array(known["boxes"], np.int16).reshape(-1, 4)
    return Pictures(digest, pixels, boxes, tuple(known["contents"]), tuple(digests))


def contents(samples: Sequence[Sample]) -> list[Path | Bytes]:
    """Give where each image is, or its array where it is inside an npz, so that no worker unpacks that for each one."""
    arrays: dict[tuple[Path, str], Bytes] = {}

    def content(source: Source) -> Path | Bytes:
        if isinstance(source, Path):
            return source
        name = source.file, source.array
        if name not in arrays:
            with np.load(source.file, allow_pickle=False) as file:
                arrays[name] = file[source.array]
        image: Bytes = arrays[name][source.row]
        return image

    return [content(sample.image) for sample in samples]


def file_digests(sources: Sequence[Source], cache: Path) -> list[str]:
    """Give a SHA-256 for each image: of its file, with the array and row inside an npz.

    A file that has not changed its size and time since the last call is not read again.
    """
    memo_path = cache / "digests.json"
    memo: dict[str, list[Any]] = json.loads(memo_path.read_bytes()) if memo_path.is_file() else {}
    fresh: dict[str, list[Any]] = {}
    found = []
    for source in sources:
        path = source.file if isinstance(source, Element) else source
        name = str(path.absolute())
        if name not in fresh:
            stat = path.stat()
            known = memo.get(name, [])
            same = known[:2] == [stat.st_size, stat.st_mtime_ns]
            digest = known[2] if same else _sha256(path)
            fresh[name] = [stat.st_size, stat.st_mtime_ns, digest]
        inner = f"/{source.array}/{source.row}" if isinstance(source, Element) else ""
        found.append(fresh[name][2] + inner)
    if fresh != {name: memo.get(name) for name in fresh}:
        write_text(memo_path, json.dumps(memo | fresh))
    return found


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class _Task:
    """Images for one worker."""

    keys: tuple[str, ...]
    images: tuple[Path | Bytes, ...]
    size: int
    max_pixels: int


@dataclass(frozen=True, slots=True)
class _Decoded:
    pixels: Bytes
    boxes: list[tuple[int, int, int, int]]
    contents: list[str]
    problems: list[str]


def _decode(samples: Sequence[Sample], size: int, array: Path, about: Path, max_pixels: int, workers: int) -> None:
    array.parent.mkdir(parents=True, exist_ok=True)
    tasks = _tasks(samples, size, max_pixels)
    boxes: list[tuple[int, int, int, int]] = []
    contents: list[str] = []
    problems: list[str] = []
    with TemporaryDirectory(prefix=".decode-", dir=array.parent) as folder:
        wide = new_array(Path(folder, "wide.npy"), np.uint8, (len(samples), size, size, 3))
        at, grey = 0, True
        for part in track(run(_decode_some, tasks, workers), len(tasks), f"decode {array.parent.name}"):
            wide[at : at + len(part.pixels)] = part.pixels
            at += len(part.pixels)
            grey = grey and bool((part.pixels == part.pixels[..., :1]).all())
            boxes += part.boxes
            contents += part.contents
            problems += part.problems
        if problems:
            count = f"{len(problems)} of {len(samples)} images"
            raise UsageError(
                f"{count} cannot be decoded: {some(problems)}; get them again, or take them out of the set"
            )
        with replacing(array) as whole:
            _copy(wide[..., :1] if grey else wide, whole)
        write_text(about, json.dumps({"boxes": boxes, "contents": contents}))


def new_array(path: Path, kind: npt.DTypeLike, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Make an npy file of zeros, mapped into memory to be filled.

    Its room is claimed at once: a full disk is an error here, and not the end of the process at the first page that
    has no place.

    Raises:
        OSError: the disk has no room for it.
    """
    array: npt.NDArray[Any] = np.lib.format.open_memmap(path, "w+", kind, shape)
    if hasattr(os, "posix_fallocate"):  # not on macOS
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def _copy(pixels: Bytes, path: Path) -> None:
    out = new_array(path, np.uint8, pixels.shape)
    for start in range(0, len(pixels), CHUNK):
        out[start : start + CHUNK] = pixels[start : start + CHUNK]


def _tasks(samples: Sequence[Sample], size: int, max_pixels: int) -> list[_Task]:
    images = contents(samples)
    return [
        _Task(
            tuple(sample.key for sample in samples[start : start + CHUNK]),
            tuple(images[start : start + CHUNK]),
            size,
            max_pixels,
        )
        for start in range(0, len(samples), CHUNK)
    ]


def _decode_some(task: _Task) -> _Decoded:
    pixels = np.zeros((len(task.images), task.size, task.size, 3), np.uint8)
    done = _Decoded(pixels, [], [], [])
    for place, (key, source) in enumerate(zip(task.keys, task.images, strict=True)):
        try:
            image = _opened(source, task.max_pixels)
        except (RowError, OSError, InputError) as error:
            done.problems.append(f"{key} ({error})")
            done.boxes.append((0, 0, 0, 0))
            done.contents.append("")
            continue
        done.contents.append(hashlib.sha256(f"{image.size}".encode() + image.tobytes()).hexdigest())
        fitted = ImageOps.contain(image, (task.size, task.size), Image.Resampling.BICUBIC)
        top, left = (task.size - fitted.height) // 2, (task.size - fitted.width) // 2
        pixels[place, top : top + fitted.height, left : left + fitted.width] = np.asarray(fitted)
        done.boxes.append((top, left, top + fitted.height, left + fitted.width))
    return done


def _opened(source: Path | Bytes, max_pixels: int) -> Image.Image:
    if isinstance(source, Path):
        return canonical(source.read_bytes(), max_pixels)
    return Image.fromarray(source).convert("RGB")
