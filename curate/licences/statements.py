"""The `licence:` block of a source's facts: who states which licence, where, and the effective one."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from ..config import is_iso_date, nearest
from . import terms


@dataclass(frozen=True, slots=True)
class Statement:
    """One party's statement of a licence.

    Attributes:
        license_text: the licence as written; "" where none is stated.
        evidence: where it is stated, and further remarks.
        read: the day on which the statement was read, YYYY-MM-DD.
        licence: `LicenseRef-unclear` where the text names no usable licence; "" for the licence that the text names.
    """

    RENAMED: ClassVar[dict[str, str]] = {"wording": "license_text"}

    license_text: str
    evidence: str
    read: str
    licence: str = ""

    @property
    def id(self) -> str:
        """The id of the licence, one of `terms.TERMS`."""
        return self.licence or terms.normalise(self.license_text)


@dataclass(frozen=True, slots=True)
class Effective:
    """The licence that counts: the most restrictive one on the way from the original to the copy.

    Attributes:
        id: SPDX id or `LicenseRef-...`, one of `terms.TERMS`.
        verdict: what may be done with a record; may be `unclear` in spite of the licence, never laxer.
        evidence: why this licence counts.
        read: the day on which the evidence was read, YYYY-MM-DD.
    """

    id: str
    verdict: Literal["redistributable", "research-only", "credentialed", "unclear"]
    evidence: str
    read: str


@dataclass(frozen=True, slots=True)
class Licence:
    """The licence of a source: all statements, and the effective licence.

    Attributes:
        declared: the statement of the Hub card of the copy.
        upstream: the statement of the original: its repository, archive or owner.
        effective: the licence that follows from both; never laxer than the stricter of them.
        per_record: single records have licences of their own, which take precedence.
        members: licences of collections inside the source, by the collection's name in the rows; they take
            precedence over `effective`, which rows of other collections have.
    """

    declared: Statement
    upstream: Statement
    effective: Effective
    per_record: bool = False
    members: dict[str, Statement] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The id of the effective licence."""
        return self.effective.id

    @property
    def verdict(self) -> str:
        """The verdict on records that have no licence of their own."""
        return self.effective.verdict


def problems(licence: Licence) -> list[str]:
    """List the problems of a licence block, one line each, beginning with the key, `licence.`."""
    statements = {"declared": licence.declared, "upstream": licence.upstream}
    statements |= {f"members.{name}": statement for name, statement in licence.members.items()}
    found = []
    for name, statement in statements.items():
        found += [f"licence.{name}.{problem}" for problem in _statement_problems(statement)]
    found += [f"licence.effective.{problem}" for problem in _effective_problems(licence)]
    return found


def _statement_problems(statement: Statement) -> list[str]:
    problems = _evidence_problems(statement)
    if statement.licence not in ("", terms.UNCLEAR):
        problems.append(f"licence: may only be {terms.UNCLEAR}; other ids are derived from license_text")
    if not statement.licence and not terms.is_known(statement.license_text):
        problems.append(
            f"license_text: {statement.license_text!r} is not known{nearest(statement.license_text, terms.TERMS)}; "
            f"add it to recipes/licences.yaml, or set licence: {terms.UNCLEAR}"
        )
    return problems


def _effective_problems(licence: Licence) -> list[str]:
    effective = licence.effective
    problems = _evidence_problems(effective)
    if effective.id not in terms.TERMS:
        return [*problems, f"id: {effective.id!r} is unknown{nearest(effective.id, terms.TERMS)}"]
    if effective.verdict not in (terms.verdict(effective.id), "unclear"):
        problems.append(f"verdict: is {effective.verdict}, but {effective.id} is {terms.verdict(effective.id)}")
    both = {"declared": licence.declared, "upstream": licence.upstream}
    stated = {name: statement for name, statement in both.items() if statement.license_text}
    if not stated and effective.id != terms.UNCLEAR:
        problems.append(f"id: is {effective.id}, but neither declared nor upstream states a licence")
    problems += [
        f"id: {effective.id} is laxer than {name} ({statement.id}): {', '.join(found)}"
        for name, statement in stated.items()
        if effective.verdict != "unclear" and (found := terms.laxer_terms(effective.id, statement.id))
    ]
    return problems


def _evidence_problems(entry: Statement | Effective) -> list[str]:
    problems = [] if entry.evidence.strip() else ["evidence: is empty; say where it was read"]
    if not is_iso_date(entry.read):
        problems.append(f"read: {entry.read!r} is not a date; write YYYY-MM-DD")
    return problems
