"""The check of the tables that tell of records: pointers, ledger, digests, credits, keys of evaluation items."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ... import facts
from ...describe import attribution
from ...evaluationsets import item_keys
from ...licences import terms
from ...record import REASONS, SPLITS, VERDICTS
from ...write import digests
from .. import pointers, record_digests
from . import records
from .records import Known
from .table_bytes import LEDGER
from .withheld import credentialed_sources, digest_number, is_digest

_SHARD = re.compile(r"restricted/([a-z0-9_]+)/(?:train|validation|test)-\d{5}-of-\d{5}\.parquet")
_OUTCOMES = ("kept", "dropped")

Row = Mapping[str, Any]


def findings(name: str, row: Row, known: Known) -> Iterator[str]:
    """Tell what forbids the publication of a row of a table with this name in the repository."""
    yield from _CHECKS[name.split("/")[0]](row, known)


def _pointer(row: Row, known: Known) -> Iterator[str]:
    place = _SHARD.fullmatch(str(row["shard"]))
    if place is None or place[1] not in facts.source_ids():
        yield "has a shard that no mix has"
    if row["split"] not in SPLITS or row["license"] not in terms.TERMS or row["license_verdict"] not in VERDICTS:
        yield "has a split, licence or verdict that there is not"
    source = place[1] if place else ""
    open_verdicts = ("research-only", "unclear", "redistributable")
    is_secret = source in credentialed_sources() or row["license_verdict"] not in open_verdicts
    clear = [column for column in (*pointers.CLEAR_COLUMNS, "image_sha256") if row[column]]
    if is_secret and clear:
        yield f"contains {', '.join(clear)} of a credentialed record"
    if is_secret and not row["keyed_id"]:
        yield "has a credentialed record without a keyed digest"
    if not is_secret and (row["keyed_id"] or not str(row["id"]).startswith(f"{source}/")):
        yield "has an open record without its id, or with a keyed one"
    yield from _digest_findings([row["keyed_id"], *(row[column] for column in digests.DIGEST_COLUMNS)])
    yield from _digest_findings(row["image_sha256"] or ())
    secret = known.withheld.secret_digests
    if any(records.contains(secret, digest_number(one)) for one in row["image_sha256"] or () if is_digest(one)):
        yield "contains the digest of a credentialed record's image"


def _digest_findings(values: Any) -> Iterator[str]:
    if not all(value is None or is_digest(value) for value in values):
        yield "has a digest that is not 64 hexadecimal digits"


def _ledger_row(row: Row, known: Known) -> Iterator[str]:
    source = row["source"]
    if source not in facts.source_ids():
        yield f"has rows of the unknown source {source!r}"
    elif source in credentialed_sources():
        yield f"has rows of the credentialed source {source}"
    elif not str(row["id"]).startswith(f"{source}/"):
        yield "has a row whose id is not of its source"
    if row["outcome"] not in _OUTCOMES or row["reason"] not in ("", *REASONS) or row["split"] not in ("", *SPLITS):
        yield "has a split, outcome or reason that there is not"


def _item_key(row: Row, known: Known) -> Iterator[str]:
    if str(row["set"]).split(" ")[0] in credentialed_sources():
        yield f"has keys of {row['set']}, a set of a credentialed source"
    yield from _digest_findings([row["key"]])


def _digests(row: Row, known: Known) -> Iterator[str]:
    yield from _index_row(row, known)
    yield from _digest_findings([row[column] for column in digests.DIGEST_COLUMNS])


def _index_row(row: Row, known: Known) -> Iterator[str]:
    if reason := records.refusal_reason(row["id"], row["source"], row["license"], row["license_verdict"]):
        yield f"{records.name(row['id'], row['source'])}: {reason}"


def _record(row: Row, known: Known) -> Iterator[str]:
    for finding in records.findings(row, known):
        yield f"{records.name(row['id'], row['source'])}: {finding}"


_CHECKS: dict[str, Callable[[Row, Known], Iterator[str]]] = {
    "data": _record,
    pointers.FOLDER: _pointer,
    LEDGER: _ledger_row,
    item_keys.NAME: _item_key,
    record_digests.NAME: _digests,
    attribution.NAME: _index_row,
}
"""First part of a file's name -> the check of a row."""
