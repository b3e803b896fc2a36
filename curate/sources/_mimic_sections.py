"""Findings and impression of a MIMIC-CXR report, as upstream finds them.

The rules are those of `txt/section_parser.py` in https://github.com/MIT-LCP/mimic-cxr (Johnson et al. 2019): a
heading is a line of one blank, capitals and a colon; the last section of a name counts; a heading that describes a
view is a name for findings; without either, what follows the first paragraph of the last section is the report.
Upstream lists some fifty studies whose sections it found by hand. Their ids belong to the data and are not in this
package: put upstream's file beside the reports and its list is applied.

Unlike upstream, `NDICATION` is an indication and no impression, a view's heading that names an indication or a
technique is none for findings, and a section under a heading in upstream's own words is never replaced by a later one
under a variant of it (`CONCLUSION`, a misspelling, a view).

Beyond upstream, a line of underscores ends an addendum or a wet read, and a report of one paragraph without any
heading is taken whole, as most of upstream's exceptions take it.
"""

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import InputError
from ..tables import GET_AGAIN, read_text

EXCEPTIONS = "section_parser.py"

_BREAK = re.compile(r"^(?: (?P<heading>[A-Z ()/,-]+):\s|[ \t]*_{20,}[ \t]*$)", re.MULTILINE)
_PARAGRAPH = re.compile(r"\n[ \t]*\n")
_TITLE = re.compile(r"\s*(?:(?:FINAL|PRELIMINARY|WET) )?(?:REPORT|ADDENDUM|READ)[ \t]*\n")

_NAMES = {
    "impression": (
        *("conclusion", "impresson", "imprression", "imoression", "impressoin", "imprssion", "impresion"),
        *("imperssion", "mpression", "impession"),
    ),
    "findings": ("finding", "findins", "findindgs", "findgings", "findngs", "findnings", "finidngs"),
    "comparison": ("reference exam", "comparision", "comparsion", "comparrison", "comparisions"),
    "history": ("clinical information", "pfi"),
    "indication": ("reason for examination", "reason for exam", "clinical indication", "idication", "ndication"),
    "examination": ("exam", "type of examination"),
    "recommendations": ("recommendation(s)", "recommendation"),
}
_NAME_OF = {variant: name for name, variants in _NAMES.items() for variant in variants}
_SECTION_WORDS = ("impression", "findings", "history", "comparison", "addendum", "indication", "technique")
"""In this order: a heading that contains one of these belongs to that section."""

_OWN_WORDS = {
    "impression": ("impression", "findings and impression", "findings/impression", "findings/ impression"),
    "findings": ("findings",),
}
"""The headings that name a section beyond doubt."""

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
    by_name = _choose_by_name(found)
    if study in exceptions.sections:
        return _join_lines(by_name.get(exceptions.sections[study], "")), ""
    if "findings" in by_name or "impression" in by_name:
        return _join_lines(by_name.get("findings", "")), _join_lines(by_name.get("impression", ""))
    return _join_lines(_last_paragraphs(found[-1])) if found else "", ""


class _Section(NamedTuple):
    """A section by its heading, in lower case, and what that stands for; both "" before the first heading."""

    heading: str
    name: str
    text: str

    @property
    def is_sure(self) -> bool:
        return self.heading in _OWN_WORDS.get(self.name, ())


def _choose_by_name(found: list[_Section]) -> dict[str, str]:
    """Give name -> text of the last section of a name, of those whose heading is sure where there are any."""
    chosen: dict[str, _Section] = {}
    for section in found:
        if section.is_sure or section.name not in chosen or not chosen[section.name].is_sure:
            chosen[section.name] = section
    return {name: section.text for name, section in chosen.items()}


def _split(text: str) -> list[_Section]:
    """Give the sections; text before the first heading, or after a line, has the name ""."""
    found = []
    heading, start, place = "", 0, 0
    while match := _BREAK.search(text, place):
        found.append(_Section(heading, _section_name(heading), text[start : match.start()]))
        heading, start = (match["heading"] or "").strip().lower(), match.end()
        line_end = text.find("\n", start)  # the line after a bare heading is its text, even in capitals
        place = line_end if line_end >= 0 else len(text)
    found.append(_Section(heading, _section_name(heading), text[start:]))
    return [section for section in found if section.text.strip() or section.name not in ("", *_OWN_WORDS)]


def _section_name(heading: str) -> str:
    if heading in _NAME_OF:
        return _NAME_OF[heading]
    for name in _SECTION_WORDS:
        if name in heading:
            return name
    return "findings" if any(view in heading for view in _VIEWS) else heading


def _last_paragraphs(section: _Section) -> str:
    _, name, content = section
    if not name:
        content = _TITLE.sub("", content, count=1)
    first, *others = _PARAGRAPH.split(content)
    if others:
        return "\n".join(others)
    return "" if name else first


def _join_lines(text: str) -> str:
    return " ".join(text.split())
