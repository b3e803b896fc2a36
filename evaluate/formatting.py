"""Markdown tables, and scores with their intervals as text."""

from collections.abc import Mapping, Sequence
from typing import Any


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]], text_columns: int) -> str:
    """Format a table in Markdown; the columns after the first `text_columns` are aligned to the right."""
    lines = [head, ["---"] * text_columns + ["---:"] * (len(head) - text_columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def bulleted_section(title: str, lines: Sequence[str]) -> list[str]:
    """Return the lines of a section with a list, none for an empty list."""
    return ["", f"## {title}", "", *(f"- {line}" for line in lines)] if lines else []


def with_interval(score: Mapping[str, Any], sd_over_seeds: float | None = None, sign: str = "") -> str:
    """Format `value`, `low` and `high` of a score, and its standard deviation over seeds; "" for an unknown value."""
    if score["value"] is None:
        return ""
    number = f"{sign}.3f"
    interval = "" if score["low"] is None else f" [{score['low']:{number}}, {score['high']:{number}}]"
    return f"{score['value']:{number}}{interval}" + ("" if sd_over_seeds is None else f" ± {sd_over_seeds:.3f}")
