"""The files that a scan took its images from, beside the scan: whether they are still the same.

A scan holds what is in the files and nothing of the machine, so equal files give equal scans.
"""

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from ..errors import RowError
from ..file_state import FileState
from ..read import zip_index
from ..read.image_store import ImageStore, file_stat
from ..record import ImageRef
from ..shards import replacing

SUFFIX = ".files"
SCHEMA = pl.Schema(
    {"path": pl.String, "bytes": pl.Int64, "mtime_ns": pl.Int64, "ctime_ns": pl.Int64, "read_ns": pl.Int64}
)


def path_of(scan: Path) -> Path:
    """Give the path of the list of files of a scan."""
    return scan.with_name(scan.name + SUFFIX)


def write(scan: Path, states: Mapping[str, FileState | None], read_ns: int) -> None:
    """Write the states of files and archives by their path in the source's folder, None where there is none.

    The states were taken before the files were read, from the time `read_ns` on.
    """
    rows = [(path, *(state or (None, None, None)), read_ns) for path, state in states.items()]
    with replacing(path_of(scan)) as temporary:
        pl.DataFrame(rows, SCHEMA, orient="row").write_parquet(temporary)


def are_unchanged(scan: Path, folder: Path, verify: bool, now_ns: int) -> bool:
    """Tell whether the files of a scan still have the same images.

    Their bytes are read again where size and times cannot tell, or all with `verify`.

    Args:
        scan: the scan.
        folder: of the source.
        verify: read the bytes in any case.
        now_ns: the present time.
    """
    if not path_of(scan).is_file():
        return False
    doubtful, states = set(), {}
    for path, size, mtime_ns, ctime_ns, read_ns in pl.read_parquet(path_of(scan)).iter_rows():
        before = None if size is None else FileState(size, mtime_ns, ctime_ns)
        now = states[path] = file_stat(folder, ImageRef(path))
        if (before and before[:2]) != (now and now[:2]):
            return False
        if now is not None and (verify or now != before or not now.is_settled(read_ns)):
            doubtful.add(path)
    if doubtful:
        if not _have_same_images(scan, folder, doubtful):
            return False
        write(scan, states, now_ns)
    return True


def _have_same_images(scan: Path, folder: Path, paths: Collection[str]) -> bool:
    """Compare the bytes of the images in these files with the digests of the scan.

    An image that could not be read then has no digest and counts as changed.
    """
    seen = set()
    with ImageStore(folder, scan.parent.parent / zip_index.FOLDER) as store:
        for batch in pq.ParquetFile(scan).iter_batches(columns=["images", "image_sha256"]):
            for refs, digests in zip(batch["images"].to_pylist(), batch["image_sha256"].to_pylist(), strict=True):
                for place, fields in enumerate(refs):
                    ref = ImageRef(**fields)
                    if ref in seen or ref.path not in paths:
                        continue
                    seen.add(ref)
                    try:
                        data = store.read(ref)
                    except RowError:
                        return False
                    if place >= len(digests) or hashlib.sha256(data).hexdigest() != digests[place]:
                        return False
    return True
