"""The release of a mix: the records that may be redistributed, with cards that describe only those.

A release is a folder of its own and passes `medmix check`. Its shards are links to those of the mix, so nothing is
encoded or copied. `manifest.json` describes the release. `full_manifest.json` is the manifest of the full mix without
its statistics; `medmix rehydrate` verifies the rebuilt mix with it.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

import medmix

from .. import facts
from ..code_digest import code_digest
from ..describe import attribution, cards, croissant, report, statistics
from ..errors import WorkError
from ..evaluationsets import item_keys
from ..licences import effective
from ..record import VERDICTS
from ..shards import write_text
from ..write import ledger, manifest
from . import pointers, record_digests, record_tables

FULL_MANIFEST = "full_manifest.json"
LEDGER = "ledger.parquet"

UNPUBLISHED_KEY = "statistics"
"""The key of a full manifest that is not published, since it quotes answers; `rehydrate` computes it again."""

QUOTING_REASONS = ("unparsable-row", "licence")
"""Reasons of the ledger whose evidence may quote upstream text."""

_COLUMNS = ["source", "split", "task", "language", "group", "license", "license_verdict", "image_sha256"]


Changelog = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Release:
    """A release in `folder`; `document` is its manifest."""

    folder: Path
    document: dict[str, Any]

    @property
    def tag(self) -> str:
        """The tag of the release on the Hub."""
        return str(self.document["published"]["tag"])

    def files(self) -> dict[str, Path]:
        """Give all files by their names in the repository, sorted; card and manifest last."""
        names = sorted([*self.document["files"], manifest.NAME], key=lambda name: (is_marker(name), name))
        return {name: self.folder / name for name in names}


def is_marker(name: str) -> bool:
    """Whether a file identifies a folder as a mix: it is uploaded last and deleted first."""
    return name in (manifest.NAME, manifest.README)


def prepare_release(mix: Path, full: Mapping[str, Any], repo: str, changelog: Changelog, work: Path) -> Release:
    """Write the release of a mix below `work`, or reuse that of an earlier run.

    `full` is the manifest of the mix; `changelog` comes from `versions.changelog`.

    Raises:
        WorkError: a shard is damaged.
    """
    key = json.dumps([manifest.content_digest(full), repo, list(changelog), medmix.__version__, _code_digest()])
    folder = work / f"release-{hashlib.sha256(key.encode()).hexdigest()[:20]}"
    if not (folder / manifest.NAME).is_file():
        for old in work.glob("release-*"):
            shutil.rmtree(old)
        _write_or_refuse(folder, mix, full, repo, changelog)
    return Release(folder, manifest.read(folder))


@contextmanager
def written_again(prepared: Release, mix: Path, work: Path) -> Iterator[Release]:
    """Write the same release again, into a folder of its own that is removed when the block ends.

    Raises:
        WorkError: as `prepare_release`.
    """
    folder = work / "again"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        published = prepared.document["published"]
        _write_or_refuse(folder, mix, manifest.read(mix), published["repo"], prepared.document["changelog"])
        yield Release(folder, manifest.read(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write_or_refuse(folder: Path, mix: Path, full: Mapping[str, Any], repo: str, changelog: Changelog) -> None:
    try:
        _write(folder, mix, full, repo, changelog)
    except (pl.exceptions.PolarsError, pa.ArrowException, FileNotFoundError) as error:
        problem = str(error).splitlines()[0]
        raise WorkError(f"{mix}: damaged ({problem}), nothing was uploaded; see: medmix check {mix}") from error


def _write(folder: Path, mix: Path, full: Mapping[str, Any], repo: str, changelog: Changelog) -> None:
    shards = [file for file in manifest.shards_of(full) if file.startswith("data/")]
    linked = [*shards, *(file for file in full["files"] if file.startswith(f"{pointers.FOLDER}/")), record_digests.NAME]
    for file in linked:
        link_file(mix / file, folder / file)
    attribution.write(folder, attribution.of_shards(folder, shards, record_tables.credits_of(full)))
    write_ledger(folder / LEDGER, pl.read_parquet(mix / LEDGER), full)
    hidden = credentialed_sources(full)
    keys = {name: sorted(found) for name, found in sorted(item_keys.read(mix).items()) if name.split()[0] not in hidden}
    item_keys.write(folder / item_keys.NAME, keys)
    published = {name: value for name, value in full.items() if name != UNPUBLISHED_KEY}
    write_text(folder / FULL_MANIFEST, json.dumps(published, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
    document = release_manifest(folder, full, shards, repo, changelog)
    document["files"] = {file: full["files"][file] for file in linked}
    document["statistics"] = statistics.measure(folder, shards)
    written = [*cards.write(folder, document), *croissant.write(folder, document), *report.write(folder, document)]
    document["files"] |= manifest.file_facts(
        folder, [*written, attribution.NAME, LEDGER, item_keys.NAME, FULL_MANIFEST]
    )
    manifest.write(folder, document)


def link_file(source: Path, target: Path) -> None:
    """Create a hard link to a file, or a symbolic link where the file system has no hard links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source.resolve(), target)
    except OSError:  # another file system, or one without links
        target.symlink_to(source.resolve())


def release_manifest(
    folder: Path, full: Mapping[str, Any], shards: Sequence[str], repo: str, changelog: Changelog
) -> dict[str, Any]:
    """Give the manifest of the release without `files` and `statistics`, from the full manifest and the shards.

    `withheld` counts the records that are not published by source, licence and verdict.
    """
    frames = [pl.read_parquet(folder / shard, columns=_COLUMNS) for shard in shards]
    rows = pl.concat(frames) if frames else pl.DataFrame(schema=dict.fromkeys(_COLUMNS, pl.String))
    for (verdict,) in rows.select("license_verdict").unique().iter_rows():
        if verdict not in VERDICTS:
            raise WorkError(f"{folder}: a record has the unknown verdict {verdict!r}; nothing was uploaded")
    parts = {str(source): part for (source,), part in rows.group_by("source", maintain_order=True)}
    sources = {name: _source_counts(entry, parts[name]) for name, entry in full["sources"].items() if name in parts}
    holdings = rows.group_by("source", "license", "license_verdict").len()
    columns = ("source", "license", "license_verdict")
    return {
        **{name: value for name, value in full.items() if name not in ("files", "statistics", "timings")},
        "published": {
            "repo": repo,
            "tag": f"v{full['mixture']['version']}",
            "gated": full["settings"]["mixture"]["licence_policy"]["use"] == "research",
            "full_records": full["totals"]["kept"],
        },
        "changelog": list(changelog),
        "withheld": count_withheld(full),
        "sources": sources,
        "totals": {
            "read": sum(entry["read"] for entry in sources.values()),
            "kept": rows.height,
            "dropped": sum(entry["dropped"] for entry in sources.values()),
            "kept_by_split": ledger.count_by(rows, "split"),
            "kept_by_verdict": ledger.count_by(rows, "license_verdict"),
            "shared_groups": manifest.count_shared_groups(rows),
        },
        "terms": effective.summary([effective.SourceLicence(*row) for row in holdings.sort(columns).iter_rows()]),
        "timings": {name: value for name, value in full["timings"].items() if name != manifest.DIGEST_KEY},
    }


def _source_counts(entry: Mapping[str, Any], rows: pl.DataFrame) -> dict[str, Any]:
    return {
        **entry,
        "kept": rows.height,
        "withheld": entry["kept"] - rows.height,
        "kept_by_split": ledger.count_by(rows, "split"),
        "kept_by_verdict": ledger.count_by(rows, "license_verdict"),
        "kept_by_licence": ledger.count_by(rows, "license"),
        "kept_of_third_parties": 0,
        "kept_by_task": ledger.count_by(rows, "task"),
        "kept_by_language": ledger.count_by(rows, "language"),
        "images": int(rows["image_sha256"].list.len().sum()),
        "distinct_images": rows["image_sha256"].explode().drop_nulls().n_unique(),
        "groups": rows["group"].n_unique(),
    }


def count_withheld(full: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Count the records that are not published, by source, licence and verdict."""
    return [
        {name: holding[name] for name in ("source", "licence", "verdict", "records")}
        for holding in full["terms"]["holdings"]
        if holding["verdict"] != "redistributable"
    ]


def write_ledger(out: Path, full: pl.DataFrame, document: Mapping[str, Any]) -> None:
    """Write the ledger without rows and ids of credentialed sources and without quotes of withheld texts."""
    hidden = sorted(credentialed_sources(document))
    licences = {source: entry["facts"]["licence"] for source, entry in document["sources"].items()}
    withheld = [name for name, own in licences.items() if own["effective"]["verdict"] != "redistributable"]
    quotes = pl.col("source").is_in(withheld) & pl.col("reason").is_in(QUOTING_REASONS)
    without_ids = pl.col("evidence", "transformation").str.replace_all(_id_pattern(hidden), "$1")
    rows = full.filter(~pl.col("source").is_in(hidden)).with_columns(without_ids)
    rows = rows.with_columns(evidence=pl.when(quotes).then(pl.lit("")).otherwise("evidence"))
    ledger.write(out, rows)


def _id_pattern(sources: Sequence[str]) -> str:
    """Give a pattern of the ids of sources, with the source as its group; without sources it matches nothing."""
    names = "|".join(re.escape(source) for source in sources)
    return rf"\b({names})/\S+" if names else "($.^)"


def credentialed_sources(document: Mapping[str, Any]) -> set[str]:
    """Give the sources of a mix that are credentialed by its manifest or by the facts."""
    return {
        source
        for source, entry in document["sources"].items()
        if entry["facts"]["access"] == "credentialed"
        or "credentialed" in entry["kept_by_verdict"]
        or facts.load(source).access == "credentialed"
    }


def _code_digest() -> str:
    """Digest the code and the templates that determine a release."""
    return hashlib.sha256(f"{code_digest('.')} {cards.templates_digest()}".encode()).hexdigest()
