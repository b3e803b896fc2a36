import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medmix.curate.errors import MedmixError
from medmix.curate.record import REASONS
from medmix.curate.write import ledger

KEPT = {"outcome": "kept", "stage": "", "reason": "", "evidence": "", "score": None}


def make(rows: list[dict]) -> pl.DataFrame:
    filled = [{"id": f"s/{place}", "source": "s", "split": "train", **KEPT, **row} for place, row in enumerate(rows)]
    return pl.DataFrame(filled, schema=ledger.SCHEMA)


def dropped(reason: str) -> dict:
    return {"outcome": "dropped", "reason": reason, "stage": "screen"}


outcome = st.one_of(st.just({}), st.sampled_from(list(REASONS)).map(dropped))


@given(st.lists(st.tuples(outcome, st.sampled_from("abc"), st.sampled_from(["train", "test"])), min_size=1))
def test_rows_read_are_rows_kept_plus_rows_dropped(outcomes):
    table = make([{**row, "source": source, "split": split} for row, source, split in outcomes])
    counts = ledger.counts(table)
    assert sum(entry["read"] for entry in counts.values()) == len(outcomes)
    for entry in counts.values():
        assert entry["read"] == entry["kept"] + entry["dropped"]
        assert entry["kept"] == sum(entry["kept_by_split"].values())
        assert entry["dropped"] == sum(entry["dropped_by_reason"].values())


def test_a_row_without_an_outcome_is_an_error():
    with pytest.raises(MedmixError, match="s: 2 rows read, but 1 kept and 0 dropped"):
        ledger.counts(make([{}, {"outcome": ""}]))


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"outcome": "lost"}, "'s/1' (and 0 more) is neither kept nor dropped"),
        ({"reason": "duplicate"}, "'s/1' (and 0 more) is kept but has a drop reason"),
        (dropped("bad luck"), "'s/1' (and 0 more) has an unknown reason"),
        ({"id": "s/0"}, "id 's/0' is in more than one row"),
    ],
)
def test_problems_of_a_ledger_are_listed(row, problem):
    assert ledger.problems(make([{}, row])) == [problem]


def test_a_valid_ledger_is_unchanged_by_writing_and_reading(tmp_path):
    table = make([{}, dropped("language")])
    ledger.write(tmp_path / "ledger.parquet", table)
    back = pl.read_parquet(tmp_path / "ledger.parquet")
    assert back.equals(table)
    assert ledger.problems(back) == []


def test_odd_images_are_flagged_whatever_became_of_their_records(tmp_path):
    rows = pl.DataFrame(
        {
            **{name: ["", "", ""] for name in ledger.SCHEMA if name not in ("score", "flag", "outcome")},
            "outcome": ["kept", "dropped", "kept"],
            "score": [None, None, None],
            "uniform": ["white", "black", ""],
        }
    )
    ledger.write(tmp_path / "ledger.parquet", rows)
    assert pl.read_parquet(tmp_path / "ledger.parquet")["flag"].to_list() == ["white image", "black image", ""]
