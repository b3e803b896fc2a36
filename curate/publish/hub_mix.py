"""A local folder for a mix on the Hub: its manifest is downloaded first, each shard when it is first read.

Only the footer of a shard is read to count its rows. Downloaded files stay in the Hub's cache folder for other
processes, epochs and runs. Each shard is compared with its digest in the manifest.
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
from ..evaluationsets import item_keys
from ..fetch import hub
from ..progress import say
from ..shards import replacing, write_text
from ..write import manifest

RECORD = ".hub.json"
"""File in the folder that describes the mix on the Hub."""

WORK = ".fetching"
FOOTER_BYTES = 1 << 16
"""Size of the first request for the end of a shard; nearly every footer fits."""

FOOTER_THREADS = 8
"""Number of footers that are downloaded at the same time."""


@dataclass(frozen=True, slots=True)
class HubMix:
    """A mix on the Hub: dataset, commit, and its shards by name with the SHA-256 in the manifest."""

    dataset: str
    commit: str
    shards: dict[str, tuple[hub.Remote, str]]


def parse_id(text: str) -> tuple[str, str] | None:
    """Parse `OWNER/NAME` or `OWNER/NAME@REVISION`, with `main` as the default revision; None for other texts."""
    match = re.fullmatch(r"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@([\w./-]+))?", text)
    return (match[1], match[2] or "main") if match else None


def open_mix(dataset: str, revision: str = "main") -> Path:
    """Give the folder of a mix on the Hub, with its manifest and the footers of its shards.

    Raises:
        UsageError: the dataset is no mix.
        WorkError: the download failed; the message gives the reason.
    """
    known = re.fullmatch(r"[0-9a-f]{40}", revision)
    commit = revision if known else hub.current_commit(dataset, revision)
    folder = hub.cache_folder() / "mixes" / dataset.replace("/", "--") / commit
    with _locked_work_folder(folder, "mix"):
        if not (folder / RECORD).exists():
            _download_metadata(folder, dataset, commit)
    return folder


def hub_shards(mix: Path) -> frozenset[str] | None:
    """Give the names of a mix's shards on the Hub; None for a mix that is not from the Hub."""
    return frozenset(_load_record(mix).shards) if (mix / RECORD).exists() else None


def read_footer(mix: Path, shard: str) -> pq.FileMetaData:
    """Read the metadata of a shard, which is local or on the Hub.

    Raises:
        OSError, pa.ArrowException: it cannot be read.
        WorkError: the download failed.
    """
    path = mix / shard
    if path.exists() or not (mix / RECORD).exists():
        return pq.read_metadata(path)
    return pq.read_metadata(_footer_file(mix, shard))


def download_shard(mix: Path, shard: str) -> Path:
    """Give the path of a shard, which is downloaded if it is on the Hub and not local.

    Raises:
        WorkError: the download failed, or the digest differs from the one in the manifest.
    """
    path = mix / shard
    if path.exists() or not (mix / RECORD).exists():
        return path
    record = _load_record(mix)
    remote, sha256 = record.shards[shard]
    with _locked_work_folder(mix, shard.replace("/", "--")) as work:
        if path.exists():  # another process has downloaded it meanwhile
            return path
        arrived = work / "arrived" / shard
        found = hub.download(record.dataset, record.commit, remote, arrived, work, shard)
        if found.sha256 != sha256:
            arrived.unlink()
            raise WorkError(
                f"{record.dataset}: {shard}: another SHA-256 than in the manifest; report it to the publisher"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        arrived.replace(path)
    return path


def _download_metadata(folder: Path, dataset: str, commit: str) -> None:
    listed = {remote.path: remote for remote in hub.list_matching(dataset, commit, ["*"])}
    if manifest.NAME not in listed:
        raise UsageError(f"{dataset} on the Hub is no mix (no {manifest.NAME} at {commit}); give another --mixture")
    for name in (item_keys.NAME, manifest.NAME):
        if name in listed:
            hub.download(dataset, commit, listed[name], folder / name, folder / WORK, name)
    document = manifest.read(folder)
    names = manifest.shards_of(document)
    shards = {name: (listed[name], document["files"][name]["sha256"]) for name in names if name in listed}
    missing = sorted({name.split("/")[1] for name in names if name not in listed})
    if missing:
        say(f"{dataset}: skipped, since they are not on the Hub: records of {', '.join(missing)}")
    record = HubMix(dataset, commit, shards)
    say(f"{dataset} at {commit}: {len(shards)} shards, {sum(remote.bytes for remote, _ in shards.values()):,} bytes")
    with ThreadPoolExecutor(FOOTER_THREADS) as pool:
        for name, data in pool.map(lambda item: (item[0], _download_footer(record, item[1][0])), shards.items()):
            with replacing(_footer_file(folder, name)) as temporary:
                temporary.write_bytes(data)
    plain = {name: [asdict(remote), sha256] for name, (remote, sha256) in shards.items()}
    write_text(folder / RECORD, json.dumps({"dataset": dataset, "commit": commit, "shards": plain}) + "\n")


def _download_footer(record: HubMix, remote: hub.Remote) -> bytes:
    """Give a shard's footer as a parquet file without rows: magic number, metadata, their length, magic number."""
    data = hub.read_tail(record.dataset, record.commit, remote, FOOTER_BYTES)
    size = int.from_bytes(data[-8:-4], "little") + 8
    if size > len(data):
        data = hub.read_tail(record.dataset, record.commit, remote, size)
    footer = b"PAR1" + data[-size:]
    try:
        pq.read_metadata(pa.BufferReader(footer))
    except (OSError, pa.ArrowException) as error:
        raise WorkError(f"{record.dataset}: {remote.path} is no parquet file ({error}); ask who published it") from None
    return footer


def _footer_file(mix: Path, shard: str) -> Path:
    return mix / ".footers" / shard


@cache
def _load_record(mix: Path) -> HubMix:
    document: dict[str, Any] = json.loads((mix / RECORD).read_text(encoding="utf-8"))
    shards = {name: (hub.Remote(**remote), sha256) for name, (remote, sha256) in document["shards"].items()}
    return HubMix(document["dataset"], document["commit"], shards)


@contextmanager
def _locked_work_folder(mix: Path, what: str) -> Iterator[Path]:
    """Give the work folder; other processes that want the same file wait."""
    work = mix / WORK
    with locks.acquire(work / f"{what}.lock"):
        yield work
