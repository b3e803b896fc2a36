"""What is said of a source's licence, by whom and where, and what follows: the `licence:` block of its facts."""

from dataclasses import dataclass, field
from typing import Literal

from ..config import is_iso_date, nearest
from . import terms


@dataclass(frozen=True, slots=True)
class Statement:
    """What somebody says about a licence.

    Attributes:
        wording: as it is written; "" where nothing is said.
        evidence: where it says so, and what else to know of it.
        read: the day on which that was read, YYYY-MM-DD.
        licence: `LicenseRef-unclear` for a wording that names a licence of no use or none; "" for the wording's own.
    """

    wording: str
    evidence: str
    read: str
    licence: str = ""

    @property
    def id(self) -> str:
        """The id of the licence, one of `terms.TERMS`."""
        return self.licence or terms.normalise(self.wording)


@dataclass(frozen=True, slots=True)
class Effective:
    """What counts: the most restrictive licence on the way from the original to here.

    Attributes:
        id: SPDX id or `LicenseRef-...`, one of `terms.TERMS`.
        verdict: what may be done with a record; may be `unclear` against the licence, never laxer.
        evidence: why this one.
        read: the day on which that was found, YYYY-MM-DD.
    """

    id: str
    verdict: Literal["redistributable", "research-only", "credentialed", "unclear"]
    evidence: str
    read: str


@dataclass(frozen=True, slots=True)
class Licence:
    """Under which licence a source stands: who says what, and what follows.

    Attributes:
        declared: what the Hub card says of the copy.
        upstream: what the original says: its repository, archive or owner.
        effective: what follows from both; never laxer than the stricter of them.
        per_record: single records have licences of their own, which count before this one.
        members: by the name that rows give to the collection they come from, its licence, which counts before
            `effective`; rows of other collections have `effective`.
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
    """Name what is wrong with what facts say of a licence, one line each, from `licence.` on."""
    said = {"declared": licence.declared, "upstream": licence.upstream}
    said |= {f"members.{name}": statement for name, statement in licence.members.items()}
    found = []
    for name, statement in said.items():
        found += [f"licence.{name}.{problem}" for problem in _statement_problems(statement)]
    found += [f"licence.effective.{problem}" for problem in _effective_problems(licence)]
    return found


def _statement_problems(statement: Statement) -> list[str]:
    problems = _evidence_problems(statement)
    if statement.licence not in ("", terms.UNCLEAR):
        problems.append(f"licence: may only be {terms.UNCLEAR}; what the wording says is found by itself")
    if not statement.licence and not terms.is_known(statement.wording):
        problems.append(
            f"wording: {statement.wording!r} is not known{nearest(statement.wording, terms.TERMS)}; "
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
    said = {name: getattr(licence, name) for name in ("declared", "upstream")}
    spoken = {name: statement for name, statement in said.items() if statement.wording}
    if not spoken and effective.id != terms.UNCLEAR:
        problems.append(f"id: is {effective.id}, but neither declared nor upstream says anything")
    problems += [
        f"id: {effective.id} is laxer than {name} ({statement.id}): {', '.join(found)}"
        for name, statement in spoken.items()
        if effective.verdict != "unclear" and (found := terms.laxer_terms(effective.id, statement.id))
    ]
    return problems


def _evidence_problems(said: Statement | Effective) -> list[str]:
    problems = [] if said.evidence.strip() else ["evidence: is empty; say where that was read"]
    if not is_iso_date(said.read):
        problems.append(f"read: {said.read!r} is no day; write YYYY-MM-DD")
    return problems
