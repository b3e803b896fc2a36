"""Which statement on a record's licence counts, and where it says that it was read."""

import pytest

from medmix.curate import facts
from medmix.curate.licences import terms
from medmix.curate.licences.rulings import Ruling, rule


@pytest.mark.parametrize(
    ("source", "wording", "member", "credit", "licence", "verdict"),
    [
        ("roco", "CC BY", "", "", "LicenseRef-CC-BY", "redistributable"),
        ("roco", "CC BY-NC-ND", "", "", "LicenseRef-CC-BY-NC-ND", "research-only"),
        ("roco", "NO-CC CODE", "", "", "LicenseRef-unclear", "unclear"),
        ("roco", "CC BY 9.0", "", "", "LicenseRef-unclear", "unclear"),
        ("roco", "", "", "", "LicenseRef-unclear", "unclear"),
        ("roco", "CC BY", "", "courtesy of Dr X", "LicenseRef-unclear", "unclear"),
        ("pmc_oa", "CC BY-NC", "", "© 2010 Elsevier", "LicenseRef-unclear", "unclear"),
        ("pmc_vqa", "CC0", "", "", "CC0-1.0", "redistributable"),
        ("ubench", "CC BY-NC 4.0", "", "", "CC-BY-NC-4.0", "research-only"),
        ("ubench", "", "", "", "CC-BY-SA-4.0", "redistributable"),
        ("omnimedvqa", "", "ISIC2018", "", "CC-BY-NC-4.0", "research-only"),
        ("omnimedvqa", "", "ACRIMA", "", "LicenseRef-unclear", "unclear"),
        ("omnimedvqa", "", "Never heard of", "", "LicenseRef-unclear", "unclear"),
        ("slake", "", "Lung X-Ray", "", "CC-BY-4.0", "redistributable"),
        ("slake", "", "Brain MRI", "", "CC-BY-SA-4.0", "redistributable"),
        ("slake", "", "Abdomen CT", "", "CC-BY-NC-SA-4.0", "research-only"),
        ("mimic_cxr", "CC0", "", "", "LicenseRef-PhysioNet-Credentialed-1.5.0", "credentialed"),
        ("mimic_cxr", "", "", "courtesy of Dr X", "LicenseRef-PhysioNet-Credentialed-1.5.0", "credentialed"),
    ],
)
def test_rulings(source, wording, member, credit, licence, verdict):
    ruling = rule(facts.load(source).licence, wording, member, credit)
    assert (ruling.licence, ruling.verdict) == (licence, verdict)


def test_a_ruling_says_who_says_so_and_when_it_was_read():
    roco = facts.load("roco")
    assert rule(roco.licence, "CC BY", "", "") == Ruling(
        "LicenseRef-CC-BY", "redistributable", "CC BY", "the row's own licence", "2026-11-23"
    )
    assert rule(roco.licence, "CC BY", "", "courtesy of Dr X").evidence == (
        "the caption credits a third party ('courtesy of Dr X'), which LicenseRef-CC-BY does not cover"
    )
    assert rule(facts.load("medqa").licence, "", "", "").upstream == "MIT"
    assert rule(facts.load("slake").licence, "", "Brain MRI", "").evidence.startswith(
        "Brain MRI: Other CT and MRI are of"
    )


@pytest.mark.parametrize("source", facts.source_ids())
def test_every_ruling_has_evidence_and_is_never_laxer_than_its_licence(source):
    entry = facts.load(source)
    for wording in ("", "CC BY", "NO-CC CODE"):
        for member in ("", *entry.licence.members):
            ruling = rule(entry.licence, wording, member, "")
            assert ruling.evidence and ruling.read >= "2026-11-23"
            assert ruling.verdict in (terms.verdict(ruling.licence), "unclear")


def test_all_42_open_sets_of_omnimedvqa_are_told():
    assert len(facts.load("omnimedvqa").licence.members) == 42
