"""Finished shards: what earlier builds wrote into a work folder, known by all that a shard is made of.

They are hard links to the shards of the mix, so they take no room. A shard of a later build that is made of the same
things is linked instead of written, once its bytes have the digest that it was kept with.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pyarrow as pa

from .. import record
from ..code_digest import code_digest
from ..facts import Facts
from ..licences import terms
from ..shards import file_sha256
from . import record_facts

FOLDER = "shards"
"""The folder of finished shards in a work folder."""

CODE = (
    *("write/materialise.py", "write/chat.py", "write/features.py", "write/image_encoding.py", "write/bare_images.py"),
    *("licences", "facts.py", "record.py", "shards.py", "measure/images.py", "measure/report_sections.py", "read"),
)
"""The code that the bytes of a shard depend on, beside the rows of its scans."""

LIBRARIES = ("pyarrow", "datasets", "pillow", "numpy", "polars")


class Known(NamedTuple):
    """The digest of a shard and the path of its table of `record_facts`; None if the shard is another than expected."""

    sha256: str
    facts: Path | None


def key(
    rows: pl.DataFrame, scans: Sequence[tuple[str, str]], facts: Facts, layout: str, section: record.Section | None
) -> str:
    """Digest all that a shard is made of, 64 hex digits.

    Args:
        rows: the columns `materialise.DECIDED` of its records, in order; `scan` is a place in `scans`.
        scans: name and digest of each scan of the build.
        facts: of the source.
        layout: in which it was read.
        section: the section of reports that is written, if not the whole.
    """
    used = rows["scan"].unique(maintain_order=True)
    about = {
        "code": code_digest(*CODE),
        "libraries": {name: version(name) for name in LIBRARIES},
        "facts": asdict(facts),
        "licences": terms.table_digest(),
        "layout": layout,
        "section": section,
        "scans": [scans[number] for number in used],
    }
    digest = hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode())
    # the number of a scan changes with the sources of the mix: the place among those of the shard does not
    numbered = rows.with_columns(scan=pl.col("scan").replace_strict(used, range(len(used)), return_dtype=pl.UInt32))
    digest.update(numbered.write_ndjson().encode())
    return digest.hexdigest()


def keep(work: Path, key: str, shard: Path, sha256: str) -> None:
    """Keep a shard for later builds, where the file system has hard links."""
    folder = work / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):
        os.link(shard, folder / _name(key, sha256))


def take(work: Path, key: str, shard: Path) -> Known | None:
    """Link a finished shard to `shard`; None where there is none, or what there is was changed."""
    for found in (work / FOLDER).glob(_name(key, "*")):
        expected = found.stem.partition("-")[2]
        known = None
        with suppress(OSError, pa.ArrowException):
            known = know(work, found, expected)
        if known is None or known.sha256 != expected:  # somebody wrote into the file of the mix
            found.unlink(missing_ok=True)
            continue
        shard.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.link(found, shard)
        return known
    return None


def know(work: Path, shard: Path, expected: str = "") -> Known:
    """Give digest and facts of a shard, from one pass over its bytes; the facts may be there if it is as `expected`.

    Raises:
        pa.ArrowException, OSError: the shard cannot be read.
    """
    folder = work / record_facts.FOLDER
    if expected and (facts := record_facts.find(folder, expected)) is not None:
        sha256 = file_sha256(shard)
        return Known(sha256, facts if sha256 == expected else None)
    table, sha256 = record_facts.measure_file(shard)
    is_other = expected not in ("", sha256)
    return Known(sha256, None if is_other else record_facts.keep(folder, sha256, table))


def discard_others(work: Path, kept: Sequence[tuple[str, str]]) -> None:
    """Remove what is not of the mix, whose shards have these keys and digests."""
    folder = work / FOLDER
    names = {_name(*one) for one in kept}
    for path in folder.glob("*.parquet"):
        if path.name not in names:
            path.unlink()


def _name(key: str, sha256: str) -> str:
    return f"{key[:40]}-{sha256}.parquet"
