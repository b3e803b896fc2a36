"""The manifest: inputs, settings, counts and files of a mix. Its presence marks the mix as complete."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq

import medmix

from ..decide import caps, contradictions
from ..errors import UsageError
from ..licences import effective, terms
from ..mixture import Mixture
from ..read.inputs import Input
from ..shards import file_sha256, write_text
from . import ledger, manifest_document
from .manifest_document import NotAManifest

NAME = "manifest.json"
README = "README.md"
ENTRIES = (
    NAME,
    README,
    "data",
    "restricted",
    "pointers",
    "ledger.parquet",
    "evaluation.parquet",
    "records.parquet",
    "attribution.parquet",
    "full_manifest.json",
    "datasheet.md",
    "datasheets",
    "plots",
    "report",
    "croissant.json",
    "LICENSE.md",
    "ATTRIBUTION.md",
    "CITATION.bib",
)
"""The top-level entries of a mix or a published mix; a rebuild replaces only these."""

FORMAT = 4
"""Increased when the layout of a mix changes in a way that older readers would misread."""

DIGEST_KEY = "manifest_sha256"
"""The key of the digest. It is in `timings`, so that manifests of equal mixes differ only there."""

MODIFIED = f"{NAME}: changed since the build wrote it, so the mix cannot be verified against it"
"""The finding for a manifest that fails `is_unmodified`."""

LIBRARIES = ("pyarrow", "datasets", "pillow", "imagehash", "fasttext", "polars")


def inputs_digest(settings: Mapping[str, Any], scans: Sequence[Path]) -> str:
    """Digest all that a mix depends on: settings, scans, terms of licences, versions of medmix and its libraries."""
    parts = {
        "settings": settings,
        "scans": [[path.name, file_sha256(path)] for path in scans],
        "medmix": medmix.__version__,
        "format": FORMAT,
        "libraries": library_versions(),
        "licences": terms.table_digest(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def compose(
    *,
    mixture: Mixture,
    digest: str,
    settings: Mapping[str, Any],
    inputs: Sequence[Input],
    missing: Sequence[str],
    notes: Sequence[str],
    warnings: Sequence[str],
    decided: pl.DataFrame,
    selection: Mapping[str, Any],
    evaluation: Sequence[Mapping[str, str | int | bool]],
    leaks: Sequence[Mapping[str, Any]],
    validation_leaks: Sequence[Mapping[str, Any]],
    copies: Mapping[str, int],
) -> dict[str, Any]:
    """Compose the manifest without `statistics`, `files` and `timings`. It contains no local path."""
    counts = ledger.counts(decided)
    kept = decided.filter(pl.col("outcome") == "kept")
    sources = {}
    for entry in inputs:
        records = kept.filter(pl.col("source") == entry.source)
        sources[entry.source] = {
            **entry.facts.provenance(entry.layout),
            "layout": entry.layout,
            "weight": mixture.sources[entry.source].weight,
            **counts.get(entry.source, ledger.ZERO_COUNTS),
            "kept_by_verdict": ledger.count_by(records, "verdict"),
            "kept_by_licence": ledger.count_by(records, "licence"),
            "kept_of_third_parties": records.filter(pl.col("third_party") != "").height,
            "uniform_images": _count_uniform(decided.filter(pl.col("source") == entry.source)),
            "kept_by_task": ledger.count_by(records, "task"),
            "kept_by_language": ledger.count_by(records, "language"),
            "images": int(records["images"].list.len().sum()),
            "distinct_images": records["images"].explode().drop_nulls().n_unique(),
            "groups": records["group"].n_unique(),
            "facts": _as_json(asdict(entry.facts)),
        }
    return {
        "format": FORMAT,
        "medmix": medmix.__version__,
        "libraries": library_versions(),
        "mixture": {
            "name": mixture.name,
            "version": mixture.version,
            "description": mixture.description,
            "about": _as_json(asdict(mixture.about)),
            "temperature": mixture.temperature,
        },
        "inputs": digest,
        "settings": _as_json(settings),
        "sources": sources,
        "missing": list(missing),
        "selection": dict(selection),
        "notes": list(notes),
        "warnings": list(warnings),
        "totals": {
            "read": decided.height,
            "kept": kept.height,
            "dropped": decided.height - kept.height,
            "kept_by_split": ledger.count_by(kept, "split"),
            "kept_by_verdict": ledger.count_by(kept, "verdict"),
            "shared_groups": count_shared_groups(kept),
        },
        "terms": effective.summary(_count_holdings(kept)),
        "evaluation": list(evaluation),
        "leaks": list(leaks),
        "validation_leaks": list(validation_leaks),
        "copies": dict(copies),
        "contradictions": contradictions.count(kept),
        "repeats": caps.count_repeated_reports(kept),
    }


def count_shared_groups(rows: pl.DataFrame) -> int:
    """Count the groups with records of several sources."""
    return rows.group_by("group").agg(pl.col("source").n_unique()).filter(pl.col("source") > 1).height


def _count_uniform(rows: pl.DataFrame) -> dict[str, int]:
    """Count the records with an image of one brightness, kept and dropped."""
    return ledger.count_by(rows.filter(pl.col("uniform") != ""), "outcome")


def _count_holdings(kept: pl.DataFrame) -> list[effective.SourceLicence]:
    """Count the kept records by source, licence and verdict, sorted."""
    counts = kept.group_by("source", "licence", "verdict").len().sort("source", "licence", "verdict")
    return [effective.SourceLicence(*row) for row in counts.iter_rows()]


def _as_json(data: Any) -> Any:
    """Return data as it is after a JSON round trip: tuples become lists."""
    return json.loads(json.dumps(data))


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that determine the bytes of a mix."""
    return {name: version(name) for name in LIBRARIES}


def file_facts(mix: Path, files: Sequence[str], known: Mapping[str, str] | None = None) -> dict[str, dict[str, Any]]:
    """Give digest, size and, for parquet, rows and uncompressed size per file, sorted by relative path.

    `known` has the digests of files that are known already.
    """
    facts = {}
    for file in sorted(files):
        path = mix / file
        facts[file] = {"sha256": (known or {}).get(file) or file_sha256(path), "bytes": path.stat().st_size}
        if path.suffix == ".parquet":
            metadata = pq.read_metadata(path)
            facts[file]["rows"] = metadata.num_rows
            row_groups = map(metadata.row_group, range(metadata.num_row_groups))
            facts[file]["unpacked_bytes"] = sum(row_group.total_byte_size for row_group in row_groups)
    return facts


def shards_of(document: Mapping[str, Any]) -> list[str]:
    """List the shards in `data` and `restricted`, sorted."""
    return sorted(file for file in document["files"] if file.split("/")[0] in ("data", "restricted"))


def write(mix: Path, document: Mapping[str, Any]) -> dict[str, Any]:
    """Write the manifest with its own digest in `timings`, and return it; the digest covers the other timings."""
    signed = {**document, "timings": {**document["timings"], DIGEST_KEY: content_digest(document)}}
    write_text(mix / NAME, _text(signed))
    return signed


def is_unmodified(mix: Path) -> bool:
    """Return whether the manifest has exactly the bytes that the build wrote."""
    data = (mix / NAME).read_bytes()
    try:
        document = manifest_document.parse(data)
    except NotAManifest:
        return False
    timings = document.get("timings")
    if not isinstance(timings, dict) or timings.get(DIGEST_KEY) != content_digest(document):
        return False
    return data == _text(document).encode()


def _text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def content_digest(document: Mapping[str, Any]) -> str:
    """Digest a manifest without its digest field."""
    timings = {name: value for name, value in document["timings"].items() if name != DIGEST_KEY}
    return hashlib.sha256(_text({**document, "timings": timings}).encode()).hexdigest()


def read(mix: Path) -> dict[str, Any]:
    """Read the manifest of a mix.

    Raises:
        UsageError: the folder is not a mix, or its manifest is damaged or has another format.
    """
    if not (mix / NAME).is_file():
        raise UsageError(f"{mix} is not a finished mix (no {NAME}); build one: medmix build --out {mix}")
    return read_file(mix / NAME)


def read_file(path: Path) -> dict[str, Any]:
    """Read a manifest file of any name.

    Raises:
        UsageError: it is damaged, has another format, or a key of another type than a build writes.
    """
    try:
        document = manifest_document.parse(path.read_bytes())
    except (OSError, NotAManifest) as error:
        raise UsageError(f"{path}: cannot be read ({error}); build the mix again") from None
    found = document.get("format")
    if found != FORMAT or isinstance(found, bool):
        raise UsageError(f"{path}: has format {found}, this medmix reads only format {FORMAT}; build the mix again")
    if fault := manifest_document.find_fault(document):
        raise UsageError(f"{path}: {fault}; {manifest_document.REMEDY}")
    return document


def read_finished(mix: Path, digest: str) -> dict[str, Any] | None:
    """Return the manifest if the mix has exactly these inputs and all its files are present; else None."""
    try:
        document = read(mix)
    except UsageError:
        return None
    if document.get("inputs") != digest:
        return None
    sizes = {file: facts["bytes"] for file, facts in document["files"].items()}
    complete = all((mix / file).is_file() and (mix / file).stat().st_size == size for file, size in sizes.items())
    return document if complete else None
