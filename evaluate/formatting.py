"""Markdown tables and lists, and scores with their intervals."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from medmix.curate.describe import markup


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]], text_columns: int) -> str:
    """Format a table in Markdown; the columns after the first `text_columns` are aligned to the right.

    Cells are texts (`markup.text`), except those that are finished Markdown.
    """
    rule = map(Markup, ["---"] * text_columns + ["---:"] * (len(head) - text_columns))
    return "\n".join(f"| {' | '.join(map(markup.text, line))} |" for line in (head, rule, *rows))


def bulleted_section(title: str, lines: Sequence[str]) -> list[str]:
    """Return the lines of a section with a list of texts, none for an empty list."""
    return ["", f"## {title}", "", *(f"- {markup.text(line)}" for line in lines)] if lines else []


def with_interval(score: Mapping[str, Any], sd_over_seeds: float | None = None, sign: str = "") -> Markup:
    """Format `value`, `low` and `high` of a score, and its standard deviation over seeds; "" for an unknown value."""
    if score["value"] is None:
        return Markup()
    number = f"{sign}.3f"
    interval = "" if score["low"] is None else f" [{score['low']:{number}}, {score['high']:{number}}]"
    spread = "" if sd_over_seeds is None else f" ± {sd_over_seeds:.3f}"
    return Markup(f"{score['value']:{number}}{interval}{spread}")  # noqa: S704 - numbers only
