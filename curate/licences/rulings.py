"""The licence of one record: which statement counts for it, its verdict, and the evidence."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from . import terms
from .statements import Licence, Statement


@dataclass(frozen=True, slots=True)
class Ruling:
    """The licence that counts for a record.

    Attributes:
        licence: id of the effective licence, one of `terms.TERMS`.
        verdict: what may be done, one of `record.VERDICTS`.
        upstream: the original's licence text for this record; "" where there is none.
        evidence: where that was read, and why it counts.
        read: the day on which it was read, YYYY-MM-DD; for a row's own licence, the day of the source's statement.
    """

    licence: str
    verdict: str
    upstream: str
    evidence: str
    read: str


def rule(
    source: Licence, license_text: str, member: str, third_party: str, article: str = "", article_read: str = ""
) -> Ruling:
    """Rule on the licence of a record.

    A row's own licence counts first, then its collection's, then the source's. A figure that its caption credits to a
    third party is unclear whatever the article's licence. Records of credentialed sources stay credentialed.

    Args:
        source: the licence block of the record's source.
        license_text: the licence as the row states it, or "".
        member: the collection that the row names, or "".
        third_party: `third_party.find_credit` of the caption.
        article: the PubMed Central article that the text belongs to, "" where it is the row's own.
        article_read: the day on which the article's licence was read, YYYY-MM-DD.
    """
    ruling = (
        _row_ruling(source, license_text, article, article_read)
        or _member_ruling(source, member)
        or _source_ruling(source)
    )
    if third_party and ruling.verdict in ("redistributable", "research-only"):
        evidence = f"the caption credits a third party ({third_party!r}), which {ruling.licence} does not cover"
        return Ruling(terms.UNCLEAR, "unclear", ruling.upstream, evidence, ruling.read)
    return ruling


def _row_ruling(source: Licence, license_text: str, article: str, article_read: str) -> Ruling | None:
    if not license_text or source.verdict == "credentialed":
        return None
    licence = terms.normalise(license_text)
    evidence = f"the licence of {article} in PubMed Central" if article else "the row's own licence"
    read = article_read or source.upstream.read
    return Ruling(licence, terms.verdict(licence), license_text, evidence, read)


def _member_ruling(source: Licence, member: str) -> Ruling | None:
    statement = member_statement(source, member)
    if statement is None or source.verdict == "credentialed":
        return None
    evidence = f"{member}: {statement.evidence}"
    return Ruling(statement.id, terms.verdict(statement.id), statement.license_text, evidence, statement.read)


def member_statement(source: Licence, member: str) -> Statement | None:
    """Give the statement on a collection inside a source: that of the first pattern that matches its name."""
    found = (statement for pattern, statement in source.members.items() if fnmatchcase(member, pattern))
    return next(found, None) if member else None


def _source_ruling(source: Licence) -> Ruling:
    effective = source.effective
    return Ruling(effective.id, effective.verdict, source.upstream.license_text, effective.evidence, effective.read)
