"""The images of the questions by the digest of their pixels; each is decoded once before work starts."""

import hashlib
import shutil
from functools import lru_cache
from pathlib import Path
from typing import cast

from PIL import Image
from torch import Tensor

from medmix.curate.errors import RowError, WorkError
from medmix.curate.measure.images import decode_rgb, pixel_digest
from medmix.curate.read.image_store import ImageStore
from medmix.curate.record import ImageRef
from medmix.curate.shards import replacing
from medmix.train.data.collate import to_tensor
from medmix.train.recipe import ImageText, Vision

CACHED = 128
"""Decoded images kept in memory."""


class QuestionImages:
    """Images with random access.

    Files and members of archives are read in place. Bytes from tables are copied to `folder`, because tables are read
    in row order only; `close` removes them.

    Attributes:
        folder: of the copied bytes.
        vision: how pixels are preprocessed; a transformers model takes images from `image` instead of `tensor`.
    """

    def __init__(self, folder: Path, vision: Vision | ImageText) -> None:
        self.folder, self.vision = folder, vision
        self._locations: dict[str, tuple[Path, ImageRef]] = {}
        self._keys: dict[tuple[Path, ImageRef], str] = {}
        self._sha256: dict[tuple[Path, ImageRef], str] = {}
        self._stores: dict[Path, ImageStore] = {}
        self._tensor = lru_cache(CACHED)(self._decode)

    def add(self, root: Path, ref: ImageRef) -> str:
        """Add an image of an upstream folder and return its key, 64 hex digits.

        Raises:
            RowError: it is missing, or cannot be decoded.
        """
        if (root, ref) not in self._keys:
            data = self._store(root).read(ref)
            key = self.add_bytes(data) if ref.row is not None else pixel_digest(data, self.vision.max_pixels)
            self._keys[root, ref] = key
            self._sha256[root, ref] = hashlib.sha256(data).hexdigest()
            if ref.row is None:
                self._locations.setdefault(key, (root, ref))
        return self._keys[root, ref]

    def file_sha256(self, root: Path, ref: ImageRef) -> str:
        """Return the SHA-256 of the file of an image that was added, 64 hex digits."""
        return self._sha256[root, ref]

    def add_bytes(self, data: bytes) -> str:
        """Add an image by its bytes and return its key, 64 hex digits.

        Raises:
            RowError: it cannot be decoded.
        """
        key = pixel_digest(data, self.vision.max_pixels)
        if not (self.folder / key).exists():
            with replacing(self.folder / key) as temporary:
                temporary.write_bytes(data)
        self._locations.setdefault(key, (self.folder, ImageRef(key)))
        return key

    def tensor(self, key: str) -> Tensor:
        """Return the pixels of an image as model input, [3, S, S] float32.

        Raises:
            WorkError: it can no longer be read.
        """
        return self._tensor(key)

    def image(self, key: str) -> Image.Image:
        """Return an image as RGB.

        Raises:
            WorkError: it can no longer be read.
        """
        root, ref = self._locations[key]
        try:
            return decode_rgb(self._store(root).read(ref), self.vision.max_pixels)
        except RowError as error:
            raise WorkError(f"{root / str(ref)}: the image disappeared during the run ({error}); restore it") from error

    def close(self) -> None:
        """Remove the copied bytes, and close open files."""
        for store in self._stores.values():
            store.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _decode(self, key: str) -> Tensor:
        return to_tensor(self.image(key), cast(Vision, self.vision))

    def _store(self, root: Path) -> ImageStore:
        return self._stores.setdefault(root, ImageStore(root))
