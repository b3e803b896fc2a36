"""Licences of PubMed Central articles: a table beside the sources, for figures whose rows name none.

The table is all `*.csv` in `ROOT/pmc_articles/`, each with one of two headers:

    article,licence,retracted,read,where    what `medmix fetch --articles` writes: `PMC1`, the licence as PMC
                                            writes it ("" where it has none), true or false, the day on which it
                                            was read (YYYY-MM-DD), and at which address
    ...,Accession ID,Last Updated,...,License    `oa_file_list.csv` and its like, which PMC offered until 2026

What was asked of PMC counts before a file list, and what was read later before what was read earlier.
"""

import csv
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, fields
from datetime import date
from pathlib import Path

import polars as pl

from . import facts
from .errors import InputError, WorkError
from .progress import track
from .record import Record
from .shards import file_sha256, replacing
from .sources import layouts

FOLDER = "pmc_articles"
NAMESPACE = "pmc/"
"""Begins the group of a record whose article is known."""

CONNECTIONS = 8
FILE_ROWS = 5000


@dataclass(frozen=True, slots=True)
class Article:
    """What PMC says of an article; the fields are the columns of the table."""

    article: str
    licence: str
    retracted: bool
    read: str
    where: str


_COLUMNS = tuple(field.name for field in fields(Article))
_FILE_LIST = {"article": "Accession ID", "licence": "License", "read": "Last Updated"}


def digest(root: Path) -> str:
    """Digest the table of a root; "" where there is none."""
    parts = [[path.name, file_sha256(path)] for path in _files(root)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest() if parts else ""


def table(root: Path) -> pl.DataFrame:
    """Read the table: `article` and `licence`, each article once.

    Raises:
        InputError: a file of it cannot be read, or has another header.
    """
    frames = [_frame(path) for path in _files(root)]
    if not frames:
        return pl.DataFrame(schema={"article": pl.String, "licence": pl.String})
    rows = pl.concat(frames).sort("asked", "read", maintain_order=True)
    return rows.unique("article", keep="last", maintain_order=True).select("article", "licence")


def _files(root: Path) -> list[Path]:
    return sorted((root / FOLDER).glob("*.csv"))


def _frame(path: Path) -> pl.DataFrame:
    try:
        lines = pl.scan_csv(path, infer_schema=False, encoding="utf8-lossy")
        names = lines.collect_schema().names()
        for asked, columns in ((True, {name: name for name in ("article", "licence", "read")}), (False, _FILE_LIST)):
            if set(columns.values()) <= set(names):
                chosen = {name: pl.col(column).fill_null("").str.strip_chars() for name, column in columns.items()}
                return lines.select(**chosen, asked=pl.lit(asked)).collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(path, f"is no CSV table ({' '.join(str(error).split())[:200]})", "mend or remove it") from None
    remedy = f"give it the columns {', '.join(_COLUMNS)}, or remove it"
    raise InputError(path, f"is no table of article licences: its columns are {', '.join(names)}", remedy)


def add_wordings(rows: pl.DataFrame, licences: pl.DataFrame, sources: Mapping[str, facts.Facts]) -> pl.DataFrame:
    """Give the rows without wording that of their article, in sources whose facts say `article_licences`.

    Args:
        rows: with `source`, `group` and `wording`.
        licences: `article` and `licence`, each article once.
        sources: facts by source.
    """
    concerned = [source for source, entry in sources.items() if entry.article_licences]
    is_open = pl.col("source").is_in(concerned) & (pl.col("wording").fill_null("") == "")
    article = pl.when(is_open).then(pl.col("group").str.strip_prefix(NAMESPACE))
    joined = rows.with_columns(article=article).join(licences, on="article", how="left", maintain_order="left")
    return joined.with_columns(wording=pl.coalesce("licence", "wording")).drop("article", "licence")


def named(root: Path) -> list[str]:
    """List the articles that the sources under a root name, sorted; rows with a licence of their own name none.

    Raises:
        InputError: a file of a source is unusable as a whole.
    """
    sources = [source for source in facts.source_ids() if facts.load(source).article_licences]
    return sorted({article for source in sources for article in _named(source, root / source)})


def _named(source: str, folder: Path) -> Iterator[str]:
    for layout in layouts(source):
        shards = layout.shards(folder) if folder.is_dir() else []
        for shard in track(shards, len(shards), f"{source}: articles") if shards else []:
            for row in layout.read(folder, shard):
                if isinstance(row, Record) and not row.licence and row.group.startswith(f"{NAMESPACE}PMC"):
                    yield row.group.removeprefix(NAMESPACE)


def fill(root: Path, wanted: Iterable[str], address: str, get: Callable[[str], str]) -> int:
    """Ask PMC for the articles that the table lacks, add them to it, and give their number.

    What has been answered is kept when the work stops on its way.

    Args:
        root: holds the table.
        wanted: ids, `PMC1`.
        address: of the bucket `pmc-oa-opendata`, https://pmc.ncbi.nlm.nih.gov/tools/cloud.
        get: gives the text at an address; raises `WorkError`.

    Raises:
        WorkError: the service cannot be reached, or answers otherwise than it is known to.
    """
    known = set(table(root)["article"])
    missing = [article for article in wanted if article not in known]
    answers: list[Article] = []
    pool = ThreadPoolExecutor(CONNECTIONS)
    try:
        # a bounded batch at a time, so that an interrupted run has little under way
        for first in range(0, len(missing), FILE_ROWS):
            batch = missing[first : first + FILE_ROWS]
            asked = [pool.submit(ask, article, address, get) for article in batch]
            for done in track(as_completed(asked), len(asked), f"articles {first + 1} to {first + len(batch)}"):
                answer = done.result()
                answers.append(answer)
            _write(root, answers)
            answers = []
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        if answers:
            _write(root, answers)
    return len(missing)


def ask(article: str, address: str, get: Callable[[str], str]) -> Article:
    """Ask PMC for one article, in its latest version.

    The objects are `metadata/PMC<id>.<version>.json`, with `license_code` and `is_retracted`, as
    https://pmc-oa-opendata.s3.amazonaws.com/README.txt has them.

    Raises:
        WorkError: the service cannot be reached, or answers otherwise than it is known to.
    """
    today = date.today().isoformat()
    listed = f"{address}/?list-type=2&prefix=metadata/{article}."
    page = get(listed)
    if "<ListBucketResult" not in page:
        raise WorkError(f"{listed} does not answer as the bucket pmc-oa-opendata does; is a proxy between?")
    versions = re.findall(rf"<Key>metadata/{article}\.(\d+)\.json</Key>", page)
    if not versions:
        return Article(article, "", False, today, listed)
    where = f"{address}/metadata/{article}.{max(versions, key=int)}.json"
    try:
        answer = json.loads(get(where))
        licence, retracted = answer["license_code"], answer["is_retracted"]
    except (ValueError, KeyError, TypeError):
        raise WorkError(f"{where} is not of the known form; has PMC changed its service?") from None
    return Article(article, (licence or "").strip(), bool(retracted), today, where)


def _write(root: Path, answers: list[Article]) -> None:
    numbers = [int(match[1]) for path in _files(root) if (match := re.fullmatch(r"licences-(\d+)\.csv", path.name))]
    path = root / FOLDER / f"licences-{max(numbers, default=-1) + 1:05d}.csv"
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as handle:
        rows = csv.DictWriter(handle, _COLUMNS, lineterminator="\n")
        rows.writeheader()
        for answer in sorted(answers, key=lambda answer: answer.article):
            rows.writerow({**asdict(answer), "retracted": str(answer.retracted).lower()})
