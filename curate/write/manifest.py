"""The manifest: what a mix is made of and what it holds; its presence says that the mix is whole."""

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
from ..licences import effective
from ..mixture import Mixture
from ..read.inputs import Input
from ..shards import file_sha256, write_text
from . import ledger

NAME = "manifest.json"
README = "README.md"
ENTRIES = (
    NAME,
    README,
    "data",
    "restricted",
    "pointers",
    "ledger.parquet",
    "records.parquet",
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
"""What may lie at the top of a mix or of what is published of it; a rebuild replaces these and touches nothing else."""

FORMAT = 1
"""Raised when the layout of a mix changes so that older readers would misread it."""

SEAL = "manifest_sha256"
"""Stands in `timings`, so that manifests of equal mixes are equal but for those."""

TOUCHED = f"{NAME}: its bytes are not those that the build wrote, so that nothing can be held against it"
"""The finding on a manifest that is not `is_untouched`."""

LIBRARIES = ("pyarrow", "datasets", "pillow", "imagehash", "fasttext", "polars")


def inputs_digest(settings: Mapping[str, Any], scans: Sequence[Path]) -> str:
    """Digest all that a mix depends on: the settings, what was read and measured, the version of medmix."""
    parts = {
        "settings": settings,
        "scans": [[path.name, file_sha256(path)] for path in scans],
        "medmix": medmix.__version__,
        "format": FORMAT,
        "libraries": libraries(),
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
    evaluation: Sequence[Mapping[str, str | int]],
    leaks: Sequence[Mapping[str, str | int]],
) -> dict[str, Any]:
    """Put the manifest together, all but `statistics`, `files` and `timings`; no path of this machine is in it."""
    counts = ledger.counts(decided)
    kept = decided.filter(pl.col("outcome") == "kept")
    sources = {}
    for entry in inputs:
        mine = kept.filter(pl.col("source") == entry.source)
        sources[entry.source] = {
            **entry.facts.provenance(entry.layout),
            "layout": entry.layout,
            "weight": mixture.sources[entry.source].weight,
            **counts.get(entry.source, ledger.NOTHING),
            "kept_by_verdict": ledger.by(mine, "verdict"),
            "kept_by_licence": ledger.by(mine, "licence"),
            "kept_of_third_parties": mine.filter(pl.col("third_party") != "").height,
            "kept_by_task": ledger.by(mine, "task"),
            "kept_by_language": ledger.by(mine, "language"),
            "images": int(mine["images"].list.len().sum()),
            "distinct_images": mine["images"].explode().drop_nulls().n_unique(),
            "groups": mine["group"].n_unique(),
            "facts": _plain(asdict(entry.facts)),
        }
    return {
        "format": FORMAT,
        "medmix": medmix.__version__,
        "libraries": libraries(),
        "mixture": {
            "name": mixture.name,
            "version": mixture.version,
            "description": mixture.description,
            "about": _plain(asdict(mixture.about)),
            "temperature": mixture.temperature,
        },
        "inputs": digest,
        "settings": _plain(settings),
        "sources": sources,
        "missing": list(missing),
        "notes": list(notes),
        "warnings": list(warnings),
        "totals": {
            "read": decided.height,
            "kept": kept.height,
            "dropped": decided.height - kept.height,
            "kept_by_split": ledger.by(kept, "split"),
            "kept_by_verdict": ledger.by(kept, "verdict"),
        },
        "terms": effective.summary(_holdings(kept)),
        "evaluation": list(evaluation),
        "leaks": list(leaks),
        "contradictions": contradictions.count(kept),
        "repeats": caps.repeats(kept),
    }


def _holdings(kept: pl.DataFrame) -> list[effective.Holding]:
    """Count the kept records by source, licence and verdict, sorted."""
    counts = kept.group_by("source", "licence", "verdict").len().sort("source", "licence", "verdict")
    return [effective.Holding(*row) for row in counts.iter_rows()]


def _plain(data: Any) -> Any:
    """Give data as JSON has it: tuples as lists."""
    return json.loads(json.dumps(data))


def libraries() -> dict[str, str]:
    """Give the versions of the libraries that a mix's bytes depend on."""
    return {name: version(name) for name in LIBRARIES}


def file_facts(mix: Path, files: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Give digest, size and, for parquet, rows and unpacked size of the files of a mix, by relative path, sorted."""
    facts = {}
    for file in sorted(files):
        path = mix / file
        facts[file] = {"sha256": file_sha256(path), "bytes": path.stat().st_size}
        if path.suffix == ".parquet":
            metadata = pq.read_metadata(path)
            facts[file]["rows"] = metadata.num_rows
            groups = range(metadata.num_row_groups)
            facts[file]["unpacked_bytes"] = sum(metadata.row_group(place).total_byte_size for place in groups)
    return facts


def shards_of(document: Mapping[str, Any]) -> list[str]:
    """List the shards of records, those in `data` and those in `restricted`, sorted."""
    return sorted(file for file in document["files"] if file.split("/")[0] in ("data", "restricted"))


def write(mix: Path, document: Mapping[str, Any]) -> dict[str, Any]:
    """Write the manifest of a mix and give it, with its own digest among the timings, since it covers those too."""
    sealed = {**document, "timings": {**document["timings"], SEAL: seal(document)}}
    write_text(mix / NAME, _text(sealed))
    return sealed


def is_untouched(mix: Path) -> bool:
    """Tell whether every byte of a manifest is as it was written."""
    text = (mix / NAME).read_text(encoding="utf-8")
    document = json.loads(text)
    timings = document.get("timings")
    return isinstance(timings, dict) and text == _text(document) and timings.get(SEAL) == seal(document)


def _text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def seal(document: Mapping[str, Any]) -> str:
    """Digest a manifest, all but the digest itself."""
    timings = {name: value for name, value in document["timings"].items() if name != SEAL}
    return hashlib.sha256(_text({**document, "timings": timings}).encode()).hexdigest()


def read(mix: Path) -> dict[str, Any]:
    """Read the manifest of a mix.

    Raises:
        UsageError: the folder is no mix, or its manifest is damaged or of another format.
    """
    if not (mix / NAME).is_file():
        raise UsageError(f"{mix} is no finished mix (no {NAME}); make one: medmix build --out {mix}")
    return read_file(mix / NAME)


def read_file(path: Path) -> dict[str, Any]:
    """Read a manifest, whatever the file is called.

    Raises:
        UsageError: it is damaged, or of another format.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read ({error}); build the mix again") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise UsageError(f"{path}: not of format {FORMAT}; build the mix again with this version of medmix")
    return document


def read_finished(mix: Path, digest: str) -> dict[str, Any] | None:
    """Give the manifest if the mix was made of just these inputs and all its files are there; else None."""
    try:
        document = read(mix)
    except UsageError:
        return None
    if document.get("inputs") != digest:
        return None
    sizes = {file: facts["bytes"] for file, facts in document["files"].items()}
    whole = all((mix / file).is_file() and (mix / file).stat().st_size == size for file, size in sizes.items())
    return document if whole else None
