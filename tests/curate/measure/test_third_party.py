"""Which captions credit somebody beside the article, and which only sound like it."""

from pathlib import Path

import pytest

from medmix.curate.measure.third_party import MAX_CHARS, find_credit


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        (
            "SEM of fibers. Reproduced from [31] with permission from John Wiley.",
            "Reproduced from [31] with permission from",
        ),
        ("Axial CT. Used with permission.", "with permission"),
        ("(Published with permission from JBMR).", "with permission from JBMR)."),
        ("Reproduced by permission of Oxford University Press.", "by permission of Oxford University"),
        ("From Jones, 1999. With kind permission of Springer Science.", "With kind permission of Springer Science."),
        ("Permission was obtained from Elsevier for this figure.", "Permission was obtained from Elsevier"),
        ("Adapted from Smith et al. 2004.", "Adapted from Smith et al. 2004."),
        ("The meridian (modified from [28]).", "modified from [28])."),
        (
            "Map. (Figure modified from R. Blakey, http://cpgeosystems.com).",
            "modified from R. Blakey, http://cpgeosystems.com).",
        ),
        ("Redrawn after Gray (1918).", "Redrawn after Gray (1918)."),
        ("Taken from reference 12", "Taken from reference 12"),
        ("Reprinted from The Lancet", "Reprinted from The Lancet"),
        ("Cord insertion (Image courtesy Dr Manoj)", "courtesy Dr Manoj)"),
        ("© The Estate of Francis Bacon. All rights reserved.", "© The Estate of Francis"),
        ("(c) 2010 Elsevier", "(c) 2010 Elsevier"),
        ("Secondary yaws. Copyright Oriol Mitjà.", "Copyright Oriol Mitjà."),
        ("Scan. All rights reserved.", "All rights reserved"),
    ],
)
def test_credits(caption: str, words: str) -> None:
    assert find_credit(caption) == words


@pytest.mark.parametrize(
    "caption",
    [
        "",
        "Chest radiograph with a mass (arrow).",
        "Published with permission of the patient.",
        "Photograph shown with the permission from the patient's parents.",
        "With the patient's permission.",
        "Written permission was obtained from the patient.",
        "Biopsy taken from the left arm in 2010.",
        "Sections taken from the liver of 12 mice [3 per group].",
        "The pain was reproduced with pressure on the joint.",
        "Images were modified from DICOM to JPEG.",
        "The score was adapted from adults to children.",
        "© The Author(s) 2019",
        "© 2019 the authors",
        "Copyright: © 2013 The Authors",
        "A copyright-free map.",
        "Discourtesy and the like.",
    ],
)
def test_what_only_sounds_like_it(caption: str) -> None:
    assert find_credit(caption) == ""


def test_a_long_credit_is_cut() -> None:
    assert find_credit(f"Courtesy of {'x' * 500}") == f"Courtesy of {'x' * (MAX_CHARS - 12)}"


def test_real_captions_of_roco(real_data: Path) -> None:
    captions = [
        line.split("\t", 1)
        for path in sorted((real_data / "roco" / "data").glob("*/*/captions.txt"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    found = {key: words for key, caption in captions if (words := find_credit(caption))}
    assert len(captions) == 910
    assert sorted(found) == [
        "ROCO_15218",
        "ROCO_33872",
        "ROCO_41288",
        "ROCO_42288",
        "ROCO_45841",
        "ROCO_53321",
        "ROCO_54170",
        "ROCO_83983",
        "ROCO_84843",
        "ROCO_85781",
        "ROCO_86655",
        "ROCO_86783",
        "ROCO_87772",
        "ROCO_87854",
    ]
