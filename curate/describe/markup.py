"""How a value is written into a page for people, so that it stays a text there.

The templates' own words are Markdown, HTML, SVG or BibTeX; values come from manifests, ledgers and results files,
which a stranger may have written. The rule: a value is one line of plain text. It shows as the characters that it has
and makes no element, link, image or entity, whatever is printed beside it; only code spans stay, which `facts` use.
Bare addresses may become links where a reader makes some, but of http and mail only. The environments of `templates`
escape every value by this rule; a `Markup` is finished text of the page's format and passes as it is.

Markdown has no quoting that holds everywhere, hence the filters by place: `text` in a line or a cell, `code` in a code
span, `fenced` in a code block, where a backslash is only a backslash.
"""

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

import jinja2
from markupsafe import Markup

from ..licences import spdx

_CODE = re.compile(r"((?<!`)`[^`]+`(?!`))")
"""A code span, the one element that a value may have: it shows its characters as they are."""

_SPAN = re.compile(r"[\\`*\[\]<>|~]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;)")
"""What can begin or end an element inside a line; an underscore between letters or digits never does."""

_BLOCK = re.compile(r" *(?:(?:#{1,6}|[-+])(?=\s|$)|=+ *$|-{2,} *$|(\d{1,9})(?=[.)](?:\s|$)))")
"""What at the start of a line would make it a heading, a list or a rule."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]+")
"""Breaks of a line, and what XML does not allow or UTF-8 does not encode."""

_FENCE = re.compile(r"`{3,}|~{3,}")

_LATEX = str.maketrans({"\\": "/", "{": "(", "}": ")", "^": "'"})
"""The braces end a value of BibTeX, and a backslash (also as `^^5c`) begins a command of LaTeX."""

_COMMAND = re.compile(
    r"\\(?:[`'^\"~=.&%$#_{}-]|[uvHcdbrkt](?![A-Za-z])|(?:aa|AA|ae|AE|oe|OE|o|O|l|L|ss|i|j|alpha|beta|gamma|delta|kappa|mu"
    r"|emph|url|times|text(?:it|bf|sc|tt|rm|endash|emdash|quoteright|quoteleft|quotesingle))(?![A-Za-z]))"
)
"""The commands of LaTeX that a citation may have: letters, signs and faces of type."""

LEFT_OUT = "% A citation that is no plain entry of BibTeX was left out."


def one_line(value: object) -> str:
    """Write a value as one line without control characters."""
    return _CONTROL.sub(" ", str(value))


def text(value: object) -> Markup:
    r"""Escape a value for Markdown by backslashes: one line, or one cell of a table; finished Markdown stays.

    HTML's own escapes are not used, since a backslash also reads well where Markdown is not rendered.
    """
    if isinstance(value, Markup):
        return value
    parts = enumerate(_CODE.split(one_line(value)))  # every second one is a code span
    line = "".join(part.replace("|", "\\|") if place % 2 else _escape(part) for place, part in parts)
    if found := _BLOCK.match(line):
        place = found.end() if found[1] else len(line) - len(line.lstrip())
        line = f"{line[:place]}\\{line[place:]}"
    return Markup(line)  # noqa: S704 - escaped just now


def _escape(part: str) -> str:
    return _SPAN.sub(lambda found: "\\" + found[0], part)


def lines(value: object) -> Markup:
    """Escape a text of several lines for Markdown; the breaks between them stay."""
    return Markup("\n".join(map(text, str(value).strip().splitlines())))  # noqa: S704 - each line is escaped


def code(value: object) -> Markup:
    """Write a value as a code span, where nothing but a backtick and, in a table, a pipe has a meaning."""
    inner = one_line(value).replace("`", "'").replace("|", "\\|")
    return Markup(f"`{inner or ' '}`")  # noqa: S704 - nothing is left that ends the span


def fenced(value: object) -> Markup:
    """Write a text of several lines inside a fenced code block, which no line of it ends."""
    return Markup(_FENCE.sub("'''", str(value)))  # noqa: S704 - only a fence has a meaning in a code block


def quoted(value: object) -> Markup:
    """Write a value as a literal of Python inside a code block; no character of it ends the literal."""
    return fenced(json.dumps(one_line(value), ensure_ascii=False))


def shell_word(value: object) -> str:
    """Write a value as one word of a shell."""
    return shlex.quote(one_line(value))


def licence_link(licence: object) -> Markup:
    """Link a licence to its text where it has an address; a licence without one is a text."""
    url = spdx.url(str(licence))
    return Markup(f"[{text(licence)}]({url})") if url else text(licence)  # noqa: S704 - the address is of a known licence


def bibtex(value: object) -> str:
    """Write a value inside the braces of a BibTeX field."""
    return one_line(value).translate(_LATEX)


def bibtex_key(value: object) -> str:
    """Write a value as the key of a BibTeX entry."""
    return re.sub(r"[^\w.:/+-]+", "-", one_line(value)) or "mix"


def citation(value: object) -> str:
    """Give whole BibTeX entries as they are if they are plain ones, else a comment.

    Plain ones are entries of works with balanced braces, and with no commands but `_COMMAND`.
    """
    entries = str(value).strip()
    return entries if _are_plain_entries(entries) else LEFT_OUT


def _are_plain_entries(entries: str) -> bool:
    if "\\" in _COMMAND.sub("", entries) or "^^" in entries or _CONTROL.search(re.sub(r"[\n\t]", "", entries)):
        return False
    depth = start = 0
    for place, sign in enumerate(entries):
        if sign == "{":
            if depth == 0 and not re.fullmatch(r"\s*@(?!preamble|string|comment)[a-z]+\s*", entries[start:place], re.I):
                return False
            depth += 1
        elif sign == "}":
            depth, start = depth - 1, place + 1
            if depth < 0:
                return False
    return depth == 0 and not entries[start:].strip()


def finished(value: Any) -> Any:
    """Escape a value that a template of Markdown prints; what is undefined stays so."""
    if isinstance(value, jinja2.Undefined | Markup | int | float):
        return value
    return text(value)


FILTERS: Mapping[str, Any] = {
    "lines": lines,
    "code": code,
    "fenced": fenced,
    "quoted": quoted,
    "shell_word": shell_word,
    "licence_link": licence_link,
    "bibtex": bibtex,
    "bibtex_key": bibtex_key,
    "citation": citation,
}
