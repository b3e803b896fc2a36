"""The sections of a radiology report, taken apart again, so that a mixture says which of them it teaches.

Readers give a report as `Findings: ...` and `Impression: ...`, each beginning a line, the findings first; either
may be absent. A scan holds the whole of it.
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
    """Give rows with an `answer` as if a section were all that the reports say."""
    return scanned.with_columns(
        answer=pl.Series([section_text(answer, name) for answer in scanned["answer"]], dtype=pl.String)
    )


def select_section(scanned: pl.DataFrame, name: Section) -> pl.DataFrame:
    """Give a scan's rows as if a section were all that the reports say: the answer and what is measured on the text."""
    told = section_answers(scanned, name)
    keys = measure_texts([Texts(*each) for each in told.select("question", "answer", "context", "choices").iter_rows()])
    return told.with_columns(
        pl.Series(column, [getattr(key, column) for key in keys], kind) for column, kind in COLUMNS.items()
    )
