"""Readers of file formats: rows with their numbers from JSON, csv, text, parquet, Arrow and pickle.

A file that is unusable as a whole raises `InputError`. An unusable row gives a `RowError` in its place, which the
reader of the source turns into a `Rejected`.
"""

from .archives import by_spelling, common_spelling, posix_name, zip_folder, zip_members
from .columnar import arrow_rows, parquet_rows
from .csv_files import csv_columns, csv_fields, csv_pieces, csv_rows
from .fields import check_columns, field, text_or_number
from .json_files import json_items, json_lines, json_lists, json_rows
from .lines import Piece, line_pieces, read_text, text_lines
from .litter import is_litter
from .opening import GET_AGAIN, LFS_REMEDY, bad_byte, input_errors, is_lfs_pointer
from .pickles import pickle_rows

__all__ = [
    "GET_AGAIN",
    "LFS_REMEDY",
    "Piece",
    "arrow_rows",
    "bad_byte",
    "by_spelling",
    "check_columns",
    "common_spelling",
    "csv_columns",
    "csv_fields",
    "csv_pieces",
    "csv_rows",
    "field",
    "input_errors",
    "is_lfs_pointer",
    "is_litter",
    "json_items",
    "json_lines",
    "json_lists",
    "json_rows",
    "line_pieces",
    "parquet_rows",
    "pickle_rows",
    "posix_name",
    "read_text",
    "text_lines",
    "text_or_number",
    "zip_folder",
    "zip_members",
]
