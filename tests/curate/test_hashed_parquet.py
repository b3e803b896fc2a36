"""Rows and digest of a parquet file come from one reading."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medmix.curate import hashed_parquet
from medmix.curate.hashed_parquet import HashedParquet
from medmix.curate.shards import file_sha256


@pytest.fixture
def table() -> pa.Table:
    draws = np.random.default_rng(0)
    return pa.table({"number": range(1000), "image": [draws.bytes(500) for _ in range(1000)]})


@pytest.fixture
def file(table, tmp_path) -> Path:
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=90, write_page_index=True)
    return tmp_path / "a.parquet"


@pytest.fixture
def read(monkeypatch) -> list[int]:
    """Gives the sizes of all reads."""
    sizes, pread = [], hashed_parquet.os.pread

    def counted(*arguments):
        data = pread(*arguments)
        sizes.append(len(data))
        return data

    monkeypatch.setattr(hashed_parquet.os, "pread", counted)
    return sizes


@pytest.mark.parametrize("columns", [None, ["number"]])
def test_every_row_and_the_digest_come_from_one_reading(file, table, read, columns):
    with HashedParquet(file) as opened:
        assert opened.schema() == table.schema
        batches = list(opened.batches(50, columns))
        digest = opened.sha256()
    assert pa.Table.from_batches(batches) == table.select(columns or table.column_names)
    assert max(batch.num_rows for batch in batches) == 50
    assert digest == file_sha256(file)
    footer = file.stat().st_size - 1000 * 500
    assert sum(read) <= file.stat().st_size + 4 * footer


def test_memory_holds_one_row_group(file, read):
    with HashedParquet(file) as opened:
        assert sum(batch.num_rows for batch in opened.batches(50)) == 1000
    assert max(read) < 2 * file.stat().st_size / 11


def test_the_digest_alone_and_of_half_read_files(file):
    with HashedParquet(file) as opened:
        assert opened.sha256() == file_sha256(file)
    with HashedParquet(file) as opened:
        next(opened.batches(10))
        assert opened.sha256() == file_sha256(file)


def test_groups_may_be_read_again(file):
    with HashedParquet(file) as opened:
        first = list(opened.batches(100))
        assert list(opened.batches(100)) == first
        assert opened.sha256() == file_sha256(file)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_file_that_is_cut_off_has_a_digest_and_no_rows(file, share):
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    with HashedParquet(file) as opened:
        with pytest.raises((pa.ArrowException, OSError)):
            list(opened.batches(100))
        assert opened.sha256() == file_sha256(file)
