"""The decoded images of a dataset in a memory-mapped cache at the working size, named by a digest of its content.

An image keeps its aspect ratio, as in training (`train.data.collate.to_tensor`): it is fitted into the square. Its box
is kept, so that normalisation can fill the rest with the mean colour of the encoder.
"""

import hashlib
import json
import os
import time
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
from medmix.curate.file_state import file_state
from medmix.curate.measure.images import decode_rgb
from medmix.curate.progress import track
from medmix.curate.shards import file_sha256, replacing, write_text

from .samples import Element, Sample, Source, first_ten

VERSION = "1"
"""Of the cache format and the preprocessing; another version decodes again."""

IMAGES_PER_TASK = 64
"""Images per task of a worker."""

Bytes: TypeAlias = npt.NDArray[np.uint8]
Boxes: TypeAlias = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class ImageCache:
    """The decoded images of a dataset, in the order of its samples.

    Attributes:
        digest: of the original bytes of all images, in order; the same at every size.
        pixels: uint8 [N, S, S, C], memory-mapped; C is 1 if every image is grey, else 3.
        boxes: of each image in its square, int16 [N, 4]: top, left, bottom, right.
        pixel_digests: SHA-256 of each image's pixels before resizing, equal for exact copies.
        file_digests: SHA-256 of each image's file; in an npz, with array and row.
    """

    digest: str
    pixels: Bytes
    boxes: Boxes
    pixel_digests: tuple[str, ...]
    file_digests: tuple[str, ...]

    @property
    def size(self) -> int:
        """The side of the square, S."""
        return int(self.pixels.shape[1])


def load(samples: Sequence[Sample], size: int, cache: Path, max_pixels: int, workers: int = 1) -> ImageCache:
    """Return the decoded images of a dataset, from the cache if it has them.

    Args:
        samples: of the dataset.
        size: side of the square that images are fitted into.
        cache: folder of this dataset's caches.
        max_pixels: images whose header claims more are rejected.
        workers: processes that decode.

    Raises:
        UsageError: images cannot be decoded; lists the first ten.
    """
    digests = file_digests([sample.image for sample in samples], cache)
    digest = hashlib.sha256("\n".join([VERSION, *digests]).encode()).hexdigest()
    array, about = (cache / f"pixels-{digest[:16]}-{size}{suffix}" for suffix in (".npy", ".json"))
    if not (array.is_file() and about.is_file()):
        _decode(samples, size, array, about, max_pixels, workers)
    known = json.loads(about.read_bytes())
    pixels = np.load(array, mmap_mode="r")
    boxes = np.array(known["boxes"], np.int16).reshape(-1, 4)
    return ImageCache(digest, pixels, boxes, tuple(known["contents"]), tuple(digests))


def image_sources(samples: Sequence[Sample]) -> list[Path | Bytes]:
    """Return each image's path, or its array if it is in an npz, so that workers need not unpack the file."""
    arrays: dict[tuple[Path, str], Bytes] = {}

    def source_of(source: Source) -> Path | Bytes:
        if isinstance(source, Path):
            return source
        name = source.file, source.array
        if name not in arrays:
            with np.load(source.file, allow_pickle=False) as file:
                arrays[name] = file[source.array]
        image: Bytes = arrays[name][source.row]
        return image

    return [source_of(sample.image) for sample in samples]


def file_digests(sources: Sequence[Source], cache: Path) -> list[str]:
    """Return a SHA-256 for each image: of its file, in an npz with array and row.

    A file with unchanged size and times is not read again, unless it was read so soon after it was written that they
    cannot tell.
    """
    memo_path = cache / "digests.json"
    memo: dict[str, list[Any]] = json.loads(memo_path.read_bytes()) if memo_path.is_file() else {}
    fresh: dict[str, list[Any]] = {}
    found = []
    for source in sources:
        path = source.file if isinstance(source, Element) else source
        name = str(path.absolute())
        if name not in fresh:
            now_ns, state = time.time_ns(), file_state(path)
            *known, read_ns, digest = memo.get(name, [0, ""])
            if known != list(state) or not state.is_settled(read_ns):
                read_ns, digest = now_ns, file_sha256(path)
            fresh[name] = [*state, read_ns, digest]
        inner = f"/{source.array}/{source.row}" if isinstance(source, Element) else ""
        found.append(fresh[name][-1] + inner)
    if fresh != {name: memo.get(name) for name in fresh}:
        write_text(memo_path, json.dumps(memo | fresh))
    return found


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
        rgb = create_memmap(Path(folder, "rgb.npy"), np.uint8, (len(samples), size, size, 3))
        at, grey = 0, True
        for part in track(run(_decode_task, tasks, workers), len(tasks), f"decode {array.parent.name}"):
            rgb[at : at + len(part.pixels)] = part.pixels
            at += len(part.pixels)
            grey = grey and bool((part.pixels == part.pixels[..., :1]).all())
            boxes += part.boxes
            contents += part.contents
            problems += part.problems
        if problems:
            count = f"{len(problems)} of {len(samples)} images"
            raise UsageError(f"{count} cannot be decoded: {first_ten(problems)}; download them again, or remove them")
        with replacing(array) as whole:
            _copy(rgb[..., :1] if grey else rgb, whole)
        write_text(about, json.dumps({"boxes": boxes, "contents": contents}))


def create_memmap(path: Path, kind: npt.DTypeLike, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Create a memory-mapped npy file of zeros.

    The disk space is allocated at once: a full disk raises here, and does not kill the process at a later page.

    Raises:
        OSError: the disk is full.
    """
    array: npt.NDArray[Any] = np.lib.format.open_memmap(path, "w+", kind, shape)
    if hasattr(os, "posix_fallocate"):  # not on macOS
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def _copy(pixels: Bytes, path: Path) -> None:
    out = create_memmap(path, np.uint8, pixels.shape)
    for start in range(0, len(pixels), IMAGES_PER_TASK):
        out[start : start + IMAGES_PER_TASK] = pixels[start : start + IMAGES_PER_TASK]


def _tasks(samples: Sequence[Sample], size: int, max_pixels: int) -> list[_Task]:
    images = image_sources(samples)
    return [
        _Task(
            tuple(sample.key for sample in samples[start : start + IMAGES_PER_TASK]),
            tuple(images[start : start + IMAGES_PER_TASK]),
            size,
            max_pixels,
        )
        for start in range(0, len(samples), IMAGES_PER_TASK)
    ]


def _decode_task(task: _Task) -> _Decoded:
    pixels = np.zeros((len(task.images), task.size, task.size, 3), np.uint8)
    done = _Decoded(pixels, [], [], [])
    for index, (key, source) in enumerate(zip(task.keys, task.images, strict=True)):
        try:
            image = _open_image(source, task.max_pixels)
        except (RowError, OSError, InputError) as error:
            done.problems.append(f"{key} ({error})")
            done.boxes.append((0, 0, 0, 0))
            done.contents.append("")
            continue
        done.contents.append(hashlib.sha256(f"{image.size}".encode() + image.tobytes()).hexdigest())
        fitted = ImageOps.contain(image, (task.size, task.size), Image.Resampling.BICUBIC)
        top, left = (task.size - fitted.height) // 2, (task.size - fitted.width) // 2
        pixels[index, top : top + fitted.height, left : left + fitted.width] = np.asarray(fitted)
        done.boxes.append((top, left, top + fitted.height, left + fitted.width))
    return done


def _open_image(source: Path | Bytes, max_pixels: int) -> Image.Image:
    if isinstance(source, Path):
        return decode_rgb(source.read_bytes(), max_pixels)
    return Image.fromarray(source).convert("RGB")
