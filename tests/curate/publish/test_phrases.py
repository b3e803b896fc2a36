"""Phrases of withheld reports: what is found, what is stock, and that real texts of other sources contain none."""

import csv
import json

import numpy as np
import pytest

from medmix.curate.publish.gate import phrases
from medmix.curate.publish.gate.phrases import Hit, Phrases

REPORT = (
    "Findings: The heart is enlarged. There is a single opacity on the left, with a small pleural effusion.\n"
    "Impression: Cardiomegaly. Left-sided opacity, which may be pneumonia."
)


def known(**reports: str) -> Phrases:
    return Phrases({source: np.unique(phrases.hashes_of([text])[0]) for source, text in reports.items()})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (REPORT, 27),
        (REPORT.upper().replace(".", " "), 27),
        ("She wrote: there is a single opacity ON the left!", 8),
        ("a single opacity on the left with a", 8),
        ("single opacity on the left with a", 0),
        ("A single opacity on the right with a small pleural effusion", 0),
    ],
)
def test_eight_words_in_a_row_are_found(text, words):
    hits = known(mimic_cxr=REPORT).find(["No finding.", text])
    assert [(hit.place, hit.source, hit.words) for hit in hits] == ([(1, "mimic_cxr", words)] if words else [])


def test_each_source_that_has_the_phrase_is_named():
    hits = known(mimic_cxr=REPORT, iu_xray=REPORT).find([REPORT])
    assert sorted(hit.source for hit in hits) == ["iu_xray", "mimic_cxr"]


STOCK = "there is no pleural effusion or pneumothorax seen"


@pytest.mark.parametrize(("others", "is_leak"), [((), True), (("roco",), True), (("roco", "pmc_oa"), False)])
def test_what_two_other_sources_say_is_stock(others, is_leak):
    report = f"The heart is large. {STOCK}. The lungs are clear of any focal process."
    (hit,) = known(mimic_cxr=report).find([f"Chest film: {STOCK}"])
    texts = {source: np.unique(phrases.hashes_of([f"As above, {STOCK} here"])[0]) for source in others}
    texts["mimic_cxr"] = phrases.hashes_of([report])[0]  # its own reports do not make it stock
    assert phrases.is_leak(hit, phrases.stock([hit], texts)) is is_leak


def test_many_words_in_a_row_are_never_stock():
    usual = frozenset({1, 2, 3})
    assert not phrases.is_leak(Hit(0, "mimic_cxr", phrases.STOCK_WORDS, usual), usual)
    assert phrases.is_leak(Hit(0, "mimic_cxr", phrases.STOCK_WORDS + 1, usual), usual)
    assert phrases.is_leak(Hit(0, "mimic_cxr", 9, frozenset({1, 4})), usual)


@pytest.mark.parametrize("coding", ["ascii", "utf-16-le"])
def test_texts_in_the_bytes_of_an_image_are_read(coding):
    data = bytes(range(256)) + REPORT.replace("\n", " ").encode(coding) + bytes(range(128, 256)) * 3
    assert known(mimic_cxr=REPORT).find(phrases.texts_of_bytes(data))


@pytest.mark.parametrize(
    "page",
    [
        "<p>There is a <b>single opacity</b> on the left, with a small</p>",
        "&#84;here is a single opacity on the left, with&nbsp;a small",
        '<img alt="There is a single opacity on the left, with a small">',
    ],
)
def test_tags_and_entities_of_a_page_hide_nothing(page):
    assert known(mimic_cxr=REPORT).find([page])


def test_real_reports_share_no_phrase_with_real_texts_of_other_sources(real_data):
    with (real_data / "iu_xray/indiana_reports.csv").open(encoding="utf-8", newline="") as file:
        reports = [f"{row['findings']}\n{row['impression']}" for row in csv.DictReader(file)]
    others = []
    for path in (real_data / "roco/data").rglob("captions.txt"):
        others += path.read_text(encoding="utf-8").splitlines()
    questions = (real_data / "medmcqa/data/dev.json").read_text(encoding="utf-8").splitlines()
    others += [json.loads(line)["question"] for line in questions]
    abstracts = json.loads((real_data / "pubmedqa/data/ori_pqal.json").read_text(encoding="utf-8"))
    others += [" ".join(item["CONTEXTS"]) for item in abstracts.values()]
    assert (len(reports), len(others)) == (600, 2010)
    assert known(iu_xray="\n".join(reports)).find(others) == []
