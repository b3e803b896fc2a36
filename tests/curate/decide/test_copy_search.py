"""Pairs of related images: which of several stays, which count under a rule, how many there are."""

import polars as pl
import pytest

from medmix.curate.decide import copy_search
from medmix.curate.decide.comparisons import COPIES
from medmix.curate.mixture import CopyRule, DuplicateCopyRule

from .rows import NO_COPIES, RELATED, copies, related


@pytest.mark.parametrize(
    ("rule", "counting"),
    [
        (CopyRule(), ["copy", "panel", "overlap 0.5"]),
        (DuplicateCopyRule(), ["copy"]),
        (CopyRule(panel="keep", overlap=0.4, sequence="drop"), ["copy", "overlap 0.5", "overlap 0.49", "sequence"]),
        (DuplicateCopyRule(panel="drop", overlap=1.0), ["copy", "panel"]),
    ],
)
def test_a_rule_leaves_the_related_images_that_count(rule, counting):
    found = copies((7, 8), *(related(0, place, **how) for place, how in enumerate(RELATED.values(), start=1)))
    under = found.under(rule)
    assert [list(RELATED)[other - 1] for other in under.altered["other"]] == counting
    assert under.equal.equals(found.equal)


def merged(*pairs, known=NO_COPIES):
    """Give (image, other, kind, similarity) of the altered pairs after some were confirmed."""
    confirmed = pl.DataFrame([{"exact": False, **pair} for pair in pairs], COPIES)
    return copy_search._merge(known, confirmed).altered.select("image", "other", "kind", "similarity").rows()


def test_of_several_pairs_of_the_same_leaders_the_closest_kind_stays_and_then_the_most_similar():
    panel, better = related(0, 2, 0.7, kind="panel"), related(2, 0, 0.8, kind="panel")
    others = [related(0, 2, 0.99, kind="sequence"), related(1, 2, 0.95, kind="overlap"), panel, better]
    equal = copies((0, 1))
    assert merged(*others, known=equal) == [(2, 0, "panel", 0.8)]
    assert merged(*others, related(1, 2, 0.6), known=equal) == [(0, 2, "copy", 0.6)]
    assert merged(panel, known=copies(related(0, 2, 0.6))) == [(0, 2, "copy", 0.6)]


def test_pairs_are_counted_by_kind_among_the_images_of_records():
    found = copies((0, 1), (0, 9), related(0, 2), related(0, 3), related(2, 3, kind="overlap"), related(0, 9))
    images = pl.Series([[0, 1], [], [2], [3, 0]], dtype=pl.List(pl.UInt32))
    assert found.count_pairs(images) == {"exact": 1, "copy": 2, "panel": 0, "overlap": 1, "sequence": 0}
    assert set(NO_COPIES.count_pairs(images).values()) == {0}
