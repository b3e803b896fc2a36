"""The build report, an HTML page: counts of kept and dropped records, and examples, from manifest and ledger."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from ..decide.leaks import KINDS
from ..shards import write_text
from .cards import render_page

NAME = "report/index.html"
EXAMPLES = 3
"""The number of records shown for each reason and source."""


def write(mix: Path, document: Mapping[str, Any]) -> list[str]:
    """Write the page and return its name."""
    write_text(mix / NAME, text(mix, document))
    return [NAME]


def text(mix: Path, document: Mapping[str, Any]) -> str:
    """Return the page, a pure function of manifest and ledger."""
    return render_page("report.html.jinja", document, examples=_examples(mix, document), kinds=KINDS)


def _examples(mix: Path, document: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the first dropped records of each reason, the most frequent reason first."""
    credentialed = [
        source
        for source, entry in document["sources"].items()
        if entry["facts"]["licence"]["effective"]["verdict"] == "credentialed"
    ]
    of_mix = pl.col("source").is_in(list(document["sources"]))  # a published ledger also has other sources
    ledger = pl.read_parquet(mix / "ledger.parquet").filter(of_mix & (pl.col("outcome") == "dropped"))
    reasons = ledger["reason"].value_counts().sort("count", "reason", descending=[True, False])["reason"]
    names_one = pl.any_horizontal(pl.col("evidence", "transformation").str.contains(_id_pattern(credentialed)))
    hidden = pl.col("source").is_in(credentialed) | names_one
    columns = ["id", "evidence", "score", "relation", "transformation"]
    first = ledger.filter(~hidden).group_by("source", "reason", maintain_order=True).head(EXAMPLES)
    return {reason: first.filter(pl.col("reason") == reason)[columns].to_dicts() for reason in reasons}


def _id_pattern(sources: list[str]) -> str:
    """Return a pattern that finds record ids of the sources in a text, or nothing if there are no sources."""
    return "|".join(rf"\b{source}/" for source in sources) or "$^"
