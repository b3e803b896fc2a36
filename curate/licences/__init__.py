"""Licences: the wording that somebody wrote comes in, an id, its terms and a verdict go out.

`wordings` knows every licence, `statements` what is said of a source, `rulings` which statement counts for a record,
`effective` what a whole mix allows. The wing knows neither rows nor files: what it rules on, others have read.
"""

__all__ = ("effective", "rulings", "spdx", "statements", "wordings")
