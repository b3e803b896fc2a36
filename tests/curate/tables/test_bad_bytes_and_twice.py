"""Faults of one row that cost that row alone: bytes that are not UTF-8, and JSON fields and keys given twice."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medmix.curate import tables
from medmix.curate.errors import InputError, RowError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rows"


def shown(value: Any) -> Any:
    """Give the evidence in place of an error."""
    return value.evidence if isinstance(value, RowError) else value


def test_bad_byte_in_text_lines(file: Path) -> None:
    file.write_bytes("\ufeffé\r\n".encode() + b"a\xff\n\nb\n")
    assert [(row, shown(line)) for row, line in tables.text_lines(file)] == [
        (0, "é"),
        (1, "byte 0xff at offset 8 is not UTF-8"),
        (3, "b"),
    ]


def test_bad_byte_in_a_piece_is_counted_from_the_start_of_the_file(file: Path) -> None:
    file.write_bytes(b"aa\nbb\nc\xff\nd\n")
    pieces = tables.line_pieces(file, 1)
    found = [(row, shown(line)) for piece in pieces for row, line in tables.text_lines(file, piece)]
    assert found == [(0, "aa"), (1, "bb"), (2, "byte 0xff at offset 7 is not UTF-8"), (3, "d")]


def test_bad_byte_in_json_lines(file: Path) -> None:
    file.write_bytes(b'{"a": 1}\n{"a": "\xe9"}\n{"a": 3}\n')
    found = [(row, shown(value)) for row, value in tables.json_lines(file)]
    assert found == [(0, {"a": 1}), (1, "byte 0xe9 at offset 16 is not UTF-8"), (2, {"a": 3})]


def test_bad_byte_in_a_json_list(file: Path) -> None:
    file.write_bytes("\ufeff".encode() + b'[{"a": "\xc3\xa9"}, {"a": ["\xe9"]}, 3]')
    found = [(row, shown(value)) for row, value in tables.json_rows(file)]
    assert found == [(0, {"a": "é"}), (1, "byte 0xe9 at offset 25 is not UTF-8"), (2, 3)]


def test_bad_byte_in_a_json_object(file: Path) -> None:
    file.write_bytes(b'{"a": 1, "b\xe9": 2, "c": "\xe9"}')
    assert [(row, key, shown(value)) for row, key, value in tables.json_items(file)] == [
        (0, "a", 1),
        (1, "", "byte 0xe9 at offset 11 is not UTF-8"),
        (2, "c", "byte 0xe9 at offset 24 is not UTF-8"),
    ]
    file.write_bytes(b'{"train": [1, "\xe9", 2], "test": 3}')
    assert [(key, shown(item)) for _, key, item in tables.json_lists(file)] == [
        ("train", 1),
        ("train", "byte 0xe9 at offset 15 is not UTF-8"),
        ("train", 2),
        ("test", 3),
    ]


def test_bad_byte_between_the_values_of_json_is_named(file: Path) -> None:
    file.write_bytes(b"[1,\n\xff 2]")
    with pytest.raises(InputError, match=r"line 2, column 1 \(byte 0xff at offset 4 is not UTF-8\)"):
        list(tables.json_rows(file))


@pytest.mark.parametrize("packed", [False, True])
def test_bad_byte_in_csv(packed: bool, tmp_path: Path) -> None:
    file = tmp_path / ("rows.csv.gz" if packed else "rows.csv")
    content = b'id,text\n1,"\xc3\xa9\n"\n2,"a\n\xe9"\n3,c\n'
    file.write_bytes(gzip.compress(content) if packed else content)
    assert [(row, shown(value)) for row, value in tables.csv_rows(file, ("id",))] == [
        (0, {"id": "1", "text": "é\n"}),
        (1, "lines 4 to 5: byte 0xe9 at offset 21 is not UTF-8"),
        (2, {"id": "3", "text": "c"}),
    ]


def test_bad_byte_in_parquet(file: Path) -> None:
    raw = pa.array([b"a", b"\xe9", b"c"], pa.binary())
    text = pa.Array.from_buffers(pa.string(), 3, raw.buffers())
    pq.write_table(pa.table({"id": [1, 2, 3], "text": text}), file)
    assert [(row, shown(value)) for row, value in tables.parquet_rows(file, ("id", "text"))] == [
        (0, {"id": 1, "text": "a"}),
        (1, "column 'text': byte 0xe9 at offset 0 is not UTF-8"),
        (2, {"id": 3, "text": "c"}),
    ]


def test_arrow_with_offsets_out_of_place_is_an_input_error(file: Path) -> None:
    offsets = pa.array([0, 900, 2], pa.int32()).buffers()[1]
    text = pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"ab")])
    with pa.ipc.new_stream(str(file), pa.schema([("text", pa.string())])) as out:
        out.write_batch(pa.record_batch([text], ["text"]))
    with pytest.raises(InputError, match="is not readable as an Arrow stream"):
        list(tables.arrow_rows(file, ("text",)))


def test_text_in_utf_16_is_an_input_error(file: Path) -> None:
    file.write_bytes("a\nb\n".encode("utf-16"))
    with pytest.raises(InputError, match="is UTF-16 text, expected UTF-8"):
        list(tables.text_lines(file))


def test_key_that_occurs_twice_is_two_items(file: Path) -> None:
    file.write_text('{"a": 1, "a": 2}')
    assert list(tables.json_items(file)) == [(0, "a", 1), (1, "a", 2)]
    file.write_text('{"a": [1], "b": [], "a": [2, 3]}')
    assert list(tables.json_lists(file)) == [(0, "a", 1), (1, "a", 2), (2, "a", 3)]


@pytest.mark.parametrize("value", ['{"q": "x", "q": "y"}', '{"o": {"q": 1, "q": true}}', '[{"q": [], "q": [1]}]'])
def test_field_given_twice_with_different_values(value: str, file: Path) -> None:
    problem = "field 'q' is given twice with different values"
    file.write_text(f"[1, {value}, 2]")
    assert [shown(item) for _, item in tables.json_rows(file)] == [1, problem, 2]
    file.write_text(f"1\n{value}\n2\n")
    assert [shown(item) for _, item in tables.json_lines(file)] == [1, problem, 2]
    file.write_text(f'{{"k": {value}, "l": 2}}')
    assert [shown(item) for _, _, item in tables.json_items(file)] == [problem, 2]


def test_field_given_twice_with_one_value(file: Path) -> None:
    file.write_text('[{"q": [1, {"r": "x"}], "q": [1, {"r": "x"}]}]')
    assert list(tables.json_rows(file)) == [(0, {"q": [1, {"r": "x"}]})]


@pytest.mark.parametrize(
    "text", ["[1 2]", "[1,]", "[1", '["a', "[1] 2", '{"a" 1}', '{"a": 1,}', "{1: 2}", '{"a": 1', "x"]
)
def test_broken_json_is_refused_as_the_library_refuses_it(text: str, file: Path) -> None:
    file.write_text(text)
    with pytest.raises(json.JSONDecodeError):
        json.loads(text)
    for reader in (tables.json_rows, tables.json_items, tables.json_lists):
        with pytest.raises(InputError, match=r": is not JSON at line 1, column \d+"):
            list(reader(file))
