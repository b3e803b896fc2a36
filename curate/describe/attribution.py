"""attribution.parquet: the required credit of each record; `ATTRIBUTION.md` summarises it by source and licence.

Creative Commons BY requires the creators, the source, the licence and a note of changes; a link to this information
satisfies it where reasonable (https://creativecommons.org/licenses/by/4.0/legalcode, section 3(a)). It is a table,
since nobody reads millions of lines, and parquet, since equal credits take no room there and the Hub shows it.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import polars as pl
import pyarrow as pa

from ..shards import replacing, table_writer

NAME = "attribution.parquet"

SCHEMA = pa.schema([(name, pa.string()) for name in ("id", "source", "license", "license_verdict", "credit", "url")])
"""One row for each record, in the order of the shards.

`credit` is what a record needs beyond the credit of its source, such as its article, or ""; `url` is the address of
that article, or "". Both are empty for credentialed records.
"""

COLUMNS = ("id", "source", "license", "license_verdict", "attribution")
"""The columns of a shard, or of its table of `record_facts`, that `rows_of` needs."""

_ARTICLES = {
    r"^(PMC\d+)\b": "https://pmc.ncbi.nlm.nih.gov/articles/{}/",
    r"^PMID (\d+)\b": "https://pubmed.ncbi.nlm.nih.gov/{}/",
}
"""Pattern of a credit that begins with the id of an article -> the address of the article."""


def write(mix: Path, tables: Iterable[pl.DataFrame]) -> str:
    """Write the table of the rows of each shard, in the order of the shards, and give its name."""
    with replacing(mix / NAME) as temporary, table_writer(temporary, SCHEMA) as writer:
        for rows in tables:
            writer.write_table(rows.to_arrow().cast(SCHEMA))
    return NAME


def rows_of(records: pl.DataFrame, credits_of: Mapping[str, str]) -> pl.DataFrame:
    """Give the rows of records of one source from their columns `COLUMNS`; `credits_of` has the sources' credits."""
    own = credits_of.get(str(records["source"].first()), "") if records.height else ""
    further = pl.col("attribution").str.strip_suffix(own).str.strip_suffix("; ")
    one_line = further.str.replace_all(r"\s+", " ").str.strip_chars()
    is_secret = pl.col("license_verdict") == "credentialed"
    credited = records.with_columns(credit=pl.when(is_secret).then(pl.lit("")).otherwise(one_line))
    urls = [
        pl.when(pl.col("credit").str.contains(pattern)).then(pl.format(address, pl.col("credit").str.extract(pattern)))
        for pattern, address in _ARTICLES.items()
    ]
    return credited.with_columns(url=pl.coalesce(*urls, pl.lit(""))).select(SCHEMA.names)


def of_shards(mix: Path, shards: Iterable[str], credits_of: Mapping[str, str]) -> Iterator[pl.DataFrame]:
    """Give the rows of each shard; their columns are read for it."""
    for shard in shards:
        yield rows_of(pl.read_parquet(mix / shard, columns=list(COLUMNS)), credits_of)
