from dataclasses import replace

import polars as pl
import pytest

from medmix.curate import facts
from medmix.curate.read import download_record, row_counts
from medmix.curate.read.inputs import Input
from medmix.curate.read.row_counts import RowCountMismatch, compare


def rows(source, **splits):
    """A table of so many rows of each split; `unsplit` are those that name none."""
    named = [split for split, count in splits.items() for _ in range(count)]
    return pl.DataFrame(
        {"source": [source] * len(named), "upstream_split": ["" if split == "unsplit" else split for split in named]}
    )


def entry(folder, source, layout, **sizes):
    """A source under a folder, of which upstream has so many rows."""
    known = facts.load(source)
    upstream = {**known.upstream, layout: replace(known.upstream[layout], splits=sizes)}
    return Input(source, folder, replace(known, upstream=upstream), layout, (), ())


def test_as_many_rows_as_upstream_has_are_worth_no_word():
    assert compare("slake", {"train": 10, "test": 2}, {"train": 10, "test": 2}, whole=True) is None


def test_nothing_expected_is_nothing_missed():
    assert compare("slake", {}, {"train": 10}, whole=True) is None


def test_few_rows_are_a_sample():
    found = compare("slake", {"train": 1000, "test": 200}, {"train": 10}, whole=False)
    assert found == RowCountMismatch("slake", 10, 1200, False, "train 10 instead of 1,000, test 0 instead of 200")


@pytest.mark.parametrize(("read", "full"), [(95, True), (94, False), (120, True)])
def test_from_95_of_100_rows_on_it_is_a_full_copy(read, full):
    assert compare("slake", {"train": 100}, {"train": read}, whole=False).full is full


def test_a_complete_download_is_a_full_copy_however_few_rows_it_has():
    assert compare("slake", {"train": 100}, {"train": 1}, whole=True).full


def test_rows_of_a_split_whose_size_is_not_known_do_not_count():
    assert compare("pubmedqa", {"test": 500}, {"test": 500, "train": 7}, whole=True) is None


def test_sizes_without_a_split_are_compared_too():
    found = compare("iu_xray", {"": 3851}, {"": 3850}, whole=False)
    assert found.splits == "rows 3,850 instead of 3,851"


def test_rejected_rows_that_say_no_split_fill_what_the_splits_lack():
    assert compare("vqa_rad", {"train": 10, "test": 5}, {"train": 9, "test": 4, "": 2}, whole=True) is None
    assert compare("vqa_rad", {"train": 10, "test": 5}, {"train": 9, "test": 4, "": 1}, whole=True) is not None
    assert compare("vqa_rad", {"train": 10, "test": 5}, {"train": 11, "test": 4}, whole=True) is not None


def test_samples_are_one_line_and_full_copies_one_each():
    found = [
        RowCountMismatch("slake", 10, 14028, False, "train 10 instead of 9,835"),
        RowCountMismatch("medqa", 5, 12723, False, "train 5 instead of 10,178"),
        RowCountMismatch("roco", 81806, 81807, True, "train 65,447 instead of 65,448"),
        RowCountMismatch("vqa_rad", 2300, 2248, True, "train 1,849 instead of 1,797"),
    ]
    assert row_counts.notes(found) == ["samples with fewer rows than upstream: slake 10 of 14,028, medqa 5 of 12,723"]
    assert [line.split("; ")[0] for line in row_counts.warnings(found)] == [
        "roco: is a full copy with another number of rows than upstream: train 65,447 instead of 65,448",
        "vqa_rad: is a full copy with another number of rows than upstream: train 1,849 instead of 1,797",
    ]
    assert row_counts.notes([]) == row_counts.warnings([]) == []


def test_the_layout_says_what_to_expect(tmp_path):
    original = entry(tmp_path, "slake", "original", train=3, test=None)
    hub = entry(tmp_path, "slake", "hub", train=4)
    three = rows("slake", train=3, test=9)
    assert row_counts.find_mismatches(three, [original], []) == []
    assert row_counts.find_mismatches(three, [hub], []) == [
        RowCountMismatch("slake", 3, 4, False, "train 3 instead of 4")
    ]


def test_each_source_is_counted_by_itself(tmp_path):
    table = pl.concat([rows("slake", train=2), rows("medqa", train=1), rows("iu_xray", unsplit=4)])
    inputs = [
        entry(tmp_path, "slake", "original", train=2),
        entry(tmp_path, "medqa", "original", train=2),
        entry(tmp_path, "iu_xray", "kaggle", unsplit=5),
    ]
    found = row_counts.find_mismatches(table, inputs, ["iu_xray"])
    assert [(difference.source, difference.full) for difference in found] == [("medqa", False), ("iu_xray", True)]


class TestComplete:
    """By the record that `medmix fetch` leaves beside the files."""

    FILE = "test.json"

    def holding(self, folder, dataset="BoKelvin/SLAKE"):
        (folder / self.FILE).write_text("[]")
        files = {self.FILE: download_record.DownloadedFile(2, "00")}
        download_record.write_record(folder, download_record.Download(dataset, "a" * 40, files))
        return entry(folder, "slake", "hub", test=3)

    def test_a_download_that_lies_there_whole(self, tmp_path):
        assert row_counts.complete_sources([self.holding(tmp_path)]) == ["slake"]

    def test_a_download_that_lost_a_file(self, tmp_path):
        found = self.holding(tmp_path)
        (tmp_path / self.FILE).unlink()
        assert row_counts.complete_sources([found]) == []

    def test_a_download_of_another_copy_than_the_one_that_is_read(self, tmp_path):
        assert row_counts.complete_sources([self.holding(tmp_path, "OctoMed/SLAKE")]) == []

    def test_no_record(self, tmp_path):
        assert row_counts.complete_sources([entry(tmp_path, "slake", "hub", test=3)]) == []
