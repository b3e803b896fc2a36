"""MIMIC-CXR: both editions, the reports in every form, and all that can be amiss between tables and files."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from medmix.curate import mixtures, sampledata
from medmix.curate.errors import InputError, UsageError
from medmix.curate.read import dicom, inputs
from medmix.curate.record import ImageRef, Record, Rejected
from medmix.curate.sampledata import mimic_cxr as samples
from medmix.curate.sampledata.files import gzipped, zipped
from medmix.curate.sources import layouts

from .reading import by_split, records, rows, there, write

REPORT = " FINAL REPORT\n FINDINGS:  Clear\n lungs.\n \n IMPRESSION:  Normal.\n"
ANSWER = "Findings: Clear lungs.\nImpression: Normal."

Row = tuple[int, int, int, str]
"""Number of film, study and patient, and the split."""


def film(number: int) -> str:
    return f"{number:08x}-00000000-00000000-00000000-00000000"


def place(study: int, subject: int) -> str:
    return f"files/p{str(subject)[:2]}/p{subject}/s{study}"


def table(header: str, lines: Sequence[str]) -> bytes:
    return gzipped("\n".join([header, *lines, ""]).encode())


def write_split(folder: Path, found: Sequence[Row]) -> None:
    lines = [f"{film(number)},{study},{subject},{split}" for number, study, subject, split in found]
    write(folder / "mimic-cxr-2.0.0-split.csv.gz", table("dicom_id,study_id,subject_id,split", lines))


def write_images(folder: Path, found: Sequence[Row], suffix: str = ".jpg") -> None:
    for number, study, subject, _ in found:
        write(folder / place(study, subject) / f"{film(number)}{suffix}", b"x")


def write_reports(folder: Path, found: Sequence[Row], text: str = REPORT) -> None:
    for _, study, subject, _ in found:
        write(folder / f"{place(study, subject)}.txt", text)


def jpg(folder: Path, found: Sequence[Row]) -> None:
    """Write a sound JPG edition with a report per study."""
    write_split(folder, found)
    write_images(folder, found)
    write_reports(folder, found)


def original(folder: Path, found: Sequence[Row], suffix: str = ".dcm") -> None:
    """Write a sound DICOM edition; the splits stay out."""
    lines = [f"{subject},{study},{film(n)},{place(study, subject)}/{film(n)}.dcm" for n, study, subject, _ in found]
    studies = dict.fromkeys(f"{subject},{study},{place(study, subject)}.txt" for _, study, subject, _ in found)
    write(folder / "cxr-record-list.csv.gz", table("subject_id,study_id,dicom_id,path", lines))
    write(folder / "cxr-study-list.csv.gz", table("subject_id,study_id,path", list(studies)))
    write_images(folder, found, suffix)
    write_reports(folder, found)


TWO: list[Row] = [
    (1, 50000001, 10000001, "train"),
    (2, 50000001, 10000001, "train"),
    (3, 50000002, 19000002, "validate"),
]


def bad(found: Sequence[Record | Rejected]) -> list[tuple[str, str, int, str, str]]:
    return [(row.key, row.file, row.row, row.reason, row.evidence) for row in found if isinstance(row, Rejected)]


def test_jpg(tmp_path: Path) -> None:
    jpg(tmp_path, TWO)
    assert there("mimic_cxr", tmp_path) == ["jpg"]
    assert records("mimic_cxr", tmp_path, "jpg") == [
        Record(
            source="mimic_cxr",
            key="50000001",
            split="train",
            task="report",
            file="mimic-cxr-2.0.0-split.csv.gz",
            row=0,
            group="mimic_cxr/p10000001",
            answer=ANSWER,
            images=(
                ImageRef(f"files/p10/p10000001/s50000001/{film(1)}.jpg"),
                ImageRef(f"files/p10/p10000001/s50000001/{film(2)}.jpg"),
            ),
            modality="x-ray",
        ),
        Record(
            source="mimic_cxr",
            key="50000002",
            split="validation",
            task="report",
            file="mimic-cxr-2.0.0-split.csv.gz",
            row=2,
            group="mimic_cxr/p19000002",
            answer=ANSWER,
            images=(ImageRef(f"files/p19/p19000002/s50000002/{film(3)}.jpg"),),
            modality="x-ray",
        ),
    ]


def test_original(tmp_path: Path) -> None:
    original(tmp_path, TWO)
    assert there("mimic_cxr", tmp_path) == ["original"]
    first, second = records("mimic_cxr", tmp_path, "original")
    assert (first.key, first.split, first.file, first.row) == ("50000001", "", "cxr-record-list.csv.gz", 0)
    assert first.answer == ANSWER
    assert [image.path for image in second.images] == [f"files/p19/p19000002/s50000002/{film(3)}.dcm"]


def test_original_takes_the_split_that_somebody_put_there(tmp_path: Path) -> None:
    original(tmp_path, TWO)
    write_split(tmp_path, TWO)
    assert there("mimic_cxr", tmp_path) == ["original"]
    assert by_split(records("mimic_cxr", tmp_path, "original")) == {"train": 1, "validation": 1}


def test_original_packed_one_by_one(tmp_path: Path) -> None:
    original(tmp_path, TWO, suffix=".dcm.gz")
    found = records("mimic_cxr", tmp_path, "original")
    assert found[1].images == (ImageRef(f"files/p19/p19000002/s50000002/{film(3)}.dcm.gz"),)


def test_both_editions_in_one_folder_are_both_found(tmp_path: Path) -> None:
    jpg(tmp_path, TWO)
    original(tmp_path, TWO)
    assert there("mimic_cxr", tmp_path) == ["jpg", "original"]
    for layout in ("jpg", "original"):
        assert len(records("mimic_cxr", tmp_path, layout)) == 2


@pytest.mark.parametrize("gone", ["mimic-cxr-2.0.0-split.csv.gz", "files"])
def test_without_table_or_images_nothing_is_found(tmp_path: Path, gone: str) -> None:
    jpg(tmp_path, TWO)
    (tmp_path / gone).rename(tmp_path / "elsewhere")
    assert there("mimic_cxr", tmp_path) == []


def test_unpacked_tables_are_read_too(tmp_path: Path) -> None:
    jpg(tmp_path, TWO)
    (tmp_path / "mimic-cxr-2.0.0-split.csv.gz").unlink()
    lines = [f"{film(number)},{study},{subject},{split}" for number, study, subject, split in TWO]
    write(tmp_path / "mimic-cxr-2.0.0-split.csv", "\n".join(["dicom_id,study_id,subject_id,split", *lines, ""]))
    assert [row.file for row in records("mimic_cxr", tmp_path, "jpg")] == ["mimic-cxr-2.0.0-split.csv"] * 2


def test_sample_data(tmp_path: Path) -> None:
    sampledata.write(tmp_path, 1)
    found = records("mimic_cxr", tmp_path / "mimic_cxr", "jpg")
    assert by_split(found) == {"train": 29, "validation": 5, "test": 6}
    assert all((tmp_path / "mimic_cxr" / image.path).is_file() for row in found for image in row.images)


def test_sample_data_of_both_editions_is_alike(tmp_path: Path) -> None:
    found = {}
    for layout, tree in (("jpg", samples.tree(1)), ("original", samples.original_tree(1))):
        for name, content in tree.files.items():
            write(tmp_path / layout / name, content)
        found[layout] = records("mimic_cxr", tmp_path / layout, layout)
        assert len(found[layout]) == tree.rows
    assert [row.answer for row in found["jpg"]] == [row.answer for row in found["original"]]
    films = [[[ref.path.rpartition(".")[0] for ref in row.images] for row in rows] for rows in found.values()]
    assert films[0] == films[1]


class TestParts:
    """Ten shards, of which each reads its own folder."""

    def test_each_part_reads_its_own_rows(self, tmp_path: Path) -> None:
        jpg(tmp_path, TWO)
        layout = layouts("mimic_cxr")[0]
        shards = layout.shards(tmp_path)
        assert [shard.folders for shard in shards] == [(f"files/p{number}",) for number in range(10, 20)]
        assert {shard.files for shard in shards} == {("mimic-cxr-2.0.0-split.csv.gz",)}
        assert [len(list(layout.read(tmp_path, shard))) for shard in shards] == [1, *[0] * 8, 1]

    def test_the_files_that_decide_on_the_rows_are_named(self, tmp_path: Path) -> None:
        original(tmp_path, TWO)
        write_split(tmp_path, TWO)
        write(tmp_path / "mimic-cxr-2.0.0-metadata.csv.gz", table("dicom_id,subject_id,ViewPosition", []))
        write(tmp_path / "mimic-cxr-reports.zip", zipped({}))
        write(tmp_path / "section_parser.py", "")
        shard = layouts("mimic_cxr")[1].shards(tmp_path)[0]
        assert shard.files == (
            "cxr-record-list.csv.gz",
            "cxr-study-list.csv.gz",
            "mimic-cxr-2.0.0-split.csv.gz",
            "mimic-cxr-2.0.0-metadata.csv.gz",
            "mimic-cxr-reports.zip",
            "section_parser.py",
        )

    def test_a_part_that_was_not_downloaded_is_still_accounted_for(self, tmp_path: Path) -> None:
        jpg(tmp_path, TWO[:2])
        write_split(tmp_path, TWO)
        found = rows("mimic_cxr", tmp_path, "jpg")
        assert [row.key for row in found] == ["50000001", "study/2"]
        assert bad(found)[0][3:] == ("no-answer", "there is no report files/p19/p19000002/s50000002.txt")

    def test_rows_of_which_nobody_can_tell_come_once(self, tmp_path: Path) -> None:
        jpg(tmp_path, TWO)
        lines = [f"{film(9)},50000009,20000009,train", f"{film(9)},50000009", f"{film(9)},50000009,,train"]
        write(tmp_path / "mimic-cxr-2.0.0-split.csv.gz", table("dicom_id,study_id,subject_id,split", lines))
        found = rows("mimic_cxr", tmp_path, "jpg")
        assert bad(found)[:3] == [
            ("film/0", "mimic-cxr-2.0.0-split.csv.gz", 0, "unparsable-row", "field 'subject_id' is '20000009'"),
            ("film/1", "mimic-cxr-2.0.0-split.csv.gz", 1, "unparsable-row", "line 3: 2 fields, the header has 4"),
            ("film/2", "mimic-cxr-2.0.0-split.csv.gz", 2, "unparsable-row", "field 'subject_id' is ''"),
        ]


class TestViews:
    """The order of a study's films."""

    def write_views(self, folder: Path, views: dict[int, str]) -> None:
        lines = [f"{film(number)},10000001,{view}" for number, view in views.items()]
        write(folder / "mimic-cxr-2.0.0-metadata.csv.gz", table("dicom_id,subject_id,ViewPosition", lines))

    def order(self, folder: Path) -> list[int]:
        return [int(Path(image.path).name[:8], 16) for image in records("mimic_cxr", folder, "jpg")[0].images]

    def test_frontal_films_come_first_and_unknown_ones_last(self, tmp_path: Path) -> None:
        jpg(tmp_path, [(number, 50000001, 10000001, "train") for number in range(1, 7)])
        self.write_views(tmp_path, {1: "", 2: "LATERAL", 3: "AP", 4: "LL", 5: "PA"})
        assert self.order(tmp_path) == [3, 5, 2, 4, 1, 6]

    def test_without_metadata_the_table_says_the_order(self, tmp_path: Path) -> None:
        jpg(tmp_path, [(number, 50000001, 10000001, "train") for number in (3, 1, 2)])
        assert self.order(tmp_path) == [3, 1, 2]

    def test_metadata_without_the_column_is_an_input_error(self, tmp_path: Path) -> None:
        jpg(tmp_path, TWO)
        write(tmp_path / "mimic-cxr-2.0.0-metadata.csv.gz", table("dicom_id,subject_id", []))
        with pytest.raises(InputError, match=r"metadata.csv.gz: lacks the columns ViewPosition"):
            rows("mimic_cxr", tmp_path, "jpg")


class TestFaults:
    """Nothing is lost: each row is in a record or rejected for a reason."""

    def test_a_study_without_report(self, tmp_path: Path) -> None:
        jpg(tmp_path, TWO)
        (tmp_path / "files/p10/p10000001/s50000001.txt").unlink()
        (rejected,) = (row for row in rows("mimic_cxr", tmp_path, "jpg") if isinstance(row, Rejected))
        assert rejected == Rejected(
            source="mimic_cxr",
            key="study/0",
            split="train",
            file="mimic-cxr-2.0.0-split.csv.gz",
            row=0,
            reason="no-answer",
            evidence="there is no report files/p10/p10000001/s50000001.txt",
        )

    def test_an_image_that_no_row_names(self, tmp_path: Path) -> None:
        jpg(tmp_path, TWO)
        write_images(tmp_path, [(9, 50000001, 10000001, "")])
        path = f"files/p10/p10000001/s50000001/{film(9)}.jpg"
        evidence = "no row of mimic-cxr-2.0.0-split.csv.gz names this image"
        assert bad(rows("mimic_cxr", tmp_path, "jpg")) == [(path, path, 0, "unparsable-row", evidence)]

    def test_pages_that_wget_leaves_are_no_images(self, tmp_path: Path) -> None:
        jpg(tmp_path, TWO)
        write(tmp_path / "files/p10/index.html", "x")
        write(tmp_path / "files/p10/p10000001/index.html", "x")
        assert len(records("mimic_cxr", tmp_path, "jpg")) == 2

    def test_a_row_whose_film_is_not_there_keeps_its_record(self, tmp_path: Path) -> None:
        jpg(tmp_path, TWO)
        (tmp_path / place(50000001, 10000001) / f"{film(2)}.jpg").unlink()
        assert len(records("mimic_cxr", tmp_path, "jpg")[0].images) == 2  # measuring the images finds it

    def test_a_report_without_films(self, tmp_path: Path) -> None:
        jpg(tmp_path, TWO)
        write_reports(tmp_path, [(0, 50000009, 10000001, "")])
        path = "files/p10/p10000001/s50000009.txt"
        evidence = "the report's study s50000009 has no film"
        assert bad(rows("mimic_cxr", tmp_path, "jpg")) == [(path, path, 0, "missing-image", evidence)]

    def test_a_listed_study_without_films_is_rejected_once(self, tmp_path: Path) -> None:
        original(tmp_path, TWO)
        write_reports(tmp_path, [(0, 50000009, 10000001, "")])
        lines = ["10000001,50000009,x", "10000001,50000001,x", "19000002,50000002,x"]
        write(tmp_path / "cxr-study-list.csv.gz", table("subject_id,study_id,path", lines))
        assert bad(rows("mimic_cxr", tmp_path, "original")) == [
            ("listed/0", "cxr-study-list.csv.gz", 0, "missing-image", "study 50000009 has no film")
        ]

    def test_broken_and_repeated_rows_of_the_study_list(self, tmp_path: Path) -> None:
        original(tmp_path, TWO)
        lines = ["10000001,50000001,x", "10000001,50000001,x", "10000001,5,x"]
        write(tmp_path / "cxr-study-list.csv.gz", table("subject_id,study_id,path", lines))
        assert bad(rows("mimic_cxr", tmp_path, "original")) == [
            ("listed/1", "cxr-study-list.csv.gz", 1, "duplicate", "mimic_cxr/50000001"),
            ("listed/2", "cxr-study-list.csv.gz", 2, "unparsable-row", "field 'study_id' is '5'"),
        ]

    def test_films_in_several_splits_stand_in_the_most_protected_one(self, tmp_path: Path) -> None:
        splits = ["train", "test", "validate"]
        jpg(tmp_path, [(number, 50000001, 10000001, split) for number, split in enumerate(splits)])
        (found,) = records("mimic_cxr", tmp_path, "jpg")
        assert (found.split, len(found.images)) == ("test", 3)

    def test_a_repeated_row(self, tmp_path: Path) -> None:
        jpg(tmp_path, [TWO[0], TWO[0], (1, 50000001, 10000001, "test")])
        found = rows("mimic_cxr", tmp_path, "jpg")
        table = "mimic-cxr-2.0.0-split.csv.gz"
        assert bad(found) == [
            ("film/1", table, 1, "duplicate", "mimic_cxr/50000001"),
            ("film/2", table, 2, "duplicate", "mimic_cxr/50000001"),
        ]
        (good,) = (row for row in found if isinstance(row, Record))
        assert (good.split, len(good.images)) == ("test", 1)

    @pytest.mark.parametrize(
        ("row", "evidence"),
        [
            (f"{film(1)},50000001,10000001,dev", "split 'dev', expected train, validate, test"),
            (f"{film(1)},s50000001,10000001,test", "field 'study_id' is 's50000001'"),
            ("../../etc/passwd,50000001,10000001,test", "field 'dicom_id' is '../../etc/passwd'"),
        ],
    )
    def test_a_row_that_upstream_would_not_write(self, tmp_path: Path, row: str, evidence: str) -> None:
        jpg(tmp_path, TWO[2:])
        write_images(tmp_path, TWO[:1])
        lines = [row, f"{film(3)},50000002,19000002,validate"]
        write(tmp_path / "mimic-cxr-2.0.0-split.csv.gz", table("dicom_id,study_id,subject_id,split", lines))
        assert bad(rows("mimic_cxr", tmp_path, "jpg"))[0][3:] == ("unparsable-row", evidence)

    def test_rows_of_the_split_table_that_the_record_list_has_not(self, tmp_path: Path) -> None:
        original(tmp_path, TWO[1:])
        write_split(tmp_path, [TWO[0], TWO[1], TWO[1], TWO[2], (4, 50000002, 19000002, "dev")])
        split = "mimic-cxr-2.0.0-split.csv.gz"
        found = rows("mimic_cxr", tmp_path, "original")
        assert bad(found) == [
            ("split/0", split, 0, "missing-image", "no row of cxr-record-list.csv.gz names it"),
            ("split/2", split, 2, "duplicate", "mimic_cxr/50000001"),
            ("split/4", split, 4, "unparsable-row", "split 'dev', expected train, validate, test"),
        ]
        assert by_split([row for row in found if isinstance(row, Record)]) == {"train": 1, "validation": 1}

    def test_a_path_of_the_record_list_is_taken_as_it_is(self, tmp_path: Path) -> None:
        original(tmp_path, TWO[2:])
        line = f"19000002,50000002,{film(3)},../../etc/passwd"
        write(tmp_path / "cxr-record-list.csv.gz", table("subject_id,study_id,dicom_id,path", [line]))
        good = rows("mimic_cxr", tmp_path, "original")[0]
        assert isinstance(good, Record)
        assert good.images == (ImageRef("../../etc/passwd"),)  # which the store of images refuses to open

    def test_a_table_without_the_columns(self, tmp_path: Path) -> None:
        jpg(tmp_path, TWO)
        write(tmp_path / "mimic-cxr-2.0.0-split.csv.gz", table("dicom_id,study_id", []))
        with pytest.raises(InputError, match="lacks the columns subject_id, split; it has dicom_id, study_id"):
            rows("mimic_cxr", tmp_path, "jpg")

    @pytest.mark.parametrize("keep", [0.5, 0.05])
    def test_a_table_that_is_cut_short(self, tmp_path: Path, keep: float) -> None:
        jpg(tmp_path, TWO)
        path = tmp_path / "mimic-cxr-2.0.0-split.csv.gz"
        path.write_bytes(path.read_bytes()[: int(len(path.read_bytes()) * keep)])
        with pytest.raises(InputError, match=r"split.csv.gz: is not a whole gzip file .*get the file again"):
            rows("mimic_cxr", tmp_path, "jpg")

    def test_a_table_that_is_a_web_page(self, tmp_path: Path) -> None:
        jpg(tmp_path, TWO)
        write(tmp_path / "mimic-cxr-2.0.0-split.csv.gz", "<html>403 Forbidden</html>")
        with pytest.raises(InputError, match="is not a whole gzip file"):
            rows("mimic_cxr", tmp_path, "jpg")


class TestReports:
    """The reports packed and unpacked."""

    def packed(self, folder: Path, members: dict[str, bytes]) -> Path:
        write_split(folder, TWO[:1])
        write_images(folder, TWO[:1])
        write(folder / "mimic-cxr-reports.zip", zipped(members, compress=True))
        return folder / "mimic-cxr-reports.zip"

    PATH = "files/p10/p10000001/s50000001.txt"

    @pytest.mark.parametrize("layout", ["jpg", "original"])
    def test_packed_unpacked_and_in_a_folder_of_their_own(self, tmp_path: Path, layout: str) -> None:
        (jpg if layout == "jpg" else original)(tmp_path, TWO)
        beside = records("mimic_cxr", tmp_path, layout)
        names = [f"{place(study, subject)}.txt" for _, study, subject, _ in TWO[1:]]
        for name in names:
            (tmp_path / "mimic-cxr-reports" / name).parent.mkdir(parents=True)
            (tmp_path / name).rename(tmp_path / "mimic-cxr-reports" / name)
        assert records("mimic_cxr", tmp_path, layout) == beside
        shard = next(one for one in layouts("mimic_cxr") if one.name == layout).shards(tmp_path)[0]
        assert shard.folders == ("files/p10", "mimic-cxr-reports/files/p10")
        members = {name: (tmp_path / "mimic-cxr-reports" / name).read_bytes() for name in names}
        write(tmp_path / "mimic-cxr-reports.zip", zipped(members))
        (tmp_path / "mimic-cxr-reports").rename(tmp_path / "elsewhere")
        assert records("mimic_cxr", tmp_path, layout) == beside

    def test_a_bomb_is_not_unpacked(self, tmp_path: Path) -> None:
        self.packed(tmp_path, {self.PATH: b" " * (2**20 + 1)})
        (found,) = bad(rows("mimic_cxr", tmp_path, "jpg"))
        assert found[3:] == ("unparsable-row", f"{self.PATH}: claims 1048577 bytes")

    def test_the_same_holds_for_a_file(self, tmp_path: Path) -> None:
        jpg(tmp_path, TWO[:1])
        write(tmp_path / self.PATH, b" " * (2**20 + 1))
        (found,) = bad(rows("mimic_cxr", tmp_path, "jpg"))
        assert found[3:] == ("unparsable-row", f"{self.PATH}: claims 1048577 bytes")

    def test_a_damaged_member(self, tmp_path: Path) -> None:
        path = self.packed(tmp_path, {self.PATH: REPORT.encode()})
        with zipfile.ZipFile(path) as archive:
            start = archive.getinfo(self.PATH).header_offset + 30 + len(self.PATH)
        data = bytearray(path.read_bytes())
        data[start + 5 : start + 15] = bytes(10)
        path.write_bytes(data)
        (found,) = bad(rows("mimic_cxr", tmp_path, "jpg"))
        assert found[3] == "unparsable-row"
        assert found[4].startswith(f"{self.PATH}: is damaged")

    def test_a_report_that_is_no_text(self, tmp_path: Path) -> None:
        self.packed(tmp_path, {self.PATH: b"\xff\xfe"})
        (found,) = bad(rows("mimic_cxr", tmp_path, "jpg"))
        assert found[3:] == ("unparsable-row", f"{self.PATH}: byte 0xff at offset 0 is not UTF-8")

    def test_members_that_are_no_reports_come_once(self, tmp_path: Path) -> None:
        self.packed(tmp_path, {self.PATH: REPORT.encode(), "files/p11/notes.txt": b"x", "README": b"x"})
        found = rows("mimic_cxr", tmp_path, "jpg")
        name = "files/p11/notes.txt"
        assert bad(found) == [(name, name, 0, "unparsable-row", "is no report by its path")]

    def test_an_archive_that_is_cut_short(self, tmp_path: Path) -> None:
        path = self.packed(tmp_path, {self.PATH: REPORT.encode()})
        path.write_bytes(path.read_bytes()[:-30])
        with pytest.raises(InputError, match=r"mimic-cxr-reports.zip: is not a whole zip archive"):
            rows("mimic_cxr", tmp_path, "jpg")

    def test_a_report_with_an_empty_text_is_a_record_without_answer(self, tmp_path: Path) -> None:
        jpg(tmp_path, TWO[:1])
        write(tmp_path / self.PATH, "")
        assert records("mimic_cxr", tmp_path, "jpg")[0].answer == ""

    def test_upstreams_exceptions_are_applied_where_they_lie_beside_the_reports(self, tmp_path: Path) -> None:
        jpg(tmp_path, TWO[:1])
        table = "custom_section_names = {'s50000001': 'technique'}\ncustom_indices = {}\n"
        write(tmp_path / "section_parser.py", table)
        write_reports(tmp_path, TWO[:1], "\n TECHNIQUE:  The heart is large.\n \n FINDINGS:  None.\n")
        assert records("mimic_cxr", tmp_path, "jpg")[0].answer == "Findings: The heart is large."


def test_without_pydicom_the_dicom_edition_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original(tmp_path / "mimic_cxr", TWO)
    monkeypatch.setattr(dicom, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'medmix\[dicom\]'"):
        inputs.find(mixtures.load("v1"), tmp_path, only=("mimic_cxr",))
    jpg(tmp_path / "mimic_cxr", TWO)
    found, _ = inputs.find(mixtures.load("v1"), tmp_path, only=("mimic_cxr",))
    assert (found[0].layout, found[0].unread) == ("jpg", ("original",))
