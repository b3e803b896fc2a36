"""The report of a build, a page to look at: what was kept and dropped, and why, from manifest and ledger."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from ..decide.leaks import KINDS, LEAKS
from ..shards import write_text
from .cards import fill

NAME = "report/index.html"
EXAMPLES = 3
"""Records shown for each reason and source."""


def write(mix: Path, document: Mapping[str, Any]) -> list[str]:
    """Write the page and give its name."""
    write_text(mix / NAME, text(mix, document))
    return [NAME]


def text(mix: Path, document: Mapping[str, Any]) -> str:
    """Give the page; a pure function of manifest and ledger."""
    return fill("report.html.jinja", document, examples=_examples(mix, document), kinds=KINDS, leaks=LEAKS)


def _examples(mix: Path, document: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Give the first drops of each reason, the commonest reason first."""
    closed = [
        source
        for source, entry in document["sources"].items()
        if entry["facts"]["licence"]["effective"]["verdict"] == "credentialed"
    ]
    told = pl.col("source").is_in(list(document["sources"]))  # a published ledger has others too
    ledger = pl.read_parquet(mix / "ledger.parquet").filter(told & (pl.col("outcome") == "dropped"))
    reasons = ledger["reason"].value_counts().sort("count", "reason", descending=[True, False])["reason"]
    named = ledger.filter(~pl.col("source").is_in(closed) & ~pl.col("evidence").str.contains(_any_of(closed)))
    columns = ["id", "evidence", "score", "transformation"]
    first = named.group_by("source", "reason", maintain_order=True).head(EXAMPLES)
    return {reason: first.filter(pl.col("reason") == reason)[columns].to_dicts() for reason in reasons}


def _any_of(sources: list[str]) -> str:
    """Give a pattern of the ids of sources; one that matches nothing where there are none."""
    return "|".join(f"^{source}/" for source in sources) or "$^"
