"""The real samples through the whole build: what is read, kept and dropped, to the row."""

import pytest

from medmix.curate import mixtures
from medmix.curate.build import BuildOptions, build
from medmix.curate.check import check
from medmix.curate.write import manifest

SOURCES = ("vqa_rad", "slake", "pathvqa", "vqa_med_2019", "roco", "iu_xray", "medqa", "medmcqa", "pubmedqa")

WITHOUT_IMAGES = ("slake", "vqa_med_2019", "roco", "iu_xray")
"""Sources of which the samples have no images."""

EXPECTED = {
    # source: (read, kept, dropped by reason)
    "vqa_rad": (1117, 436, {"contaminated": 593, "duplicate": 66, "split-conflict": 22}),
    "slake": (2043, 0, {"missing-image": 2043}),
    "pathvqa": (896, 834, {"duplicate": 62}),
    "vqa_med_2019": (1368, 0, {"missing-image": 1368}),
    "roco": (910, 0, {"missing-image": 910}),
    "iu_xray": (600, 0, {"missing-image": 600}),
    "medqa": (500, 500, {}),
    "medmcqa": (800, 800, {}),
    "pubmedqa": (300, 300, {}),
}


@pytest.fixture(scope="module")
def mix(real_data, once):
    options = BuildOptions(only=SOURCES, allow_lost=WITHOUT_IMAGES, workers=2)
    return once("real-mix", lambda folder: build(mixtures.load("v1"), real_data, folder, options))


def test_every_row_of_the_real_samples_has_its_fate(mix):
    counts = {
        source: (entry["read"], entry["kept"], entry["dropped_by_reason"])
        for source, entry in manifest.read(mix)["sources"].items()
    }
    assert counts == EXPECTED


def test_the_real_mix_is_sound(mix):
    assert check(mix) == []


def test_what_was_not_compared_is_said(mix):
    coverage = {entry["set"]: (entry["items"], entry["unreadable"]) for entry in manifest.read(mix)["evaluation"]}
    assert coverage == {
        "pathvqa test": (188, 0),
        "vqa_rad test": (151, 0),
        "vqa_med_2019 test": (250, 250),
        "slake test": (349, 349),
        "pmc_vqa test": (0, 0),
        "medqa test": (500, 0),
        "medmcqa validation": (800, 0),
        "pubmedqa test": (135, 0),
        "cxr8": (0, 0),
        "medfmc_chest": (0, 0),
        "medfmc_colon": (0, 0),
        "medfmc_endo": (0, 0),
        "medfmc_neojaundice": (0, 0),
        "kvasir": (0, 0),
        "bach": (0, 0),
        "busi": (200, 0),
        "ham10000": (273, 0),
        "brain_tumor_mri": (76, 0),
    }
