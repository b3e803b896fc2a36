"""A licence text as upstream writes it -> its id -> its terms -> a verdict on what may be done with a record.

The terms are in `recipes/licences.yaml`. Ids are those of SPDX (https://spdx.org/licenses), `LicenseRef-...` where
SPDX has none.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal

from ..config import parse, read_yaml, yaml_path
from ..record import VERDICTS

UNCLEAR = "LicenseRef-unclear"

Permission = Literal["redistribute", "derivatives", "commercial"]
Duty = Literal["attribution", "share-alike", "agreement", "credentialed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The permissions and duties of a licence.

    Attributes:
        id: SPDX id or `LicenseRef-...`.
        redistribute: copies may be passed on to anyone.
        derivatives: changed copies may be passed on: resized, re-paired, merged into a mix.
        commercial: all of this also for commercial ends.
        attribution: the authors must be named, or the notice kept.
        share_alike: changed copies must bear the same licence.
        agreement: a use agreement must be accepted first.
        credentialed: only for people to whom the owner has given access.
    """

    id: str
    redistribute: bool
    derivatives: bool
    commercial: bool
    attribution: bool
    share_alike: bool
    agreement: bool
    credentialed: bool


PERMISSIONS = ("redistribute", "derivatives", "commercial")
DUTIES = ("attribution", "share_alike", "agreement", "credentialed")


@dataclass(frozen=True, slots=True)
class _LicenceEntry:
    RENAMED: ClassVar[dict[str, str]] = {"wordings": "license_texts"}

    allows: tuple[Permission, ...]
    asks: tuple[Duty, ...]
    license_texts: tuple[str, ...] = ()

    def terms(self, id_: str) -> Terms:
        asked = {duty: duty.replace("_", "-") in self.asks for duty in DUTIES}
        return Terms(id=id_, **{name: name in self.allows for name in PERMISSIONS}, **asked)


@dataclass(frozen=True, slots=True)
class _Family:
    versions: tuple[str, ...]
    licences: dict[str, _LicenceEntry]


@dataclass(frozen=True, slots=True)
class _Table:
    creative_commons: _Family
    licences: dict[str, _LicenceEntry]
    unclear: tuple[str, ...]

    def terms(self) -> dict[str, Terms]:
        family = self.creative_commons
        versions = [
            entry.terms(f"{name}-{version}" if version else f"LicenseRef-{name}")
            for name, entry in family.licences.items()
            for version in ("", *family.versions)
        ]
        return {terms.id: terms for terms in (*versions, *(entry.terms(id_) for id_, entry in self.licences.items()))}


_TABLE = parse(_Table, read_yaml(yaml_path("recipes", "licences")), "licences.yaml")

TERMS: Mapping[str, Terms] = MappingProxyType(_TABLE.terms())
"""The terms of every id that `normalise` can give."""

_CC_ADDRESS = re.compile(r"(?:https?://)?(?:www\.)?creativecommons\.org/(?:licenses|publicdomain)/([a-z-]+)/([\d.]+)")
_CC_ADDRESS_END = re.compile(r"/?(?:deed|legalcode)?(?:\.[a-z]{2})?")
_CC_WORDS = {
    "creative-commons-": "cc-",
    "non-commercial": "nc",
    "noncommercial": "nc",
    "share-alike": "sa",
    "sharealike": "sa",
    "no-derivatives": "nd",
    "noderivatives": "nd",
    "no-derivs": "nd",
    "noderivs": "nd",
    "attribution": "by",
}
_CC_VERSION_NAMES = (r"(1\.0|2\.0|2\.5)-generic", r"(3\.0)-unported", r"(4\.0)-international", r"^(cc0-1\.0)-universal")
"""Names that Creative Commons adds to its versions; a port to another country is another licence."""


def table_digest() -> str:
    """Digest the table of terms, on which all rulings depend, 64 hex digits."""
    return hashlib.sha256(yaml_path("recipes", "licences").read_bytes()).hexdigest()


def _normal_form(license_text: str) -> str:
    """Reduce a licence text to the parts that identify it: `CC BY-NC 4.0` and `cc-by-nc-4.0` become equal."""
    words = re.sub(r"[\s_-]+", "-", license_text.strip().lower())
    address = _CC_ADDRESS.match(words)
    if address and _CC_ADDRESS_END.fullmatch(words[address.end() :]):
        return f"cc0-{address[2]}" if address[1] == "zero" else f"cc-{address[1]}-{address[2]}"
    if words.startswith("attribution-"):
        words = f"cc-{words}"
    if words.startswith(("creative-commons-", "cc-attribution-")):
        for name, code in _CC_WORDS.items():
            words = words.replace(name, code)
    words = words.removeprefix("licenseref-").removesuffix("-license")
    for pattern in _CC_VERSION_NAMES:
        words = re.sub(f"{pattern}$", r"\1", words)
    return words


_IDS = {_normal_form(id_): id_ for id_ in TERMS} | {
    _normal_form(text): id_ for id_, entry in _TABLE.licences.items() for text in entry.license_texts
}
_UNCLEAR_TEXTS = {"", *(_normal_form(text) for text in _TABLE.unclear)}


def normalise(license_text: str) -> str:
    """Give the id of a licence text (`CC BY-NC 4.0`, `cc-by-nc-4.0`, an id itself).

    Any other text, `other`, `NO-CC CODE` and "" included, is `LicenseRef-unclear`: a licence is never guessed.
    """
    return _IDS.get(_normal_form(license_text), UNCLEAR)


def is_known(license_text: str) -> bool:
    """Tell whether `recipes/licences.yaml` lists a licence text, as a licence or as unclear."""
    return _normal_form(license_text) in _IDS or _normal_form(license_text) in _UNCLEAR_TEXTS


def terms_of(licence_id: str) -> Terms:
    """Give the terms of a licence; those of `LicenseRef-unclear` for unknown ids."""
    return TERMS.get(licence_id, TERMS[UNCLEAR])


def verdict(licence_id: str) -> str:
    """Give the verdict on a licence, one of `record.VERDICTS`; `unclear` for unknown ids.

    `redistributable` requires redistribution, derivatives and commercial use, since a published mix is
    all of them; a licence that lacks one of them, or requires an agreement first, is `research-only`.
    """
    terms = terms_of(licence_id)
    if terms.credentialed:
        return "credentialed"
    if terms.id == UNCLEAR:
        return "unclear"
    free = terms.redistribute and terms.derivatives and terms.commercial and not terms.agreement
    return "redistributable" if free else "research-only"


def is_allowed(licence_id: str, verdict: str, use: str) -> bool:
    """Tell whether a record may be used for `research` or `commercial` ends; publishing is not covered.

    Research needs a verdict other than `unclear`. Commercial use needs a licence that allows it and a
    verdict that trusts the licence: `mit` on a card over textbook images is still `unclear`.

    Raises:
        ValueError: for another verdict or use.
    """
    if verdict not in VERDICTS or use not in ("research", "commercial"):
        raise ValueError(f"no such verdict or use: {verdict!r}, {use!r}")
    if use == "research":
        return verdict != "unclear"
    return verdict == "redistributable" and terms_of(licence_id).commercial


def laxer_terms(licence_id: str, than: str) -> list[str]:
    """List the terms in which one licence is laxer than another; `LicenseRef-unclear` only lacks credentials.

    Both are ids of `TERMS`.
    """
    mine, other = TERMS[licence_id], TERMS[than]
    permitted = [name for name in PERMISSIONS if getattr(mine, name) and not getattr(other, name)]
    duties = ("credentialed",) if licence_id == UNCLEAR else DUTIES
    return permitted + [name for name in duties if getattr(other, name) and not getattr(mine, name)]
