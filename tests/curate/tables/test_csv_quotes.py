"""Stray quotes in csv: what they cost, and the line numbers in messages."""

import csv
import io
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medmix.curate import tables
from medmix.curate.errors import InputError, RowError

HEADER = "id,text,split\n"


def read(file: Path, content: str) -> list[tuple[int, str]]:
    """Give each row's number with its first field, or the evidence of its error; the pieces give the same rows."""
    file.write_bytes((HEADER + content).encode())
    whole = list(tables.csv_fields(file, ("id",)))
    for rows in (1, 2):
        pieces = [row for piece in tables.csv_pieces(file, rows) for row in tables.csv_fields(file, ("id",), piece)]
        assert list(map(str, pieces)) == list(map(str, whole))
    return [(row, fields.evidence if isinstance(fields, RowError) else fields[0]) for row, fields in whole]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rows.csv"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        # a quote that is not doubled
        ('1,"a "b" c",x\n2,b,x\n', [(0, "line 2: ',' expected after '\"'"), (1, "2")]),
        # a quote that is not closed swallows the lines up to the next quote
        ('1,"a,x\n2,b,x\n3,"c",x\n', [(0, "line 2: ',' expected after '\"'"), (1, "2"), (2, "3")]),
        ('1,"a,x\n2,"b\nb",x\n3,c,x\n', [(0, "line 2: ',' expected after '\"'"), (1, "2"), (2, "3")]),
        # or to the end of the file
        ('1,a,x\n2,"b,x\n3,c,x\n4,d,x\n', [(0, "1"), (1, "line 3: unexpected end of data"), (2, "3"), (3, "4")]),
        ('1,a,x\n2,"b,x\n', [(0, "1"), (1, "line 3: unexpected end of data")]),
        # the text before counts its lines
        ('1,"a\n\na",x\n2,b\n', [(0, "1"), (1, "line 5: 2 fields, the header has 3")]),
        ('1,"a\n\na"\n2,b,x\n', [(0, "lines 2 to 4: 2 fields, the header has 3"), (1, "2")]),
        # quotes in the middle of a field are text
        ('1,5" wide,x\n2,"",x\n', [(0, "1"), (1, "2")]),
    ],
)
def test_stray_quote_costs_one_row(content: str, found: list[tuple[int, str]], file: Path) -> None:
    assert read(file, content) == found


def test_two_stray_quotes_that_swallow_whole_rows_are_seen_in_wide_tables(file: Path) -> None:
    file.write_text('a,b,c,d\n1,"x,y,z\n2,x,y,z\n3,x",y,z\n4,x,y,z\n')
    first, *others = [fields for _, fields in tables.csv_rows(file, ("a",))]
    assert isinstance(first, RowError)
    assert first.evidence == "line 2: quotes around several lines, each with all fields"
    assert [row["a"] for row in others if isinstance(row, dict)] == ["2", "3", "4"]


def test_file_cut_inside_quotes_names_its_line(file: Path) -> None:
    with pytest.raises(InputError, match=r"rows\.csv: is not csv at line 5 \(unexpected end of data\)"):
        read(file, '1,"a\n\na",x\n2,"b and ')


def test_header_that_is_no_csv_is_an_input_error(file: Path) -> None:
    file.write_text('id,"text\n1,a\n')
    with pytest.raises(InputError, match="is not csv at line 1"):
        tables.csv_columns(file)


def test_required_column_that_occurs_twice_is_an_input_error(file: Path) -> None:
    file.write_text("id,text,text\n1,a,b\n")
    with pytest.raises(InputError, match="has the columns text more than once"):
        list(tables.csv_rows(file, ("id", "text")))
    assert len(list(tables.csv_rows(file, ("id",)))) == 1


def test_header_of_another_format_is_shown_on_one_line(file: Path) -> None:
    file.write_text('"a\nb' + "x" * 1000 + '"\n1\n')
    with pytest.raises(InputError) as caught:
        list(tables.csv_rows(file, ("id",)))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


FIELDS = st.text(st.sampled_from('ab,"\n\ré'), max_size=6)


@given(st.lists(st.lists(FIELDS, min_size=3, max_size=3), max_size=6))
def test_well_formed_tables_are_read_as_the_library_reads_them(table: list[list[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([["x", "y", "z"], *table])
    with TemporaryDirectory() as folder:
        file = Path(folder, "any.csv")
        file.write_bytes(text.getvalue().encode())
        assert [fields for _, fields in tables.csv_fields(file, ())] == table
