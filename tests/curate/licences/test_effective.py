"""The effective terms of a mix, worked out by hand."""

import pytest

from medmix.curate.licences.effective import SourceLicence, conflict, obstacle, summary

PHYSIONET = "LicenseRef-PhysioNet-Credentialed-1.5.0"

MIX = [
    SourceLicence("slake", "CC-BY-SA-4.0", "redistributable", 10),
    SourceLicence("slake", "CC-BY-NC-SA-4.0", "research-only", 4),
    SourceLicence("iu_xray", "CC-BY-NC-ND-4.0", "research-only", 3),
    SourceLicence("medqa", "LicenseRef-unclear", "unclear", 2),
    SourceLicence("mimic_cxr", PHYSIONET, "credentialed", 1),
]


def test_each_use_is_allowed_for_a_part_and_what_blocks_the_rest_is_named():
    found = summary(MIX)
    assert found["records"] == 20
    assert {entry["use"]: (entry["allowed"], entry["blocked"]) for entry in found["uses"]} == {
        "research": (18, 2),
        "commercial": (10, 10),
        "copies": (17, 3),
        "publish": (10, 10),
    }
    publish = next(entry for entry in found["uses"] if entry["use"] == "publish")
    assert [
        (block["licence"], block["why"], block["records"], block["sources"]) for block in publish["blocked_by"]
    ] == [
        ("CC-BY-NC-ND-4.0", "no changed copies, no commercial use", 3, ["iu_xray"]),
        ("CC-BY-NC-SA-4.0", "no commercial use", 4, ["slake"]),
        (PHYSIONET, "only for people to whom the owner has given access", 1, ["mimic_cxr"]),
        ("LicenseRef-unclear", "what may be done with it is unclear", 2, ["medqa"]),
    ]


def test_duties_and_pairs():
    found = summary(MIX)
    assert {entry["duty"]: entry["records"] for entry in found["duties"]} == {
        "attribution": 20,
        "share_alike": 14,
        "agreement": 1,
        "credentialed": 1,
    }
    assert found["not_combinable"] == [
        {
            "licences": ["CC-BY-NC-SA-4.0", "CC-BY-SA-4.0"],
            "why": "each asks that the work bear itself and no other",
        }
    ]


def test_a_holding_bears_the_terms_of_its_licence():
    (first, *_) = summary(MIX)["holdings"]
    assert first == {
        "source": "slake",
        "licence": "CC-BY-SA-4.0",
        "verdict": "redistributable",
        "records": 10,
        "redistribute": True,
        "derivatives": True,
        "commercial": True,
        "attribution": True,
        "share_alike": True,
        "agreement": False,
        "credentialed": False,
    }


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        ("CC-BY-SA-4.0", "CC-BY-NC-SA-4.0", "each asks"),
        ("CC-BY-SA-4.0", "ODbL-1.0", "each asks"),
        ("CC-BY-SA-3.0", "CC-BY-SA-4.0", ""),
        ("CC-BY-SA-2.0", "CC-BY-SA-3.0", ""),
        ("CC-BY-SA-1.0", "CC-BY-SA-4.0", "version 1.0 allows no later version"),
        ("LicenseRef-CC-BY-SA", "CC-BY-SA-4.0", "names no version"),
        ("LicenseRef-CC-BY-SA", "LicenseRef-CC-BY-NC-SA", "each asks"),
        ("CC-BY-SA-4.0", "CC-BY-NC-4.0", "the work would bear CC-BY-SA-4.0"),
        ("CC-BY-NC-SA-4.0", "CC-BY-NC-4.0", ""),
        ("CC-BY-NC-SA-4.0", "CC-BY-4.0", ""),
        ("CC-BY-SA-4.0", "CC-BY-4.0", ""),
        ("CC-BY-SA-4.0", "MIT", ""),
        ("CC-BY-4.0", "CC-BY-NC-4.0", ""),
        ("CC-BY-ND-4.0", "CC-BY-SA-4.0", ""),
        ("LicenseRef-unclear", "CC-BY-SA-4.0", ""),
    ],
)
def test_what_combines_follows_the_chart_of_creative_commons(one, other, why):
    assert (why in conflict(one, other)) if why else conflict(one, other) == ""
    assert conflict(one, other) == conflict(other, one) or "the work would bear" in why


@pytest.mark.parametrize("use", ["commercial", "publish"])
def test_nd_material_is_never_published_changed(use):
    assert obstacle(use, "CC-BY-ND-4.0", "research-only") == "no changed copies"
    assert obstacle("copies", "CC-BY-ND-4.0", "research-only") == ""


def test_an_empty_mix_has_no_terms():
    assert summary([])["records"] == 0
    assert [entry["allowed"] for entry in summary([])["uses"]] == [0, 0, 0, 0]
