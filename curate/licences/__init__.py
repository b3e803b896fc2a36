"""Licences: a licence text as upstream writes it comes in; its id, its terms and a verdict go out.

`terms` knows every licence, `statements` the licence block of a source, `rulings` picks the statement that counts for
a record, `effective` sums up what a whole mix allows. The wing reads neither rows nor source files.
"""

__all__ = ("effective", "rulings", "spdx", "statements", "terms")
