"""Forms in which a text can be read: what its signs hide, and what its escapes stand for.

A report is the same report with invisible signs, accents or control characters between its letters, and with the
escapes of HTML, JSON and addresses.
"""

import re
import unicodedata
from html import unescape
from typing import Final

_INVISIBLE: Final = frozenset({"Cf", "Mn", "Me"})
"""Categories of signs without a width of their own: formats and marks on other signs."""

_DASHES: Final = str.maketrans(dict.fromkeys("‐‑‒–—―−", "-"))

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_HIDING: Final = re.compile(r"[^\x20-\x7e\n\r\t]")
_ESCAPING: Final = re.compile(r"&[#\w]+;|%[0-9A-Fa-f]{2}|\\[nrtu\"/\\]|<[^<>]*>")
_JSON_ESCAPE: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|([nrt])|([\"/\\]))")
_PERCENT: Final = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_TAG: Final = re.compile(r"<[^<>]*>")
_HIDING_BYTES: Final = re.compile(rb"[\x80-\xff]|&#|%[0-9A-Fa-f]|\\\\u")

_MOST_LEVELS: Final = 3
"""Escapes within escapes that are resolved."""


def plain(text: str) -> str:
    """Give a text without invisible signs and accents, with blanks for control characters; digits in ASCII."""
    if not _HIDING.search(text):
        return text
    if text.isascii():
        return _CONTROL.sub(" ", text)
    signs = unicodedata.normalize("NFKD", _CONTROL.sub(" ", text)).translate(_DASHES)
    shown = "".join(sign for sign in signs if unicodedata.category(sign) not in _INVISIBLE)
    return "".join(str(unicodedata.digit(sign, sign)) for sign in shown)


def may_hide(data: bytes | memoryview) -> bool:
    """Whether texts in UTF-8 may have forms in which other digits and dashes can be read."""
    return _HIDING_BYTES.search(data) is not None


def forms(text: str) -> list[str]:
    """Give the forms of a text to search: as it is shown, without escapes, and without tags."""
    shown = plain(text)
    found = [shown]
    for _ in range(_MOST_LEVELS):
        if not _ESCAPING.search(shown):
            break
        shown = plain(_JSON_ESCAPE.sub(_unescaped, _PERCENT.sub(_unquoted, unescape(shown))))
        found.append(shown)
    if "<" in shown:
        found += [_TAG.sub(" ", shown), _TAG.sub("", shown)]
    return list(dict.fromkeys(found))


def _unescaped(match: re.Match[str]) -> str:
    return chr(int(match[1], 16)) if match[1] else " " if match[2] else match[3]


def _unquoted(match: re.Match[str]) -> str:
    return bytes.fromhex(match[0].replace("%", "")).decode("utf-8", "replace")
