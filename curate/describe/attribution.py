"""ATTRIBUTION.md: the required credit for each kept record.

Creative Commons BY requires the creators, the source, the licence and a note of changes; a link to this information
satisfies it where reasonable (https://creativecommons.org/licenses/by/4.0/legalcode, section 3(a)). The records of a
PubMed Central article share one line.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ..licences import spdx
from ..write.manifest import shards_of
from .text_counter import TextCounter

_BATCH_ROWS = 8192
_PMC = re.compile(r"(PMC\d+)\b")
_PMID = re.compile(r"PMID (\d+)\b")

HEAD = """# Attribution

The required credits for the records of this mix, by source and licence. Each record has its credit in the column
`attribution`. Images are unchanged unless the card says otherwise. Control characters were removed from texts, and
texts were formatted as conversations.
"""


def lines(mix: Path, document: Mapping[str, Any]) -> Iterator[str]:
    """Yield the text in pieces; memory use does not grow with the number of records or articles."""
    yield HEAD
    for source, entry in sorted(document["sources"].items()):
        shards = [shard for shard in shards_of(document) if shard.split("/")[1] == source]
        if not shards:
            continue
        facts = entry["facts"]
        yield f"\n## {facts['title']}\n\n{facts['attribution']}\n"
        yield from _credits(mix, shards, facts["attribution"])


def _credits(mix: Path, shards: Sequence[str], source_credit: str) -> Iterator[str]:
    with TextCounter() as counter:
        for shard in shards:
            columns = ["license", "license_verdict", "attribution"]
            for batch in pq.ParquetFile(mix / shard).iter_batches(batch_size=_BATCH_ROWS, columns=columns):
                rows = zip(*(batch[column].to_pylist() for column in columns), strict=True)
                credits = (f"{licence}\t{_credit(credit, verdict, source_credit)}" for licence, verdict, credit in rows)
                counter.add(Counter(credits))
        previous = None
        for text, count in counter:
            licence, _, credit = text.partition("\t")
            if licence != previous:
                yield f"\n### {_licence_link(licence)}\n\n"
                previous = licence
            yield f"- {credit or 'the source as a whole'}: {count} record{'s' if count > 1 else ''}\n"


def _credit(attribution: str, verdict: str, source_credit: str) -> str:
    """Return the credit of a record beyond its source's, or ""; always "" for credentialed records."""
    credit = attribution.removesuffix(source_credit).removesuffix("; ")
    if verdict == "credentialed":
        return ""
    if article := _PMC.match(credit):
        return f"[{article[1]}](https://pmc.ncbi.nlm.nih.gov/articles/{article[1]}/)"
    if article := _PMID.match(credit):
        return f"[PMID {article[1]}](https://pubmed.ncbi.nlm.nih.gov/{article[1]}/)"
    return " ".join(credit.split()).replace("<", "&lt;")


def _licence_link(licence: str) -> str:
    url = spdx.url(licence)
    return f"[{licence}]({url})" if url else licence
