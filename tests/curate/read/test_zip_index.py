"""An index gives what `zipfile` gives, whatever the archive; it is made once, and never trusted blindly."""

import multiprocessing
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medmix.curate.errors import RowError
from medmix.curate.read import zip_directory, zip_index
from medmix.curate.read.image_store import ImageStore
from medmix.curate.record import ImageRef

NAMES = ("a.jpg", "b/a.jpg", "caf\u00e9.jpg", "cafe\u0301.jpg", "b\\a.jpg", "b\\caf\u00e9.jpg", "\u00e4", "x", "b/")
ASKED = (*NAMES[:4], "b/cafe\u0301.jpg", "a\u0308", "x", "b/", "none", "\ud800")
MEMBERS = st.lists(
    st.tuples(
        st.sampled_from(NAMES),
        st.binary(max_size=40),
        st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]),
        st.booleans(),
    ),
    max_size=8,
)


@pytest.fixture(autouse=True)
def without_a_small_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_index, "SMALL_MEMBERS", -1)


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The archives whose directory was read to make an index."""
    made: list[Path] = []
    build = zip_index.build

    def counted(reader: zip_directory.DirectoryReader, directory: zip_directory.Directory) -> object:
        made.append(Path(reader.file.name))
        return build(reader, directory)

    monkeypatch.setattr(zip_index, "build", counted)
    return made


def write(path: Path, *members: tuple[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


def opened(path: Path, folder: Path) -> zip_index.IndexedZip:
    found = zip_index.open_indexed(path, folder)
    assert found is not None
    return found


def answers(archive: Path, names: tuple[str, ...], indexes: Path | None) -> list[object]:
    """Give for each member its bytes and the name under which it was found, or why it cannot be read."""
    found: list[object] = []
    for name in names:  # a store for each: as several tasks do
        with ImageStore(archive.parent, indexes) as store:
            ref = ImageRef(archive.name, member=name)
            try:
                found.append((store.read(ref), store.respelled.get(ref)))
            except RowError as error:
                found.append((error.reason, error.evidence))
    return found


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
@settings(max_examples=150, deadline=None)
@given(
    members=MEMBERS,
    prefix=st.binary(max_size=50),
    comment=st.binary(max_size=50),
    damage=st.none() | st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)) | st.floats(0, 1),
    name=st.sampled_from(ASKED),
)
def test_every_answer_is_that_of_zipfile(
    members: list[tuple[str, bytes, int, bool]],
    prefix: bytes,
    comment: bytes,
    damage: tuple[float, int] | float | None,
    name: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("archive") / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for member, data, method, force in members:
            info = zipfile.ZipInfo(member)
            info.compress_type = method
            with archive.open(info, "w", force_zip64=force) as file:
                file.write(data)
        archive.comment = comment
    content = bytearray(prefix + path.read_bytes())
    if isinstance(damage, tuple):
        content[int(damage[0] * len(content))] = damage[1]
    elif damage is not None:
        del content[int(damage * len(content)) :]
    path.write_bytes(content)
    names = (name, *ASKED)
    assert answers(path, names, path.parent / "indexes") == answers(path, names, None)


def test_more_members_than_the_first_format_of_zip_can_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    names = tuple(f"images/{number}.jpg" for number in range(65_600))
    path = write(tmp_path / "a.zip", *((name, name.encode()) for name in names))
    with opened(path, tmp_path / "indexes") as archive:
        for name in names[::97]:
            (part, info), wanted = archive.find(name), name.encode()
            assert part.read(info) == wanted
        assert archive.find("images/65600.jpg") is None


def test_a_directory_of_several_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_directory, "BLOCK_BYTES", 100)
    names = tuple(f"{'x' * number}\u00e9.jpg" for number in range(90))
    path = write(tmp_path / "a.zip", *((name, name.encode()) for name in names))
    asked = (*names, *(name.replace("\u00e9", "e\u0301") for name in names))
    assert answers(path, asked, tmp_path / "indexes") == answers(path, asked, None)


def test_a_small_archive_has_no_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.zip", ("a", b"one"), ("b", b"two"))
    monkeypatch.setattr(zip_index, "SMALL_MEMBERS", 2)
    assert answers(path, ("b",), tmp_path / "indexes") == [(b"two", None)]
    assert not (tmp_path / "indexes").exists()


def test_an_index_is_made_once(tmp_path: Path, built: list[Path]) -> None:
    one, two = (write(tmp_path / f"{name}.zip", (name, name.encode())) for name in ("a", "b"))
    for _ in range(3):
        assert answers(one, ("a", "b"), tmp_path / "indexes")[0] == (b"a", None)
        assert answers(two, ("b", "a"), tmp_path / "indexes")[0] == (b"b", None)
    assert built == [one, two]


def test_an_archive_in_place_of_another_of_the_same_size_and_time(tmp_path: Path, built: list[Path]) -> None:
    path, indexes = write(tmp_path / "a.zip", ("a", b"one"), ("bcd", b"two")), tmp_path / "indexes"
    before = path.stat()
    assert answers(path, ("a", "bcd"), indexes) == [(b"one", None), (b"two", None)]
    write(path, ("bcd", b"two"), ("a", b"six"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert answers(path, ("a", "bcd"), indexes) == [(b"six", None), (b"two", None)]
    assert len(built) == 2
    assert len(list(indexes.glob("*.zip-index"))) == 1


def damages() -> Iterator[Callable[[bytes], bytes]]:
    yield lambda whole: b""
    yield lambda whole: b"no index"
    yield lambda whole: bytes(len(whole))
    yield lambda whole: whole + b"\0"
    for place in range(0, 200, 3):
        yield lambda whole, place=place: whole[:place]
        yield lambda whole, place=place: bytes(
            byte ^ 0x11 if number == place else byte for number, byte in enumerate(whole)
        )


def test_a_damaged_index_is_made_again(tmp_path: Path, built: list[Path]) -> None:
    members = [("a", b"one"), ("b", b"two"), ("caf\u00e9", b"three")]
    path, indexes = write(tmp_path / "a.zip", *members), tmp_path / "indexes"
    names = tuple(name for name, _ in members)
    answers(path, names, indexes)
    (index,) = indexes.glob("*.zip-index")
    whole = index.read_bytes()
    assert len(whole) < 200
    for damage in damages():
        damaged = damage(whole)
        index.write_bytes(damaged)
        assert answers(path, (*names, "none"), indexes) == [
            *((data, None) for _, data in members),
            ("missing-image", "a.zip#none"),
        ]
        assert damaged == whole or index.read_bytes() == whole or index.read_bytes() == damaged
    assert len(built) > 60


def test_an_index_that_is_damaged_while_it_is_open(tmp_path: Path) -> None:
    path, indexes = write(tmp_path / "a.zip", ("a", b"one"), ("b", b"two")), tmp_path / "indexes"
    with ImageStore(tmp_path, indexes) as store:
        assert store.read(ImageRef("a.zip", member="a")) == b"one"
        (index,) = indexes.glob("*.zip-index")
        os.truncate(index, 30)
        assert store.read(ImageRef("a.zip", member="b")) == b"two"
        assert store.read(ImageRef("a.zip", member="a")) == b"one"
    assert answers(path, ("a",), indexes) == [(b"one", None)]


def test_names_of_equal_hash_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_index, "_hash", lambda kind, text: 7)
    names = ("a", "b", "caf\u00e9", "b\\c")
    path = write(tmp_path / "a.zip", *((name, name.encode()) for name in names))
    asked = ("a", "b", "cafe\u0301", "b/c", "none")
    assert answers(path, asked, tmp_path / "indexes") == answers(path, asked, None)


def test_a_member_ends_where_the_next_one_begins(tmp_path: Path) -> None:
    offsets = np.array([5, 9, 5, 0], np.uint64)
    assert zip_index._following(offsets, 20).tolist() == [9, 20, 5, 5]
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a", "b", "c"):
            archive.writestr(name, name * 99)
        archive.infolist()[0].compress_size += 9  # versions of zipfile that look for such bombs refuse it
        archive.infolist()[2].header_offset = archive.infolist()[1].header_offset
    names = ("a", "b", "c")
    assert answers(tmp_path / "a.zip", names, tmp_path / "indexes") == answers(tmp_path / "a.zip", names, None)


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zip", ("a", b"one"))
    (tmp_path / "indexes").touch()
    assert answers(path, ("a", "b"), tmp_path / "indexes") == answers(path, ("a", "b"), None)


def test_processes_that_need_an_index_at_once_make_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = zip_index.build

    def counted(*arguments: object) -> object:
        with (tmp_path / "built").open("a") as file:
            file.write("x")
        return build(*arguments)

    monkeypatch.setattr(zip_index, "build", counted)
    names = tuple(f"{number}.jpg" for number in range(3000))
    path = write(tmp_path / "a.zip", *((name, name.encode()) for name in names))
    arguments = [(path, names[start::50], tmp_path / "indexes") for start in range(4)]
    with multiprocessing.get_context("fork").Pool(4) as pool:
        found = pool.starmap(answers, arguments, chunksize=1)
    assert found == [[(name.encode(), None) for name in part] for _, part, _ in arguments]
    assert (tmp_path / "built").read_text() == "x"
    assert sorted(file.suffix for file in (tmp_path / "indexes").iterdir()) == ["", ".zip-index"]
