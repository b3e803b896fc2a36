"""The environments of the templates in `cards/`: one for each kind of page, by how it escapes (`markup`).

A template is Markdown, unless its name says otherwise. Sentences that also stand in JSON are plain text there.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files as package_files
from typing import Any

import jinja2
from markupsafe import Markup

from . import markup
from .plots import largest_first, total_counts

DATASHEET = "datasheet.md"

MAX_NOTE = 140
"""Characters of a note in the card."""


@cache
def markdown() -> jinja2.Environment:
    """Return the environment of Markdown, in which every value is a text (`markup.text`)."""
    return _environment(autoescape=True, finalize=markup.finished)


@cache
def pages() -> jinja2.Environment:
    """Return the environment of HTML and SVG, in which every value is a text or the value of an attribute."""
    return _environment(autoescape=True, finalize=_xml)


@cache
def plain() -> jinja2.Environment:
    """Return the environment of BibTeX, and of texts for JSON, which `json` escapes."""
    return _environment(autoescape=False)


def read(name: str) -> str:
    """Read a file of `cards/`."""
    return (package_files("medmix.cards") / name).read_text(encoding="utf-8")


def _environment(**options: Any) -> jinja2.Environment:
    environment = jinja2.Environment(  # noqa: S701 - each caller says how it escapes
        loader=jinja2.FunctionLoader(read),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **options,
    )
    environment.filters |= {
        **markup.FILTERS,
        "number": _number,
        "share": _share,
        "total_counts": total_counts,
        "largest_first": largest_first,
        "shared_rows": _shared_rows,
        "short": _short,
    }
    return environment


def _xml(value: Any) -> Any:
    """Remove from a text what XML cannot have; jinja escapes the rest."""
    return markup.one_line(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _shared_rows(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the rows of a leak matrix that have a leak."""
    return [row for row in rows if row["leaks"]]


def _short(note: str) -> Markup:
    """Cut a note, which stands whole in the datasheet."""
    if len(note) <= MAX_NOTE:
        return markup.text(note)
    return Markup(f"{markup.text(note[:MAX_NOTE])}... (whole in `{DATASHEET}`)")  # noqa: S704 - the note is escaped


def _number(value: int) -> str:
    return f"{value:,}"


def _share(part: int, total: int) -> str:
    return f"{100 * part / total:.1f}%" if total else "none"
