"""Findings and impression of reports as MIMIC-CXR writes them, and upstream's list of exceptions."""

from pathlib import Path

import pytest

from medmix.curate.errors import InputError
from medmix.curate.sources._mimic_sections import Exceptions, load_exceptions, sections

LINE = " " + "_" * 78 + "\n"
FINAL = "                                 FINAL REPORT\n"


def report(*paragraphs: str, title: str = FINAL) -> str:
    """Set paragraphs as upstream does: a blank before each line, a blank line between."""
    return title + " \n".join(f" {text.replace(chr(10), chr(10) + ' ')}\n" for text in paragraphs)


SOUND = report(
    "EXAMINATION:  CHEST (PA AND LAT)",
    "INDICATION:  ___F with cough",
    "COMPARISON:  ___.",
    "FINDINGS:\n\nThe lungs are clear.\nNo effusion.",
    "IMPRESSION:\n\nNo acute process.",
)


def test_findings_and_impression_without_line_breaks() -> None:
    assert sections(SOUND) == ("The lungs are clear. No effusion.", "No acute process.")


def test_line_ends_of_another_system() -> None:
    assert sections(SOUND.replace("\n", "\r\n")) == sections(SOUND)


@pytest.mark.parametrize(
    ("heading", "expected"),
    [
        ("FINDINGS", ("Clear.", "")),
        ("FINDING", ("Clear.", "")),
        ("FINDGINGS", ("Clear.", "")),
        ("REFERENCE FINDINGS", ("Clear.", "")),
        ("CHEST, TWO VIEWS", ("Clear.", "")),
        ("PA AND LATERAL VIEWS OF THE CHEST", ("Clear.", "")),
        ("FRONTAL SEMI-UPRIGHT", ("Clear.", "")),
        ("IMPRESSION", ("", "Clear.")),
        ("CONCLUSION", ("", "Clear.")),
        ("IMPRESSON", ("", "Clear.")),
        ("IMPERSSION", ("", "Clear.")),
        ("MPRESSION", ("", "Clear.")),
        ("FINDINGS AND IMPRESSION", ("", "Clear.")),
        ("FINDINGS/IMPRESSION", ("", "Clear.")),
        ("FINDINGS/ IMPRESSION", ("", "Clear.")),
    ],
)
def test_spellings(heading: str, expected: tuple[str, str]) -> None:
    assert sections(report("INDICATION:  Cough.", f"{heading}:  Clear.")) == expected


@pytest.mark.parametrize("heading", ["INDICATION", "IDICATION", "HISTORY", "COMPARISION", "TECHNIQUE", "NOTIFICATION"])
def test_other_sections_are_neither(heading: str) -> None:
    assert sections(report(f"{heading}:  Cough.", "FINDINGS:  Clear.")) == ("Clear.", "")


def test_a_heading_is_in_capitals_after_a_blank() -> None:
    text = report("FINDINGS:  The heart: large.\nImpression: none.").rstrip("\n") + "\nIMPRESSION: no heading\n"
    assert sections(text) == ("The heart: large. Impression: none. IMPRESSION: no heading", "")


def test_the_line_below_a_bare_heading_is_its_text_whatever_it_looks_like() -> None:
    text = report("FINDINGS:\nCHEST: clear.\nNo effusion.", "IMPRESSION:  Normal.")
    assert sections(text) == ("CHEST: clear. No effusion.", "Normal.")


def test_an_empty_title_that_names_a_view_is_no_finding() -> None:
    assert sections(report("CHEST, PA LATERAL:", "INDICATION:  Cough.", "FINDINGS:  Clear.")) == ("Clear.", "")


def test_the_last_section_of_a_name_counts() -> None:
    assert sections(report("IMPRESSION:  Old.", "FINDINGS:  Clear.", "IMPRESSION:  New.")) == ("Clear.", "New.")


@pytest.mark.parametrize("late", ["NDICATION", "CONCLUSION", "MPRESSION", "PRIOR IMPRESSION"])
def test_a_late_heading_never_replaces_a_true_impression(late: str) -> None:
    assert sections(report("IMPRESSION:  Normal.", f"{late}:  Cough.")) == ("", "Normal.")


def test_a_view_never_replaces_true_findings() -> None:
    assert sections(report("FINDINGS:  Clear.", "BONE WINDOWS:  None.")) == ("Clear.", "")


@pytest.mark.parametrize(
    "heading", ["NDICATION", "INDICATION FOR CHEST FILM", "CHEST X-RAY INDICATION", "TECHNIQUE, TWO VIEWS"]
)
def test_headings_that_upstream_takes_for_impression_or_findings(heading: str) -> None:
    assert sections(report("FINDING:  Clear.", "CONCLUSION:  Normal.", f"{heading}:  Cough.")) == ("Clear.", "Normal.")


def test_an_empty_repetition_does_not_count() -> None:
    assert sections(report("FINDINGS:  Clear.", "IMPRESSION:  Normal.", "FINDINGS:")) == ("Clear.", "Normal.")


def test_an_addendum_on_top_is_cut_off_by_its_line() -> None:
    addendum = report("The impression should read: effusion.", title="                                 ADDENDUM\n")
    assert sections(addendum + LINE + SOUND) == sections(SOUND)


def test_a_wet_read_is_not_the_report() -> None:
    read = report("WET READ: ___ ___ 10:12 PM\n No pneumothorax.", title="")
    assert sections(read + LINE + SOUND) == sections(SOUND)
    assert sections(read + LINE + report("CHEST RADIOGRAPH", "The lungs are clear.")) == ("The lungs are clear.", "")


def test_a_finding_before_an_addenda_line_stays_apart_from_it() -> None:
    assert sections(SOUND + LINE + " Dictated by ___.\n") == sections(SOUND)


def test_without_headings_what_follows_the_first_paragraph_is_the_report() -> None:
    text = report("CHEST RADIOGRAPH PERFORMED ON ___", "The lungs are clear.", "The heart is large.")
    assert sections(text) == ("The lungs are clear. The heart is large.", "")


def test_a_report_of_one_paragraph_is_taken_whole() -> None:
    assert sections(report("AP chest: the lungs are\nclear.")) == ("AP chest: the lungs are clear.", "")


def test_after_the_last_heading_the_later_paragraphs_are_the_report() -> None:
    assert sections(report("INDICATION:  Cough.", "The lungs are clear.")) == ("The lungs are clear.", "")
    assert sections(report("INDICATION:  Cough.")) == ("", "")


@pytest.mark.parametrize("text", ["", " \n", FINAL, LINE, "FINDINGS:", " IMPRESSION:\n"])
def test_a_report_without_text_has_no_sections(text: str) -> None:
    assert [part for part in sections(text) if part not in ("", "FINAL REPORT", "FINDINGS:")] == []


PARSER = """
import re

def custom_mimic_cxr_rules():
    custom_section_names = {
        's50000001': 'technique',  # files/p10/...
        's50000002': 'recommendations',
    }
    custom_indices = {
        's50000003': [10, 15],
        's50000004': [0, 0],
    }
    return custom_section_names, custom_indices
"""


def test_upstreams_exceptions_are_read_without_running_them(tmp_path: Path) -> None:
    path = tmp_path / "section_parser.py"
    path.write_text(PARSER + "\nraise SystemExit('was run')\n")
    assert load_exceptions(path) == Exceptions(
        {"s50000001": "technique", "s50000002": "recommendations"}, {"s50000003": (10, 15), "s50000004": (0, 0)}
    )


def test_exceptions_are_applied_to_their_study_alone() -> None:
    text = report("TECHNIQUE:  The heart is large.", "FINDINGS:  None.")
    exceptions = Exceptions({"s1": "technique", "s2": "note"}, {"s3": (1, 10), "s4": (0, 0)})
    assert sections(text, "s1", exceptions) == ("The heart is large.", "")
    assert sections(text, "s2", exceptions) == ("", "")
    assert sections("0abc\n def0123", "s3", exceptions) == ("abc def0", "")
    assert sections(text, "s4", exceptions) == ("", "")
    assert sections(text, "s5", exceptions) == ("None.", "")


@pytest.mark.parametrize(
    "text",
    [
        "x = 1",
        "def broken(:",
        "custom_section_names = {'s1': open('/etc/passwd')}\ncustom_indices = {}",
        "custom_section_names = {}\ncustom_indices = {'s1': [1]}",
        "custom_section_names = {}\ncustom_indices = {'s1': 'ab'}",
        "custom_section_names = {}\ncustom_indices = [1]",
        "(" * 5000,
    ],
)
def test_another_file_under_that_name_is_an_input_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "section_parser.py"
    path.write_text(text)
    with pytest.raises(InputError, match=r"section_parser.py: holds no custom_section_names and custom_indices"):
        load_exceptions(path)
