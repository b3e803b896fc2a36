"""Upstream's own faults, each by its name: what becomes of them in a whole mix."""

import io
from collections import Counter

import polars as pl
import pytest
from PIL import Image


@pytest.fixture(scope="module")
def rows(mix):
    """The rows of the sample mix, all columns."""
    shards = sorted(str(path) for folder in ("data", "restricted") for path in (mix / folder).rglob("*.parquet"))
    return pl.concat([pl.read_parquet(shard) for shard in shards])


@pytest.fixture(scope="module")
def ledger(mix):
    return pl.read_parquet(mix / "ledger.parquet")


def of(rows, source):
    return rows.filter(pl.col("source") == source)


def test_pathvqa_repeats_a_triplet_and_the_mix_does_not(rows, ledger):
    repeated = of(ledger, "pathvqa").filter(pl.col("reason") == "duplicate")
    assert dict(repeated.select("id", "evidence").iter_rows()) == {"pathvqa/train/78": "pathvqa/train/0"}
    mine = of(rows, "pathvqa").select(pl.col("image_sha256").list.join(""), "question", "answer")
    assert mine.is_unique().all()


def test_pathvqa_has_cmyk_images_and_they_stay_as_they_are(rows):
    images = [part["bytes"] for images in of(rows, "pathvqa")["images"] for part in images]
    modes = Counter(Image.open(io.BytesIO(image)).mode for image in images)
    assert modes["CMYK"] == 12
    assert modes["RGB"] > 90


def test_vqa_rad_has_numbers_and_tabs_for_answers_and_the_mix_only_plain_text(rows):
    answers = of(rows, "vqa_rad")["answer"]
    assert {"1", "2", "3"} & set(answers)
    assert "NULL" not in set(answers)
    assert not any("\t" in answer for answer in answers)


def test_vqa_rad_types_with_a_blank_are_types_all_the_same(rows):
    assert set(of(rows, "vqa_rad")["answer_type"]) == {"open", "closed"}


def test_no_image_of_a_slake_test_in_either_language_is_trained_on(rows, ledger):
    mine = of(rows, "slake").explode("image_sha256")
    images = {split: set(mine.filter(pl.col("split") == split)["image_sha256"]) for split in ("train", "test")}
    assert images["test"]
    assert not images["train"] & images["test"]
    leaked = of(ledger, "slake").filter((pl.col("reason") == "contaminated") & (pl.col("split") == "train"))
    assert leaked.height == 9


def test_vqa_med_alternatives_are_all_there_for_whoever_scores(rows):
    several = of(rows, "vqa_med_2019").filter(pl.col("alternatives").list.len() > 0)
    assert set(several["split"]) == {"test"}
    assert set(several["answer"]) == {"xr - plain film"}
    assert {tuple(alternatives) for alternatives in several["alternatives"]} == {("x-ray",)}
    assert not any("#" in answer for answer in of(rows, "vqa_med_2019")["answer"])


def test_pmc_vqa_letters_that_contradict_their_text_are_bad_rows(ledger):
    bad = of(ledger, "pmc_vqa").filter(pl.col("reason") == "unparsable-row")
    (evidence,) = bad["evidence"]
    assert " is not option " in evidence


def test_medmcqa_answers_are_counted_from_one_and_not_published_for_test(rows, ledger):
    mine = of(rows, "medmcqa")
    assert all(answer in choices for answer, choices in mine.select("answer", "choices").iter_rows())
    assert of(ledger, "medmcqa").filter(pl.col("reason") == "no-answer").height == 12


def test_omnimedvqa_names_a_modality_by_another_key_once(rows):
    scans = of(rows, "omnimedvqa").filter(pl.col("id").str.contains("Chest CT Scan"))
    assert set(scans["modality"]) == {"ct(computed tomography)"}


def test_ubench_images_of_no_named_set_credit_the_source_alone(rows):
    credits = Counter("; " in credit.split("μ-Bench")[0] for credit in of(rows, "ubench")["attribution"])
    assert credits[False] > 0
    assert credits[True] > 0


def test_roco_captions_lose_their_blank_and_files_keep_their_commas(rows):
    mine = of(rows, "roco")
    assert not any(caption.startswith(" ") for caption in mine["answer"])
    assert any("sample,9-g001.jpg" in credit for credit in mine["attribution"])


def test_iu_xray_keeps_what_de_identification_left(rows):
    assert of(rows, "iu_xray").height > 40
    assert all(answer.startswith(("Findings: ", "Impression: ")) for answer in of(rows, "iu_xray")["answer"])
