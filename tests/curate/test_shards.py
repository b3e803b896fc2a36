import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medmix.curate import shards

SCHEMA = pa.schema([("number", pa.int64())])


def test_a_file_is_whole_or_absent(tmp_path):
    path = tmp_path / "a" / "file.txt"
    with pytest.raises(RuntimeError), shards.replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert list((tmp_path / "a").iterdir()) == []


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "file.txt"
    shards.write_text(path, "old")
    with pytest.raises(RuntimeError), shards.replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    shards.write_text(path, "new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_row_groups_close_by_rows_and_by_bytes(monkeypatch):
    monkeypatch.setattr(shards, "ROW_GROUP_ROWS", 3)
    monkeypatch.setattr(shards, "ROW_GROUP_BYTES", 100)
    rows = [({"number": number}, size) for number, size in enumerate([1, 1, 1, 99, 1, 200, 1])]
    groups = [[row["number"] for row in group] for group in shards.row_groups(rows)]
    assert groups == [[0, 1, 2], [3, 4], [5], [6]]


def test_equal_rows_give_equal_bytes(tmp_path):
    rows = [({"number": number}, 8) for number in range(1000)]
    digest = shards.write_rows(tmp_path / "a.parquet", SCHEMA, rows)
    assert digest == shards.file_sha256(tmp_path / "a.parquet")
    shards.write_rows(tmp_path / "b.parquet", SCHEMA, iter(rows))
    assert shards.file_sha256(tmp_path / "a.parquet") == shards.file_sha256(tmp_path / "b.parquet")
    assert pq.read_table(tmp_path / "a.parquet")["number"].to_pylist() == list(range(1000))
    assert pq.ParquetFile(tmp_path / "a.parquet").num_row_groups == 2


def test_no_rows_still_give_a_readable_file(tmp_path):
    shards.write_rows(tmp_path / "a.parquet", SCHEMA, [])
    assert pq.read_table(tmp_path / "a.parquet").schema.names == ["number"]


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    path = tmp_path / "file.txt"
    with shards.replacing(path) as first:
        first.write_text("first")
        with shards.replacing(path) as second:
            second.write_text("second")
        assert path.read_text() == "second"
    assert path.read_text() == "first"


def test_temporary_files_of_other_machines_count_once_they_are_old(tmp_path, monkeypatch):
    mine = tmp_path / f".a.parquet.{shards.unique_name()}.tmp"
    unnamed = tmp_path / ".b.parquet.123.tmp"
    with monkeypatch.context() as patch:
        patch.setattr(shards.platform, "node", lambda: "another")
        theirs, forgotten = (tmp_path / f".{name}.parquet.{shards.unique_name()}.tmp" for name in "cd")
    for file in (mine, unnamed, theirs, forgotten):
        file.touch()
    os.utime(forgotten, (0, 0))
    assert set(shards.temporary_files(tmp_path)) == {mine, unnamed, forgotten}
