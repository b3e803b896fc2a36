"""Licences of PubMed Central articles: a table beside the sources, for figures whose rows name none.

The table is all `*.csv` in `ROOT/pmc_articles/`, each with one of two headers:

    article,licence,retracted,read,where    what `medmix fetch --articles` writes: `PMC1`, the licence as PMC
                                            writes it ("" where it has none), true or false, the day on which it
                                            was read (YYYY-MM-DD), and at which address
    ...,Accession ID,Last Updated (YYYY-MM-DD HH:MM:SS),...,License    `oa_file_list.csv` and its like, which PMC
                                            offered until 2026; blanks and brackets of the header do not count

Answers of PMC take precedence over file lists, and later readings over earlier ones.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import polars as pl

from .. import facts
from ..errors import InputError
from ..shards import file_sha256
from ..tables import is_litter

FOLDER = "pmc_articles"
GROUP_PREFIX = "pmc/"
"""The prefix of the group of a record whose article is known."""


@dataclass(frozen=True, slots=True)
class Article:
    """PMC's answer on an article; the fields are the columns of the table."""

    article: str
    licence: str
    retracted: bool
    read: str
    where: str


COLUMNS = tuple(field.name for field in fields(Article))
_OWN_COLUMNS = {name: name for name in ("article", "licence", "read")}
_FILE_LIST_COLUMNS = {"article": "accessionid", "licence": "license", "read": "lastupdated"}


def table_digest(root: Path) -> str:
    """Digest the table of a root; "" where there is none."""
    parts = [[path.name, file_sha256(path)] for path in table_files(root)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest() if parts else ""


def load_table(root: Path) -> pl.DataFrame:
    """Read the table: `article`, `licence` and `article_read` (YYYY-MM-DD), each article once.

    Raises:
        InputError: a file of it cannot be read, or has another header.
    """
    frames = [_validated(path, _read_table(path)) for path in table_files(root)]
    if not frames:
        return pl.DataFrame(schema=dict.fromkeys(("article", "licence", "article_read"), pl.String))
    rows = pl.concat(frames).sort("asked", "read", maintain_order=True)
    latest = rows.unique("article", keep="last", maintain_order=True)
    return latest.select("article", "licence", article_read=pl.col("read").str.head(10))


def table_files(root: Path) -> list[Path]:
    """List the files of the table, sorted."""
    return sorted(path for path in (root / FOLDER).glob("*.csv") if not is_litter(path.name))


def _read_table(path: Path) -> pl.DataFrame:
    try:
        lines = pl.scan_csv(path, infer_schema=False, encoding="utf8-lossy")
        names = {_normalised(name): name for name in lines.collect_schema().names()}
        for asked, columns in ((True, _OWN_COLUMNS), (False, _FILE_LIST_COLUMNS)):
            if set(columns.values()) <= names.keys():
                texts = {name: pl.col(names[column]).fill_null("") for name, column in columns.items()}
                chosen = {name: text.str.strip_chars() for name, text in texts.items()}
                return lines.select(**chosen, asked=pl.lit(asked)).collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(path, f"is no CSV table ({' '.join(str(error).split())[:200]})", "fix or remove it") from None
    remedy = f"give it the columns {', '.join(COLUMNS)}, or remove it"
    raise InputError(path, f"is no table of article licences: its columns are {', '.join(names.values())}", remedy)


def _normalised(name: str) -> str:
    return re.sub(r"\(.*\)|\s", "", name).lower()


def _validated(path: Path, rows: pl.DataFrame) -> pl.DataFrame:
    strange = rows.filter(~pl.col("article").str.contains(r"^PMC\d+$"))["article"].head(1)
    for article in strange:
        raise InputError(path, f"{article!r} is no article", "ids are PMC and a number; fix or remove the file")
    return rows


def add_article_licences(
    rows: pl.DataFrame, licences: pl.DataFrame, sources: Mapping[str, facts.Facts]
) -> pl.DataFrame:
    """Add the licence of the article to rows without their own, in sources whose facts set `article_licences`.

    Adds `article` and `article_read`: the article that a licence is from and when it was read, "" for a row's own.

    Args:
        rows: with `source`, `group` and `wording`.
        licences: as `load_table` gives it.
        sources: facts by source.
    """
    concerned = [source for source, entry in sources.items() if entry.article_licences]
    is_open = pl.col("source").is_in(concerned) & (pl.col("wording").fill_null("") == "")
    article = pl.when(is_open).then(pl.col("group").str.strip_prefix(GROUP_PREFIX))
    joined = rows.with_columns(article=article).join(licences, on="article", how="left", maintain_order="left")
    found = pl.col("licence").fill_null("") != ""
    from_article = {name: pl.when(found).then(name).otherwise(pl.lit("")) for name in ("article", "article_read")}
    return joined.with_columns(wording=pl.when(found).then("licence").otherwise("wording"), **from_article).drop(
        "licence"
    )
