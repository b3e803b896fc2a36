"""Which related images count as copies, by a rule of the mixture; the only place that reads the rule."""

import polars as pl

from ..mixture import CopyRule


def counts(rule: CopyRule) -> pl.Expr:
    """Match pairs of related images, by their `kind` and `share`, that count under a rule."""
    kind = pl.col("kind")
    found = kind == "copy"
    if rule.panel == "drop":
        found |= kind == "panel"
    if rule.sequence == "drop":
        found |= kind == "sequence"
    if rule.overlap != "keep":
        found |= (kind == "overlap") & (pl.col("share") >= rule.overlap)
    return found
