from medmix.curate.measure.scans import rough_rows
from medmix.curate.sources import Shard
from medmix.curate.tables import Piece


def test_rows_are_estimated_alike_for_pieces_tables_and_files_with_images(tmp_path):
    for name, size in (("text.jsonl", 15_000_000), ("images.parquet", 15_000_000), ("table.csv.gz", 4_000)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)
    assert rough_rows(tmp_path, Shard(("text.jsonl",), piece=Piece(50_000, 80_000, 7))) == 30_000
    assert rough_rows(tmp_path, Shard(("text.jsonl",))) == 100_000
    assert rough_rows(tmp_path, Shard(("images.parquet",))) == 300
    assert rough_rows(tmp_path, Shard(("table.csv.gz",))) == 100
    assert rough_rows(tmp_path, Shard(("absent.csv",))) == 0
