"""Whose language is detected, and whose is as the source declares it."""

import json
from pathlib import Path

import polars as pl
import pytest

from medmix.curate import facts
from medmix.curate.measure.scans import scan_all
from medmix.curate.measure.text import find_model
from medmix.curate.mixture import Mixture, SourceChoice
from medmix.curate.read.inputs import find

IMPLANT = "Anterior - posterior spread of implant is:"
ANSWER = "Distance from the most anterior to posterior implant"
FRENCH = "Quelle est la prise en charge d'un patient de quarante ans qui présente une toux sèche depuis deux semaines?"


@pytest.fixture
def languages(tmp_path: Path) -> dict[str, str]:
    """Key -> language of questions of MedMCQA, which declares English."""
    folder = tmp_path / "medmcqa" / "data"
    folder.mkdir(parents=True)
    for name in ("train", "dev"):
        rows = [
            {"id": f"{name}-{place}", "question": question, "opa": ANSWER, "opb": "b", "opc": "c", "opd": "d", "cop": 1}
            for place, question in enumerate((IMPLANT, f"{FRENCH} {FRENCH}"))
        ]
        (folder / f"{name}.json").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    mixture = Mixture(name="m", version="1.0.0", description="", sources={"medmcqa": SourceChoice()})
    inputs, _ = find(mixture, tmp_path)
    scans = scan_all(inputs, tmp_path / "scans", 10**6, None, 1, find_model(None))
    rows = pl.concat([pl.read_parquet(scan.path, columns=["key", "language"]) for scan in scans])
    return dict(rows.iter_rows())


def test_an_evaluation_item_has_the_language_that_its_source_declares(languages: dict[str, str]) -> None:
    assert {key: languages[key] for key in ("dev-0", "dev-1")} == {"dev-0": "en", "dev-1": "en"}


def test_a_training_row_has_another_language_only_where_that_is_sure(languages: dict[str, str]) -> None:
    assert {key: languages[key] for key in ("train-0", "train-1")} == {"train-0": "en", "train-1": "fr"}


def test_captions_of_articles_are_in_several_languages() -> None:
    assert [facts.load(source).languages for source in ("roco", "pmc_oa")] == [("en", "fr")] * 2
