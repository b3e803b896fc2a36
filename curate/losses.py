"""Sources of which one reason drops nearly all rows: a lost folder of images, a wrong layout, a wrong language."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import polars as pl

from .decide.candidates import UNREADABLE_STAGES


class Loss(NamedTuple):
    """A reason that drops nearly all rows of a source, or all of its reasons where nothing is kept (`reason` "").

    Attributes:
        rows, read: rows that it drops, of rows read.
        example: the evidence of the first row that cannot be read; "" for credentialed sources.
        is_unreadable: the rows could not be read, or their images could not.
    """

    source: str
    reason: str
    rows: int
    read: int
    example: str
    is_unreadable: bool

    def describe(self) -> str:
        """Describe the loss in one line."""
        why = f" as {self.reason}" if self.reason else ", for several reasons"
        example = f" (first: {self.example})" if self.example else ""
        return f"{self.source}: {self.rows:,} of {self.read:,} rows are dropped{why}{example}"


def find(decided: pl.DataFrame, share: float, credentialed: Collection[str] = ()) -> list[Loss]:
    """Give the losses of each source, in reading order: reasons that drop at least this share of its rows.

    Of credentialed sources, and of rows that other records drop, they have no example: the manifest is published.
    """
    losses = []
    for (source,), rows in decided.group_by("source", maintain_order=True):
        dropped = rows.filter(pl.col("outcome") == "dropped")
        found = []
        for (stage, reason), part in dropped.group_by("stage", "reason", maintain_order=True):
            if part.height >= share * rows.height:
                is_unreadable = str(stage) in UNREADABLE_STAGES
                example = part["evidence"][0] if is_unreadable and source not in credentialed else ""
                found.append(Loss(str(source), str(reason), part.height, rows.height, example, is_unreadable))
        if not found and dropped.height == rows.height:
            found = [Loss(str(source), "", dropped.height, rows.height, "", False)]
        losses += found
    return losses


def refusal(losses: Sequence[Loss], allowed: Sequence[str]) -> str:
    """Give the message that refuses a mix without the unreadable rows of sources that are not allowed; "" if none."""
    refused = [loss for loss in losses if loss.is_unreadable and loss.source not in allowed]
    sources = ",".join(dict.fromkeys(loss.source for loss in refused))
    lines = "; ".join(loss.describe() for loss in refused)
    return f"{lines}. Mend the files, or build without these rows: --allow-lost {sources}" if refused else ""
