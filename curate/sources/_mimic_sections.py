"""Findings and impression of a MIMIC-CXR report, as upstream finds them.

The rules are those of `txt/section_parser.py` in https://github.com/MIT-LCP/mimic-cxr (Johnson et al. 2019): a
heading is a line of one blank, capitals and a colon; the last section of a name counts; a heading that describes a
view is a name for findings; without either, what follows the first paragraph of the last section is the report.
Upstream lists some fifty studies whose sections it found by hand. Their ids belong to the data and are not in this
package: put upstream's file beside the reports and its list is applied.

Beyond upstream, a line of underscores ends an addendum or a wet read, and a report of one paragraph without any
heading is taken whole, as most of upstream's exceptions take it.
"""

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..tables import GET_AGAIN, read_text

EXCEPTIONS = "section_parser.py"

_BREAK = re.compile(r"^(?: (?P<heading>[A-Z ()/,-]+):\s|[ \t]*_{20,}[ \t]*$)", re.MULTILINE)
_PARAGRAPH = re.compile(r"\n[ \t]*\n")
_TITLE = re.compile(r"\s*(?:(?:FINAL|PRELIMINARY|WET) )?(?:REPORT|ADDENDUM|READ)[ \t]*\n")

_NAMES = {
    "impression": (
        *("conclusion", "impresson", "imprression", "imoression", "impressoin", "imprssion", "impresion"),
        *("imperssion", "mpression", "impession", "ndication"),
    ),
    "findings": ("finding", "findins", "findindgs", "findgings", "findngs", "findnings", "finidngs"),
    "comparison": ("reference exam", "comparision", "comparsion", "comparrison", "comparisions"),
    "history": ("clinical information", "pfi"),
    "indication": ("reason for examination", "reason for exam", "clinical indication", "idication"),
    "examination": ("exam", "type of examination"),
    "recommendations": ("recommendation(s)", "recommendation"),
}
_NAME_OF = {variant: name for name, variants in _NAMES.items() for variant in variants}
_SECTION_WORDS = ("impression", "findings", "history", "comparison", "addendum")
"""In this order: a heading that contains one of these belongs to that section."""

_VIEWS = (
    *("chest", "portable", "pa and lat", "lateral and pa", "ap and lateral", "lateral and ap", "frontal and"),
    *("two views", "frontal view", "pa view", "ap view", "one view", "lateral view", "bone window"),
    *("frontal upright", "frontal semi-upright", "ribs"),
)


@dataclass(frozen=True, slots=True)
class Exceptions:
    """Upstream's list of studies whose report it found by hand.

    Attributes:
        sections: study -> name of the section that holds the report.
        spans: study -> first and last character of the report in the file; both 0 where there is none.
    """

    sections: dict[str, str] = field(default_factory=dict)
    spans: dict[str, tuple[int, int]] = field(default_factory=dict)


def load_exceptions(path: Path) -> Exceptions:
    """Read the exceptions from upstream's `section_parser.py`; its code is parsed and never run.

    Raises:
        InputError: the file does not hold `custom_section_names` and `custom_indices` as plain tables.
    """
    text = read_text(path)
    try:
        tree = ast.parse(text)
        names, spans = (_table(tree, name) for name in ("custom_section_names", "custom_indices"))
        return Exceptions(
            {str(study): str(name) for study, name in names.items()},
            {str(study): (int(start), int(stop)) for study, (start, stop) in spans.items()},
        )
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        raise InputError(
            path, "holds no custom_section_names and custom_indices as upstream's does", GET_AGAIN
        ) from None


def _table(tree: ast.Module, name: str) -> dict[Any, Any]:
    """Give the literal that a name is set to, wherever in the file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name:
            return dict(ast.literal_eval(node.value))
    raise ValueError(name)


def sections(text: str, study: str = "", exceptions: Exceptions | None = None) -> tuple[str, str]:
    """Give the findings and the impression of a report, each "" where there is none, without line breaks."""
    text = text.replace("\r\n", "\n")
    exceptions = exceptions or Exceptions()
    if study in exceptions.spans:
        start, stop = exceptions.spans[study]
        return _join_lines(text[start:stop]), ""
    found = _split(text)
    by_name = dict(found)  # the last section of a name
    if study in exceptions.sections:
        return _join_lines(by_name.get(exceptions.sections[study], "")), ""
    if "findings" in by_name or "impression" in by_name:
        return _join_lines(by_name.get("findings", "")), _join_lines(by_name.get("impression", ""))
    return _join_lines(_last_paragraphs(*found[-1])) if found else "", ""


def _split(text: str) -> list[tuple[str, str]]:
    """Give (name, text) of each section; text before the first heading, or after a line, has the name ""."""
    found = []
    name, start, place = "", 0, 0
    while match := _BREAK.search(text, place):
        found.append((name, text[start : match.start()]))
        name, start = _section_name(match["heading"] or ""), match.end()
        line_end = text.find("\n", start)  # the line after a bare heading is its text, even in capitals
        place = line_end if line_end >= 0 else len(text)
    found.append((name, text[start:]))
    return [(name, content) for name, content in found if content.strip() or name not in ("", "findings", "impression")]


def _section_name(heading: str) -> str:
    heading = heading.strip().lower()
    if heading in _NAME_OF:
        return _NAME_OF[heading]
    for name in _SECTION_WORDS:
        if name in heading:
            return name
    return "findings" if any(view in heading for view in _VIEWS) else heading


def _last_paragraphs(name: str, content: str) -> str:
    if not name:
        content = _TITLE.sub("", content, count=1)
    first, *others = _PARAGRAPH.split(content)
    if others:
        return "\n".join(others)
    return "" if name else first


def _join_lines(text: str) -> str:
    return " ".join(text.split())
