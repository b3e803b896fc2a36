"""Split radiology reports into their sections, so that a mixture can select one of them.

Readers give a report as `Findings: ...` and `Impression: ...`, each at the start of a line, the findings first;
either may be absent. A scan stores the whole report.
"""

import re

import polars as pl

from ..record import Section
from .text_keys import COLUMNS, Texts, measure_texts

_FINDINGS = "Findings:"
_IMPRESSION = re.compile(r"^Impression:", re.MULTILINE)


def section_text(report: str, name: Section) -> str:
    """Give the text of a section without its title, or "" where the report has none.

    The impression begins at the first line with its title. A report without titles has neither section.
    """
    found = _IMPRESSION.search(report)
    if name == "impression":
        return report[found.end() :].strip() if found else ""
    findings = report[: found.start()] if found else report
    return findings.removeprefix(_FINDINGS).strip() if findings.startswith(_FINDINGS) else ""


def section_answers(scanned: pl.DataFrame, name: Section) -> pl.DataFrame:
    """Replace the `answer` of each row by one section of the report."""
    return scanned.with_columns(
        answer=pl.Series([section_text(answer, name) for answer in scanned["answer"]], dtype=pl.String)
    )


def select_section(scanned: pl.DataFrame, name: Section) -> pl.DataFrame:
    """Reduce the reports of a scan's rows to one section: the answer and the text's measurements."""
    selected = section_answers(scanned, name)
    keys = measure_texts(
        [Texts(*each) for each in selected.select("question", "answer", "context", "choices").iter_rows()]
    )
    return selected.with_columns(
        pl.Series(column, [getattr(key, column) for key in keys], kind) for column, kind in COLUMNS.items()
    )
