"""Findings, impression or both: what a mixture makes of the reports that a scan holds whole."""

import shutil
from dataclasses import replace

import datasets
import polars as pl
import pytest

from medmix.curate import mixtures
from medmix.curate.build import BuildOptions, build
from medmix.curate.decide import screen
from medmix.curate.errors import UsageError
from medmix.curate.measure import report_sections
from medmix.curate.measure.empty_text import EMPTY
from medmix.curate.measure.text import comparable, digest
from medmix.curate.record import Record
from medmix.curate.write.chat import messages

from ..decide.rows import fates, table

BOTH = "Findings: The heart is large.\nThe lungs are clear.\nImpression: Cardiomegaly."
SAMPLE = mixtures.load("sample")


@pytest.mark.parametrize(
    ("report", "findings", "impression"),
    [
        (BOTH, "The heart is large.\nThe lungs are clear.", "Cardiomegaly."),
        ("Findings: Clear.", "Clear.", ""),
        ("Impression: Normal.", "", "Normal."),
        ("Findings: Clear. Impression: none is given.", "Clear. Impression: none is given.", ""),
        ("Findings: Clear.\nImpression: 1. Normal.\n2. See above.", "Clear.", "1. Normal.\n2. See above."),
        ("The lungs are clear.", "", ""),
        ("", "", ""),
    ],
)
def test_a_report_is_taken_apart_by_its_titles(report, findings, impression):
    assert report_sections.section_text(report, "findings") == findings
    assert report_sections.section_text(report, "impression") == impression


def test_the_keys_are_those_of_the_text_that_is_taught():
    scanned = pl.DataFrame(
        {
            "question": ["", ""],
            "answer": [BOTH, "Findings: Other lungs.\nImpression: Cardiomegaly"],
            "context": ["", ""],
            "choices": pl.Series([[], []], dtype=pl.List(pl.String)),
            "text_key": ["a", "b"],
            "question_answer_key": ["c", "d"],
        }
    )
    taught = report_sections.select_section(scanned, "impression")
    assert taught["answer"].to_list() == ["Cardiomegaly.", "Cardiomegaly"]
    answer = comparable("Cardiomegaly.")
    keys = digest("", answer, ""), digest("", answer)
    assert list(taught.select("text_key", "question_answer_key").iter_rows()) == [keys, keys]


def test_a_report_without_the_section_is_dropped_for_it():
    empty = {"task": "report", "answer_gap": EMPTY}
    rows = table({**empty, "section": "impression"}, empty)
    assert fates(screen.empty_text(rows)) == {
        0: ("empty-text", "the report has no impression"),
        1: ("empty-text", "the answer is empty"),
    }


def test_a_section_is_asked_for_by_its_name():
    plain = {"source": "s", "key": "1", "split": "train", "file": "f", "row": 0, "group": "g"}
    report = Record(**plain, task="report", answer="Clear.")
    assert messages(report, "findings")[0]["content"] == [{"type": "text", "text": "Write the findings of this study."}]


def asking(report):
    choice = replace(SAMPLE.sources["iu_xray"], report=report)
    return replace(SAMPLE, sources={"iu_xray": choice}, evaluation=())


def built(root, out, report):
    """Build IU X-Ray into `out` and give its manifest and key -> answer."""
    document = build(asking(report), root, out, BuildOptions(only=("iu_xray",)))
    shards = sorted(str(path) for path in (out / "restricted").rglob("*.parquet"))
    rows = pl.read_parquet(shards, columns=["id", "answer"])
    return document, dict(rows.iter_rows())


def test_one_scan_serves_every_choice(root, tmp_path):
    _, both = built(root, tmp_path / "mix", None)
    scans = {path: path.stat().st_mtime_ns for path in (tmp_path / "mix" / ".work" / "scans").glob("*.parquet")}
    _, findings = built(root, tmp_path / "mix", "findings")
    document, impressions = built(root, tmp_path / "mix", "impression")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "mix" / ".work" / "scans").glob("*.parquet")} == scans
    assert both["iu_xray/1"] == f"Findings: {findings['iu_xray/1']}\nImpression: {impressions['iu_xray/1']}"
    assert document["settings"]["mixture"]["sources"]["iu_xray"]["report"] == "impression"
    ledger = pl.read_parquet(tmp_path / "mix" / "ledger.parquet").filter(pl.col("reason") == "empty-text")
    assert dict(ledger.select("id", "evidence").iter_rows()) == {"iu_xray/22": "the report has no impression"}


def test_reports_without_findings_are_dropped_where_findings_are_asked_for(root, tmp_path):
    _, findings = built(root, tmp_path / "mix", "findings")
    ledger = pl.read_parquet(tmp_path / "mix" / "ledger.parquet").filter(pl.col("reason") == "empty-text")
    assert dict(ledger.select("id", "evidence").iter_rows()) == {
        f"iu_xray/{uid}": "the report has no findings" for uid in (7, 21, 22, 34)
    }
    mix = datasets.load_dataset(str(tmp_path / "mix"), "iu_xray", split="train")
    assert mix["answer"][0] == findings[mix["id"][0]]
    assert [turn["content"][-1]["text"] for turn in mix[0]["messages"]] == [
        "Write the findings of this study.",
        mix["answer"][0],
    ]


def test_equal_impressions_of_one_film_are_duplicates_though_their_findings_differ(root, tmp_path):
    sources = tmp_path / "sources"
    shutil.copytree(root / "iu_xray", sources / "iu_xray")
    folder = sources / "iu_xray"
    films = folder / "images" / "images_normalized"
    shutil.copy(films / "1_IM-0001-1001.dcm.png", films / "901_IM-0901-1001.dcm.png")
    shutil.copy(films / "1_IM-0001-1001.dcm.png", films / "902_IM-0902-1001.dcm.png")
    with (folder / "indiana_projections.csv").open("a") as file:
        file.write("901,901_IM-0901-1001.dcm.png,Frontal\n902,902_IM-0902-1001.dcm.png,Frontal\n")
    with (folder / "indiana_reports.csv").open("a") as file:
        file.write("901,,,,,,Findings of one.,The same.\n902,,,,,,Findings of another.,The same.\n")
    _, both = built(sources, tmp_path / "both", "both")
    _, impressions = built(sources, tmp_path / "impression", "impression")
    assert {"iu_xray/901", "iu_xray/902"} <= both.keys()
    assert len({"iu_xray/901", "iu_xray/902"} & impressions.keys()) == 1


def test_a_report_that_says_nothing_is_in_the_ledger(root, tmp_path):
    sources = tmp_path / "sources"
    shutil.copytree(root / "iu_xray", sources / "iu_xray")
    folder = sources / "iu_xray"
    films = folder / "images" / "images_normalized"
    texts = {"901": "XXXX.,None.", "902": "XXXX XXXX.,", "903": "None.,Clear lungs."}
    for uid in texts:
        shutil.copy(films / "1_IM-0001-1001.dcm.png", films / f"{uid}_IM-0{uid}-1001.dcm.png")
    with (folder / "indiana_projections.csv").open("a") as file:
        file.writelines(f"{uid},{uid}_IM-0{uid}-1001.dcm.png,Frontal\n" for uid in texts)
    with (folder / "indiana_reports.csv").open("a") as file:
        file.writelines(f"{uid},,,,,,{text}\n" for uid, text in texts.items())
    _, kept = built(sources, tmp_path / "mix", "both")
    ledger = pl.read_parquet(tmp_path / "mix" / "ledger.parquet").filter(pl.col("reason") == "empty-text")
    assert dict(ledger.select("id", "evidence").iter_rows()) == {
        "iu_xray/22": "the answer is empty",
        "iu_xray/901": "the answer is a placeholder for no value",
        "iu_xray/902": "the answer is only punctuation or de-identification marks",
    }
    assert kept["iu_xray/903"] == "Findings: None.\nImpression: Clear lungs."


class TestInAMixture:
    """`report:` in YAML, strict as all of it."""

    def load(self, tmp_path, sources):
        path = tmp_path / "mine.yaml"
        path.write_text(f"name: mine\nversion: 1.0.0\ndescription: x\nsources:\n{sources}")
        return mixtures.load(str(path))

    def test_each_source_of_reports_may_ask_for_its_own(self, tmp_path):
        loaded = self.load(tmp_path, "  iu_xray: {report: both}\n  mimic_cxr: {report: findings}\n  slake: {}\n")
        assert loaded.sections() == {"mimic_cxr": "findings"}

    def test_a_source_without_reports_has_no_such_choice(self, tmp_path):
        with pytest.raises(UsageError) as caught:
            self.load(tmp_path, "  slake: {report: both}\n")
        assert str(caught.value) == (
            "mine.yaml: sources.slake.report: slake has no reports (its task is vqa); remove it"
        )

    def test_another_word_is_met_with_the_nearest(self, tmp_path):
        with pytest.raises(UsageError) as caught:
            self.load(tmp_path, "  iu_xray: {report: impresion}\n")
        assert str(caught.value) == (
            "mine.yaml: sources.iu_xray.report: must be one of findings, impression, both, is 'impresion' "
            "(did you mean 'impression'?)"
        )
