"""Values that a stranger could write, put into every text of a document, and what a page is made of, to compare."""

import re
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

HARMLESS = " word word"
HOSTILE = {
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)> \"'& &lt;b&gt; {{7*7}} {% raw %}",
    "links": "](javascript:alert(1)) [a](javascript:alert(1)) ![p](http://x/p.png) <javascript:alert(1)> [a]: x",
    "tables": "| a | b |\n| --- | --- |\n| c \\| d \\",
    "blocks": "\n\n# heading\n- list\n1. one\n***\n---\n===\n    code\n> quote\n\n<div>",
    "code": '`x` ``y`` ```\n~~~\n```\n`|` \\` ` *a* __b__ ~~c~~ "); import os; ("',
    "controls": "\x00\x1b[31m\u2028\r\n\x85<b>",
}
"""Added to each text, one kind at a time."""


def spoil(value: Any, more: str, kept: Callable[[tuple[str, ...]], bool], path: tuple[str, ...] = ()) -> Any:
    """Add a text to every text of a document, but for the paths that `kept` names; those decide what is printed."""
    if isinstance(value, dict):
        return {key: spoil(inner, more, kept, (*path, str(key))) for key, inner in value.items()}
    if isinstance(value, list):
        return [spoil(inner, more, kept, path) for inner in value]
    return f"{value}{more}" if isinstance(value, str) and not kept(path) else value


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[tuple[str, tuple[str, ...]]] = Counter()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found[tag, tuple(sorted(name for name, _ in attrs))] += 1

    def handle_decl(self, decl: str) -> None:
        self.found[decl, ()] += 1

    def handle_comment(self, data: str) -> None:
        self.found["comment", ()] += 1


def elements(page: str) -> Counter[tuple[str, tuple[str, ...]]]:
    """Count the elements of a page of HTML or SVG, each with the names of its attributes."""
    parser = _Elements()
    parser.feed(page)
    parser.close()
    return parser.found


def structure(page: str) -> list[str]:
    """Give the signs of each line of Markdown that make an element: escaped ones and code make none."""
    kept, fence = [], False
    for line in (page.partition("\n---\n")[2] if page.startswith("---\n") else page).split("\n"):
        if line.startswith("```"):
            fence = not fence
            kept.append(line)
        elif not fence:
            plain = re.sub(r"\\[!-/:-@\[-`{-~]|(?<!`)`[^`]+`(?!`)", "", line)
            block = re.match(r" *(?:#+ |[-+*] |\d+[.)] |> |={2,}$|-{2,}$|~~~)?", plain)
            kept.append((block[0] if block and block[0].strip() else "") + re.sub(r"\w_\w|[^\[\]<>|`*_~]", "", plain))
    return kept
