"""Licences of the PubMed Central articles that sources name, requested article by article (`read.articles`)."""

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from datetime import date
from pathlib import Path

from .. import facts
from ..errors import WorkError
from ..progress import track
from ..read import articles
from ..read.articles import Article
from ..record import Record
from ..shards import replacing
from ..sources import layouts

CONNECTIONS = 8
FILE_ROWS = 5000


def article_ids(root: Path) -> list[str]:
    """List the articles that the sources under a root name, sorted; rows with a licence of their own do not count.

    Raises:
        InputError: a file of a source is unusable as a whole.
    """
    sources = [source for source in facts.source_ids() if facts.load(source).article_licences]
    return sorted({article for source in sources for article in _article_ids(source, root / source)})


def _article_ids(source: str, folder: Path) -> Iterator[str]:
    for layout in layouts(source):
        shards = layout.shards(folder) if folder.is_dir() else []
        for shard in track(shards, len(shards), f"{source}: articles") if shards else []:
            for row in layout.read(folder, shard):
                if isinstance(row, Record) and not row.licence and row.group.startswith(f"{articles.GROUP_PREFIX}PMC"):
                    yield row.group.removeprefix(articles.GROUP_PREFIX)


def add_missing(root: Path, wanted: Iterable[str], address: str, get: Callable[[str], str]) -> int:
    """Fetch the articles that the table lacks from PMC, add them to it, and give their number.

    An interrupted run keeps the answers so far.

    Args:
        root: the folder of the table.
        wanted: ids, `PMC1`.
        address: of the bucket `pmc-oa-opendata`, https://pmc.ncbi.nlm.nih.gov/tools/cloud.
        get: downloads the text at an address; raises `WorkError`.

    Raises:
        WorkError: the service cannot be reached, or its answer has an unknown form.
    """
    known = set(articles.load_table(root)["article"])
    missing = [article for article in wanted if article not in known]
    answers: list[Article] = []
    pool = ThreadPoolExecutor(CONNECTIONS)
    try:
        # in bounded batches, so that an interrupted run loses few requests
        for first in range(0, len(missing), FILE_ROWS):
            batch = missing[first : first + FILE_ROWS]
            asked = [pool.submit(fetch_article, article, address, get) for article in batch]
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


def fetch_article(article: str, address: str, get: Callable[[str], str]) -> Article:
    """Fetch the licence of one article, in its latest version, from PMC.

    The objects are `metadata/PMC<id>.<version>.json`, with `license_code` and `is_retracted`, as
    https://pmc-oa-opendata.s3.amazonaws.com/README.txt describes.

    Raises:
        WorkError: the service cannot be reached, or its answer has an unknown form.
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
    numbers = [
        int(match[1])
        for path in articles.table_files(root)
        if (match := re.fullmatch(r"licences-(\d+)\.csv", path.name))
    ]
    path = root / articles.FOLDER / f"licences-{max(numbers, default=-1) + 1:05d}.csv"
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as handle:
        rows = csv.DictWriter(handle, articles.COLUMNS, lineterminator="\n")
        rows.writeheader()
        for answer in sorted(answers, key=lambda answer: answer.article):
            rows.writerow({**asdict(answer), "retracted": str(answer.retracted).lower()})
