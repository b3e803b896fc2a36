"""The effective terms of a whole mix: which uses are allowed for which records, what blocks the rest, which duties."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from .terms import DUTIES, PERMISSIONS, is_allowed, terms_of

USES = {
    "research": "train on it for research",
    "commercial": "train on it for commercial ends",
    "copies": "pass copies on unchanged",
    "publish": "publish it in a mix, changed, for any end",
}
"""The uses of a mix that are judged."""


@dataclass(frozen=True, slots=True)
class SourceLicence:
    """Records of one source under one licence."""

    source: str
    licence: str
    verdict: str
    records: int


def summary(holdings: Sequence[SourceLicence]) -> dict[str, Any]:
    """Give the effective terms of a mix as plain data.

    Keys: `records`; `holdings`, each with the terms of its licence; `uses`, for how many records each of `USES` is
    allowed and what blocks the others; `duties`, how many records require each; `not_combinable`, the pairs of
    licences whose material cannot go into one adapted work.
    """
    licences = sorted({holding.licence for holding in holdings})
    return {
        "records": _count_records(holdings),
        "holdings": [{**asdict(holding), **_terms(holding.licence)} for holding in holdings],
        "uses": [_summarise_use(use, holdings) for use in USES],
        "duties": [_summarise_duty(duty, holdings) for duty in DUTIES],
        "not_combinable": [
            {"licences": [one, other], "why": why}
            for one, other in combinations(licences, 2)
            if (why := conflict(one, other))
        ],
    }


def _count_records(holdings: Sequence[SourceLicence]) -> int:
    return sum(holding.records for holding in holdings)


def _terms(licence: str) -> dict[str, bool]:
    return {name: getattr(terms_of(licence), name) for name in (*PERMISSIONS, *DUTIES)}


def _summarise_use(use: str, holdings: Sequence[SourceLicence]) -> dict[str, Any]:
    blocked: dict[tuple[str, str], list[SourceLicence]] = {}
    for holding in holdings:
        why = obstacle(use, holding.licence, holding.verdict)
        if why:
            blocked.setdefault((holding.licence, why), []).append(holding)
    refused = sum(_count_records(found) for found in blocked.values())
    return {
        "use": use,
        "what": USES[use],
        "allowed": _count_records(holdings) - refused,
        "blocked": refused,
        "blocked_by": [
            {
                "licence": licence,
                "why": why,
                "records": _count_records(found),
                "sources": sorted({holding.source for holding in found}),
            }
            for (licence, why), found in sorted(blocked.items())
        ],
    }


def obstacle(use: str, licence: str, verdict: str) -> str:
    """Give the reason against a use of `USES` for records of a licence and verdict; "" where there is none."""
    terms = terms_of(licence)
    if verdict == "unclear":
        return "what may be done with it is unclear"
    if use in ("research", "commercial") and is_allowed(licence, verdict, use):
        return ""
    if verdict == "credentialed":
        return "only for people to whom the owner has given access"
    forbidden = {
        "no redistribution": use in ("copies", "publish") and not terms.redistribute,
        "no changed copies": use in ("commercial", "publish") and not terms.derivatives,
        "no commercial use": use in ("commercial", "publish") and not terms.commercial,
        "a use agreement": use != "research" and terms.agreement,
    }
    return ", ".join(why for why, applies in forbidden.items() if applies)


def _summarise_duty(duty: str, holdings: Sequence[SourceLicence]) -> dict[str, Any]:
    asking = [holding for holding in holdings if getattr(terms_of(holding.licence), duty)]
    return {
        "duty": duty,
        "records": _count_records(asking),
        "licences": sorted({holding.licence for holding in asking}),
    }


def conflict(one: str, other: str) -> str:
    """Give the reason why material under two licences cannot be combined into one adapted work; "" where it can.

    A work adapted from share-alike material bears that licence, or a later version of it (Creative Commons, from
    2.0 on). So two such licences must have a version in common, and it must not permit what the other licence
    reserves. ND material and material of unknown terms allow no adapted work at all, so they form no pairs.
    """
    first, second = terms_of(one), terms_of(other)
    if one == other or not (first.derivatives and second.derivatives):
        return ""
    if first.share_alike and second.share_alike:
        return _share_alike_conflict(one, other)
    for sharing, free in ((first, second), (second, first)):
        if sharing.share_alike and sharing.commercial and not free.commercial:
            return f"the work would bear {sharing.id}, which allows the commercial use that {free.id} forbids"
    return ""


def _share_alike_conflict(one: str, other: str) -> str:
    if _family(one) != _family(other):
        return "each asks that the work bear itself and no other"
    versions = {_version(one), _version(other)}
    if "" in versions:
        return "one of them names no version, so that no common one can be shown"
    if "1.0" in versions:
        return "version 1.0 allows no later version"
    return ""


def _family(licence: str) -> str:
    return licence.removeprefix("LicenseRef-").removesuffix(f"-{_version(licence)}")


def _version(licence: str) -> str:
    """Give the version at an id's end, "" for the ids of licences without one."""
    last = licence.rpartition("-")[2]
    return last if last[:1].isdigit() else ""
