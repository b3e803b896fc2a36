"""Licence texts as upstreams write them, and the promise that a licence is never guessed."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medmix.curate.config import parse
from medmix.curate.errors import UsageError
from medmix.curate.licences import terms
from medmix.curate.licences.terms import TERMS, is_allowed, is_known, laxer_terms, normalise, verdict
from medmix.curate.record import VERDICTS

PHYSIONET = "LicenseRef-PhysioNet-Credentialed-1.5.0"


@pytest.mark.parametrize(
    ("license_text", "licence", "expected"),
    [
        ("CC0", "CC0-1.0", "redistributable"),
        ("cc0-1.0", "CC0-1.0", "redistributable"),
        ("CC BY", "LicenseRef-CC-BY", "redistributable"),
        ("CC BY-SA", "LicenseRef-CC-BY-SA", "redistributable"),
        ("CC BY-NC", "LicenseRef-CC-BY-NC", "research-only"),
        ("CC BY-NC-SA", "LicenseRef-CC-BY-NC-SA", "research-only"),
        ("CC BY-NC-ND", "LicenseRef-CC-BY-NC-ND", "research-only"),
        ("CC BY-ND", "LicenseRef-CC-BY-ND", "research-only"),
        ("CC BY 4.0", "CC-BY-4.0", "redistributable"),
        ("cc-by-2.0", "CC-BY-2.0", "redistributable"),
        ("CC_BY_SA_3.0", "CC-BY-SA-3.0", "redistributable"),
        (" CC  BY-NC 4.0 ", "CC-BY-NC-4.0", "research-only"),
        ("cc-by-nc-4.0", "CC-BY-NC-4.0", "research-only"),
        ("CC-BY-NC-4.0", "CC-BY-NC-4.0", "research-only"),
        ("cc-by-nc-nd-4.0", "CC-BY-NC-ND-4.0", "research-only"),
        ("mit", "MIT", "redistributable"),
        ("MIT License", "MIT", "redistributable"),
        ("apache-2.0", "Apache-2.0", "redistributable"),
        ("Apache License 2.0", "Apache-2.0", "redistributable"),
        ("https://creativecommons.org/licenses/by-nc-sa/4.0/", "CC-BY-NC-SA-4.0", "research-only"),
        ("http://creativecommons.org/licenses/by/4.0/deed.en", "CC-BY-4.0", "redistributable"),
        ("https://creativecommons.org/publicdomain/zero/1.0/", "CC0-1.0", "redistributable"),
        ("https://creativecommons.org/licenses/by/3.0/igo/", "LicenseRef-unclear", "unclear"),
        ("Creative Commons Attribution-NonCommercial 4.0 International", "CC-BY-NC-4.0", "research-only"),
        ("Creative Commons Attribution License", "LicenseRef-CC-BY", "redistributable"),
        ("Attribution-ShareAlike 3.0 Unported", "CC-BY-SA-3.0", "redistributable"),
        ("CC0 1.0 Universal", "CC0-1.0", "redistributable"),
        ("CC BY 3.0 DE", "LicenseRef-unclear", "unclear"),
        ("ODbL", "ODbL-1.0", "redistributable"),
        ("PhysioNet Credentialed Health Data License 1.5.0", PHYSIONET, "credentialed"),
        ("PhysioNet Credentialed Health Data License 1.6.0", "LicenseRef-unclear", "unclear"),
        ("NO-CC CODE", "LicenseRef-unclear", "unclear"),
        ("other", "LicenseRef-unclear", "unclear"),
        ("unknown", "LicenseRef-unclear", "unclear"),
        ("", "LicenseRef-unclear", "unclear"),
        ("cc", "LicenseRef-unclear", "unclear"),
        ("CC BY 5.0", "LicenseRef-unclear", "unclear"),
        ("CC BY-SA-NC", "LicenseRef-unclear", "unclear"),
        ("CC BY or CC0", "LicenseRef-unclear", "unclear"),
    ],
)
def test_license_texts(license_text: str, licence: str, expected: str) -> None:
    assert normalise(license_text) == licence
    assert verdict(licence) == expected


def test_terms_follow_the_letters() -> None:
    terms = TERMS["LicenseRef-CC-BY-NC-SA"]
    assert (terms.redistribute, terms.derivatives, terms.commercial, terms.share_alike) == (True, True, False, True)
    assert not TERMS["CC-BY-ND-4.0"].derivatives and TERMS["CC-BY-ND-4.0"].commercial
    assert TERMS["CC-BY-4.0"].attribution and not TERMS["CC0-1.0"].attribution
    assert [id_ for id_, terms in TERMS.items() if terms.credentialed] == [PHYSIONET]
    assert [id_ for id_, terms in TERMS.items() if terms.agreement] == [PHYSIONET]
    sharing = {id_ for id_, terms in TERMS.items() if terms.share_alike}
    assert sharing == {id_ for id_ in TERMS if "-SA" in id_} | {"ODbL-1.0"}


@pytest.mark.parametrize("licence", TERMS)
def test_an_id_is_its_own_wording(licence: str) -> None:
    assert normalise(licence) == licence == TERMS[licence].id


@given(st.text() | st.sampled_from(sorted(TERMS)))
def test_any_text_gets_a_verdict_and_only_known_license_texts_more_than_unclear(text: str) -> None:
    assert verdict(text) in VERDICTS
    assert normalise(text) in TERMS
    assert (verdict(text) == "unclear") == (text not in TERMS or text == "LicenseRef-unclear")


def test_ids_are_those_of_spdx() -> None:
    spdx = pytest.importorskip("license_expression").get_spdx_licensing()
    own = {id_ for id_ in TERMS if id_.startswith("LicenseRef-")}
    assert len(own) == 8
    assert [id_ for id_ in TERMS if id_ not in own and spdx.validate(id_).errors] == []
    assert spdx.validate("CC-BY-5.0").errors


def test_the_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        TERMS["MIT"] = TERMS["CC0-1.0"]


def test_the_former_key_of_a_licences_texts_is_named() -> None:
    entry = {"allows": [], "asks": [], "wordings": ["CC0"]}
    with pytest.raises(UsageError, match="wordings: is now called 'license_texts'"):
        parse(terms._LicenceEntry, entry, "licences.yaml")


@pytest.mark.parametrize("license_text", ["CC BY", "NO-CC CODE", "other", "", " Unknown ", "cc-by-4.0"])
def test_license_texts_that_the_table_knows(license_text: str) -> None:
    assert is_known(license_text)


@pytest.mark.parametrize("license_text", ["CC BY 5.0", "open", "CC BY-SA-NC", "CC BY or CC0"])
def test_license_texts_that_it_does_not(license_text: str) -> None:
    assert not is_known(license_text)


def test_the_terms_in_which_a_licence_is_laxer() -> None:
    assert laxer_terms("CC-BY-4.0", "CC-BY-NC-SA-4.0") == ["commercial", "share_alike"]
    assert laxer_terms("CC-BY-NC-SA-4.0", "CC-BY-4.0") == []
    assert laxer_terms("CC0-1.0", "MIT") == ["attribution"]
    assert laxer_terms("LicenseRef-unclear", "CC-BY-SA-4.0") == []
    assert laxer_terms("LicenseRef-unclear", PHYSIONET) == ["credentialed"]


def test_what_may_not_be_changed_may_not_be_published() -> None:
    unchangeable = [id_ for id_, terms in TERMS.items() if terms.redistribute and not terms.derivatives]
    assert len(unchangeable) == 12
    assert {verdict(id_) for id_ in unchangeable} == {"research-only"}


@pytest.mark.parametrize(
    ("licence", "said", "commercial"),
    [
        ("MIT", "redistributable", True),
        ("MIT", "unclear", False),
        ("CC-BY-NC-4.0", "research-only", False),
        ("CC-BY-NC-4.0", "redistributable", False),
        (PHYSIONET, "credentialed", False),
        ("LicenseRef-unclear", "unclear", False),
        ("LicenseRef-unheard-of", "redistributable", False),
    ],
)
def test_allowed(licence: str, said: str, commercial: bool) -> None:
    assert is_allowed(licence, said, "commercial") is commercial
    assert is_allowed(licence, said, "research") is (said != "unclear")


@pytest.mark.parametrize(("said", "use"), [("redistributable", "fun"), ("free", "research")])
def test_allowed_refuses_other_words(said: str, use: str) -> None:
    with pytest.raises(ValueError, match="no such verdict or use"):
        is_allowed("MIT", said, use)


def test_every_licence_of_roco_is_known(real_data: Path) -> None:
    found: Counter[str] = Counter()
    for path in (real_data / "roco" / "data").glob("*/*/licences.txt"):
        rows = path.read_text(encoding="utf-8").splitlines()[1:]
        found.update(normalise(row.rpartition(",")[2]) for row in rows)
    assert found == {"LicenseRef-CC-BY": 908, "CC0-1.0": 2}
