"""Archives of other systems: backslashes, litter, decomposed names, and members that cannot be read."""

import zipfile
from pathlib import Path

import pytest

from medmix.curate import tables
from medmix.curate.errors import InputError
from medmix.curate.tables.litter import is_litter

NFC, NFD = "caf\u00e9.json", "cafe\u0301.json"


def write_zip(path: Path, *names: str, content: str = "[1]") -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            info = zipfile.ZipInfo("x")
            info.filename = name  # ZipInfo's own initialiser may change it
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "lists.zip"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("__MACOSX/", True),
        ("__MACOSX/a/._b.jpg", True),
        ("a/__MACOSX/b.jpg", True),
        ("a\\__MACOSX\\b.jpg", True),
        ("a/._b.jpg", True),
        (".DS_Store", True),
        ("a/Thumbs.db", True),
        ("a/thumbs.db", True),
        ("Desktop.ini", True),
        ("a/b.jpg", False),
        ("._a/b.jpg", False),
        ("a_.jpg", False),
        ("Thumbs.db.jpg", False),
    ],
)
def test_litter(name: str, expected: bool) -> None:
    assert is_litter(name) == expected


def test_members_have_slashes_and_no_litter(file: Path) -> None:
    write_zip(file, "__MACOSX/._a.json", "a\\b.json", "a\\.DS_Store", "c.json")
    assert tables.zip_members(file) == ["a/b.json", "c.json"]
    assert tables.zip_folder(file) == "a/"
    assert list(tables.json_rows(file, "a/b.json")) == [(0, 1)]


@pytest.mark.parametrize(("written", "asked"), [(NFC, NFD), (NFD, NFC)])
def test_member_in_another_unicode_form(written: str, asked: str, file: Path) -> None:
    write_zip(file, written)
    assert list(tables.json_rows(file, asked)) == [(0, 1)]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[1", r"is not JSON at line 1"),
        ("", "is empty"),
        ('{"a": 1}', "holds an object, expected a JSON list"),
    ],
)
def test_error_names_the_member(content: str, problem: str, file: Path) -> None:
    write_zip(file, "a/b.json", content=content)
    with pytest.raises(InputError, match=rf"lists\.zip#a/b\.json: {problem}"):
        list(tables.json_rows(file, "a/b.json"))


def test_encrypted_member_is_an_input_error(file: Path) -> None:
    write_zip(file, "a.json")
    content = bytearray(file.read_bytes())
    content[6] |= 1  # the flag in the member's header, and in the directory
    content[content.index(b"PK\1\2") + 8] |= 1
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"lists\.zip#a\.json: cannot be read \(.*encrypted"):
        list(tables.json_rows(file, "a.json"))
