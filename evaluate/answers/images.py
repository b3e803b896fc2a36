"""The images of the questions, by the digest of their pixels: each is decoded once before work starts."""

import hashlib
import shutil
from functools import lru_cache
from pathlib import Path

from torch import Tensor

from medmix.curate.errors import RowError, WorkError
from medmix.curate.measure.images import canonical
from medmix.curate.read.originals import ImageStore
from medmix.curate.record import ImageRef
from medmix.curate.shards import replacing
from medmix.train.data.collate import to_tensor
from medmix.train.recipe import Vision

CACHED = 128
"""Decoded images that lie in memory."""


class Pictures:
    """Images that can be asked for in any order.

    Files and members of archives are read where they lie. Bytes that come out of tables are kept in `folder`, because
    a table gives up its rows only in order; `close` removes them.

    Attributes:
        folder: where bytes are kept.
        vision: how pixels are prepared.
    """

    def __init__(self, folder: Path, vision: Vision) -> None:
        self.folder, self.vision = folder, vision
        self._places: dict[str, tuple[Path, ImageRef]] = {}
        self._known: dict[tuple[Path, ImageRef], str] = {}
        self._stores: dict[Path, ImageStore] = {}
        self._tensor = lru_cache(CACHED)(self._decode)

    def add(self, root: Path, ref: ImageRef) -> str:
        """Take an image of an upstream folder and give its key, 64 hex digits.

        Raises:
            RowError: it is not there, or cannot be decoded.
        """
        if (root, ref) not in self._known:
            data = self._store(root).read(ref)
            key = self.add_bytes(data) if ref.row is not None else _digest(data, self.vision.max_pixels)
            self._known[root, ref] = key
            if ref.row is None:
                self._places.setdefault(key, (root, ref))
        return self._known[root, ref]

    def add_bytes(self, data: bytes) -> str:
        """Take an image by its bytes and give its key, 64 hex digits.

        Raises:
            RowError: it cannot be decoded.
        """
        key = _digest(data, self.vision.max_pixels)
        if not (self.folder / key).exists():
            with replacing(self.folder / key) as temporary:
                temporary.write_bytes(data)
        self._places.setdefault(key, (self.folder, ImageRef(key)))
        return key

    def tensor(self, key: str) -> Tensor:
        """Give the pixels of an image as the model takes them, [3, S, S] float32.

        Raises:
            WorkError: it is no longer what it was when it was taken.
        """
        return self._tensor(key)

    def close(self) -> None:
        """Remove the bytes that were kept, and close what is open."""
        for store in self._stores.values():
            store.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _decode(self, key: str) -> Tensor:
        root, ref = self._places[key]
        try:
            return to_tensor(canonical(self._store(root).read(ref), self.vision.max_pixels), self.vision)
        except RowError as error:
            raise WorkError(f"{root / str(ref)}: the image went while the work ran ({error}); bring it back") from error

    def _store(self, root: Path) -> ImageStore:
        return self._stores.setdefault(root, ImageStore(root))


def _digest(data: bytes, max_pixels: int) -> str:
    image = canonical(data, max_pixels)
    pixels = hashlib.sha256(f"{image.width}x{image.height}\n".encode())
    pixels.update(image.tobytes())
    return pixels.hexdigest()
