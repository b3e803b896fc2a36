"""The sections of a radiology report, taken apart again, so that a mixture says which of them it teaches.

Readers give a report as `Findings: ...` and `Impression: ...`, each beginning a line, the findings first; either
may be absent. A scan holds the whole of it.
"""

import re
from typing import Literal

import polars as pl

from .text import record_keys

Section = Literal["findings", "impression"]

_FINDINGS = "Findings:"
_IMPRESSION = re.compile(r"^Impression:", re.MULTILINE)


def section(report: str, name: Section) -> str:
    """Give the text of a section without its title, or "" where the report has none.

    The impression begins at the first line with its title. A report without titles has neither section.
    """
    found = _IMPRESSION.search(report)
    if name == "impression":
        return report[found.end() :].strip() if found else ""
    findings = report[: found.start()] if found else report
    return findings.removeprefix(_FINDINGS).strip() if findings.startswith(_FINDINGS) else ""


def taught(scanned: pl.DataFrame, name: Section) -> pl.DataFrame:
    """Give a scan's rows as if a section were all that the reports say: the answer and the keys of the text."""
    answers = [section(answer, name) for answer in scanned["answer"]]
    keys = [
        record_keys(question, answer, context, choices)
        for answer, question, context, choices in zip(
            answers, scanned["question"], scanned["context"], scanned["choices"], strict=True
        )
    ]
    return scanned.with_columns(
        answer=pl.Series(answers, dtype=pl.String),
        text_key=pl.Series([text for text, _ in keys], dtype=pl.String),
        question_answer_key=pl.Series([question_answer for _, question_answer in keys], dtype=pl.String),
    )
