"""What upstream writes about a licence -> its id -> its terms -> what may be done with a record.

Ids are those of SPDX (https://spdx.org/licenses), `LicenseRef-...` where SPDX has none.
"""

import re
from dataclasses import dataclass
from itertools import product

from .record import VERDICTS

UNCLEAR = "LicenseRef-unclear"
PHYSIONET = "LicenseRef-PhysioNet-Credentialed-1.5.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a licence allows and asks for.

    Attributes:
        id: SPDX id or `LicenseRef-...`.
        redistribute: copies may be passed on to anyone.
        derivatives: changed copies may be passed on: resized, re-paired, merged into a mix.
        commercial: all of this also for commercial ends.
        share_alike: changed copies must bear the same licence.
        attribution: the authors must be named, or the notice kept.
        credentialed: only for people to whom the owner has given access.
    """

    id: str
    redistribute: bool = True
    derivatives: bool = True
    commercial: bool = True
    share_alike: bool = False
    attribution: bool = True
    credentialed: bool = False


def _creative_commons() -> list[Terms]:
    """Each code in each version; as a `LicenseRef-` without one where upstream gives none, for none is guessed."""
    found = []
    for code, version in product(
        ("BY", "BY-SA", "BY-NC", "BY-NC-SA", "BY-ND", "BY-NC-ND"), ("", "1.0", "2.0", "2.5", "3.0", "4.0")
    ):
        found.append(
            Terms(
                id=f"CC-{code}-{version}" if version else f"LicenseRef-CC-{code}",
                derivatives="ND" not in code,
                commercial="NC" not in code,
                share_alike="SA" in code,
            )
        )
    return found


_NOTHING_ALLOWED = {"redistribute": False, "derivatives": False, "commercial": False}

TERMS = {
    terms.id: terms
    for terms in (
        Terms(id="CC0-1.0", attribution=False),
        *_creative_commons(),
        Terms(id="MIT"),
        Terms(id="Apache-2.0"),
        Terms(id=PHYSIONET, credentialed=True, **_NOTHING_ALLOWED),
        Terms(id=UNCLEAR, **_NOTHING_ALLOWED),
    )
}
"""The terms of every id that `normalise` can give."""


def _key(wording: str) -> str:
    """Reduce a wording to what tells licences apart: `CC BY-NC 4.0` and `cc-by-nc-4.0` are one."""
    words = re.sub(r"[\s_-]+", "-", wording.strip().lower())
    return words.removeprefix("licenseref-").removesuffix("-license")


_IDS = {_key(id_): id_ for id_ in TERMS} | {
    "cc0": "CC0-1.0",  # there is no other version
    "physionet-credentialed-health-data-license-1.5.0": PHYSIONET,
}


def normalise(wording: str) -> str:
    """Give the id for what upstream writes (`CC BY-NC 4.0`, `cc-by-nc-4.0`, an id itself).

    Anything else, `other`, `NO-CC CODE` and "" among it, is `LicenseRef-unclear`: a licence is never guessed.
    """
    return _IDS.get(_key(wording), UNCLEAR)


def verdict(licence_id: str) -> str:
    """Give what may be done under a licence, one of `record.VERDICTS`; `unclear` for unknown ids.

    `redistributable` asks for redistribution, derivatives and commercial use, since a published mix is
    all of them; a licence that allows passing on but lacks one of the others is `research-only`.
    """
    terms = TERMS.get(licence_id, TERMS[UNCLEAR])
    if terms.credentialed:
        return "credentialed"
    if not terms.redistribute:
        return "unclear"
    return "redistributable" if terms.derivatives and terms.commercial else "research-only"


def allowed(licence_id: str, verdict: str, use: str) -> bool:
    """Tell whether a record may be used for `research` or `commercial` ends; publishing is another question.

    Research needs a verdict other than `unclear`. Commercial use needs a licence that allows it and a
    verdict that trusts the licence: `mit` on a card over textbook images is `unclear` all the same.

    Raises:
        ValueError: for another verdict or use.
    """
    if verdict not in VERDICTS or use not in ("research", "commercial"):
        raise ValueError(f"no such verdict or use: {verdict!r}, {use!r}")
    if use == "research":
        return verdict != "unclear"
    return verdict == "redistributable" and TERMS.get(licence_id, TERMS[UNCLEAR]).commercial
