"""The small readers of files: rows with their numbers from JSON, csv, text, parquet and pickle.

A file that is unusable as a whole raises `InputError`; a row that is gives a `RowError` in its place, which the
reader of the source turns into a `Rejected`.
"""

from .archives import MAX_MEMBER_BYTES, zip_folder, zip_members
from .columnar import arrow_rows, parquet_columns, parquet_rows
from .csv_files import MAX_CSV_FIELD, csv_columns, csv_fields, csv_pieces, csv_rows
from .fields import field, text_or_number
from .json_files import json_items, json_lines, json_rows
from .lines import MAX_LINE, Piece, line_pieces, text_lines, whole_text
from .opening import AGAIN, opened
from .pickles import pickle_rows

__all__ = [
    "AGAIN",
    "MAX_CSV_FIELD",
    "MAX_LINE",
    "MAX_MEMBER_BYTES",
    "Piece",
    "arrow_rows",
    "csv_columns",
    "csv_fields",
    "csv_pieces",
    "csv_rows",
    "field",
    "json_items",
    "json_lines",
    "json_rows",
    "line_pieces",
    "opened",
    "parquet_columns",
    "parquet_rows",
    "pickle_rows",
    "text_lines",
    "text_or_number",
    "whole_text",
    "zip_folder",
    "zip_members",
]
