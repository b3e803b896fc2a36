"""Original bytes out of files, archives and tables, and every way in which they can be missing."""

import errno
import os
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medmix.curate.errors import RowError
from medmix.curate.file_state import file_state
from medmix.curate.read import image_store, zip_index
from medmix.curate.read.image_store import ImageStore, file_stat
from medmix.curate.record import ImageRef

ROWS = [b"zero", b"one", None, b"three", b""]


@pytest.fixture(autouse=True, params=["zipfile", "index"])
def opening(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Archives are opened as a whole, or by an index."""
    if request.param == "index":
        monkeypatch.setattr(zip_index, "SMALL_MEMBERS", -1)
        indexes, plain = tmp_path_factory.mktemp("indexes"), ImageStore.__init__
        monkeypatch.setattr(ImageStore, "__init__", lambda self, root: plain(self, root, indexes))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A source's folder with the same kinds of rows in each container."""
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a b (1).jpg").write_bytes(b"plain")
    (tmp_path / "images" / "empty.jpg").touch()
    with zipfile.ZipFile(tmp_path / "imgs.zip", "w") as archive:
        archive.writestr("imgs/1/source.jpg", b"member")
        archive.writestr("imgs/2/", b"")
    images = [None if data is None else {"bytes": data, "path": f"{i}.jpg"} for i, data in enumerate(ROWS)]
    images[2] = {"bytes": None, "path": "2.jpg"}
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"image": pa.array([*images, None], kind), "text": ["t"] * 6})
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=2)
    for name, writer in (("stream.arrow", pa.ipc.new_stream), ("file.arrow", pa.ipc.new_file)):
        with writer(str(tmp_path / name), table.schema) as out:
            out.write_table(table, max_chunksize=2)
    return tmp_path


def reason(root: Path, ref: ImageRef) -> tuple[str, str]:
    with ImageStore(root) as store, pytest.raises(RowError) as caught:
        store.read(ref)
    return caught.value.reason, caught.value.evidence


def test_file_and_member(root: Path) -> None:
    with ImageStore(root) as store:
        assert store.read(ImageRef("images/a b (1).jpg")) == b"plain"
        assert store.read(ImageRef("imgs.zip", member="imgs/1/source.jpg")) == b"member"


NFC, NFD = "caf\u00e9", "cafe\u0301"


@pytest.mark.parametrize(
    ("on_disk", "ref"),
    [
        (f"{NFD}/{NFD}.jpg", f"{NFC}/{NFC}.jpg"),
        (f"{NFC}/{NFC}.jpg", f"{NFD}/{NFD}.jpg"),
        ("images\\1.jpg", "images/1.jpg"),
        ("images/a\\1.jpg", "images/a/1.jpg"),
    ],
)
def test_file_under_a_name_of_another_spelling(on_disk: str, ref: str, tmp_path: Path) -> None:
    (tmp_path / on_disk).parent.mkdir(exist_ok=True)
    (tmp_path / on_disk).write_bytes(b"found")
    with ImageStore(tmp_path) as store:
        assert store.read(ImageRef(ref)) == b"found"
        assert store.respelled == {ImageRef(ref): on_disk}
    assert file_stat(tmp_path, ImageRef(ref)) == file_stat(tmp_path, ImageRef(on_disk.replace("\\", "/"))) is not None
    assert not image_store.is_lfs_pointer_file(tmp_path, ImageRef(ref))
    assert reason(tmp_path, ImageRef(f"{ref}x"))[0] == "missing-image"


@pytest.mark.parametrize(
    ("member", "ref"), [(f"{NFD}.jpg", f"{NFC}.jpg"), (f"{NFC}.jpg", f"{NFD}.jpg"), ("imgs\\1.jpg", "imgs/1.jpg")]
)
def test_member_under_a_name_of_another_spelling(member: str, ref: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "imgs.zip", "w") as archive:
        archive.writestr(member, b"found")
        archive.writestr("plain.jpg", b"plain")
    with ImageStore(tmp_path) as store:
        assert store.read(ImageRef("imgs.zip", member=ref)) == b"found"
        assert store.read(ImageRef("imgs.zip", member="plain.jpg")) == b"plain"
        assert store.respelled == {ImageRef("imgs.zip", member=ref): f"imgs.zip#{member}"}


def test_member_of_an_archive_that_does_not_flag_its_utf_8(tmp_path: Path) -> None:
    as_code_page = f"{NFD}.jpg".encode().decode("cp437")
    with zipfile.ZipFile(tmp_path / "imgs.zip", "w") as archive:
        archive.writestr("x" * len(f"{NFD}.jpg".encode()), b"found")
    content = (tmp_path / "imgs.zip").read_bytes()
    (tmp_path / "imgs.zip").write_bytes(content.replace(b"x" * len(f"{NFD}.jpg".encode()), f"{NFD}.jpg".encode()))
    with ImageStore(tmp_path) as store:
        assert store.read(ImageRef("imgs.zip", member=f"{NFC}.jpg")) == b"found"
        assert store.respelled == {ImageRef("imgs.zip", member=f"{NFC}.jpg"): f"imgs.zip#{as_code_page}"}


def test_plain_name_comes_before_another_spelling(tmp_path: Path) -> None:
    (tmp_path / f"{NFC}.jpg").write_bytes(b"composed")
    (tmp_path / f"{NFD}.jpg").write_bytes(b"decomposed")
    with ImageStore(tmp_path) as store:
        assert store.read(ImageRef(f"{NFC}.jpg")) == b"composed"
        assert store.read(ImageRef(f"{NFD}.jpg")) == b"decomposed"
        assert store.respelled == {}


@pytest.mark.parametrize("table", ["rows.parquet", "stream.arrow", "file.arrow"])
def test_table_rows_in_any_order(root: Path, table: str) -> None:
    with ImageStore(root) as store:
        for row in (0, 1, 3, 1, 0):
            assert store.read(ImageRef(table, row=row)) == ROWS[row]
    for row in (2, 5, 6, -1):
        assert reason(root, ImageRef(table, row=row)) == ("missing-image", f"{table}#{row}")
    assert reason(root, ImageRef(table, row=4)) == ("unreadable-image", f"{table}#4: empty")
    assert reason(root, ImageRef(table, row=0, column="scan"))[0] == "missing-image"
    assert reason(root, ImageRef(table, row=0, column="text"))[0] == "unreadable-image"


def test_reading_in_order_opens_each_container_and_row_group_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, groups = [], []

    class Counted(pq.ParquetFile):  # type: ignore[misc]
        def __init__(self, path: Path) -> None:
            opened.append(path.name)
            super().__init__(path)

        def read_row_group(self, i: int, **options: object) -> pa.Table:
            groups.append(i)
            return super().read_row_group(i, **options)

    monkeypatch.setattr(image_store.pq, "ParquetFile", Counted)
    with ImageStore(root) as store:
        for row in (0, 1, 3):
            store.read(ImageRef("rows.parquet", row=row))
            store.read(ImageRef("images/a b (1).jpg"))
    assert (opened, groups) == (["rows.parquet"], [0, 1])


def test_a_closed_store_opens_again(root: Path) -> None:
    store = ImageStore(root)
    for _ in range(2):
        assert store.read(ImageRef("rows.parquet", row=0)) == b"zero"
        store.close()


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "..", "a\\b", "C:x", "c:/x", "a\0b", ""])
def test_unsafe_names(root: Path, name: str) -> None:
    assert reason(root, ImageRef(name)) == ("unsafe-path", repr(name))
    assert reason(root, ImageRef("imgs.zip", member=name)) == ("unsafe-path", repr(name))
    assert file_stat(root, ImageRef(name)) is None


def test_missing(root: Path) -> None:
    assert reason(root, ImageRef("images/none.jpg")) == ("missing-image", "images/none.jpg")
    assert reason(root, ImageRef("images/empty.jpg/x.jpg"))[0] == "missing-image"
    assert reason(root, ImageRef("none.zip", member="x"))[0] == "missing-image"
    assert reason(root, ImageRef("none.parquet", row=0))[0] == "missing-image"
    assert reason(root, ImageRef("imgs.zip", member="imgs/3/source.jpg")) == (
        "missing-image",
        "imgs.zip#imgs/3/source.jpg",
    )


def test_unreadable(root: Path) -> None:
    os.mkfifo(root / "pipe.jpg")
    (root / "loop.jpg").symlink_to("loop.jpg")
    assert reason(root, ImageRef("images")) == ("unreadable-image", "images: a folder")
    assert reason(root, ImageRef("images/empty.jpg")) == ("unreadable-image", "images/empty.jpg: empty")
    assert reason(root, ImageRef("pipe.jpg")) == ("unreadable-image", "pipe.jpg: not a plain file")
    assert reason(root, ImageRef("loop.jpg"))[0] == "unreadable-image"
    assert reason(root, ImageRef("imgs.zip", member="imgs/2/"))[0] == "unreadable-image"


@pytest.mark.parametrize(("number", "kind"), [(errno.EACCES, RowError), (errno.EIO, OSError), (errno.EMFILE, OSError)])
def test_only_the_files_own_faults_drop_the_row(
    root: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Exception]
) -> None:
    def fail(self: Path) -> bytes:
        raise OSError(number, os.strerror(number), str(self))

    monkeypatch.setattr(Path, "read_bytes", fail)
    with ImageStore(root) as store, pytest.raises(kind):
        store.read(ImageRef("images/a b (1).jpg"))


@pytest.mark.parametrize("name", ["imgs.zip", "rows.parquet", "stream.arrow", "file.arrow"])
def test_damaged_containers(root: Path, name: str) -> None:
    inner = ImageRef(name, member="imgs/1/source.jpg") if name.endswith("zip") else ImageRef(name, row=0)
    whole = (root / name).read_bytes()
    for data in (b"", b"no such format", whole[: len(whole) // 2]):
        (root / name).write_bytes(data)
        assert reason(root, inner) == ("unreadable-image", f"{inner}: damaged")


def test_an_archive_whose_start_is_lost(root: Path) -> None:
    content = (root / "imgs.zip").read_bytes()
    (root / "imgs.zip").write_bytes(content[5:])
    assert reason(root, ImageRef("imgs.zip", member="imgs/1/source.jpg"))[1] == "imgs.zip#imgs/1/source.jpg: damaged"


def test_damaged_member(root: Path) -> None:
    data = (root / "imgs.zip").read_bytes()
    (root / "imgs.zip").write_bytes(data.replace(b"member", b"mumble"))
    assert reason(root, ImageRef("imgs.zip", member="imgs/1/source.jpg"))[0] == "unreadable-image"


def test_size_is_checked_before_reading(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_store, "MAX_BYTES", 4)
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *_: pytest.fail("inflated"))
    assert reason(root, ImageRef("imgs.zip", member="imgs/1/source.jpg"))[1].endswith(": 6 bytes")
    assert reason(root, ImageRef("images/a b (1).jpg"))[1].endswith(": 5 bytes")


def test_linked_image_folder(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("big")
    (elsewhere / "x.png").write_bytes(b"linked")
    (root / "linked").symlink_to(elsewhere)
    with ImageStore(root) as store:
        assert store.read(ImageRef("linked/x.png")) == b"linked"


def test_stat_is_that_of_the_container(root: Path) -> None:
    assert file_stat(root, ImageRef("rows.parquet", row=3)) == file_state(root / "rows.parquet")
    assert file_stat(root, ImageRef("images/none.jpg")) is None


@settings(max_examples=50)
@given(name=st.text(), member=st.none() | st.text())
def test_no_name_leads_out_or_raises_anything_else(
    name: str, member: str | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.getbasetemp()
    ref = ImageRef(name, member=member)
    assert file_stat(root, ref) is None or (root / name).exists()
    with ImageStore(root) as store, pytest.raises(RowError):
        store.read(ref)


def test_real_parquet(real_data: Path) -> None:
    with ImageStore(real_data / "pathvqa") as store:
        path = sorted((real_data / "pathvqa" / "hub_parquet" / "data").glob("*.parquet"))[0]
        data = store.read(ImageRef(f"hub_parquet/data/{path.name}", row=0))
    assert data.startswith(b"\xff\xd8\xff")
