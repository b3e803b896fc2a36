import pytest

from medmix.curate.errors import InputError, UsageError
from medmix.curate.evaluationsets.file_filter import paths
from medmix.curate.mixture import FileFilter


@pytest.fixture
def folder(tmp_path):
    for name in ("test/a.png", "test/b.JPG", "train/c.png", "train/d e.png", "test/notes.txt", "other/a.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    return tmp_path


def names(folder, file_filter):
    return [path.relative_to(folder).as_posix() for path in paths(folder, file_filter)]


def test_all_images_or_those_of_a_pattern(folder):
    assert names(folder, FileFilter()) == ["other/a.png", "test/a.png", "test/b.JPG", "train/c.png", "train/d e.png"]
    assert names(folder, FileFilter(files="test/*")) == ["test/a.png", "test/b.JPG"]


def test_a_csv_table_names_them_with_or_without_ending_and_folder(folder):
    (folder / "t.csv").write_text("image,set\nb,test\ntest/a.png,test\nc.png,train\n")
    assert names(folder, FileFilter(table="t.csv", column="image")) == ["test/a.png", "test/b.JPG", "train/c.png"]
    assert names(folder, FileFilter(table="t.csv", column="image", where={"set": "train"})) == ["train/c.png"]


def test_a_list_may_have_labels_behind_names_that_hold_blanks(folder):
    (folder / "list.txt").write_text("c.png 0,1,0\nd e.png 1\nb.JPG\n")
    assert names(folder, FileFilter(table="list.txt")) == ["test/b.JPG", "train/c.png", "train/d e.png"]


def test_litter_is_no_image(folder):
    for name in ("test/._a.png", "__MACOSX/test/._b.png", "__MACOSX/b.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"\0\5\x16\7")
    assert names(folder, FileFilter()) == ["other/a.png", "test/a.png", "test/b.JPG", "train/c.png", "train/d e.png"]


def test_a_name_may_be_in_another_unicode_form(folder):
    (folder / "test/cafe\u0301.png").write_bytes(b"")
    (folder / "t.csv").write_text("image\ncaf\u00e9.png\n")
    assert names(folder, FileFilter(table="t.csv", column="image")) == ["test/cafe\u0301.png"]


@pytest.mark.parametrize(
    ("file_filter", "table", "problem"),
    [
        (FileFilter(files="*.gif"), "", "no images match *.gif"),
        (FileFilter(table="t.csv", column="image"), "image\nz.png\n", "row 0: there is no image 'z.png' in the folder"),
        (FileFilter(table="t.csv", column="image"), "image\na.png\n", "row 0: 'a.png' is the name of 2 images"),
        (FileFilter(table="t.csv", column="name"), "image\nc.png\n", "name"),
        (FileFilter(table="t.csv", column="image", where={"image": "x"}), "image\nc.png\n", "names no images"),
        (FileFilter(table="t.csv", column="image"), "image\nc.png,1\n", "row 0"),
        (FileFilter(table="none.csv", column="image"), "", "none.csv"),
        (FileFilter(table="t.csv"), "c.png\n\udcff.png\n", "row 1: byte 0xff at offset 6 is not UTF-8"),
    ],
)
def test_an_unusable_filter_is_an_error_with_file_and_row(folder, file_filter, table, problem):
    if table:
        (folder / "t.csv").write_bytes(table.encode(errors="surrogateescape"))
    with pytest.raises(UsageError, match=problem.replace("*", r"\*")) as caught:
        paths(folder, file_filter)
    assert isinstance(caught.value, InputError) or "match" in problem or "names no" in problem


def test_contradictions_are_all_named():
    assert FileFilter(files="*.png", table="t.csv").problems() == ["give `files` or `table`, not both"]
    assert FileFilter(column="image").problems() == ["`column` needs a `table`"]
    assert FileFilter(table="t.csv", where={"set": "test"}).problems() == ["`where` needs a `column`"]
