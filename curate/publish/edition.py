"""The edition of a mix that is published: what may be redistributed, with cards that cover just that.

It is a folder of its own beside the mix, complete and verifiable with `medmix check`: the shards are links to those of
the mix, so nothing is encoded or copied. `manifest.json` describes the edition; `full_manifest.json` is the manifest of the
whole mix without its statistics, and by it `medmix rehydrate` proves what it rebuilds.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

import medmix

from .. import facts
from ..code_digest import code_digest
from ..describe import cards, croissant, report, statistics
from ..errors import WorkError
from ..licences import effective
from ..record import VERDICTS
from ..shards import write_text
from ..write import ledger, manifest
from . import pointers, records

WHOLE = "full_manifest.json"
LEDGER = "ledger.parquet"

QUOTED = "statistics"
"""The part of a manifest that quotes answers. Of the whole mix it is not published: the records give it again."""

QUOTING = ("unparsable-row", "licence")
"""Reasons whose evidence may quote upstream's text."""

_COLUMNS = ["source", "split", "task", "language", "group", "license", "license_verdict", "image_sha256"]


@dataclass(frozen=True, slots=True)
class Edition:
    """A published edition as it lies in `folder`; `document` is its manifest."""

    folder: Path
    document: dict[str, Any]

    @property
    def tag(self) -> str:
        """The tag that names it on the Hub."""
        return str(self.document["published"]["tag"])

    def files(self) -> dict[str, Path]:
        """Give all files by their names in the repository, sorted; card and manifest last."""
        names = sorted([*self.document["files"], manifest.NAME], key=lambda name: (is_sign(name), name))
        return {name: self.folder / name for name in names}


def is_sign(name: str) -> bool:
    """Tell whether a file is one by which a mix is known, so that it comes last and goes first."""
    return name in (manifest.NAME, manifest.README)


def prepare(
    mix: Path, whole: Mapping[str, Any], repo: str, changelog: Sequence[Mapping[str, Any]], work: Path
) -> Edition:
    """Prepare the edition of a mix below `work`, or find it there from an earlier run.

    `whole` is the manifest of the mix, `changelog` what the card tells of the changes (`versions.changelog`).

    Raises:
        WorkError: a shard is damaged.
    """
    told = json.dumps([manifest.seal(whole), repo, list(changelog), medmix.__version__, _code_digest()])
    folder = work / f"edition-{hashlib.sha256(told.encode()).hexdigest()[:20]}"
    if not (folder / manifest.NAME).is_file():
        for old in work.glob("edition-*"):
            shutil.rmtree(old)
        try:
            _write(folder, mix, whole, repo, changelog)
        except (pl.exceptions.PolarsError, pa.ArrowException, FileNotFoundError) as error:
            problem = str(error).splitlines()[0]
            raise WorkError(f"{mix}: is damaged ({problem}), so nothing is sent; see: medmix check {mix}") from error
    return Edition(folder, manifest.read(folder))


def _write(
    folder: Path, mix: Path, whole: Mapping[str, Any], repo: str, changelog: Sequence[Mapping[str, Any]]
) -> None:
    shards = [file for file in manifest.shards_of(whole) if file.startswith("data/")]
    linked = [*shards, *(file for file in whole["files"] if file.startswith(f"{pointers.FOLDER}/"))]
    for file in linked:
        link(mix / file, folder / file)
    records.write(folder / records.NAME, mix, shards)
    write_ledger(folder / LEDGER, pl.read_parquet(mix / LEDGER), whole)
    shared = {name: value for name, value in whole.items() if name != QUOTED}
    write_text(folder / WHOLE, json.dumps(shared, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
    document = describe(folder, whole, shards, repo, changelog)
    document["files"] = {file: whole["files"][file] for file in linked}
    document["statistics"] = statistics.measure(folder, shards)
    written = [*cards.write(folder, document), *croissant.write(folder, document), *report.write(folder, document)]
    document["files"] |= manifest.file_facts(folder, [*written, records.NAME, LEDGER, WHOLE])
    manifest.write(folder, document)


def link(source: Path, target: Path) -> None:
    """Let a file lie in a second place too, without a copy of its bytes where the file system can."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source.resolve(), target)
    except OSError:  # another file system, or one without links
        target.symlink_to(source.resolve())


def describe(
    folder: Path,
    whole: Mapping[str, Any],
    shards: Sequence[str],
    repo: str,
    changelog: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Give the manifest of the edition, all but `files` and `statistics`, from that of the whole mix and the shards.

    `withheld` counts by source, verdict and licence what is not published.
    """
    frames = [pl.read_parquet(folder / shard, columns=_COLUMNS) for shard in shards]
    rows = pl.concat(frames) if frames else pl.DataFrame(schema=dict.fromkeys(_COLUMNS, pl.String))
    for (verdict,) in rows.select("license_verdict").unique().iter_rows():
        if verdict not in VERDICTS:
            raise WorkError(f"{folder}: a record has the verdict {verdict!r}, which there is not, so nothing is sent")
    sources = {
        source: _source(entry, rows.filter(pl.col("source") == source))
        for source, entry in whole["sources"].items()
        if rows.filter(pl.col("source") == source).height
    }
    holdings = rows.group_by("source", "license", "license_verdict").len()
    columns = ("source", "license", "license_verdict")
    return {
        **{name: value for name, value in whole.items() if name not in ("files", "statistics", "timings")},
        "published": {
            "repo": repo,
            "tag": tag_of(whole),
            "gated": whole["settings"]["mixture"]["licence_policy"]["use"] == "research",
            "whole_records": whole["totals"]["kept"],
        },
        "changelog": list(changelog),
        "withheld": withheld(whole),
        "sources": sources,
        "totals": {
            "read": sum(entry["read"] for entry in sources.values()),
            "kept": rows.height,
            "dropped": sum(entry["dropped"] for entry in sources.values()),
            "kept_by_split": ledger.by(rows, "split"),
            "kept_by_verdict": ledger.by(rows, "license_verdict"),
        },
        "terms": effective.summary([effective.Holding(*row) for row in holdings.sort(columns).iter_rows()]),
        "timings": {name: value for name, value in whole["timings"].items() if name != manifest.SEAL},
    }


def _source(entry: Mapping[str, Any], rows: pl.DataFrame) -> dict[str, Any]:
    return {
        **entry,
        "kept": rows.height,
        "withheld": entry["kept"] - rows.height,
        "kept_by_split": ledger.by(rows, "split"),
        "kept_by_verdict": ledger.by(rows, "license_verdict"),
        "kept_by_licence": ledger.by(rows, "license"),
        "kept_of_third_parties": 0,
        "kept_by_task": ledger.by(rows, "task"),
        "kept_by_language": ledger.by(rows, "language"),
        "images": int(rows["image_sha256"].list.len().sum()),
        "distinct_images": rows["image_sha256"].explode().drop_nulls().n_unique(),
        "groups": rows["group"].n_unique(),
    }


def withheld(whole: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Count the records that are not published, by source, licence and verdict."""
    return [
        {name: holding[name] for name in ("source", "licence", "verdict", "records")}
        for holding in whole["terms"]["holdings"]
        if holding["verdict"] != "redistributable"
    ]


def tag_of(document: Mapping[str, Any]) -> str:
    """Give the tag of a version: `v1.0.0`."""
    return f"v{document['mixture']['version']}"


def write_ledger(out: Path, whole: pl.DataFrame, document: Mapping[str, Any]) -> None:
    """Write the ledger without the rows of credentialed sources, their ids, and what might quote a withheld text."""
    hidden = sorted(credentialed(document))
    closed = [source for source in document["sources"] if _verdict(document, source) != "redistributable"]
    quotes = pl.col("source").is_in(closed) & pl.col("reason").is_in(QUOTING)
    rows = whole.filter(~pl.col("source").is_in(hidden)).with_columns(
        evidence=pl.when(quotes).then(pl.lit("")).otherwise(pl.col("evidence").str.replace_all(_ids_of(hidden), "$1"))
    )
    ledger.write(out, rows)


def _ids_of(sources: Sequence[str]) -> str:
    """Give a pattern of the ids of sources, the source in its group; it matches nothing where there are none."""
    names = "|".join(re.escape(source) for source in sources)
    return rf"\b({names})/\S+" if names else "($.^)"


def credentialed(document: Mapping[str, Any]) -> set[str]:
    """Give the sources of a mix of which nothing may be told in clear, by its manifest or by the facts."""
    return {
        source
        for source, entry in document["sources"].items()
        if entry["facts"]["access"] == "credentialed"
        or "credentialed" in entry["kept_by_verdict"]
        or facts.load(source).access == "credentialed"
    }


def _verdict(document: Mapping[str, Any], source: str) -> str:
    return str(document["sources"][source]["facts"]["licence"]["effective"]["verdict"])


def _code_digest() -> str:
    """Digest the code and the templates that an edition is made by."""
    digest = hashlib.sha256(code_digest(".").encode())
    for entry in sorted(package_files("medmix.cards").iterdir(), key=lambda entry: entry.name):
        if entry.is_file():
            digest.update(entry.read_bytes())
    return digest.hexdigest()
