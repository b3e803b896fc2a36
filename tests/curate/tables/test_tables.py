"""The small readers of files, and what they say about files that are not what they should be."""

import json
import os
import pickle
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medmix.curate import tables
from medmix.curate.errors import InputError, RowError

Reader = Callable[[Path], Iterable[Any]]

READERS: dict[str, Reader] = {
    "json_rows": tables.json_rows,
    "json_items": tables.json_items,
    "json_lines": tables.json_lines,
    "csv_rows": lambda path: tables.csv_rows(path, ()),
    "csv_fields": lambda path: tables.csv_fields(path, ()),
    "csv_columns": tables.csv_columns,
    "csv_pieces": lambda path: tables.csv_pieces(path, 1),
    "line_pieces": lambda path: tables.line_pieces(path, 1),
    "text_lines": tables.text_lines,
    "read_text": tables.read_text,
    "parquet_rows": lambda path: tables.parquet_rows(path, ()),
    "pickle_rows": tables.pickle_rows,
    "arrow_rows": lambda path: tables.arrow_rows(path, ()),
    "zip_members": tables.zip_members,
    "zip_folder": tables.zip_folder,
}

MANY_DIGITS = "1" * 5000


def refusal(reader: Reader, path: Path) -> str:
    """Give what a reader says about an unusable file, without the file's name."""
    with pytest.raises(InputError) as caught:
        list(reader(path))
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message.removeprefix(str(path))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rows"


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_file_that_is_none(reader: Reader, tmp_path: Path) -> None:
    assert ": does not exist; " in refusal(reader, tmp_path / "absent")
    (tmp_path / "folder").mkdir()
    assert ": is a folder, expected a file; " in refusal(reader, tmp_path / "folder")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read all")
@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_file_that_may_not_be_read(reader: Reader, file: Path) -> None:
    file.touch(mode=0)
    assert ": may not be read; " in refusal(reader, file)


@pytest.mark.parametrize("name", ["csv_rows", "csv_columns", "csv_pieces", "read_text"])
def test_text_in_another_encoding(name: str, file: Path) -> None:
    file.write_bytes('"größer"\n'.encode("latin-1"))
    assert ": is no text: byte 0xf6 at offset 3 is not UTF-8; " in refusal(READERS[name], file)


@pytest.mark.parametrize("name", ["json_rows", "json_items", "read_text"])
def test_empty_text(name: str, file: Path) -> None:
    file.write_text(" \n")
    assert ": is empty; " in refusal(READERS[name], file)


def test_json_rows(file: Path) -> None:
    file.write_bytes(b'\xef\xbb\xbf[{"a": 1}, "\xe5\x9b\xbe"]')
    assert list(tables.json_rows(file)) == [(0, {"a": 1}), (1, "图")]


def test_json_items_keep_the_order(file: Path) -> None:
    file.write_text('{"b": 1, "a": 2}')
    assert list(tables.json_items(file)) == [(0, "b", 1), (1, "a", 2)]


@pytest.mark.parametrize("content", [[{"question": "is it?"}, {"question": "where?"}], [1, 2], ["a text"]])
def test_json_cut_in_half(content: Any, file: Path) -> None:
    text = json.dumps(content)
    file.write_text(text[: len(text) // 2])
    assert ", cut short (" in refusal(tables.json_rows, file)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[1,\n"a" "b"]', ": is not JSON at line 2, column 5 ("),
        ('{"a": 1}', ": holds an object, expected a JSON list; "),
        ("[" * 100_000, ": is nested too deep for JSON of this source; "),
        (f"[{MANY_DIGITS}]", ": is not usable JSON ("),
    ],
)
def test_unusable_json(text: str, problem: str, file: Path) -> None:
    file.write_text(text)
    assert refusal(tables.json_rows, file).startswith(problem)


def test_json_object_expected(file: Path) -> None:
    file.write_text("[]")
    assert ": holds a list, expected a JSON object; " in refusal(tables.json_items, file)


@pytest.mark.parametrize("broken", ['{"a": 1', "[" * 100_000, MANY_DIGITS])
def test_broken_json_line(broken: str, file: Path) -> None:
    file.write_bytes(f'{{"a": "x\u2028y"}}\r\n\r\n{broken}\n{{"a": 2}}'.encode())
    (_, first), (row, error), last = tables.json_lines(file)
    assert first == {"a": "x\u2028y"}
    assert (row, last) == (2, (3, {"a": 2}))
    assert isinstance(error, RowError)
    assert error.reason == "unparsable-row"


def test_csv_rows(file: Path) -> None:
    file.write_bytes('uid,text\r\n1,"a, ""b""\r\nc\u2028d"\r\n\r\n2\r\n3,z'.encode())
    first, (row, error), last = tables.csv_rows(file, ("uid",))
    assert first == (0, {"uid": "1", "text": 'a, "b"\r\nc\u2028d'})
    assert row == 2
    assert isinstance(error, RowError)
    assert error.evidence == "line 5: 1 fields, the header has 2"
    assert last == (3, {"uid": "3", "text": "z"})


def test_pieces_of_lines(file: Path) -> None:
    file.write_bytes("\ufeffé\n\nb\r\nc".encode())
    first, second = tables.line_pieces(file, 3)
    assert (first, second) == (tables.Piece(0, 3, 0), tables.Piece(3, 6, 10))
    assert list(tables.text_lines(file, first)) == [(0, "é"), (2, "b")]
    assert list(tables.text_lines(file, second)) == [(3, "c")]
    file.write_bytes(b"a\nb\n")
    assert [piece.start for piece in tables.line_pieces(file, 2)] == [0]
    file.write_bytes(b"")
    assert tables.line_pieces(file, 2) == []


def test_pieces_of_csv(file: Path) -> None:
    file.write_bytes('\ufeffa,b\r\n"é\n",1\r\n\r\n"""",2\r\n3\r\n'.encode())
    whole = list(tables.csv_rows(file, ("a", "b")))
    assert [row for row, _ in whole] == [0, 2, 3]
    for rows in (1, 2, 3):
        pieces = tables.csv_pieces(file, rows)
        assert [piece.start for piece in pieces] == list(range(0, 4, rows))
        found = [pair for piece in pieces for pair in tables.csv_rows(file, ("a", "b"), piece)]
        assert list(map(str, found)) == list(map(str, whole))
    file.write_bytes(b"a,b\n")
    assert tables.csv_pieces(file, 2) == []


@given(st.text('ab,"\n\r', max_size=30))
def test_pieces_of_any_csv_give_the_rows_of_the_whole(text: str) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder, "any.csv")
        file.write_bytes(f"x\n{text}".encode())
        try:
            whole = list(tables.csv_fields(file, ()))
        except InputError:
            return
        for rows in (1, 2):
            pieces = tables.csv_pieces(file, rows)
            found = [pair for piece in pieces for pair in tables.csv_fields(file, (), piece)]
            assert list(map(str, found)) == list(map(str, whole))


def test_csv_names_all_missing_columns(file: Path) -> None:
    file.write_text("uid,text\n")
    problem = refusal(lambda path: tables.csv_rows(path, ("findings", "uid", "impression")), file)
    assert problem.startswith(": lacks the columns findings, impression; it has uid, text; ")


@pytest.mark.parametrize("name", ["json_lines", "text_lines"])
@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf"])
def test_empty_lines(name: str, content: bytes, file: Path) -> None:
    file.write_bytes(content)
    assert ": is empty; " in refusal(READERS[name], file)


def test_csv_cut_inside_quotes(file: Path) -> None:
    file.write_text('uid,text\n1,a\n2,"cut he')
    assert ": is not csv at line 3 (unexpected end of data); " in refusal(READERS["csv_rows"], file)


def test_csv_that_is_none(file: Path) -> None:
    file.touch()
    assert ": is empty; " in refusal(READERS["csv_rows"], file)


def test_text_lines_of_an_old_mac(file: Path) -> None:
    file.write_bytes(b"one\r\rtwo\rthree")
    assert list(tables.text_lines(file)) == [(0, "one"), (2, "two"), (3, "three")]
    file.write_bytes(b'{"a": 1}\r{"a": 2}\r')
    assert list(tables.json_lines(file)) == [(0, {"a": 1}), (1, {"a": 2})]
    assert len(tables.line_pieces(file, 1)) == 1


def test_text_lines(file: Path) -> None:
    file.write_bytes("\ufeffone\u2028line\r\n \n\ttwo\x0b\x85 \rmore\nlast".encode())
    assert list(tables.text_lines(file)) == [(0, "one\u2028line"), (2, "\ttwo\x0b\x85 \rmore"), (3, "last")]


def test_whole_text(file: Path) -> None:
    file.write_bytes("\ufeffone\r\ntwo\u2028".encode())
    assert tables.read_text(file) == "one\ntwo\u2028"


def write_parquet(path: Path, rows: int = 3) -> None:
    images = [{"bytes": str(row).encode() * 100, "path": None} for row in range(rows)]
    table = pa.table({"image": images, "question": [f"{row}?" for row in range(rows)], "id": list(range(rows))})
    pq.write_table(table, path)


def test_parquet_rows(file: Path) -> None:
    write_parquet(file)
    found = list(tables.parquet_rows(file, ("image.bytes",), ("id", "absent"), batch_rows=2))
    assert found == [(row, {"image": {"bytes": str(row).encode() * 100}, "id": row}) for row in range(3)]


def test_parquet_names_all_missing_columns(file: Path) -> None:
    write_parquet(file)
    problem = refusal(lambda path: tables.parquet_rows(path, ("picture.bytes", "id", "answer")), file)
    assert problem.startswith(": lacks the columns picture.bytes, answer; it has image, question, id; ")


def _cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _with_damaged_page(content: bytes) -> bytes:
    return content[:40] + b"\xff" * 400 + content[440:]


def _with_damaged_footer(content: bytes) -> bytes:
    return content[:-100] + b"\xff" * 92 + content[-8:]


@pytest.mark.parametrize("damage", [_cut, _with_damaged_page, _with_damaged_footer, lambda content: b""])
def test_broken_parquet(damage: Callable[[bytes], bytes], file: Path) -> None:
    write_parquet(file, rows=1000)
    file.write_bytes(damage(file.read_bytes()))
    problem = refusal(lambda path: tables.parquet_rows(path, ("image.bytes",)), file)
    assert problem.startswith(": is not readable as parquet (")


def test_pickle_rows(file: Path) -> None:
    rows = [{"image": "train_0001", "answer": "yes", "boxes": [(1, 2.5, None)]}]
    file.write_bytes(pickle.dumps(rows))
    assert list(tables.pickle_rows(file)) == [(0, rows[0])]


class _Command:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_that_runs_a_command(protocol: int, file: Path, tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    file.write_bytes(pickle.dumps([_Command(touched)], protocol))
    assert refusal(tables.pickle_rows, file).startswith(f": is a pickle that would run {os.system.__module__}.system; ")
    assert not touched.exists()


def test_pickle_with_a_persistent_id(file: Path) -> None:
    class Pickler(pickle.Pickler):
        def persistent_id(self, value: object) -> str | None:
            return "elsewhere" if value == "row" else None

    with file.open("wb") as handle:
        Pickler(handle).dump(["row"])
    assert ": is a pickle that would run a persistent id; " in refusal(tables.pickle_rows, file)


@pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps(["a", "b"])[:-3]])
def test_broken_pickle(content: bytes, file: Path) -> None:
    file.write_bytes(content)
    assert refusal(tables.pickle_rows, file).startswith(": is not a whole pickle (")


def test_pickle_of_something_else(file: Path) -> None:
    file.write_bytes(pickle.dumps({"a": 1}))
    assert ": holds an object, expected a list; " in refusal(tables.pickle_rows, file)


def test_zip_folder(file: Path) -> None:
    for members, folder in ((["b/c/1.jpg", "a.jpg"], "b/c/"), (["b/", "b/1.jpg"], "b/"), (["a.jpg", "b/1.jpg"], "")):
        with zipfile.ZipFile(file, "w") as archive:
            for member in members:
                archive.writestr(member, b"")
        assert tables.zip_folder(file) == folder


def test_zip_members(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("b/1.jpg", b"1")
        archive.writestr("a.jpg", b"2")
    assert tables.zip_members(file) == ["b/1.jpg", "a.jpg"]
    file.write_bytes(file.read_bytes()[:-30])
    assert refusal(tables.zip_members, file).startswith(": is not a whole zip archive (")


@pytest.mark.parametrize(
    ("row", "kind", "evidence"),
    [
        ({}, str, "no field 'a'"),
        ({"a": None}, str, "field 'a' is null"),
        ({"a": 1}, str, "field 'a' is a number"),
        ({"a": True}, int, "field 'a' is bool"),
        ({"a": []}, dict, "field 'a' is a list"),
        ([], str, "a list, expected an object"),
        (None, str, "null, expected an object"),
        (RowError("unparsable-row", "not JSON"), str, "not JSON"),
    ],
)
def test_field_that_is_none(row: Any, kind: type, evidence: str) -> None:
    with pytest.raises(RowError) as caught:
        tables.field(row, "a", kind)
    assert (caught.value.reason, caught.value.evidence) == ("unparsable-row", evidence)


def test_field() -> None:
    assert tables.field({"a": "x"}, "a", str) == "x"
    assert tables.field({"a": True}, "a", bool) is True


@pytest.mark.parametrize(("value", "text"), [("x", "x"), (0, "0"), (-7, "-7")])
def test_text_or_number(value: Any, text: str) -> None:
    assert tables.text_or_number({"a": value}, "a") == text


@pytest.mark.parametrize("value", [None, True, 1.5, [1]])
def test_neither_text_nor_number(value: Any) -> None:
    with pytest.raises(RowError, match="field 'a' is "):
        tables.text_or_number({"a": value}, "a")
