"""A forest plot as SVG: scores with their intervals, one line per model and score."""

from collections.abc import Mapping, Sequence
from typing import Any

from medmix.curate.describe import templates

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#f0e442")
"""Distinguishable for the colour-blind (Okabe and Ito 2008)."""

LEFT, WIDTH, RIGHT = 330, 480, 130
HEAD, LINE, TITLE = 64, 17, 27


def draw(
    title: str, rows: Sequence[Mapping[str, Any]], names: Sequence[str], low: float = 0.0, high: float = 1.0
) -> str:
    """Draw a forest plot.

    Args:
        title: of the plot.
        rows: each with `title` and `lines`; a line has `name` (one of `names`), `value`, `low`, `high` (or None) and
            `controls`, by name.
        names: of the models; they decide the colours.
        low: start of the axis.
        high: end of the axis.
    """

    def x(value: float) -> float:
        return round(LEFT + WIDTH * (min(max(value, low), high) - low) / (high - low), 1)

    y, drawn = HEAD, []
    for row in rows:
        lines = []
        for index, line in enumerate(row["lines"]):
            known = line["low"] is not None
            lines.append(
                {
                    "y": y + TITLE + LINE * index,
                    "name": line["name"],
                    "colour": COLOURS[names.index(line["name"]) % len(COLOURS)] if line["name"] in names else None,
                    "x": x(line["value"]),
                    "low": x(line["low"]) if known else None,
                    "high": x(line["high"]) if known else None,
                    "text": f"{line['value']:.3f}" + (f" [{line['low']:.3f}, {line['high']:.3f}]" if known else ""),
                    "controls": [
                        {"x": x(value), "name": name, "value": value}
                        for name, value in line["controls"].items()
                        if value is not None
                    ],
                }
            )
        drawn.append({"title": row["title"], "y": y + 12, "lines": lines})
        y += TITLE + LINE * len(lines) + 6
    steps = [low + (high - low) * step / 5 for step in range(6)]
    return (
        templates.pages()
        .get_template("forest.svg.jinja")
        .render(
            title=title,
            rows=drawn,
            ticks=[{"x": x(step), "text": f"{step:.2g}"} for step in steps],
            zero=x(0.0) if low < 0 < high else None,
            left=LEFT,
            width=LEFT + WIDTH + RIGHT,
            height=y + 10,
            top=HEAD - 12,
            bottom=y,
        )
    )
