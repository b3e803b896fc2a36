"""A mix on the Hub as a folder here that fills as it is read: its manifest at once, a shard when it is first asked for.

To count its rows only the end of a shard is read. What has come stays, in the Hub's cache folder, so that another
process, a second epoch and a later run find it there; each shard is held against the digest in the manifest.
"""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from .. import locks
from ..errors import UsageError, WorkError
from ..fetch import hub
from ..progress import say
from ..shards import replacing, write_text
from ..write import manifest

RECORD = ".hub.json"
"""Lies in the folder of a mix on the Hub and says which one it is."""

WORK = ".fetching"
TAIL = 1 << 16
"""So many bytes at the end of a shard are asked for first; nearly every footer fits."""

AT_A_TIME = 8
"""So many footers are asked for at the same time."""


@dataclass(frozen=True, slots=True)
class HubMix:
    """A mix on the Hub: its dataset, the commit, and by name the shards that lie there, with the manifest's SHA-256."""

    dataset: str
    commit: str
    shards: dict[str, tuple[hub.Remote, str]]


def parse_id(text: str) -> tuple[str, str] | None:
    """Take `OWNER/NAME` or `OWNER/NAME@REVISION` apart, the revision `main` if there is none; None for other texts."""
    match = re.fullmatch(r"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@([\w./-]+))?", text)
    return (match[1], match[2] or "main") if match else None


def open_mix(dataset: str, revision: str = "main") -> Path:
    """Give the folder of a mix on the Hub, with its manifest and the footers of its shards.

    Raises:
        UsageError: the dataset is no mix.
        WorkError: it cannot be had; says why.
    """
    known = re.fullmatch(r"[0-9a-f]{40}", revision)
    commit = revision if known else hub.current_commit(dataset, revision)
    folder = hub.cache_folder() / "mixes" / dataset.replace("/", "--") / commit
    with _alone(folder, "mix"):
        if not (folder / RECORD).exists():
            _begin(folder, dataset, commit)
    return folder


def shards_here(mix: Path) -> frozenset[str] | None:
    """Give the names of the shards of a mix that lie on the Hub; None if the mix is not from there."""
    return frozenset(_record(mix).shards) if (mix / RECORD).exists() else None


def footer(mix: Path, shard: str) -> pq.FileMetaData:
    """Read the metadata of a shard, which lies here or on the Hub.

    Raises:
        OSError, pa.ArrowException: it cannot be read.
        WorkError: it cannot be had.
    """
    path = mix / shard
    if path.exists() or not (mix / RECORD).exists():
        return pq.read_metadata(path)
    return pq.read_metadata(_footer_file(mix, shard))


def bring(mix: Path, shard: str) -> Path:
    """Give the path of a shard, which is downloaded if it lies on the Hub and not here.

    Raises:
        WorkError: it cannot be had, or is not the one that the manifest names.
    """
    path = mix / shard
    if path.exists() or not (mix / RECORD).exists():
        return path
    record = _record(mix)
    remote, sha256 = record.shards[shard]
    with _alone(mix, shard.replace("/", "--")) as work:
        if path.exists():  # another process has brought it meanwhile
            return path
        there = work / "arrived" / shard
        found = hub.download(record.dataset, record.commit, remote, there, work, shard)
        if found.sha256 != sha256:
            there.unlink()
            raise WorkError(
                f"{record.dataset}: {shard} is not the one that its manifest names (another digest); tell its publisher"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        there.replace(path)
    return path


def _begin(folder: Path, dataset: str, commit: str) -> None:
    listed = {remote.path: remote for remote in hub.listing(dataset, commit, ["*"])}
    if manifest.NAME not in listed:
        raise UsageError(f"{dataset} on the Hub is no mix (no {manifest.NAME} at {commit}); give another --mixture")
    hub.download(dataset, commit, listed[manifest.NAME], folder / manifest.NAME, folder / WORK, manifest.NAME)
    document = manifest.read(folder)
    names = manifest.shards_of(document)
    shards = {name: (listed[name], document["files"][name]["sha256"]) for name in names if name in listed}
    missing = sorted({name.split("/")[1] for name in names if name not in listed})
    if missing:
        say(f"{dataset}: not on the Hub and left out: records of {', '.join(missing)}")
    record = HubMix(dataset, commit, shards)
    say(f"{dataset} at {commit}: {len(shards)} shards, {sum(remote.bytes for remote, _ in shards.values()):,} bytes")
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for name, data in pool.map(lambda item: (item[0], _tail(record, item[1][0])), shards.items()):
            with replacing(_footer_file(folder, name)) as temporary:
                temporary.write_bytes(data)
    plain = {name: [asdict(remote), sha256] for name, (remote, sha256) in shards.items()}
    write_text(folder / RECORD, json.dumps({"dataset": dataset, "commit": commit, "shards": plain}) + "\n")


def _tail(record: HubMix, remote: hub.Remote) -> bytes:
    """Give a shard's footer as a parquet file without rows: magic number, metadata, their length, magic number."""
    data = hub.end(record.dataset, record.commit, remote, TAIL)
    whole = int.from_bytes(data[-8:-4], "little") + 8
    if whole > len(data):
        data = hub.end(record.dataset, record.commit, remote, whole)
    made = b"PAR1" + data[-whole:]
    try:
        pq.read_metadata(pa.BufferReader(made))
    except (OSError, pa.ArrowException) as error:
        raise WorkError(f"{record.dataset}: {remote.path} is no parquet file ({error}); ask who published it") from None
    return made


def _footer_file(mix: Path, shard: str) -> Path:
    return mix / ".footers" / shard


@cache
def _record(mix: Path) -> HubMix:
    document: dict[str, Any] = json.loads((mix / RECORD).read_text(encoding="utf-8"))
    shards = {name: (hub.Remote(**remote), sha256) for name, (remote, sha256) in document["shards"].items()}
    return HubMix(document["dataset"], document["commit"], shards)


@contextmanager
def _alone(mix: Path, what: str) -> Iterator[Path]:
    """Give the folder to work in; of several processes that want the same, one works and the others wait."""
    work = mix / WORK
    with locks.acquire(work / f"{what}.lock"):
        yield work
