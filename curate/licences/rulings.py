"""The licence of one record: which statement counts for it, what it says, and where that was read."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from . import terms
from .statements import Licence, Statement


@dataclass(frozen=True, slots=True)
class Ruling:
    """What counts for a record.

    Attributes:
        licence: id of the effective licence, one of `licences.TERMS`.
        verdict: what may be done, one of `record.VERDICTS`.
        upstream: what the original says of this record, as written; "" where it says nothing.
        evidence: where that was read, and why it counts.
        read: the day on which it was read, YYYY-MM-DD; of a row's own wording, when the source was.
    """

    licence: str
    verdict: str
    upstream: str
    evidence: str
    read: str


def rule(
    said: Licence, wording: str, member: str, third_party: str, article: str = "", article_read: str = ""
) -> Ruling:
    """Rule on a record by what its row says.

    A row's own licence counts first, then that of the collection it comes from, then the source's. A figure that its
    caption credits to a third party is unclear whatever the article's licence, and what is credentialed stays so.

    Args:
        said: what is said of the licence of the record's source.
        wording: the licence as the row has it, or "".
        member: the collection that the row names, or "".
        third_party: `third_party.find_credit` of the caption.
        article: the PubMed Central article whose licence the wording is, "" where it is the row's own.
        article_read: the day on which that was read, YYYY-MM-DD.
    """
    ruling = _row_ruling(said, wording, article, article_read) or _member_ruling(said, member) or _source_ruling(said)
    if third_party and ruling.verdict in ("redistributable", "research-only"):
        evidence = f"the caption credits a third party ({third_party!r}), which {ruling.licence} does not cover"
        return Ruling(terms.UNCLEAR, "unclear", ruling.upstream, evidence, ruling.read)
    return ruling


def _row_ruling(said: Licence, wording: str, article: str, article_read: str) -> Ruling | None:
    if not wording or said.verdict == "credentialed":
        return None
    licence = terms.normalise(wording)
    evidence = f"the licence of {article} in PubMed Central" if article else "the row's own licence"
    read = article_read or said.upstream.read
    return Ruling(licence, terms.verdict(licence), wording, evidence, read)


def _member_ruling(said: Licence, member: str) -> Ruling | None:
    statement = member_statement(said, member)
    if statement is None or said.verdict == "credentialed":
        return None
    evidence = f"{member}: {statement.evidence}"
    return Ruling(statement.id, terms.verdict(statement.id), statement.wording, evidence, statement.read)


def member_statement(said: Licence, member: str) -> Statement | None:
    """Give what is said of a collection inside a source: that of the first pattern which its name fits."""
    found = (statement for pattern, statement in said.members.items() if fnmatchcase(member, pattern))
    return next(found, None) if member else None


def _source_ruling(said: Licence) -> Ruling:
    effective = said.effective
    return Ruling(effective.id, effective.verdict, said.upstream.wording, effective.evidence, effective.read)
