"""Coverage: which items of each evaluation set were compared, and how many records they dropped."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import polars as pl

from ..decide.candidates import UNREADABLE_STAGES, hexadecimal, read_rows, with_digests
from ..decide.leaks import is_evaluation
from ..measure.scans import ScanFile
from ..mixture import EvaluationSet
from .fingerprint_file import FingerprintedSet
from .item_keys import item_key, keys_digest


class Coverage(NamedTuple):
    """What was compared.

    Attributes:
        sets: facts about each evaluation set, as in the manifest.
        keys: the sorted keys of the compared items, by set (`item_keys`).
    """

    sets: list[dict[str, str | int | bool]]
    keys: dict[str, list[str]]


def coverage(
    everything: pl.DataFrame,
    evaluation: Sequence[EvaluationSet],
    external: Mapping[int, FingerprintedSet],
    scans: Sequence[ScanFile],
    incomplete: Sequence[str],
) -> Coverage:
    """Count, per evaluation set, the compared items, the records dropped for them, and the records kept near them.

    `items` are those of the set, `unreadable` those with unreadable images, which were not compared. A set is `checked`
    if any of its items was compared, and `partial` if its source was not read as a whole. `items_sha256` digests the
    keys of the compared items, `images` counts their distinct images. `hits` are the records dropped because of them,
    `in_domain` the kept training records of the same source. `same_question_answer` are the items whose question and
    answer a training record has on another image. `source` is "" for a set that is no source.

    Args:
        everything: the decided table.
        evaluation: the sets.
        external: those that are no source and were read, by their position.
        scans: the scans of the table.
        incomplete: sources of which only a part was read.
    """
    trained = everything.filter((pl.col("outcome") == "kept") & (pl.col("split") == "train"))
    contaminated = everything.filter(pl.col("reason") == "contaminated")
    sets: list[dict[str, str | int | bool]] = []
    keys: dict[str, list[str]] = {}
    for place, item in enumerate(evaluation):
        if item.source:
            rows = everything.filter(is_evaluation([item]))
            compared = rows.filter(~pl.col("stage").is_in(UNREADABLE_STAGES))
            found, images = _keys(compared, scans), compared["images"].explode().drop_nulls().n_unique()
            unreadable = rows.height - compared.height
        elif place in external:
            rows, unreadable = with_digests(external[place].items, everything), external[place].unreadable
            found, images = _external_keys(external[place]), len({image.sha256 for image in external[place].images})
        else:
            rows, unreadable, found, images = everything.head(0), 0, [], 0
        keys[item.name] = found
        sets.append(
            {
                "set": item.name,
                "source": item.source,
                "split": item.split if item.source else "",
                "checked": bool(found),
                "partial": item.source in incomplete,
                "items": rows.height,
                "items_sha256": keys_digest(found),
                "images": images,
                "unreadable": unreadable,
                "hits": contaminated.join(rows, left_on="evidence", right_on="id", how="semi").height,
                "in_domain": trained.filter(pl.col("source") == item.source).height,
                "same_question_answer": rows.join(trained, on="question_answer_key", how="semi").height,
                "leaks": item.leaks,
            }
        )
    return Coverage(sets, keys)


def not_checked(sets: Sequence[Mapping[str, str | int | bool]]) -> list[str]:
    """Give a line for each evaluation set of which nothing was compared."""
    return [
        f"evaluation set {row['set']}: NOT CHECKED: "
        + (f"none of its {row['items']:,} items could be read" if row["items"] else "it was not found or not read")
        for row in sets
        if not row["checked"]
    ]


def _keys(rows: pl.DataFrame, scans: Sequence[ScanFile]) -> list[str]:
    found: set[str] = set()
    for _, part, scanned in read_rows(scans, rows, "image_sha256"):
        both = zip(scanned["image_sha256"].to_list(), hexadecimal(part["question_answer_key"]), strict=True)
        found |= {item_key(digests, key) for digests, key in both}
    return sorted(found)


def _external_keys(file: FingerprintedSet) -> list[str]:
    readable = file.items.filter(pl.col("problem") == "")
    both = readable.select("images", "question_answer_key").iter_rows()
    return sorted({item_key([file.images[place].sha256 for place in images], key) for images, key in both})
