"""The manifest: what a mix is made of and what it holds; its presence says that the mix is whole."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq

import medmix

from . import caps, contradictions, ledger
from .errors import UsageError
from .inputs import Input
from .mixture import Mixture
from .shards import file_sha256, write_text

NAME = "manifest.json"
ENTRIES = (NAME, "README.md", "data", "restricted", "pointers", "ledger.parquet", "ATTRIBUTION.md", "CITATION.bib")
"""What may lie at the top of a mix; a rebuild replaces these and touches nothing else."""

FORMAT = 1
"""Raised when the layout of a mix changes so that older readers would misread it."""

LIBRARIES = ("pyarrow", "datasets", "pillow", "imagehash", "fasttext", "polars")


def inputs_digest(settings: Mapping[str, Any], scans: Sequence[Path]) -> str:
    """Digest all that a mix depends on: the settings, what was read and measured, the version of medmix."""
    parts = {
        "settings": settings,
        "scans": [[path.name, file_sha256(path)] for path in scans],
        "medmix": medmix.__version__,
        "format": FORMAT,
        "libraries": _libraries(),
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
    """Put the manifest together, all but `files` and `timings`; no path of this machine is in it."""
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
            "kept_by_task": ledger.by(mine, "task"),
            "kept_by_language": ledger.by(mine, "language"),
            "images": int(mine["pixels"].list.len().sum()),
        }
    return {
        "format": FORMAT,
        "medmix": medmix.__version__,
        "libraries": _libraries(),
        "mixture": {"name": mixture.name, "version": mixture.version, "description": mixture.description},
        "inputs": digest,
        "settings": json.loads(json.dumps(settings)),
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
        "evaluation": list(evaluation),
        "leaks": list(leaks),
        "contradictions": contradictions.count(kept),
        "repeats": caps.repeats(kept),
    }


def _libraries() -> dict[str, str]:
    return {name: version(name) for name in LIBRARIES}


def file_facts(mix: Path, files: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Give digest, size and, for parquet, rows of the files of a mix, by their relative path, sorted."""
    facts = {}
    for file in sorted(files):
        path = mix / file
        facts[file] = {"sha256": file_sha256(path), "bytes": path.stat().st_size}
        if path.suffix == ".parquet":
            facts[file]["rows"] = pq.read_metadata(path).num_rows
    return facts


def write(mix: Path, document: Mapping[str, Any]) -> None:
    """Write the manifest of a mix."""
    write_text(mix / NAME, json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True) + "\n")


def read(mix: Path) -> dict[str, Any]:
    """Read the manifest of a mix.

    Raises:
        UsageError: the folder is no mix, or its manifest is damaged or of another format.
    """
    path = mix / NAME
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"{mix} is no finished mix (no {NAME}); make one: medmix build --out {mix}") from None
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
